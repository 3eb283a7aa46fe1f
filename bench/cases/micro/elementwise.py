"""One reduction of an elementwise expression: sum(sin x · exp(−x²) + log(1 + x²))."""

import numpy as np

SIZES = {"check": {"n": 20}, "S": {"n": 1_000_000}, "M": {"n": 10_000_000}}
OUTPUTS = ()
QUANTITY = "value_and_grad"


def inputs(rng, n):
    return {"x": rng.standard_normal(n)}


def elementwise(x):
    return np.sum(np.sin(x) * np.exp(-(x**2)) + np.log(1.0 + x**2))


def looped(x):
    total = 0.0
    for i in range(x.shape[0]):
        square = x[i] * x[i]
        total += np.sin(x[i]) * np.exp(-square) + np.log(1.0 + square)
    return total


def jax_idiomatic(x):
    import jax.numpy as jnp

    return jnp.sum(jnp.sin(x) * jnp.exp(-(x**2)) + jnp.log(1.0 + x**2))


def torch_idiomatic(x):
    import torch

    return torch.sum(torch.sin(x) * torch.exp(-(x**2)) + torch.log(1.0 + x**2))
