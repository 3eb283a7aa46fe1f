"""sum((X @ w − y)²), and its gradient by two products."""

import numpy as np

SIZES = {"check": {"n": 9, "d": 4}, "S": {"n": 10_000, "d": 100}, "M": {"n": 50_000, "d": 500}}
OUTPUTS = ()
QUANTITY = "value_and_grad"
WRT = ("w",)


def inputs(rng, n, d):
    return {"w": rng.random(d), "X": rng.random((n, d)), "y": rng.random(n)}


def least_squares(w, X, y):
    return np.sum((X @ w - y) ** 2)


def by_hand(w, X, y):
    off = X @ w - y
    return off @ off, (2.0 * (X.T @ off),)


def jax_idiomatic(w, X, y):
    import jax.numpy as jnp

    return jnp.sum((X @ w - y) ** 2)


def torch_idiomatic(w, X, y):
    return ((X @ w - y) ** 2).sum()
