"""A chain of twenty elementwise operations on two arrays."""

import numpy as np

SIZES = {"check": {"n": 20}, "S": {"n": 1_000_000}, "M": {"n": 10_000_000}}
OUTPUTS = ("result",)


def inputs(rng, n):
    x, y = rng.random((2, n))
    return {"x": x, "y": y}


def chain(x, y):
    a = x * y + 1.5
    b = np.tanh(a) - x / (y + 2.0)
    c = np.exp(-0.5 * b * b) + a
    d = np.sqrt(c * c + 1.0) - np.cos(b)
    e = np.log(d + 2.0) * (x - y)
    return np.sin(e) / (1.0 + e * e)


def looped(x, y):
    out = np.empty_like(x)
    for i in range(x.shape[0]):
        a = x[i] * y[i] + 1.5
        b = np.tanh(a) - x[i] / (y[i] + 2.0)
        c = np.exp(-0.5 * b * b) + a
        d = np.sqrt(c * c + 1.0) - np.cos(b)
        e = np.log(d + 2.0) * (x[i] - y[i])
        out[i] = np.sin(e) / (1.0 + e * e)
    return out


def jax_idiomatic(x, y):
    import jax.numpy as jnp

    a = x * y + 1.5
    b = jnp.tanh(a) - x / (y + 2.0)
    c = jnp.exp(-0.5 * b * b) + a
    d = jnp.sqrt(c * c + 1.0) - jnp.cos(b)
    e = jnp.log(d + 2.0) * (x - y)
    return jnp.sin(e) / (1.0 + e * e)
