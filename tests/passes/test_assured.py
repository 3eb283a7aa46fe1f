"""Conditions that have been checked are True where they hold, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad import value_and_grad
from s2s_ad.ir.core import Lit, walk
from s2s_ad.ir.interp import Failed, evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.assured import assured
from s2s_ad.passes.dce import dce
from s2s_ad.passes.simplify import simplify

GUARDED = """
func f(x: f64[n], m: i64, k: i64) {
  n: i64 = dim x {axis=0}
  none: bool = le n, 0: i64
  three: bool = eq m, 3: i64
  large: bool = gt k, 2: i64
  same: bool = and three, large
  either: bool = or none, same
  assert either {error='ValueError', message='not three'}
  last: i64 = sub n, 1: i64
  s: f64 = for 0: i64, n, 1: i64, 0.0: f64 { (i: i64, s: f64)
    u: f64 = load x, i {spec='i'}
    w: f64 = if three { ()
      yield u
    } { ()
      yield 7.0: f64
    }
    s: f64 = add s, w
    yield s
  }
  out: f64 = select large, s, -1.0: f64
  return out
}
"""


def decided(text: str) -> int:
    """How many conditions have become literals."""
    func = verify(assured(parse(text)))
    return sum(e.prim in ("if", "select") and isinstance(e.ins[0], Lit) for e in walk(func.body))


def test_golden(golden) -> None:
    func = parse(GUARDED)
    after = dce(simplify(verify(assured(func))))
    golden(
        "ir",
        "assured.txt",
        GUARDED.lstrip() + "\n=== after assured, simplify, dce\n\n" + show(after),
    )
    for n in (0, 1, 4):
        for k in (1, 3):
            args = (np.arange(float(n)), 3, k)
            if n and k == 1:
                for one in (func, after):
                    with pytest.raises(Failed, match="not three"):
                        evaluate(one, args)
            else:
                assert evaluate(after, args) == evaluate(func, args)


UP, DOWN = "for 0: i64, n, 1: i64", "for last, -1: i64, -1: i64"
CASES = {
    "as it is": (GUARDED, 1),
    "downwards": (GUARDED.replace(UP, DOWN), 1),
    "the guard written the other way": (GUARDED.replace("le n, 0: i64", "ge 0: i64, n"), 1),
    "the other way round": (GUARDED.replace("or none, same", "or same, none"), 1),
    "without a guard": (GUARDED.replace("assert either", "assert same"), 2),
    "another guard": (GUARDED.replace("le n, 0: i64", "le k, 0: i64"), 0),
    "another loop": (GUARDED.replace(UP, "for 0: i64, m, 1: i64"), 0),
    "a loop from elsewhere": (GUARDED.replace(UP, "for 1: i64, n, 1: i64"), 0),
    "from another last one": (GUARDED.replace(UP, DOWN).replace("n, 1: i64\n", "n, 2: i64\n"), 0),
}


@pytest.mark.parametrize("why", CASES)
def test_what_is_known(why: str) -> None:
    text, count = CASES[why]
    assert decided(text) == count


def test_behind_a_check_only() -> None:
    """What stands before the check, or in another branch, knows nothing of it."""
    early = GUARDED.replace(
        "  last: i64", "  t: f64 = select same, 1.0: f64, 2.0: f64\n  last: i64"
    )
    assert decided(early) == 1
    inside = """
func f(x: f64, c: bool, d: bool) {
  u: f64 = if d { ()
    assert c {error='ValueError', message='no'}
    t: f64 = select c, x, 0.0: f64
    yield t
  } { ()
    t: f64 = select c, x, 1.0: f64
    yield t
  }
  v: f64 = select c, u, 2.0: f64
  return v
}
"""
    assert decided(inside) == 1


def rows(x, p):
    total = 0.0
    for i in range(x.shape[0]):
        s = x[i].copy()
        for _ in range(5):
            s = s + 0.1 * np.array([s[1], p * s[2], s[0] * s[1]])
        total += s[0] * s[2]
    return total


@pytest.mark.parametrize("level", ["array", "kernel"])
def test_a_state_from_a_row(level: str) -> None:
    """It is made of numbers; rows of another length are an error, none at all are not."""
    derivative = value_and_grad(rows, wrt=(0, 1), jit=False, level=level)
    x = np.random.default_rng(0).normal(size=(3, 3))
    value, (x_bar, p_bar) = derivative(x, 0.7)
    assert value == pytest.approx(rows(x, 0.7), rel=1e-14)
    d = np.random.default_rng(1).normal(size=x.shape)
    slope = (rows(x + 1e-6 * d, 0.7 + 1e-6) - rows(x - 1e-6 * d, 0.7 - 1e-6)) / 2e-6
    assert np.sum(x_bar * d) + p_bar == pytest.approx(slope, rel=1e-7)
    with pytest.raises(ValueError, match="shapes of operands"):
        derivative(np.ones((2, 4)), 0.7)
    assert derivative(np.ones((0, 4)), 0.7)[0] == 0.0
    assert "if same" not in derivative.source(x, 0.7, level=level)
