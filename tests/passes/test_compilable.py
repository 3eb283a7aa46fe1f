"""Array code that is compiled has loops for what numba lacks, and only for that."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad import grad
from s2s_ad.ir.core import walk
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.compilable import compilable

BEFORE = """
func f(x: f64[n, m], k: i64[n], c: bool) {
  n: i64 = dim x {axis=0}
  s: f64 = sum x {axes=(0, 1)}
  r: f64[n] = sum x {axes=(1,)}
  w: f64[n, 1] = reduce_max x {axes=(1,), keepdims=True}
  one: f64[1, 1] = sum x {axes=(0, 1), keepdims=True}
  z: f64[n] = full s, n
  y: f64[n] = if c { ()
    g: f64[n] = gamma r
    a: f64[n] = accum z, g, k {spec='a'}
    yield a
  } { ()
    b: f64[n] = accum z, r {spec=':'}
    yield b
  }
  v: f64[n, 1] = add w, one
  return y, v
}
"""


def test_golden(golden) -> None:
    func = parse(BEFORE)
    after = verify(compilable(func))
    golden("ir", "compilable.txt", BEFORE.lstrip() + "\n=== after compilable\n\n" + show(after))
    x, k = np.random.default_rng(0).random((3, 2)) + 0.5, np.array([1, 1, 2])
    for c in (True, False):
        for a, b in zip(evaluate(after, (x, k, c)), evaluate(func, (x, k, c)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-15)


def test_what_numba_has_stays() -> None:
    """Those in the other branch, too."""
    prims = [(e.prim, e.params.get("axes")) for e in walk(compilable(parse(BEFORE)).body)]
    assert ("sum", (0, 1)) in prims and ("sum", (1,)) in prims and ("accum", None) in prims
    assert ("reduce_max", (1,)) not in prims and ("gamma", None) in prims


def test_compiled() -> None:
    """`np.add.at`, and reductions that numba has no form of."""

    def f(x, k):
        y = x - np.max(x, axis=1, keepdims=True)
        z = np.zeros(3)
        np.add.at(z, k, np.prod(y - 1.0, axis=1))
        return np.sum(z * z) + np.var(x)

    x, k = np.random.default_rng(1).random((4, 3)), np.array([0, 2, 0, 1])
    expected = grad(f, jit=False)(x, k)
    np.testing.assert_allclose(grad(f, level="array")(x, k), expected, rtol=1e-12)


@pytest.mark.parametrize("jit", [True, False])
def test_text_for_reading_keeps_numpys_functions(jit: bool) -> None:
    def f(x, k):
        y = np.zeros(3)
        np.add.at(y, k, x)
        return np.sum(y * y)

    text = grad(f, jit=jit).source(np.ones(2), np.array([0, 2]))
    assert "np.add.at" in text and "for " not in text
