"""Zeros are written by the loop that adds to them where each iteration has a row of its own."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad import grad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.clear import clear

BEFORE = """
func f(x: f64[n, m], k: i64) {
  n: i64 = dim x {axis=0}
  m: i64 = dim x {axis=1}
  z: f64[n, m] = full 0.0: f64, n, m
  last: i64 = sub k, 1: i64
  g: f64[n, m], s: f64 = for last, -1: i64, -1: i64, z, 0.0: f64 { (i: i64, g: f64[n, m], s: f64)
    u: f64[m] = load x, i {spec='i,:'}
    v: f64[?] = load u, i {spec='_:'}
    g: f64[n, m] = accum g, v, i, i {spec='i,_:'} adjoint
    t: f64 = load g, i, 0: i64 {spec='i,i'} adjoint
    s: f64 = add s, t
    yield g, s
  } adjoint
  return g, s
}
"""

STAYS = {
    "the row may not be there": (
        "    g: f64[n, m] = accum g, v, i, i {spec='i,_:'} adjoint\n",
        "    c: bool = gt s, 0.5: f64\n    g: f64[n, m] = if c { ()\n"
        "      h: f64[n, m] = accum g, v, i, i {spec='i,_:'} adjoint\n"
        "      yield h\n    } { ()\n      yield g\n    }\n",
    ),
    "another loop's sum": ("{spec='i,_:'} adjoint", "{spec='i,_:'}"),
    "not zeros": ("full 0.0: f64", "full 1.0: f64"),
    "another row is read": ("load g, i, 0: i64", "load g, 0: i64, 0: i64"),
    "every second row": ("for last, -1: i64, -1: i64", "for last, -1: i64, -2: i64"),
    "the zeros have another use": ("return g, s", "h: f64[n, m] = add g, z\n  return h, s"),
}


@pytest.mark.parametrize("k", [-1, 0, 1, 3, 4])
def test_golden(golden, k: int) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(k + 1)
    after = clear(func)
    verify(after)
    golden("ir", "clear.txt", BEFORE.lstrip() + "\n=== after clear\n\n" + show(after))
    args = rng.random((4, 5)), k
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    before = BEFORE.replace(*STAYS[why])
    assert before != BEFORE
    func = parse(before)
    assert show(clear(func)) == show(func)


def substituted(L, x, b, n):
    for i in range(n):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x[0] * x[n - 1]


@pytest.mark.parametrize("n", [1, 3, 5])
def test_rows_that_no_iteration_reaches(n: int) -> None:
    rng = np.random.default_rng(n)
    args = rng.random((5, 6)) + 1.0, rng.random(5), rng.random(5), n
    compiled, plain = grad(substituted), grad(substituted, jit=False)
    text = compiled.source(*args, level="kernel")
    assert "L_bar = np.empty(" in text
    np.testing.assert_allclose(compiled(*args), plain(*args), rtol=1e-12)


def beyond(A, k):
    """The loop goes on where there are no rows."""
    s = 0.0
    for i in range(k):
        if i < A.shape[0]:
            s += A[i, 0] * A[i, 1]
        s += 0.5
    return s


def test_rows_that_are_not_there() -> None:
    A = np.arange(6.0).reshape(3, 2)
    for k in (0, 2, 3, 9):
        expected = A[:, ::-1] * (np.arange(3) < k)[:, None]
        np.testing.assert_array_equal(grad(beyond)(A, k), expected)


def test_rows_of_the_users_own_loop() -> None:
    """The index is checked before anything is written."""

    def f(x, k):
        z = np.zeros((3, 2))
        for i in range(k):
            z[i] += x
        return np.sum(z * z)

    with pytest.raises(IndexError, match="z"):
        grad(f)(np.ones(2), 4)
    np.testing.assert_array_equal(grad(f)(np.ones(2), 2), [4.0, 4.0])
