"""What is added to slices comes before what is added to elements, where nobody looks in between."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.slices_first import slices_first

BEFORE = """
func f(g: f64[n], a: f64[n], k: i64) {
  t: f64[n] = mul a, a
  s: f64 = sum t {axes=(0,), keepdims=False}
  g: f64[n] = accum g, s, k {spec='i'} adjoint
  g: f64[n] = accum g, a {spec=':'} adjoint
  u: f64 = load a, k {spec='i'}
  g: f64[n] = accum g, u, 0: i64 {spec='i'} adjoint
  v: f64[n] = sin a
  g: f64[n] = accum g, v {spec=':'} adjoint
  g: f64[n] = accum g, s, 1: i64 {spec='i'} adjoint
  return g
}
"""

#: The first addition stays where it is.
STAYS = {
    "somebody looks": (
        "g: f64[n] = accum g, a",
        "w: f64 = load g, k {spec='i'}\n  g: f64[n] = accum g, a",
    ),
    "the program's own": ("g, s, k {spec='i'} adjoint", "g, s, k {spec='i'}"),
    "a store": ("accum g, a {spec=':'}", "store g, a {spec=':'}"),
}


def order(func) -> list[str]:
    return [e.params["spec"] for e in func.body.eqns if e.prim in ("accum", "store")]


@pytest.mark.parametrize("k", [0, 2])
def test_golden(golden, k: int) -> None:
    func = parse(BEFORE)
    after = verify(slices_first(func))
    golden("ir", "slices_first.txt", BEFORE.lstrip() + "\n=== after slices_first\n\n" + show(after))
    assert order(after) == [":", ":", "i", "i", "i"]
    args = *np.random.default_rng(k).normal(size=(2, 4)), k
    np.testing.assert_allclose(evaluate(after, args)[0], evaluate(func, args)[0], rtol=1e-15)


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    func = parse(BEFORE.replace(*STAYS[why]))
    after = verify(slices_first(func))
    assert order(after)[0] == "i"
    args = *np.random.default_rng(1).normal(size=(2, 4)), 2
    np.testing.assert_allclose(evaluate(after, args)[0], evaluate(func, args)[0], rtol=1e-15)
