"""Rules for factorisations, inverses and linear systems."""

from s2s_ad.ops import Value, apply, extents
from s2s_ad.rule import jvp, transpose


@jvp("inv")
def _inv(context, eqn, tangents):
    """dX = -X dA X for X = A⁻¹."""
    x = context.value(eqn.out)
    return -apply("dot", apply("dot", x, tangents[0]), x)


@jvp("cholesky")
def _cholesky(context, eqn, tangents):
    """dL = L Φ(L⁻¹ dA L⁻ᵀ), where Φ takes the lower triangle and half of the diagonal. Only the
    lower triangle of A counts, so dA is that of the symmetric matrix made of it."""
    factor, tangent = context.value(eqn.out), tangents[0]
    half = _lower(factor, 0.5)
    part = tangent * half
    left = _solved(factor, part + _flip(part))
    return apply("dot", factor, _flip(_solved(factor, _flip(left))) * half)


@jvp("solve")
def _solve(context, eqn, tangents):
    """dx = A⁻¹ (db - dA x), and A⁻ᵀ (db - dAᵀ x) for what is transposed."""
    factor, x = context.value(eqn.ins[0]), context.value(eqn.out)
    da, db = tangents
    turned = eqn.params["transposed"]
    right = db
    if da is not None:
        part = da * _lower(factor, 1.0) if eqn.params["lower"] else da
        moved = apply("dot", _flip(part) if turned else part, x)
        right = -moved if db is None else db - moved
    return apply("solve", factor, right, **eqn.params)


@transpose("solve")
def _solve_t(t, eqn, ct):
    a, b = eqn.ins
    params = {**eqn.params, "transposed": not eqn.params["transposed"]}
    t.add(b, apply("solve", t.value(a), ct, **params))


def _solved(factor, right):
    return apply("solve", factor, right, lower=True, transposed=False)


def _lower(x, diagonal):
    """A matrix of the shape of `x`: one below the diagonal, and `diagonal` on it."""
    b = x.b
    at = Value(b, b.emit("iota", extents(x)[0]))
    row, column = apply("expand", at, axes=(1,)), apply("expand", at, axes=(0,))
    below, on = (
        apply("convert", v, dtype=x.type.dtype) for v in (row > column, row.equals(column))
    )
    return below + on * diagonal


def _flip(x):
    return apply("transpose", x, perm=(1, 0))
