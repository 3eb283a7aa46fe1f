"""Cholesky factor by the library; the upper triangle is kept."""

import numpy as np

SIZES = {"check": {"n": 7}, "S": {"n": 1000}, "M": {"n": 2200}}
OUTPUTS = ("A",)


def inputs(rng, n):
    G = rng.random((n, n))
    return {"A": G @ G.T / n + np.eye(n)}


def cholesky2(A):
    A[:] = np.linalg.cholesky(A) + np.triu(A, k=1)


def jax_idiomatic(A):
    import jax.numpy as jnp

    # NumPy reads the lower triangle only
    lower = jnp.tril(A)
    factor = jnp.linalg.cholesky(lower + jnp.tril(A, -1).T, symmetrize_input=False)
    return factor + jnp.triu(A, 1)
