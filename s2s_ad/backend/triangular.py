"""Triangular systems, for compiled functions: BLAS solves them in place, past numba.

    solve_lower(a, b)               x with a @ x = b, of which a's lower triangle is read
    solve_lower_transposed(a, b)    x with a.T @ x = b

numba has no such function; `np.linalg.solve`, which it has, factors the matrix first, and takes
three times as long for as many right-hand sides as rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import get_cython_function_address, lower_builtin, type_callable

from s2s_ad.backend.copies import new_copy

_INT, _BYTE = ir.IntType(32), ir.IntType(8)
_LARGEST = 2**31 - 1  # of an extent, which BLAS takes as an int
#: BLAS's functions, by the names that compiled code calls them by.
_LETTERS = {types.float64: "d", types.float32: "s"}
for _letter in _LETTERS.values():
    _address = get_cython_function_address("scipy.linalg.cython_blas", f"{_letter}trsm")
    llvm.add_symbol(f"s2s_ad_{_letter}trsm", _address)


def solve_lower(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`x` with `np.tril(a) @ x = b`, for `b` of shape (n,) or (n, k).

    >>> solve_lower(np.array([[2.0, 9.0], [1.0, 1.0]]), np.array([2.0, 3.0]))
    array([1., 2.])
    """
    return np.linalg.solve(np.tril(a), b)


def solve_lower_transposed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`x` with `np.tril(a).T @ x = b`, for `b` of shape (n,) or (n, k).

    >>> solve_lower_transposed(np.array([[2.0, 9.0], [1.0, 1.0]]), np.array([4.0, 2.0]))
    array([1., 2.])
    """
    return np.linalg.solve(np.tril(a).T, b)


def _type_of(context: Any) -> Callable[..., Any]:
    def typer(a: Any, b: Any) -> Any:
        if not (isinstance(a, types.Array) and isinstance(b, types.Array)):
            return None
        fine = a.ndim == 2 and b.ndim in (1, 2) and a.dtype == b.dtype and a.dtype in _LETTERS
        return types.Array(b.dtype, b.ndim, "C") if fine else None

    return typer


def _solved(context: Any, builder: ir.IRBuilder, signature: Any, args: Any, turned: bool) -> Any:
    """BLAS takes matrices column by column: to it, ours are transposed. It solves x.T @ a.T = b.T,
    where a.T is an upper triangle if `a` is in C's order."""
    from numba.np import linalg  # a cached function does not need it
    from numba.np.arrayobj import make_array

    result = signature.return_type
    x = context.compile_internal(builder, _copied, result(signature.args[1]), [args[1]])
    with linalg.make_contiguous(context, builder, signature, args) as (contiguous, (left, _)):
        kind = contiguous.args[0]
        a, made = (make_array(k)(context, builder, v) for k, v in ((kind, left), (result, x)))
        n, columns = cgutils.unpack_tuple(builder, a.shape)
        given, *others = cgutils.unpack_tuple(builder, made.shape)
        _check(context, builder, n, columns, given, *others)
        count = others[0] if others else cgutils.intp_t(1)
        by_rows = kind.layout == "C"
        letters = ("R", "U" if by_rows else "L", "N" if by_rows != turned else "T", "N")
        some = builder.icmp_signed(">", builder.mul(n, count), cgutils.intp_t(0))
        with builder.if_then(some):
            _trsm(builder, result.dtype, letters, (count, n), a.data, made.data)
    return impl_ret_new_ref(context, builder, result, x)


def _copied(b: np.ndarray) -> np.ndarray:
    return new_copy(b)


def _check(
    context: Any, builder: ir.IRBuilder, n: Any, columns: Any, given: Any, *more: Any
) -> None:
    """What keeps BLAS within the arrays."""
    differ = builder.or_(*(builder.icmp_signed("!=", n, other) for other in (columns, given)))
    with builder.if_then(differ, likely=False):
        message = "the extents of a triangular system differ"
        context.call_conv.return_user_exc(builder, ValueError, (message,))
    for extent in (n, *more):
        large = builder.icmp_unsigned(">", extent, cgutils.intp_t(_LARGEST))
        with builder.if_then(large, likely=False):
            message = "an extent is too large for BLAS"
            context.call_conv.return_user_exc(builder, OverflowError, (message,))


def _trsm(
    builder: ir.IRBuilder,
    dtype: types.Float,
    letters: tuple[str, ...],
    shape: tuple[ir.Value, ir.Value],
    a: ir.Value,
    b: ir.Value,
) -> None:
    """The call: side, triangle, whether transposed, and whether the diagonal is of ones."""

    def at(value: ir.Value) -> ir.Value:
        place = cgutils.alloca_once(builder, value.type)
        builder.store(value, place)
        return place

    rows, columns = (at(builder.trunc(extent, _INT)) for extent in shape)
    flags = [at(_BYTE(ord(letter))) for letter in letters]
    operands = [*flags, rows, columns, at(a.type.pointee(1.0)), a, columns, b, rows]
    kind = ir.FunctionType(ir.VoidType(), [v.type for v in operands])
    name = f"s2s_ad_{_LETTERS[dtype]}trsm"
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)


for _function, _turned in ((solve_lower, False), (solve_lower_transposed, True)):
    type_callable(_function)(_type_of)

    @lower_builtin(_function, types.Array, types.Array)
    def _lower(
        context: Any, builder: Any, signature: Any, args: Any, turned: bool = _turned
    ) -> Any:
        return _solved(context, builder, signature, args, turned)
