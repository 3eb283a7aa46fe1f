"""Contractions: `@`, np.dot and their kin, by way of the primitive `dot` of ranks 1 and 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import ShapeError, UnsupportedCallError, UnsupportedTypeError
from s2s_ad.frontend.memory import expanded
from s2s_ad.frontend.reductions import reduce_sum
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.values import describe, is_array
from s2s_ad.ir.types import promote


@handles(np.matmul)
def matmul(cx: Context, a: Any, b: Any) -> Any:
    """`a @ b`."""
    a, b = ar.as_array(cx, a), ar.as_array(cx, b)
    for value in (a, b):
        if not is_array(value):
            cx.fail(UnsupportedTypeError, f"@ needs arrays, not {describe(value)}", "use *")
    if b.type.ndim > 2:
        return _batched(cx, a, b)
    return _dot(cx, a, b)


@handles(np.dot, method="dot")
def dot(cx: Context, a: Any, b: Any) -> Any:
    a, b = ar.as_array(cx, a), ar.as_array(cx, b)
    if not (is_array(a) and is_array(b)):
        # here a Python number is not weak
        dtype = promote(ar.dtype_of(cx, a)[0], ar.dtype_of(cx, b)[0])
        return ar.elementwise(cx, "mul", (a, b), "i64" if dtype == "bool" else dtype)
    return _dot(cx, a, b)


def _dot(cx: Context, a: Any, b: Any) -> Any:
    if b.type.ndim > 2:
        cx.fail(UnsupportedCallError, f"np.dot with a second factor {b.type}", "use @")
    if a.type.ndim > 2:
        return _rows_dot(cx, a, b)
    ar.match(cx, a, a.type.ndim - 1, b, 0, "the factors")
    dtype, _ = ar.result_dtype(cx, (a, b))
    if dtype == "bool":
        cx.fail(UnsupportedTypeError, "a product of boolean arrays", "convert them with .astype")
    if ar.KIND[dtype] < 2:
        return _integer_dot(cx, a, b)
    return cx.fresh(cx.emit("dot", ar.convert(cx, a, dtype), ar.convert(cx, b, dtype)))


def _rows_dot(cx: Context, a: Any, b: Any) -> Any:
    """A product with more than two axes on the left: one product of all rows."""
    from s2s_ad.frontend.shaping import reshape

    *kept, inner = ar.extents_of(cx, a)
    rows: Any = 1
    for extent in kept:
        rows = ar.binary(cx, "mul", rows, extent)
    flat = _dot(cx, reshape(cx, a, (rows, inner)), b)
    return reshape(cx, flat, (*kept, *ar.extents_of(cx, b)[1:]))


def _batched(cx: Context, a: Any, b: Any) -> Any:
    """`a @ b` where `b` has leading axes, which broadcast against those of `a`: a sum of
    products."""
    dtype, _ = ar.result_dtype(cx, (a, b))
    a, b = (cx.fresh(ar.convert(cx, v, dtype)) for v in (a, b))
    ar.match(cx, a, a.type.ndim - 1, b, b.type.ndim - 2, "the factors")
    left = expanded(cx, a, (a.type.ndim,))
    right = expanded(cx, b, (b.type.ndim - 2,)) if a.type.ndim > 1 else b
    return reduce_sum(cx, ar.binary(cx, "mul", left, right), axis=-2)


def _integer_dot(cx: Context, a: Any, b: Any) -> Any:
    """BLAS has no integers: a sum of products."""
    if a.type.ndim == 2 and b.type.ndim == 2:
        a, b = expanded(cx, a, (2,)), expanded(cx, b, (0,))
        return reduce_sum(cx, ar.binary(cx, "mul", a, b), axis=1)
    if a.type.ndim == 1 and b.type.ndim == 2:
        return reduce_sum(cx, ar.binary(cx, "mul", expanded(cx, a, (1,)), b), axis=0)
    return reduce_sum(cx, ar.binary(cx, "mul", a, b), axis=-1)


@handles(np.vdot, np.inner)
def inner(cx: Context, a: Any, b: Any) -> Any:
    if not (is_array(a) and is_array(b) and a.type.ndim == b.type.ndim == 1):
        cx.fail(UnsupportedCallError, "np.inner and np.vdot take arrays with one axis", "use @")
    if ar.result_dtype(cx, (a, b))[0] in ("c64", "c128"):
        cx.fail(UnsupportedTypeError, "np.inner and np.vdot of complex arrays", "use @")
    return _dot(cx, a, b)


@handles(np.outer)
def outer(cx: Context, a: Any, b: Any) -> Any:
    if not (is_array(a) and is_array(b) and a.type.ndim == b.type.ndim == 1):
        cx.fail(UnsupportedCallError, "np.outer takes arrays with one axis")
    return ar.binary(cx, "mul", expanded(cx, a, (1,)), expanded(cx, b, (0,)))


@handles(np.linalg.cholesky)
def cholesky(cx: Context, a: Any) -> Any:
    """The lower factor, from the lower triangle of `a`."""
    return _square_function(cx, "cholesky", a)


@handles(np.linalg.solve)
def solve(cx: Context, a: Any, b: Any) -> Any:
    """The `x` of `a @ x = b`, for one right-hand side, or for some as columns."""
    a, b = ar.as_array(cx, a), ar.as_array(cx, b)
    check_square(cx, a, "np.linalg.solve")
    if not (is_array(b) and b.type.ndim in (1, 2)):
        cx.fail(UnsupportedCallError, "np.linalg.solve takes a vector, or a matrix of columns")
    dtype, _ = ar.result_dtype(cx, (a, b))
    if dtype in ("c64", "c128"):
        cx.fail(UnsupportedTypeError, "np.linalg.solve of complex arrays")
    ar.match(cx, a, 0, b, 0, "the matrix and the right-hand side")
    dtype = dtype if ar.KIND[dtype] == 2 else "f64"
    made = cx.emit(
        "solve", ar.convert(cx, a, dtype), ar.convert(cx, b, dtype), lower=False, transposed=False
    )
    return cx.fresh(made)


@handles(np.linalg.inv)
def inv(cx: Context, a: Any) -> Any:
    return _square_function(cx, "inv", a)


def _square_function(cx: Context, prim: str, a: Any) -> Any:
    a = ar.as_array(cx, a)
    check_square(cx, a, f"np.linalg.{prim}")
    if a.type.dtype in ("c64", "c128"):
        cx.fail(UnsupportedTypeError, f"np.linalg.{prim} of a complex array")
    dtype = a.type.dtype if ar.KIND[a.type.dtype] == 2 else "f64"
    return cx.fresh(cx.emit(prim, ar.convert(cx, a, dtype)))


@handles(np.trace, method="trace")
def trace(cx: Context, a: Any) -> Any:
    from s2s_ad.frontend.creation import diagonal

    return reduce_sum(cx, diagonal(cx, a))


@handles(np.linalg.norm)
def norm(cx: Context, x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    if not is_array(x):
        cx.fail(UnsupportedTypeError, f"norm of {describe(x)}")
    plain = ord is None or (ord == 2 and (x.type.ndim == 1 or axis is not None)) or ord == "fro"
    if not plain or (axis is not None and type(axis) is not int):
        cx.fail(UnsupportedCallError, "np.linalg.norm: only the 2-norm and Frobenius norm")
    if x.type.dtype in ("c64", "c128"):
        cx.fail(UnsupportedTypeError, "np.linalg.norm of a complex array")
    squares = ar.binary(cx, "mul", x, x)
    return ar.unary_float(cx, "sqrt", reduce_sum(cx, squares, axis=axis, keepdims=keepdims))


def check_square(cx: Context, a: Any, what: str) -> None:
    if not is_array(a) or a.type.ndim != 2:
        cx.fail(ShapeError, f"{what} takes an array with two axes")
    ar.match(cx, a, 0, a, 1, "the two axes")
