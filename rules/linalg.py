"""Rules for factorisations and inverses. Their tangents are products, so that nothing here needs a
transpose of its own."""

from s2s_ad.ops import Value, apply, extents
from s2s_ad.rule import jvp


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
    half = _half(factor)
    part = tangent * half
    inverse = apply("inv", factor)
    inner = apply("dot", apply("dot", inverse, part + _flip(part)), _flip(inverse))
    return apply("dot", factor, inner * half)


def _half(x):
    """A matrix of the shape of `x`: one below the diagonal, a half on it."""
    b = x.b
    at = Value(b, b.emit("iota", extents(x)[0]))
    row, column = apply("expand", at, axes=(1,)), apply("expand", at, axes=(0,))
    below, on = (
        apply("convert", v, dtype=x.type.dtype) for v in (row > column, row.equals(column))
    )
    return below + on * 0.5


def _flip(x):
    return apply("transpose", x, perm=(1, 0))
