"""What numba adds to functions: signatures, overloads, vectorize, prange; np.vectorize."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest

from s2s_ad import grad, vjp
from s2s_ad.errors import S2SError
from s2s_ad.frontend import errors, trace
from s2s_ad.ir.types import Type
from tests.derivative_checks import Derivatives
from tests.frontend.checks import check

X, A = np.array([0.3, -0.7, 1.9]), np.arange(6.0).reshape(2, 3) / 3.0 - 0.65


@numba.njit(["f8(f8, f8)", "f4(f4, f4)"])
def fixed(x, y):
    T = type(y)
    return T(0.5) * x * y


@numba.njit("f8[:](f8[:], i8)")
def only_vectors(x, n):
    return x * n


@numba.njit
def parallel(x):
    out = np.empty_like(x)
    for i in numba.prange(len(x)):
        out[i] = x[i] ** 2
    return out


@numba.vectorize
def bump(x, y):
    if x > y:
        return x * y
    return math.sin(x) - y


@numba.vectorize(["f8(f8)"])
def compiled_for_doubles(x):
    return 2.0 * x


@np.vectorize
def reduced(x, y):
    """A sum in it shows that it meets numbers only."""
    return np.sum(x) * y + (1.0 if x > 0.0 else -x)


exec("def wrapped(x, scale=2.0):\n    raise NotImplementedError\n", globals())


@numba.extending.overload(wrapped)  # noqa: F821
def _overload_wrapped(x, scale=2.0):
    if not isinstance(x, numba.types.Array):
        raise numba.core.errors.TypingError("an array is needed")
    return lambda x, scale=2.0: x * x * scale


def test_signatures_convert_numbers() -> None:
    """An int becomes a float before the function sees it: T(0.5) of an int would be 0."""
    assert grad(fixed, jit=False)(3.0, 2) == 1.0
    check(lambda x: fixed(x, 2) + fixed(2, x), 1.5)
    check(lambda x: fixed(np.float32(x), np.float32(0.5)), 1.5)


def test_signatures_refuse_what_they_do_not_take() -> None:
    check(lambda x: only_vectors(x, 3), X)
    for fn, args in ((only_vectors, [A, 3]), (lambda x: only_vectors(x, 3), [A])):
        with pytest.raises(errors.ArgumentError, match="is compiled for"):
            trace(fn, [Type("f64", ("?", "?")), Type("i64")][: len(args)])


def test_prange_is_a_range() -> None:
    Derivatives(parallel, jit=False).check((X,))


def test_overload_stands_for_a_function_without_text() -> None:
    assert np.allclose(vjp(wrapped, jit=False)(X)[1](np.ones(3))[0], 4.0 * X)  # noqa: F821
    f = lambda x, s: np.sum(wrapped(x, scale=s))  # noqa: F821, E731
    np.testing.assert_allclose(grad(f, jit=False)(X, 3.0), 6.0 * X)
    with pytest.raises(errors.UnsupportedCallError, match="an array is needed"):
        trace(lambda x: wrapped(x), [Type("f64")])  # noqa: F821


@pytest.mark.parametrize("fn", [bump, reduced], ids=["numba", "numpy"])
def test_vectorised(fn) -> None:
    check(lambda x, y: fn(x, y), X, X[::-1].copy())
    check(lambda x, y: fn(x, y), A, X)
    check(lambda x, y: fn(x, y), X, 0.4)
    check(lambda x: fn(x, 0.4), np.zeros(0)) if fn is bump else None
    assert trace(lambda x, y: fn(x, y), [Type("f64")] * 2).func.results[0].type == Type("f64")
    Derivatives(lambda x, y: np.sum(fn(x, y) * y), jit=False).check((A, X))


def test_vectorised_function_itself() -> None:
    value, pullback = vjp(reduced, jit=False)(A, X)
    np.testing.assert_allclose(value, reduced(A, X))
    assert pullback(np.ones_like(value))[1].shape == X.shape
    assert grad(bump, jit=False)(0.5, 0.25) == 0.25


def test_vectorised_and_compiled() -> None:
    Derivatives(lambda x, y: np.sum(bump(x, y) * y)).check((A, X))


def test_vectorised_functions_that_convert_are_refused() -> None:
    check(lambda x: compiled_for_doubles(x), X)
    with pytest.raises(S2SError, match="would convert"):
        trace(lambda x: compiled_for_doubles(x), [Type("f32", ("?",))])
    with pytest.raises(S2SError, match="signature="):
        f = np.vectorize(lambda x: x, signature="(n)->(n)")
        trace(lambda x: f(x), [Type("f64", ("?",))])


def test_guvectorize_is_refused() -> None:
    @numba.guvectorize(["void(f8[:], f8[:])"], "(n)->(n)")
    def g(x, out):
        out[:] = x

    with pytest.raises(S2SError, match="guvectorize"):
        trace(lambda x: g(x), [Type("f64", ("?",))])
    with pytest.raises(S2SError, match="guvectorize"):
        trace(g, [Type("f64", ("?",))])
