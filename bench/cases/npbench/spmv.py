"""Product of a sparse matrix (CSR) and a vector."""

import numpy as np

SIZES = {
    "check": {"n": 9, "nnz": 30},
    "S": {"n": 4096, "nnz": 8192},
    "M": {"n": 32768, "nnz": 65536},
}
OUTPUTS = ("y",)


def inputs(rng, n, nnz):
    rows = np.sort(rng.integers(0, n, nnz))
    start = np.searchsorted(rows, np.arange(n + 1))
    column = rng.integers(0, n, nnz)
    return {"start": start, "column": column, "value": rng.random(nnz), "x": rng.random(n)}


def spmv(start, column, value, x):
    y = np.empty(start.size - 1, value.dtype)
    for i in range(start.size - 1):
        columns = column[start[i] : start[i + 1]]
        values = value[start[i] : start[i + 1]]
        y[i] = values @ x[columns]
    return y


def looped(start, column, value, x):
    n = start.shape[0] - 1
    y = np.empty(n)
    for i in range(n):
        s = 0.0
        for k in range(start[i], start[i + 1]):
            s += value[k] * x[column[k]]
        y[i] = s
    return y


def jax_idiomatic(start, column, value, x):
    import jax
    import jax.numpy as jnp

    row = jnp.searchsorted(start, jnp.arange(value.shape[0]), side="right") - 1
    return jax.ops.segment_sum(value * x[column], row, start.shape[0] - 1)
