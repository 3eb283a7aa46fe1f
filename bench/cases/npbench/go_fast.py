"""The trace of tanh added to every element."""

import numpy as np

SIZES = {"check": {"n": 7}, "S": {"n": 2000}, "M": {"n": 6000}}
OUTPUTS = ("y",)


def inputs(rng, n):
    return {"a": rng.random((n, n))}


def go_fast(a):
    trace = 0.0
    for i in range(a.shape[0]):
        trace += np.tanh(a[i, i])
    return a + trace


def looped(a):
    trace = 0.0
    for i in range(a.shape[0]):
        trace += np.tanh(a[i, i])
    y = np.empty_like(a)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            y[i, j] = a[i, j] + trace
    return y


def jax_idiomatic(a):
    import jax.numpy as jnp

    return a + jnp.sum(jnp.tanh(jnp.diag(a)))


def jax_transliterated(a):
    import jax.numpy as jnp
    from jax import lax

    return a + lax.fori_loop(0, a.shape[0], lambda i, s: s + jnp.tanh(a[i, i]), 0.0)
