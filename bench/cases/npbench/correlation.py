"""Correlation of the columns, one row of the matrix at a time; the data are scaled in place."""

import numpy as np

SIZES = {"check": {"m": 6, "n": 9}, "S": {"m": 500, "n": 600}, "M": {"m": 1400, "n": 1800}}
OUTPUTS = ("corr",)


def inputs(rng, m, n):
    """The first column hardly varies: its deviation is replaced by one."""
    data = rng.random((n, m))
    data[:, 0] *= 0.1
    return {"M": m, "float_n": float(n), "data": data}


def correlation(M, float_n, data):
    mean = np.mean(data, axis=0)
    deviation = np.std(data, axis=0)
    deviation[deviation <= 0.1] = 1.0
    data -= mean
    data /= np.sqrt(float_n) * deviation
    corr = np.eye(M, dtype=data.dtype)
    for i in range(M - 1):
        corr[i + 1 : M, i] = corr[i, i + 1 : M] = data[:, i] @ data[:, i + 1 : M]
    return corr


def looped(M, float_n, data):
    n = data.shape[0]
    mean, scale = np.zeros(M), np.zeros(M)
    for k in range(n):
        for j in range(M):
            mean[j] += data[k, j] / n
    for k in range(n):
        for j in range(M):
            data[k, j] -= mean[j]
            scale[j] += data[k, j] * data[k, j] / n
    for j in range(M):
        s = np.sqrt(scale[j])
        scale[j] = 1.0 / (np.sqrt(float_n) * (1.0 if s <= 0.1 else s))
    for k in range(n):
        for j in range(M):
            data[k, j] *= scale[j]
    corr = data.T @ data
    for j in range(M):
        corr[j, j] = 1.0
    return corr


def jax_idiomatic(M, float_n, data):
    import jax.numpy as jnp

    deviation = data.std(axis=0)
    deviation = jnp.where(deviation <= 0.1, 1.0, deviation)
    data = (data - data.mean(axis=0)) / (jnp.sqrt(float_n) * deviation)
    return jnp.where(jnp.eye(M, dtype=bool), 1.0, data.T @ data)


def jax_transliterated(M, float_n, data):
    import jax.numpy as jnp
    from jax import lax

    deviation = data.std(axis=0)
    deviation = jnp.where(deviation <= 0.1, 1.0, deviation)
    data = (data - data.mean(axis=0)) / (jnp.sqrt(float_n) * deviation)
    at = jnp.arange(M)

    def row(i, corr):
        part = data[:, i] @ data
        corr = corr.at[:, i].set(jnp.where(at > i, part, corr[:, i]))
        return corr.at[i].set(jnp.where(at > i, part, corr[i]))

    return lax.fori_loop(0, M - 1, row, jnp.eye(M))
