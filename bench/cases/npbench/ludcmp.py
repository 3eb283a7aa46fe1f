"""LU factors in place, then forward and backward substitution."""

import numpy as np

SIZES = {"check": {"n": 7}, "S": {"n": 60}, "M": {"n": 220}}
OUTPUTS = ("x", "y", "A")


def inputs(rng, n):
    return {"A": rng.random((n, n)) + n * np.eye(n), "b": rng.random(n)}


def ludcmp(A, b):
    x = np.zeros_like(b)
    y = np.zeros_like(b)
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[:j, j]
            A[i, j] /= A[j, j]
        for j in range(i, A.shape[0]):
            A[i, j] -= A[i, :i] @ A[:i, j]
    for i in range(A.shape[0]):
        y[i] = b[i] - A[i, :i] @ y[:i]
    for i in range(A.shape[0] - 1, -1, -1):
        x[i] = (y[i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x, y


def looped(A, b):
    n = A.shape[0]
    for i in range(n):
        for k in range(i):
            A[i, k] /= A[k, k]
            a = A[i, k]
            for j in range(k + 1, n):
                A[i, j] -= a * A[k, j]
    x, y = np.empty(n), np.empty(n)
    for i in range(n):
        s = b[i]
        for j in range(i):
            s -= A[i, j] * y[j]
        y[i] = s
    for i in range(n - 1, -1, -1):
        s = y[i]
        for j in range(i + 1, n):
            s -= A[i, j] * x[j]
        x[i] = s / A[i, i]
    return x, y


def jax_idiomatic(A, b):
    import jax.numpy as jnp
    from jax import lax
    from jax.scipy.linalg import solve_triangular

    n = A.shape[0]
    at = jnp.arange(n)

    def step(k, A):
        below = jnp.where(at > k, A[:, k] / A[k, k], 0.0)
        right = jnp.where(at > k, A[k], 0.0)
        A = A.at[:, k].set(jnp.where(at > k, below, A[:, k]))
        return A - jnp.outer(below, right)

    A = lax.fori_loop(0, n, step, A)
    y = solve_triangular(A, b, lower=True, unit_diagonal=True)
    return solve_triangular(A, y, lower=False), y, A


def jax_transliterated(A, b):
    import jax.numpy as jnp
    from jax import lax

    n = A.shape[0]
    at = jnp.arange(n)

    def row(i, A):
        def entry(j, A):
            to = jnp.minimum(i, j)
            s = A[i, j] - jnp.where(at < to, A[i], 0.0) @ jnp.where(at < to, A[:, j], 0.0)
            return A.at[i, j].set(jnp.where(j < i, s / A[j, j], s))

        return lax.fori_loop(0, n, entry, A)

    def forward(i, y):
        return y.at[i].set(b[i] - jnp.where(at < i, A[i], 0.0) @ y)

    def backward(k, x):
        i = n - 1 - k
        return x.at[i].set((y[i] - jnp.where(at > i, A[i], 0.0) @ x) / A[i, i])

    A = lax.fori_loop(0, n, row, A)
    y = lax.fori_loop(0, n, forward, jnp.zeros(n))
    return lax.fori_loop(0, n, backward, jnp.zeros(n)), y, A
