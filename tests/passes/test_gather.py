"""Chains of stores and accums at shifted places: gathered or not, the values are the same."""

from __future__ import annotations

import linecache
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s_ad import grad
from s2s_ad.ir.core import walk
from s2s_ad.ir.text import parse
from s2s_ad.passes.lower import lower
from tests.passes.test_lower import check

#: Random programs to look at; S2S_FUZZ_EXAMPLES asks for more.
EXAMPLES = int(os.environ.get("S2S_FUZZ_EXAMPLES", "15"))


def defined(text, name="f"):
    """The function `name` of a source text."""
    filename = f"<gather {hash(text)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    space = {"np": np, "math": math, "__name__": "tests.gather"}
    exec(compile(text, filename, "exec"), space)
    return space[name]


def assert_levels_agree(function, args, rtol=1e-13):
    """The gradient with loops is that of whole arrays, but for rounding."""
    gradient = grad(function, wrt=tuple(range(len(args))))
    found = []
    for level in ("array", "kernel"):
        text = gradient.source(*args, level=level)
        run = defined(text, f"{function.__name__}_grad")
        found.append(run(*(np.copy(a) for a in args)))
    for a, b in zip(*found):
        np.testing.assert_allclose(b, a, rtol=rtol, atol=rtol, err_msg=text)


# --- random stencils -----------------------------------------------------------------------------


def slices(margins, shifts):
    """A place that keeps these margins, shifted: `1:-1, 2:, :`."""
    parts = []
    for (low, high), shift in zip(margins, shifts):
        start, stop = low + shift, shift - high
        parts.append(f"{start or ''}:{stop or ''}")
    return ", ".join(parts)


@st.composite
def stencils(draw):
    """A function of two arrays of the same shape, with assignments between shifted slices."""
    rank = draw(st.integers(1, 3))
    small = st.integers(0, 2)
    lines = ["def f(A, B, C):", "    X = A.copy()", "    Y = B.copy()"]
    for _ in range(draw(st.integers(1, 3))):
        margins = [(draw(small), draw(small)) for _ in range(rank)]
        target, source = draw(st.sampled_from(["XX", "XY", "YX", "XC"]))
        terms = []
        for _ in range(draw(st.integers(1, 5))):
            shifts = [draw(st.integers(-low, high)) for low, high in margins]
            term = f"{draw(st.sampled_from(['0.5', '-1.25', '2.0']))} * "
            term += f"{source}[{slices(margins, shifts)}]"
            if draw(st.booleans()):
                still = [draw(st.integers(-low, high)) for low, high in margins]
                term += f" * {draw(st.sampled_from('CXY'))}[{slices(margins, still)}]"
            terms.append(term)
        place = slices(margins, [0] * rank)
        kind = draw(st.sampled_from(["=", "=", "+=", "-="]))
        lines.append(f"    {target}[{place}] {kind} {' + '.join(terms)}")
        if draw(st.integers(0, 3)) == 0:
            step = draw(st.sampled_from(["::-1", "::2", "1:"]))
            lines.append(f"    Y[{step}] {draw(st.sampled_from(['=', '+=']))} X[{step}] * 0.5")
    lines.append("    return np.sum(X * C) + np.sum(Y * Y)")
    shapes = [[draw(st.integers(0, 7)) for _ in range(rank)] for _ in range(3)]
    return "\n".join(lines) + "\n", shapes


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
@given(stencils())
def test_random_stencils(drawn):
    text, shapes = drawn
    function = defined(text)
    for shape in shapes:
        rng = np.random.default_rng(0)
        assert_levels_agree(function, tuple(rng.normal(size=(3, *shape))))


# --- what is gathered ----------------------------------------------------------------------------

V = "x: f64[n], v: f64[n-2]"
CHAINS = {
    "two": (V, ["accum {}, v, -2: i64 {spec=':_'}", "accum {}, v, 2: i64 {spec='_:'}"]),
    "store_first": (
        V,
        ["store {}, v, 1: i64, -1: i64 {spec='_:_'}", "accum {}, v, 2: i64 {spec='_:'}"],
    ),
    "store_last": (
        V,
        ["accum {}, v, 2: i64 {spec='_:'}", "store {}, v, 1: i64, -1: i64 {spec='_:_'}"],
    ),
    "rows": (
        "x: f64[n, m], v: f64[n-1, m]",
        ["accum {}, v, -1: i64 {spec=':_,:'}", "accum {}, v, 1: i64 {spec='_:,:'}"],
    ),
    "in_a_row": (
        "x: f64[4, n], v: f64[n-1]",
        ["accum {}, v, 1: i64, -1: i64 {spec='i,:_'}", "accum {}, v, 1: i64, 1: i64 {spec='i,_:'}"],
    ),
    "broadcast": (
        "x: f64[n, m], v: f64[m-1]",
        ["accum {}, v, -1: i64 {spec=':,:_'}", "accum {}, v, 1: i64 {spec=':,_:'}"],
    ),
    "known_extent": (
        "x: f64[7], v: f64[5]",
        ["accum {}, v, -2: i64 {spec=':_'}", "accum {}, v, 2: i64 {spec='_:'}"],
    ),
}
APART = {
    "same_place": (V, ["accum {}, v, 2: i64 {spec='_:'}", "accum {}, v, 2: i64 {spec='_:'}"]),
    "two_rows": (
        "x: f64[4, n], v: f64[n-1]",
        ["accum {}, v, 1: i64, -1: i64 {spec='i,:_'}", "accum {}, v, 2: i64, 1: i64 {spec='i,_:'}"],
    ),
    "halves": (
        "x: f64[8], v: f64[4]",
        ["accum {}, v, 4: i64 {spec=':_'}", "accum {}, v, 4: i64 {spec='_:'}"],
    ),
    "steps": (
        "x: f64[8], v: f64[4]",
        ["accum {}, v, 2: i64 {spec='::_'}", "accum {}, v, 1: i64, 2: i64 {spec='_::_'}"],
    ),
}


def program(params, chain, result=None):
    kind = params[params.index(": ") + 2 : params.index("], ") + 1]
    names = ["x", *(f"x{k}" for k in range(len(chain)))]
    body = [
        f"  {names[k + 1]}: {kind} = {eqn.replace('{}', names[k], 1)}"
        for k, eqn in enumerate(chain)
    ]
    return f"func f({params}) {{\n" + "\n".join(body) + f"\n  return {result or names[-1]}\n}}\n"


def writes(func):
    return sum(e.prim in ("store", "accum") for e in walk(func.body))


def arguments(params, n, m):
    rng = np.random.default_rng(1)
    func = parse(f"func f({params}) {{\n  return x\n}}\n")

    def extent(d):
        name, _, less = str(d).partition("-")
        known = {"n": n, "m": m}.get(name)
        return int(name) if known is None else max(known - int(less or 0), 0)

    return [rng.normal(size=tuple(map(extent, p.type.shape))) for p in func.params]


@pytest.mark.parametrize("name", [*CHAINS, *APART])
@pytest.mark.parametrize("n, m", [(0, 3), (1, 1), (2, 4), (3, 2), (4, 5), (5, 0), (8, 6)])
def test_chain(name, n, m):
    params, chain = (CHAINS | APART)[name]
    check(program(params, chain), *arguments(params, n, m))


@pytest.mark.parametrize("name", [*CHAINS, *APART])
def test_what_is_gathered(name):
    """A chain that is gathered has more writes than links: those of the elements at the ends."""
    params, chain = (CHAINS | APART)[name]
    after = lower(parse(program(params, chain)))
    assert (writes(after) > len(chain)) == (name in CHAINS)


def test_a_version_that_is_read_is_kept():
    params, chain = CHAINS["two"]
    text = program(params, chain, "x0, x1")
    after = check(text, *arguments(params, 6, 0))
    assert writes(after) == 2


def test_the_first_link_may_read_what_it_overwrites():
    """… and needs no copy of it: no array is made."""
    text = """func f(x: f64[n], v: f64[n-2]) {
  a: f64[n-2] = load x, 1: i64, -1: i64 {spec='_:_'}
  b: f64[n-2] = mul a, 0.5: f64
  x0: f64[n] = store x, b, 1: i64, -1: i64 {spec='_:_'}
  x1: f64[n] = accum x0, v, 2: i64 {spec='_:'}
  return x1
}
"""
    for n in range(7):
        after = check(text, *arguments("x: f64[n], v: f64[n-2]", n, 0))
    assert not any(e.prim == "empty" for e in walk(after.body))


def test_a_later_link_may_not():
    text = """func f(x: f64[n], v: f64[n-2]) {
  a: f64[n-2] = load x, 1: i64, -1: i64 {spec='_:_'}
  x0: f64[n] = accum x, v, 2: i64 {spec='_:'}
  x1: f64[n] = accum x0, a, 1: i64, -1: i64 {spec='_:_'}
  x2: f64[n] = accum x1, a, -2: i64 {spec=':_'}
  return x2
}
"""
    for n in range(7):
        check(text, *arguments("x: f64[n], v: f64[n-2]", n, 0))


def line(x, y):
    z = x.copy()
    z[2:-1] = y[:-3] * x[1:-2] + y[3:]
    z[1:] += z[:-1] * y[1:]
    return np.sum(z * z)


def plane(x, y):
    z = x.copy()
    for _ in range(2):
        z[1:-1, 1:-1] = 0.2 * (y[1:-1, 1:-1] + y[1:-1, :-2] + y[2:, 1:-1] + x[:-2, 2:])
        y[1:, :-1] -= z[:-1, 1:] * z[1:, 1:]
    return np.sum(z * y)


def space(x, y):
    z = y.copy()
    z[1:-1, :, 1:-1] += x[2:, :, 1:-1] * x[:-2, :, 1:-1] - x[1:-1, :, 2:] + x[1:-1, :, :-2]
    return np.sum(z * z)


@pytest.mark.parametrize("function, rank", [(line, 1), (plane, 2), (space, 3)])
def test_compiled(function, rank):
    """numba's loops at all sizes around the stencil's, down to none; neighbours in memory too."""
    compiled = grad(function, wrt=(0, 1))
    plain = grad(function, wrt=(0, 1), jit=False)
    rng = np.random.default_rng(3)
    for n in range(7):
        for m in {n, max(n - 2, 0), 9}:
            x, y = rng.normal(size=(2, *(n, m, n + 1)[:rank]))
            for a, b in zip(compiled(x, y.copy()), plain(x, y.copy())):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
