"""Elementwise primitives, by their partial derivatives: `f(*operands, result)`.

At kinks: abs'(0) = 0; maximum and minimum share equally between ties (as JAX does).
The formulas are in Abramowitz & Stegun, chapters 4 and 7.
"""

import math
from collections.abc import Callable

from s2s_ad.ops import (
    Lit,
    Value,
    apply,
    copysign,
    cos,
    cosh,
    exp,
    floor,
    log,
    number,
    select,
    sign,
    sin,
    sinh,
    sqrt,
    trunc,
)
from s2s_ad.rule import jvp, linear, partials

LOG2, LOG10, TWO_OVER_SQRT_PI = math.log(2.0), math.log(10.0), 2.0 / math.sqrt(math.pi)

linear("neg", 0)
linear("copy", 0)
partials("abs", lambda x, y: sign(x))
partials("cbrt", lambda x, y: 1.0 / (3.0 * y**2))
partials("exp", lambda x, y: y)
partials("exp2", lambda x, y: LOG2 * y)
partials("expm1", lambda x, y: exp(x))
partials("log", lambda x, y: 1.0 / x)
partials("log1p", lambda x, y: 1.0 / (1.0 + x))
partials("log2", lambda x, y: 1.0 / (LOG2 * x))
partials("log10", lambda x, y: 1.0 / (LOG10 * x))
partials("sin", lambda x, y: cos(x))
partials("cos", lambda x, y: -sin(x))
partials("tan", lambda x, y: 1.0 + y**2)
partials("arcsin", lambda x, y: 1.0 / sqrt(1.0 - x**2))
partials("arccos", lambda x, y: -1.0 / sqrt(1.0 - x**2))
partials("arctan", lambda x, y: 1.0 / (1.0 + x**2))
partials("sinh", lambda x, y: cosh(x))
partials("cosh", lambda x, y: sinh(x))
partials("tanh", lambda x, y: 1.0 - y**2)
partials("arcsinh", lambda x, y: 1.0 / sqrt(x**2 + 1.0))
partials("arccosh", lambda x, y: 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)))
partials("arctanh", lambda x, y: 1.0 / (1.0 - x**2))
partials("erf", lambda x, y: TWO_OVER_SQRT_PI * exp(-(x**2)))
partials("erfc", lambda x, y: -TWO_OVER_SQRT_PI * exp(-(x**2)))


@jvp("sqrt")
def _sqrt(context, eqn, tangents):
    """dy = dx / 2y. At x = 0 that is infinite, and a distance that is zero is mostly masked
    afterwards: `pole` has the transpose give zero, not nan, where the cotangent is zero."""
    return apply("div", 0.5 * tangents[0], context.value(eqn.out), pole=True)


partials("mul", lambda x, y, z: y, lambda x, y, z: x)
partials("arctan2", lambda y, x, z: x / (x**2 + y**2), lambda y, x, z: -y / (x**2 + y**2))
partials("hypot", lambda x, y, z: x / z, lambda x, y, z: y / z)
partials("mod", lambda x, y, z: 1.0, lambda x, y, z: -floor(x / y))
partials("fmod", lambda x, y, z: 1.0, lambda x, y, z: -trunc(x / y))
partials("copysign", lambda x, y, z: copysign(1.0, x) * copysign(1.0, y), None)


def _share(more: bool, second: bool = False) -> Callable[[Value, Value, Value], Value]:
    """The derivative by an operand that is taken where it is `more` than the other, or less."""

    def partial(x: Value, y: Value, z: Value) -> Value:
        x, y = (y, x) if second else (x, y)
        return select(x > y if more else x < y, 1.0, select(x.equals(y), 0.5, _number(0.0, x)))

    return partial


def _rest(more: bool) -> Callable[[Value, Value, Value], Value]:
    """The derivative by Python's first operand, which is taken where the other is not `more`."""

    def partial(x: Value, y: Value, z: Value) -> Value:
        return select(y > x if more else y < x, 0.0, select(x.equals(y), 0.5, _number(1.0, x)))

    return partial


def _number(value: float, like: Value) -> Value:
    return Value(like.b, number(value, like.type.dtype))


for _prim, _more in (("maximum", True), ("minimum", False)):
    partials(_prim, _share(_more), _share(_more, second=True))
    partials(_prim, _rest(_more), _share(_more, second=True), first=True)


def _pow_base(x: Value, n: Value, z: Value) -> Value | float:
    """n x^(n-1), and 0 for n = 0 even at x = 0."""
    if isinstance(n.atom, Lit):
        value = n.atom.value
        if value in (0, 1):
            return float(value)
        return float(value) * (x if value == 2 else x ** (value - 1))
    factor = n if n.type.dtype == x.type.dtype else apply("convert", n, dtype=x.type.dtype)
    return select(n.equals(0), 0.0 * x, factor * x ** (n - 1))


def _pow_exponent(x: Value, n: Value, z: Value) -> Value:
    """z log x, and 0 at x = 0 (where z is 0 for n > 0), as JAX has it."""
    return z * log(select(x.equals(0.0), 1.0, x))


partials("pow", _pow_base, _pow_exponent)


@jvp("div")
def _div(context, eqn, tangents):
    """(dx - z dy) / y."""
    y, z = context.value(eqn.ins[1]), context.value(eqn.out)
    dx, dy = tangents
    if dy is None:
        return dx / y
    if dx is None:
        return -(dy * (z / y))
    return (dx - dy * z) / y
