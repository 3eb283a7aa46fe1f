"""trace(A @ B): the product need not be formed."""

import numpy as np

SIZES = {"check": {"n": 6, "m": 5}, "S": {"n": 500, "m": 600}, "M": {"n": 2000, "m": 2500}}
OUTPUTS = ()


def inputs(rng, n, m):
    return {"A": rng.random((n, m)), "B": rng.random((m, n))}


def trace_product(A, B):
    return np.trace(A @ B)


def looped(A, B):
    total = 0.0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            total += A[i, j] * B[j, i]
    return total


def jax_idiomatic(A, B):
    import jax.numpy as jnp

    return jnp.trace(A @ B)


def torch_idiomatic(A, B):
    import torch

    return torch.trace(A @ B)
