"""The text form parses back to the same text, and says where it is malformed."""

from __future__ import annotations

import pytest

from s2s_ad.ir.core import Func, Lit, Region, Var
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.types import F64
from s2s_ad.passes.jvp import jvp
from s2s_ad.passes.transpose import vjp
from tests.passes.cases import CASES

EVERYTHING = """\
func f(x: f64[n], k: i64) {
  s: f64 = for 0: i64, k, 1: i64, 0.0: f64 { (i: i64, acc: f64)
    t: f64 = load x, i {spec='i'} @3:8
    acc.1: f64 = add acc, t @3:4 tangent
    yield acc.1
  } @2:0
  c: bool = lt s, -1.5e-10: f64
  z: f64 = if c { ()
    yield s
  } { ()
    a: f64[n-2] = load x, 1: i64, -1: i64 {spec='_:_'}
    b: f64 = sum a {axes=(0,), keepdims=False}
    yield b
  }
  assert c {error='ValueError', message="it's {bad} @1:2"}
  e: f64[3] = empty 3: i64 {dtype='f64'}
  w: f64 = select True: bool, inf: f64, -inf: f64
  q: i64 = for 0: i64, 1: i64, 1: i64 {exit=True} { (i.1: i64)
    yield False: bool
  }
  return z, e, nan: f64
}
results z, e, w
mutated 0->1
"""


def test_round_trip() -> None:
    assert show(parse(EVERYTHING)) == EVERYTHING


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_round_trip_of_derivatives(case) -> None:
    func = parse(case.text)
    for derived in (func, jvp(func, case.wrt), *vjp(func, case.wrt)):
        text = show(derived)
        assert show(parse(text)) == text


def test_equal_hints_get_different_names() -> None:
    a, b = Var("x", F64), Var("x", F64)
    text = show(Func("f", Region((a, b), (), (b, a, Lit(1.0, F64)))))
    assert text == "func f(x: f64, x.1: f64) {\n  return x.1, x, 1.0: f64\n}\n"


@pytest.mark.parametrize(
    "text, line",
    [
        ("func f(x: f64) {\n  y: f64 = sin x\n", 2),
        ("func f(x: f64) {\n  y: f64 sin x\n  return y\n}", 2),
    ],
)
def test_malformed_text_names_its_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"line {line}"):
        parse(text)
