"""Factorisations in place: triangular loops whose bodies are dot products of slices."""

import numpy as np

from tests.programs import Program, normal


def cholesky(A):
    A[0, 0] = np.sqrt(A[0, 0])
    for i in range(1, A.shape[0]):
        for j in range(i):
            A[i, j] -= np.dot(A[i, :j], A[j, :j])
            A[i, j] /= A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])


def lu(A):
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[:j, j]
            A[i, j] /= A[j, j]
        for j in range(i, n):
            A[i, j] -= A[i, :i] @ A[:i, j]
    return np.sum(A * A)


def back_substitution(L, b):
    x = np.zeros(b.shape[0])
    for i in range(b.shape[0]):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x


def backward_euler(u, k, steps):
    """Diffusion on a line, u' = k u'', by implicit steps: one system for each."""
    n = u.shape[0]
    A = np.eye(n)
    for i in range(n):
        A[i, i] += 2.0 * k
        if i > 0:
            A[i, i - 1] -= k
            A[i - 1, i] -= k
    for _ in range(steps):
        u = np.linalg.solve(A, u) + 0.1 * u * u
    return u


def columns(data, w):
    """Products of vectors with what is not contiguous: slices of columns, and expressions."""
    m = data.shape[1]
    out = np.eye(m)
    for i in range(m - 1):
        out[i + 1 :, i] = out[i, i + 1 :] = data[:, i] @ data[:, i + 1 :]
    both = data * data
    total = np.sum(both @ w) * np.sum(both[:, 1:] @ w[1:])
    for i in range(1, m):
        total += np.sum(np.exp(data[:, :i]) @ out[:i, i]) + np.sum(w[:i] @ data[:, :i].T)
    return total + np.sum((w - out[:, 0]) @ out[:, ::2] * (data[0, ::2] @ data[:, ::2].T[:, 0]))


def spd(n: int) -> np.ndarray:
    A = normal(n, n)
    return A @ A.T + n * np.eye(n)


PROGRAMS = (
    Program(cholesky, (("6", (spd(6),)), ("1", (spd(1),))), outputs="A"),
    Program(lu, (("6", (spd(6),)),)),
    Program(
        columns, (("5x4", (normal(5, 4), normal(4, seed=1))), ("1x1", (normal(1, 1), normal(1))))
    ),
    Program(backward_euler, (("5", (normal(5), 0.3, 3)), ("1", (normal(1), 0.3, 1)))),
    Program(back_substitution, (("6", (spd(6), normal(6, seed=1))), ("1", (spd(1), normal(1))))),
)
