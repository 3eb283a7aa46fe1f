"""Gravitation of all pairs, leapfrog; kinetic and potential energy after every step."""

import numpy as np

SIZES = {
    "check": {"n": 5, "steps": 6, "dt": 0.05},
    "S": {"n": 25, "steps": 40, "dt": 0.05},
    # to half the time of S: a gradient grows exponentially with it (dt = 0.02: to 1e17)
    "M": {"n": 50, "steps": 250, "dt": 0.004},
}
OUTPUTS = ("kinetic", "potential", "pos", "vel")


def inputs(rng, n, steps, dt):
    return {
        "mass": 20.0 / n * (0.5 + rng.random((n, 1))),
        "pos": rng.random((n, 3)),
        "vel": rng.random((n, 3)),
        "steps": steps,
        "dt": dt,
        "G": 1.0,
        "softening": 0.1,
    }


def separations(pos):
    x, y, z = pos[:, 0:1], pos[:, 1:2], pos[:, 2:3]
    return x.T - x, y.T - y, z.T - z


def acceleration(pos, mass, G, softening):
    dx, dy, dz = separations(pos)
    cube = dx**2 + dy**2 + dz**2 + softening**2
    cube[cube > 0] = cube[cube > 0] ** (-1.5)
    return np.hstack((G * (dx * cube) @ mass, G * (dy * cube) @ mass, G * (dz * cube) @ mass))


def energies(pos, vel, mass, G):
    dx, dy, dz = separations(pos)
    distance = np.sqrt(dx**2 + dy**2 + dz**2)
    inverse = np.zeros_like(distance)
    inverse[distance > 0] = 1.0 / distance[distance > 0]
    return 0.5 * np.sum(mass * vel**2), G * np.sum(np.triu(-(mass * mass.T) * inverse, 1))


def nbody(mass, pos, vel, steps, dt, G, softening):
    vel -= np.mean(mass * vel, axis=0) / np.mean(mass)
    acc = acceleration(pos, mass, G, softening)
    kinetic, potential = np.empty(steps + 1), np.empty(steps + 1)
    kinetic[0], potential[0] = energies(pos, vel, mass, G)
    for i in range(steps):
        vel += acc * dt / 2.0
        pos += vel * dt
        acc = acceleration(pos, mass, G, softening)
        vel += acc * dt / 2.0
        kinetic[i + 1], potential[i + 1] = energies(pos, vel, mass, G)
    return kinetic, potential


def pull(acc, pos, mass, G, softening):
    n = mass.shape[0]
    acc[:] = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            x, y, z = pos[j, 0] - pos[i, 0], pos[j, 1] - pos[i, 1], pos[j, 2] - pos[i, 2]
            square = x * x + y * y + z * z + softening * softening
            f = G / (square * np.sqrt(square))
            a, b = f * mass[j, 0], f * mass[i, 0]
            acc[i, 0] += a * x
            acc[i, 1] += a * y
            acc[i, 2] += a * z
            acc[j, 0] -= b * x
            acc[j, 1] -= b * y
            acc[j, 2] -= b * z


def energy_at(k, kinetic, potential, pos, vel, mass, G):
    n, moving, bound = mass.shape[0], 0.0, 0.0
    for i in range(n):
        moving += mass[i, 0] * (vel[i, 0] ** 2 + vel[i, 1] ** 2 + vel[i, 2] ** 2)
        for j in range(i + 1, n):
            x, y, z = pos[j, 0] - pos[i, 0], pos[j, 1] - pos[i, 1], pos[j, 2] - pos[i, 2]
            bound -= mass[i, 0] * mass[j, 0] / np.sqrt(x * x + y * y + z * z)
    kinetic[k], potential[k] = 0.5 * moving, G * bound


def looped(mass, pos, vel, steps, dt, G, softening):
    n = mass.shape[0]
    for c in range(3):
        momentum = weight = 0.0
        for i in range(n):
            momentum += mass[i, 0] * vel[i, c]
            weight += mass[i, 0]
        for i in range(n):
            vel[i, c] -= momentum / weight
    acc = np.empty((n, 3))
    kinetic, potential = np.empty(steps + 1), np.empty(steps + 1)
    pull(acc, pos, mass, G, softening)
    energy_at(0, kinetic, potential, pos, vel, mass, G)
    for k in range(steps):
        for i in range(n):
            for c in range(3):
                vel[i, c] += acc[i, c] * dt / 2.0
                pos[i, c] += vel[i, c] * dt
        pull(acc, pos, mass, G, softening)
        for i in range(n):
            for c in range(3):
                vel[i, c] += acc[i, c] * dt / 2.0
        energy_at(k + 1, kinetic, potential, pos, vel, mass, G)
    return kinetic, potential


def jax_idiomatic(mass, pos, vel, steps, dt, G, softening):
    import jax.numpy as jnp
    from jax import lax

    upper = jnp.triu(jnp.ones((mass.shape[0],) * 2, bool), 1)

    def acceleration(pos):
        d = pos[None] - pos[:, None]
        cube = (jnp.sum(d * d, axis=-1) + softening**2) ** -1.5
        return G * jnp.einsum("ijc,ij,j->ic", d, cube, mass[:, 0])

    def energies(pos, vel):
        d = pos[None] - pos[:, None]
        square = jnp.where(upper, jnp.sum(d * d, axis=-1), 1.0)
        bound = jnp.where(upper, mass * mass.T / jnp.sqrt(square), 0.0)
        return 0.5 * jnp.sum(mass * vel**2), -G * jnp.sum(bound)

    def step(carry, _):
        pos, vel, acc = carry
        vel = vel + acc * dt / 2.0
        pos = pos + vel * dt
        acc = acceleration(pos)
        vel = vel + acc * dt / 2.0
        return (pos, vel, acc), energies(pos, vel)

    vel = vel - jnp.mean(mass * vel, axis=0) / jnp.mean(mass)
    first = energies(pos, vel)
    (pos, vel, _), later = lax.scan(step, (pos, vel, acceleration(pos)), None, steps)
    kinetic, potential = (jnp.concatenate((a[None], b)) for a, b in zip(first, later))
    return kinetic, potential, pos, vel
