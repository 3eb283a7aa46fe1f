"""Loops over rows become one where no row needs another; the numbers stay the same to the bit."""

from __future__ import annotations

import random

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.core import walk
from s2s_ad.ir.interp import Failed, evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.dce import dce
from s2s_ad.passes.inplace import inplace
from s2s_ad.passes.lower import lower
from s2s_ad.passes.rows import rows
from s2s_ad.passes.simplify import simplify
from tests.derivative_checks import Derivatives
from tests.passes.lower_cases import CASES, draw

SOFTMAX = """
func f(x: f64[n, m]) {
  top: f64[n, 1] = reduce_max x {axes=(1,), keepdims=True}
  low: f64[n, m] = sub x, top
  powers: f64[n, m] = exp low
  total: f64[n, 1] = sum powers {axes=(1,), keepdims=True}
  y: f64[n, m] = div powers, total
  return y
}
"""


def outer_loops(func) -> int:
    return sum(e.prim == "for" for e in func.body.eqns)


def same(before, after, args) -> None:
    """Both give the same for `args`: the same bits, or an error each."""
    try:
        expected = evaluate(before, args)
    except (Failed, ValueError):
        with pytest.raises((Failed, ValueError)):
            evaluate(after, args)
        return
    for a, b in zip(evaluate(after, args), expected):
        np.testing.assert_array_equal(a, b, err_msg=show(after))


def test_golden(golden) -> None:
    before = simplify(lower(parse(SOFTMAX)))
    after = verify(dce(simplify(rows(before))))
    assert outer_loops(after) == 1
    golden("ir", "rows.txt", f"{show(before)}\n=== after rows\n\n{show(after)}")
    same(before, after, [np.random.default_rng(0).normal(size=(4, 3))])


@pytest.mark.parametrize("name", CASES)
def test_same_values(name) -> None:
    before = simplify(lower(parse(CASES[name])))
    after = verify(rows(before))
    for seed, (n, m) in enumerate([(5, 3), (1, 4), (0, 3), (3, 0)]):
        same(before, after, draw(before, n, m, seed))


TWO = """
func f(x: f64[n, m], v: f64) {
  n: i64 = dim x {axis=0}
  m: i64 = dim x {axis=1}
  y: f64[n, m] = empty n, m {dtype='f64'}
  y: f64[n, m] = for 0: i64, n, 1: i64, y FIRST{ (i: i64, y: f64[n, m])
    y: f64[n, m] = for 0: i64, m, 1: i64, y { (j: i64, y: f64[n, m])
      t: f64 = load x, i, j {spec='i,i'}
      t: f64 = mul t, v
      y: f64[n, m] = store y, t, i, j {spec='i,i'}
      yield y
    }
    yield y
  }
  y: f64[n, m] = for 0: i64, n, 1: i64, y SECOND{ (i: i64, y: f64[n, m])
    y: f64[n, m] = for 0: i64, m, 1: i64, y { (j: i64, y: f64[n, m])
      t: f64 = load y, i, j {spec='i,i'}
      t: f64 = add t, v
      y: f64[n, m] = store y, t, i, j {spec='i,i'}
      yield y
    }
    yield y
  }
  return y
}
"""
WISHED = "{parallel='wished'} "


@pytest.mark.parametrize("first", ["", WISHED])
@pytest.mark.parametrize("second", ["", WISHED])
def test_what_the_user_wants_in_parallel(first: str, second: str) -> None:
    """It is joined with its like only, and stays wished for."""
    before = parse(TWO.replace("FIRST", first).replace("SECOND", second))
    after = verify(rows(before))
    assert outer_loops(after) == (1 if first == second else 2)
    if first == second:
        (loop,) = (e for e in after.body.eqns if e.prim == "for")
        assert ("parallel" in loop.params) == bool(first)
    same(before, after, [np.random.default_rng(0).normal(size=(4, 3)), 2.0])


PLACES = ("i, j", "i, j", "j, i", "i, z", "z, i", "j, j", "i, i", "z, z", "b, j", "i, b")
ARRAYS = ("A", "B", "C")


def nests(seed: int) -> str:
    """A program of loops over the rows of square arrays, which read and write here and there."""
    draw = random.Random(seed)
    text = ["func f(A: f64[n, n], B: f64[n, n], x: f64[n, n]) {", "  n: i64 = dim A {axis=0}"]
    text += ["  z: i64 = sub 1: i64, 1: i64", "  one: i64 = sub n, 1: i64"]
    fill = draw.choice(("empty n, n {dtype='f64'}", "full 0.5: f64, n, n"))
    text += [f"  C: f64[n, n] = {fill}"]
    now = {"A": "A", "B": "B", "C": "C"}
    if "empty" in fill:
        text += nest(0, now, "C", "store C, t, i, j", ("x", "i, j"), None)
    for k in range(1, draw.randint(3, 6)):
        target, source = draw.sample(ARRAYS, 2)
        read = draw.choice((now[source], "x"))
        prim = draw.choice(("store", "accum"))
        place = draw.choice(PLACES[:4])
        own = draw.choice((None, None, place, draw.choice(PLACES)))
        text += nest(
            k, now, target, f"{prim} {target}, t, {place}", (read, draw.choice(PLACES)), own
        )
    shown = [name for name in ARRAYS if draw.random() < 0.5] or ["A"]
    return "\n".join([*text, f"  return {', '.join(now[v] for v in shown)}", "}"])


def nest(k, now, target, write, read, own, backwards=False) -> list[str]:
    """Lines of a nest that writes `target`, from an element of another array and one of its own."""
    before, after = now[target], f"{target}.{k}"
    now[target] = after
    inner, carried = f"{after}i", f"{target}: f64[n, n]"
    bounds = "one, -1: i64, -1: i64" if backwards else "0: i64, n, 1: i64"
    lines = [
        f"  {after}: f64[n, n] = for {bounds}, {before} {{ (i: i64, {carried})",
        f"    {inner}: f64[n, n] = for 0: i64, n, 1: i64, {target} {{ (j: i64, {carried})",
        "      b: i64 = sub one, i",
        f"      s: f64 = load {read[0]}, {read[1]} {{spec='i,i'}}",
        "      t: f64 = mul s, 0.7: f64",
    ]
    if own:
        lines += [f"      o: f64 = load {target}, {own} {{spec='i,i'}}", "      t: f64 = add t, o"]
    return [
        *lines,
        f"      w: f64[n, n] = {write} {{spec='i,i'}}",
        "      yield w",
        "    }",
        f"    yield {inner}",
        "  }",
    ]


def test_loops_that_read_here_and_there() -> None:
    joined = 0
    for seed in range(120):
        before = parse(nests(seed))
        after = verify(rows(before))
        joined += outer_loops(after) < outer_loops(before)
        rng = np.random.default_rng(seed)
        for n in (3, 1):
            args = [rng.normal(size=(n, n)) for _ in range(3)]
            same(before, after, [a.copy() for a in args])
            same(before, inplace(after), [a.copy() for a in args])
    assert 10 < joined < 110


FROM_THE_END = """
func f(x: f64[n]) {
  n: i64 = dim x {axis=0}
  c: f64[n] = full 0.0: f64, n
  r: f64[n], d: f64[n] = for -1: i64, n, 1: i64, x, c { (i: i64, r: f64[n], c: f64[n])
    s: f64 = load c, i {spec='i'}
    t: f64 = load x, i {spec='i'}
    u: f64 = add s, t
    r.1: f64[n] = store r, u, i {spec='i'}
    c.1: f64[n] = store c, u, i {spec='i'}
    yield r.1, c.1
  }
  return r
}
"""


def test_an_index_that_counts_from_the_end_is_another_iterations_too() -> None:
    before = parse(FROM_THE_END)
    same(before, rows(before), [np.arange(3.0)])
    assert evaluate(rows(before), [np.arange(3.0)])[0].tolist() == [0.0, 1.0, 4.0]


def copies(func) -> int:
    return sum(e.prim == "copy" for e in walk(func.body))


def test_what_is_joined_needs_no_copies() -> None:
    """Moving loops past what overwrites their operands would."""
    for seed in range(120):
        before = parse(nests(seed))
        assert copies(inplace(rows(before))) <= copies(inplace(before)), show(before)


def normalised(x, w):
    """Row by row: a mean, a deviation, a scale."""
    low = x - np.mean(x, axis=1, keepdims=True)
    size = np.sqrt(np.mean(low * low, axis=1, keepdims=True) + 0.1)
    return np.sum(np.tanh(low / size * w))


def cross_entropy(x, labels):
    top = np.max(x, axis=1, keepdims=True)
    total = np.log(np.sum(np.exp(x - top), axis=1))
    return np.mean(total + top[:, 0] - x[np.arange(x.shape[0]), labels])


def attention(x, y):
    """Between the rows' softmax and the sum of rows there is a product of matrices."""
    scores = x @ y.T
    powers = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return np.sum((powers / np.sum(powers, axis=1, keepdims=True)) @ y * x)


def rows_and_columns(x):
    """Sums of rows, and then of columns: only the first can share a loop with what follows."""
    y = np.exp(x / np.sum(x * x, axis=1, keepdims=True))
    return np.sum(y / np.sum(y, axis=0) * x)


def by_hand(x):
    """The rows are walked by the user's own loops."""
    n, m = x.shape
    total, work = np.zeros(n), np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            work[i, j] = np.exp(x[i, j])
            total[i] += work[i, j]
    s = 0.0
    for i in range(n):
        for j in range(m):
            s += work[i, j] / total[i] * x[i, m - 1 - j]
    return s


X = np.random.default_rng(3).normal(size=(4, 3))
#: A program, its arguments, what it is differentiated by, and the nests that its gradient has.
PROGRAMS = {
    "normalised": (normalised, (X, X[0]), (0, 1), 1),
    "cross_entropy": (cross_entropy, (X, np.array([0, 2, -1, 1])), (0,), 1),
    "attention": (attention, (X, X[:2] + 1.0), (0, 1), 4),
    "rows_and_columns": (rows_and_columns, (X,), (0,), 3),
    "by_hand": (by_hand, (X,), (0,), 2),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives(name) -> None:
    f, args, wrt, count = PROGRAMS[name]
    Derivatives(f, wrt=wrt).check(args)
    kernel = parse(s2s_ad.grad(f, wrt=wrt).ir(*args, after="rows"))
    loops = [e for e in kernel.body.eqns if e.prim == "for"]
    assert sum(any(e.prim == "for" for e in walk(r)) for e in loops for r in e.regions) <= count
