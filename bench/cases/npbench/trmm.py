"""B ← α AᵀB for a unit lower triangular A, in place."""

import numpy as np

SIZES = {"check": {"m": 6, "n": 5}, "S": {"m": 65, "n": 80}, "M": {"m": 200, "n": 250}}
OUTPUTS = ("B",)


def inputs(rng, m, n):
    return {"alpha": 1.5, "A": rng.random((m, m)), "B": rng.random((m, n))}


def trmm(alpha, A, B):
    for i in range(B.shape[0]):
        for j in range(B.shape[1]):
            B[i, j] += np.dot(A[i + 1 :, i], B[i + 1 :, j])
    B *= alpha


def looped(alpha, A, B):
    m, n = B.shape
    for i in range(m):
        for k in range(i + 1, m):
            a = A[k, i]
            for j in range(n):
                B[i, j] += a * B[k, j]
        for j in range(n):
            B[i, j] *= alpha


def jax_idiomatic(alpha, A, B):
    import jax.numpy as jnp

    return alpha * (B + jnp.tril(A, -1).T @ B)


def jax_transliterated(alpha, A, B):
    import jax.numpy as jnp
    from jax import lax

    m, n = B.shape
    at = jnp.arange(m)

    def row(i, B):
        below = jnp.where(at > i, A[:, i], 0.0)
        return lax.fori_loop(0, n, lambda j, B: B.at[i, j].add(below @ B[:, j]), B)

    return alpha * lax.fori_loop(0, m, row, B)
