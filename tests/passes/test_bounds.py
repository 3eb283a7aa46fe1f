"""bounds: what is proved, what moves before loops, what stays; and that meaning is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s_ad.analysis.integers import Facts, Lin, Op, lin
from s2s_ad.ir.core import Var, walk
from s2s_ad.ir.interp import Failed, evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.types import I64
from s2s_ad.ir.verify import verify
from s2s_ad.passes.bounds import bounds

BEFORE = {
    "proved": """
func f(x: f64[n], k: i64) {
  n: i64 = dim x {axis=0}
  m: i64 = sub n, 1: i64
  s: f64 = for 1: i64, m, 1: i64, 0.0: f64 { (i: i64, s: f64)
    a: i64 = sub i, 1: i64
    inside a, n {what="axis 0 of 'x'"}
    v: f64 = load x, a {spec='i'}
    b: i64 = add i, 1: i64
    inside b, n {what="axis 0 of 'x'"}
    w: f64 = load x, b {spec='i'}
    t: f64 = add v, w
    r: f64 = add s, t
    yield r
  }
  c: bool = ge k, 0: i64
  d: bool = lt k, n
  e: bool = and c, d
  u: f64 = if e { ()
    inside k, n {what="axis 0 of 'x'"}
    p: f64 = load x, k {spec='i'}
    yield p
  } { ()
    yield s
  }
  return u
}
""",
    "moved": """
func f(x: f64[n], A: f64[p, q], k: i64, l: i64) {
  n: i64 = dim x {axis=0}
  q: i64 = dim A {axis=1}
  s: f64 = for 0: i64, k, 1: i64, 0.0: f64 { (i: i64, s: f64)
    r: f64 = for 0: i64, l, 1: i64, s { (j: i64, r: f64)
      inside j, q {what="axis 1 of 'A'"}
      a: f64 = load A, 0: i64, j {spec='i,i'}
      b: i64 = add i, j
      inside b, n {what="axis 0 of 'x'"}
      v: f64 = load x, b {spec='i'}
      t: f64 = mul a, v
      w: f64 = add r, t
      yield w
    }
    yield r
  }
  return s
}
""",
    "kept": """
func f(x: f64[n], idx: i64[m], k: i64) {
  n: i64 = dim x {axis=0}
  m: i64 = dim idx {axis=0}
  s: f64 = for 0: i64, m, 1: i64, 0.0: f64 { (i: i64, s: f64)
    inside i, m {what="axis 0 of 'idx'"}
    j: i64 = load idx, i {spec='i'}
    inside j, n {what="axis 0 of 'x'"}
    v: f64 = load x, j {spec='i'}
    inside j, n {what="axis 0 of 'x'"}
    w: f64 = load x, j {spec='i'}
    t: f64 = mul v, w
    r: f64 = add s, t
    yield r
  }
  count: i64, u: f64 = for 0: i64, k, 1: i64, s {exit=True} { (i: i64, u: f64)
    inside i, n {what="axis 0 of 'x'"}
    v: f64 = load x, i {spec='i'}
    c: bool = gt v, 2.0: f64
    r: f64 = add u, v
    yield c, r
  }
  return u
}
""",
}


def checks(text: str, which: str) -> list[str]:
    return [e.prim for e in walk(bounds(parse(text), which).body) if e.prim in ("assert", "inside")]


@pytest.mark.parametrize("name", BEFORE)
def test_golden(name: str, golden) -> None:
    after = show(verify(bounds(verify(parse(BEFORE[name])))))
    golden("ir", f"bounds_{name}.txt", BEFORE[name].lstrip() + "\n=== after bounds\n\n" + after)


def test_none_are_left_without_checks() -> None:
    assert checks(BEFORE["kept"], "none") == []


def test_numpy_checks_what_it_sees() -> None:
    """Left are a subscript that no access has, and one whose access nobody needs."""
    assert checks(BEFORE["kept"], "unseen") == []
    assert checks(BEFORE["kept"].replace("inside i, m", "inside i, k"), "unseen") == ["assert"]
    assert checks(BEFORE["kept"].replace("return u", "return k"), "unseen") == ["assert"] * 2


@pytest.mark.parametrize("k", [-2, 0, 1, 3])
@pytest.mark.parametrize("length", [0, 2, 5])
def test_moved_checks_fail_where_the_marks_do(k: int, length: int) -> None:
    func = parse(BEFORE["moved"])
    for n in (0, 2, 4):
        args = [np.ones(n), np.ones((1, 3)), k, length]
        assert outcome(bounds(func), args) == outcome(func, args)


def outcome(func, args) -> object:
    try:
        return evaluate(func, args)
    except Failed as failure:
        return failure.error


# --- the prover ----------------------------------------------------------------------------------

NAMES = [Var(name, I64) for name in "abc"]


@st.composite
def sums(draw, deep: int = 2) -> Lin:
    kind = draw(st.integers(0, 5)) if deep else 0
    if kind < 3:
        terms = {v: draw(st.integers(-2, 2)) for v in NAMES}
        return Lin(tuple((v, c) for v, c in terms.items() if c), draw(st.integers(-3, 3)))
    left, right = draw(sums(deep - 1)), draw(sums(deep - 1))
    if kind == 3:
        return lin(Op(draw(st.sampled_from(("min", "max"))), left, right))
    if kind == 4:
        return lin(Op("floordiv", left, lin(draw(st.integers(1, 3)))))
    return lin(Op("mod", left, lin(draw(st.integers(1, 3))))) + right


OPERATIONS = {"min": min, "max": max, "floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b}


def value(of: Lin, env: dict[Var, int]) -> int:
    total = of.const
    for s, c in of.terms:
        if isinstance(s, Op):
            total += c * OPERATIONS[s.name](value(s.left, env), value(s.right, env))
        else:
            total += c * env[s]
    return total


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.lists(sums(), max_size=4), sums())
def test_what_is_proved_is_true(known: list[Lin], goal: Lin) -> None:
    facts = Facts(lambda v, axis: lin(0))
    for fact in known:
        facts.learn(fact)
    if not facts.at_least(goal):
        return
    span = range(-4, 5)
    for env in (dict(zip(NAMES, (a, b, c))) for a in span for b in span for c in span):
        if all(value(f, env) >= 0 for f in known):
            assert value(goal, env) >= 0


def test_facts_are_forgotten_at_the_end_of_a_scope() -> None:
    a, b, _ = map(lin, NAMES)
    facts = Facts(lambda v, axis: lin(0))
    facts.learn(a - b)
    with facts.scope():
        facts.learn(b - 2)
        assert facts.at_least(a, 2)
    assert not facts.at_least(a, 2)
    assert facts.at_least(a - b)
