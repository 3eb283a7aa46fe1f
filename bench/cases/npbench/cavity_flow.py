"""Flow in a cavity with a moving lid: Navier–Stokes in two dimensions, pressure by relaxation."""

import numpy as np

SIZES = {
    "check": {"ny": 7, "nx": 8, "steps": 6, "sweeps": 3},
    "S": {"ny": 61, "nx": 61, "steps": 25, "sweeps": 5},
    "M": {"ny": 121, "nx": 121, "steps": 50, "sweeps": 10},
}
OUTPUTS = ("u", "v", "p")


def inputs(rng, ny, nx, steps, sweeps):
    u, v, p = 0.1 * rng.random((3, ny, nx))
    return {
        "nx": nx,
        "ny": ny,
        "steps": steps,
        "sweeps": sweeps,
        "u": u,
        "v": v,
        "p": p,
        "dt": 0.1 / ((nx - 1) * (ny - 1)),
        "dx": 2.0 / (nx - 1),
        "dy": 2.0 / (ny - 1),
        "rho": 1.0,
        "nu": 0.1,
    }


def source_term(b, rho, dt, u, v, dx, dy):
    ux = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx)
    uy = (u[2:, 1:-1] - u[:-2, 1:-1]) / (2 * dy)
    vx = (v[1:-1, 2:] - v[1:-1, :-2]) / (2 * dx)
    vy = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dy)
    b[1:-1, 1:-1] = rho * (1 / dt * (ux + vy) - ux**2 - 2 * (uy * vx) - vy**2)


def relax_pressure(sweeps, p, dx, dy, b):
    for _ in range(sweeps):
        old = p.copy()
        p[1:-1, 1:-1] = (
            (old[1:-1, 2:] + old[1:-1, :-2]) * dy**2 + (old[2:, 1:-1] + old[:-2, 1:-1]) * dx**2
        ) / (2 * (dx**2 + dy**2)) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, 1:-1]
        p[:, -1] = p[:, -2]
        p[0, :] = p[1, :]
        p[:, 0] = p[:, 1]
        p[-1, :] = 0


def cavity_flow(nx, ny, steps, sweeps, u, v, dt, dx, dy, p, rho, nu):
    b = np.zeros((ny, nx))
    for _ in range(steps):
        un = u.copy()
        vn = v.copy()
        source_term(b, rho, dt, u, v, dx, dy)
        relax_pressure(sweeps, p, dx, dy, b)
        u[1:-1, 1:-1] = (
            un[1:-1, 1:-1]
            - un[1:-1, 1:-1] * dt / dx * (un[1:-1, 1:-1] - un[1:-1, :-2])
            - vn[1:-1, 1:-1] * dt / dy * (un[1:-1, 1:-1] - un[:-2, 1:-1])
            - dt / (2 * rho * dx) * (p[1:-1, 2:] - p[1:-1, :-2])
            + nu
            * (
                dt / dx**2 * (un[1:-1, 2:] - 2 * un[1:-1, 1:-1] + un[1:-1, :-2])
                + dt / dy**2 * (un[2:, 1:-1] - 2 * un[1:-1, 1:-1] + un[:-2, 1:-1])
            )
        )
        v[1:-1, 1:-1] = (
            vn[1:-1, 1:-1]
            - un[1:-1, 1:-1] * dt / dx * (vn[1:-1, 1:-1] - vn[1:-1, :-2])
            - vn[1:-1, 1:-1] * dt / dy * (vn[1:-1, 1:-1] - vn[:-2, 1:-1])
            - dt / (2 * rho * dy) * (p[2:, 1:-1] - p[:-2, 1:-1])
            + nu
            * (
                dt / dx**2 * (vn[1:-1, 2:] - 2 * vn[1:-1, 1:-1] + vn[1:-1, :-2])
                + dt / dy**2 * (vn[2:, 1:-1] - 2 * vn[1:-1, 1:-1] + vn[:-2, 1:-1])
            )
        )
        u[0, :] = 0
        u[:, 0] = 0
        u[:, -1] = 0
        u[-1, :] = 1
        v[0, :] = 0
        v[-1, :] = 0
        v[:, 0] = 0
        v[:, -1] = 0


def looped(nx, ny, steps, sweeps, u, v, dt, dx, dy, p, rho, nu):
    b, un, vn, old = np.zeros((ny, nx)), np.empty((ny, nx)), np.empty((ny, nx)), np.empty((ny, nx))
    across = 2 * (dx**2 + dy**2)
    for _ in range(steps):
        for i in range(ny):
            for j in range(nx):
                un[i, j], vn[i, j] = u[i, j], v[i, j]
        for i in range(1, ny - 1):
            for j in range(1, nx - 1):
                ux, uy = (
                    (u[i, j + 1] - u[i, j - 1]) / (2 * dx),
                    (u[i + 1, j] - u[i - 1, j]) / (2 * dy),
                )
                vx, vy = (
                    (v[i, j + 1] - v[i, j - 1]) / (2 * dx),
                    (v[i + 1, j] - v[i - 1, j]) / (2 * dy),
                )
                b[i, j] = rho * ((ux + vy) / dt - ux * ux - 2 * uy * vx - vy * vy)
        for _ in range(sweeps):
            for i in range(ny):
                for j in range(nx):
                    old[i, j] = p[i, j]
            for i in range(1, ny - 1):
                for j in range(1, nx - 1):
                    side = (old[i, j + 1] + old[i, j - 1]) * dy**2
                    side += (old[i + 1, j] + old[i - 1, j]) * dx**2
                    p[i, j] = (side - dx**2 * dy**2 * b[i, j]) / across
            for i in range(ny):
                p[i, nx - 1] = p[i, nx - 2]
            for j in range(nx):
                p[0, j] = p[1, j]
            for i in range(ny):
                p[i, 0] = p[i, 1]
            for j in range(nx):
                p[ny - 1, j] = 0.0
        for i in range(1, ny - 1):
            for j in range(1, nx - 1):
                a, c = un[i, j] * dt / dx, vn[i, j] * dt / dy
                x, y = nu * dt / dx**2, nu * dt / dy**2
                u[i, j] = (
                    un[i, j]
                    - a * (un[i, j] - un[i, j - 1])
                    - c * (un[i, j] - un[i - 1, j])
                    - dt / (2 * rho * dx) * (p[i, j + 1] - p[i, j - 1])
                    + x * (un[i, j + 1] - 2 * un[i, j] + un[i, j - 1])
                    + y * (un[i + 1, j] - 2 * un[i, j] + un[i - 1, j])
                )
                v[i, j] = (
                    vn[i, j]
                    - a * (vn[i, j] - vn[i, j - 1])
                    - c * (vn[i, j] - vn[i - 1, j])
                    - dt / (2 * rho * dy) * (p[i + 1, j] - p[i - 1, j])
                    + x * (vn[i, j + 1] - 2 * vn[i, j] + vn[i, j - 1])
                    + y * (vn[i + 1, j] - 2 * vn[i, j] + vn[i - 1, j])
                )
        for j in range(nx):
            u[0, j], v[0, j], v[ny - 1, j] = 0.0, 0.0, 0.0
        for i in range(ny):
            u[i, 0], u[i, nx - 1], v[i, 0], v[i, nx - 1] = 0.0, 0.0, 0.0, 0.0
        for j in range(nx):
            u[ny - 1, j] = 1.0


def jax_transliterated(nx, ny, steps, sweeps, u, v, dt, dx, dy, p, rho, nu):
    from jax import lax

    def advected(w, un, vn):
        c = w[1:-1, 1:-1]
        return (
            c
            - un[1:-1, 1:-1] * dt / dx * (c - w[1:-1, :-2])
            - vn[1:-1, 1:-1] * dt / dy * (c - w[:-2, 1:-1])
            + nu * dt / dx**2 * (w[1:-1, 2:] - 2 * c + w[1:-1, :-2])
            + nu * dt / dy**2 * (w[2:, 1:-1] - 2 * c + w[:-2, 1:-1])
        )

    def step(_, carry):
        u, v, p = carry
        ux, uy = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx), (u[2:, 1:-1] - u[:-2, 1:-1]) / (2 * dy)
        vx, vy = (v[1:-1, 2:] - v[1:-1, :-2]) / (2 * dx), (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dy)
        b = rho * (1 / dt * (ux + vy) - ux**2 - 2 * (uy * vx) - vy**2)

        def sweep(_, p):
            side = (p[1:-1, 2:] + p[1:-1, :-2]) * dy**2 + (p[2:, 1:-1] + p[:-2, 1:-1]) * dx**2
            p = p.at[1:-1, 1:-1].set((side - dx**2 * dy**2 * b) / (2 * (dx**2 + dy**2)))
            p = p.at[:, -1].set(p[:, -2])
            p = p.at[0].set(p[1])
            return p.at[:, 0].set(p[:, 1]).at[-1].set(0.0)

        p = lax.fori_loop(0, sweeps, sweep, p)
        px, py = p[1:-1, 2:] - p[1:-1, :-2], p[2:, 1:-1] - p[:-2, 1:-1]
        new_u = u.at[1:-1, 1:-1].set(advected(u, u, v) - dt / (2 * rho * dx) * px)
        new_v = v.at[1:-1, 1:-1].set(advected(v, u, v) - dt / (2 * rho * dy) * py)
        new_u = new_u.at[0].set(0.0).at[:, 0].set(0.0).at[:, -1].set(0.0).at[-1].set(1.0)
        new_v = new_v.at[0].set(0.0).at[-1].set(0.0).at[:, 0].set(0.0).at[:, -1].set(0.0)
        return new_u, new_v, p

    return lax.fori_loop(0, steps, step, (u, v, p))
