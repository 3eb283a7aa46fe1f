"""Small arrays become numbers, in compiled code."""

from __future__ import annotations

import math

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.dce import dce
from s2s_ad.passes.elements import elements
from tests.derivative_checks import Derivatives

BEFORE = """
func f(A: f64[n, 2], h: f64, k: i64, m: f64[a]) {
  n: i64 = dim A {axis=0}
  y: f64[2] = load A, 0: i64 {spec='i,:'}
  p: f64[2, 2] = full 1.0: f64, 2: i64, 2: i64
  t: f64[3] = full 2.0: f64, 3: i64
  y: f64[2], p: f64[2, 2], t: f64[3], A: f64[n, 2] = for 1: i64, n, 1: i64, y, p, t, A {
    (i: i64, y: f64[2], p: f64[2, 2], t: f64[3], A: f64[n, 2])
    u: f64 = load y, -1: i64 {spec='i'}
    r: f64[2] = load p, 1: i64 {spec='i,:'}
    s: f64[2] = mul h, r
    z: f64[2] = add y, s
    c: bool = gt u, 0.5: f64
    w: f64[2] = if c { ()
      v: f64[2] = store z, u, 0: i64 {spec='i'}
      yield v
    } { ()
      yield z
    }
    q: f64[2, 2] = accum p, w, 0: i64 {spec='i,:'}
    d: f64 = dot w, y
    e: f64 = sum w {axes=(0,), keepdims=False}
    g: f64[2] = stack d, e {axis=0}
    x: f64[3] = store t, d, k {spec='i'}
    B: f64[n, 2] = store A, w, i {spec='i,:'}
    yield g, q, x, B
  }
  o: f64[a] = mul m, h
  return y, p, t, A, o
}
"""


@pytest.mark.parametrize("n", [1, 2, 6])
def test_golden(golden, n: int) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(n)
    after = dce(elements(func))
    verify(after)
    golden("ir", "elements.txt", BEFORE.lstrip() + "\n=== after elements, dce\n\n" + show(after))
    args = rng.random((n, 2)), 0.7, 1, rng.random(3)
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_numbers_that_are_carried() -> None:
    """Literals are equal where their values are."""
    func = parse(
        "func f(n: i64) {\n y: f64[2] = full 1.0: f64, 2: i64\n"
        " a: f64, y: f64[2] = for 0: i64, n, 1: i64, 0.5: f64, y { (i: i64, a: f64, y: f64[2])\n"
        "  z: f64[2] = mul y, a\n  yield 0.5: f64, z }\n return y }"
    )
    assert [a.tolist() for a in evaluate(elements(func), (2,))] == [[0.25, 0.25]]


def vectors(x, steps):
    """Arithmetic of vectors, a cross product, views, and a running maximum in an array."""
    p, v = np.array([x, 0.3, -0.2]), np.array([0.1, x * x, 0.5])
    top = np.zeros(2)
    for _ in range(steps):
        c = np.array(
            [p[1] * v[2] - p[2] * v[1], p[2] * v[0] - p[0] * v[2], p[0] * v[1] - p[1] * v[0]]
        )
        r = np.sqrt(np.sum(p * p) + 1.0)
        v = v - 0.1 * p / r + 0.05 * c
        p += 0.1 * v
        tail = p[1:]
        tail *= 0.99
        if p[-1] > top[0]:
            top[0] = p[-1]
        top[1] += np.dot(p, v)
    return np.sum(p) + v @ p + top[0] * top[1]


def rotation(x, steps):
    """Matrices of two by two, of which one is turned, and one is returned."""
    R = np.array([[np.cos(x), -np.sin(x)], [np.sin(x), np.cos(x)]])
    S = np.eye(2)
    for i in range(steps):
        S = R @ S * 0.9 + S.T * x
        if i % 3 == 1:
            S[0] = S[1] - x
    return S


def until(x, limit):
    """A while loop that is left by a break, over numbers and flags."""
    y, seen = np.array([x, 1.0]), np.array([False, False])
    while y[0] < limit:
        y = y + 0.1 * np.array([y[1], np.sin(y[0])])
        seen[0] = seen[0] or y[1] > 1.3
        if seen[0] and y[0] > 1.5:
            break
    return y * y


def histogram(x, bins):
    """An array that a subscript reads which is not known stays one."""
    counts = np.zeros(3)
    scale = np.array([1.0, 2.0, 0.5])
    for i in range(x.shape[0]):
        counts[bins[i]] += x[i] * scale[bins[i]]
    return counts * np.array([1.0, x[0], 3.0])


def rows(A, h):
    """Rows of an array of two columns are read and written."""
    B = np.zeros((A.shape[0], 2))
    total = np.zeros(2)
    for i in range(A.shape[0]):
        B[i] = A[i, :2] * h + total
        total += B[i] * B[i, 0]
    return B


RNG = np.random.default_rng(3)
PROGRAMS = {
    "vectors": (vectors, (0.4, 6), "sqrt"),
    "rotation": (rotation, (0.4, 5), "np.cos"),
    "until": (until, (0.4, 3.0), "np.sin"),
    "histogram": (histogram, (RNG.random(5), np.array([0, 2, 1, 2, 0])), "counts"),
    "rows": (rows, (RNG.random((4, 2)), 0.3), "B"),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("jit", [False, True])
def test_derivatives(name: str, jit: bool) -> None:
    f, args, _ = PROGRAMS[name]
    Derivatives(f, jit=jit, level="kernel").check(args, gradients=name == "vectors")


def test_what_is_left_is_numbers() -> None:
    """No array is made where only elements are taken."""
    text = s2s_ad.differentiate(vectors).source(0.4, 6, level="kernel")
    assert "np.empty" not in text and "np.zeros" not in text
    text = s2s_ad.differentiate(histogram).source(*PROGRAMS["histogram"][1], level="kernel")
    assert text.count("np.empty(3)") == 2 and text.count("np.zeros(3)") == 1
    text = s2s_ad.differentiate(rotation).source(*PROGRAMS["rotation"][1], level="kernel")
    assert text.count("np.empty") == 1 and "@" not in text


def numbers(x, v, mu, h, steps):
    for _ in range(steps):
        a, b = v, mu * (1.0 - x * x) * v - x
        x, v = x + h * a, v + h * b
    return math.sin(x) + v


def state(y, mu, h, steps):
    for _ in range(steps):
        y = y + h * np.array([y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]])
    return math.sin(y[0]) + y[1]


def test_states_are_as_good_as_numbers() -> None:
    """A state that comes as an argument: the same loop, and the same numbers on the tape."""
    texts = [
        s2s_ad.grad(f, wrt=wrt).source(*args, 1.2, 0.01, 50, level="kernel")
        for f, wrt, args in (
            (numbers, ("x", "v"), (0.3, 0.4)),
            (state, ("y",), (np.array([0.3, 0.4]),)),
        )
    ]
    assert texts[0].count("_tape[i] = ") == texts[1].count("_tape[i] = ") == 2
    found = s2s_ad.grad(state)(np.array([0.3, 0.4]), 1.2, 0.01, 50)
    np.testing.assert_allclose(
        found, s2s_ad.grad(numbers, (0, 1))(0.3, 0.4, 1.2, 0.01, 50), rtol=1e-13
    )
