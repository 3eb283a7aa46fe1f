"""Jacobians of a recurrence of few numbers are computed before cotangents go through them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.pieces import PIECE
from s2s_ad.passes.preaccumulate import FEWEST, preaccumulate
from tests.derivative_checks import Derivatives

BEFORE = """
func f(t: f64[n], g: f64[n], x: f64, y: f64, start: i64) {
  n: i64 = dim t {axis=0}
  x: f64, y: f64, a: f64, g: f64[n] = for start, -1: i64, -1: i64, x, y, 0.0: f64, g {
    (i: i64, x: f64, y: f64, a: f64, g: f64[n])
    p: f64 = load t, i {spec='i'}
    u: f64 = sin p
    v: f64 = cos p
    xu: f64 = mul x, u adjoint
    yv: f64 = mul y, v adjoint
    z: f64 = add xu, yv adjoint
    z: f64 = add z, p adjoint
    w: f64 = div y, v adjoint
    w: f64 = sub w, x adjoint
    c: bool = lt p, 0.5: f64
    w: f64 = select c, w, xu adjoint
    a: f64 = add a, z adjoint
    g: f64[n] = store g, z, i {spec='i'} adjoint
    yield z, w, a, g
  } adjoint
  return x, y, a, g
}
"""

STAYS = {
    "not linear": ("w: f64 = sub w, x adjoint", "w: f64 = mul w, x adjoint"),
    "the program's own": ("w: f64 = sub w, x adjoint", "w: f64 = sub w, x"),
    "only sums": ("yield z, w, a, g", "yield x, y, a, g"),
    "cheap without it": (
        "u: f64 = sin p\n    v: f64 = cos p",
        "u: f64 = neg p\n    v: f64 = neg p",
    ),
    "what is written is read": ("p: f64 = load t, i", "p: f64 = load g, i"),
    "few iterations": ("for start, -1: i64", "for 9: i64, -1: i64"),
}


@pytest.mark.parametrize("n", [1, FEWEST - 1, FEWEST, PIECE + 1, 2 * PIECE + 40])
def test_golden(golden, n: int) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(n)
    after = preaccumulate(func)
    verify(after)
    golden(
        "ir", "preaccumulate.txt", BEFORE.lstrip() + "\n=== after preaccumulate\n\n" + show(after)
    )
    args = rng.random(n), rng.random(n), 0.3, -0.7, n - 1
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    before = BEFORE.replace(*STAYS[why])
    assert before != BEFORE
    func = parse(before)
    assert show(preaccumulate(func)) == show(func)


def oscillator(x, v, mu, dt, data):
    """A misfit of what is measured; Heun's method."""
    misfit = 0.0
    for i in range(data.shape[0]):
        a = mu * (1.0 - x * x) * v - x
        x1 = x + dt * v
        v1 = v + dt * a
        b = mu * (1.0 - x1 * x1) * v1 - x1
        x = x + 0.5 * dt * (v + v1)
        v = v + 0.5 * dt * (a + b)
        misfit += (x - data[i]) ** 2
    return misfit


def driven(x, y, force):
    """A branch, a minimum, and a force for each step."""
    for i in range(force.shape[0]):
        r = math.sqrt(1.0 + x * x + y * y)
        u = math.sin(x) / r + 0.1 * force[i]
        w = min(x, y) - 0.3 * math.exp(-y * y)
        if force[i] > 0.3:
            w = math.cos(y) * u
        x, y = 0.9 * u + 0.1 * w, 0.8 * w - 0.2 * x / r
    return x * y + x


def until(x, y, limit):
    """A while loop: so many iterations as it takes."""
    t = 0.0
    while t < limit:
        h = 0.02 / (1.0 + x * x)
        x, y = x + h * math.sin(y), y - h * math.cos(x) * y
        t += h
    return x + 2.0 * y


def backwards(x, y, a):
    """It counts down; its reverse counts up."""
    for i in range(a.shape[0] - 1, -1, -1):
        s = math.sin(x + a[i]) * math.exp(-0.01 * y)
        x, y = s + 0.1 * y, y * 0.95 + math.cos(s) * 0.1 * a[i]
    return x - y


RNG = np.random.default_rng(4)


def sums_besides(x, data):
    """What comes to the chain from elsewhere goes to an array besides."""
    n = data.shape[0]
    z, s = 0.4 * data, x
    for i in range(n):
        for j in range(n):
            s = math.sin(s + 1.0 / (1.5 + data[j - 1] ** 2))
            z[(i + 1) % n] += math.sin(x + data[j // 2] + data[i])
    return s + np.sum(z * data)


PROGRAMS = {
    "sums_besides": (sums_besides, lambda n: (0.1, RNG.standard_normal(min(n, FEWEST + 1)))),
    "oscillator": (oscillator, lambda n: (1.5, -0.3, 0.8, 0.02, RNG.standard_normal(n))),
    "driven": (driven, lambda n: (0.4, -0.3, RNG.random(n))),
    "until": (until, lambda n: (0.4, 0.7, 0.005 + 0.01 * n)),
    "backwards": (backwards, lambda n: (0.4, 0.7, RNG.standard_normal(n))),
}


@pytest.fixture(scope="module", params=PROGRAMS)
def checked(request):
    f, inputs = PROGRAMS[request.param]
    return Derivatives(f), inputs


@pytest.mark.parametrize("n", [0, 1, 5, FEWEST, PIECE + 3])
def test_derivatives(checked, n: int) -> None:
    derivatives, inputs = checked
    args = inputs(n)
    derivatives.check(args)
    if n >= FEWEST:
        assert "_bar_by_" in derivatives.grad.source(*args, level="kernel")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("factor", [1e-250, 1e55, 1e62, 1e250, math.inf])
def test_cotangents_of_any_size(name: str, factor: float) -> None:
    """Compiled and not, at both levels: what is not moderate goes the other way."""
    f, inputs = PROGRAMS[name]
    args = inputs(3 * FEWEST)
    found, expected = (s2s_ad.vjp(f, jit=jit)(*args)[1](factor) for jit in (True, False))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def steep(x, y, slope):
    """At x = 0, where the partial derivatives are so large that their product is no float, while
    what they are multiplied with stays one."""
    for i in range(slope.shape[0]):
        u = math.sin(x * slope[i]) * slope[i] * math.cos(y)
        w = math.sqrt(1.0 + u * u + y * y)
        x, y = u / w, 0.9 * math.sin(y)
    return 1e-300 * x + y


def test_coefficients_of_any_size() -> None:
    for place in (0, 5, PIECE - 1, PIECE, PIECE + 49):
        slope = np.ones(PIECE + 50)
        slope[place] = 1e200
        found, expected = (
            s2s_ad.grad(steep, wrt=("x", "y"), jit=jit)(0.0, 0.7, slope) for jit in (True, False)
        )
        assert np.all(np.isfinite(expected)) and expected[0] > 1e20
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_cotangent_that_is_not_a_number() -> None:
    args = 1.5, -0.3, 0.8, 0.02, np.full(2 * FEWEST, 0.1)
    args[-1][40] = np.nan
    found, expected = (s2s_ad.grad(oscillator, jit=jit, wrt=(0, 1))(*args) for jit in (True, False))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_single_precision() -> None:
    def single(x, y, force):
        half = np.float32(0.5)
        for i in range(force.shape[0]):
            r = np.sqrt(half + x * x + y * y)
            u = x / r - y * force[i] * r
            v = u * y - half * x * y * y + r
            x, y = half * (u * x + v / r), half * (v - u * u * half)
        return x * y

    args = np.float32(0.3), np.float32(0.2), RNG.random(PIECE + 9).astype(np.float32)
    found, expected = (s2s_ad.grad(single, (0, 1, 2), jit=jit)(*args) for jit in (True, False))
    for a, b in zip(found, expected, strict=True):
        assert np.asarray(a).dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-6)
    assert "_by_" in s2s_ad.grad(single, (0, 1, 2)).source(*args, level="kernel")


def test_a_division_by_what_stays_is_cheap() -> None:
    """It is a product with a reciprocal, so there is nothing to compute ahead."""

    def damped(x, a):
        for i in range(a.shape[0]):
            x = (x + a[i]) / 5.0
        return x

    args = 0.3, RNG.random(2 * FEWEST)
    Derivatives(damped).check(args)
    assert "_by_" not in s2s_ad.grad(damped, (0, 1)).source(*args, level="kernel")
