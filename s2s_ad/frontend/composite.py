"""NumPy functions that are written with others: np.roll, np.take, np.tril, np.polyval, …"""

from __future__ import annotations

from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.creation import iota
from s2s_ad.frontend.elementary import positive, where
from s2s_ad.frontend.errors import StaticValueError, UnsupportedCallError
from s2s_ad.frontend.iteration import static_items
from s2s_ad.frontend.memory import expanded, extent
from s2s_ad.frontend.reductions import axis_of
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.shaping import need_array
from s2s_ad.frontend.subscripts import Slice, get
from s2s_ad.frontend.values import View

ALL = Slice(None, None, None)


@handles(np.take, method="take")
def take(cx: Context, a: Any, indices: Any, axis: Any = None) -> Any:
    x, at = need_array(cx, a, "np.take"), ar.as_array(cx, indices)
    if axis is None and x.type.ndim != 1:
        cx.fail(UnsupportedCallError, "np.take of several axes needs axis=", "index the array")
    position = axis_of(cx, 0 if axis is None else axis, x.type.ndim)
    return get(cx, x, [ALL] * position + [at])


@handles(np.roll)
def roll(cx: Context, a: Any, shift: Any, axis: Any = None) -> Any:
    x = need_array(cx, a, "np.roll")
    if axis is None and x.type.ndim != 1:
        cx.fail(UnsupportedCallError, "np.roll of several axes needs axis=")
    position = axis_of(cx, 0 if axis is None else axis, x.type.ndim)
    n = extent(cx, x, position)
    moved = ar.binary(cx, "mod", ar.binary(cx, "sub", iota(cx, n), shift), n)
    return get(cx, x, [ALL] * position + [moved])


@handles(np.round, method="round")
def round_(cx: Context, a: Any, decimals: Any = 0) -> Any:
    """As NumPy does it: the nearest even integer of a multiple, divided again."""
    x = ar.as_array(cx, a)
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
        x = need_array(cx, m, "a triangle")
        rows, columns = (
            iota(cx, extent(cx, x, axis)) for axis in (x.type.ndim - 2, x.type.ndim - 1)
        )
        edge = ar.binary(cx, "add", expanded(cx, rows, (1,)), k)
        kept = ar.binary(cx, prim, expanded(cx, columns, (0,)), edge)
        return where(cx, kept, x, 0)

    handles(fn)(handler)


_triangle(np.tril, "le")
_triangle(np.triu, "ge")


@handles(np.polyval)
def polyval(cx: Context, p: Any, x: Any) -> Any:
    """Horner's scheme; the number of coefficients must be known."""
    x = ar.as_array(cx, x)
    total: Any = ar.binary(cx, "mul", x, 0)
    for coefficient in static_items(cx, p):
        total = ar.binary(cx, "add", ar.binary(cx, "mul", total, x), coefficient)
    return total


@handles(np.nan_to_num)
def nan_to_num(cx: Context, x: Any, nan: Any = 0.0) -> Any:
    """NaN becomes `nan`, infinities the largest numbers of the dtype."""
    value = need_array(cx, x, "np.nan_to_num")
    limits = np.finfo(np.float32 if value.type.dtype == "f32" else np.float64)
    low, high = float(limits.min), float(limits.max)
    kept = where(cx, _is(cx, "isnan", value), nan, value)
    kept = where(cx, ar.binary(cx, "gt", kept, high), high, kept)
    return where(cx, ar.binary(cx, "lt", kept, low), low, kept)


def _is(cx: Context, prim: str, value: View) -> Any:
    return ar.elementwise(cx, prim, [value], value.type.dtype)
