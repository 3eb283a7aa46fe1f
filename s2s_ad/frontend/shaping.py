"""Functions that change shapes: views where NumPy gives views, new arrays elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.creation import copied
from s2s_ad.frontend.errors import ShapeError, StaticValueError, UnsupportedTypeError
from s2s_ad.frontend.iteration import static_items
from s2s_ad.frontend.memory import FULL, contiguous, expanded, extent, read, subview, transposed
from s2s_ad.frontend.reductions import axes_of, axis_of, need_array
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.subscripts import flat, flattening
from s2s_ad.frontend.values import Reshape, Sub, View, is_array
from s2s_ad.ir.core import Lit
from s2s_ad.ir.subscript import Axis
from s2s_ad.ir.types import Dim, Type


@handles(method="reshape")
def reshape_method(cx: Context, x: Any, *shape: Any) -> Any:
    return reshape(cx, x, shape[0] if len(shape) == 1 else tuple(shape))


@handles(np.reshape)
def reshape(cx: Context, a: Any, shape: Any) -> Any:
    x = need_array(cx, a, "reshape")
    items = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    items = [i.value if isinstance(i, Lit) else i for i in items]
    step = flattening(cx, x) if items == [-1] else _reshaping(cx, x, items)
    if not step.shape:
        cx.fail(ShapeError, "an array without axes is not supported", "use .item()")
    return reshaped(cx, x, step)


def reshaped(cx: Context, x: View, step: Reshape) -> View:
    """A view where the memory is contiguous; else a copy, of which NumPy may make a view: a later
    write to one makes reads of the other an error."""
    if contiguous(x):
        return subview(cx, x, step)
    source = copied(cx, x)
    cx.link_part(source.cell, x)
    return subview(cx, source, step)


def _reshaping(cx: Context, x: View, items: Sequence[Any]) -> Reshape:
    if sum(1 for i in items if i == -1) > 1:
        cx.fail(ShapeError, "only one extent of a reshape can be -1")
    total: Any = 1
    for a in range(x.type.ndim):
        total = ar.binary(cx, "mul", total, extent(cx, x, a))
    rest: Any = 1
    for i in items:
        rest = (
            rest if i is not None and type(i) is int and i == -1 else ar.binary(cx, "mul", rest, i)
        )
    if -1 in [i for i in items if type(i) is int]:
        if type(total) is int and type(rest) is int and (rest == 0 or total % rest):
            cx.fail(ShapeError, f"an array of {total} elements cannot be reshaped")
        whole = ar.binary(cx, "floordiv", total, rest)
        items = [whole if type(i) is int and i == -1 else i for i in items]
        rest = ar.binary(cx, "mul", rest, whole)
    _same_size(cx, x, total, rest, items)
    atoms = tuple(cx.index(i) for i in items)
    return Reshape(atoms, tuple(cx.dim_of_atom(a) for a in atoms))


def _same_size(cx: Context, x: View, total: Any, size: Any, items: Sequence[Any]) -> None:
    """Check that a reshape keeps the number of elements, where that is not plain."""
    if total is size:
        return
    if type(total) is int and type(size) is int:
        if total != size:
            cx.fail(ShapeError, f"an array of {total} elements cannot be reshaped to {items}")
        return
    dims = sorted(str(cx.state.facts.find(d)) for d in x.type.shape if d != 1)
    new = sorted(str(cx.state.facts.find(cx.dim_of_atom(cx.index(i)))) for i in items if i != 1)
    if dims == new:
        return
    same = cx.emit("eq", cx.index(total), cx.index(size), name="same")
    cx.check(same, "ValueError", f"{ar.shape_text(x)} cannot be reshaped: the sizes differ")


@handles(np.ravel, method="ravel")
def ravel(cx: Context, a: Any) -> Any:
    x = need_array(cx, a, "ravel")
    return x if x.type.ndim == 1 else reshaped(cx, x, flattening(cx, x))


@handles(method="flatten")
def flatten(cx: Context, x: Any) -> Any:
    x = need_array(cx, x, "flatten")
    return copied(cx, x) if x.type.ndim == 1 else flat(cx, copied(cx, x))


@handles(np.transpose, method="transpose")
def transpose(cx: Context, a: Any, *axes: Any) -> Any:
    x = need_array(cx, a, "transpose")
    rank = x.type.ndim
    given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    if given is None or given == ():
        given = tuple(reversed(range(rank)))
    if not isinstance(given, (tuple, list)):
        cx.fail(StaticValueError, "the order of the axes must be a tuple that is known")
    perm = tuple(axis_of(cx, p, rank) for p in given)
    if sorted(perm) != list(range(rank)):
        cx.fail(ShapeError, f"{perm} is not an order of {rank} axes")
    return transposed(cx, x, perm)


@handles(np.swapaxes, method="swapaxes")
def swapaxes(cx: Context, a: Any, axis1: Any, axis2: Any) -> Any:
    x = need_array(cx, a, "swapaxes")
    perm = list(range(x.type.ndim))
    i, j = (axis_of(cx, k, x.type.ndim) for k in (axis1, axis2))
    perm[i], perm[j] = perm[j], perm[i]
    return transposed(cx, x, tuple(perm))


@handles(np.expand_dims)
def expand_dims(cx: Context, a: Any, axis: Any) -> Any:
    x = need_array(cx, a, "expand_dims")
    axes = axis if isinstance(axis, tuple) else (axis,)
    rank = x.type.ndim + len(axes)
    return expanded(cx, x, tuple(axis_of(cx, k, rank) for k in axes))


@handles(np.squeeze, method="squeeze")
def squeeze(cx: Context, a: Any, axis: Any = None) -> Any:
    x = need_array(cx, a, "squeeze")
    ones = tuple(k for k, d in enumerate(x.type.shape) if d == 1)
    axes = ones if axis is None else axes_of(cx, axis, x.type.ndim)
    for k in sorted(set(axes) - set(ones)):
        one = cx.emit("eq", cx.index(extent(cx, x, k)), cx.index(1), name="one")
        cx.check(one, "ValueError", f"squeeze of axis {k} of {ar.shape_text(x)}, which is not 1")
    rank, zero = x.type.ndim, Lit(0, cx.index(0).type)
    place = tuple(Axis("index", zero) if k in axes else FULL for k in range(rank))
    found = subview(cx, x, Sub(place, tuple(range(rank - len(axes)))))
    return found if found.type.is_array else read(cx, found)


@handles(np.broadcast_to)
def broadcast_to(cx: Context, array: Any, shape: Any) -> Any:
    from s2s_ad.frontend.creation import extents, filled

    x = ar.as_array(cx, array)
    if not is_array(x):
        return filled(cx, shape, x, ar.dtype_of(cx, x)[0])
    atoms, dims = extents(cx, shape)
    if len(dims) < x.type.ndim:
        cx.fail(ShapeError, f"{x.type} cannot be broadcast to fewer axes")
    axes = tuple(range(len(dims) - x.type.ndim, len(dims)))
    target = cx.fresh(cx.emit("empty", *atoms, type=Type(x.type.dtype, dims), dtype=x.type.dtype))
    for k, dim in enumerate(x.type.shape):
        if dim != 1:
            ar.match(cx, x, k, target, axes[k], "array and shape")
    kind = Type(x.type.dtype, dims)
    out = cx.fresh(cx.emit("broadcast", read(cx, x), *atoms, type=kind, axes=axes))
    cx.link_part(out.cell, x)
    return out


@handles(np.flipud)
def flipud(cx: Context, m: Any) -> Any:
    return flip(cx, m, 0)


@handles(np.fliplr)
def fliplr(cx: Context, m: Any) -> Any:
    return flip(cx, m, 1)


@handles(np.flip)
def flip(cx: Context, m: Any, axis: Any = None) -> Any:
    x = need_array(cx, m, "flip")
    axes = axes_of(cx, axis, x.type.ndim)
    back = Axis("slice", None, None, Lit(-1, cx.index(0).type))
    place = tuple(back if k in axes else FULL for k in range(x.type.ndim))
    return subview(cx, x, Sub(place, tuple(range(x.type.ndim))))


# --- joining -------------------------------------------------------------------------------------


def parts_of(cx: Context, value: Any, what: str) -> list[Any]:
    """The arrays of a sequence, in one dtype's company."""
    if not isinstance(value, (tuple, list)) and not is_array(value):
        cx.fail(UnsupportedTypeError, f"{what} takes a tuple or list of arrays")
    parts = [ar.as_array(cx, v) for v in static_items(cx, value)]
    if not parts:
        cx.fail(ShapeError, f"{what} of nothing")
    return parts


@handles(np.concatenate)
def concatenate(cx: Context, arrays: Any, axis: Any = 0) -> Any:
    if is_array(arrays) and arrays.type.ndim == 2 and axis == 0:
        return flat(cx, copied(cx, arrays))
    parts = [need_array(cx, p, "concatenate") for p in parts_of(cx, arrays, "concatenate")]
    rank = parts[0].type.ndim
    if any(p.type.ndim != rank for p in parts):
        cx.fail(ShapeError, "the arrays to concatenate have different numbers of axes")
    axis = axis_of(cx, axis, rank)
    for other in parts[1:]:
        for k in range(rank):
            if k != axis:
                ar.match(cx, parts[0], k, other, k, "the arrays to concatenate")
    dtype, _ = ar.result_dtype(cx, parts)
    shape: list[Dim] = [cx.state.facts.find(d) for d in parts[0].type.shape]
    sizes = [cx.state.facts.find(p.type.shape[axis]) for p in parts]
    known = all(isinstance(s, int) for s in sizes)
    shape[axis] = sum(sizes) if known else cx.derived(("sum", *sizes), "total")
    atoms = [ar.convert(cx, p, dtype) for p in parts]
    return cx.fresh(cx.emit("concatenate", *atoms, type=Type(dtype, tuple(shape)), axis=axis))


@handles(np.stack)
def stack(cx: Context, arrays: Any, axis: Any = 0) -> Any:
    if is_array(arrays) and not isinstance(arrays.type.shape[0], int):
        return rows_along(cx, arrays, axis_of(cx, axis, arrays.type.ndim))
    parts = parts_of(cx, arrays, "stack")
    rank = len(ar.shape_of(parts[0]))
    axis = axis_of(cx, axis, rank + 1)
    if axis == 0 or rank == 0:
        return ar.as_array(cx, parts)
    return rows_along(cx, ar.as_array(cx, parts), axis)


def rows_along(cx: Context, rows: View, axis: int) -> View:
    """A copy of `rows` with its first axis at `axis`."""
    order = list(range(1, rows.type.ndim))
    order.insert(axis, 0)
    return copied(cx, transposed(cx, rows, tuple(order)))


@handles(np.vstack)
def vstack(cx: Context, tup: Any) -> Any:
    if is_array(tup) and tup.type.ndim == 2:
        return copied(cx, tup)
    parts = parts_of(cx, tup, "vstack")
    rows = [expanded(cx, p, (0,)) if len(ar.shape_of(p)) == 1 else p for p in parts]
    return concatenate(cx, rows, 0)


@handles(np.hstack)
def hstack(cx: Context, tup: Any) -> Any:
    if is_array(tup) and tup.type.ndim == 2:
        return concatenate(cx, tup)
    parts = [p if is_array(p) else ar.as_array(cx, [p]) for p in parts_of(cx, tup, "hstack")]
    return concatenate(cx, parts, 0 if parts[0].type.ndim == 1 else 1)


@handles(np.column_stack)
def column_stack(cx: Context, tup: Any) -> Any:
    if is_array(tup) and tup.type.ndim == 2:
        return rows_along(cx, tup, 1)
    parts = parts_of(cx, tup, "column_stack")
    columns = [expanded(cx, p, (1,)) if len(ar.shape_of(p)) == 1 else p for p in parts]
    return concatenate(cx, columns, 1)


@handles(np.diff)
def diff(cx: Context, a: Any) -> Any:
    from s2s_ad.frontend.subscripts import Slice, get

    x = need_array(cx, a, "diff")
    if x.type.ndim != 1:
        cx.fail(StaticValueError, "np.diff takes an array with one axis")
    if x.type.dtype == "bool":
        cx.fail(UnsupportedTypeError, "np.diff of a boolean array", "use x[1:] != x[:-1]")
    later, earlier = get(cx, x, [Slice(1, None, None)]), get(cx, x, [Slice(None, -1, None)])
    return ar.binary(cx, "sub", later, earlier)
