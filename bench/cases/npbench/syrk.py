"""Symmetric rank-k update of a lower triangle: C ← αAAᵀ + βC."""

SIZES = {"check": {"m": 4, "n": 6}, "S": {"m": 50, "n": 70}, "M": {"m": 150, "n": 200}}
OUTPUTS = ("C",)


def inputs(rng, m, n):
    return {"alpha": 1.5, "beta": 1.2, "C": rng.random((n, n)), "A": rng.random((n, m))}


def syrk(alpha, beta, C, A):
    for i in range(A.shape[0]):
        C[i, : i + 1] *= beta
        for k in range(A.shape[1]):
            C[i, : i + 1] += alpha * A[i, k] * A[: i + 1, k]


def looped(alpha, beta, C, A):
    n, m = A.shape
    for i in range(n):
        for j in range(i + 1):
            s = 0.0
            for k in range(m):
                s += A[i, k] * A[j, k]
            C[i, j] = beta * C[i, j] + alpha * s


def jax_idiomatic(alpha, beta, C, A):
    import jax.numpy as jnp

    return jnp.tril(alpha * A @ A.T + beta * C) + jnp.triu(C, 1)


def jax_transliterated(alpha, beta, C, A):
    import jax.numpy as jnp
    from jax import lax

    n, m = A.shape
    at = jnp.arange(n)

    def row(i, C):
        lower = at <= i
        C = C.at[i].set(jnp.where(lower, beta * C[i], C[i]))

        def term(k, C):
            return C.at[i].add(jnp.where(lower, alpha * A[i, k] * A[:, k], 0.0))

        return lax.fori_loop(0, m, term, C)

    return lax.fori_loop(0, n, row, C)
