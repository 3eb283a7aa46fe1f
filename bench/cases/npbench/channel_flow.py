"""Flow in a periodic channel under a force, until it hardly accelerates any more (`while`)."""

import numpy as np

SIZES = {
    "check": {"ny": 7, "nx": 8, "sweeps": 3, "speed": 0.02, "nu": 5.0},
    "S": {"ny": 61, "nx": 61, "sweeps": 5, "speed": 1e-3, "nu": 0.1},
    "M": {"ny": 121, "nx": 121, "sweeps": 10, "speed": 1e-3, "nu": 0.1},
}
OUTPUTS = ("u", "v", "p")
#: what the function returns, the number of steps, is not among the outputs
RETURNS = ("count",)


def inputs(rng, ny, nx, sweeps, speed, nu):
    """The slower the start, the more steps are made."""
    u, v = speed * rng.random((2, ny, nx))
    u[0], u[-1], v[0], v[-1] = 0.0, 0.0, 0.0, 0.0
    return {
        "sweeps": sweeps,
        "u": u,
        "v": v,
        "dt": 0.1 / ((nx - 1) * (ny - 1)),
        "dx": 2.0 / (nx - 1),
        "dy": 2.0 / (ny - 1),
        "p": 1.0 + 1e-3 * rng.random((ny, nx)),
        "rho": 1.0,
        "nu": nu,
        "F": 1.0,
    }


def source_term(rho, dt, dx, dy, u, v):
    b = np.zeros_like(u)
    ux = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx)
    uy = (u[2:, 1:-1] - u[:-2, 1:-1]) / (2 * dy)
    vx = (v[1:-1, 2:] - v[1:-1, :-2]) / (2 * dx)
    vy = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dy)
    b[1:-1, 1:-1] = rho * (1 / dt * (ux + vy) - ux**2 - 2 * (uy * vx) - vy**2)
    # the right edge, whose right neighbour is the left edge
    ux = (u[1:-1, 0] - u[1:-1, -2]) / (2 * dx)
    uy = (u[2:, -1] - u[:-2, -1]) / (2 * dy)
    vx = (v[1:-1, 0] - v[1:-1, -2]) / (2 * dx)
    vy = (v[2:, -1] - v[:-2, -1]) / (2 * dy)
    b[1:-1, -1] = rho * (1 / dt * (ux + vy) - ux**2 - 2 * (uy * vx) - vy**2)
    # the left edge
    ux = (u[1:-1, 1] - u[1:-1, -1]) / (2 * dx)
    uy = (u[2:, 0] - u[:-2, 0]) / (2 * dy)
    vx = (v[1:-1, 1] - v[1:-1, -1]) / (2 * dx)
    vy = (v[2:, 0] - v[:-2, 0]) / (2 * dy)
    b[1:-1, 0] = rho * (1 / dt * (ux + vy) - ux**2 - 2 * (uy * vx) - vy**2)
    return b


def relax_pressure(sweeps, p, dx, dy, b):
    for _ in range(sweeps):
        old = p.copy()
        p[1:-1, 1:-1] = (
            (old[1:-1, 2:] + old[1:-1, :-2]) * dy**2 + (old[2:, 1:-1] + old[:-2, 1:-1]) * dx**2
        ) / (2 * (dx**2 + dy**2)) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, 1:-1]
        p[1:-1, -1] = (
            (old[1:-1, 0] + old[1:-1, -2]) * dy**2 + (old[2:, -1] + old[:-2, -1]) * dx**2
        ) / (2 * (dx**2 + dy**2)) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, -1]
        p[1:-1, 0] = (
            (old[1:-1, 1] + old[1:-1, -1]) * dy**2 + (old[2:, 0] + old[:-2, 0]) * dx**2
        ) / (2 * (dx**2 + dy**2)) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, 0]
        p[-1, :] = p[-2, :]
        p[0, :] = p[1, :]


def advance(w, un, vn, wn, dt, dx, dy, nu, right, left):
    """Advection and diffusion of one component; `right` and `left` are the neighbours' columns."""
    w[1:-1, 1:-1] = (
        wn[1:-1, 1:-1]
        - un[1:-1, 1:-1] * dt / dx * (wn[1:-1, 1:-1] - wn[1:-1, :-2])
        - vn[1:-1, 1:-1] * dt / dy * (wn[1:-1, 1:-1] - wn[:-2, 1:-1])
        + nu
        * (
            dt / dx**2 * (wn[1:-1, 2:] - 2 * wn[1:-1, 1:-1] + wn[1:-1, :-2])
            + dt / dy**2 * (wn[2:, 1:-1] - 2 * wn[1:-1, 1:-1] + wn[:-2, 1:-1])
        )
    )
    w[1:-1, -1] = (
        wn[1:-1, -1]
        - un[1:-1, -1] * dt / dx * (wn[1:-1, -1] - wn[1:-1, -2])
        - vn[1:-1, -1] * dt / dy * (wn[1:-1, -1] - wn[:-2, -1])
        + nu
        * (
            dt / dx**2 * (wn[1:-1, right] - 2 * wn[1:-1, -1] + wn[1:-1, -2])
            + dt / dy**2 * (wn[2:, -1] - 2 * wn[1:-1, -1] + wn[:-2, -1])
        )
    )
    w[1:-1, 0] = (
        wn[1:-1, 0]
        - un[1:-1, 0] * dt / dx * (wn[1:-1, 0] - wn[1:-1, left])
        - vn[1:-1, 0] * dt / dy * (wn[1:-1, 0] - wn[:-2, 0])
        + nu
        * (
            dt / dx**2 * (wn[1:-1, 1] - 2 * wn[1:-1, 0] + wn[1:-1, left])
            + dt / dy**2 * (wn[2:, 0] - 2 * wn[1:-1, 0] + wn[:-2, 0])
        )
    )


def channel_flow(sweeps, u, v, dt, dx, dy, p, rho, nu, F):
    change = 1.0
    count = 0
    while change > 0.001:
        un = u.copy()
        vn = v.copy()
        b = source_term(rho, dt, dx, dy, u, v)
        relax_pressure(sweeps, p, dx, dy, b)
        advance(u, un, vn, un, dt, dx, dy, nu, 0, -1)
        advance(v, un, vn, vn, dt, dx, dy, nu, 0, -1)
        across = dt / (2 * rho * dx)
        u[1:-1, 1:-1] += F * dt - across * (p[1:-1, 2:] - p[1:-1, :-2])
        u[1:-1, -1] += F * dt - across * (p[1:-1, 0] - p[1:-1, -2])
        u[1:-1, 0] += F * dt - across * (p[1:-1, 1] - p[1:-1, -1])
        v[1:-1, :] -= dt / (2 * rho * dy) * (p[2:, :] - p[:-2, :])
        u[0, :] = 0
        u[-1, :] = 0
        v[0, :] = 0
        v[-1, :] = 0
        change = (np.sum(u) - np.sum(un)) / np.sum(u)
        count += 1
    return count
