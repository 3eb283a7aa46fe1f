"""Functions that make arrays, and those that change shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import ShapeError, StaticValueError, UnsupportedTypeError
from s2s_ad.frontend.iteration import length
from s2s_ad.frontend.known import dtype_name
from s2s_ad.frontend.memory import contiguous, read
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.subscripts import place, put
from s2s_ad.frontend.values import View, describe, is_array, is_atom, is_number, is_scalar
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import Atom, Lit
from s2s_ad.ir.types import Dim, Type


def dtype_arg(cx: Context, dtype: Any, default: str) -> str:
    """A dtype argument as the IR's name."""
    if dtype is None:
        return default
    if isinstance(dtype, str) and dtype in ("a", "c"):
        cx.fail(UnsupportedTypeError, f"{dtype!r} is a dtype of text")
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        return cx.fail(UnsupportedTypeError, f"{describe(dtype)} is not a dtype")
    return dtype_name(cx, found, "dtype")


def extents(cx: Context, shape: Any) -> tuple[list[Atom], tuple[Dim, ...]]:
    """A shape argument as operands and as a type's shape."""
    items = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    atoms = [cx.index(s) for s in items]
    if any(isinstance(a, Lit) and a.value < 0 for a in atoms):
        cx.fail(ShapeError, "negative dimensions are not allowed")
    return atoms, tuple(cx.dim_of_atom(a) for a in atoms)


def filled(cx: Context, shape: Any, value: Any, dtype: str) -> Any:
    atoms, dims = extents(cx, shape)
    number = ar.convert(cx, value, dtype)
    if not dims:
        return number
    return cx.fresh(cx.emit("full", number, *atoms, type=Type(dtype, dims)))


@handles(np.zeros)
def zeros(cx: Context, shape: Any, dtype: Any = None) -> Any:
    return filled(cx, shape, 0, dtype_arg(cx, dtype, "f64"))


@handles(np.ones)
def ones(cx: Context, shape: Any, dtype: Any = None) -> Any:
    return filled(cx, shape, 1, dtype_arg(cx, dtype, "f64"))


@handles(np.full)
def full(cx: Context, shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    if not is_scalar(fill_value):
        cx.fail(UnsupportedTypeError, f"np.full with {describe(fill_value)}", "use np.broadcast_to")
    return filled(cx, shape, fill_value, dtype_arg(cx, dtype, ar.dtype_of(cx, fill_value)[0]))


@handles(np.empty, np.ndarray)
def empty(cx: Context, shape: Any, dtype: Any = None) -> Any:
    name = dtype_arg(cx, dtype, "f64")
    atoms, dims = extents(cx, shape)
    if not dims:
        cx.fail(ShapeError, "an array without axes is not supported", "use a number")
    return cx.fresh(cx.emit("empty", *atoms, type=Type(name, dims), dtype=name))


def _like(cx: Context, x: Any, dtype: Any) -> tuple[tuple[Any, ...], str]:
    x = ar.as_array(cx, x)
    return tuple(ar.extents_of(cx, x)), dtype_arg(cx, dtype, ar.dtype_of(cx, x)[0])


@handles(np.zeros_like)
def zeros_like(cx: Context, a: Any, dtype: Any = None) -> Any:
    shape, name = _like(cx, a, dtype)
    return filled(cx, shape, 0, name)


@handles(np.ones_like)
def ones_like(cx: Context, a: Any, dtype: Any = None) -> Any:
    shape, name = _like(cx, a, dtype)
    return filled(cx, shape, 1, name)


@handles(np.full_like)
def full_like(cx: Context, a: Any, fill_value: Any, dtype: Any = None) -> Any:
    shape, name = _like(cx, a, dtype)
    if not is_scalar(fill_value):
        cx.fail(UnsupportedTypeError, f"np.full_like with {describe(fill_value)}", "assign to [:]")
    return filled(cx, shape, fill_value, name)


@handles(np.empty_like)
def empty_like(cx: Context, a: Any, dtype: Any = None) -> Any:
    shape, name = _like(cx, a, dtype)
    atoms, dims = extents(cx, shape)
    return cx.fresh(cx.emit("empty", *atoms, type=Type(name, dims), dtype=name))


@handles(np.arange)
def arange(cx: Context, start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if any(ar.KIND[ar.dtype_of(cx, v)[0]] > 1 for v in (start, stop, step)):
        cx.fail(
            UnsupportedTypeError,
            "np.arange of floating-point numbers is not supported: its length depends on rounding",
            "use np.linspace, or np.arange(n) * step",
        )
    n = length(cx, start, stop, step)
    out = iota(cx, n)
    if step != 1:
        out = ar.binary(cx, "mul", out, step)
    if not (is_number(start) and start == 0):
        out = ar.binary(cx, "add", out, start)
    return astype(cx, out, dtype) if dtype is not None else out


def iota(cx: Context, n: Any) -> View:
    atom = cx.index(n)
    return cx.fresh(cx.emit("iota", atom, type=Type("i64", (cx.dim_of_atom(atom),))))


@handles(np.linspace)
def linspace(cx: Context, start: Any, stop: Any, num: Any = 50, endpoint: Any = True) -> Any:
    if not is_scalar(start) or not is_scalar(stop):
        cx.fail(UnsupportedTypeError, "np.linspace takes numbers")
    dtype, _ = ar.result_dtype(cx, (start, stop, 1.0))
    last = ar.binary(cx, "sub", num, 1) if endpoint else num
    parts = ar.elementwise(cx, "maximum", (last, 1), "i64") if not is_number(last) else max(last, 1)
    step = ar.binary(cx, "div", ar.binary(cx, "sub", stop, start), parts)
    offsets = ar.binary(cx, "mul", astype(cx, iota(cx, num), np.float64), step)
    values = ar.binary(cx, "add", offsets, start)
    return cx.fresh(ar.convert(cx, values, dtype))


@handles(np.eye)
def eye(cx: Context, N: Any, M: Any = None, dtype: Any = None) -> Any:
    from s2s_ad.frontend.memory import expanded

    rows, cols = iota(cx, N), iota(cx, N if M is None else M)
    same = ar.binary(cx, "eq", expanded(cx, rows, (1,)), expanded(cx, cols, (0,)))
    return cx.fresh(ar.convert(cx, same, dtype_arg(cx, dtype, "f64")))


@handles(np.identity)
def identity(cx: Context, n: Any, dtype: Any = None) -> Any:
    return eye(cx, n, None, dtype)


# --- copies and conversions ----------------------------------------------------------------------


def copied(cx: Context, x: Any, name: str = "t") -> Any:
    """A copy that shares no memory. (An array is a value: naming it again is enough.)"""
    if not is_array(x):
        return x
    atom = read(cx, x)
    return View(cx.new_cell(atom, name), (), atom.type)


@handles(np.copy, method="copy")
def copy(cx: Context, a: Any) -> Any:
    a = ar.as_array(cx, a)
    ar.dtype_of(cx, a)
    return copied(cx, a)


@handles(np.array)
def array(cx: Context, object: Any, dtype: Any = None) -> Any:
    value = ar.as_array(cx, object)
    ar.dtype_of(cx, value)  # refuses what is not numbers
    if dtype is not None:
        return astype(cx, value, dtype)
    return copied(cx, value)


@handles(np.ascontiguousarray)
def ascontiguousarray(cx: Context, a: Any, dtype: Any = None) -> Any:
    value = asarray(cx, a, dtype)
    if is_scalar(value):  # NumPy gives it an axis
        return ar.as_array(cx, [value])
    return value if not is_array(value) or contiguous(value) else copied(cx, value)


@handles(np.asarray)
def asarray(cx: Context, a: Any, dtype: Any = None) -> Any:
    value = ar.as_array(cx, a)
    ar.dtype_of(cx, value)
    if dtype is None or dtype_arg(cx, dtype, "") == ar.dtype_of(cx, value)[0]:
        return value
    return astype(cx, value, dtype)


@handles(method="astype")
def astype(cx: Context, x: Any, dtype: Any) -> Any:
    name = dtype_arg(cx, dtype, "f64")
    if is_array(x) and x.type.dtype == name:
        return copied(cx, x)
    return cx.fresh(ar.convert(cx, x, name))


def _scalar_type(cls: Any, name: str) -> None:
    def handler(cx: Context, x: Any = 0) -> Any:
        return cx.fresh(ar.convert(cx, ar.as_array(cx, x), name))

    handles(cls)(handler)


for _cls, _name in (
    (np.float64, "f64"),
    (np.float32, "f32"),
    (np.int64, "i64"),
    (np.int32, "i32"),
    (np.complex128, "c128"),
    (np.bool_, "bool"),
):
    _scalar_type(_cls, _name)


@handles(method="item tolist")
def item(cx: Context, x: Any) -> Any:
    """The number in an array of one element, as a Python number."""
    if is_array(x):
        if any(d != 1 for d in x.type.shape):
            cx.fail(ShapeError, ".item() needs an array of one element", "index it")
        zeros_ = [i64(0)] * x.type.ndim
        spec = ",".join("i" for _ in zeros_)
        x = cx.emit("load", read(cx, x), *zeros_, spec=spec)
    return ar.value_of(cx, x, True) if is_atom(x) else x


@handles(np.bincount)
def bincount(cx: Context, x: Any, weights: Any = None, minlength: Any = 0) -> Any:
    """With `minlength` as the number of bins; an index beyond it is out of bounds."""
    from s2s_ad.frontend.reductions import need_array, not_empty
    from s2s_ad.frontend.registry import FUNCTIONS

    x = need_array(cx, x, "np.bincount")
    if x.type.dtype == "bool":
        x = astype(cx, x, np.int64)
    not_empty(cx, x, None)
    top = ar.binary(cx, "add", FUNCTIONS[np.max](cx, x), 1)
    bins = ar.elementwise(cx, "maximum", (top, minlength), "i64")
    out = filled(cx, bins, 0, "i64" if weights is None else "f64")
    put(cx, place(cx, out, [x]), 1 if weights is None else weights, "accum")
    return out


@handles(np.flatnonzero)
def flatnonzero(cx: Context, a: Any) -> Any:
    from s2s_ad.frontend.subscripts import nonzero

    if not is_array(a) or a.type.ndim != 1 or a.type.dtype != "bool":
        cx.fail(StaticValueError, "np.flatnonzero takes a boolean array with one axis")
    return nonzero(cx, a)


@handles(np.diagonal, method="diagonal")
def diagonal_view(cx: Context, a: Any) -> Any:
    """NumPy gives a view: a write to the array makes later reads of this an error."""
    out = diagonal(cx, a)
    cx.link_part(out.cell, a)
    return out


@handles(np.diag)
def diagonal(cx: Context, v: Any) -> Any:
    """The diagonal of a square array as a vector, or a vector as a diagonal array."""
    from s2s_ad.frontend.linear import check_square
    from s2s_ad.frontend.memory import extent
    from s2s_ad.frontend.subscripts import get, set_items

    if is_array(v) and v.type.ndim == 1:
        n = extent(cx, v, 0)
        out, where = filled(cx, (n, n), 0, v.type.dtype), iota(cx, n)
        set_items(cx, out, [where, where], v)
        return out
    check_square(cx, v, "np.diag")
    where = iota(cx, extent(cx, v, 0))
    return get(cx, v, [where, where])
