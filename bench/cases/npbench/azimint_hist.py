"""Azimuthal integration by histograms: the mean of the data in each ring."""

import numpy as np

SIZES = {
    "check": {"n": 40, "bins": 5},
    "S": {"n": 400_000, "bins": 1000},
    "M": {"n": 4_000_000, "bins": 1000},
}
OUTPUTS = ("mean",)
#: the radii only choose the bins
WRT = ("data",)


def inputs(rng, n, bins):
    """The outermost radius is one, so that no point lies on an edge but for rounding."""
    radius = rng.random(n)
    radius[rng.integers(n)] = 1.0
    return {"data": rng.random(n), "radius": radius, "bins": bins}


def azimint_hist(data, radius, bins):
    count = np.histogram(radius, bins)[0]
    total = np.histogram(radius, bins, weights=data)[0]
    return total / count


def looped(data, radius, bins):
    low, high = radius.min(), radius.max()
    width = (high - low) / bins
    total, count = np.zeros(bins), np.zeros(bins)
    for k in range(data.shape[0]):
        i = min(int((radius[k] - low) / (high - low) * bins), bins - 1)
        if radius[k] < low + i * width:
            i -= 1
        elif i < bins - 1 and radius[k] >= low + (i + 1) * width:
            i += 1
        total[i] += data[k]
        count[i] += 1.0
    for i in range(bins):
        total[i] /= count[i]
    return total


def jax_idiomatic(data, radius, bins):
    import jax.numpy as jnp

    count = jnp.histogram(radius, bins)[0]
    return jnp.histogram(radius, bins, weights=data)[0] / count
