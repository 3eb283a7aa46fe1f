"""Arrays that compiled functions make: quickly compiled, and in memory whose pages are there.

    t = np.empty((n, m))        ──▶        t = new_empty((n, m))

`new_empty`, `new_zeros` and `new_full` are NumPy's functions, but lowered here. numba's own cost
more, in two ways.

To compile: each `np.empty` is a function that numba compiles, with others inside, for every kind of
shape, and all of them are inlined into the caller; some 0.07 s for each array. Here an array is a
call of `_allocate`, a function that a module has once.

To run: a gradient makes arrays, and gives them back when it returns. By default the C library gives
them to the system, so the next call meets pages that are not there: the first write to each costs
more than all the arithmetic on it (logsumexp of 80,000 numbers: three quarters of the time).

    free(mmapped block)     glibc learns from it: blocks up to this size come from the heap from now
                            on, and up to twice as much stays there when it is free

So one block of the greatest size that it learns from, which is never touched, is made and freed.
Any program that has once freed an array of 32 MB has come to the same. And since nothing is left to
learn, it may be told that four times as much as that may stay, where the user has not set it.

Larger blocks always come from the system. For these the functions here ask for pages of 2 MB, as
NumPy does for its own arrays, and numba does not.

Arrays that change places, as in a double buffer, are `apart`, so that LLVM vectorises what reads
one and writes the other:

    for step in range(n):
        … B[i, j] = A[i, j - 1] + A[i, j + 1] …
        A, B = apart(B), apart(A)

It sees that each of the names may stand for either piece of memory, takes both for one object, and
then neither proves that the writes do not meet the reads nor asks when running. Of a pointer whose
origin it does not know it asks.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.core.typing.npydecl import parse_dtype
from numba.extending import lower_builtin, type_callable

#: glibc's DEFAULT_MMAP_THRESHOLD_MAX on 64 bits.
LARGE = 32 * 2**20
#: How much freed memory stays, and glibc's number of this parameter.
KEPT, _TRIM_THRESHOLD = 256 * 2**20, -1
_PAGE, _LINE = 4096, 64  # bytes of a page, and of a line of the cache
_MANY = 2**58  # more elements than fit anywhere
_MADV_HUGEPAGE = 14
_WORD, _POINTER = cgutils.intp_t, cgutils.voidptr_t


@cache
def keep_freed_memory() -> None:
    """From now on up to 256 MB of freed memory stay with the process, in blocks of up to 32 MB,
    where glibc is the C library; elsewhere nothing happens. A process does it once, before it
    compiles its first function. Where the environment says how much may stay
    (MALLOC_TRIM_THRESHOLD_, GLIBC_TUNABLES), that holds.

    >>> keep_freed_memory()
    """
    if platform.libc_ver()[0] == "glibc":
        np.empty(LARGE - 2 * _PAGE, dtype=np.uint8)  # with what surrounds it
        tunables = os.environ.get("GLIBC_TUNABLES", "")
        if "MALLOC_TRIM_THRESHOLD_" not in os.environ and "trim_threshold" not in tunables:
            ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, KEPT)


def new_empty(shape: Any, dtype: Any = np.float64) -> np.ndarray:
    """np.empty.

    >>> new_empty((2, 3)).shape
    (2, 3)
    """
    return np.empty(shape, dtype)


def new_zeros(shape: Any, dtype: Any = np.float64) -> np.ndarray:
    """np.zeros.

    >>> new_zeros(2)
    array([0., 0.])
    """
    return np.zeros(shape, dtype)


def new_full(shape: Any, value: Any) -> np.ndarray:
    """np.full.

    >>> new_full(2, 1)
    array([1, 1])
    """
    return np.full(shape, value)


def local_empty(rows: int, columns: int | None = None) -> np.ndarray:
    """np.empty, for a small array of known extents that does not leave the function that makes it
    (`backend.local`): it is on the stack.

    >>> local_empty(2, 3).shape
    (2, 3)
    """
    return np.empty(rows if columns is None else (rows, columns))


def local_zeros(rows: int, columns: int | None = None) -> np.ndarray:
    """np.zeros, on the stack.

    >>> local_zeros(2)
    array([0., 0.])
    """
    return np.zeros(rows if columns is None else (rows, columns))


# --- what numba makes of them --------------------------------------------------------------------


def allocated(
    context: Any,
    builder: ir.IRBuilder,
    kind: types.Array,
    extents: Sequence[ir.Value],
    clear: bool = False,
) -> Any:
    """A C-contiguous array of this type, as numba's struct. What the code does at run time: a
    ValueError where an extent is negative, a MemoryError where there is no room."""
    from numba.np.arrayobj import make_array, populate_array  # a cached function does not need it

    for extent in extents:
        # so LLVM knows that no address in the array wraps around, without which it compares no
        # ranges of memory, and does not vectorise (GradBench's lstm: 1.35 times the time)
        with builder.if_then(builder.icmp_unsigned(">=", extent, _WORD(_MANY)), likely=False):
            negative = builder.icmp_signed("<", extent, _WORD(0))
            with builder.if_then(negative, likely=False):
                message = "negative dimensions are not allowed"
                context.call_conv.return_user_exc(builder, ValueError, (message,))
            context.call_conv.return_user_exc(builder, MemoryError, ("no room for an array",))
    item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    align = max(_LINE, context.get_preferred_array_alignment(kind.dtype))
    allocate = _allocate(context, builder.module, len(extents))
    given = [_WORD(item), ir.IntType(32)(align), ir.IntType(1)(clear)]
    info = builder.call(allocate, [*extents, *given])
    cgutils.guard_memory_error(context, builder, info, "no room for an array")
    array = make_array(kind)(context, builder)
    data = _data(context, builder, info)
    strides = [_WORD(item)]
    for extent in reversed(extents[1:]):
        strides.insert(0, builder.mul(strides[0], extent, flags=["nsw"]))
    populate_array(
        array,
        data=builder.bitcast(data, context.get_data_type(kind.dtype).as_pointer()),
        shape=list(extents),
        strides=strides,
        itemsize=item,
        meminfo=info,
    )
    return array


def _data(context: Any, builder: ir.IRBuilder, info: ir.Value) -> ir.Value:
    """Where the elements are, as a place in the block that `info` is the start of. So LLVM knows
    that they are nobody else's: of the pointer that the block has in it, it does not."""
    data = context.nrt.meminfo_data(builder, info)
    places = [builder.ptrtoint(pointer, _WORD) for pointer in (data, info)]
    return builder.gep(info, [builder.sub(*places)])


def own_function(
    module: ir.Module, name: str, result: ir.Type, kinds: Sequence[ir.Type]
) -> ir.Function:
    """A function that `module` has once, whatever is linked with it, and that stays a function."""
    function = ir.Function(module, ir.FunctionType(result, kinds), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    return function


def _allocate(context: Any, module: ir.Module, ndim: int) -> ir.Function:
    """The function of `module` that gives memory for an array of so many extents, none of them
    negative: the address of numba's MemInfo, or null.

        size = extent * … * item                          # or null, where that is too large
        info = NRT_MemInfo_alloc_aligned(size, align)     # or null
        if size >= LARGE: madvise(its pages)
        if clear: memset(its data, 0, size)
    """
    name = f"s2s_ad_allocate_{ndim}"
    known = module.globals.get(name)
    if known is not None:
        return known
    kinds = [*[_WORD] * (ndim + 1), ir.IntType(32), ir.IntType(1)]
    function = own_function(module, name, _POINTER, kinds)
    function.return_value.add_attribute("noalias")  # it is nobody else's, as numba says of its own
    builder = ir.IRBuilder(function.append_basic_block())
    *factors, align, clear = function.args
    size: ir.Value = factors[-1]
    for extent in factors[:-1]:
        product = builder.smul_with_overflow(size, extent)
        size, too_large = (builder.extract_value(product, k) for k in (0, 1))
        with builder.if_then(too_large, likely=False):
            builder.ret(_POINTER(None))
    info = context.nrt.meminfo_alloc_aligned_unchecked(builder, size, align)
    with builder.if_then(cgutils.is_null(builder, info), likely=False):
        builder.ret(info)
    data = context.nrt.meminfo_data(builder, info)
    if sys.platform == "linux":
        _advise(builder, data, size)
    with builder.if_then(clear):
        cgutils.memset(builder, data, size, 0)
    builder.ret(info)
    return function


def apart(a: np.ndarray) -> np.ndarray:
    """`a`, and the compiler forgets where its memory comes from."""
    return a


def unaliased(names: str) -> None:
    """In a compiled function: no other name leads to the elements of these arrays, which are what
    it is given (`a`), or in tuples that it is given (`values.3`).

    >>> unaliased("a values.3")
    """


def _advise(builder: ir.IRBuilder, data: ir.Value, size: ir.Value) -> None:
    """madvise(the pages of a large array, MADV_HUGEPAGE); what it answers does not matter."""
    large = builder.icmp_unsigned(">=", size, _WORD(LARGE))
    with builder.if_then(large, likely=False):
        first = builder.ptrtoint(data, _WORD)
        start = builder.and_(first, _WORD(-_PAGE))
        length = builder.add(size, builder.sub(first, start))
        signature = ir.FunctionType(ir.IntType(32), [_WORD, _WORD, ir.IntType(32)])
        madvise = cgutils.get_or_insert_function(builder.module, signature, "madvise")
        builder.call(madvise, [start, length, ir.IntType(32)(_MADV_HUGEPAGE)])


def _extents(context: Any, builder: ir.IRBuilder, kind: Any, shape: ir.Value) -> list[ir.Value]:
    if not isinstance(kind, types.BaseTuple):
        return [context.cast(builder, shape, kind, types.intp)]
    items = cgutils.unpack_tuple(builder, shape, len(kind))
    return [context.cast(builder, item, k, types.intp) for item, k in zip(items, kind)]


def _array_type(shape: Any, scalar: Any) -> types.Array | None:
    kinds = tuple(shape) if isinstance(shape, types.BaseTuple) else (shape,)
    if scalar is None or not kinds or not all(isinstance(k, types.Integer) for k in kinds):
        return None
    return types.Array(scalar, len(kinds), "C")


@type_callable(new_empty)
@type_callable(new_zeros)
def _(context: Any) -> Callable[..., Any]:
    def typer(shape: Any, dtype: Any = None) -> Any:
        return _array_type(shape, types.float64 if dtype is None else parse_dtype(dtype))

    return typer


@type_callable(new_full)
def _(context: Any) -> Callable[..., Any]:
    return lambda shape, value: _array_type(shape, types.unliteral(value))


@lower_builtin(new_empty, types.Any)
@lower_builtin(new_empty, types.Any, types.Any)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    kind, extents = signature.return_type, _extents(context, builder, signature.args[0], args[0])
    made = allocated(context, builder, kind, extents)
    return impl_ret_new_ref(context, builder, kind, made._getvalue())


@lower_builtin(new_zeros, types.Any)
@lower_builtin(new_zeros, types.Any, types.Any)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    kind, extents = signature.return_type, _extents(context, builder, signature.args[0], args[0])
    made = allocated(context, builder, kind, extents, clear=True)
    return impl_ret_new_ref(context, builder, kind, made._getvalue())


@lower_builtin(new_full, types.Any, types.Any)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    kind, extents = signature.return_type, _extents(context, builder, signature.args[0], args[0])
    made = allocated(context, builder, kind, extents)
    value = context.cast(builder, args[1], signature.args[1], kind.dtype)
    value = context.get_value_as_data(builder, kind.dtype, value)
    with cgutils.for_range(builder, made.nitems) as loop:
        builder.store(value, builder.gep(made.data, [loop.index]))
    return impl_ret_new_ref(context, builder, kind, made._getvalue())


@type_callable(local_empty)
@type_callable(local_zeros)
def _(context: Any) -> Callable[..., Any]:
    def typer(rows: Any, columns: Any = None) -> Any:
        shape = [size for size in (rows, columns) if size is not None]
        known = all(isinstance(size, types.IntegerLiteral) for size in shape)
        return types.Array(types.float64, len(shape), "C") if known else None

    return typer


def _on_stack(
    context: Any, builder: ir.IRBuilder, signature: Any, args: Any, clear: bool = False
) -> Any:
    """An array whose memory is the function's, once for all iterations of a loop around it."""
    from numba.np.arrayobj import make_array, populate_array

    kind, extents = signature.return_type, [size.literal_value for size in signature.args]
    scalar = context.get_data_type(kind.dtype)
    item, count = context.get_abi_sizeof(scalar), math.prod(extents)
    memory = cgutils.alloca_once(builder, ir.ArrayType(scalar, count))
    if item * count >= _LINE:
        memory.align = _LINE  # what is read in vectors crosses no line
    if clear:
        cgutils.memset(builder, memory, _WORD(item * count), 0)
    array = make_array(kind)(context, builder)
    populate_array(
        array,
        data=builder.bitcast(memory, scalar.as_pointer()),
        shape=list(map(_WORD, extents)),
        strides=[_WORD(item * math.prod(extents[k + 1 :])) for k in range(len(extents))],
        itemsize=item,
        meminfo=None,  # nobody counts references to it
    )
    return array._getvalue()


for _axes in ([types.IntegerLiteral], [types.IntegerLiteral] * 2):
    lower_builtin(local_empty, *_axes)(_on_stack)
    lower_builtin(local_zeros, *_axes)(partial(_on_stack, clear=True))


@type_callable(apart)
def _(context: Any) -> Callable[..., Any]:
    return lambda a: a if isinstance(a, types.Array) else None


@lower_builtin(apart, types.Array)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    """The pointer goes through an empty piece of assembly, in whatever register it is."""
    from numba.np.arrayobj import make_array

    kind = signature.return_type
    array = make_array(kind)(context, builder, args[0])
    pointer = array.data.type
    nothing = ir.InlineAsm(ir.FunctionType(pointer, [pointer]), "", "=r,0", side_effect=False)
    array.data = builder.call(nothing, [array.data], attrs=("nounwind", "readnone"))
    return impl_ret_borrowed(context, builder, kind, array._getvalue())


@type_callable(unaliased)
def _(context: Any) -> Callable[..., Any]:
    return lambda names: types.none if isinstance(names, types.StringLiteral) else None


@lower_builtin(unaliased, types.StringLiteral)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    """It is said of the pointers to the elements, by the names that numba gives them."""
    from numba.core.datamodel.models import ArrayModel

    array = types.Array(types.float64, 1, "C")
    data = ArrayModel(context.data_model_manager, array).get_field_position("data")
    said = {f"arg.{name}.{data}" for name in signature.args[0].literal_value.split()}
    for pointer in builder.function.args:
        if pointer.name in said:
            pointer.add_attribute("noalias")
    return context.get_dummy_value()
