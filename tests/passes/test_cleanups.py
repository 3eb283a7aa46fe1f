"""simplify, cse, dce and hoist: golden text for each, and the meaning is kept on every case."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.ir.core import walk
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.cse import cse
from s2s_ad.passes.dce import dce
from s2s_ad.passes.hoist import hoist
from s2s_ad.passes.jvp import jvp
from s2s_ad.passes.simplify import simplify
from s2s_ad.passes.transpose import grad, vjp
from tests.passes.cases import CASES

PASSES = {"simplify": simplify, "cse": cse, "dce": dce, "hoist": hoist}
GOLDEN = {**PASSES, "simplify_numbers": simplify, "cse_orders": cse}
BEFORE = {
    "simplify": """
func f(x: f64[n], k: i64) {
  n: i64 = dim x {axis=0}
  z: f64[?] = full 0.0: f64, n adjoint
  m: i64 = dim z {axis=0}
  p: i64 = maximum m, 0: i64
  least: i64 = minimum p, m
  q: i64 = add least, 1: i64
  r: i64 = sub q, 1: i64
  s: f64 = sum x {axes=(0,)}
  w: f64[n] = broadcast s, r {axes=()} adjoint
  y: f64[n] = mul x, w adjoint
  a: f64[n] = accum z, y {spec=':'} adjoint
  z2: f64[?] = full 0.0: f64, n adjoint
  back: f64[n] = accum z2, y, -1: i64 {spec='::_'} adjoint
  own: f64 = mul 2.0: f64, s
  once: f64 = mul 0.5: f64, own adjoint
  twice: f64 = mul own, 3.0: f64
  more: f64 = mul once, twice
  b: f64 = mul s, 1.0: f64
  c: f64 = neg b
  d: f64 = add s, c
  e: f64 = add d, 0.0: f64
  g: f64 = add e, 0.0: f64 adjoint
  t: bool = lt 1: i64, 2: i64
  u: f64 = if t { ()
    v: f64 = sin g
    yield v
  } { ()
    yield g
  }
  return a, back, more, u
}
""",
    "simplify_numbers": """
func f(x: f64[n], y: f64) {
  own: f64 = mul -1.0: f64, 9.81: f64
  a: f64 = mul -1.0: f64, 9.81: f64 adjoint
  b: f64 = neg y adjoint
  c: f64 = mul a, b adjoint
  d: f64 = add y, y adjoint
  e: f64 = mul d, -0.5: f64 adjoint
  g: f64 = mul y, 0.5: f64 adjoint
  h: f64 = add g, g adjoint
  k: f64 = neg g adjoint
  l: f64[n] = mul x, -1.0: f64 tangent
  m: f64 = mul y, -1.0: f64
  o: f64[n] = mul x, 2.0: f64
  p: f64[n] = mul o, g adjoint
  q: f64[n] = mul o, g
  return own, c, e, h, k, l, m, p, q
}
""",
    "cse_orders": """
func f(x: f64, y: f64) {
  a: f64 = mul x, y
  b: f64 = mul y, x
  c: f64 = add y, 2.0: f64 adjoint
  d: f64 = add 2.0: f64, y recomputed
  e: f64 = sub x, y adjoint
  g: f64 = sub y, x adjoint
  h: f64 = mul y, y adjoint
  k: f64 = mul y, x tangent
  l: bool = lt x, y
  m: bool = gt y, x
  n: bool = gt x, y
  o: bool = eq x, y
  p: bool = eq y, x
  return a, b, c, d, e, g, h, k, l, m, n, o, p
}
""",
    "cse": """
func f(x: f64, y: f64, n: i64) {
  a: f64 = mul x, y
  b: f64 = mul x, y
  e: f64[?] = full 0.0: f64, n
  f: f64[?] = full 0.0: f64, n
  s: f64 = for 0: i64, n, 1: i64, a { (i: i64, s: f64)
    c: f64 = mul x, y
    d: f64 = mul s, c
    g: f64 = mul s, b
    h: f64 = add d, g
    yield h
  }
  return s, e, f
}
""",
    "dce": """
func f(x: f64[n], k: i64) {
  s: f64, t: f64 = for 0: i64, k, 1: i64, 0.0: f64, 1.0: f64 { (i: i64, s: f64, t: f64)
    v: f64 = mul t, t
    w: f64 = load x, i {spec='i'}
    a: f64 = add s, w
    yield a, v
  }
  c: bool = gt t, 0.0: f64
  p: f64, q: f64 = if c { ()
    yield s, t
  } { ()
    r: f64 = sin t
    yield r, t
  }
  d: bool = gt s, 0.0: f64
  assert d {error='ValueError', message='s is not positive'}
  e: f64 = cos s
  return s
}
""",
    "hoist": """
func f(x: f64[n], h: f64, k: i64) {
  s: f64 = for 0: i64, k, 1: i64, h { (i: i64, s: f64)
    r: f64 = for 0: i64, i, 1: i64, s { (j: i64, r: f64)
      n: i64 = dim x {axis=0}
      c: f64 = div h, 2.0: f64
      d: f64 = mul c, s
      l: f64 = load x, i {spec='i'}
      q: i64 = floordiv k, n
      e: f64 = add d, l
      g: f64 = mul e, r
      yield g
    }
    yield r
  }
  return s
}
""",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str, golden) -> None:
    after = show(verify(GOLDEN[name](verify(parse(BEFORE[name])))))
    golden("ir", f"{name}.txt", BEFORE[name].lstrip() + "\n=== after " + name + "\n\n" + after)


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_meaning_is_kept(case, name: str) -> None:
    func = parse(case.text)
    rng = np.random.default_rng(3)
    tangents = [rng.normal(size=np.shape(case.args[k])) for k in case.wrt]
    for derived, args in (
        (func, case.args),
        (jvp(func, case.wrt), [*case.args, *tangents]),
        (vjp(func, case.wrt)[0], case.args),
    ):
        after = verify(PASSES[name](verify(derived)))
        for got, want in zip(evaluate(after, args), evaluate(derived, args)):
            np.testing.assert_allclose(got, want, rtol=1e-13)


def test_golden_derivatives(golden) -> None:
    """What grad makes of a loop: the carried state is saved, the rest computed again."""
    by_name = {c.name: c for c in CASES}
    for name in ("running_product", "newton_and_nested_while", "branches_in_a_loop"):
        case = by_name[name]
        func = grad(parse(case.text), case.wrt) if name != "running_product" else None
        func = vjp(parse(case.text), case.wrt)[1] if func is None else func
        golden("ir", f"reverse_{name}.txt", show(dce(cse(simplify(dce(func))))))


@pytest.mark.parametrize(
    ("factor", "axes", "sums"),
    [
        ("f64", "(0,)", 1),
        ("f64[n, 1]", "(1,)", 1),
        ("f64[n, 1]", "(0,)", 2),
        ("f64[n, m]", "(1,)", 2),
    ],
)
def test_the_sum_of_a_multiple(factor: str, axes: str, sums: int) -> None:
    """What has been summed is not summed again because it is multiplied by a constant."""
    total = "f64[n, 1]" if axes == "(1,)" else "f64[1, m]"
    summed = f"{{axes={axes}, keepdims=True}}"
    func = parse(
        f"func f(x: f64[n, m], c: {factor}) {{\n  s: {total} = sum x {summed}\n"
        f"  p: f64[n, m] = mul c, x adjoint\n  q: {total} = sum p {summed} adjoint\n"
        "  return s, q, p\n}"
    )
    after = verify(cse(verify(func)))
    assert [e.prim for e in after.body.eqns].count("sum") == sums
    rng = np.random.default_rng(0)
    sizes = [{"n": 3, "m": 4}.get(d, d) for d in func.params[1].type.shape]
    args = [rng.normal(size=(3, 4)), rng.normal(size=sizes)[()]]
    for got, want in zip(evaluate(after, args), evaluate(func, args)):
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_what_stays_as_it_was_has_its_old_name() -> None:
    """A value that all branches, or all iterations, leave alone is not carried."""
    func = parse(
        "func f(x: f64, y: f64[n], k: i64) {\n"
        " s: f64, t: f64 = for 0: i64, k, 1: i64, x, 2.0: f64 { (i: i64, s1: f64, t1: f64)\n"
        "  v: f64 = load y, i {spec='i'}\n  c: bool = gt v, 0.0: f64\n"
        "  s2: f64, t2: f64 = if c { ()\n   a: f64 = mul s1, t1\n   yield a, t1\n"
        "  } { ()\n   yield s1, t1\n  }\n  yield s2, t2 }\n return s, t }"
    )
    slim = verify(dce(simplify(func)))
    (loop,) = [e for e in slim.body.eqns if e.prim == "for"]
    assert len(loop.outs) == 1 and len(loop.regions[0].eqns[-1].outs) == 1
    args = (1.5, np.array([1.0, -1.0, 3.0]), 3)
    assert evaluate(slim, args) == evaluate(func, args) == [6.0, 2.0]


EXTENTS = """
func f(k: i64) {
  y: f64[n] = full 1.0: f64, k
  z: f64[n] = for 0: i64, k, 1: i64, y { (i: i64, y: f64[n])
    m: i64 = dim y {axis=0}
    v: f64 = convert m {dtype='f64'}
    y: f64[n] = store y, v, i {spec='i'}
    yield y
  }
  w: f64[n-1] = load z, 1: i64 {spec='_:'}
  size: i64 = dim w {axis=0}
  return z, size
}
"""


def test_extents_of_what_is_made() -> None:
    """They are what it is made with, in loops too; but nothing is known before it is made."""
    before = parse(EXTENTS)
    after = verify(simplify(before))
    assert sum(e.prim == "dim" for e in walk(after.body)) == 1
    for found, expected in zip(evaluate(after, [3]), evaluate(before, [3])):
        np.testing.assert_array_equal(found, expected)
