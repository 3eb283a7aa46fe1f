"""What is measured, as its user writes it."""

import math

import numpy as np


def van_der_pol(x, v, mu, dt, n):
    for _ in range(n):
        k1x = v
        k1v = mu * (1.0 - x * x) * v - x
        x2 = x + 0.5 * dt * k1x
        v2 = v + 0.5 * dt * k1v
        k2x = v2
        k2v = mu * (1.0 - x2 * x2) * v2 - x2
        x3 = x + 0.5 * dt * k2x
        v3 = v + 0.5 * dt * k2v
        k3x = v3
        k3v = mu * (1.0 - x3 * x3) * v3 - x3
        x4 = x + dt * k3x
        v4 = v + dt * k3v
        k4x = v4
        k4v = mu * (1.0 - x4 * x4) * v4 - x4
        x = x + dt / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        v = v + dt / 6.0 * (k1v + 2.0 * k2v + 2.0 * k3v + k4v)
    return x * x + 0.5 * v


def gauss_seidel(A, W, steps):
    n, m = A.shape
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                A[i, j] = (A[i - 1, j] + A[i, j - 1] + A[i, j] + A[i, j + 1] + A[i + 1, j]) / 5.0
    total = 0.0
    for i in range(n):
        for j in range(m):
            total += W[i, j] * A[i, j]
    return total


def cholesky(A, W):
    n = A.shape[0]
    A[0, 0] = np.sqrt(A[0, 0])
    for i in range(1, n):
        for j in range(i):
            A[i, j] -= np.dot(A[i, :j], A[j, :j])
            A[i, j] /= A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])
    total = 0.0
    for i in range(n):
        for j in range(i + 1):
            total += W[i, j] * A[i, j]
    return total


def cholesky_loops(A, W):
    """The best hand-written primal: the same without slices."""
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            s = A[i, j]
            for k in range(j):
                s -= A[i, k] * A[j, k]
            A[i, j] = s / A[j, j]
        s = A[i, i]
        for k in range(i):
            s -= A[i, k] * A[i, k]
        A[i, i] = np.sqrt(s)
    total = 0.0
    for i in range(n):
        for j in range(i + 1):
            total += W[i, j] * A[i, j]
    return total


def jacobi_2d(steps, A, B):
    for _ in range(1, steps):
        B[1:-1, 1:-1] = 0.2 * (
            A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1]
        )
        A[1:-1, 1:-1] = 0.2 * (
            B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1]
        )


def logsumexp(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def gmm(alphas, means, icf, x, gamma, m):
    """The GradBench objective: likelihood of a mixture with a Wishart prior."""
    n, d = x.shape
    k = alphas.shape[0]
    sums = np.sum(icf[:, :d], axis=1)
    total = 0.0
    for i in range(n):
        terms = np.empty(k)
        for c in range(k):
            square = 0.0
            at = d
            centred = x[i] - means[c]
            for row in range(d):
                q = np.exp(icf[c, row]) * centred[row]
                for col in range(row):
                    q += icf[c, at] * centred[col]
                    at += 1
                square += q * q
            terms[c] = alphas[c] + sums[c] - 0.5 * square
        total += logsumexp(terms)
    prior = 0.0
    for c in range(k):
        frobenius = np.sum(np.exp(2.0 * icf[c, :d])) + np.sum(icf[c, d:] ** 2)
        prior += 0.5 * gamma * gamma * frobenius - m * sums[c]
    return total - n * logsumexp(alphas) + prior


def tiny(x, v):
    return math.sin(x) * v[0]
