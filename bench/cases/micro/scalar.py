"""A formula of scalars: what a call costs."""

import math

SIZES = {"check": {}, "S": {}, "M": {}}
OUTPUTS = ()


def inputs(rng):
    return {"x": 0.7, "y": 1.3, "z": -0.4}


def scalar(x, y, z):
    return math.sin(x) * y + math.exp(z) / (1.0 + x * x)


def jax_idiomatic(x, y, z):
    import jax.numpy as jnp

    return jnp.sin(x) * y + jnp.exp(z) / (1.0 + x * x)
