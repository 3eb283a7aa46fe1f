"""Rank-two update and two products, all in place."""

import numpy as np

SIZES = {"check": {"n": 7}, "S": {"n": 1000}, "M": {"n": 3000}}
OUTPUTS = ("A", "w", "x")


def inputs(rng, n):
    names = ("u1", "v1", "u2", "v2", "w", "x", "y", "z")
    vectors = {name: rng.random(n) for name in names}
    return {"alpha": 1.5, "beta": 1.2, "A": rng.random((n, n)) / n, **vectors}


def gemver(alpha, beta, A, u1, v1, u2, v2, w, x, y, z):
    A += np.outer(u1, v1) + np.outer(u2, v2)
    x += beta * y @ A + z
    w += alpha * A @ x


def jax_idiomatic(alpha, beta, A, u1, v1, u2, v2, w, x, y, z):
    import jax.numpy as jnp

    A = A + jnp.outer(u1, v1) + jnp.outer(u2, v2)
    x = x + beta * y @ A + z
    return A, w + alpha * A @ x, x
