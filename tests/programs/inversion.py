"""Programs whose updates can be inverted: symplectic steppers, damped and branching ones."""

import numpy as np

from tests.programs import Program, normal


def leapfrog(q, p, h, n):
    for _ in range(n):
        p = p - 0.5 * h * np.sin(q)
        q = q + h * p
        p = p - 0.5 * h * np.sin(q)
    return q * q + p


def leapfrog_arrays(q, p, h, n):
    q = q.copy()
    p = p.copy()
    for _ in range(n):
        p -= 0.5 * h * np.sin(q)
        q += h * p
        p -= 0.5 * h * np.sin(q)
    return np.sum(q * q + p)


def leapfrog_elements(q, p, h, n):
    """A chain of coupled pendulums, element by element; the forces read the neighbours."""
    for _ in range(n):
        for i in range(1, len(q) - 1):
            p[i] -= h * (np.sin(q[i] - q[i - 1]) + np.sin(q[i] - q[i + 1]))
        for i in range(1, len(q) - 1):
            q[i] += h * p[i]


def damped(q, p, h, g, n):
    """A factor, and a branch on what is inverted."""
    for _ in range(n):
        p = p * (1.0 - g * h) - h * q * q * q
        if q > 0.2:
            q = q + h * p
        else:
            p = p + 0.1
            q = q + h * p * p
    return q * p


def substeps(q, p, h, n, m):
    """Nested loops carry the same variables."""
    for _ in range(n):
        for _ in range(m):
            q += h * p
            p -= h * q * q
        p = -p
    return q * p


def event(q, p, h, tol):
    """A while loop: only its count is kept."""
    while q > tol:
        p = p - h * np.sin(q)
        q = q + h * p
    return q * p


def exchanged(a, b, h, n):
    """Two variables that change places."""
    for _ in range(n):
        a = a + h * np.sin(b)
        a, b = b, a
    return a * b


def not_invertible(x, h, n):
    """`x` cannot be found again from its successor alone: it is saved, as ever."""
    for _ in range(n):
        x = h + 0.3 * x * x
    return x * x


CHAIN = np.linspace(0.0, 0.7, 6)
PROGRAMS = [
    Program(leapfrog, (("some", (1.0, 0.5, 0.1, 20)), ("none", (1.0, 0.5, 0.1, 0)))),
    Program(leapfrog_arrays, (("some", (normal(3), normal(3, seed=1), 0.1, 20)),)),
    Program(leapfrog_elements, (("some", (CHAIN, normal(6), 0.1, 15)),), outputs=("q", "p")),
    Program(damped, (("some", (1.0, 0.5, 0.1, 0.3, 50)),)),
    Program(substeps, (("some", (0.3, 0.5, 0.05, 5, 4)), ("none", (0.3, 0.5, 0.05, 3, 0)))),
    Program(event, (("some", (1.5, -0.1, 0.05, 0.3)),)),
    Program(exchanged, (("some", (0.3, 0.5, 0.1, 7)),)),
    Program(not_invertible, (("some", (0.3, 0.1, 9)),)),
]
