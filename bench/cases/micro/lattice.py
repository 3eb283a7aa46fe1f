"""A field with self-interaction on a periodic lattice, leapfrog; np.roll finds the neighbours."""

import numpy as np

SIZES = {
    "check": {"n": 5, "steps": 6},
    "S": {"n": 128, "steps": 200},
    "M": {"n": 512, "steps": 200},
}
OUTPUTS = ("phi", "momentum")


def inputs(rng, n, steps):
    return {
        "phi": rng.standard_normal((n, n)),
        "momentum": rng.standard_normal((n, n)),
        "mass": 0.3,
        "coupling": 0.2,
        "dt": 0.01,
        "steps": steps,
    }


def lattice(phi, momentum, mass, coupling, dt, steps):
    for _ in range(steps):
        phi += 0.5 * dt * momentum
        near = np.roll(phi, 1, axis=0) + np.roll(phi, -1, axis=0)
        near += np.roll(phi, 1, axis=1) + np.roll(phi, -1, axis=1)
        momentum += dt * (near - (4.0 + mass) * phi - coupling * phi**3)
        phi += 0.5 * dt * momentum


def looped(phi, momentum, mass, coupling, dt, steps):
    n = phi.shape[0]
    for _ in range(steps):
        for i in range(n):
            for j in range(n):
                phi[i, j] += 0.5 * dt * momentum[i, j]
        for i in range(n):
            below, above = (i - 1 if i > 0 else n - 1), (i + 1 if i + 1 < n else 0)
            for j in range(n):
                left, right = (j - 1 if j > 0 else n - 1), (j + 1 if j + 1 < n else 0)
                near = phi[below, j] + phi[above, j] + phi[i, left] + phi[i, right]
                here = phi[i, j]
                force = near - (4.0 + mass) * here - coupling * here * here * here
                momentum[i, j] += dt * force
        for i in range(n):
            for j in range(n):
                phi[i, j] += 0.5 * dt * momentum[i, j]


def jax_transliterated(phi, momentum, mass, coupling, dt, steps):
    import jax.numpy as jnp
    from jax import lax

    def step(_, state):
        phi, momentum = state
        phi = phi + 0.5 * dt * momentum
        near = sum(jnp.roll(phi, shift, axis) for axis in (0, 1) for shift in (1, -1))
        momentum = momentum + dt * (near - (4.0 + mass) * phi - coupling * phi**3)
        return phi + 0.5 * dt * momentum, momentum

    return lax.fori_loop(0, steps, step, (phi, momentum))
