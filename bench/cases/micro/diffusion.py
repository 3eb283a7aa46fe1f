"""Diffusion on a torus, element by element; remainders find the neighbours."""

SIZES = {
    "check": {"n": 6, "steps": 5},
    "S": {"n": 128, "steps": 100},
    "M": {"n": 512, "steps": 100},
}
OUTPUTS = ("result",)


def inputs(rng, n, steps):
    return {"u": rng.random((n, n)), "rate": 0.1, "steps": steps}


def diffusion(u, rate, steps):
    n, m = u.shape
    u, v = u.copy(), u.copy()
    for _ in range(steps):
        for i in range(n):
            for j in range(m):
                near = u[(i - 1) % n, j] + u[(i + 1) % n, j]
                near += u[i, (j - 1) % m] + u[i, (j + 1) % m]
                v[i, j] = u[i, j] + rate * (near - 4.0 * u[i, j])
        u, v = v, u
    return u


def jax_idiomatic(u, rate, steps):
    import jax.numpy as jnp
    from jax import lax

    def step(_, u):
        near = sum(jnp.roll(u, shift, axis) for axis in (0, 1) for shift in (1, -1))
        return u + rate * (near - 4.0 * u)

    return lax.fori_loop(0, steps, step, u)
