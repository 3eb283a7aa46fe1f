"""Softmax regression: the mean cross-entropy of labels, with respect to weights and biases."""

import numpy as np

SIZES = {
    "check": {"n": 9, "d": 4, "k": 3},
    "S": {"n": 2000, "d": 100, "k": 10},
    "M": {"n": 20_000, "d": 300, "k": 50},
}
OUTPUTS = ()
QUANTITY = "value_and_grad"
WRT = ("W", "b")


def inputs(rng, n, d, k):
    return {
        "W": 0.1 * rng.standard_normal((d, k)),
        "b": rng.standard_normal(k),
        "X": rng.standard_normal((n, d)),
        "labels": rng.integers(0, k, n),
    }


def cross_entropy(W, b, X, labels):
    scores = X @ W + b
    scores = scores - np.max(scores, axis=1, keepdims=True)
    total = np.log(np.sum(np.exp(scores), axis=1))
    n = labels.shape[0]
    return np.mean(total - scores[np.arange(n), labels])


def looped(W, b, X, labels):
    scores = X @ W
    n, k = scores.shape
    loss = 0.0
    for i in range(n):
        top = -np.inf
        for j in range(k):
            scores[i, j] += b[j]
            top = max(top, scores[i, j])
        total = 0.0
        for j in range(k):
            total += np.exp(scores[i, j] - top)
        loss += top + np.log(total) - scores[i, labels[i]]
    return loss / n


def jax_idiomatic(W, b, X, labels):
    import jax
    import jax.numpy as jnp

    logs = jax.nn.log_softmax(X @ W + b, axis=1)
    return -jnp.mean(jnp.take_along_axis(logs, labels[:, None], axis=1))


def torch_idiomatic(W, b, X, labels):
    import torch

    return torch.nn.functional.cross_entropy(X @ W + b, torch.as_tensor(labels))
