"""Horizontal diffusion of a weather model: limited fourth-order fluxes."""

import numpy as np

SIZES = {
    "check": {"ni": 5, "nj": 6, "nk": 3},
    "S": {"ni": 64, "nj": 64, "nk": 60},
    "M": {"ni": 128, "nj": 128, "nk": 160},
}
OUTPUTS = ("out",)


def inputs(rng, ni, nj, nk):
    out, coeff = rng.random((2, ni, nj, nk))
    return {"field": rng.random((ni + 4, nj + 4, nk)), "out": out, "coeff": coeff}


def hdiff(field, out, coeff):
    ni, nj = out.shape[0], out.shape[1]
    lap = 4.0 * field[1 : ni + 3, 1 : nj + 3, :] - (
        field[2 : ni + 4, 1 : nj + 3, :]
        + field[0 : ni + 2, 1 : nj + 3, :]
        + field[1 : ni + 3, 2 : nj + 4, :]
        + field[1 : ni + 3, 0 : nj + 2, :]
    )
    flux = lap[1:, 1 : nj + 1, :] - lap[:-1, 1 : nj + 1, :]
    slope = field[2 : ni + 3, 2 : nj + 2, :] - field[1 : ni + 2, 2 : nj + 2, :]
    flux_i = np.where(flux * slope > 0, 0, flux)
    flux = lap[1 : ni + 1, 1:, :] - lap[1 : ni + 1, :-1, :]
    slope = field[2 : ni + 2, 2 : nj + 3, :] - field[2 : ni + 2, 1 : nj + 2, :]
    flux_j = np.where(flux * slope > 0, 0, flux)
    out[:, :, :] = field[2 : ni + 2, 2 : nj + 2, :] - coeff[:, :, :] * (
        flux_i[1:, :, :] - flux_i[:-1, :, :] + flux_j[:, 1:, :] - flux_j[:, :-1, :]
    )


def looped(field, out, coeff):
    ni, nj, nk = out.shape
    lap = np.empty((ni + 2, nj + 2, nk))
    for i in range(ni + 2):
        for j in range(nj + 2):
            for k in range(nk):
                around = field[i + 2, j + 1, k] + field[i, j + 1, k]
                around += field[i + 1, j + 2, k] + field[i + 1, j, k]
                lap[i, j, k] = 4.0 * field[i + 1, j + 1, k] - around
    for i in range(ni):
        for j in range(nj):
            for k in range(nk):
                here, at = field[i + 2, j + 2, k], lap[i + 1, j + 1, k]
                a = lap[i + 2, j + 1, k] - at
                b = at - lap[i, j + 1, k]
                c = lap[i + 1, j + 2, k] - at
                d = at - lap[i + 1, j, k]
                a = 0.0 if a * (field[i + 3, j + 2, k] - here) > 0 else a
                b = 0.0 if b * (here - field[i + 1, j + 2, k]) > 0 else b
                c = 0.0 if c * (field[i + 2, j + 3, k] - here) > 0 else c
                d = 0.0 if d * (here - field[i + 2, j + 1, k]) > 0 else d
                out[i, j, k] = here - coeff[i, j, k] * (a - b + c - d)


def jax_idiomatic(field, out, coeff):
    import jax.numpy as jnp

    inner = field[1:-1, 1:-1]
    lap = 4.0 * inner - (field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2])

    def limited(flux, slope):
        return jnp.where(flux * slope > 0, 0, flux)

    flux_i = limited(jnp.diff(lap[:, 1:-1], axis=0), jnp.diff(inner[:, 1:-1], axis=0))
    flux_j = limited(jnp.diff(lap[1:-1], axis=1), jnp.diff(inner[1:-1], axis=1))
    return inner[1:-1, 1:-1] - coeff * (jnp.diff(flux_i, axis=0) + jnp.diff(flux_j, axis=1))
