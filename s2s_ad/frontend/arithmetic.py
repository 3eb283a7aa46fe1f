"""Operations on numbers and arrays: dtypes as NumPy 2 gives them, broadcasting with checks.

A Python number, known or not, is weak (NEP 50): `2.0 * x` has the dtype of an f32 `x`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import ShapeError, UnsupportedTypeError
from s2s_ad.frontend.heap import plain
from s2s_ad.frontend.memory import extent, read
from s2s_ad.frontend.values import (
    Box,
    Record,
    View,
    describe,
    is_array,
    is_atom,
    is_dynamic,
    is_number,
    is_scalar,
)
from s2s_ad.ir.build import i64, number
from s2s_ad.ir.core import Atom, Lit, Var
from s2s_ad.ir.types import BOOL, I64, Dim, Type, promote

#: Kinds of dtypes, in the order in which a weak number lifts a strong one.
KIND = {"bool": 0, "i32": 1, "i64": 1, "f32": 2, "f64": 2, "c64": 3, "c128": 3}
WEAK = {bool: "bool", int: "i64", float: "f64", complex: "c128"}
BY_KIND = ("bool", "i64", "f64", "c128")

PYTHON = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "bit_and": operator.and_,
    "bit_or": operator.or_,
    "bit_xor": operator.xor,
    "shift_left": operator.lshift,
    "shift_right": operator.rshift,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
#: What has no meaning for complex numbers.
REAL_ONLY = "floor ceil trunc rint cbrt floordiv mod arctan2 hypot copysign erf erfc lgamma gamma"
FLOAT_ONLY = ("div", "arctan2", "hypot", "copysign", "fmod")


# --- dtypes --------------------------------------------------------------------------------------


def dtype_of(cx: Context, value: Any) -> tuple[str, bool]:
    """(dtype, weak) of a number or an array."""
    if is_number(value):
        return WEAK[type(value)], True
    if is_array(value):
        return value.type.dtype, False
    if is_atom(value):
        return value.type.dtype, value in cx.weak if isinstance(value, Var) else False
    message = f"a number or an array is needed here, not {describe(value)}"
    return cx.fail(UnsupportedTypeError, message)


def result_dtype(cx: Context, values: Sequence[Any]) -> tuple[str, bool]:
    """The dtype NumPy 2 gives to an operation on these operands, and whether it is weak."""
    kinds = [dtype_of(cx, v) for v in values]
    strong = [d for d, weak in kinds if not weak]
    weak_kind = max((KIND[d] for d, weak in kinds if weak), default=-1)
    if not strong:
        return BY_KIND[weak_kind], True
    dtype = strong[0]
    for other in strong[1:]:
        dtype = promote(dtype, other)
    if weak_kind > KIND[dtype]:
        dtype = "c64" if weak_kind == 3 and dtype == "f32" else BY_KIND[weak_kind]
    return dtype, False


def convert(cx: Context, value: Any, dtype: str, name: str = "t") -> Atom:
    """A number or an array as an atom of `dtype`."""
    if is_number(value):
        return literal(cx, value, dtype)
    atom = read(cx, value, name) if is_array(value) else value
    if not is_atom(atom):
        dtype_of(cx, value)
    if atom.type.dtype == dtype:
        return atom
    if isinstance(atom, Lit):
        return literal(cx, atom.value, dtype)
    if KIND[atom.type.dtype] == 3 and KIND[dtype] < 3:
        cx.fail(UnsupportedTypeError, "a complex number cannot become a real one here", "use .real")
    return cx.emit("convert", atom, name=name, dtype=dtype)


def literal(cx: Context, value: Any, dtype: str) -> Lit:
    if isinstance(value, complex) and dtype not in ("c64", "c128"):
        cx.fail(UnsupportedTypeError, f"the complex number {value} cannot become {dtype}")
    try:
        return number(value, dtype)
    except (ValueError, OverflowError) as error:
        cx.fail(UnsupportedTypeError, f"{value!r} cannot become {dtype}: {error}")


def value_of(cx: Context, atom: Atom, weak: bool = False) -> Any:
    """An emitted result as a value; weak results are Python numbers when running."""
    if weak and isinstance(atom, Var) and not atom.type.is_array:
        cx.weak.add(atom)
    return cx.fresh(atom)


# --- shapes --------------------------------------------------------------------------------------


def shape_of(value: Any) -> tuple[Dim, ...]:
    return value.type.shape if is_array(value) else ()


def broadcast(cx: Context, values: Sequence[Any], what: str = "operands") -> tuple[Dim, ...]:
    """The shape NumPy's broadcasting gives; emits a check where two extents may differ."""
    ndim = max(len(shape_of(v)) for v in values)
    out: list[Dim] = []
    for position in range(-ndim, 0):
        first: View | None = None
        for value in values:
            shape = shape_of(value)
            if len(shape) < -position or cx.state.facts.find(shape[position]) == 1:
                continue
            if first is None:
                first = value
            else:
                match(cx, first, position, value, position, what)
        dim = 1 if first is None else shape_of(first)[position]
        out.append(cx.state.facts.find(dim))
    return tuple(out)


def match(cx: Context, a: View, axis_a: int, b: View, axis_b: int, what: str = "operands") -> None:
    """Make sure that two extents are equal: nothing where that is proven, else a run-time check."""
    facts = cx.state.facts
    dim_a, dim_b = facts.find(a.type.shape[axis_a]), facts.find(b.type.shape[axis_b])
    if facts.equal(dim_a, dim_b):
        return
    names = f"{shape_text(a)} and {shape_text(b)}"
    if isinstance(dim_a, int) and isinstance(dim_b, int):
        cx.fail(ShapeError, f"the shapes of {what} do not match: {names}")
    atoms = (extent(cx, a, axis_a % a.type.ndim), extent(cx, b, axis_b % b.type.ndim))
    same = cx.emit("eq", *map(cx.index, atoms), name="same")
    where = f" (line {cx.loc.line})" if cx.loc else ""
    axes = (axis_a % a.type.ndim, axis_b % b.type.ndim)
    names = " and ".join(f"axis {k} of {shape_text(v)}" for k, v in zip(axes, (a, b)))
    cx.check(same, "ValueError", f"the shapes of {what} do not match: {names}{where}")
    facts.unite(dim_a, dim_b)


def shape_text(view: View) -> str:
    return f"{view.cell.name}[{', '.join(map(str, view.type.shape))}]"


def extents_of(cx: Context, value: Any) -> list[Any]:
    """`value.shape` as ints and atoms."""
    return [extent(cx, value, a) for a in range(value.type.ndim)] if is_array(value) else []


# --- elementwise ---------------------------------------------------------------------------------


def elementwise(
    cx: Context, prim: str, values: Sequence[Any], dtype: str, name: str = "t", weak: bool = False
) -> Any:
    """`prim` of operands that are all converted to `dtype`."""
    if KIND[dtype] == 3 and prim in REAL_ONLY.split():
        cx.fail(UnsupportedTypeError, f"{prim} of a complex number", "use .real and .imag")
    shape = broadcast(cx, values)
    atoms = [convert(cx, v, dtype) for v in values]
    out = "bool" if prim in COMPARISONS or prim.startswith("is") else dtype
    return value_of(cx, cx.emit(prim, *atoms, name=name, type=Type(out, shape)), weak)


def unary_float(cx: Context, prim: str, value: Any, name: str = "t", weak: bool = False) -> Any:
    """A function of floats (`sin`, …); integers become f64."""
    dtype, _ = dtype_of(cx, value)
    return elementwise(cx, prim, [value], dtype if KIND[dtype] >= 2 else "f64", name, weak)


def binary(cx: Context, prim: str, a: Any, b: Any, name: str = "t") -> Any:
    """A binary operator on numbers and arrays."""
    if is_number(a) and is_number(b):
        return _known(cx, prim, a, b)
    dtype, weak = result_dtype(cx, (a, b))
    if prim == "pow":
        return power(cx, a, b, name)
    if dtype == "bool" and prim not in COMPARISONS:
        if not weak and prim in ("add", "mul"):
            return elementwise(cx, "or" if prim == "add" else "and", (a, b), "bool", name)
        dtype = "i64"
    if prim in FLOAT_ONLY and KIND[dtype] < 2:
        dtype = "f64"
    if prim in ("floordiv", "mod") and weak and KIND[dtype] < 2:
        _divisor_check(cx, b)
    simple = _identity(cx, prim, a, b, dtype)
    if simple is not None:
        return simple
    out = elementwise(cx, prim, (a, b), dtype, name, weak)
    _remember(cx, prim, a, b, out)
    return out


def _divisor_check(cx: Context, b: Any) -> None:
    """Python's integers raise where NumPy's give 0."""
    known = b.value if isinstance(b, Lit) else b
    nonzero = cx.state.facts.nonzero
    if (is_number(known) and known != 0) or (isinstance(b, Var) and b in nonzero):
        return
    cx.check(as_bool(truth(cx, b)), "ZeroDivisionError", "integer division or modulo by zero")
    if isinstance(b, Var):
        nonzero.add(b)


def integral_check(cx: Context, x: Atom) -> None:
    """Python's int() of nan and infinities raises; beyond 64 bits compiled code cannot follow."""
    if x.type.dtype in ("f32", "f64") and isinstance(x, Var):
        limit = number(2.0**63, x.type.dtype)
        fine = cx.emit("lt", cx.emit("abs", x), limit)
        cx.check(fine, "ValueError", "a float that is nan, infinite or too large as an integer")


def _known(cx: Context, prim: str, a: Any, b: Any) -> Any:
    try:
        return PYTHON[prim](a, b)
    except (ArithmeticError, TypeError) as error:
        cx.fail(UnsupportedTypeError, f"{a!r} and {b!r}: {error}")


def _identity(cx: Context, prim: str, a: Any, b: Any, dtype: str) -> Any:
    """Index arithmetic with 0, and of two literals, done now."""
    if dtype != "i64" or is_array(a) or is_array(b):
        return None
    x, y = (v.value if isinstance(v, Lit) else v for v in (a, b))
    if is_number(x) and is_number(y) and prim in ("add", "sub", "mul", *COMPARISONS):
        out = PYTHON[prim](int(x), int(y))
        return Lit(out, BOOL if prim in COMPARISONS else I64)
    if prim == "add" and x == 0 and dtype_of(cx, b)[0] == "i64" and isinstance(b, Var):
        return b
    if prim in ("add", "sub") and y == 0 and dtype_of(cx, a)[0] == "i64" and isinstance(a, Var):
        return a
    return None


def _remember(cx: Context, prim: str, a: Any, b: Any, out: Any) -> None:
    """Keep track of extents plus constants (`n - 1`) and of what cannot be negative."""
    if not isinstance(out, Var) or out.type != I64:
        return
    if prim in ("add", "mul", "floordiv", "mod") and cx.is_nonneg(a) and cx.is_nonneg(b):
        cx.nonneg.add(out)
    if prim == "add" and type(a) is int:
        a, b = b, a
    if prim == "add" and type(b) is int and b == 1 and isinstance(a, Var):
        cx.after[out] = a
    if prim in ("add", "sub") and type(b) is int and a in cx.affine:
        symbol, offset = cx.affine[a]
        offset += b if prim == "add" else -b
        cx.affine[out] = (symbol, offset)


def power(cx: Context, a: Any, b: Any, name: str = "t") -> Any:
    """`a ** b`. Integer exponents stay integers."""
    dtype, weak = result_dtype(cx, (a, b))
    kind_b, exponent = KIND[dtype_of(cx, b)[0]], b.value if isinstance(b, Lit) else b
    if KIND[dtype] < 2:
        dtype = "i64" if dtype == "bool" else dtype
        if is_number(exponent) and exponent < 0:
            dtype = "f64"
        elif not is_number(exponent):
            _exponent_check(cx, b)
    shape = broadcast(cx, (a, b))
    base = convert(cx, a, dtype)
    power_of = convert(cx, b, "i64" if kind_b < 2 else dtype)
    out = cx.emit("pow", base, power_of, name=name, type=Type(dtype, shape))
    return value_of(cx, out, weak)


def _exponent_check(cx: Context, b: Any) -> None:
    atom = convert(cx, b, "i64")
    fine = cx.emit("ge", atom, i64(0))
    if fine.type.is_array:
        fine = cx.emit("all", fine, axes=tuple(range(fine.type.ndim)), keepdims=False)
    cx.check(fine, "ValueError", "integers to negative integer powers are not allowed")


def bitwise(cx: Context, prim: str, a: Any, b: Any) -> Any:
    """An operation on the bits of integers; `&`, `|`, `^` of bools are logical."""
    shift = prim.startswith("shift")
    if is_number(a) and is_number(b):
        return _known(cx, prim, a, b)
    dtype, weak = result_dtype(cx, (a, b))
    if KIND[dtype] > 1:
        cx.fail(UnsupportedTypeError, f"bit operations need integers, not {dtype}")
    if dtype == "bool" and not shift:
        return elementwise(cx, prim.removeprefix("bit_"), (a, b), "bool", weak=weak)
    dtype = "i64" if dtype == "bool" else dtype
    if shift:
        _shift_check(cx, b, dtype)
    return elementwise(cx, prim, (a, b), dtype, weak=weak)


def _shift_check(cx: Context, b: Any, dtype: str) -> None:
    """Shifts by too much are undefined when compiled. (Integers have 64 bits, as in NumPy.)"""
    limit = {"i32": 32, "i64": 64}[dtype]
    message = f"a shift by less than 0 or by {limit} bits or more"
    if is_number(b):
        if not 0 <= b < limit:
            cx.fail(UnsupportedTypeError, f"{message} is not supported")
        return
    count = convert(cx, b, dtype)
    low, high = cx.emit("ge", count, number(0, dtype)), cx.emit("lt", count, number(limit, dtype))
    fine = cx.emit("and", low, high)
    if fine.type.is_array:
        fine = cx.emit("all", fine, axes=tuple(range(fine.type.ndim)), keepdims=False)
    cx.check(fine, "ValueError", message)


def inverted(cx: Context, value: Any) -> Any:
    """`~value`."""
    dtype, weak = dtype_of(cx, value)
    if type(value) is bool or (dtype == "bool" and weak):
        cx.fail(UnsupportedTypeError, "~ of a Python bool is an int that is never 0", "use `not`")
    if KIND[dtype] > 1:
        cx.fail(UnsupportedTypeError, f"~ needs an integer or a bool, not {dtype}")
    if is_number(value):
        return ~value
    prim = "not" if dtype == "bool" else "invert"
    return elementwise(cx, prim, [value], dtype, weak=weak)


def compare(cx: Context, prim: str, a: Any, b: Any, name: str = "t") -> Any:
    """A comparison; objects that are known are compared now."""
    if (is_scalar(a) or is_array(a)) and (is_scalar(b) or is_array(b)):
        return binary(cx, prim, a, b, name)
    if prim in ("eq", "ne") and (is_dynamic(a) or is_dynamic(b)):
        return _compare_unlike(cx, prim, a, b)
    if prim in ("eq", "ne"):
        try:
            return bool(PYTHON[prim](a, b))
        except Exception as error:  # a foreign __eq__ may raise anything
            cx.fail(UnsupportedTypeError, f"the comparison failed: {error}")
    dtype_of(cx, a), dtype_of(cx, b)
    return None


def _compare_unlike(cx: Context, prim: str, a: Any, b: Any) -> Any:
    """`==` of values of different kinds: Python's numbers, strings and None are not equal to
    containers, nor to each other."""
    simple = [_simple(cx, v) for v in (a, b)]
    container = [isinstance(v, (tuple, Record, Box)) for v in (a, b)]
    if any(simple) and all(s or c for s, c in zip(simple, container)):
        return prim == "ne"
    message = f"{describe(a)} and {describe(b)} cannot be compared"
    return cx.fail(UnsupportedTypeError, message, "compare numbers")


def _simple(cx: Context, value: Any) -> bool:
    """True for Python's numbers, strings and None."""
    known = is_number(value) or value is None or isinstance(value, str)
    return known or (is_atom(value) and dtype_of(cx, value)[1])


def negate(cx: Context, value: Any, name: str = "t") -> Any:
    if is_number(value):
        return -value
    dtype, weak = dtype_of(cx, value)
    if isinstance(value, Lit):
        return literal(cx, -value.value, dtype)
    return elementwise(cx, "neg", [value], "i64" if dtype == "bool" else dtype, name, weak)


def truth(cx: Context, value: Any, name: str = "t") -> Any:
    """`bool(value)`: a Python bool where it is known, else a bool atom."""
    if isinstance(value, Lit):
        return bool(value.value)
    if is_atom(value):
        if value.type == BOOL:
            return value
        zero = number(0, value.type.dtype)
        return cx.emit("ne", value, zero, name=name)
    if is_array(value):
        cx.fail(
            UnsupportedTypeError,
            "the truth value of an array is ambiguous",
            "use .any() or .all(), or np.where to choose elementwise",
        )
    return bool(value)


def logical_not(cx: Context, value: Any, name: str = "t") -> Any:
    known = truth(cx, value)
    return (
        (not known)
        if isinstance(known, bool)
        else value_of(cx, cx.emit("not", known, name=name), True)
    )


def both(cx: Context, a: Any, b: Any, prim: str = "and", name: str = "t") -> Any:
    """`and`/`or` of bools, known or not."""
    for known, other in ((a, b), (b, a)):
        known = known.value if isinstance(known, Lit) else known
        if isinstance(known, bool):
            return other if known == (prim == "and") else known
    return value_of(cx, cx.emit(prim, a, b, name=name), True)


def as_bool(value: Any) -> Atom:
    return Lit(value, BOOL) if isinstance(value, bool) else value


def as_array(cx: Context, value: Any) -> Any:
    """A list or tuple of numbers (nested, too) as an array; anything else as it is."""
    value = plain(cx, value)
    if not isinstance(value, (list, tuple)) or isinstance(value, str):
        return value
    items = [as_array(cx, v) for v in value]
    if not items:
        return cx.fresh(cx.emit("full", number(0, "f64"), i64(0)))
    dtype = functools.reduce(promote, (dtype_of(cx, i)[0] for i in items))  # no number is weak
    shapes = {len(shape_of(i)) for i in items}
    if len(shapes) > 1:
        cx.fail(ShapeError, "the items of this list have different numbers of axes")
    if shapes != {0}:
        for other in items[1:]:
            for axis in range(other.type.ndim):
                match(cx, items[0], axis, other, axis, "the items of the list")
    return cx.fresh(cx.emit("stack", *(convert(cx, i, dtype) for i in items), axis=0))
