"""What a loop adds to one element is added up in a number, where nothing else reads the array."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from s2s_ad import grad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.promote import promote

BEFORE = """
func f(x: f64[n], g: f64[m], k: i64) {
  n: i64 = dim x {axis=0}
  g: f64[m] = for 0: i64, n, 1: i64, g { (i: i64, g: f64[m])
    u: f64 = load x, i {spec='i'}
    g: f64[m] = accum g, u, k {spec='i'} adjoint
    c: bool = gt u, 0.5: f64
    g: f64[m] = if c { ()
      v: f64 = mul u, u
      h: f64[m] = accum g, v, 0: i64 {spec='i'} adjoint
      h: f64[m] = accum h, v, i {spec='i'} adjoint
      yield h
    } { ()
      yield g
    }
    g: f64[m] = accum g, 1.5: f64, k {spec='i'} adjoint
    yield g
  } adjoint
  return g
}
"""

STAYS = {
    "the user's own sum": ("accum g, u, k {spec='i'} adjoint", "accum g, u, k {spec='i'}"),
    "the array is read": (
        "    u: f64 = load x, i {spec='i'}\n",
        "    u: f64 = load g, i {spec='i'}\n",
    ),
    "an element is set": (
        "accum g, 1.5: f64, k {spec='i'} adjoint",
        "store g, 1.5: f64, k {spec='i'}",
    ),
}


@pytest.mark.parametrize("n", [0, 1, 4])
def test_golden(golden, n: int) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(n)
    after = promote(func)
    verify(after)
    golden("ir", "promote.txt", BEFORE.lstrip() + "\n=== after promote\n\n" + show(after))
    args = rng.random(n), rng.random(5), 2
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    before = BEFORE.replace(*STAYS[why])
    assert before != BEFORE
    func = parse(before)
    assert show(promote(func)) == show(func)


def test_elements_that_need_not_exist() -> None:
    """Where no iteration has read them, they are not added to either."""

    def f(theta, x):
        s = 0.0
        for i in range(x.shape[0]):
            if x[i] > 0.0:
                s += theta[2] * x[i]
            s += theta[0] * x[i]
        return s

    slope = grad(f)
    assert slope(np.zeros(0), np.zeros(0)).shape == (0,)
    np.testing.assert_array_equal(slope(np.zeros(2), np.array([-1.0, -2.0])), [-3.0, 0.0])
    np.testing.assert_array_equal(slope(np.zeros(3), np.array([-1.0, 2.0])), [1.0, 0.0, 2.0])
    found = slope(np.zeros(3), np.array([-1.0, np.nan]))
    np.testing.assert_array_equal(found, [np.nan, 0.0, 0.0])


def test_a_sum_over_observations_is_vectorised() -> None:
    """Nothing in the loop waits for memory."""

    def f(theta, x, y):
        s = 0.0
        for i in range(x.shape[0]):
            r = y[i] - theta[0] - theta[1] * x[i]
            s += r * r
        return s

    tree = ast.parse(grad(f).source(np.ones(2), np.ones(3), np.ones(3), level="kernel"))
    (loop,) = (node for node in ast.walk(tree) if isinstance(node, ast.For))
    assert "theta_bar[" not in ast.unparse(loop)
    assert "theta_bar[" in ast.unparse(tree)
    gradient = grad(f)(np.array([0.5, 2.0]), np.array([1.0, 2.0, 3.0]), np.zeros(3))
    np.testing.assert_allclose(
        gradient, [2 * (2.5 + 4.5 + 6.5), 2 * (2.5 + 9.0 + 19.5)], rtol=1e-14
    )
