"""Symmetric rank-2k update of a lower triangle: C ← α(ABᵀ + BAᵀ) + βC."""

SIZES = {"check": {"m": 4, "n": 6}, "S": {"m": 35, "n": 50}, "M": {"m": 110, "n": 140}}
OUTPUTS = ("C",)


def inputs(rng, m, n):
    A, B = rng.random((2, n, m))
    return {"alpha": 1.5, "beta": 1.2, "C": rng.random((n, n)), "A": A, "B": B}


def syr2k(alpha, beta, C, A, B):
    for i in range(A.shape[0]):
        C[i, : i + 1] *= beta
        for k in range(A.shape[1]):
            C[i, : i + 1] += alpha * (A[: i + 1, k] * B[i, k] + B[: i + 1, k] * A[i, k])


def looped(alpha, beta, C, A, B):
    n, m = A.shape
    for i in range(n):
        for j in range(i + 1):
            s = 0.0
            for k in range(m):
                s += A[j, k] * B[i, k] + B[j, k] * A[i, k]
            C[i, j] = beta * C[i, j] + alpha * s


def jax_idiomatic(alpha, beta, C, A, B):
    import jax.numpy as jnp

    return jnp.tril(alpha * (A @ B.T + B @ A.T) + beta * C) + jnp.triu(C, 1)


def jax_transliterated(alpha, beta, C, A, B):
    import jax.numpy as jnp
    from jax import lax

    n, m = A.shape
    at = jnp.arange(n)

    def row(i, C):
        lower = at <= i
        C = C.at[i].set(jnp.where(lower, beta * C[i], C[i]))

        def term(k, C):
            both = alpha * (A[:, k] * B[i, k] + B[:, k] * A[i, k])
            return C.at[i].add(jnp.where(lower, both, 0.0))

        return lax.fori_loop(0, m, term, C)

    return lax.fori_loop(0, n, row, C)
