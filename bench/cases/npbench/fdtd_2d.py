"""Maxwell's equations in two dimensions, finite differences in the time domain, in place."""

SIZES = {
    "check": {"steps": 6, "nx": 7, "ny": 8},
    "S": {"steps": 20, "nx": 200, "ny": 220},
    "M": {"steps": 60, "nx": 400, "ny": 450},
}
OUTPUTS = ("ex", "ey", "hz")


def inputs(rng, steps, nx, ny):
    ex, ey, hz = rng.random((3, nx, ny))
    return {"steps": steps, "ex": ex, "ey": ey, "hz": hz, "pulse": rng.random(steps)}


def fdtd_2d(steps, ex, ey, hz, pulse):
    for t in range(steps):
        ey[0, :] = pulse[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])


def looped(steps, ex, ey, hz, pulse):
    nx, ny = hz.shape
    for t in range(steps):
        for j in range(ny):
            ey[0, j] = pulse[t]
        for i in range(1, nx):
            for j in range(ny):
                ey[i, j] -= 0.5 * (hz[i, j] - hz[i - 1, j])
        for i in range(nx):
            for j in range(1, ny):
                ex[i, j] -= 0.5 * (hz[i, j] - hz[i, j - 1])
        for i in range(nx - 1):
            for j in range(ny - 1):
                hz[i, j] -= 0.7 * (ex[i, j + 1] - ex[i, j] + ey[i + 1, j] - ey[i, j])


def jax_transliterated(steps, ex, ey, hz, pulse):
    from jax import lax

    def step(t, carry):
        ex, ey, hz = carry
        ey = ey.at[0].set(pulse[t])
        ey = ey.at[1:].add(-0.5 * (hz[1:] - hz[:-1]))
        ex = ex.at[:, 1:].add(-0.5 * (hz[:, 1:] - hz[:, :-1]))
        curl = ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1]
        return ex, ey, hz.at[:-1, :-1].add(-0.7 * curl)

    return lax.fori_loop(0, steps, step, (ex, ey, hz))
