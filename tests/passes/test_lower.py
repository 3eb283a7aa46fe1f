"""lower: the values stay what the interpreter gives, and no array equations are left."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.ir.core import walk
from s2s_ad.ir.interp import Failed, evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.lower import lower
from tests.passes.lower_cases import CASES, GOLDEN, draw

#: Array primitives that may be left; `load`, `store` and `accum` only on single elements.
ARRAY_LEVEL = set("dot reshape nonzero dim empty full iota copy grow for while if".split())


def array_equations(func):
    """The array equations that are not scalar code or allowed at array level."""
    views_for_dot = {
        v for e in walk(func.body) if e.prim in ("dot", "nonzero", "transpose") for v in e.ins
    }
    for eqn in walk(func.body):
        arrays = [a for a in (*eqn.ins, *eqn.outs) if a.type.is_array]
        if not arrays or eqn.prim in ARRAY_LEVEL:
            continue
        if eqn.prim in ("load", "store", "accum") and set(eqn.params["spec"]) <= set("i,"):
            continue
        if eqn.prim in ("load", "transpose") and eqn.out in views_for_dot:
            continue
        yield eqn


def check(text, *args):
    """`lower` of the program in `text` agrees with the interpreter for `args`."""
    before = parse(text)
    after = verify(lower(before))
    assert not list(array_equations(after)), show(after)
    try:
        expected = evaluate(before, args)
    except (Failed, ValueError):
        with pytest.raises(Failed):
            evaluate(after, args)
        return after
    found = evaluate(after, args)
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-300, err_msg=show(after))
    return after


@pytest.mark.parametrize("name", CASES)
def test_same_values(name):
    text = CASES[name]
    for seed, (n, m) in enumerate([(5, 3), (2, 2), (1, 4), (0, 3), (3, 0), (6, 6)]):
        check(text, *draw(parse(text), n, m, seed))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name, golden):
    text = GOLDEN[name]
    before = parse(text)
    after = show(check(text, *draw(before, 5, 4, 0)))
    assert show(parse(after)) == after
    golden("ir", f"lower_{name}.txt", f"{show(before)}\n--- lower\n\n{after}")


def test_scalars_come_through_unchanged():
    text = """func f(x: f64, n: i64) {
  r: f64 = for 0: i64, n, 1: i64, x { (i: i64, s: f64)
    t: f64 = sin s
    yield t
  } @3:4
  c: bool = lt r, 0.0: f64
  a: f64 = if c { ()
    t.1: f64 = neg r
    yield t.1
  } { ()
    yield r
  }
  return a
}
"""
    assert show(lower(parse(text))) == show(parse(text))


MISMATCH = """func f(x: f64[n], y: f64[m]) {
  a: f64[?] = load x, 1: i64 {spec='_:'}
  b: f64[?] = load y, 1: i64 {spec='_:'}
  n: i64 = dim a {axis=0}
  m: i64 = dim b {axis=0}
  same: bool = eq n, m
  assert same {error='ValueError', message='lengths differ'}
  r: f64[?] = mul a, b
  return r
}
"""


def test_a_check_of_extents_is_not_decided_by_what_follows_it():
    after = lower(parse(MISMATCH))
    np.testing.assert_array_equal(evaluate(after, [np.ones(4), np.ones(4)])[0], np.ones(3))
    with pytest.raises(Failed, match="lengths differ"):
        evaluate(after, [np.ones(4), np.ones(5)])


@pytest.mark.parametrize("op", ["reduce_max", "reduce_min", "argmax", "argmin"])
def test_the_largest_of_nothing_is_an_error(op):
    out = "i64" if op.startswith("arg") else "f64"
    text = f"func f(x: f64[n]) {{\n  r: {out} = {op} x {{axes=(0,)}}\n  return r\n}}\n"
    with pytest.raises(Failed, match="ValueError: .* of an empty array"):
        evaluate(lower(parse(text)), [np.zeros(0)])


def equations(func, prim):
    return [e for e in walk(func.body) if e.prim == prim]


@pytest.mark.parametrize(
    ("name", "loops", "arrays"),
    [
        ("value_and_gradient", 1, 1),  # one pass over x, and memory for the gradient only
        ("of_two_nests", 1, 0),
        ("store_self_same", 1, 0),  # x is read where it is written: no temporary
        ("store_self_shifted", 2, 1),
        ("store_self_rows", 1, 0),  # rows 1 and 2 are provably different
        ("old_and_new", 1, 1),  # the old element is read before it is written
        ("two_stores", 1, 0),
        ("accum_zeros", 1, 1),  # zeros that are overwritten are never made
        ("triangular", 4, 0),
        ("dot_slices", 1, 0),
        ("column_expensive", 2, 1),  # exp once for each row, outside of the inner loop
        ("row_and_column", 3, 2),  # exp of the row once, before the nest
        ("sweeps", 3, 0),
    ],
)
def test_fusion(name, loops, arrays):
    func = lower(parse(CASES[name]))
    made = equations(func, "empty") + equations(func, "full") + equations(func, "copy")
    assert (len(equations(func, "for")), len(made)) == (loops, arrays), show(func)


def test_where_a_nest_comes_from():
    text = "func f(x: f64[n]) {\n  y: f64[n] = sin x @4:2 adjoint\n  return y\n}\n"
    (nest,) = equations(lower(parse(text)), "for")
    assert nest.loc.line == 4 and nest.role == "adjoint"
    assert {e.role for e in walk(nest.regions[0])} == {"adjoint"}
