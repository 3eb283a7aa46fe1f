"""What a loop carries has the extents that the loop checks."""

from __future__ import annotations

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.interp import Failed, evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.narrow import narrow

BEFORE = """
func f(y: f64[n], w: f64[n], steps: i64) {
  n: i64 = dim y {axis=0}
  same: bool = eq n, 2: i64
  y: f64[n], s: f64 = for 0: i64, steps, 1: i64, y, 0.0: f64 { (i: i64, y: f64[n], s: f64)
    inside 1: i64, n {what="axis 0 of 'y'"}
    u: f64 = load y, 1: i64 {spec='i'}
    k: f64[2] = stack u, s {axis=0}
    assert same {error='ValueError', message='shapes'}
    z: f64[n] = mul y, w
    z: f64[2] = add z, k
    s: f64 = add s, u
    yield z, s
  }
  return y, s
}
"""

STAYS = {
    "the whole is taken before the check": (
        "k: f64[2] = stack u, s {axis=0}",
        "l: f64[n] = mul y, w\n    k: f64[2] = stack u, s {axis=0}",
    ),
    "no check": ("    assert same {error='ValueError', message='shapes'}\n", ""),
    "another extent": ("eq n, 2: i64", "eq n, steps"),
    "many": ("eq n, 2: i64", "eq n, 20: i64"),
    "a subscript that is not known": ("load y, 1: i64", "load y, i"),
}


@pytest.mark.parametrize("n, steps", [(2, 0), (2, 3), (3, 0), (1, 0), (0, 0)])
def test_golden(golden, n: int, steps: int) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(n)
    after = narrow(func)
    verify(after)
    golden("ir", "narrow.txt", BEFORE.lstrip() + "\n=== after narrow\n\n" + show(after))
    args = rng.random(n), rng.random(n), steps
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n, error", [(3, Failed), (1, IndexError), (0, IndexError)])
def test_what_failed_fails(n: int, error: type[Exception]) -> None:
    func = parse(BEFORE)
    for one in (func, narrow(func)):
        with pytest.raises((error, Failed)) as raised:
            evaluate(one, (np.ones(n), np.ones(n), 2))
        assert ("shapes" in str(raised.value)) == (n == 3)


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    before = BEFORE.replace(*STAYS[why])
    if why == "many":
        before = before.replace("f64[2]", "f64[m]")
    assert before != BEFORE
    func = parse(before)
    assert show(narrow(func)) == show(func)


def lotka(y, p):
    return np.array([p[0] * y[0] - p[1] * y[0] * y[1], p[3] * y[0] * y[1] - p[2] * y[1]])


def heun(y0, p, h, steps):
    y = y0.copy()
    for _ in range(steps):
        a = lotka(y, p)
        b = lotka(y + h * a, p)
        y += 0.5 * h * (a + b)
    return y * y


def nested(y0, p, h, steps):
    """Steps in steps, and every second state kept."""
    y, kept = y0, np.zeros((steps, 2))
    for i in range(steps):
        for _ in range(2):
            y = y + h * lotka(y, p)
        kept[i] = y
    return kept


def too_many(y, h, steps):
    """A third element, from the end: an argument that gets through the check does not have it."""
    for _ in range(steps):
        a = y[-3] if h > 1.0 else 0.0
        y = y + h * np.array([y[1], -y[0]]) + a
    return y


P = np.array([1.0, 0.4, 0.3, 0.2])


@pytest.mark.parametrize("f", [heun, nested])
@pytest.mark.parametrize("jit", [False, True])
def test_programs(f, jit: bool) -> None:
    """Kernels against array code: values, derivatives, and the errors for other extents."""
    tried = [s2s_ad.vjp(f, (0, 1), jit=jit, level="kernel"), s2s_ad.vjp(f, (0, 1), jit=False)]
    for y, steps in (([1.0, 0.5], 40), ([1.0, 0.5], 0), ([1.0, 0.5, 0.3], 0)):
        (value, pull), (expected, pull_expected) = (g(np.array(y), P, 0.01, steps) for g in tried)
        np.testing.assert_allclose(value, expected, rtol=1e-13)
        w = np.arange(1.0, 1.0 + value.size).reshape(value.shape)
        for a, b in zip(pull(w), pull_expected(w), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11)
    for n, error in ((0, IndexError), (3, ValueError)):
        for g in tried:
            with pytest.raises(error):
                g(np.ones(n), P, 0.01, 3)


@pytest.mark.parametrize("jit", [False, True])
def test_subscripts_out_of_range(jit: bool) -> None:
    gradient = s2s_ad.vjp(too_many, (0,), jit=jit, level="kernel")
    value, pull = gradient(np.array([0.3, 0.4]), 0.1, 5)
    expected, pull_expected = s2s_ad.vjp(too_many, (0,), jit=False)(np.array([0.3, 0.4]), 0.1, 5)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(pull(value), pull_expected(value), rtol=1e-13)
    for h, n, error in ((1.5, 2, IndexError), (1.5, 3, ValueError)):
        with pytest.raises(error):
            gradient(np.ones(n), h, 2)
