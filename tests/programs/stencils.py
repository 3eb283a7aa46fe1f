"""Stencils over time: Jacobi by slice assignments, Gauss-Seidel in place, periodic by np.roll."""

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


def torus(phi, momentum, dt, steps):
    """A field with self-interaction, leapfrog, whose neighbours are found by np.roll."""
    for _ in range(steps):
        phi += dt * momentum
        near = np.roll(phi, 1, axis=0) + np.roll(phi, -1, axis=0)
        near += np.roll(phi, 1, axis=1) + np.roll(phi, -1, axis=1)
        momentum += dt * (near - 4.0 * phi - phi**3)


def ring(u, steps):
    for t in range(steps):
        slope = np.roll(u, -2) - 8.0 * np.roll(u, -1) + 8.0 * np.roll(u, 1) - np.roll(u, 2)
        u = u + 0.02 * u * slope + 0.01 * np.roll(u * u, t)
    return u


PROGRAMS = (
    Program(
        torus,
        (
            ("3 steps", (normal(4, 20), normal(4, 20, seed=1), 0.1, 3)),
            ("one row", (normal(1, 3), normal(1, 3, seed=1), 0.1, 2)),
            ("one column", (normal(3, 1), normal(3, 1, seed=1), 0.1, 2)),
            ("no step", (normal(2, 3), normal(2, 3, seed=1), 0.1, 0)),
        ),
        outputs=("phi", "momentum"),
    ),
    Program(ring, (("3 steps", (normal(25), 3)), ("a point", (normal(1), 3)))),
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
