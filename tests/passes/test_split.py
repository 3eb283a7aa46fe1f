"""Loops do their ends apart where only these decide otherwise, and nothing changes but the text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from s2s_ad import grad
from s2s_ad.ir.core import Eqn, walk
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.dce import dce
from s2s_ad.passes.simplify import simplify
from s2s_ad.passes.split import split

ROLLED = """
func f(x: f64[n]) {
  n: i64 = dim x {axis=0}
  y: f64[n] = empty n {dtype='f64'}
  y: f64[n] = for 0: i64, n, 1: i64, y { (i: i64, y: f64[n])
    before: i64 = sub i, 1: i64
    first: bool = lt before, 0: i64
    last: i64 = add before, n
    at: i64 = select first, last, before
    t: f64 = load x, at {spec='i'}
    y: f64[n] = store y, t, i {spec='i'}
    yield y
  }
  return y
}
"""

#: `c` becomes what is decided, in a loop from START to STOP with the extent n at hand.
DECIDED = """
func f(x: f64[n], m: i64) {{
  n: i64 = dim x {{axis=0}}
  stop: i64 = sub n, 1: i64
  y: f64[n] = full 0.0: f64, n
  y: f64[n], s: f64 = for {loop}, 1: i64, y, 0.0: f64 {{ (i: i64, y: f64[n], s: f64)
    {equations}
    v: f64 = load x, i {{spec='i'}}
    w: f64 = mul v, 2.0: f64
    t: f64 = select c, v, w
    y: f64[n] = store y, t, i {{spec='i'}}
    s: f64 = add s, t {{any_order=True}}
    yield y, s
  }}
  return y, s
}}
"""
REMAINDER = "\n    ".join((
    "r: i64 = mod k, n", "u: f64 = load x, r {spec='i'}", "c: bool = gt u, 0.0: f64"
))  # fmt: skip

#: equations -> how many loops there are then
CASES = {
    "c: bool = lt i, 1: i64": 2,
    "c: bool = le i, 1: i64": 2,
    "c: bool = gt i, 1: i64": 2,
    "c: bool = ge i, 2: i64": 2,
    "c: bool = gt 2: i64, i": 2,
    "c: bool = ge 2: i64, i": 2,
    "c: bool = lt 2: i64, i": 2,
    "c: bool = le 2: i64, i": 2,
    "c: bool = eq i, 0: i64": 2,
    "c: bool = ne i, 3: i64": 2,
    "c: bool = eq 1: i64, i": 2,
    "c: bool = lt i, stop": 2,
    "c: bool = le stop, i": 2,
    "k: i64 = add i, 3: i64\n    c: bool = ge k, n": 2,
    "k: i64 = sub stop, i\n    c: bool = lt k, 2: i64": 2,
    "k: i64 = sub stop, i\n    c: bool = eq k, 1: i64": 2,
    "a: bool = eq i, 0: i64\n    b: bool = eq i, stop\n    c: bool = or a, b": 3,
    "a: bool = lt i, 3: i64\n    b: bool = lt i, 2: i64\n    c: bool = xor a, b": 2,
    "k: i64 = sub i, 2: i64\n    " + REMAINDER: 2,
    "k: i64 = add i, 3: i64\n    " + REMAINDER: 2,
    "k: i64 = sub 0: i64, i\n    " + REMAINDER: 1,
    "b: bool = lt i, 3: i64\n    " + REMAINDER.replace("mod k", "mod i"): 2,
    "c: bool = lt i, m": 1,
    "k: i64 = mul i, 2: i64\n    c: bool = lt k, 3: i64": 1,
    "c: bool = lt i, 9: i64": 1,
    "c: bool = lt 1: i64, m": 1,
}


def loops(func) -> list[Eqn]:
    return [e for e in walk(func.body) if e.prim == "for"]


def test_golden(golden) -> None:
    func = parse(ROLLED)
    after = dce(simplify(verify(split(func))))
    golden(
        "ir", "split.txt", ROLLED.lstrip() + "\n=== after split, simplify, dce\n\n" + show(after)
    )
    for n in range(5):
        x = np.arange(float(n))
        np.testing.assert_array_equal(evaluate(after, (x,))[0], np.roll(x, 1))


@pytest.mark.parametrize("loop", ["0: i64, n", "1: i64, stop", "m, n"])
@pytest.mark.parametrize("equations", CASES)
def test_nothing_changes(equations: str, loop: str) -> None:
    func = parse(DECIDED.format(loop=loop, equations=equations))
    after = verify(split(func))
    if loop == "0: i64, n":
        assert len(loops(after)) == CASES[equations]
    after = verify(dce(simplify(after)))
    for n in range(12):
        x = np.random.default_rng(n).normal(size=n)
        for found, expected in zip(evaluate(after, (x, 2)), evaluate(func, (x, 2))):
            np.testing.assert_array_equal(found, expected)


STAYS: dict[str, Callable[[str], str]] = {
    "an iteration waits for another": lambda t: t.replace("load x, at", "load y, at"),
    "every second iteration": lambda t: t.replace("n, 1: i64, y", "n, 2: i64, y"),
    "the user's prange": lambda t: t.replace("1: i64, y {", "1: i64, y {parallel='wished'} {"),
    "few iterations": lambda t: t.replace("0: i64, n, 1: i64", "0: i64, 9: i64, 1: i64"),
}


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    func = parse(STAYS[why](ROLLED))
    assert len(loops(func)) == 1 and show(split(func)) == show(func)


def ring(u, k):
    """Heat in a ring, a boundary by hand, and what is further away than the array is long."""
    n = u.shape[0]
    for _ in range(k):
        v = np.empty(n)
        for i in range(n):
            v[i] = u[i - 1] + u[i + 1 if i + 1 < n else 0]
            if i == 0 or i == n - 1:
                v[i] *= 0.5
        u = 0.3 * v + np.sin(np.roll(u, 5)) - 0.1 * np.roll(u, -2) ** 2
    return np.sum(u**2)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 40])
def test_derivative(n: int) -> None:
    u = np.random.default_rng(n).normal(size=n)
    found = grad(ring)(u, 3)
    np.testing.assert_allclose(found, grad(ring, jit=False)(u, 3), rtol=1e-12, atol=1e-14)
    step = 1e-6 * np.eye(n)
    expected = [(ring(u + h, 3) - ring(u - h, 3)) / 2e-6 for h in step]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)
