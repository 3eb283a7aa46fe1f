"""log Σ exp, shifted by the maximum."""

import numpy as np

SIZES = {"check": {"n": 20}, "S": {"n": 80_000}, "M": {"n": 2_000_000}}
OUTPUTS = ()
QUANTITY = "value_and_grad"


def inputs(rng, n):
    return {"x": rng.standard_normal(n)}


def logsumexp(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def looped(x):
    top = x[0]
    for i in range(x.shape[0]):
        top = max(top, x[i])
    total = 0.0
    for i in range(x.shape[0]):
        total += np.exp(x[i] - top)
    return top + np.log(total)


def jax_transliterated(x):
    import jax.numpy as jnp

    top = jnp.max(x)
    return top + jnp.log(jnp.sum(jnp.exp(x - top)))


def jax_idiomatic(x):
    from jax.scipy.special import logsumexp

    return logsumexp(x)


def torch_idiomatic(x):
    import torch

    return torch.logsumexp(x, 0)
