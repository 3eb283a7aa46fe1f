"""Reductions and scans: np.sum, np.mean, np.max, np.cumsum and their kin, and the methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import (
    ShapeError,
    StaticValueError,
    UnsupportedCallError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.facts import split_dim
from s2s_ad.frontend.memory import extent
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.values import View, describe, is_array, is_atom
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import Lit
from s2s_ad.ir.types import Type


def need_array(cx: Context, x: Any, what: str) -> View:
    x = ar.as_array(cx, x)
    if not is_array(x):
        cx.fail(UnsupportedTypeError, f"{what} takes an array, not {describe(x)}")
    return x


def axis_of(cx: Context, axis: Any, rank: int) -> int:
    """A known axis, counted from the front."""
    axis = axis.value if isinstance(axis, Lit) else axis
    if type(axis) is not int:
        cx.fail(StaticValueError, "the axis must be known when compiling", "pass it as static=")
    if not -rank <= axis < rank:
        cx.fail(ShapeError, f"axis {axis} of an array with {rank} axes")
    return axis % rank


def axes_of(cx: Context, axis: Any, rank: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(rank))
    if type(axis) is tuple:
        return tuple(sorted(axis_of(cx, a, rank) for a in axis))
    return (axis_of(cx, axis, rank),)


def reduce(cx: Context, prim: str, x: Any, axis: Any, keepdims: Any, dtype: str) -> Any:
    """A reduction of an array; of a number it is the number."""
    x = ar.as_array(cx, x)
    if not is_array(x):
        return ar.convert(cx, x, dtype) if is_atom(x) else x
    axes, keep = axes_of(cx, axis, x.type.ndim), bool(keepdims)
    shape = tuple(
        1 if a in axes else d for a, d in enumerate(x.type.shape) if keep or a not in axes
    )
    out = "bool" if prim in ("any", "all") else "i64" if prim.startswith("arg") else dtype
    atom = ar.convert(cx, x, dtype)
    return cx.fresh(cx.emit(prim, atom, type=Type(out, shape), axes=axes, keepdims=keep))


def _summed(cx: Context, x: Any) -> str:
    """The dtype in which NumPy sums: small integers and bools become i64."""
    dtype, _ = ar.dtype_of(cx, ar.as_array(cx, x))
    return "i64" if ar.KIND[dtype] < 2 else dtype


@handles(np.sum, method="sum")
def reduce_sum(cx: Context, a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    a = ar.as_array(cx, a)
    return reduce(cx, "sum", a, axis, keepdims, _summed(cx, a))


@handles(np.prod, method="prod")
def prod(cx: Context, a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    a = ar.as_array(cx, a)
    return reduce(cx, "prod", a, axis, keepdims, _summed(cx, a))


def _extreme(prim: str) -> Any:
    def handler(cx: Context, a: Any, axis: Any = None, keepdims: Any = False) -> Any:
        a = ar.as_array(cx, a)
        not_empty(cx, a, axis)
        return reduce(cx, prim, a, axis, keepdims, ar.dtype_of(cx, a)[0])

    return handler


handles(np.max, np.amax, method="max")(_extreme("reduce_max"))
handles(np.min, np.amin, method="min")(_extreme("reduce_min"))


def not_empty(cx: Context, x: Any, axis: Any) -> None:
    """Check, once for each extent, that an array to take the maximum of has elements."""
    if not is_array(x):
        return
    for a in axes_of(cx, axis, x.type.ndim):
        dim = cx.state.facts.find(x.type.shape[a])
        if dim in cx.state.facts.positive or (isinstance(dim, int) and dim > 0):
            continue
        if dim == 0:
            cx.fail(ShapeError, "the maximum or minimum of an array without elements")
        n = cx.index(extent(cx, x, a))
        fine = cx.emit("gt", n, i64(0), name="some")
        message = f"zero-size array {x.cell.name!r} to a reduction that has no identity"
        cx.check(fine, "ValueError", message)
        cx.state.facts.positive.add(dim)
        if isinstance(dim, str):
            cx.state.facts.positive.add(split_dim(dim)[0])


def _argument(prim: str) -> Any:
    def handler(cx: Context, a: Any, axis: Any = None) -> Any:
        from s2s_ad.frontend.subscripts import flat

        a = need_array(cx, a, "argmax")
        not_empty(cx, a, axis)
        if axis is None:
            a, axis = flat(cx, a), 0
        return reduce(cx, prim, a, axis, False, ar.dtype_of(cx, a)[0])

    return handler


handles(np.argmax, method="argmax")(_argument("argmax"))
handles(np.argmin, method="argmin")(_argument("argmin"))


def _logical(prim: str) -> Any:
    def handler(cx: Context, a: Any, axis: Any = None, keepdims: Any = False) -> Any:
        a = ar.as_array(cx, a)
        if ar.dtype_of(cx, a)[0] != "bool":
            a = ar.binary(cx, "ne", a, 0)
        return reduce(cx, prim, a, axis, keepdims, "bool")

    return handler


handles(np.any, method="any")(_logical("any"))
handles(np.all, method="all")(_logical("all"))


def count(cx: Context, x: Any, axis: Any) -> Any:
    """The number of elements that a reduction over `axis` takes together."""
    total: Any = 1
    for a in axes_of(cx, axis, x.type.ndim) if is_array(x) else ():
        total = ar.binary(cx, "mul", total, extent(cx, x, a))
    return total


@handles(np.mean, method="mean")
def mean(cx: Context, a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    a = ar.as_array(cx, a)
    dtype, _ = ar.dtype_of(cx, a)
    total = reduce(cx, "sum", a, axis, keepdims, dtype if ar.KIND[dtype] >= 2 else "f64")
    return ar.binary(cx, "div", total, count(cx, a, axis))


@handles(np.var, method="var")
def var(cx: Context, a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Any:
    a = ar.as_array(cx, a)
    if ar.dtype_of(cx, a)[0] in ("c64", "c128"):
        cx.fail(UnsupportedCallError, "np.var and np.std of complex arrays are not supported")
    off = ar.binary(cx, "sub", a, mean(cx, a, axis, keepdims=True))
    total = reduce_sum(cx, ar.binary(cx, "mul", off, off), axis, keepdims)
    return ar.binary(cx, "div", total, ar.binary(cx, "sub", count(cx, a, axis), ddof))


@handles(np.std, method="std")
def std(cx: Context, a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Any:
    return ar.unary_float(cx, "sqrt", var(cx, a, axis, ddof, keepdims))


@handles(np.cumsum, method="cumsum")
def cumsum(cx: Context, a: Any, axis: Any = None) -> Any:
    from s2s_ad.frontend.subscripts import flat

    a = need_array(cx, a, "cumsum")
    if axis is None:
        a, axis = flat(cx, a), 0
    axis = axis_of(cx, axis, a.type.ndim)
    atom = ar.convert(cx, a, _summed(cx, a))
    return cx.fresh(cx.emit("cumsum", atom, axis=axis, reverse=False))


@handles(np.ptp)
def ptp(cx: Context, a: Any, axis: Any = None) -> Any:
    from s2s_ad.frontend.registry import FUNCTIONS

    return ar.binary(cx, "sub", FUNCTIONS[np.max](cx, a, axis), FUNCTIONS[np.min](cx, a, axis))


@handles(np.average)
def average(cx: Context, a: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return mean(cx, a, axis)
    total = reduce_sum(cx, ar.binary(cx, "mul", a, weights), axis)
    return ar.binary(cx, "div", total, reduce_sum(cx, weights, axis))


@handles(np.count_nonzero)
def count_nonzero(cx: Context, a: Any, axis: Any = None) -> Any:
    a = ar.as_array(cx, a)
    return reduce_sum(cx, ar.binary(cx, "ne", a, 0), axis)
