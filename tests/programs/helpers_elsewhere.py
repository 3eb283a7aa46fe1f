"""Helpers that the programs import from another module."""

import numpy as np
from numba import njit

GAIN = 0.75


def smooth(x, width=2.0):
    return np.tanh(x / width) * GAIN


def normalise(v, *, eps=1e-3):
    """Writes to its argument."""
    total = eps
    for i in range(v.shape[0]):
        total += v[i] * v[i]
    v /= np.sqrt(total)


@njit
def compiled_norm(v):
    total = 0.0
    for i in range(v.shape[0]):
        total += v[i] ** 2
    return np.sqrt(total)
