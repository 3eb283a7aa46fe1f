"""What is added to an array that ends there is added in place, and what clears a place before is
not needed."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad import grad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.inplace import inplace
from s2s_ad.passes.onto import onto
from tests.derivative_checks import Derivatives

BEFORE = """
func f(x: f64[n], y: f64[n], c: f64, m: i64) {
  n: i64 = dim x {axis=0}
  z: f64[n] = full 0.0: f64, n
  g: f64[n] = for 0: i64, m, 1: i64, z { (i: i64, g: f64[n])
    w: f64 = load g, i {spec='i'} adjoint
    g.1: f64[n] = store g, 0.0: f64, i {spec='i'} adjoint
    v: f64 = mul w, c adjoint
    g.2: f64[n] = accum g.1, v, i {spec='i'} adjoint
    t: f64[n] = mul x, c adjoint
    g.3: f64[n] = add t, g.2 adjoint
    yield g.3
  } adjoint
  u: f64[n] = mul y, c adjoint
  h: f64[n] = sub g, u adjoint
  e: f64[n] = add x, u adjoint
  return h, e
}
"""

STAYS = {
    "the program's own sum": ("sub g, u adjoint", "sub g, u"),
    "it is the other operand": ("sub g, u", "sub u, g"),
    "it is read later": ("return h, e", "k: f64[n] = mul g, 2.0: f64 adjoint\n  return h, k"),
    "a view of it is read later": (
        "  h: f64[n] = sub g, u adjoint\n  e: f64[n] = add x, u adjoint",
        "  r: f64[n] = load g, -1: i64 {spec='::_'} adjoint\n"
        "  h: f64[n] = sub g, u adjoint\n  e: f64[n] = add x, r adjoint",
    ),
    "a view of it is added": (
        "  h: f64[n] = sub g, u adjoint",
        "  r: f64[n] = load g, -1: i64 {spec='::_'} adjoint\n  h: f64[n] = sub g, r adjoint",
    ),
    "it is rolled later, in an expression": (
        "  h: f64[n] = sub g, u adjoint\n  e: f64[n] = add x, u adjoint",
        "  r: f64[n] = mul g, 2.0: f64 adjoint\n  h: f64[n] = sub g, u adjoint\n"
        "  s: f64[n] = roll r, 1: i64 {axis=0} adjoint\n  e: f64[n] = add x, s adjoint",
    ),
    "memory of the caller's": ("sub g, u", "sub x, u"),
    "an expression, to be one loop with the sum": ("sub g, u", "sub u, x"),
}
IS_CLEARED = {
    "another place": ("store g, 0.0: f64, i {spec='i'}", "store g, 0.0: f64, 0: i64 {spec='i'}"),
    "not zero": ("store g, 0.0: f64", "store g, 0.5: f64"),
    "it is read between": ("mul w, c adjoint", "load g.1, 0: i64 {spec='i'} adjoint"),
}


def agree(func, after) -> None:
    verify(after)
    args = np.array([0.5, -1.0, 2.0]), np.array([1.0, 3.0, 0.25]), 0.7, 3
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    for found, expected in zip(evaluate(inplace(after), args), evaluate(func, args), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_golden(golden) -> None:
    func = parse(BEFORE)
    after = onto(func)
    golden("ir", "onto.txt", BEFORE.lstrip() + "\n=== after onto\n\n" + show(after))
    agree(func, after)
    assert "copy" not in show(inplace(after))


@pytest.mark.parametrize("why", STAYS)
def test_sums_that_stay(why: str) -> None:
    text = BEFORE.replace(*STAYS[why])
    assert text != BEFORE
    func = parse(text)
    (h,) = [e for e in onto(func).body.eqns if e.out.name == "h"]
    assert h.prim == "sub"
    agree(func, onto(func))


def test_what_was_read_before_may_be_written() -> None:
    func = parse(BEFORE.replace("mul y, c adjoint", "mul g, c adjoint"))
    (h,) = [e for e in onto(func).body.eqns if e.out.name == "h"]
    assert h.prim == "accum"
    agree(func, onto(func))
    assert "copy" not in show(inplace(onto(func)))


@pytest.mark.parametrize("why", IS_CLEARED)
def test_places_that_are_cleared(why: str) -> None:
    text = BEFORE.replace(*IS_CLEARED[why])
    assert text != BEFORE
    func = parse(text)
    assert "g.1: f64[n] = store" in show(onto(func))
    agree(func, onto(func))


CLEARED = """
func f(x: f64[n], v: f64[m], k: i64[m]) {
  z: f64[n] = copy x
  y: f64[n] = store z, 1.0: f64, 0: i64 {spec='i'} adjoint
  c: f64[n] = store y, 0.0: f64, k {spec='a'} adjoint
  g: f64[n] = accum c, v, k {spec='a', distinct=True} adjoint
  return g
}
"""


@pytest.mark.parametrize("distinct", [True, False])
def test_index_arrays_that_name_no_place_twice(distinct: bool) -> None:
    func = parse(CLEARED if distinct else CLEARED.replace(", distinct=True", ""))
    after = verify(onto(func))
    assert [e.prim for e in after.body.eqns].count("accum") == 1 - distinct
    args = np.arange(5.0), np.array([0.5, 2.0, 3.0]), np.array([3, 0, 4])
    np.testing.assert_array_equal(evaluate(after, args)[0], evaluate(func, args)[0])


def masked(x, y, s):
    """What a mask chooses is chosen once: its cotangent is written, not added to by np.add.at."""
    m = y > 0.0
    x[m] = np.sin(x[m]) * y[m] + s
    d = np.arange(x.shape[0] - 1)
    return np.sum(x * x) + np.sum(x[d] * x[d + 1] * y[d])


def test_masks() -> None:
    args = np.array([0.4, -0.3, 0.8, 0.2]), np.array([1.2, -0.5, 0.3, -2.0]), 0.7
    for options in ({}, {"jit": False}, {"level": "array"}):
        Derivatives(masked, wrt=(0, 1, 2), **options).check(args)
    text = grad(masked, wrt=(0, 1, 2)).source(*args)
    assert "x_bar[where] = " in text and "y_bar[where] += " in text
    assert text.count("np.add.at") == 1  # at d + 1, of which nothing is known


def rewritten(x, a, n):
    """Elements made of themselves; several uses of one array, in loops and at once."""
    y = x * a
    for _ in range(n):
        for i in range(1, x.shape[0]):
            y[i] = y[i - 1] * x[i] - 0.3 * y[i]
        a += np.sum(y * x)
    return np.sum(y * y) + a


def test_derivatives() -> None:
    x = np.array([0.4, -0.3, 0.8, 0.2])
    for jit in (True, False):
        Derivatives(rewritten, wrt=(0, 1), jit=jit).check((x, 0.7, 3))
    text = grad(rewritten, wrt=("x", "a")).source(x, 0.7, 3)
    assert "x_bar += " in text and "x_bar = x_bar" not in text
    assert "] = 0.0" not in text
