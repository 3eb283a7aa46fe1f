"""What no finite difference decides: kinks, ties, powers at zero, stopped and bare derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from s2s_ad import differentiate, grad, jvp, stop_gradient, value_and_grad, vjp
from tests.source_text import define

INF = np.inf
#: expression in x (and y) -> (arguments, gradients)
KINKS = {
    "abs(x)": ((0.0,), (0.0,)),
    "np.sign(x) * 2.0": ((0.5,), (0.0,)),
    "np.maximum(x, y)": ((1.0, 1.0), (0.5, 0.5)),
    "np.minimum(x, y)": ((1.0, 1.0), (0.5, 0.5)),
    "max(x, y)": ((2.0, 1.0), (1.0, 0.0)),
    "np.maximum(x, 0.0)": ((0.0,), (0.5,)),
    "np.sqrt(x)": ((0.0,), (INF,)),
    "x ** 2": ((0.0,), (0.0,)),
    "x ** 2.0": ((0.0,), (0.0,)),
    "x ** 1": ((0.0,), (1.0,)),
    "x ** 0": ((0.0,), (0.0,)),
    "x ** 0.0": ((0.0,), (0.0,)),
    "x ** 3": ((-2.0,), (12.0,)),
    "x ** -1": ((-2.0,), (-0.25,)),
    "x ** y": ((0.0, 2.0), (0.0, 0.0)),
    "np.floor(x) + x % 1.0": ((0.5,), (1.0,)),
    "np.where(x > 0.0, np.sqrt(x), 0.0)": ((4.0,), (0.25,)),
}
#: the same for arrays
TIES = {
    "np.max(x)": ([1.0, 3.0, 3.0, 0.0], [0.0, 0.5, 0.5, 0.0]),
    "np.min(x)": ([0.0, 3.0, 0.0, 0.0], [1 / 3, 0.0, 1 / 3, 1 / 3]),
    "np.sum(np.abs(x))": ([0.0, -2.0], [0.0, -1.0]),
    "np.sum(np.clip(x, 0.0, 1.0))": ([-1.0, 0.5, 2.0], [0.0, 1.0, 0.0]),
    "np.prod(x)": ([0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    "np.sum(x ** 2)": ([0.0, 1.0], [0.0, 2.0]),
}


def function(expression: str):
    parameters = "x, y" if "y" in expression.replace("np.", "") else "x"
    source = f"def kink({parameters}):\n    return {expression}\n"
    return define(source, "kink", f"kink {expression}")


@pytest.mark.parametrize("expression", KINKS)
def test_kink(expression: str) -> None:
    args, expected = KINKS[expression]
    fn = function(expression)
    assert grad(fn, wrt=None, jit=False)(*args) == expected
    for i in range(len(args)):
        _, tangent = jvp(fn, wrt=i, jit=False)(args, (1.0,))
        assert tangent == expected[i]


@pytest.mark.parametrize("expression", TIES)
def test_tie(expression: str) -> None:
    x, expected = TIES[expression]
    found = grad(function(expression), jit=False)(np.array(x))
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def poly(x, y, n):
    return x**2 * y + n * y


def test_wrt_forms() -> None:
    """An index or a name gives a bare result, a tuple a tuple, None every float as a tuple."""
    args = (3.0, 2.0, 5)
    forms = {0: 12.0, "y": 14.0, ("y",): (14.0,), (1, "x"): (14.0, 12.0), None: (12.0, 14.0)}
    for wrt, expected in forms.items():
        assert grad(poly, wrt=wrt, jit=False)(*args) == expected
        assert value_and_grad(poly, wrt=wrt, jit=False)(*args) == (28.0, expected)
        value, pullback = vjp(poly, wrt=wrt, jit=False)(*args)
        assert (value, pullback(1.0)) == (28.0, expected)


def test_jvp_takes_one_tangent_per_argument_in_wrt() -> None:
    assert jvp(poly, jit=False)((3.0, 2.0, 5), (1.0, 10.0)) == (28.0, 152.0)
    assert jvp(poly, wrt=("y",), jit=False)((3.0, 2.0, 5), (10.0,)) == (28.0, 140.0)


def stopped(x):
    return np.sum(x * stop_gradient(x * x))


def test_stop_gradient() -> None:
    x = np.array([1.0, 2.0, -3.0])
    np.testing.assert_array_equal(grad(stopped, jit=False)(x), x * x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype) -> None:
    fn = function("np.sum(2 * x * np.exp(0.5 * x) / 3)")
    x = np.linspace(-1.0, 1.0, 5).astype(dtype)
    value, gradient = value_and_grad(fn, jit=False)(x)
    assert gradient.dtype == dtype
    assert np.asarray(value).dtype == dtype


NAN = float("nan")


def larger(x, y):
    return max(x, y)


def smaller(x, y):
    return min(x, y)


def best_of(x, y):
    best = x
    for k in range(3):
        best = max(best, y * k)
    return best


@pytest.mark.parametrize(
    "options", [{"jit": False}, {"jit": False, "level": "kernel"}, {}], ids=str
)
@pytest.mark.parametrize("fn", [larger, smaller, best_of])
def test_max_and_min_are_pythons_where_there_is_nan(fn: Callable, options: dict) -> None:
    """The first, unless the second is more (or less): not NumPy's, where nan wins."""
    made, slope = differentiate(fn, **options), grad(fn, wrt=(0, 1), **options)
    for args in ((0.5, NAN), (NAN, 0.5), (-0.0, 0.0), (0.0, -0.0), (1.0, 2.0), (2.0, 1.0)):
        assert repr(made(*args)) == repr(float(fn(*args)))
    assert slope(0.5, NAN) == (1.0, 0.0)
    assert slope(NAN, 0.5)[0] == 1.0


@pytest.mark.parametrize("options", [{"jit": False}, {}], ids=str)
def test_extremes_with_infinity_have_a_derivative(options: dict) -> None:
    above = grad(lambda x: np.maximum(x, np.inf), **options)
    below = grad(lambda x: np.minimum(x * x, -np.inf), **options)
    kept = grad(lambda x: np.maximum(x * x, -np.inf), **options)
    assert (above(1.0), below(2.0), kept(3.0)) == (0.0, 0.0, 6.0)


def tiny_steps(x):
    return (x * 1e-200) * 1e-200


def huge_steps(x):
    return (x * 1e200) * 1e200


def huge_singles(x):
    return (x * np.float32(1e25)) * np.float32(1e25)


def over_both(x, a, b):
    return (x / a) / b


def tiny_and_huge(x, a, b):
    for _ in range(4):
        x = (x * a) * b
    return x


def two_products(x, a, b):
    return x * a + x * b


def weighted_logs(w, p, h):
    total = 0.0
    for i in range(p.shape[0]):
        total += w[i] * (np.log(p[i]) + p[i] / h)
    return total


@pytest.mark.parametrize("options", [{"jit": False}, {}], ids=str)
def test_rounding_is_free_and_the_range_of_numbers_is_not(options: dict) -> None:
    """No product of constants, nor of factors in another order, nor a reciprocal, is 0, inf or nan
    on the way to what is none of them."""
    close = partial(pytest.approx, rel=1e-13, abs=0.0)
    assert vjp(tiny_steps, wrt="x", **options)(1.0)[1](1e300) == close(1e-100)
    assert jvp(huge_steps, **options)((1e-300,), (0.0,))[1] == 0.0
    single, none = np.float32(1e-30), np.float32(0.0)
    assert jvp(huge_singles, **options)((single,), (none,))[1] == 0.0
    back = vjp(over_both, wrt="x", **options)(1.0, 1e200, 1e200)[1]
    assert back(1e300) == close(1e-100)
    assert vjp(tiny_and_huge, wrt="x", **options)(1.0, 1e-200, 1e200)[1](2.0) == close(2.0)
    back = vjp(two_products, wrt="x", **options)(1e-10, 1.2e308, 1.2e308)[1]
    assert back(1e-10) == close(2.4e298)


@pytest.mark.parametrize("options", [{"jit": False}, {}], ids=str)
def test_what_has_no_reciprocal_can_be_divided_by(options: dict) -> None:
    w, p = np.array([0.0, 1e-10, 2.0]), np.array([1e-310, 2e-310, 0.5])
    found = grad(weighted_logs, wrt="p", **options)(w, p, 4.0)
    np.testing.assert_allclose(found, w / p + w / 4.0, rtol=1e-13)
    small = grad(weighted_logs, wrt="p", **options)(w * 1e-20, p + 1.0, 1e-310)
    np.testing.assert_allclose(small, w * 1e-20 / 1e-310, rtol=1e-13)
