"""Memory whose pages are there when it is written.

A gradient makes arrays, and gives them back when it returns. By default the C library returns them
to the system, so the next call meets pages that are not there: the first write to each costs more
than all the arithmetic on it (logsumexp of 80,000 numbers: three quarters of the time).

    free(mmapped block)     glibc learns from it: blocks up to this size come from the heap from now
                            on, and up to twice as much stays there when it is free

So one block of the greatest size that it learns from, which is never touched, is made and freed.
Any program that has once freed an array of 32 MB has come to the same.

Larger blocks always come from the system. For these `paged(np.empty(shape))` asks for pages of 2 MB
as NumPy does for its own arrays, and numba does not. `cleared` fills them with zeros besides.

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

import functools
import platform
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array

#: glibc's DEFAULT_MMAP_THRESHOLD_MAX on 64 bits.
LARGE = 32 * 2**20
_PAGE = 4096
_MADV_HUGEPAGE = 14


@functools.cache
def keep_freed_memory() -> None:
    """From now on up to 64 MB of freed memory stay with the process, where glibc is the C library;
    elsewhere nothing happens. A process does it once, before it compiles its first function.

    >>> keep_freed_memory()
    """
    if platform.libc_ver()[0] == "glibc":
        np.empty(LARGE - 2 * _PAGE, dtype=np.uint8)  # with what surrounds it


def paged(a: np.ndarray) -> np.ndarray:
    """`a`, an array that has just been made and is still empty."""
    return a


def cleared(a: np.ndarray) -> np.ndarray:
    """`a`, an array that has just been made, filled with zeros."""
    a.fill(0)
    return a


def apart(a: np.ndarray) -> np.ndarray:
    """`a`, and the compiler forgets where its memory comes from."""
    return a


def _advise(builder: ir.IRBuilder, data: ir.Value, size: ir.Value) -> None:
    """madvise(the pages of a large array, MADV_HUGEPAGE); what it answers does not matter."""
    word = size.type
    large = builder.icmp_unsigned(">=", size, word(LARGE))
    with builder.if_then(large, likely=False):
        first = builder.ptrtoint(data, word)
        start = builder.and_(first, word(-_PAGE))
        length = builder.add(size, builder.sub(first, start))
        signature = ir.FunctionType(ir.IntType(32), [word, word, ir.IntType(32)])
        madvise = cgutils.get_or_insert_function(builder.module, signature, "madvise")
        builder.call(madvise, [start, length, ir.IntType(32)(_MADV_HUGEPAGE)])


def _compiled(function: Callable[[np.ndarray], np.ndarray], lowering: Callable[..., Any]) -> None:
    """What numba makes of `function`; `lowering` gets the context, the builder, the array's type
    and what it is made of."""

    @type_callable(function)
    def type_of(context: Any) -> Callable[..., Any]:
        return lambda a: a if isinstance(a, types.Array) else None

    @lower_builtin(function, types.Array)
    def lower(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = signature.return_type
        array = make_array(kind)(context, builder, args[0])
        lowering(context, builder, kind, array)
        return impl_ret_borrowed(context, builder, kind, array._getvalue())


def _paged(context: Any, builder: ir.IRBuilder, kind: types.Array, array: Any) -> ir.Value:
    item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    size = builder.mul(array.nitems, array.nitems.type(item))
    if sys.platform == "linux":
        _advise(builder, array.data, size)
    return size


def _cleared(context: Any, builder: ir.IRBuilder, kind: types.Array, array: Any) -> None:
    cgutils.memset(builder, array.data, _paged(context, builder, kind, array), 0)


def _apart(context: Any, builder: ir.IRBuilder, kind: types.Array, array: Any) -> None:
    """The pointer goes through an empty piece of assembly, in whatever register it is."""
    pointer = array.data.type
    nothing = ir.InlineAsm(ir.FunctionType(pointer, [pointer]), "", "=r,0", side_effect=False)
    array.data = builder.call(nothing, [array.data], attrs=("nounwind", "readnone"))


_compiled(paged, _paged)
_compiled(cleared, _cleared)
_compiled(apart, _apart)
