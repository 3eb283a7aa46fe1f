"""Vertical advection of a weather model: a tridiagonal system in each column (Thomas)."""

import numpy as np

SIZES = {
    "check": {"ni": 4, "nj": 3, "nk": 7},
    "S": {"ni": 60, "nj": 60, "nk": 40},
    "M": {"ni": 112, "nj": 112, "nk": 80},
}
OUTPUTS = ("utens_stage",)

#: how implicit the scheme is
BELOW = ABOVE = 0.5


def inputs(rng, ni, nj, nk):
    names = ("utens_stage", "u_stage", "u_pos", "utens")
    fields = {name: rng.random((ni, nj, nk)) for name in names}
    return {
        "utens_stage": fields["utens_stage"],
        "u_stage": fields["u_stage"],
        # so that the diagonal dominates: else some pivot is near 0, and 9 digits of 16 are lost
        "wcon": 0.25 * rng.random((ni + 1, nj, nk)),
        "u_pos": fields["u_pos"],
        "utens": fields["utens"],
        "dtr_stage": 3.0 / 20.0,
    }


def vadv(utens_stage, u_stage, wcon, u_pos, utens, dtr_stage):
    ni, nj, nk = utens_stage.shape
    ccol = np.ndarray((ni, nj, nk), dtype=utens_stage.dtype)
    dcol = np.ndarray((ni, nj, nk), dtype=utens_stage.dtype)

    gcv = 0.25 * (wcon[1:, :, 1] + wcon[:-1, :, 1])
    ccol[:, :, 0] = gcv * ABOVE
    bcol = dtr_stage - ccol[:, :, 0]
    correction = -gcv * BELOW * (u_stage[:, :, 1] - u_stage[:, :, 0])
    dcol[:, :, 0] = dtr_stage * u_pos[:, :, 0] + utens[:, :, 0] + utens_stage[:, :, 0] + correction
    divided = 1.0 / bcol
    ccol[:, :, 0] = ccol[:, :, 0] * divided
    dcol[:, :, 0] = dcol[:, :, 0] * divided

    for k in range(1, nk - 1):
        gav = -0.25 * (wcon[1:, :, k] + wcon[:-1, :, k])
        gcv = 0.25 * (wcon[1:, :, k + 1] + wcon[:-1, :, k + 1])
        acol = gav * ABOVE
        ccol[:, :, k] = gcv * ABOVE
        bcol = dtr_stage - acol - ccol[:, :, k]
        correction = -gav * BELOW * (u_stage[:, :, k - 1] - u_stage[:, :, k]) - gcv * BELOW * (
            u_stage[:, :, k + 1] - u_stage[:, :, k]
        )
        dcol[:, :, k] = (
            dtr_stage * u_pos[:, :, k] + utens[:, :, k] + utens_stage[:, :, k] + correction
        )
        divided = 1.0 / (bcol - ccol[:, :, k - 1] * acol)
        ccol[:, :, k] = ccol[:, :, k] * divided
        dcol[:, :, k] = (dcol[:, :, k] - dcol[:, :, k - 1] * acol) * divided

    k = nk - 1
    gav = -0.25 * (wcon[1:, :, k] + wcon[:-1, :, k])
    acol = gav * ABOVE
    bcol = dtr_stage - acol
    correction = -gav * BELOW * (u_stage[:, :, k - 1] - u_stage[:, :, k])
    dcol[:, :, k] = dtr_stage * u_pos[:, :, k] + utens[:, :, k] + utens_stage[:, :, k] + correction
    divided = 1.0 / (bcol - ccol[:, :, k - 1] * acol)
    dcol[:, :, k] = (dcol[:, :, k] - dcol[:, :, k - 1] * acol) * divided

    data = dcol[:, :, nk - 1].copy()
    utens_stage[:, :, nk - 1] = dtr_stage * (data - u_pos[:, :, nk - 1])
    for k in range(nk - 2, -1, -1):
        data[:] = dcol[:, :, k] - ccol[:, :, k] * data
        utens_stage[:, :, k] = dtr_stage * (data - u_pos[:, :, k])


def looped(utens_stage, u_stage, wcon, u_pos, utens, dtr_stage):
    ni, nj, nk = utens_stage.shape
    c, d = np.empty(nk), np.empty(nk)
    for i in range(ni):
        for j in range(nj):
            for k in range(nk):
                a = above = 0.0
                d[k] = dtr_stage * u_pos[i, j, k] + utens[i, j, k] + utens_stage[i, j, k]
                if k > 0:
                    a = -0.125 * (wcon[i + 1, j, k] + wcon[i, j, k])
                    d[k] -= a * (u_stage[i, j, k - 1] - u_stage[i, j, k])
                if k < nk - 1:
                    above = 0.125 * (wcon[i + 1, j, k + 1] + wcon[i, j, k + 1])
                    d[k] -= above * (u_stage[i, j, k + 1] - u_stage[i, j, k])
                b = dtr_stage - a - above
                if k > 0:
                    b -= c[k - 1] * a
                    d[k] -= d[k - 1] * a
                c[k] = above / b
                d[k] /= b
            x = d[nk - 1]
            utens_stage[i, j, nk - 1] = dtr_stage * (x - u_pos[i, j, nk - 1])
            for k in range(nk - 2, -1, -1):
                x = d[k] - c[k] * x
                utens_stage[i, j, k] = dtr_stage * (x - u_pos[i, j, k])


def jax_idiomatic(utens_stage, u_stage, wcon, u_pos, utens, dtr_stage):
    """Whole columns at once; the levels by scans."""
    import jax.numpy as jnp
    from jax import lax

    half = 0.125 * (wcon[1:] + wcon[:-1])
    zero = jnp.zeros_like(half[:, :, :1])
    a = jnp.concatenate((zero, -half[:, :, 1:]), axis=2)
    c = jnp.concatenate((half[:, :, 1:], zero), axis=2)
    step = jnp.diff(u_stage, axis=2)
    d = dtr_stage * u_pos + utens + utens_stage
    d = d.at[:, :, 1:].add(a[:, :, 1:] * step).at[:, :, :-1].add(-c[:, :, :-1] * step)
    b = dtr_stage - a - c

    def down(carry, level):
        c0, d0 = carry
        a, b, c, d = level
        scale = 1.0 / (b - c0 * a)
        out = c * scale, (d - d0 * a) * scale
        return out, out

    def up(x, level):
        c, d = level
        x = d - c * x
        return x, x

    levels = tuple(jnp.moveaxis(v, 2, 0) for v in (a, b, c, d))
    start = jnp.zeros_like(a[:, :, 0]), jnp.zeros_like(a[:, :, 0])
    solved = lax.scan(down, start, levels)[1]
    x = lax.scan(up, start[0], solved, reverse=True)[1]
    return dtr_stage * (jnp.moveaxis(x, 0, 2) - u_pos)
