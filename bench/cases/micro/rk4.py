"""The van der Pol oscillator by Runge–Kutta, in scalars."""

SIZES = {"check": {"steps": 30}, "S": {"steps": 100_000}, "M": {"steps": 1_000_000}}
OUTPUTS = ()


def inputs(rng, steps):
    dt = 0.03 if steps < 1000 else 1e-3
    return {"x": 1.5, "v": -0.3, "mu": 0.8, "dt": dt, "steps": steps}


def rk4(x, v, mu, dt, steps):
    for _ in range(steps):
        k1x = v
        k1v = mu * (1.0 - x * x) * v - x
        x2 = x + 0.5 * dt * k1x
        v2 = v + 0.5 * dt * k1v
        k2x = v2
        k2v = mu * (1.0 - x2 * x2) * v2 - x2
        x3 = x + 0.5 * dt * k2x
        v3 = v + 0.5 * dt * k2v
        k3x = v3
        k3v = mu * (1.0 - x3 * x3) * v3 - x3
        x4 = x + dt * k3x
        v4 = v + dt * k3v
        k4x = v4
        k4v = mu * (1.0 - x4 * x4) * v4 - x4
        x = x + dt / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        v = v + dt / 6.0 * (k1v + 2.0 * k2v + 2.0 * k3v + k4v)
    return x * x + 0.5 * v


def jax_transliterated(x, v, mu, dt, steps):
    from jax import lax

    def slope(x, v):
        return v, mu * (1.0 - x * x) * v - x

    def step(_, state):
        x, v = state
        k1x, k1v = slope(x, v)
        k2x, k2v = slope(x + 0.5 * dt * k1x, v + 0.5 * dt * k1v)
        k3x, k3v = slope(x + 0.5 * dt * k2x, v + 0.5 * dt * k2v)
        k4x, k4v = slope(x + dt * k3x, v + dt * k3v)
        x = x + dt / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        return x, v + dt / 6.0 * (k1v + 2.0 * k2v + 2.0 * k3v + k4v)

    x, v = lax.fori_loop(0, steps, step, (x, v))
    return x * x + 0.5 * v
