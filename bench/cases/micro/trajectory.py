"""Van der Pol by Runge-Kutta of fourth order, the state in an array, every state kept."""

import numpy as np

SIZES = {"check": {"steps": 9}, "S": {"steps": 100_000}, "M": {"steps": 1_000_000}}
OUTPUTS = ("ys",)


def inputs(rng, steps):
    return {"y0": np.array([2.0, 0.0]), "mu": 1.3, "dt": 1e-4, "steps": steps}


def slope(y, mu):
    return np.array([y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]])


def trajectory(y0, mu, dt, steps):
    ys = np.zeros((steps + 1, 2))
    ys[0] = y0
    for i in range(steps):
        y = ys[i]
        k1 = slope(y, mu)
        k2 = slope(y + 0.5 * dt * k1, mu)
        k3 = slope(y + 0.5 * dt * k2, mu)
        k4 = slope(y + dt * k3, mu)
        ys[i + 1] = y + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return ys


def looped(y0, mu, dt, steps):
    ys = np.zeros((steps + 1, 2))
    x, v = y0[0], y0[1]
    ys[0, 0], ys[0, 1] = x, v
    for i in range(steps):
        b1 = mu * (1.0 - x * x) * v - x
        x2, v2 = x + 0.5 * dt * v, v + 0.5 * dt * b1
        b2 = mu * (1.0 - x2 * x2) * v2 - x2
        x3, v3 = x + 0.5 * dt * v2, v + 0.5 * dt * b2
        b3 = mu * (1.0 - x3 * x3) * v3 - x3
        x4, v4 = x + dt * v3, v + dt * b3
        b4 = mu * (1.0 - x4 * x4) * v4 - x4
        x = x + dt / 6.0 * (v + 2.0 * v2 + 2.0 * v3 + v4)
        v = v + dt / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
        ys[i + 1, 0], ys[i + 1, 1] = x, v
    return ys


def jax_transliterated(y0, mu, dt, steps):
    import jax.numpy as jnp
    from jax import lax

    def slope(y):
        return jnp.stack((y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]))

    def step(i, ys):
        y = ys[i]
        k1 = slope(y)
        k2 = slope(y + 0.5 * dt * k1)
        k3 = slope(y + 0.5 * dt * k2)
        k4 = slope(y + dt * k3)
        return ys.at[i + 1].set(y + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4))

    return lax.fori_loop(0, steps, step, jnp.zeros((steps + 1, 2)).at[0].set(y0))


def jax_idiomatic(y0, mu, dt, steps):
    import jax.numpy as jnp
    from jax import lax

    def slope(y):
        return jnp.stack((y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]))

    def step(y, _):
        k1 = slope(y)
        k2 = slope(y + 0.5 * dt * k1)
        k3 = slope(y + 0.5 * dt * k2)
        k4 = slope(y + dt * k3)
        y = y + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        return y, y

    _, ys = lax.scan(step, y0, None, length=steps)
    return jnp.concatenate((y0[None], ys))
