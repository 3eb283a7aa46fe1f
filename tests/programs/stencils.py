"""Stencils over time: Jacobi by slice assignments, Gauss-Seidel in place."""

import numpy as np

from tests.programs import Program, normal


def jacobi_2d(steps, A, B):
    for _ in range(1, steps):
        B[1:-1, 1:-1] = 0.2 * (
            A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1]
        )
        A[1:-1, 1:-1] = 0.2 * (
            B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1]
        )


def nonlinear_jacobi(A, steps):
    """A diffusivity that depends on the field, so that the sweeps need the old values."""
    A, B = A.copy(), A.copy()
    for _ in range(steps):
        flow = A[1:-1] * (A[2:] - 2.0 * A[1:-1] + A[:-2])
        B[1:-1] = A[1:-1] + 0.1 * flow
        A, B = B, A
    return np.sum(A * A)


def swapped_buffers(A, steps):
    """Writes to the caller's array or to its own, by turns; the value does not depend on it."""
    B = A.copy()
    for _ in range(steps):
        B[1:-1] = A[1:-1] * (A[2:] + A[:-2])
        A, B = B, A
    return np.sum(A * A)


def gauss_seidel(A, steps):
    n, m = A.shape
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                A[i, j] = (A[i - 1, j] + A[i, j - 1] + A[i, j] + A[i, j + 1] + A[i + 1, j]) / 5.0
    return np.sum(A * A)


def nonlinear_gauss_seidel(A, c, steps):
    for _ in range(steps):
        for i in range(1, A.shape[0] - 1):
            A[i] = A[i] + c * A[i - 1] * A[i + 1] * A[i]


PROGRAMS = (
    Program(
        jacobi_2d,
        (
            ("5 sweeps", (6, normal(6, 5), normal(6, 5, seed=1))),
            ("no sweep", (1, normal(6, 5), normal(6, 5, seed=1))),
            ("no interior", (3, normal(2, 5), normal(2, 5, seed=1))),
        ),
        outputs=("A", "B"),
    ),
    Program(nonlinear_jacobi, (("5 sweeps", (normal(7), 5)), ("no sweep", (normal(7), 0)))),
    Program(gauss_seidel, (("5 sweeps", (normal(5, 6), 5)), ("no sweep", (normal(5, 6), 0)))),
    Program(nonlinear_gauss_seidel, (("5 sweeps", (normal(6), 0.3, 5)),), outputs="A"),
)
