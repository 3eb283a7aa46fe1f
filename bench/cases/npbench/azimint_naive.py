"""Azimuthal integration: the mean of the data in each ring, ring by ring."""

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


def azimint_naive(data, radius, bins):
    outermost = radius.max()
    mean = np.zeros(bins)
    for i in range(bins):
        inner = outermost * i / bins
        outer = outermost * (i + 1) / bins
        ring = np.logical_and(inner <= radius, radius < outer)
        mean[i] = data[ring].mean()
    return mean


def looped(data, radius, bins):
    outermost = radius.max()
    total, count = np.zeros(bins), np.zeros(bins)
    for k in range(data.shape[0]):
        i = min(int(radius[k] / outermost * bins), bins - 1)
        if radius[k] < outermost * i / bins:
            i -= 1
        elif radius[k] >= outermost * (i + 1) / bins:
            i += 1
        if i < bins:
            total[i] += data[k]
            count[i] += 1.0
    for i in range(bins):
        total[i] /= count[i]
    return total


def jax_transliterated(data, radius, bins):
    import jax.numpy as jnp
    from jax import lax

    outermost = radius.max()

    def ring(i):
        inside = (outermost * i / bins <= radius) & (radius < outermost * (i + 1) / bins)
        return jnp.sum(jnp.where(inside, data, 0.0)) / jnp.sum(inside)

    return lax.map(ring, jnp.arange(bins))


def jax_idiomatic(data, radius, bins):
    import jax.numpy as jnp

    edges = radius.max() * jnp.arange(bins + 1) / bins
    at = jnp.searchsorted(edges, radius, side="right") - 1
    total = jnp.zeros(bins + 1).at[at].add(data)[:bins]
    return total / jnp.zeros(bins + 1).at[at].add(1.0)[:bins]
