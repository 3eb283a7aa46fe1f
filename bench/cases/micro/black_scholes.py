"""A call option by Monte Carlo: geometric Brownian paths, step by step."""

import numpy as np

SIZES = {
    "check": {"paths": 12, "steps": 6},
    "S": {"paths": 20_000, "steps": 50},
    "M": {"paths": 200_000, "steps": 100},
}
OUTPUTS = ()
WRT = ("spot", "rate", "volatility", "strike")


def inputs(rng, paths, steps):
    return {
        "spot": 100.0,
        "rate": 0.03,
        "volatility": 0.2,
        "strike": 101.0,
        "noise": rng.standard_normal((paths, steps)),
    }


def black_scholes(spot, rate, volatility, strike, noise):
    paths, steps = noise.shape
    dt = 1.0 / steps
    total = 0.0
    for i in range(paths):
        price = spot
        for j in range(steps):
            drift = (rate - 0.5 * volatility**2) * dt
            price *= np.exp(drift + volatility * np.sqrt(dt) * noise[i, j])
        total += max(price - strike, 0.0)
    return np.exp(-rate) * total / paths


def jax_idiomatic(spot, rate, volatility, strike, noise):
    import jax.numpy as jnp

    paths, steps = noise.shape
    drift = rate - 0.5 * volatility**2
    price = spot * jnp.exp(drift + volatility * jnp.sum(noise, axis=1) / jnp.sqrt(steps))
    return jnp.exp(-rate) * jnp.mean(jnp.maximum(price - strike, 0.0))


def jax_transliterated(spot, rate, volatility, strike, noise):
    import jax.numpy as jnp
    from jax import lax

    paths, steps = noise.shape
    dt = 1.0 / steps

    def step(j, price):
        drift = (rate - 0.5 * volatility**2) * dt
        return price * jnp.exp(drift + volatility * jnp.sqrt(dt) * noise[:, j])

    price = lax.fori_loop(0, steps, step, jnp.full(paths, spot))
    return jnp.exp(-rate) * jnp.mean(jnp.maximum(price - strike, 0.0))
