"""Forward substitution Lx = b."""

SIZES = {"check": {"n": 8}, "S": {"n": 2000}, "M": {"n": 5000}}
OUTPUTS = ("x",)


def inputs(rng, n):
    L = rng.random((n, n)) / n
    L[range(n), range(n)] += 1.0
    return {"L": L, "x": rng.random(n), "b": rng.random(n)}


def trisolv(L, x, b):
    for i in range(x.shape[0]):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]


def looped(L, x, b):
    for i in range(x.shape[0]):
        s = b[i]
        for j in range(i):
            s -= L[i, j] * x[j]
        x[i] = s / L[i, i]


def jax_idiomatic(L, x, b):
    from jax.scipy.linalg import solve_triangular

    return solve_triangular(L, b, lower=True)


def jax_transliterated(L, x, b):
    import jax.numpy as jnp
    from jax import lax

    at = jnp.arange(x.shape[0])

    def row(i, x):
        return x.at[i].set((b[i] - jnp.where(at < i, L[i], 0.0) @ x) / L[i, i])

    return lax.fori_loop(0, x.shape[0], row, x)
