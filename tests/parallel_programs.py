"""Functions with prange loops, and arguments for them."""

import numpy as np
from numba import prange

N = 23


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)


def elementwise(x):
    y = np.empty(len(x))
    for i in prange(len(x)):
        y[i] = np.sin(x[i]) * x[i]
    return np.sum(y * y)


def total(x):
    s = 0.0
    for i in prange(len(x)):
        s += np.sin(x[i]) * x[i]
    return s * s


def product(x):
    p = 1.0
    for i in prange(len(x)):
        p *= x[i]
    return p


def largest(x):
    found = -1e300
    for i in prange(len(x)):
        found = max(found, x[i] * x[i])
    return found


def stencil(x):
    y = np.zeros(len(x))
    for i in prange(1, len(x) - 1):
        y[i] = x[i - 1] ** 2 + x[i + 1] * x[i]
    return np.sum(y * y)


def far_stencil(x):
    y = np.zeros(len(x))
    for i in prange(5, len(x) - 5):
        y[i] = x[i - 5] * x[i + 5]
    return np.sum(y * y)


def rows(A):
    """Work on each row, with a row of its own."""
    out = np.empty(A.shape[0])
    for i in prange(A.shape[0]):
        work = np.empty(A.shape[1])
        for j in range(A.shape[1]):
            work[j] = np.exp(A[i, j])
        s = 0.0
        for j in range(1, A.shape[1]):
            s += work[j] * work[j - 1]
        out[i] = s / np.sum(A[i])
    return np.sum(out)


def matvec(A, x):
    y = np.empty(A.shape[0])
    for i in prange(A.shape[0]):
        s = 0.0
        for j in range(A.shape[1]):
            s += A[i, j] * x[j]
        y[i] = s
    return np.sum(y * y)


def pairs(x):
    """Every iteration reads everything: its adjoint adds everywhere."""
    s = 0.0
    for i in prange(len(x)):
        for j in range(len(x)):
            s += (x[i] - x[j]) ** 2 * x[j]
    return s


def scatter(x, k):
    """Iterations may meet in an element: they come in order."""
    y = np.zeros(len(x))
    for i in prange(len(k)):
        y[k[i]] += x[i] ** 2
    return np.sum(y * y)


def gathered(x, k):
    y = np.empty(len(k))
    for i in prange(len(k)):
        y[i] = x[k[i]] ** 2
    return np.sum(y)


def prefix(x):
    """Each iteration needs the one before: no prange, whatever it says."""
    y = x.copy()
    for i in prange(1, len(x)):
        y[i] = y[i - 1] * 0.5 + y[i]
    return np.sum(y * y)


def running(x):
    s = 0.0
    y = np.empty(len(x))
    for i in prange(len(x)):
        s += x[i] * x[i]
        y[i] = s
    return np.sum(y * x)


def wraps(x):
    """At i = 0 the index counts from the end."""
    y = x.copy()
    for i in prange(len(x)):
        y[i - 1] = y[i - 1] * x[i]
    return np.sum(y)


def nested(A):
    B = np.empty(A.shape)
    for i in prange(A.shape[0]):
        for j in prange(A.shape[1]):
            B[i, j] = A[i, j] ** 2 * np.cos(A[i, j])
    return np.sum(B * B)


def blocks(x):
    y = np.zeros(2 * len(x))
    for i in prange(len(x)):
        y[2 * i] = x[i] ** 2
        y[2 * i + 1] = x[i] ** 3
    return np.sum(y * y)


def strided(x):
    y = np.zeros(len(x))
    for i in prange(1, len(x), 3):
        y[i] = x[i] ** 3
        y[i - 1] = x[i]
    return np.sum(y * y)


def branches(x):
    s = 0.0
    for i in prange(len(x)):
        if x[i] > 1.0:
            s += x[i] ** 2
        elif x[i] > 0.8:
            s -= x[i] ** 3
    return s


def steps(u, n):
    """Time steps in order, each in parallel."""
    for _ in range(n):
        v = np.empty(len(u))
        for i in prange(len(u)):
            left = u[i - 1] if i > 0 else 0.0
            v[i] = u[i] + 0.1 * (left - u[i]) * u[i]
        u = v
    return np.sum(u * u)


def known_bounds(x):
    s = 0.0
    for i in prange(4):
        s += x[i] ** 2
    return s


def doubling(x):
    """Not a sum of terms."""
    s = x[0]
    for _ in prange(3):
        s = s + s
    return s


def chain(x):
    return np.sum(np.sin(x) * np.exp(-x * x))


def jacobi(A, n):
    B = np.zeros(A.shape)
    for _ in range(n):
        B[1:-1, 1:-1] = 0.25 * (A[:-2, 1:-1] + A[2:, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:])
        A[1:-1, 1:-1] = 0.25 * (B[:-2, 1:-1] + B[2:, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:])
    return np.sum(A * A)


X, K = numbers(N), np.random.default_rng(1).integers(0, N, 15)
#: name -> (function, arguments, with respect to)
PROGRAMS = {
    f.__name__: (f, args, wrt)
    for f, args, wrt in [
        (elementwise, (X,), 0), (total, (X,), 0), (product, (X,), 0), (largest, (X,), 0),
        (stencil, (X,), 0), (far_stencil, (X,), 0), (rows, (numbers(5, 7),), 0),
        (matvec, (numbers(6, 9), numbers(9)), (0, 1)), (pairs, (X,), 0), (scatter, (X, K), 0),
        (gathered, (X, K), 0), (prefix, (X,), 0), (running, (X,), 0), (wraps, (X,), 0),
        (nested, (numbers(4, 6),), 0), (blocks, (X,), 0), (strided, (X,), 0), (branches, (X,), 0),
        (steps, (X, 4), 0), (known_bounds, (X,), 0), (doubling, (X,), 0),
    ]
}  # fmt: skip
