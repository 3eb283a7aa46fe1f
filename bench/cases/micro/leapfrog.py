"""A chain of anharmonic oscillators, leapfrog: every update can be undone."""

SIZES = {
    "check": {"n": 6, "steps": 8},
    "S": {"n": 200, "steps": 2000},
    "M": {"n": 2000, "steps": 10_000},
}
OUTPUTS = ("q", "p")


def inputs(rng, n, steps):
    return {
        "q": 0.1 * rng.standard_normal(n),
        "p": 0.1 * rng.standard_normal(n),
        "stiffness": 1.0 + rng.random(n - 1),
        "dt": 1e-2,
        "steps": steps,
    }


def leapfrog(q, p, stiffness, dt, steps):
    for _ in range(steps):
        q += 0.5 * dt * p
        stretch = q[1:] - q[:-1]
        force = stiffness * stretch + 0.3 * stretch**3
        p[:-1] += dt * force
        p[1:] -= dt * force
        q += 0.5 * dt * p


def looped(q, p, stiffness, dt, steps):
    n = q.shape[0]
    for _ in range(steps):
        for i in range(n):
            q[i] += 0.5 * dt * p[i]
        for i in range(n - 1):
            stretch = q[i + 1] - q[i]
            force = stiffness[i] * stretch + 0.3 * stretch * stretch * stretch
            p[i] += dt * force
            p[i + 1] -= dt * force
        for i in range(n):
            q[i] += 0.5 * dt * p[i]


def jax_transliterated(q, p, stiffness, dt, steps):
    from jax import lax

    def step(_, state):
        q, p = state
        q = q + 0.5 * dt * p
        stretch = q[1:] - q[:-1]
        force = stiffness * stretch + 0.3 * stretch**3
        p = p.at[:-1].add(dt * force).at[1:].add(-dt * force)
        return q + 0.5 * dt * p, p

    return lax.fori_loop(0, steps, step, (q, p))
