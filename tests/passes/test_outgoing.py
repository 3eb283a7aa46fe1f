"""Extents that change in a loop have another name after it."""

from __future__ import annotations

from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.outgoing import outgoing

BEFORE = """
func f(h0: f64[n], W: f64[m, k], b: f64[n]) {
  c: f64[n], h: f64[h] = for 0: i64, 3: i64, 1: i64, b, h0 { (i: i64, c: f64[n], h: f64[h])
    d: f64[n] = mul c, c
    v: f64[v] = for 0: i64, 3: i64, 1: i64, h { (j: i64, v: f64[v])
      u: f64[v-1] = load v, 1: i64 {spec='_:'}
      yield u
    }
    w: f64[v] = sin v
    u: f64[m] = dot W, w
    yield d, u
  }
  a: f64[h-1] = load h, 1: i64 {spec='_:'}
  e: f64[h-1] = for 0: i64, 3: i64, 1: i64, a { (j: i64, e: f64[h-1])
    f: f64[h-1] = sin e
    yield f
  }
  s: f64[n] = add c, b
  return s, e
}
results s, e
"""


def test_golden(golden) -> None:
    after = verify(outgoing(parse(BEFORE)))
    golden("ir", "outgoing.txt", BEFORE.lstrip() + "\n=== after outgoing\n\n" + show(after))


def test_nothing_to_name() -> None:
    func = parse(BEFORE.replace("f64[h]", "f64[n]").replace("f64[v]", "f64[n]"))
    kept = parse("func f(x: f64[n]) {\n  y: f64[n] = sin x\n  return y\n}\nresults y\n")
    assert outgoing(kept) is kept
    assert outgoing(func) is func  # n is the caller's
