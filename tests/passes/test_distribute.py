"""Functions are computed before the recurrence that takes them, in pieces."""

from __future__ import annotations

import math

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.distribute import distribute
from s2s_ad.passes.pieces import PIECE

BEFORE = """
func f(x: f64[n], y: f64[n], k: i64) {
  n: i64 = dim x {axis=0}
  t: f64[n] = empty n {dtype='f64'}
  u: f64[n] = empty n {dtype='f64'}
  s: f64, last: f64, t: f64[n], u: f64[n] = for k, n, 1: i64, 1.0: f64, 0.0: f64, t, u {
    (i: i64, s: f64, last: f64, t: f64[n], u: f64[n])
    a: f64 = load x, i {spec='i'}
    e: f64 = exp a
    t: f64[n] = store t, e, i {spec='i'}
    b: f64 = load y, i {spec='i'}
    p: f64 = mul e, b
    u: f64[n] = store u, s, i {spec='i'}
    q: f64 = mul s, a
    s: f64 = add q, p
    yield s, p, t, u
  }
  return s, last, t, u
}
"""

STAYS = {
    "no function": ("e: f64 = exp a", "e: f64 = neg a"),
    "the function takes what is carried": ("e: f64 = exp a", "e: f64 = exp s"),
    "it is the same number each time": (
        "e: f64 = exp a",
        "w: f64 = load y, 0: i64 {spec='i'}\n    e: f64 = exp w",
    ),
    "the same function stays behind": ("q: f64 = mul s, a", "q: f64 = exp s"),
    "steps of two": ("for k, n, 1: i64", "for k, n, 2: i64"),
}


@pytest.mark.parametrize("n", [1, 5, PIECE, PIECE + 1, 3 * PIECE - 1])
def test_golden(golden, n: int) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(n)
    after = distribute(func)
    verify(after)
    golden("ir", "distribute.txt", BEFORE.lstrip() + "\n=== after distribute\n\n" + show(after))
    x, y = rng.random(n) - 0.9, rng.random(n)
    for k in (0, 1, n):
        for found, expected in zip(evaluate(after, (x, y, k)), evaluate(func, (x, y, k))):
            written = slice(k, None) if np.ndim(found) else ...
            np.testing.assert_array_equal(np.asarray(found)[written], np.asarray(expected)[written])


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    before = BEFORE.replace(*STAYS[why])
    assert before != BEFORE
    func = parse(before)
    assert show(distribute(func)) == show(func)


def entropy(x):
    """The sum has the order that is written."""
    s = 0.0
    for i in range(x.shape[0]):
        s += x[i] * math.log(x[i])
    return s


def compound(rates, limit):
    """A price, and a count of days above a limit, which depends on it."""
    price, days = 1.0, 0
    for i in range(1, rates.shape[0]):
        price *= math.exp(0.1 * rates[i] - 0.01 * rates[i - 1])
        if price > limit:
            days += 1
            price = price * 0.99
    return price * days


def smoothed(x, y):
    """What is read is what an earlier iteration has written."""
    for i in range(1, x.shape[0]):
        y[i] = 0.5 * y[i - 1] + math.sin(x[i])
    return y[-1] * y[0]


def emptied(x, left):
    """An integer is read of what is overwritten, and decides what is carried."""
    s = 0.3
    for i in range(x.shape[0]):
        j = left[i]
        left[i] = 0
        s = (s * 0.5 if j > 2 else s * 0.9) + math.exp(x[i])
    return s


def test_integers_that_are_overwritten() -> None:
    x, left = np.linspace(0, 1, 6), np.array([5, 4, 3, 2, 1, 0])
    for jit in (True, False):
        after = left.copy()
        found = s2s_ad.differentiate(emptied, jit=jit, level="kernel")(x, after)
        np.testing.assert_allclose(found, emptied(x, left.copy()), rtol=1e-13)
        assert not after.any()


RNG = np.random.default_rng(4)
PROGRAMS = {
    "entropy": (entropy, lambda n: (RNG.random(n) + 0.1,)),
    "compound": (compound, lambda n: (RNG.standard_normal(n), 1.1)),
    "smoothed": (smoothed, lambda n: (RNG.random(n), RNG.random(n))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    f, inputs = PROGRAMS[name]
    wrt = (0,) if name != "smoothed" else (0, 1)
    compiled, plain = (s2s_ad.value_and_grad(f, wrt, jit=jit) for jit in (True, False))
    for n in (1, 2, 100, PIECE + 1, PIECE + 2, 700):
        args = inputs(n)
        value, gradient = compiled(*args)
        expected_value, expected = plain(*args)
        np.testing.assert_allclose(value, expected_value, rtol=1e-13)
        for a, b in zip(np.atleast_2d(gradient), np.atleast_2d(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)
    assert f", {PIECE})" in compiled.source(*args, level="kernel")


def wave(x):
    y = x.copy()
    for i in range(1, x.shape[0] - 1):
        y[i] = math.sin(x[i - 1]) * 0.5 + x[i + 1] * x[i]
    return np.sum(y * y)


def test_adjoints_of_stencils_are_left_to_lookahead() -> None:
    """Which has one loop over pieces for them, and none inside that takes pieces of a piece."""
    derivative = s2s_ad.value_and_grad(wave)
    plain = s2s_ad.value_and_grad(wave, jit=False, level="kernel")
    for n in (0, 1, 2, 5, 40, PIECE + 2, 3 * PIECE + 1):
        x = np.random.default_rng(n).normal(size=n)
        value, x_bar = plain(x)
        np.testing.assert_allclose(derivative(x)[0], value, rtol=1e-12)
        np.testing.assert_allclose(derivative(x)[1], x_bar, rtol=1e-12, atol=1e-14)
        step = np.zeros(n)
        for k in {0, n // 2, n - 1} & set(range(n)):
            step[:] = 0.0
            step[k] = 1e-6
            slope = (wave(x + step) - wave(x - step)) / 2e-6
            np.testing.assert_allclose(x_bar[k], slope, rtol=1e-6, atol=1e-7)
    assert derivative.source(x, level="kernel").count("for low") == 1
