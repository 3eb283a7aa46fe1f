"""The log-likelihood of a hidden Markov model: the scaled forward recursion."""

import numpy as np

SIZES = {
    "check": {"states": 3, "symbols": 4, "length": 8},
    "S": {"states": 20, "symbols": 30, "length": 2000},
    "M": {"states": 100, "symbols": 50, "length": 10_000},
}
OUTPUTS = ()


def inputs(rng, states, symbols, length):
    def distribution(*shape):
        p = 0.1 + rng.random(shape)
        return p / p.sum(axis=-1, keepdims=True)

    return {
        "start": distribution(states),
        "move": distribution(states, states),
        "emit": distribution(states, symbols),
        "seen": rng.integers(0, symbols, length),
    }


def hmm(start, move, emit, seen):
    alpha = start * emit[:, seen[0]]
    scale = np.sum(alpha)
    alpha = alpha / scale
    total = np.log(scale)
    for t in range(1, seen.shape[0]):
        alpha = (alpha @ move) * emit[:, seen[t]]
        scale = np.sum(alpha)
        alpha = alpha / scale
        total += np.log(scale)
    return total


def looped(start, move, emit, seen):
    n = start.shape[0]
    alpha, new = start.copy(), np.empty(n)
    total = 0.0
    for t in range(seen.shape[0]):
        if t > 0:
            for j in range(n):
                new[j] = 0.0
            for i in range(n):
                for j in range(n):
                    new[j] += alpha[i] * move[i, j]
            for j in range(n):
                alpha[j] = new[j]
        scale = 0.0
        for j in range(n):
            alpha[j] *= emit[j, seen[t]]
            scale += alpha[j]
        for j in range(n):
            alpha[j] /= scale
        total += np.log(scale)
    return total


def jax_transliterated(start, move, emit, seen):
    import jax.numpy as jnp
    from jax import lax

    def step(t, state):
        alpha, total = state
        alpha = (alpha @ move) * emit[:, seen[t]]
        scale = jnp.sum(alpha)
        return alpha / scale, total + jnp.log(scale)

    alpha = start * emit[:, seen[0]]
    scale = jnp.sum(alpha)
    return lax.fori_loop(1, seen.shape[0], step, (alpha / scale, jnp.log(scale)))[1]
