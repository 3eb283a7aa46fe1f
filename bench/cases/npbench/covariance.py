"""Covariance of the columns, one row of the matrix at a time; the data are centred in place."""

import numpy as np

SIZES = {"check": {"m": 6, "n": 9}, "S": {"m": 500, "n": 600}, "M": {"m": 1400, "n": 1800}}
OUTPUTS = ("cov",)


def inputs(rng, m, n):
    return {"M": m, "float_n": float(n), "data": rng.random((n, m))}


def covariance(M, float_n, data):
    data -= np.mean(data, axis=0)
    cov = np.zeros((M, M), dtype=data.dtype)
    for i in range(M):
        cov[i:M, i] = cov[i, i:M] = data[:, i] @ data[:, i:M] / (float_n - 1.0)
    return cov


def looped(M, float_n, data):
    n = data.shape[0]
    mean = np.zeros(M)
    for k in range(n):
        for j in range(M):
            mean[j] += data[k, j] / n
    for k in range(n):
        for j in range(M):
            data[k, j] -= mean[j]
    return data.T @ data / (float_n - 1.0)


def jax_idiomatic(M, float_n, data):
    data = data - data.mean(axis=0)
    return data.T @ data / (float_n - 1.0)


def jax_transliterated(M, float_n, data):
    import jax.numpy as jnp
    from jax import lax

    data = data - data.mean(axis=0)
    at = jnp.arange(M)

    def row(i, cov):
        part = data[:, i] @ data / (float_n - 1.0)
        cov = cov.at[:, i].set(jnp.where(at >= i, part, cov[:, i]))
        return cov.at[i].set(jnp.where(at >= i, part, cov[i]))

    return lax.fori_loop(0, M, row, jnp.zeros((M, M)))
