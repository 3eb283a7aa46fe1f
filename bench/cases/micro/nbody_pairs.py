"""Gravitation of all pairs, leapfrog, element by element: what one writes for numba."""

import numpy as np

SIZES = {
    "check": {"n": 4, "steps": 6},
    "S": {"n": 40, "steps": 100},
    "M": {"n": 100, "steps": 200},
}
OUTPUTS = ()


def inputs(rng, n, steps):
    return {
        "pos": rng.standard_normal((n, 3)),
        "vel": 0.1 * rng.standard_normal((n, 3)),
        "mass": (0.5 + rng.random(n)) / n,
        "dt": 1e-2,
        "steps": steps,
    }


def pull(acc, pos, mass):
    n = mass.shape[0]
    for i in range(n):
        for c in range(3):
            acc[i, c] = 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                x = pos[j, 0] - pos[i, 0]
                y = pos[j, 1] - pos[i, 1]
                z = pos[j, 2] - pos[i, 2]
                square = x * x + y * y + z * z + 1e-2
                strength = mass[j] / (square * np.sqrt(square))
                acc[i, 0] += strength * x
                acc[i, 1] += strength * y
                acc[i, 2] += strength * z


def nbody_pairs(pos, vel, mass, dt, steps):
    n = mass.shape[0]
    acc = np.zeros((n, 3))
    pull(acc, pos, mass)
    for _ in range(steps):
        for i in range(n):
            for c in range(3):
                vel[i, c] += 0.5 * dt * acc[i, c]
                pos[i, c] += dt * vel[i, c]
        pull(acc, pos, mass)
        for i in range(n):
            for c in range(3):
                vel[i, c] += 0.5 * dt * acc[i, c]
    energy = 0.0
    for i in range(n):
        for c in range(3):
            energy += 0.5 * mass[i] * vel[i, c] ** 2
    return energy


def jax_idiomatic(pos, vel, mass, dt, steps):
    import jax.numpy as jnp
    from jax import lax

    def pull(pos):
        d = pos[None] - pos[:, None]
        square = jnp.sum(d * d, axis=-1) + 1e-2
        return jnp.einsum("ijc,ij,j->ic", d, square**-1.5, mass)

    def step(_, state):
        pos, vel, acc = state
        vel = vel + 0.5 * dt * acc
        pos = pos + dt * vel
        acc = pull(pos)
        return pos, vel + 0.5 * dt * acc, acc

    pos, vel, _ = lax.fori_loop(0, steps, step, (pos, vel, pull(pos)))
    return 0.5 * jnp.sum(mass[:, None] * vel**2)
