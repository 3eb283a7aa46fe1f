"""Loops around recurrences are done several iterations at a time, and nothing changes but that."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from s2s_ad import value_and_grad
from s2s_ad.ir.core import walk
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.dce import dce
from s2s_ad.passes.lanes import lanes
from s2s_ad.passes.simplify import simplify
from tests.derivative_checks import Derivatives
from tests.small_pieces import small_pieces

LOGISTIC = """
func f(x: f64[n], r: f64) {
  n: i64 = dim x {axis=0}
  y: f64[n] = empty n {dtype='f64'}
  y: f64[n], s: f64 = for 0: i64, n, 1: i64, y, 0.0: f64 { (i: i64, y: f64[n], s: f64)
    v: f64 = load x, i {spec='i'}
    v: f64 = for 0: i64, 50: i64, 1: i64, v { (j: i64, v: f64)
      u: f64 = mul r, v
      w: f64 = sub 1.0: f64, v
      v: f64 = mul u, w
      yield v
    }
    y: f64[n] = store y, v, i {spec='i'}
    s: f64 = add s, v
    yield y, s
  }
  return y, s
}
"""


def in_lanes(func) -> bool:
    return any(e.prim == "for" and e.ins[2].value == 64 for e in walk(func.body))


def test_golden(golden) -> None:
    func = parse(LOGISTIC)
    after = verify(dce(simplify(lanes(func))))
    golden(
        "ir", "lanes.txt", LOGISTIC.lstrip() + "\n=== after lanes, simplify, dce\n\n" + show(after)
    )
    for n in (0, 1, 63, 64, 65, 200):
        args = (np.random.default_rng(n).uniform(size=n), 3.2)
        for found, expected in zip(evaluate(after, args), evaluate(func, args)):
            np.testing.assert_array_equal(found, expected)


STAYS: dict[str, Callable[[str], str]] = {
    "an iteration waits for another": lambda t: t.replace("load x, i", "load y, i").replace(
        "store y, v, i", "store y, v, 0: i64"
    ),
    "what is written may be another iteration's": lambda t: t.replace(
        "0: i64, n, 1: i64", "-2: i64, n, 1: i64"
    ),
    "few iterations": lambda t: t.replace("0: i64, n, 1: i64", "0: i64, 9: i64, 1: i64"),
    "every second one": lambda t: t.replace("0: i64, n, 1: i64", "0: i64, n, 2: i64"),
    "no recurrence": lambda t: t.replace("v: f64 = mul u, w", "v: f64 = add v, r"),
    "a short one": lambda t: t.replace("50: i64", "3: i64"),
    "the inner loops have lengths of their own": lambda t: t.replace("50: i64", "i"),
    "the total is used": lambda t: t.replace("store y, v, i", "store y, s, i"),
}


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    func = parse(STAYS[why](LOGISTIC))
    assert show(lanes(func)) == show(func)


def paths(x, a, B):
    """Numbers that change places, a branch in the loop and one with a total behind it."""
    total = x
    for i in range(B.shape[1]):
        s, t = a[i], 0.3
        for j in range(B.shape[0]):
            if s > 0.2:
                t = 0.5 * t * s + B[j, i]
            s, t = t, 0.7 * s
        if t > 0:
            total += s * t
    return total


def series(x, a, B):
    """Terms of a total in the inner loop, between others: their order is kept. Rows along it."""
    total = 0.1
    for i in range(B.shape[0]):
        v = 0.5
        total *= 1.1
        for j in range(1, B.shape[1]):
            total += math.log(1.0 + v * v) * B[i, j]
            v = x * v * math.cos(v) + B[i, j - 1] * a[i]
        total -= v
    return total


def trajectories(x, a, B):
    """What is computed is kept: in rows, in columns of another matrix, in an array of its own."""
    n, m = B.shape
    C, D = np.zeros((n, m)), np.zeros((m, n))
    for i in range(n):
        h = np.zeros(m + 1)
        h[0] = a[i]
        for j in range(m):
            h[j + 1] = np.sin(h[j] * x) + B[i, j]
            C[i, j] += h[j] * h[j]
        v = x
        for j in range(m - 1, -1, -1):
            v = np.exp(-v * v) + C[i, j]
            D[j, i] = v * a[j % n]
    return np.sum(C * B) + np.sum(np.cos(D))


def nested(x, a, B):
    """A recurrence in a recurrence, and what all iterations count alike."""
    total = 0.0
    for i in range(B.shape[0]):
        s, h = a[i], 0.1
        for j in range(B.shape[1]):
            t = s * B[i, j]
            for _ in range(4):
                t = np.tanh(t + h * x)
            total += t
            total += 0.25
            s = s * np.cos(t) + h
            h = h * 0.9
        total += max(s, 0.1 * x)
    return total


def stepped(x, a, B):
    """Each iteration writes to an argument's row, in a loop that runs again and again."""
    for _ in range(3):
        for i in range(1, B.shape[0]):
            v = B[i, 0]
            for j in range(B.shape[1]):
                v = np.sin(v) * x + a[j]
                B[i, j] = 0.5 * B[i, j] * v
    return np.sum(B * B)


def shifted(x, a, B):
    """What is added to a total is a number as an iteration finds it, before it is replaced."""
    total, other = 0.0, x
    for i in range(B.shape[1]):
        s, t, u = a[i], x, 0.5
        for j in range(B.shape[0]):
            total += s
            other -= u
            s, u = t, s
            t = np.sin(t + B[j, i])
        total += t
    return total * other


PROGRAMS = (paths, series, trajectories, nested, stepped, shifted)


def arguments(rows: int, columns: int) -> tuple:
    rng = np.random.default_rng([rows, columns])
    return 0.7, rng.normal(size=max(rows, columns)), rng.normal(size=(rows, columns))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_compiled(program: Callable) -> None:
    compiled = value_and_grad(program, wrt=(0, 1, 2))
    plain = value_and_grad(program, wrt=(0, 1, 2), jit=False)
    for shape in ((0, 3), (1, 5), (5, 1), (70, 6), (4, 130), (128, 3)):
        args = arguments(*shape)
        (value, gradient), expected = compiled(*args), plain(*args)
        np.testing.assert_allclose(value, expected[0], rtol=1e-12)
        for found, other in zip(gradient, expected[1]):
            np.testing.assert_allclose(found, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_loops(program: Callable) -> None:
    """The loops that are compiled, in Python, with lanes enough for some of the iterations; and
    that there are lanes, which may be told by the blocks."""
    with small_pieces():
        for shape in ((0, 3), (1, 5), (5, 1), (9, 6), (4, 13)):
            args = arguments(*shape)
            Derivatives(program, jit=False, level="kernel").check(args, fd_rtol=1e-5)
        assert "lanes" in value_and_grad(program).source(*args, level="kernel")


def rows_now_and_then(x, a, B, k):
    total = 0.0
    for i in range(a.shape[0]):
        v = a[i]
        for j in range(B.shape[1]):
            for _ in range(k):
                v = np.sin(v) * x + B[i, j]
                B[i, j] = 0.5 * v
        total += v
    return total


def test_rows_that_nobody_reads_need_not_be_there() -> None:
    """Loops within loops may have no iteration: then no part of a matrix is copied."""
    derivative = value_and_grad(rows_now_and_then, wrt=(0, 1, 2))
    value, (x_bar, a_bar, B_bar) = derivative(0.7, np.ones(100), np.zeros((1, 50)), 0)
    assert value == 100.0 and x_bar == 0.0
    np.testing.assert_array_equal(a_bar, np.ones(100))
    np.testing.assert_array_equal(B_bar, np.zeros((1, 50)))
    with pytest.raises(IndexError):
        derivative(0.7, np.ones(100), np.zeros((1, 50)), 1)
    expected = value_and_grad(rows_now_and_then, wrt=(0, 1, 2), jit=False)
    args = 0.7, np.linspace(0.1, 0.9, 70), np.ones((70, 3)), 2
    np.testing.assert_allclose(derivative(*args)[1][2], expected(*args)[1][2], rtol=1e-10)


def offsets(x, a, B):
    """Columns before and behind the one of the inner loop, which ends before them."""
    total = 0.0
    for i in range(a.shape[0]):
        v = a[i]
        for j in range(2, B.shape[1] - 1):
            v = np.sin(v) * x + B[i, j - 2] * B[i, j + 1]
            B[i, j] = 0.5 * v
        total += v
    return total


@pytest.mark.parametrize("level", ["kernel", "compiled"])
def test_nor_where_the_inner_loop_has_no_iteration(level: str) -> None:
    options = {} if level == "compiled" else {"jit": False, "level": level}
    derivative = value_and_grad(offsets, wrt=(0, 1, 2), **options)
    for columns in (0, 2, 3):
        value, (x_bar, a_bar, B_bar) = derivative(0.7, np.ones(100), np.zeros((1, columns)))
        assert value == 100.0 and x_bar == 0.0 and not B_bar.any()
        np.testing.assert_array_equal(a_bar, np.ones(100))
    with pytest.raises(IndexError):
        derivative(0.7, np.ones(100), np.zeros((1, 4)))
    plain = value_and_grad(offsets, wrt=(0, 1, 2), jit=False)
    for columns in (4, 9):
        args = 0.7, np.linspace(0.1, 0.9, 70), np.random.default_rng(0).normal(size=(70, columns))
        found, expected = derivative(*args), plain(*args)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        for a, b in zip(found[1], expected[1]):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    assert "start in range" in derivative.source(*args, level="kernel")


MADE_INSIDE = """
func f(x: f64[n, m], r: f64) {
  n: i64 = dim x {axis=0}
  m: i64 = dim x {axis=1}
  s: f64 = for 0: i64, n, 1: i64, 0.0: f64 { (i: i64, s: f64)
    d: f64[n, m] = copy x
    v: f64 = for 0: i64, m, 1: i64, r { (j: i64, v: f64)
      u: f64 = load d, i, j {spec='i,i'}
      w: f64 = sin v
      v: f64 = mul u, w
      yield v
    }
    s: f64 = add s, v
    yield s
  }
  return s
}
"""


def test_no_tile_of_what_is_not_there_yet() -> None:
    before = parse(MADE_INSIDE)
    after = verify(lanes(before))
    for n in (0, 3, 70):
        args = (np.random.default_rng(n).normal(size=(n, 5)), 0.7)
        assert evaluate(after, args) == evaluate(before, args)


def test_a_total_has_its_order() -> None:
    """To the last bit: a sum of terms of all sizes, in the inner loop and behind it."""
    args = arguments(200, 3)
    args = (*args[:2], args[2] * 10.0 ** np.arange(-8, 12, 0.1)[:, None])
    value, _ = value_and_grad(series, math="scalar")(*args)
    assert value == series(*args)


def long_series(x, a, B):
    total = 0.0
    for i in range(a.shape[0]):
        v = a[i]
        for _ in range(B):
            v = x * v * (1.0 - v)
        total += v
    return total


def test_room_for_tapes() -> None:
    """Few iterations with long tapes have few lanes, and so have many."""
    derivative = value_and_grad(long_series, wrt=(0, 1))
    text = derivative.source(1.5, np.ones(3), 5, level="kernel")
    assert "np.empty((trips, room))" in text
    for n, trips in ((1, 200_000), (3, 70_000), (40, 70_000), (100, 3)):
        value, gradient = value_and_grad(long_series, jit=False, wrt=(0, 1))(
            1.5, np.full(1, 0.3), trips
        )
        found, (x_bar, a_bar) = derivative(1.5, np.full(n, 0.3), trips)
        np.testing.assert_allclose((found, x_bar), (n * value, n * gradient[0]), rtol=1e-10)
        np.testing.assert_allclose(a_bar, np.full(n, gradient[1]), rtol=1e-9, atol=1e-300)


def test_threads() -> None:
    """A loop that the user wished to be parallel is, in blocks; so is one that pays."""
    numba = pytest.importorskip("numba")

    def wished(th, om, g):
        out = np.empty(th.shape[0])
        for i in numba.prange(th.shape[0]):
            a, b = th[i], om[i]
            for _ in range(20):
                b -= 0.01 * g * math.sin(a)
                a += 0.01 * b
            out[i] = a
        return np.sum(out * out)

    rng = np.random.default_rng(0)
    args = (rng.normal(size=150), rng.normal(size=150), 9.81)
    text = value_and_grad(wished, wrt=(0, 1, 2)).source(*args, level="kernel")
    assert "lanes" in text and "in order" not in text
    expected = value_and_grad(wished, wrt=(0, 1, 2), jit=False)(*args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for options in ({}, {"parallel": True}):
            value, gradient = value_and_grad(wished, wrt=(0, 1, 2), **options)(*args)
            np.testing.assert_allclose(value, expected[0], rtol=1e-12)
            for found, other in zip(gradient, expected[1]):
                np.testing.assert_allclose(found, other, rtol=1e-10)
