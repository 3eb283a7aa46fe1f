"""Covariance of the columns by the library."""

import numpy as np

SIZES = {"check": {"m": 6, "n": 9}, "S": {"m": 500, "n": 600}, "M": {"m": 1400, "n": 1800}}
OUTPUTS = ("cov",)


def inputs(rng, m, n):
    return {"data": rng.random((n, m))}


def covariance2(data):
    return np.cov(np.transpose(data))


def jax_idiomatic(data):
    import jax.numpy as jnp

    return jnp.cov(data.T)
