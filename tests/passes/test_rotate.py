"""Zeros at the end of an iteration move to the start of the next, where nobody sees it."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.rotate import rotate

BEFORE = """
func f(w: f64[n], steps: i64) {
  n: i64 = dim w {axis=0}
  z: f64[n] = full 0.0: f64, n
  a: f64[n], b: f64[n] = for 0: i64, steps, 1: i64, w, z { (i: i64, p: f64[n], q: f64[n])
    t: f64[n-2] = load p, 1: i64, -1: i64 {spec='_:_'} adjoint
    cleared: f64[n] = store p, 0.0: f64, 1: i64, -1: i64 {spec='_:_'} adjoint
    q: f64[n] = accum q, t, -2: i64 {spec=':_'} adjoint
    q: f64[n] = accum q, t, 2: i64 {spec='_:'} adjoint
    yield q, cleared
  } adjoint
  g: f64[n] = sub a, b adjoint
  return g, b
}
"""

STAYS = {
    "the first iteration would clear": (
        "  z: f64[n] = full 0.0: f64, n\n",
        "  z: f64[n] = full 1.0: f64, n\n",
    ),
    "the cleared array is read": (
        "yield q, cleared",
        "s: f64[n] = add cleared, q\n    yield s, cleared",
    ),
    "the iteration says where": (
        "store p, 0.0: f64, 1: i64, -1: i64 {spec='_:_'}",
        "store p, 0.0: f64, i {spec='_:'}",
    ),
    "an element, which need not exist": (
        "store p, 0.0: f64, 1: i64, -1: i64 {spec='_:_'}",
        "store p, 0.0: f64, 1: i64 {spec='i'}",
    ),
    "the buffer is read": (
        "t: f64[n-2] = load p",
        "u: f64[n-2] = load q, 1: i64, -1: i64 {spec='_:_'} adjoint\n    t: f64[n-2] = load p",
    ),
}


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_golden(golden, steps: int) -> None:
    func = parse(BEFORE)
    after = rotate(func)
    verify(after)
    golden("ir", "rotate.txt", BEFORE.lstrip() + "\n=== after rotate\n\n" + show(after))
    args = np.random.default_rng(0).random(6), steps
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    before = BEFORE.replace(*STAYS[why])
    assert before != BEFORE
    func = parse(before)
    assert show(rotate(func)) == show(func)
