"""Diffusion in two dimensions by alternating directions: tridiagonal systems, row by row."""

import numpy as np

SIZES = {
    "check": {"steps": 5, "n": 8},
    "S": {"steps": 5, "n": 100},
    "M": {"steps": 20, "n": 200},
}
OUTPUTS = ("u",)


def inputs(rng, steps, n):
    return {"steps": steps, "n": n, "u": rng.random((n, n))}


def adi(steps, n, u):
    v, p, q = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    h, dt = 1.0 / n, 1.0 / steps
    a, d = -dt / (h * h), -0.5 * dt / (h * h)
    b, e = 1.0 - 2.0 * a, 1.0 - 2.0 * d
    for _ in range(steps):
        v[0, 1:-1] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = v[0, 1:-1]
        for j in range(1, n - 1):
            p[1:-1, j] = -a / (a * p[1:-1, j - 1] + b)
            q[1:-1, j] = (
                -d * u[j, :-2] + (1.0 + 2.0 * d) * u[j, 1:-1] - d * u[j, 2:] - a * q[1:-1, j - 1]
            ) / (a * p[1:-1, j - 1] + b)
        v[n - 1, 1:-1] = 1.0
        for j in range(n - 2, 0, -1):
            v[j, 1:-1] = p[1:-1, j] * v[j + 1, 1:-1] + q[1:-1, j]
        u[1:-1, 0] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = u[1:-1, 0]
        for j in range(1, n - 1):
            p[1:-1, j] = -d / (d * p[1:-1, j - 1] + e)
            q[1:-1, j] = (
                -a * v[:-2, j] + (1.0 + 2.0 * a) * v[1:-1, j] - a * v[2:, j] - d * q[1:-1, j - 1]
            ) / (d * p[1:-1, j - 1] + e)
        u[1:-1, n - 1] = 1.0
        for j in range(n - 2, 0, -1):
            u[1:-1, j] = p[1:-1, j] * u[1:-1, j + 1] + q[1:-1, j]
    return u


def looped(steps, n, u):
    v, p, q = np.empty((n, n)), np.empty(n), np.empty((n, n))
    h, dt = 1.0 / n, 1.0 / steps
    a, d = -dt / (h * h), -0.5 * dt / (h * h)
    b, e = 1.0 - 2.0 * a, 1.0 - 2.0 * d
    for _ in range(steps):
        p[0] = 0.0
        for i in range(1, n - 1):
            v[0, i], v[n - 1, i], q[0, i] = 1.0, 1.0, 1.0
        for j in range(1, n - 1):
            scale = 1.0 / (a * p[j - 1] + b)
            p[j] = -a * scale
            for i in range(1, n - 1):
                r = -d * u[j, i - 1] + (1.0 + 2.0 * d) * u[j, i] - d * u[j, i + 1]
                q[j, i] = (r - a * q[j - 1, i]) * scale
        for j in range(n - 2, 0, -1):
            for i in range(1, n - 1):
                v[j, i] = p[j] * v[j + 1, i] + q[j, i]
        for j in range(1, n - 1):
            p[j] = -d / (d * p[j - 1] + e)
        for i in range(1, n - 1):
            u[i, 0], u[i, n - 1], q[i, 0] = 1.0, 1.0, 1.0
            for j in range(1, n - 1):
                r = -a * v[i - 1, j] + (1.0 + 2.0 * a) * v[i, j] - a * v[i + 1, j]
                q[i, j] = (r - d * q[i, j - 1]) / (d * p[j - 1] + e)
            for j in range(n - 2, 0, -1):
                u[i, j] = p[j] * u[i, j + 1] + q[i, j]
    return u


def jax_transliterated(steps, n, u):
    import jax.numpy as jnp
    from jax import lax

    h, dt = 1.0 / n, 1.0 / steps
    a, d = -dt / (h * h), -0.5 * dt / (h * h)
    b, e = 1.0 - 2.0 * a, 1.0 - 2.0 * d

    def sweep(f, g, m, w, edge):
        """Systems with the off-diagonal f and the diagonal g, right-hand sides from `m` with w."""

        def down(j, carry):
            p, q = carry
            below = f * p[j - 1] + g
            r = -w * m[j, :-2] + (1.0 + 2.0 * w) * m[j, 1:-1] - w * m[j, 2:]
            return p.at[j].set(-f / below), q.at[j].set((r - f * q[j - 1]) / below)

        p, q = jnp.zeros((n, n - 2)), jnp.zeros((n, n - 2)).at[0].set(1.0)
        p, q = lax.fori_loop(1, n - 1, down, (p, q))

        def up(k, x):
            j = n - 1 - k
            return x.at[j, 1:-1].set(p[j] * x[j + 1, 1:-1] + q[j])

        edge = edge.at[0, 1:-1].set(1.0).at[n - 1, 1:-1].set(1.0)
        return lax.fori_loop(1, n - 1, up, edge)

    def step(_, u):
        v = sweep(a, b, u, d, jnp.zeros((n, n)))
        return sweep(d, e, v.T, a, u.T).T

    return lax.fori_loop(0, steps, step, u)
