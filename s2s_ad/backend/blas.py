"""Products of matrices and vectors, for compiled functions: `matmul(a, b)` is `a @ b`.

Both ask BLAS. numba compiles `@` by way of four functions, one inside the other, for every pair of
memory layouts, each of which it types, lowers and optimises: 0.6 s for a pair, as much as for a
hundred lines. `matmul` is lowered to the call itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import lower_builtin, type_callable

from s2s_ad.backend.memory import allocated, own_function

_WORD, _POINTER = cgutils.intp_t, cgutils.voidptr_t
_LARGEST = 2**31 - 1  # of an extent, which BLAS takes as an int
_DTYPES = (types.float64, types.float32, types.complex128, types.complex64)


def matmul(a: np.ndarray, b: np.ndarray) -> Any:
    """`a @ b`.

    >>> matmul(np.eye(2), np.ones(2))
    array([1., 1.])
    """
    return a @ b


@type_callable(matmul)
def _(context: Any) -> Callable[..., Any]:
    def typer(a: Any, b: Any) -> Any:
        arrays = all(isinstance(x, types.Array) and x.ndim in (1, 2) for x in (a, b))
        if not arrays or a.dtype != b.dtype or a.dtype not in _DTYPES:
            return None
        ndim = a.ndim + b.ndim - 2
        return types.Array(a.dtype, ndim, "C") if ndim else a.dtype

    return typer


@lower_builtin(matmul, types.Array, types.Array)
def _(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    from numba.np import linalg  # a cached function does not need it
    from numba.np.arrayobj import make_array

    linalg.ensure_blas()
    result = signature.return_type
    with linalg.make_contiguous(context, builder, signature, args) as (signature, args):
        a, b = (make_array(k)(context, builder, x) for k, x in zip(signature.args, args))
        *rows, inner = cgutils.unpack_tuple(builder, a.shape)
        given, *columns = cgutils.unpack_tuple(builder, b.shape)
        _check(context, builder, [*rows, inner, *columns], inner, given)
        if rows or columns:
            made = allocated(context, builder, result, [*rows, *columns])
            out, value = made.data, made._getvalue
        else:
            out = cgutils.alloca_once(builder, context.get_value_type(result))
            value = partial(builder.load, out)
        one = [_WORD(1)]
        data = [builder.bitcast(x, _POINTER) for x in (a.data, b.data, out)]
        product = _product(context, builder.module, *signature.args)
        builder.call(product, [*(rows or one), inner, *(columns or one), *data])
        return impl_ret_new_ref(context, builder, result, value())


def _check(
    context: Any, builder: ir.IRBuilder, extents: Sequence[ir.Value], inner: Any, given: Any
) -> None:
    """What keeps BLAS within the arrays."""

    def refused(test: ir.Value, error: type[Exception], message: str) -> None:
        with builder.if_then(test, likely=False):
            context.call_conv.return_user_exc(builder, error, (message,))

    differ = builder.icmp_signed("!=", inner, given)
    refused(differ, ValueError, "the inner extents of a product differ")
    large = builder.icmp_unsigned(">", reduce(builder.or_, extents), _WORD(_LARGEST))
    refused(large, OverflowError, "an extent is too large for BLAS")


def _product(context: Any, module: ir.Module, a: types.Array, b: types.Array) -> ir.Function:
    """The function of `module` that multiplies factors of these types. It takes the numbers of
    rows, terms and columns (1 for a vector's), and where the factors and the product are.

    A matrix with one row or one column is a vector to BLAS too, which is faster.
    """
    from numba.np import linalg

    letter = linalg.get_blas_kind(a.dtype)
    name = f"s2s_ad_matmul_{letter}_{a.ndim}{a.layout}_{b.ndim}{b.layout}"
    known = module.globals.get(name)
    if known is not None:
        return known
    function = own_function(module, name, ir.VoidType(), [*[_WORD] * 3, *[_POINTER] * 3])
    builder = ir.IRBuilder(function.append_basic_block())
    m, k, n, left, right, out = function.args

    def left_times_vector() -> None:
        by_rows = a.layout == "C"
        linalg.call_xxgemv(context, builder, by_rows, a, (m, k), left, right, out)

    def vector_times_right() -> None:
        by_rows = b.layout == "F"
        linalg.call_xxgemv(context, builder, by_rows, b, (k, n), right, left, out)

    _clear_if_empty(context, builder, a.dtype, (m, k, n), out)
    if a.ndim == b.ndim == 1:
        linalg.call_xxdot(context, builder, False, a.dtype, k, left, right, out)
    elif b.ndim == 1:
        left_times_vector()
    elif a.ndim == 1:
        vector_times_right()
    else:
        for extent, by_vector in ((n, left_times_vector), (m, vector_times_right)):
            with builder.if_then(builder.icmp_signed("==", extent, _WORD(1))):
                by_vector()
                builder.ret_void()
        result = types.Array(a.dtype, 2, "C")
        factors = (a, (m, k), left, b, (k, n), right)
        linalg.call_xxgemm(context, builder, *factors, result, (m, n), out)
    builder.ret_void()
    return function


def _clear_if_empty(
    context: Any, builder: ir.IRBuilder, dtype: Any, extents: Sequence[ir.Value], out: ir.Value
) -> None:
    """A product without terms is zero; BLAS takes no empty arrays."""
    m, k, n = extents
    count = builder.mul(m, n)
    nothing = builder.icmp_signed("==", builder.mul(count, k), _WORD(0))
    with builder.if_then(nothing, likely=False):
        item = context.get_abi_sizeof(context.get_data_type(dtype))
        cgutils.memset(builder, out, builder.mul(count, _WORD(item)), 0)
        builder.ret_void()
