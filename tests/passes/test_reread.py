"""What is on a tape although the program stores it is read from where it is stored."""

from __future__ import annotations

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.reread import reread
from tests.derivative_checks import Derivatives
from tests.programs import linalg
from tests.source_text import define

#: `t` is computed for a tangent alone; the store comes after both.
BEFORE = """
func f(a: f64[n], d: f64, e_dot: f64, a_dot: f64[n]) {
  n: i64 = dim a {axis=0}
  a: f64[n], a_dot: f64[n] = for 0: i64, n, 1: i64, a, a_dot {linear=1} {
    (i: i64, a: f64[n], a_dot: f64[n])
    p: f64 = load a, i {spec='i'}
    q: f64 = div p, d
    t: f64 = mul q, q
    q_dot: f64 = mul e_dot, t tangent
    a: f64[n] = store a, q, i {spec='i'}
    a_dot: f64[n] = store a_dot, q_dot, i {spec='i'} tangent
    r_dot: f64 = mul q_dot, q tangent
    a_dot: f64[n] = accum a_dot, r_dot, i {spec='i'} tangent
    yield a, a_dot
  }
  return a, a_dot
}
"""

STAYS = {
    "more than an element": {"store a, q, i {spec='i'}": "store a, q, i {spec='_:'}"},
    "a loop takes the tangent before": {
        "    a: f64[n] = store": "    z: f64, q_dot: f64 = for 0: i64, 2: i64, 1: i64, p, q_dot "
        "{linear=1} {\n      (k: i64, z: f64, z_dot: f64)\n      yield z, z_dot\n    }\n"
        "    a: f64[n] = store"
    },
}


def saved(func) -> set:
    """The variables called q or t, as if they were on a tape."""
    (loop,) = (e for e in func.body.eqns if e.prim == "for")
    return {v for e in loop.regions[0].eqns for v in e.outs if v.name in ("q", "t")}


def test_golden(golden) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(0)
    after = reread(func, saved(func))
    verify(after)
    golden("ir", "reread.txt", BEFORE.lstrip() + "\n=== after reread\n\n" + show(after))
    args = rng.random(5), 0.7, 0.3, rng.random(5)
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_is_not_saved_stays() -> None:
    func = parse(BEFORE)
    (loop,) = (e for e in func.body.eqns if e.prim == "for")
    (read,) = (e.out for e in loop.regions[0].eqns if e.prim == "load")
    assert reread(func, {read}) is func


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    before = BEFORE
    for old, new in STAYS[why].items():
        assert old in before
        before = before.replace(old, new)
    func = parse(before)
    verify(func)
    assert reread(func, saved(func)) is func


def written_again(x, d):
    """The quotients are overwritten by a later iteration, and by a later loop."""
    s = 0.0
    for i in range(1, x.shape[0]):
        x[i] = x[i - 1] / (d + x[i])
        x[i - 1] = x[i] * d
    for i in range(x.shape[0]):
        s += x[i] * x[i]
        x[i] = 0.0
    return s


def steps(y, n):
    """Two states, of which each step stores one by way of the other."""
    u, v = np.zeros(n + 1), np.ones(n + 1)
    for i in range(n):
        q = y / (1.0 + v[i] * v[i])
        u[i + 1] = q
        v[i + 1] = q / (2.0 + u[i]) + q * q
    return np.sum(u * v)


def network(x, w):
    h = np.zeros(x.shape[0] + 1)
    for i in range(x.shape[0]):
        h[i + 1] = np.tanh(w * h[i] + x[i])
    return np.sum(h * h)


def growth(x, w):
    """In branches; the roots are written over."""
    y, s = np.empty(x.shape[0]), 0.0
    for i in range(x.shape[0]):
        if x[i] > 0.3:
            y[i] = np.exp(w * x[i])
        else:
            y[i] = np.sqrt(1.0 + x[i] * w)
    for i in range(1, x.shape[0]):
        s += y[i - 1] * y[i]
        y[i] = np.sqrt(s)
    return s


RNG = np.random.default_rng(5)
PROGRAMS = {
    "lu": (linalg.lu, (RNG.random((5, 5)) + 4.0 * np.eye(5),), True),
    "substitution": (
        linalg.back_substitution,
        (RNG.random((5, 5)) + 2.0 * np.eye(5), RNG.random(5)),
        True,
    ),
    "written_again": (written_again, (RNG.random(6), 1.3), False),
    "steps": (steps, (0.7, 6), True),
    "network": (network, (RNG.random(6), 0.4), True),
    "growth": (growth, (RNG.random(6), 0.4), False),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives(name: str) -> None:
    f, args, without_tape = PROGRAMS[name]
    for options in ({}, {"jit": False, "level": "array"}):
        Derivatives(f, **options).check(args, gradients=name != "substitution")
    source = "".join(s2s_ad.vjp(f).source(*args))
    assert ("_tape" not in source) == without_tape


def test_functions_are_not_computed_again() -> None:
    source = s2s_ad.grad(network).source(np.ones(4), 0.3)
    reverse = source.partition("# reverse sweep")[2].splitlines()
    assert not any("np.tanh" in line for line in reverse if not line.lstrip().startswith("#"))
    assert "(1.0 - h[t] ** 2)" in source


@pytest.mark.parametrize("divisor", ["x[i]", "a[i, k]"])
def test_long_bodies(divisor: str) -> None:
    """Of 250 stores each reads what the one before has written."""
    line = f"        a[i, k + 1] = np.exp(a[i, k] * 0.1) / (1.0 + {divisor})\n"
    body = "".join(line.replace("k + 1", str(k)).replace("k]", f"{k - 1}]") for k in range(1, 251))
    start = "def f(x):\n    a = np.ones((3, 251))\n    a[:, 0] = x\n    for i in range(3):\n"
    f = define(f"{start}{body}    return np.sum(a)\n", "f", f"reread long bodies {divisor}")
    found = s2s_ad.jvp(f, jit=False)((np.ones(3),), (np.ones(3),))[1]
    gradient = s2s_ad.grad(f, jit=False)(np.ones(3))
    np.testing.assert_allclose(np.sum(gradient), found, rtol=1e-12)
