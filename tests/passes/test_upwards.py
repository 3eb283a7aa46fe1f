"""Reversed loops count up where the order of their iterations is nobody's, and nowhere else."""

from __future__ import annotations

import numpy as np

from s2s_ad import grad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.upwards import upwards
from tests.derivative_checks import Derivatives

BEFORE = """
func f(x: f64[n], y: f64[n], k: i64) {
  n: i64 = dim x {axis=0}
  t: i64 = sub n, 1: i64
  own: f64[n] = for t, -1: i64, -1: i64, x { (i: i64, g: f64[n])
    u: f64 = load y, i {spec='i'}
    g: f64[n] = accum g, u, i {spec='i'} adjoint
    yield g
  } adjoint
  sum: f64 = for k, 0: i64, -1: i64, 0.0: f64 { (i: i64, s: f64)
    u: f64 = load y, i {spec='i'}
    s: f64 = add s, u adjoint
    yield s
  } adjoint
  recurrence: f64 = for t, -1: i64, -1: i64, 1.0: f64 { (i: i64, s: f64)
    u: f64 = load y, i {spec='i'}
    a: f64 = mul s, u adjoint
    s: f64 = add a, u adjoint
    yield s
  } adjoint
  neighbours: f64[n] = for t, 0: i64, -1: i64, x { (i: i64, g: f64[n])
    j: i64 = sub i, 1: i64
    u: f64 = load g, i {spec='i'} adjoint
    g: f64[n] = accum g, u, j {spec='i'} adjoint
    yield g
  } adjoint
  users: f64[n] = for t, -1: i64, -1: i64, x { (i: i64, g: f64[n])
    u: f64 = load y, i {spec='i'}
    g: f64[n] = accum g, u, i {spec='i'}
    yield g
  }
  return own, sum, recurrence, neighbours, users
}
"""


def test_golden(golden) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(0)
    after = upwards(func)
    verify(after)
    golden("ir", "upwards.txt", BEFORE.lstrip() + "\n=== after upwards\n\n" + show(after))
    args = rng.random(5), rng.random(5), 4
    for found, expected in zip(evaluate(after, args), evaluate(func, args)):
        np.testing.assert_allclose(found, expected, rtol=1e-15)


def counted_down(x, a, last, first):
    """Each iteration waits for the one before it."""
    for i in range(last, first, -1):
        a = np.sin(a) * x[i] + a
    return a


def test_what_counts_down_is_reversed_upwards() -> None:
    x = np.array([0.4, -0.7, 0.9, 0.3])
    text = grad(counted_down).source(x, 0.5, 3, 0)
    assert "for i in range(first + 1, last + 1):" in text and "//" not in text
    for jit in (True, False):
        derivatives = Derivatives(counted_down, jit=jit)
        for last, first in ((3, 0), (3, -1), (1, 1), (0, 2)):
            derivatives.check((x, 0.5, last, first))
