"""Compiled arithmetic is what the user wrote, to the last bit, but where no order was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import s2s_ad
from s2s_ad.backend.jit import compile_source
from s2s_ad.backend.module import emit_module


def rings(data, radius, bins):
    """The outermost radius is a tie: it is in the last ring only if `r * bins / bins` is larger."""
    outermost = radius.max()
    mean = np.zeros(bins)
    for i in range(bins):
        inner = outermost * i / bins
        outer = outermost * (i + 1) / bins
        ring = np.logical_and(inner <= radius, radius < outer)
        mean[i] = data[ring].mean()
    return mean.sum()


def test_ties_are_decided_as_in_python() -> None:
    bins = 49
    gradient = s2s_ad.value_and_grad(rings)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        radius, data = rng.random(2000), rng.random(2000)
        value, found = gradient(data, radius, bins)
        assert value == pytest.approx(rings(data, radius, bins), rel=1e-13)
        last = radius.argmax()
        assert (found[last] != 0.0) == (radius[last] < radius[last] * bins / bins)


def kahan(x):
    total, lost = 0.0, 0.0
    for i in range(x.shape[0]):
        term = x[i] - lost
        more = total + term
        lost = (more - total) - term
        total = more
    return total


def discriminant(a, b):
    """Contracted, the difference of equal products is a rounding error, and its root nan."""
    return math.sqrt(a * b - b * a) + a / 49.0 * 49.0


def running(x):
    s = 0.0
    for i in range(x.shape[0]):
        s += x[i] * x[i]
    return s


def test_a_compensated_sum_is_compensated() -> None:
    x = np.concatenate(([1.0], np.full(10_000, 1e-16)))
    assert kahan(x) == pytest.approx(math.fsum(x), rel=1e-15)
    value, gradient = s2s_ad.value_and_grad(kahan)(x)
    assert value == kahan(x) != sum(x)
    np.testing.assert_array_equal(gradient, 1.0)


@pytest.mark.parametrize("fn", (kahan, discriminant, running))
def test_the_value_is_pythons_to_the_last_bit(fn: Callable[..., float]) -> None:
    rng = np.random.default_rng(1)
    args = rng.random(2).tolist() if fn is discriminant else [rng.random(1000)]
    assert s2s_ad.differentiate(fn)(*args) == fn(*args)
    assert s2s_ad.value_and_grad(fn)(*args)[0] == fn(*args)


def weighted(x, w):
    return np.sum(np.exp(x) * w) / np.prod(w)


def text_of(fn: Callable[..., float], *args: object, **options: bool) -> str:
    funcs = s2s_ad.value_and_grad(fn)._derived_for(args, {}).funcs("kernel")
    return emit_module(funcs, vector=True, **options)


def test_sums_without_an_order_are_vectorised() -> None:
    """NumPy's sums, and those of the reverse sweep; not the sums that a loop spells out."""
    x = np.linspace(0.5, 1.5, 103)
    text = text_of(weighted, x, x)
    assert "vadd(" in text and "vmul(" in text and "fastmath" not in text
    assert "vadd" not in text_of(running, x)
    assert "vadd" not in text_of(weighted, x, x, fastmath=True)
    assert "vadd" not in s2s_ad.value_and_grad(weighted).source(x, x, level="kernel")
    value, gradient = s2s_ad.value_and_grad(weighted)(x, x)
    np.testing.assert_allclose(value, weighted(x, x), rtol=1e-13)
    np.testing.assert_allclose(gradient, np.exp(x) * x / np.prod(x), rtol=1e-13)


def test_their_machine_code(tmp_path) -> None:
    path = str(tmp_path / "fresh.py")  # code from numba's cache cannot be looked at
    kernel = compile_source(
        text_of(weighted, *[np.ones(8)] * 2), "weighted_value_and_grad", jit=True, filename=path
    )
    kernel(np.ones(8), np.ones(8))
    (text,) = kernel.inspect_llvm().values()
    assert " x double> " in text and "fadd reassoc <" in text


def test_the_option() -> None:
    x = np.linspace(0.0, 1.0, 1001)
    assert "reassoc" in text_of(running, x, fastmath=True)
    for fastmath in (False, True):
        value, gradient = s2s_ad.value_and_grad(running, fastmath=fastmath)(x)
        np.testing.assert_allclose(value, running(x), rtol=1e-13)
        np.testing.assert_array_equal(gradient, 2.0 * x)


def hidden(x):
    vadd = x * 2.0
    return np.sum(vadd * vadd) + vadd[0]


def test_a_name_of_the_users_hides_no_sum() -> None:
    x = np.linspace(0.0, 1.0, 11)
    value, gradient = s2s_ad.value_and_grad(hidden)(x)
    np.testing.assert_allclose(value, hidden(x), rtol=1e-13)
    np.testing.assert_allclose(gradient, 8.0 * x + 2.0 * (np.arange(11) == 0), rtol=1e-13)


def straddled(x, y, z):
    """Every difference is a tie: contracted, it would be a rounding error of either sign."""
    s = 1.0
    for i in range(x.shape[0]):
        d = x[i] * y[i] - z[i]
        if d != 0.0:
            s = s - 3.0 * y[i]
            continue
        s = s * 1.01 + 2.0 * y[i] * math.sin(s)
    return s


def test_cotangents_are_rounded_as_one_likes() -> None:
    """What decides is not, in either sweep."""
    rng = np.random.default_rng(3)
    x, y = rng.random(200), rng.random(200)
    compiled = s2s_ad.value_and_grad(straddled, wrt="y")
    text = emit_module(compiled._derived_for((x, y, x * y), {}).funcs("kernel"), vector=True)
    forward, backward = text.split("# reverse sweep")
    assert "fmul(" in backward and "fadd(" in backward
    assert "fmul(" not in forward.split("def ")[1]
    plain = s2s_ad.value_and_grad(straddled, wrt="y", jit=False)
    value, gradient = compiled(x, y, x * y)
    assert value == straddled(x, y, x * y)
    np.testing.assert_allclose(gradient, plain(x, y, x * y)[1], rtol=1e-12)
    steps = np.abs(rng.standard_normal(200)) + 1.0  # all the same branch: z moves with y
    h = 1e-6

    def at(t: float) -> float:
        s = 1.0
        for k in range(200):
            s = s * 1.01 + 2.0 * (y[k] + t * steps[k]) * math.sin(s)
        return s

    assert gradient @ steps == pytest.approx((at(h) - at(-h)) / (2.0 * h), rel=1e-6)


def residual(x, n):
    """What is lost when 0.1 is added n times, scaled up: only its derivative is rounded freely."""
    s = 0.0
    for _ in range(n):
        s = s + x
    return (s - n * x) * 1e16


@pytest.mark.parametrize("make", (s2s_ad.value_and_grad, s2s_ad.differentiate))
def test_lost_digits_are_the_programs(make: Callable[..., Callable]) -> None:
    found = make(residual)(0.1, 1000)
    value = found[0] if isinstance(found, tuple) else found
    assert value == residual(0.1, 1000) != 0.0


def test_a_standalone_module_says_what_it_computes() -> None:
    """The functions that say what may be rounded freely are for compiled code, not for readers."""
    x = np.ones(3)
    funcs = s2s_ad.grad(straddled, wrt="y")._derived_for((x, x, x), {}).funcs("kernel")
    assert "fmul(" not in emit_module(funcs, optional=True, vector=True)


def spread(y):
    """One number is added to a whole array, and to a slice."""
    y = y * y
    y += y[0]
    y[1:] += y[1]
    return y


def test_numbers_that_are_added_to_arrays() -> None:
    y, y_dot = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.25, -3.0])
    plain = s2s_ad.jvp(spread, jit=False)((y,), (y_dot,))
    for level in ("array", "kernel"):
        found = s2s_ad.jvp(spread, level=level)((y,), (y_dot,))
        np.testing.assert_allclose(found, plain, rtol=1e-13)
        value, pullback = s2s_ad.vjp(spread, level=level)(y)
        (y_bar,) = pullback(y_dot)
        np.testing.assert_allclose(y_bar @ y_dot, plain[1] @ y_dot, rtol=1e-13)
