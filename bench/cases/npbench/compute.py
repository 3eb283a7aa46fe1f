"""Two arrays combined, one of them clipped. (NPBench has it for integers.)"""

import numpy as np

SIZES = {"check": {"m": 5, "n": 7}, "S": {"m": 2000, "n": 2000}, "M": {"m": 5000, "n": 5000}}
OUTPUTS = ("y",)


def inputs(rng, m, n):
    return {
        "array_1": rng.uniform(0.0, 12.0, (m, n)),
        "array_2": rng.uniform(0.0, 12.0, (m, n)),
        "a": 4.0,
        "b": 3.0,
        "c": 9.0,
    }


def compute(array_1, array_2, a, b, c):
    return np.clip(array_1, 2, 10) * a + array_2 * b + c


def looped(array_1, array_2, a, b, c):
    y = np.empty_like(array_1)
    for i in range(array_1.shape[0]):
        for j in range(array_1.shape[1]):
            y[i, j] = min(max(array_1[i, j], 2.0), 10.0) * a + array_2[i, j] * b + c
    return y


def jax_idiomatic(array_1, array_2, a, b, c):
    import jax.numpy as jnp

    return jnp.clip(array_1, 2, 10) * a + array_2 * b + c
