"""A perceptron of three layers with a softmax."""

import numpy as np

SIZES = {
    "check": {"c": 3, "n": 4, "s0": 7, "s1": 6, "s2": 5},
    "S": {"c": 3, "n": 8, "s0": 30000, "s1": 2000, "s2": 2000},
    "M": {"c": 3, "n": 8, "s0": 30000, "s1": 10000, "s2": 10000},
}
OUTPUTS = ("y",)


def inputs(rng, c, n, s0, s1, s2):
    """Weights centred and scaled: units on and off, a softmax that is not saturated."""
    values = {"x": rng.standard_normal((n, c))}
    for layer, (a, b) in enumerate(((c, s0), (s0, s1), (s1, s2)), 1):
        values[f"w{layer}"] = rng.standard_normal((a, b)) / np.sqrt(a)
        values[f"b{layer}"] = 0.1 * rng.standard_normal(b)
    return values


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)


def mlp(x, w1, b1, w2, b2, w3, b3):
    x = relu(x @ w1 + b1)
    x = relu(x @ w2 + b2)
    return softmax(x @ w3 + b3)


def jax_idiomatic(x, w1, b1, w2, b2, w3, b3):
    import jax

    x = jax.nn.relu(x @ w1 + b1)
    x = jax.nn.relu(x @ w2 + b2)
    return jax.nn.softmax(x @ w3 + b3, axis=-1)
