"""Whole arrays that compiled functions fill and copy, compiled quickly.

    y[:] = 0.0                                 ──▶        put(y, 0.0)
    y[:] = x                                              put(y, x)
    z = x.copy()                                          z = new_copy(x)
    t = np.concatenate((t, np.empty(k)))                  t = grown(t, k)

To numba an assignment to a slice may broadcast and may fail, and it makes the message for that in
compiled code: the first one in a program costs two seconds to compile, with all that turns numbers
into text, and each one 0.05 s. What is copied here is known to have the right shape. Contiguous
arrays are copied as memory, any others as numba does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import lower_builtin, type_callable

from s2s_ad.backend.memory import allocated

_WORD, _POINTER = cgutils.intp_t, cgutils.voidptr_t


def put(a: np.ndarray, value: Any) -> None:
    """`a[:] = value`, for a number, or for an array of the same shape and dtype.

    >>> a = np.empty(2)
    >>> put(a, 3.0)
    >>> a
    array([3., 3.])
    """
    a[:] = value


def new_copy(a: np.ndarray) -> np.ndarray:
    """`a.copy()`.

    >>> new_copy(np.arange(3))
    array([0, 1, 2])
    """
    return a.copy()


def grown(a: np.ndarray, more: int) -> np.ndarray:
    """`a` with room for so many more rows behind its own, which hold anything.

    >>> grown(np.zeros((2, 3)), 4).shape
    (6, 3)
    """
    return np.concatenate((a, np.empty((more, *a.shape[1:]), dtype=a.dtype)))


# --- what numba makes of them --------------------------------------------------------------------


@type_callable(put)
def _(context: Any) -> Callable[..., Any]:
    def typer(a: Any, value: Any) -> Any:
        number = isinstance(value, (types.Number, types.Boolean))
        array = isinstance(value, types.Array) and isinstance(a, types.Array)
        same = array and (a.ndim, a.dtype) == (value.ndim, value.dtype)
        return types.none if isinstance(a, types.Array) and a.mutable and (number or same) else None

    return typer


@type_callable(new_copy)
def _(context: Any) -> Callable[..., Any]:
    return _own


@type_callable(grown)
def _(context: Any) -> Callable[..., Any]:
    return lambda a, more: _own(a) if isinstance(more, types.Integer) else None


def _own(kind: Any) -> types.Array | None:
    """The type of an array like this one that is made here."""
    return types.Array(kind.dtype, kind.ndim, "C") if _is_array(kind) else None


def _is_array(kind: Any) -> bool:
    return isinstance(kind, types.Array)


@lower_builtin(put, types.Array, types.Any)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    kind, given = signature.args
    array, value = _struct(context, builder, kind, args[0]), args[1]
    if _is_array(given) and (kind.layout, given.layout) == ("C", "C"):
        source = _struct(context, builder, given, value)
        _move(builder, array, source, array.nitems)
        return context.get_dummy_value()
    if _is_array(given):
        assign = _assigned_in_place
        return context.compile_internal(builder, assign, types.none(kind, given), args)
    value = context.cast(builder, value, given, kind.dtype)
    value = context.get_value_as_data(builder, kind.dtype, value)
    if kind.layout == "C":
        with cgutils.for_range(builder, array.nitems) as loop:
            builder.store(value, builder.gep(array.data, [loop.index]))
        return context.get_dummy_value()
    shape = cgutils.unpack_tuple(builder, array.shape)
    strides = cgutils.unpack_tuple(builder, array.strides)
    with cgutils.loop_nest(builder, shape, _WORD) as indices:
        place = _place(builder, array.data, strides, indices)
        builder.store(value, place, align=1 if not kind.aligned else None)
    return context.get_dummy_value()


def _assigned_in_place(a: np.ndarray, value: np.ndarray) -> None:
    a[...] = value


@lower_builtin(new_copy, types.Array)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    kind = signature.args[0]
    if kind.layout != "C":
        return context.compile_internal(builder, _copied, signature, args)
    source = _struct(context, builder, kind, args[0])
    extents = cgutils.unpack_tuple(builder, source.shape)
    made = allocated(context, builder, signature.return_type, extents)
    _move(builder, made, source, source.nitems)
    return impl_ret_new_ref(context, builder, signature.return_type, made._getvalue())


def _copied(a: np.ndarray) -> np.ndarray:
    return a.copy()


@lower_builtin(grown, types.Array, types.Integer)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    kind, integer = signature.args
    source = _struct(context, builder, kind, args[0])
    rows, *rest = cgutils.unpack_tuple(builder, source.shape)
    more = context.cast(builder, args[1], integer, types.intp)
    made = allocated(context, builder, signature.return_type, [builder.add(rows, more), *rest])
    _move(builder, made, source, source.nitems)
    return impl_ret_new_ref(context, builder, signature.return_type, made._getvalue())


def _struct(context: Any, builder: ir.IRBuilder, kind: types.Array, value: ir.Value) -> Any:
    from numba.np.arrayobj import make_array  # a cached function does not need it

    return make_array(kind)(context, builder, value)


def _move(builder: ir.IRBuilder, target: Any, source: Any, count: ir.Value) -> None:
    """memmove of so many elements."""
    data = [builder.bitcast(a.data, _POINTER) for a in (target, source)]
    size = builder.mul(count, target.itemsize)
    move = builder.module.declare_intrinsic("llvm.memmove", [_POINTER, _POINTER, _WORD])
    builder.call(move, [*data, size, ir.IntType(1)(0)])


def _place(
    builder: ir.IRBuilder, data: ir.Value, strides: Sequence[ir.Value], indices: Sequence[ir.Value]
) -> ir.Value:
    offset: ir.Value = _WORD(0)
    for stride, index in zip(strides, indices):
        offset = builder.add(offset, builder.mul(stride, index))
    address = builder.gep(builder.bitcast(data, _POINTER), [offset])
    return builder.bitcast(address, data.type)
