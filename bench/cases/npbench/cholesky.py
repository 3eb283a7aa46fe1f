"""Cholesky factor in place, row by row; the upper triangle stays as it is."""

import numpy as np

SIZES = {"check": {"n": 7}, "S": {"n": 100}, "M": {"n": 300}}
OUTPUTS = ("A",)


def inputs(rng, n):
    G = rng.random((n, n))
    return {"A": G @ G.T / n + np.eye(n)}


def cholesky(A):
    A[0, 0] = np.sqrt(A[0, 0])
    for i in range(1, A.shape[0]):
        for j in range(i):
            A[i, j] -= np.dot(A[i, :j], A[j, :j])
            A[i, j] /= A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])


def looped(A):
    for i in range(A.shape[0]):
        for j in range(i):
            s = A[i, j]
            for k in range(j):
                s -= A[i, k] * A[j, k]
            A[i, j] = s / A[j, j]
        s = A[i, i]
        for k in range(i):
            s -= A[i, k] * A[i, k]
        A[i, i] = np.sqrt(s)


def jax_idiomatic(A):
    import jax.numpy as jnp

    # only the lower triangle is read above: no symmetrisation
    lower = jnp.tril(A)
    factor = jnp.linalg.cholesky(lower + jnp.tril(A, -1).T, symmetrize_input=False)
    return factor + jnp.triu(A, 1)


def jax_transliterated(A):
    """The triangular loop runs to a static bound, as reverse mode needs it."""
    import jax.numpy as jnp
    from jax import lax

    n = A.shape[0]
    at = jnp.arange(n)

    def row(i, A):
        def entry(j, A):
            part = jnp.where(at < j, A[i], 0.0) @ jnp.where(at < j, A[j], 0.0)
            return A.at[i, j].set(jnp.where(j < i, (A[i, j] - part) / A[j, j], A[i, j]))

        A = lax.fori_loop(0, n, entry, A)
        part = jnp.where(at < i, A[i], 0.0)
        return A.at[i, i].set(jnp.sqrt(A[i, i] - part @ part))

    return lax.fori_loop(0, n, row, A)
