"""No allocation inside loops, and the same numbers; what outlives an iteration stays apart."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.text import parse, show
from s2s_ad.passes.buffers import buffers
from tests.derivative_checks import Derivatives

BEFORE = """
func f(x: f64[n], m: i64, k: i64) {
  n: i64 = dim x {axis=0}
  a: f64[?] = full 1.0: f64, n
  s: f64, a.1: f64[?] = for 0: i64, m, 1: i64, 0.0: f64, a { (i: i64, s: f64, a: f64[?])
    t: f64[?] = full 0.0: f64, n
    u: f64[?] = empty k
    b: f64[?] = empty n
    t.1: f64[?], b.1: f64[?] = for 0: i64, n, 1: i64, t, b { (j: i64, t: f64[?], b: f64[?])
      v: f64 = load x, j {spec='i'}
      w: f64 = load a, j {spec='i'}
      t.1: f64[?] = accum t, v, j {spec='i'}
      c: f64 = mul w, v
      b.1: f64[?] = store b, c, j {spec='i'}
      yield t.1, b.1
    }
    r: f64 = load t.1, 0: i64 {spec='i'}
    q: f64 = add s, r
    u.1: f64[?] = store u, q, 0: i64 {spec='i'}
    z: f64 = load u.1, 0: i64 {spec='i'}
    yield z, b.1
  }
  return s, a.1
}
"""


def test_golden(golden) -> None:
    after = show(buffers(parse(BEFORE)))
    golden("ir", "buffers.txt", BEFORE.lstrip() + "\n=== after buffers\n\n" + after)


def fresh(x, steps):
    """Temporaries of all kinds, written in part."""
    total = 0.0
    for k in range(steps):
        work = np.zeros(x.shape[0])
        work[k % 3] = x[k % 3] * x[0]
        old = x.copy()
        more = np.empty(x.shape[0])
        more[:] = work + old
        more[1:] = more[1:] * more[:-1]
        total += np.sum(more * x)
    return total


def handed_on(x, steps):
    """Each iteration reads what the one before has made."""
    a = x * 1.0
    for _ in range(steps):
        b = np.zeros(x.shape[0])
        for i in range(1, x.shape[0]):
            b[i] = a[i - 1] * x[i] + a[0]
        b[0] = a[-1]
        a = b
    return a @ x


def handed_on_twice(x, steps):
    """What an iteration makes, the next but one reads."""
    a, b = x * 1.0, x * x
    for k in range(steps):
        c = np.zeros(x.shape[0])
        c[k % 3] = a[0] * x[1] + b[1]
        c[0] += a[2] * 0.5
        a, b = b, c
        a[1] += x[k % 3]
    return a @ x + b[0]


def kept(x, steps):
    """The first iteration's array is read by all others, so there are as many as iterations."""
    first = x
    previous = x
    for k in range(steps):
        made = np.zeros(x.shape[0])
        made[k % 3] = x[1] + previous[0] * first[k % 3]
        made[0] += x[k % 3]
        first = previous
        previous = made
    return np.sum(first * previous)


def exchanged(x, steps):
    """Two temporaries that swap their places within an iteration."""
    total = 0.0
    for k in range(steps):
        u, v = np.zeros(3), np.ones(3)
        for i in range(k):
            u, v = v, u
            u[i % 3] += x[i % 3]
        total += u[0] * x[1] + v[1] * x[2]
    return total


def nested(x, steps):
    total = 0.0
    for k in range(steps):
        for j in range(2):
            row = np.zeros((2, x.shape[0]))
            row[j, k % 3] = x[j]
            total += row[0, k % 3] * x[2] + row[1, k % 3] * x[1]
    return total


def until(x, steps):
    total, k = 0.0, 0
    while k < steps and total < 100.0:
        work = np.zeros(x.shape[0])
        work[k % 3] = x[k % 3]
        total += work[0] * x[1] + work[1] ** 2
        k += 1
        if total > 50.0:
            break
    return total


def chosen(x, steps):
    """What is handed on depends on the path."""
    a = x * 2.0
    for k in range(steps):
        b = np.zeros(x.shape[0])
        b[:] = a * x
        if k % 2 == 0:
            a = b
    return np.sum(a)


def triangle(x, steps):
    """Rows of growing length, all of which the reverse sweep needs."""
    A = np.zeros((4, x.shape[0]))
    A[:] = x
    for i in range(min(steps, 4)):
        for k in range(2):
            A[i, : i + 1] *= A[i, : i + 1] * x[k]
    return np.sum(A)


PROGRAMS = (fresh, handed_on, handed_on_twice, kept, exchanged, nested, until, chosen, triangle)
X = np.array([0.9, -0.6, 0.7])


@pytest.mark.parametrize("fn", PROGRAMS, ids=lambda fn: fn.__name__)
def test_derivatives(fn) -> None:
    for options in ({"jit": False, "level": "kernel"}, {"jit": True}):
        derivatives = Derivatives(fn, **options)
        for steps in (0, 1, 4):
            derivatives.check((X, steps))


ALLOCATED_ONCE = (fresh, handed_on, handed_on_twice, nested, triangle)


def allocations(text: str) -> list[str]:
    """The calls inside loops that make arrays."""
    loops = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.For | ast.While)]
    calls = {ast.unparse(c) for n in loops for c in ast.walk(n) if isinstance(c, ast.Call)}
    made = ("np.empty", "np.zeros", "np.full", "np.ones", "np.concatenate")
    return sorted(c for c in calls if c.startswith(made) or c.endswith(".copy()"))


@pytest.mark.parametrize("fn", ALLOCATED_ONCE, ids=lambda fn: fn.__name__)
def test_there_is_none_inside(fn) -> None:
    text = s2s_ad.value_and_grad(fn).source(X, 4, level="kernel")
    found = [c for c in allocations(text) if "np.empty(n_" not in c]  # of another size each time
    assert not found


def sized(x, n, steps):
    total = 0.0
    for k in range(steps):
        work = np.zeros(n)
        for i in range(n):
            work[i] += x + k
        total += np.sum(work)
    return total


def test_a_negative_extent_is_an_error_only_where_it_is_met() -> None:
    f = s2s_ad.differentiate(sized, level="kernel", jit=False)
    assert f(2.0, -1, 0) == 0.0 and f(2.0, 3, 2) == 15.0
    with pytest.raises(ValueError, match="negative dimensions"):
        f(2.0, -1, 1)
