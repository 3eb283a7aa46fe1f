"""LU factors in place, without pivots."""

import numpy as np

SIZES = {"check": {"n": 7}, "S": {"n": 60}, "M": {"n": 220}}
OUTPUTS = ("A",)


def inputs(rng, n):
    return {"A": rng.random((n, n)) + n * np.eye(n)}


def lu(A):
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[:j, j]
            A[i, j] /= A[j, j]
        for j in range(i, A.shape[0]):
            A[i, j] -= A[i, :i] @ A[:i, j]


def looped(A):
    n = A.shape[0]
    for i in range(n):
        for k in range(i):
            A[i, k] /= A[k, k]
            a = A[i, k]
            for j in range(k + 1, n):
                A[i, j] -= a * A[k, j]


def jax_idiomatic(A):
    import jax.numpy as jnp
    from jax import lax

    n = A.shape[0]
    at = jnp.arange(n)

    def step(k, A):
        below = jnp.where(at > k, A[:, k] / A[k, k], 0.0)
        right = jnp.where(at > k, A[k], 0.0)
        A = A.at[:, k].set(jnp.where(at > k, below, A[:, k]))
        return A - jnp.outer(below, right)

    return lax.fori_loop(0, n, step, A)


def jax_transliterated(A):
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

    return lax.fori_loop(0, n, row, A)
