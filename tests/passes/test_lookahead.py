"""Recurrences with constant coefficients are followed four iterations at a time, and what they, or
stencils, leave in arrays is left by loops of its own."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.core import Func
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.lookahead import FEWEST, lookahead
from s2s_ad.passes.pieces import PIECE
from tests.derivative_checks import Derivatives
from tests.recurrences import random_recurrence
from tests.small_pieces import small_pieces

#: A recurrence of two numbers. It reads an array that is written at three places, and adds to a
#: total.
BEFORE = """
func f(a: f64[n], b: f64[n], x: f64, y: f64, c: f64, start: i64) {
  a: f64[n], b: f64[n], x: f64, y: f64, s: f64 = for start, 0: i64, -1: i64, a, b, x, y, 0.0: f64 {
    (i: i64, a: f64[n], b: f64[n], x: f64, y: f64, s: f64)
    t: f64 = load a, i {spec='i'}
    a: f64[n] = store a, 0.0: f64, i {spec='i'} adjoint
    u: f64 = add x, t adjoint
    v: f64 = mul u, c adjoint
    j: i64 = add i, 1: i64
    a: f64[n] = accum a, v, j {spec='i'} adjoint
    a: f64[n] = accum a, u, i {spec='i'} adjoint
    w: f64 = sub v, y adjoint
    y: f64 = div u, 3.0: f64 adjoint
    p: f64 = load b, i {spec='i'}
    q: f64 = mul p, w adjoint
    b: f64[n] = accum b, q, i {spec='i'} adjoint
    s: f64 = add s, q adjoint
    yield a, b, w, y, s
  } adjoint
  return a, b, x, y, s
}
"""

#: Sums at two places, the second of which an earlier iteration has met.
SUMS = {
    "t: f64 = load a": "t: f64 = load b",
    "store a, 0.0": "accum a, 0.0",
    "add i, 1": "sub i, 1",
    "b: f64[n] = accum b, q": "b: f64[n] = store b, q",
}
STAYS = {
    "not linear": {"mul u, c": "mul u, u"},
    "the program's own": {"v: f64 = mul u, c adjoint": "v: f64 = mul u, c"},
    "a coefficient of each iteration": {"mul u, c": "mul u, t"},
    "a coefficient that is too large": {"mul u, c": "mul u, 1e3: f64"},
    "one that is too small": {
        "mul u, c": "mul u, 1e-60: f64",
        "sub v, y": "neg v",
        "div u, 3.0: f64": "mul v, 1.0: f64",
    },
    "what is left is read later": {"add i, 1": "sub i, 1"},
    "what is left is overwritten": {
        "t: f64 = load a": "t: f64 = load b",
        "add i, 1": "sub i, 1",
        "a: f64[n] = accum a, v": "a: f64[n] = store a, v",
        "b: f64[n] = accum b, q": "b: f64[n] = store b, 0.0: f64",
    },
    "left at an unknown place": {
        "j: i64 = add i, 1: i64": "z: f64 = load b, i {spec='i'}\n"
        "    j: i64 = convert z {dtype='i64'}"
    },
    "the program's own sums": SUMS
    | {
        "accum a, v, j {spec='i'} adjoint": "accum a, v, j {spec='i'}",
        "accum a, u, i {spec='i'} adjoint": "accum a, u, i {spec='i'}",
    },
    "an extent of what is written": {
        "j: i64 = add i, 1": "m: i64 = dim a {axis=0}\n    j: i64 = add i, 1"
    },
    "few iterations": {"for start, 0: i64": "for 9: i64, 0: i64"},
    "a function": {"mul p, w": "arctan2 p, w"},
}


@pytest.mark.parametrize("c", [0.5, -0.9, 0.0, 1e-70, 1e80, math.inf, math.nan])
@pytest.mark.parametrize("n", [2, FEWEST, FEWEST + 1, PIECE + 3, 2 * PIECE + 40])
def test_golden(golden, n: int, c: float) -> None:
    """All coefficients, also those that leave the range of numbers, give what the loop gives."""
    func, rng = parse(BEFORE), np.random.default_rng(n)
    after = lookahead(func)
    verify(after)
    golden("ir", "lookahead.txt", BEFORE.lstrip() + "\n=== after lookahead\n\n" + show(after))
    args = rng.random(n + 1), rng.random(n + 1), 0.3, -0.7, c, n - 1
    with np.errstate(all="ignore"):
        found, expected = evaluate(after, args), evaluate(func, args)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def changed(changes: dict[str, str], before: str = BEFORE) -> Func:
    for old, new in changes.items():
        assert old in before
        before = before.replace(old, new)
    func = parse(before)
    verify(func)
    return func


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    func = changed(STAYS[why])
    assert show(lookahead(func)) == show(func)


def test_sums_of_cotangents_come_in_any_order() -> None:
    func, rng = changed(SUMS), np.random.default_rng(0)
    args = rng.random(2 * FEWEST), rng.random(2 * FEWEST), 0.3, -0.7, 0.5, 2 * FEWEST - 1
    after = lookahead(func)
    assert show(after) != show(func)
    for a, b in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def mean(x, weights, alpha):
    """An exponential mean; its coefficient is a parameter."""
    y = np.zeros(x.shape[0])
    for i in range(1, x.shape[0]):
        y[i] = alpha * x[i] + (1.0 - alpha) * y[i - 1]
    return np.sum(y * y * weights)


def second_order(x, a, b):
    """A recursive filter of the second order, in numbers."""
    u, v, power = 0.0, 0.0, 0.0
    for i in range(x.shape[0]):
        u, v = x[i] + a * u + b * v, u
        power += u * u
    return power


def latest(x, C):
    """Only the last of many values is used: the other iterations get the cotangent zero."""
    s, t = 1.0, 0.0
    for i in range(C.shape[1]):
        s = s + C[0, i] * x
        t = 0.4 * s
    return t


def sweeps(A, b):
    """Gauss-Seidel, forwards and backwards, in place."""
    A = A.copy()
    n, m = A.shape
    for _ in range(2):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                A[i, j] = (A[i - 1, j] + A[i, j - 1] + A[i, j + 1] + A[i + 1, j] + b[i, j]) / 4.5
        for i in range(n - 2, 0, -1):
            for j in range(m - 2, 0, -1):
                A[i, j] += 0.3 * A[i, j + 1] - 0.2 * A[i + 1, j]
    return np.sum(A * A)


RNG = np.random.default_rng(4)
PROGRAMS = {
    "mean": (mean, lambda n: (RNG.random(n), RNG.random(n), 0.2)),
    "second_order": (second_order, lambda n: (RNG.standard_normal(n), 0.5, -0.3)),
    "latest": (latest, lambda n: (0.7, RNG.random((1, n)))),
    "sweeps": (sweeps, lambda n: (RNG.random((4, n)), RNG.random((4, n)))),
}


@pytest.fixture(scope="module", params=PROGRAMS)
def checked(request):
    f, inputs = PROGRAMS[request.param]
    return Derivatives(f), inputs


@pytest.mark.parametrize("n", [2, FEWEST + 4, PIECE + 7])
def test_derivatives(checked, n: int) -> None:
    derivatives, inputs = checked
    args = inputs(n)
    derivatives.check(args)
    assert "rest = count % 4" in derivatives.grad.source(*args, level="kernel")


#: The adjoint of a stencil: no number goes from one iteration to the next. Two of the loops would
#: need the same function.
STENCIL = """
func f(a: f64[n], b: f64[n], x: f64[n], stop: i64) {
  a: f64[n], b: f64[n], s: f64 = for 1: i64, stop, 1: i64, a, b, 0.0: f64 {
    (i: i64, a: f64[n], b: f64[n], s: f64)
    t: f64 = load a, i {spec='i'}
    a: f64[n] = store a, 0.0: f64, i {spec='i'} adjoint
    u: f64 = load x, i {spec='i'}
    e: f64 = exp u
    v: f64 = mul t, e adjoint
    s: f64 = add s, v adjoint
    j: i64 = sub i, 1: i64
    b: f64[n] = accum b, v, j {spec='i'} adjoint
    w: f64 = mul v, 2.0: f64 adjoint
    b: f64[n] = accum b, w, i {spec='i'} adjoint
    yield a, b, s
  } adjoint
  return a, b, s
}
"""

STENCIL_STAYS = {
    "the program's own sums": {"accum b, v, j {spec='i'} adjoint": "accum b, v, j {spec='i'}"}
    | {"accum b, w, i {spec='i'} adjoint": "accum b, w, i {spec='i'}"},
    "one place": {"accum b, v, j": "accum b, v, i"},
    "what is left is read later": {"load x, i": "load b, i", "sub i, 1": "add i, 1"},
    "a place that is not known": {"sub i, 1: i64": "mul i, i"},
    "the program's own loop": {"} adjoint\n  return": "}\n  return"},
}


@pytest.mark.parametrize("n", [3, FEWEST + 1, FEWEST + 2, PIECE + 3, 2 * PIECE + 40])
def test_golden_of_a_stencil(golden, n: int) -> None:
    func, rng = parse(STENCIL), np.random.default_rng(n)
    after = verify(lookahead(func))
    text = STENCIL.lstrip() + "\n=== after lookahead\n\n" + show(after)
    golden("ir", "lookahead_stencil.txt", text)
    args = *rng.normal(size=(3, n)), n - 1
    for a, b in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("why", STENCIL_STAYS)
def test_a_stencil_stays(why: str) -> None:
    func = changed(STENCIL_STAYS[why], STENCIL)
    assert show(lookahead(func)) == show(func)


def diffusion(u, c, k):
    """Between fixed ends, element by element; what flows depends on where."""
    n = u.shape[0]
    for _ in range(3):
        v = np.empty(n)
        for i in range(n):
            if i == 0 or i == n - 1:
                v[i] = 0.5 * u[i]
            else:
                v[i] = u[i] + k * np.exp(c[i]) * (u[i - 1] - 2.0 * u[i] + u[i + 1])
        u = v
    return np.sum(u * u)


def ring(u, k):
    n, m = u.shape
    v = np.empty((n, m))
    for _ in range(2):
        for i in range(n):
            for j in range(m):
                near = u[(i - 1) % n, j] + u[(i + 1) % n, j]
                near += u[i, (j - 1) % m] * u[i, (j + 2) % m]
                v[i, j] = u[i, j] + k * near
        u, v = v, u
    return np.sum(u * u)


def backwards(u, v):
    for i in range(u.shape[0] - 3, 1, -1):
        v[i] += u[i - 2] * u[i + 2] + np.sin(u[i])
    return np.sum(v)


STENCILS = {
    "diffusion": (diffusion, lambda n: (RNG.random(n), RNG.random(n), 0.2)),
    "ring": (ring, lambda n: (RNG.random((3, n)), 0.2)),
    "backwards": (backwards, lambda n: (RNG.random(n), RNG.random(n))),
}


@pytest.fixture(scope="module", params=STENCILS)
def stencils(request):
    f, inputs = STENCILS[request.param]
    return Derivatives(f), inputs


@pytest.mark.parametrize("n", [1, 2, 5, FEWEST + 4, PIECE + 7])
def test_stencils(stencils, n: int) -> None:
    derivatives, inputs = stencils
    args = inputs(n)
    derivatives.check(args)
    if n > 1:
        assert "count = min(" in derivatives.grad.source(*args, level="kernel")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("factor", [1e-250, 1e62, 1e250, math.inf])
def test_cotangents_of_any_size(name: str, factor: float) -> None:
    f, inputs = PROGRAMS[name]
    args = inputs(3 * FEWEST)
    found, expected = (s2s_ad.vjp(f, jit=jit)(*args)[1](factor) for jit in (True, False))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize("alpha", [1.0, 0.0, 1.0 - 1e-70, -1e3, -1e90])
def test_coefficients_of_any_size(alpha: float) -> None:
    """Where alpha is 1, nothing is carried; where it is -1e90, the mean is no number soon."""
    x, weights = np.zeros(2 * FEWEST), np.ones(2 * FEWEST)
    x[[1, 3, 40]] = 1e-3, 1e-200, 0.5
    args = x, weights, alpha
    with np.errstate(all="ignore"):
        found, expected = (s2s_ad.grad(mean, (0, 2), jit=jit)(*args) for jit in (True, False))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_single_precision() -> None:
    x, weights = RNG.random((2, PIECE + 9)).astype(np.float32)
    args = x, weights, np.float32(0.2)
    found, expected = (s2s_ad.grad(mean, (0, 1, 2), jit=jit)(*args) for jit in (True, False))
    for a, b in zip(found, expected, strict=True):
        assert np.asarray(a).dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-4)


def oscillated(x, v, g):
    """A state in single precision, moved by numbers in double: each step converts."""
    a, b = x[0], v[0]
    for _ in range(100):
        b -= 0.01 * g * math.sin(a)
        a += 0.01 * b
    return a * a


def test_mixed_precision() -> None:
    args = np.full(1, 0.5, np.float32), np.full(1, 0.2, np.float32), 9.8
    found, expected = (
        s2s_ad.value_and_grad(oscillated, (0, 1, 2), jit=jit)(*args) for jit in (True, False)
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


@pytest.mark.parametrize("number", range(60))
def test_random_recurrences(number: int) -> None:
    """The loops that are taken apart give the gradient that the array level has."""
    f, args = random_recurrence(random.Random(number))
    expected = s2s_ad.grad(f, wrt=(0, 1, 2, 3), jit=False, level="array")(*args)
    with small_pieces():
        found = s2s_ad.grad(f, wrt=(0, 1, 2, 3), jit=False, level="kernel")(*args)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10 * (1.0 + np.max(np.abs(b))))
