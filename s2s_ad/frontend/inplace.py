"""NumPy functions that write into an array: np.copyto, np.put, np.add.at, np.fill_diagonal, …, and
the `out=` argument of all the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.creation import iota
from s2s_ad.frontend.elementary import where as choose
from s2s_ad.frontend.errors import (
    ShapeError,
    StaticValueError,
    UnsupportedCallError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.heap import is_list
from s2s_ad.frontend.memory import expanded, extent
from s2s_ad.frontend.reductions import axis_of
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.shaping import need_array
from s2s_ad.frontend.subscripts import flat, flat_place, get, place, put
from s2s_ad.frontend.values import View, describe, is_array, is_scalar
from s2s_ad.ir.types import Type


def target(cx: Context, a: Any, what: str) -> View:
    if not is_array(a):
        cx.fail(UnsupportedTypeError, f"{what} writes into an array, not into {describe(a)}")
    return a


@handles(np.copyto)
def copyto(cx: Context, dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    x = target(cx, dst, "np.copyto")
    src = ar.as_array(cx, src)
    if casting != "same_kind":
        cx.fail(UnsupportedCallError, "np.copyto with casting= is not supported")
    castable(cx, x, src, "np.copyto")
    put(cx, x, src if where is True else choose(cx, where, src, x))


@handles(method="fill")
def fill(cx: Context, x: Any, value: Any) -> None:
    if not is_scalar(ar.as_array(cx, value)):
        cx.fail(UnsupportedTypeError, f".fill takes a number, not {describe(value)}")
    put(cx, target(cx, x, ".fill"), value)


@handles(np.put)
def put_flat(cx: Context, a: Any, ind: Any, v: Any) -> None:
    """The values must be as many as the indices, or one: NumPy would repeat them."""
    put(cx, place(cx, flat_place(cx, target(cx, a, "np.put"), "np.put"), [ar.as_array(cx, ind)]), v)


def _along_axis(cx: Context, a: Any, indices: Any, axis: Any, what: str) -> tuple[View, list]:
    """The subscript that `indices` along one axis stands for."""
    x, at = target(cx, a, what), need_array(cx, indices, what)
    if axis is None:
        return flat(cx, x) if what == "np.take_along_axis" else flat_place(cx, x, what), [at]
    position = axis_of(cx, axis, x.type.ndim)
    if at.type.ndim != x.type.ndim:
        cx.fail(ShapeError, f"{what}: {at.type} for {x.type}", "give both the same number of axes")
    items: list[Any] = []
    for k in range(x.type.ndim):
        others = tuple(j for j in range(x.type.ndim) if j != k)
        items.append(at if k == position else expanded(cx, iota(cx, extent(cx, x, k)), others))
    return x, items


@handles(np.take_along_axis)
def take_along_axis(cx: Context, arr: Any, indices: Any, axis: Any) -> Any:
    return get(cx, *_along_axis(cx, arr, indices, axis, "np.take_along_axis"))


@handles(np.put_along_axis)
def put_along_axis(cx: Context, arr: Any, indices: Any, values: Any, axis: Any) -> None:
    put(cx, place(cx, *_along_axis(cx, arr, indices, axis, "np.put_along_axis")), values)


def _diagonal_indices(cx: Context, x: View) -> View:
    sizes = (extent(cx, x, 0), extent(cx, x, 1))
    if cx.state.facts.equal(*x.type.shape):
        return iota(cx, sizes[0])
    return iota(cx, ar.elementwise(cx, "minimum", sizes, "i64", weak=True))


@handles(np.fill_diagonal)
def fill_diagonal(cx: Context, a: Any, val: Any) -> None:
    x = target(cx, a, "np.fill_diagonal")
    if x.type.ndim != 2:
        cx.fail(ShapeError, f"np.fill_diagonal of {x.type}", "the array must have two axes")
    where = _diagonal_indices(cx, x)
    put(cx, place(cx, x, [where, where]), val)


@handles(np.diag_indices)
def diag_indices(cx: Context, n: Any, ndim: Any = 2) -> Any:
    if type(ndim) is not int:
        cx.fail(StaticValueError, "the number of axes must be known when compiling")
    return (iota(cx, n),) * ndim


@handles(np.diag_indices_from)
def diag_indices_from(cx: Context, arr: Any) -> Any:
    x = need_array(cx, arr, "np.diag_indices_from")
    for axis in range(1, x.type.ndim):
        ar.match(cx, x, 0, x, axis, "the axes of a square array")
    return (iota(cx, extent(cx, x, 0)),) * x.type.ndim


# --- ufunc.at ------------------------------------------------------------------------------------


def accumulate(cx: Context, a: Any, indices: Any, b: Any) -> None:
    items = list(indices) if isinstance(indices, tuple) else [indices]
    items = [ar.as_array(cx, i) if isinstance(i, list) or is_list(i) else i for i in items]
    castable(cx, target(cx, a, "np.add.at"), ar.as_array(cx, b), "np.add.at")
    put(cx, place(cx, a, items), b, "accum")


@handles(np.add.at)
def add_at(cx: Context, a: Any, indices: Any, b: Any) -> None:
    """`np.add.at`: duplicates add up."""
    accumulate(cx, a, indices, b)


@handles(np.subtract.at)
def subtract_at(cx: Context, a: Any, indices: Any, b: Any) -> None:
    accumulate(cx, a, indices, ar.negate(cx, ar.as_array(cx, b)))


def _refused_at(ufunc: np.ufunc) -> None:
    def handler(cx: Context, a: Any, indices: Any, b: Any = None) -> None:
        cx.fail(
            UnsupportedCallError,
            f"np.{ufunc.__name__}.at is not supported",
            "write it as a loop over the indices: for k in range(len(idx)): a[idx[k]] = …",
        )

    handles(ufunc.at)(handler)


for _ufunc in (np.maximum, np.minimum, np.multiply, np.divide, np.power, np.negative):
    _refused_at(_ufunc)


# --- out= ----------------------------------------------------------------------------------------

#: Functions, other than ufuncs, and methods that take `out`.
WITH_OUT = frozenset(
    "dot matmul sum prod cumsum cumprod clip mean var std max min amax amin any all argmax argmin "
    "take concatenate stack outer round ptp".split()
)

Call = Callable[[Sequence[Any], Mapping[str, Any]], Any]


def with_out(
    cx: Context, fn: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], invoke: Call
) -> Any:
    """`fn(*args, **kwargs)`, where `out` may say where the result goes: it is computed, and then
    stored there; the value is `out` itself. `invoke` calls `fn` without it."""
    ufunc = isinstance(fn, np.ufunc)
    operands = fn.nin if ufunc else len(args)  # after these, a ufunc takes its `out`
    out = kwargs.get("out", args[operands] if len(args) == operands + 1 else None)
    if "out" not in kwargs and out is None or not (ufunc or name in WITH_OUT):
        return invoke(args, kwargs)
    value = invoke(args[:operands], {k: v for k, v in kwargs.items() if k != "out"})
    out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
    if out is None:
        return value
    place_, value = target(cx, out, f"{name}(out=…)"), ar.as_array(cx, value)
    _fits(cx, place_, value, name, ufunc)
    put(cx, place_, value)
    return place_


def _fits(cx: Context, out: View, value: Any, name: str, ufunc: bool) -> None:
    """What NumPy asks of an `out`: that the result can be cast to its dtype, and its shape; that of
    a ufunc may be larger."""
    castable(cx, out, value, f"{name}(out=…)")
    kind = value.type if is_array(value) else Type(ar.dtype_of(cx, value)[0])
    if kind.ndim > out.type.ndim or (not ufunc and kind.ndim != out.type.ndim):
        cx.fail(ShapeError, f"{name}: an out {out.type} for a result {kind}")
    if ufunc:
        return
    if kind.dtype != out.type.dtype:
        cx.fail(UnsupportedTypeError, f"{name}: an out {out.type} for a result {kind}")
    for axis in range(kind.ndim):
        ar.match(cx, out, axis, value, axis, "out and result")


def castable(cx: Context, out: View, value: Any, what: str) -> None:
    dtype, _ = ar.dtype_of(cx, value)
    if ar.KIND[dtype] > ar.KIND[out.type.dtype]:
        cx.fail(
            UnsupportedTypeError,
            f"{what}: {dtype} cannot be put into an array of {out.type.dtype}",
            "convert it with .astype first",
        )
