"""Lorenz's system from many initial states, one after the other: RK4, in numbers."""

import numpy as np

SIZES = {
    "check": {"states": 5, "steps": 7},
    "S": {"states": 1000, "steps": 100},
    "M": {"states": 10_000, "steps": 200},
}
OUTPUTS = ("final",)
H = 0.005


def inputs(rng, states, steps):
    return {
        "initial": rng.standard_normal((states, 3)) + 1.0,
        "sigma": 10.0,
        "rho": 28.0,
        "beta": 8.0 / 3.0,
        "steps": steps,
    }


def slope(x, y, z, sigma, rho, beta):
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


def ensemble(initial, sigma, rho, beta, steps):
    states = initial.shape[0]
    final = np.empty((states, 3))
    for i in range(states):
        x, y, z = initial[i, 0], initial[i, 1], initial[i, 2]
        for _ in range(steps):
            ax, ay, az = slope(x, y, z, sigma, rho, beta)
            u, v, w = x + 0.5 * H * ax, y + 0.5 * H * ay, z + 0.5 * H * az
            bx, by, bz = slope(u, v, w, sigma, rho, beta)
            u, v, w = x + 0.5 * H * bx, y + 0.5 * H * by, z + 0.5 * H * bz
            cx, cy, cz = slope(u, v, w, sigma, rho, beta)
            u, v, w = x + H * cx, y + H * cy, z + H * cz
            dx, dy, dz = slope(u, v, w, sigma, rho, beta)
            x += H / 6.0 * (ax + 2.0 * (bx + cx) + dx)
            y += H / 6.0 * (ay + 2.0 * (by + cy) + dy)
            z += H / 6.0 * (az + 2.0 * (bz + cz) + dz)
        final[i, 0], final[i, 1], final[i, 2] = x, y, z
    return final


def _step(state, sigma, rho, beta):
    def f(state):
        return slope(*state, sigma, rho, beta)

    def moved(by, along):
        return tuple(a + by * b for a, b in zip(state, along))

    a = f(state)
    b = f(moved(0.5 * H, a))
    c = f(moved(0.5 * H, b))
    d = f(moved(H, c))
    return tuple(s + H / 6.0 * (p + 2.0 * (q + r) + t) for s, p, q, r, t in zip(state, a, b, c, d))


def jax_idiomatic(initial, sigma, rho, beta, steps):
    """All states at once."""
    import jax.numpy as jnp
    from jax import lax

    def step(state, _):
        return _step(state, sigma, rho, beta), None

    final, _ = lax.scan(step, tuple(initial.T), None, length=steps)
    return jnp.stack(final, axis=1)


def jax_transliterated(initial, sigma, rho, beta, steps):
    """State after state."""
    import jax.numpy as jnp
    from jax import lax

    def trajectory(_, start):
        def step(state, _):
            return _step(state, sigma, rho, beta), None

        final, _ = lax.scan(step, tuple(start), None, length=steps)
        return None, jnp.stack(final)

    return lax.scan(trajectory, None, initial)[1]
