"""Levinson–Durbin recursion for a Toeplitz system."""

import numpy as np

SIZES = {"check": {"n": 9}, "S": {"n": 1000}, "M": {"n": 6000}}
OUTPUTS = ("y",)


def inputs(rng, n):
    """The autocorrelation of a decaying process, so that the recursion is stable."""
    return {"r": 0.5 ** np.arange(1, n + 1) + 0.1 * rng.random(n) / np.arange(1, n + 1) ** 2}


def durbin(r):
    y = np.empty_like(r)
    alpha = -r[0]
    beta = 1.0
    y[0] = -r[0]
    for k in range(1, r.shape[0]):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y


def looped(r):
    n = r.shape[0]
    y, z = np.empty(n), np.empty(n)
    alpha, beta = -r[0], 1.0
    y[0] = alpha
    for k in range(1, n):
        beta *= 1.0 - alpha * alpha
        s = r[k]
        for i in range(k):
            s += r[k - i - 1] * y[i]
        alpha = -s / beta
        for i in range(k):
            z[i] = y[i] + alpha * y[k - i - 1]
        for i in range(k):
            y[i] = z[i]
        y[k] = alpha
    return y


def jax_transliterated(r):
    import jax.numpy as jnp
    from jax import lax

    n = r.shape[0]
    at = jnp.arange(n)

    def step(k, carry):
        y, alpha, beta = carry
        beta = beta * (1.0 - alpha * alpha)
        mirror = (k - 1 - at) % n
        known = at < k
        s = r[k] + jnp.sum(jnp.where(known, r[mirror] * y, 0.0))
        alpha = -s / beta
        y = y + jnp.where(known, alpha * y[mirror], 0.0)
        return y.at[k].set(alpha), alpha, beta

    start = jnp.zeros(n).at[0].set(-r[0]), -r[0], 1.0
    return lax.fori_loop(1, n, step, start)[0]
