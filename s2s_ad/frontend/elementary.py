"""Elementwise functions under their NumPy, math and builtin names."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import UnsupportedCallError, UnsupportedTypeError
from s2s_ad.frontend.memory import read
from s2s_ad.frontend.registry import FUNCTIONS, handles
from s2s_ad.frontend.values import describe, is_array, is_atom, is_number
from s2s_ad.ir.core import Lit
from s2s_ad.ir.types import Type

FLOAT_FUNCTIONS = (
    "sqrt cbrt exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arccosh arctanh"
).split()
SHORT = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}
SHORT |= {"arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"}


def strong(cx: Context, value: Any) -> Any:
    """A Python number as NumPy's functions see it: np.float64, np.int64."""
    if is_number(value):
        return ar.literal(cx, value, ar.WEAK[type(value)])
    return value


def _numpy_unary(prim: str, fn: Callable[[Any], Any], special: str = "") -> None:
    def handler(cx: Context, x: Any) -> Any:
        x = ar.as_array(cx, x)
        _no_bools(cx, fn, x)
        if is_number(x) or isinstance(x, Lit):
            found = fn(x.value if isinstance(x, Lit) else x)
            dtype, weak = ar.dtype_of(cx, x)
            return ar.literal(cx, found.item(), dtype if ar.KIND[dtype] >= 2 else "f64")
        return ar.unary_float(cx, prim, x)

    handles(*(() if special else (fn,)), special=special)(handler)


def _special(name: str) -> Callable[[Any], Any]:
    """A function of scipy.special, imported when it is called."""

    def fn(x: Any) -> Any:
        from scipy import special

        return getattr(special, name)(x)

    fn.__name__ = name
    return fn


def _no_bools(cx: Context, fn: Any, *values: Any) -> None:
    if all(ar.dtype_of(cx, v)[0] == "bool" for v in values):
        name = fn.__name__
        message = f"NumPy computes np.{name} of booleans in half precision"
        cx.fail(UnsupportedTypeError, message, "convert them with .astype(np.float64)")


def _math_unary(prim: str, fn: Callable[[Any], Any]) -> None:
    """math functions take and give Python floats."""

    def handler(cx: Context, x: Any) -> Any:
        if is_number(x):
            return _now(cx, fn, x)
        _only_number(cx, x, fn.__name__)
        return ar.elementwise(cx, prim, [x], "f64", weak=True)

    handles(fn)(handler)


def _now(cx: Context, fn: Callable[..., Any], *args: Any) -> Any:
    try:
        return fn(*args)
    except (ValueError, ArithmeticError, TypeError) as error:
        return cx.fail(UnsupportedTypeError, f"{fn.__name__}{args!r}: {error}")


def _only_number(cx: Context, x: Any, name: str) -> None:
    if is_array(x) or not (is_atom(x) or is_number(x)):
        cx.fail(
            UnsupportedTypeError,
            f"math.{name} takes a number, not {describe(x)}",
            f"use np.{name} for arrays",
        )


for _name in FLOAT_FUNCTIONS:
    _numpy_unary(_name, getattr(np, _name))
    _found = getattr(math, SHORT.get(_name, _name), None)
    if _found is not None:
        _math_unary(_name, _found)
for _name in ("erf", "erfc", "lgamma", "gamma"):
    _math_unary(_name, getattr(math, _name))
    _scipy = "gammaln" if _name == "lgamma" else _name
    _numpy_unary(_name, _special(_scipy), special=_scipy)


@handles(math.log)
def math_log(cx: Context, x: Any, base: Any = None) -> Any:
    if is_number(x) and (base is None or is_number(base)):
        return _now(cx, math.log, x, *(() if base is None else (base,)))
    _only_number(cx, x, "log")
    top = ar.elementwise(cx, "log", [x], "f64", weak=True)
    return top if base is None else ar.binary(cx, "div", top, math_log(cx, base))


# --- rounding, signs -----------------------------------------------------------------------------


def _rounding(prim: str, *functions: Any) -> None:
    """Integers stay as they are, except under np.rint and np.fix, which give floats."""

    def handler(cx: Context, x: Any) -> Any:
        x = strong(cx, ar.as_array(cx, x))
        if prim != "rint" and ar.KIND[ar.dtype_of(cx, x)[0]] < 2:
            return positive(cx, x)
        return ar.unary_float(cx, prim, x)

    handles(*functions)(handler)


_rounding("floor", np.floor)
_rounding("ceil", np.ceil)
_rounding("trunc", np.trunc, np.fix)
_rounding("rint", np.rint)


def round_to_integer(x: float) -> int:
    """`round(x)`, apart from `round(x, n)`."""
    return round(x)


def _to_integer(prim: str, fn: Callable[[Any], int]) -> None:
    """math.floor and its kin give Python ints."""

    def handler(cx: Context, x: Any) -> Any:
        if is_number(x):
            return _now(cx, fn, x)
        _only_number(cx, x, fn.__name__)
        if ar.KIND[x.type.dtype] < 2:
            return x
        ar.integral_check(cx, x)
        return ar.value_of(cx, cx.emit("convert", cx.emit(prim, x), dtype="i64"), True)

    handles(fn)(handler)


_to_integer("floor", math.floor)
_to_integer("ceil", math.ceil)
_to_integer("trunc", math.trunc)
_to_integer("rint", round_to_integer)


@handles(builtins.round)
def round_builtin(cx: Context, number: Any, ndigits: Any = None) -> Any:
    """Python rounds decimal digits of the number as it is written, NumPy those of its multiple."""
    if is_array(number) or ndigits is None:
        return FUNCTIONS[np.round if is_array(number) else round_to_integer](cx, number)
    if is_number(number) and is_number(ndigits):
        return _now(cx, round, number, ndigits)
    if is_atom(number) and not ar.dtype_of(cx, number)[1]:
        return FUNCTIONS[np.round](cx, number, ndigits)
    return cx.fail(
        UnsupportedTypeError,
        "round() of a Python float to digits is not supported",
        "use np.round, whose last digit may differ",
    )


@handles(np.fabs)
def fabs(cx: Context, x: Any) -> Any:
    return ar.unary_float(cx, "abs", strong(cx, ar.as_array(cx, x)))


@handles(builtins.abs, np.abs, method="__abs__")
def absolute(cx: Context, x: Any) -> Any:
    x = ar.as_array(cx, x)
    if is_number(x):
        return abs(x)
    dtype, weak = ar.dtype_of(cx, x)
    if dtype in ("c64", "c128"):
        cx.fail(UnsupportedTypeError, "the absolute value of a complex number is not supported")
    return ar.elementwise(cx, "abs", [x], "i64" if dtype == "bool" else dtype, weak=weak)


@handles(math.fabs)
def math_fabs(cx: Context, x: Any) -> Any:
    return float(abs(x)) if is_number(x) else ar.elementwise(cx, "abs", [x], "f64", weak=True)


@handles(np.sign)
def sign(cx: Context, x: Any) -> Any:
    x = strong(cx, ar.as_array(cx, x))
    dtype = ar.dtype_of(cx, x)[0]
    if dtype == "bool":
        cx.fail(UnsupportedTypeError, "np.sign of booleans", "use .astype")
    return ar.elementwise(cx, "sign", [x], dtype)


@handles(np.negative)
def negative(cx: Context, x: Any) -> Any:
    return ar.negate(cx, strong(cx, ar.as_array(cx, x)))


@handles(np.positive)
def positive(cx: Context, x: Any) -> Any:
    return cx.fresh(read(cx, x)) if is_array(x) else x


@handles(np.square)
def square(cx: Context, x: Any) -> Any:
    x = strong(cx, ar.as_array(cx, x))
    return ar.binary(cx, "mul", x, x)


@handles(np.reciprocal)
def reciprocal(cx: Context, x: Any) -> Any:
    x = strong(cx, ar.as_array(cx, x))
    if ar.KIND[ar.dtype_of(cx, x)[0]] < 2:
        cx.fail(UnsupportedTypeError, "np.reciprocal of integers rounds to 0", "use 1.0 / x")
    return ar.binary(cx, "div", 1.0, x)


@handles(np.deg2rad, np.radians)
def radians(cx: Context, x: Any) -> Any:
    return ar.binary(cx, "mul", strong(cx, x), math.pi / 180.0)


@handles(np.rad2deg, np.degrees)
def degrees(cx: Context, x: Any) -> Any:
    return ar.binary(cx, "mul", strong(cx, x), 180.0 / math.pi)


@handles(math.radians)
def math_radians(cx: Context, x: Any) -> Any:
    return ar.binary(cx, "mul", x, math.pi / 180.0)


@handles(math.degrees)
def math_degrees(cx: Context, x: Any) -> Any:
    return ar.binary(cx, "mul", x, 180.0 / math.pi)


# --- two operands --------------------------------------------------------------------------------


def _numpy_binary(prim: str, *functions: Any) -> None:
    def handler(cx: Context, a: Any, b: Any) -> Any:
        a, b = strong_pair(cx, ar.as_array(cx, a), ar.as_array(cx, b))
        if prim in ar.FLOAT_ONLY and prim != "div":
            _no_bools(cx, functions[0], a, b)
        if prim in ("maximum", "minimum"):
            dtype, _weak = ar.result_dtype(cx, (a, b))
            return ar.elementwise(cx, prim, (a, b), dtype)
        return ar.binary(cx, prim, a, b)

    handles(*functions)(handler)


def _numpy_bits(prim: str, fn: Any) -> None:
    def handler(cx: Context, a: Any, b: Any) -> Any:
        return ar.bitwise(cx, prim, *strong_pair(cx, ar.as_array(cx, a), ar.as_array(cx, b)))

    handles(fn)(handler)


def strong_pair(cx: Context, a: Any, b: Any) -> tuple[Any, Any]:
    """Two operands of a NumPy function; two Python numbers become NumPy numbers."""
    return (strong(cx, a), b) if is_number(a) and is_number(b) else (a, b)


_numpy_binary("add", np.add)
_numpy_binary("sub", np.subtract)
_numpy_binary("mul", np.multiply)
_numpy_binary("div", np.divide, np.true_divide)
_numpy_binary("floordiv", np.floor_divide)
_numpy_binary("mod", np.mod, np.remainder)
_numpy_binary("pow", np.power)
_numpy_binary("maximum", np.maximum)
_numpy_binary("minimum", np.minimum)
_numpy_binary("arctan2", np.arctan2)
_numpy_binary("hypot", np.hypot)
_numpy_binary("copysign", np.copysign)
for _prim, _fn in (
    ("eq", np.equal),
    ("ne", np.not_equal),
    ("lt", np.less),
    ("le", np.less_equal),
    ("gt", np.greater),
    ("ge", np.greater_equal),
):
    _numpy_binary(_prim, _fn)


@handles(np.float_power)
def float_power(cx: Context, a: Any, b: Any) -> Any:
    """The power in f64, whatever the operands are."""
    a, b = (cx.fresh(ar.convert(cx, ar.as_array(cx, v), "f64")) for v in (a, b))
    return ar.binary(cx, "pow", a, b)


def _math_binary(prim: str, fn: Callable[[Any, Any], float]) -> None:
    def handler(cx: Context, a: Any, b: Any) -> Any:
        if is_number(a) and is_number(b):
            return _now(cx, fn, a, b)
        _only_number(cx, a, fn.__name__)
        _only_number(cx, b, fn.__name__)
        return ar.elementwise(cx, prim, (a, b), "f64", weak=True)

    handles(fn)(handler)


_math_binary("pow", math.pow)
_math_binary("arctan2", math.atan2)
_math_binary("hypot", math.hypot)
_math_binary("copysign", math.copysign)
_math_binary("fmod", math.fmod)


@handles(np.fmod)
def fmod(cx: Context, x1: Any, x2: Any) -> Any:
    a, b = (ar.as_array(cx, v) for v in (x1, x2))
    if ar.KIND[ar.result_dtype(cx, (a, b))[0]] < 2:
        cx.fail(UnsupportedTypeError, "np.fmod of integers is not supported", "use np.mod")
    return ar.binary(cx, "fmod", a, b)


for _prim, _fn in (
    ("bit_and", np.bitwise_and),
    ("bit_or", np.bitwise_or),
    ("bit_xor", np.bitwise_xor),
    ("shift_left", np.left_shift),
    ("shift_right", np.right_shift),
):
    _numpy_bits(_prim, _fn)


@handles(np.invert)
def invert(cx: Context, x: Any) -> Any:
    return ar.inverted(cx, strong(cx, ar.as_array(cx, x)))


@handles(math.modf)
def modf(cx: Context, x: Any) -> Any:
    whole = _math_call(cx, "trunc", x)
    part = ar.elementwise(cx, "fmod", (x, 1.0), "f64", weak=True)
    return part, whole


def _math_call(cx: Context, prim: str, x: Any) -> Any:
    _only_number(cx, x, prim)
    return ar.elementwise(cx, prim, [x], "f64", weak=True)


@handles(math.isclose)
def isclose(cx: Context, a: Any, b: Any, *, rel_tol: Any = 1e-09, abs_tol: Any = 0.0) -> Any:
    if all(map(is_number, (a, b, rel_tol, abs_tol))):
        return math.isclose(a, b, rel_tol=rel_tol, abs_tol=abs_tol)
    gap = absolute(cx, ar.binary(cx, "sub", a, b))
    size = ar.elementwise(cx, "maximum", (absolute(cx, a), absolute(cx, b)), "f64", weak=True)
    bound = ar.elementwise(cx, "maximum", (ar.binary(cx, "mul", rel_tol, size), abs_tol), "f64")
    near = ar.both(cx, ar.binary(cx, "le", gap, bound), ar.binary(cx, "lt", gap, math.inf))
    return ar.both(cx, ar.binary(cx, "eq", a, b), near, "or")


@handles(math.prod)
def math_prod(cx: Context, items: Any, *, start: Any = 1) -> Any:
    from s2s_ad.frontend.iteration import static_items

    for item in static_items(cx, items):
        start = ar.binary(cx, "mul", start, item)
    return start


@handles(math.fsum)
def fsum(cx: Context, items: Any) -> Any:
    cx.fail(UnsupportedCallError, "math.fsum is not supported", "use sum, which rounds every step")


@handles(np.logaddexp)
def logaddexp(cx: Context, a: Any, b: Any) -> Any:
    a, b = strong(cx, a), strong(cx, b)
    top = ar.elementwise(cx, "maximum", (a, b), ar.result_dtype(cx, (a, b, 0.0))[0])
    gap = ar.negate(cx, absolute(cx, ar.binary(cx, "sub", a, b)))
    tail = ar.unary_float(cx, "log1p", ar.unary_float(cx, "exp", gap))
    return ar.binary(cx, "add", top, tail)


@handles(builtins.divmod, np.divmod)
def divmod_(cx: Context, a: Any, b: Any) -> Any:
    return ar.binary(cx, "floordiv", a, b), ar.binary(cx, "mod", a, b)


# --- tests and choices ---------------------------------------------------------------------------


def _test(prim: str, *functions: Any) -> None:
    def handler(cx: Context, x: Any) -> Any:
        x = strong(cx, ar.as_array(cx, x))
        dtype, weak = ar.dtype_of(cx, x)
        return ar.elementwise(cx, prim, [x], dtype if ar.KIND[dtype] >= 2 else "f64", weak=weak)

    handles(*functions)(handler)


_test("isnan", np.isnan, math.isnan)
_test("isinf", np.isinf, math.isinf)
_test("isfinite", np.isfinite, math.isfinite)


def _logical(prim: str, fn: Any) -> None:
    def one(cx: Context, x: Any) -> Any:
        return ar.elementwise(cx, prim, [_as_bools(cx, x)], "bool")

    def two(cx: Context, a: Any, b: Any) -> Any:
        return ar.elementwise(cx, prim, [_as_bools(cx, a), _as_bools(cx, b)], "bool")

    handles(fn)(one if prim == "not" else two)


def _as_bools(cx: Context, value: Any) -> Any:
    value = strong(cx, ar.as_array(cx, value))
    return value if ar.dtype_of(cx, value)[0] == "bool" else ar.binary(cx, "ne", value, 0)


_logical("and", np.logical_and)
_logical("or", np.logical_or)
_logical("xor", np.logical_xor)
_logical("not", np.logical_not)


@handles(np.where)
def where(cx: Context, condition: Any, x: Any, y: Any) -> Any:
    condition, x, y = (ar.as_array(cx, v) for v in (condition, x, y))
    condition = _as_bools(cx, condition)
    dtype, weak = ar.result_dtype(cx, (x, y))
    shape = ar.broadcast(cx, (condition, x, y))
    atoms = [ar.convert(cx, condition, "bool"), ar.convert(cx, x, dtype), ar.convert(cx, y, dtype)]
    return cx.fresh(cx.emit("select", *atoms, type=Type(dtype, shape)))


@handles(np.clip, method="clip")
def clip(cx: Context, a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    a = strong(cx, ar.as_array(cx, a))
    for prim, bound in (("maximum", a_min), ("minimum", a_max)):
        if bound is not None:
            a = ar.elementwise(cx, prim, (a, bound), ar.result_dtype(cx, (a, bound))[0])
    return a


@handles(special="expit")
def expit(cx: Context, x: Any) -> Any:
    """Through tanh, which does not overflow."""
    half = ar.unary_float(cx, "tanh", ar.binary(cx, "mul", strong(cx, x), 0.5))
    return ar.binary(cx, "mul", ar.binary(cx, "add", half, 1.0), 0.5)


@handles(special="logsumexp")
def logsumexp(cx: Context, a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    from s2s_ad.frontend.reductions import axes_of, not_empty, reduce

    a = ar.as_array(cx, a)
    dtype = ar.dtype_of(cx, a)[0]
    dtype = dtype if ar.KIND[dtype] >= 2 else "f64"
    not_empty(cx, a, axis)
    top = reduce(cx, "reduce_max", a, axis, True, dtype)
    top = ar.elementwise(cx, "stop_gradient", [top], dtype)
    terms = ar.unary_float(cx, "exp", ar.binary(cx, "sub", a, top))
    total = ar.unary_float(cx, "log", reduce(cx, "sum", terms, axis, True, dtype))
    out = ar.binary(cx, "add", total, top)
    if keepdims:
        return out
    return cx.fresh(cx.emit("squeeze", read(cx, out), axes=axes_of(cx, axis, a.type.ndim)))
