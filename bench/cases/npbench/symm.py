"""C ← αAB + βC for a symmetric A of which the lower triangle is stored."""

import numpy as np

SIZES = {"check": {"m": 6, "n": 5}, "S": {"m": 40, "n": 50}, "M": {"m": 120, "n": 150}}
OUTPUTS = ("C",)


def inputs(rng, m, n):
    C, B = rng.random((2, m, n))
    return {"alpha": 1.5, "beta": 1.2, "C": C, "A": rng.random((m, m)), "B": B}


def symm(alpha, beta, C, A, B):
    below = np.empty(C.shape[1])
    C *= beta
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[:i, j] += alpha * B[i, j] * A[i, :i]
            below[j] = B[:i, j] @ A[i, :i]
        C[i, :] += alpha * B[i, :] * A[i, i] + alpha * below


def looped(alpha, beta, C, A, B):
    m, n = C.shape
    for i in range(m):
        for j in range(n):
            C[i, j] *= beta
    for i in range(m):
        for j in range(n):
            C[i, j] += alpha * A[i, i] * B[i, j]
        for k in range(i):
            a = alpha * A[i, k]
            for j in range(n):
                C[k, j] += a * B[i, j]
                C[i, j] += a * B[k, j]


def jax_idiomatic(alpha, beta, C, A, B):
    import jax.numpy as jnp

    lower = jnp.tril(A)
    return alpha * (lower + jnp.tril(A, -1).T) @ B + beta * C


def jax_transliterated(alpha, beta, C, A, B):
    import jax.numpy as jnp
    from jax import lax

    m, n = C.shape
    upto = jnp.arange(m)

    def row(i, C):
        def column(j, carry):
            C, below = carry
            part = jnp.where(upto < i, A[i], 0.0)
            C = C.at[:, j].add(alpha * B[i, j] * part)
            return C, below.at[j].set(part @ B[:, j])

        C, below = lax.fori_loop(0, n, column, (C, jnp.zeros(n)))
        return C.at[i].add(alpha * B[i] * A[i, i] + alpha * below)

    return lax.fori_loop(0, m, row, C * beta)
