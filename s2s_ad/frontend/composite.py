"""NumPy functions that are written with others: np.roll, np.tril, np.cov, np.histogram, …"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.creation import astype, copied, filled, iota, linspace
from s2s_ad.frontend.elementary import positive, strong, where
from s2s_ad.frontend.errors import (
    ShapeError,
    StaticValueError,
    UnsupportedCallError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.iteration import static_items
from s2s_ad.frontend.linear import matmul
from s2s_ad.frontend.memory import expanded, extent, read, transposed
from s2s_ad.frontend.reductions import axis_of, mean, need_array
from s2s_ad.frontend.registry import FUNCTIONS, handles
from s2s_ad.frontend.shaping import reshape, stack
from s2s_ad.frontend.subscripts import Slice, flat, get, place, put
from s2s_ad.frontend.values import View, is_scalar
from s2s_ad.ir.types import promote

ALL = Slice(None, None, None)


@handles(np.take, method="take")
def take(cx: Context, a: Any, indices: Any, axis: Any = None) -> Any:
    x, at = need_array(cx, a, "np.take"), ar.as_array(cx, indices)
    if ar.dtype_of(cx, at)[0] == "bool":  # numbers 0 and 1 here, not a mask
        at = cx.fresh(ar.convert(cx, at, "i64"))
    if axis is None and x.type.ndim != 1:
        cx.fail(UnsupportedCallError, "np.take of several axes needs axis=", "index the array")
    position = axis_of(cx, 0 if axis is None else axis, x.type.ndim)
    return get(cx, x, [ALL] * position + [at])


@handles(np.roll)
def roll(cx: Context, a: Any, shift: Any, axis: Any = None) -> Any:
    """One axis after the other; without `axis`, all elements in a row."""
    x = need_array(cx, a, "np.roll")
    if axis is None and x.type.ndim > 1:
        shape = tuple(extent(cx, x, k) for k in range(x.type.ndim))
        return reshape(cx, roll(cx, flat(cx, x), shift), shape)
    shifts, axes = (
        [v] if is_scalar(v) else static_items(cx, v) for v in (shift, 0 if axis is None else axis)
    )
    if len(shifts) != len(axes) and 1 not in (len(shifts), len(axes)):
        cx.fail(ShapeError, f"np.roll by {len(shifts)} shifts along {len(axes)} axes")
    count = len(axes) if len(shifts) == 1 else len(shifts)
    shifts, axes = (items * count if len(items) == 1 else items for items in (shifts, axes))
    x = x if count else copied(cx, x)
    for step, along in zip(shifts, axes):
        position = axis_of(cx, along, x.type.ndim)
        x = cx.fresh(cx.emit("roll", read(cx, x), cx.index(step), axis=position))
    return x


@handles(np.round, method="round")
def round_(cx: Context, a: Any, decimals: Any = 0) -> Any:
    """As NumPy does it: the nearest even integer of a multiple, divided again."""
    x = strong(cx, ar.as_array(cx, a))
    if type(decimals) is not int:
        cx.fail(StaticValueError, "the decimals of np.round must be known when compiling")
    if ar.KIND[ar.dtype_of(cx, x)[0]] < 2 and decimals >= 0:
        return positive(cx, x)
    scale, ways = 10.0 ** abs(decimals), ("mul", "div") if decimals > 0 else ("div", "mul")
    if decimals == 0:
        return ar.unary_float(cx, "rint", x)
    return ar.binary(
        cx, ways[1], ar.unary_float(cx, "rint", ar.binary(cx, ways[0], x, scale)), scale
    )


def _triangle(fn: Any, prim: str) -> None:
    def handler(cx: Context, m: Any, k: Any = 0) -> Any:
        x, k = need_array(cx, m, "a triangle"), cx.index(k)
        if x.type.ndim < 2:
            cx.fail(ShapeError, "a triangle of an array with one axis")
        rows, columns = (
            iota(cx, extent(cx, x, axis)) for axis in (x.type.ndim - 2, x.type.ndim - 1)
        )
        edge = ar.binary(cx, "add", expanded(cx, rows, (1,)), k)
        kept = ar.binary(cx, prim, expanded(cx, columns, (0,)), edge)
        return where(cx, kept, x, 0)

    handles(fn)(handler)


_triangle(np.tril, "le")
_triangle(np.triu, "ge")


@handles(np.cov)
def cov(
    cx: Context, m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None
) -> Any:
    """Each row is a variable, or with `rowvar=False` each column."""
    x = need_array(cx, m, "np.cov")
    if y is not None or x.type.ndim > 2 or not isinstance(rowvar, bool):
        cx.fail(UnsupportedCallError, "np.cov takes one array with one or two axes, and rowvar=")
    rank = x.type.ndim
    x = expanded(cx, x, (0,)) if rank == 1 else x if rowvar else transposed(cx, x, (1, 0))
    dtype, _ = ar.dtype_of(cx, x)
    if dtype in ("c64", "c128"):
        cx.fail(UnsupportedCallError, "np.cov of complex arrays is not supported")
    x = cx.fresh(ar.convert(cx, x, "f64"))
    x = ar.binary(cx, "sub", x, mean(cx, x, 1, keepdims=True))
    less = ddof if ddof is not None else 0 if bias else 1
    count = ar.binary(cx, "sub", extent(cx, x, 1), less)
    total = ar.binary(cx, "div", matmul(cx, x, transposed(cx, x, (1, 0))), count)
    return get(cx, total, [0, 0]) if rank == 1 else total


@handles(np.histogram)
def histogram(cx: Context, a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Bins of equal width: (counts or sums of weights, edges). As in NumPy, a position that
    rounding has put on the wrong side of an edge is corrected."""
    x = need_array(cx, a, "np.histogram")
    x = x if x.type.ndim == 1 else flat(cx, x)
    if not is_scalar(bins) or ar.KIND[ar.dtype_of(cx, bins)[0]] != 1 or range is not None:
        cx.fail(UnsupportedCallError, "np.histogram takes a number of bins, and no range=")
    low, high = FUNCTIONS[np.min](cx, x), FUNCTIONS[np.max](cx, x)
    flat_data = ar.binary(cx, "eq", low, high)
    low, high = (
        where(cx, flat_data, ar.binary(cx, prim, end, 0.5), end)
        for prim, end in (("sub", low), ("add", high))
    )
    edges = linspace(cx, low, high, ar.binary(cx, "add", bins, 1))
    share = ar.binary(cx, "div", ar.binary(cx, "sub", x, low), ar.binary(cx, "sub", high, low))
    at = astype(cx, ar.binary(cx, "mul", share, bins), np.int64)
    last = ar.binary(cx, "sub", bins, 1)
    at = ar.elementwise(cx, "minimum", (at, last), "i64")
    below = ar.binary(cx, "lt", x, get(cx, edges, [at]))
    beyond = ar.binary(cx, "ge", x, get(cx, edges, [ar.binary(cx, "add", at, 1)]))
    beyond = ar.elementwise(cx, "and", (beyond, ar.binary(cx, "ne", at, last)), "bool")
    at = ar.binary(cx, "sub", ar.binary(cx, "add", at, beyond), below)
    dtype = "i64" if weights is None else ar.dtype_of(cx, ar.as_array(cx, weights))[0]
    out = filled(cx, bins, 0, dtype)
    if weights is not None:
        weights = need_array(cx, weights, "np.histogram")
        weights = weights if weights.type.ndim == 1 else flat(cx, weights)
        ar.match(cx, x, 0, weights, 0, "data and weights")
    put(cx, place(cx, out, [at]), 1 if weights is None else weights, "accum")
    return out, edges


@handles(np.polyval)
def polyval(cx: Context, p: Any, x: Any) -> Any:
    """Horner's scheme; the number of coefficients must be known."""
    x = ar.as_array(cx, x)
    total: Any = ar.binary(cx, "mul", x, 0)
    coefficients = [ar.as_array(cx, c) for c in static_items(cx, p)]
    dtype = functools.reduce(promote, (ar.dtype_of(cx, c)[0] for c in coefficients))
    for coefficient in (ar.convert(cx, c, dtype) for c in coefficients):
        total = ar.binary(cx, "add", ar.binary(cx, "mul", total, x), coefficient)
    return total


@handles(np.nan_to_num)
def nan_to_num(cx: Context, x: Any, nan: Any = 0.0) -> Any:
    """NaN becomes `nan`, infinities the largest numbers of the dtype."""
    value = need_array(cx, x, "np.nan_to_num")
    if ar.KIND[value.type.dtype] != 2:
        cx.fail(UnsupportedTypeError, f"np.nan_to_num of {value.type}", "it is for real floats")
    limits = np.finfo(np.float32 if value.type.dtype == "f32" else np.float64)
    low, high = float(limits.min), float(limits.max)
    kept = where(cx, _is(cx, "isnan", value), nan, value)
    kept = where(cx, ar.binary(cx, "gt", kept, high), high, kept)
    return where(cx, ar.binary(cx, "lt", kept, low), low, kept)


def _times_log(name: str, prim: str) -> None:
    """`x * log(y)`, and 0 where x is 0 and y is a number; the derivative at 0 log 0 is 0."""

    def handler(cx: Context, x: Any, y: Any) -> Any:
        x, y = strong(cx, ar.as_array(cx, x)), strong(cx, ar.as_array(cx, y))
        no, both = FUNCTIONS[np.logical_not], FUNCTIONS[np.logical_and]
        number = no(cx, FUNCTIONS[np.isnan](cx, y))
        pole = no(cx, FUNCTIONS[np.isfinite](cx, ar.unary_float(cx, prim, y)))
        here = both(cx, ar.binary(cx, "eq", x, 0), both(cx, number, pole))
        safe = where(cx, here, 1.0, y)  # 0 * log(0) would be nan, and so would its derivative
        return ar.binary(cx, "mul", x, ar.unary_float(cx, prim, safe))

    handles(special=name)(handler)


_times_log("xlogy", "log")
_times_log("xlog1py", "log1p")


@handles(np.cross)
def cross(cx: Context, a: Any, b: Any, axis: Any = -1) -> Any:
    """Of vectors of three; `axis` is where their components are."""
    a, b = need_array(cx, a, "np.cross"), need_array(cx, b, "np.cross")
    parts = [_components(cx, v, axis_of(cx, axis, v.type.ndim)) for v in (a, b)]
    (ax, ay, az), (bx, by, bz) = parts

    def minor(p: Any, q: Any, r: Any, s: Any) -> Any:
        return ar.binary(cx, "sub", ar.binary(cx, "mul", p, q), ar.binary(cx, "mul", r, s))

    out = [minor(ay, bz, az, by), minor(az, bx, ax, bz), minor(ax, by, ay, bx)]
    return stack(cx, out, axis)


def _components(cx: Context, x: View, axis: int) -> list[Any]:
    dim = cx.state.facts.find(x.type.shape[axis])
    if isinstance(dim, int) and dim != 3:
        cx.fail(ShapeError, f"np.cross takes vectors of three, not {ar.shape_text(x)}")
    three = cx.emit("eq", cx.index(extent(cx, x, axis)), cx.index(3), name="three")
    cx.check(three, "ValueError", f"np.cross takes vectors of three, not {ar.shape_text(x)}")
    return [get(cx, x, [ALL] * axis + [k]) for k in range(3)]


def _is(cx: Context, prim: str, value: View) -> Any:
    return ar.elementwise(cx, prim, [value], value.type.dtype)
