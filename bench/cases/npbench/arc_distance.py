"""Great-circle distance of pairs of points on the unit sphere (haversines)."""

import numpy as np

SIZES = {"check": {"n": 9}, "S": {"n": 100_000}, "M": {"n": 1_000_000}}
OUTPUTS = ("distance",)


def inputs(rng, n):
    return {name: rng.random(n) for name in ("theta1", "phi1", "theta2", "phi2")}


def arc_distance(theta1, phi1, theta2, phi2):
    square = (
        np.sin((theta2 - theta1) / 2) ** 2
        + np.cos(theta1) * np.cos(theta2) * np.sin((phi2 - phi1) / 2) ** 2
    )
    return 2 * np.arctan2(np.sqrt(square), np.sqrt(1 - square))


def looped(theta1, phi1, theta2, phi2):
    distance = np.empty_like(theta1)
    for i in range(theta1.shape[0]):
        a, b = np.sin((theta2[i] - theta1[i]) / 2), np.sin((phi2[i] - phi1[i]) / 2)
        square = a * a + np.cos(theta1[i]) * np.cos(theta2[i]) * b * b
        distance[i] = 2 * np.arctan2(np.sqrt(square), np.sqrt(1 - square))
    return distance


def jax_idiomatic(theta1, phi1, theta2, phi2):
    import jax.numpy as jnp

    square = (
        jnp.sin((theta2 - theta1) / 2) ** 2
        + jnp.cos(theta1) * jnp.cos(theta2) * jnp.sin((phi2 - phi1) / 2) ** 2
    )
    return 2 * jnp.arctan2(jnp.sqrt(square), jnp.sqrt(1 - square))
