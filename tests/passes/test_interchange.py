"""Loops change places where the innermost one would jump from row to row; sums keep their order."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.core import walk
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.dce import dce
from s2s_ad.passes.hoist import hoist_checks
from s2s_ad.passes.interchange import interchange
from s2s_ad.passes.simplify import simplify
from tests.derivative_checks import Derivatives

ROW_TIMES_MATRIX = """
func f(x: f64[m], b: f64[m, n]) {
  m: i64 = dim b {axis=0}
  n: i64 = dim b {axis=1}
  c: f64[n] = empty n {dtype='f64'}
  c1: f64[n] = for 0: i64, n, 1: i64, c { (j: i64, c: f64[n])
    s1: f64 = for 0: i64, m, 1: i64, 0.0: f64 { (k: i64, s: f64)
      u: f64 = load x, k {spec='i'}
      v: f64 = load b, k, j {spec='i,i'}
      p: f64 = mul u, v
      s: f64 = add s, p
      yield s
    }
    c: f64[n] = store c, s1, j {spec='i'}
    yield c
  }
  return c1
}
"""


def test_golden(golden) -> None:
    before = parse(ROW_TIMES_MATRIX)
    after = verify(dce(simplify(interchange(before))))
    golden("ir", "interchange.txt", f"{show(before)}\n=== after interchange\n\n{show(after)}")
    args = [np.random.default_rng(0).normal(size=s) for s in ((5,), (5, 4))]
    np.testing.assert_array_equal(evaluate(after, args)[0], evaluate(before, args)[0])
    assert show(interchange(before, threads=True)) == show(before)


CHECKED = """
func f(x: f64[n], k: i64) {
  n: i64 = dim x {axis=0}
  x1: f64[n] = for 0: i64, k, 1: i64, x { (i: i64, x: f64[n])
    c: bool = le k, n
    assert c {error='ValueError', message='too long'}
    x: f64[n] = store x, 1.0: f64, i {spec='i'}
    assert c {error='ValueError', message='again'}
    yield x
  }
  return x1
}
"""


def test_checks_leave_loops() -> None:
    after = verify(hoist_checks(parse(CHECKED)))
    (loop,) = (e for e in after.body.eqns if e.prim == "for")
    assert not any(e.prim == "assert" for e in walk(loop.regions[0]))
    np.testing.assert_array_equal(evaluate(after, [np.zeros(2), 2])[0], np.ones(2))
    empty = parse(CHECKED.replace("le k, n", "gt k, 5: i64"))
    np.testing.assert_array_equal(evaluate(hoist_checks(empty), [np.zeros(2), 0])[0], np.zeros(2))


def product(A, B):
    C = np.zeros((A.shape[0], B.shape[1]))
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            s = 0.0
            for k in range(A.shape[1]):
                s += A[i, k] * B[k, j]
            C[i, j] = np.sin(s) + s
    return C


def triangle(A, B):
    """The columns of B change as they are read; the inner loop's bounds change with the rows."""
    for i in range(B.shape[0]):
        for j in range(B.shape[1]):
            B[i, j] += np.dot(A[i + 1 :, i], B[i + 1 :, j])
    return B * A[0, 0]


def symmetric(A, B):
    C, below = np.zeros(B.shape), np.zeros(B.shape[1])
    for i in range(B.shape[0]):
        for j in range(B.shape[1]):
            C[:i, j] += B[i, j] * A[i, :i]
            below[j] = B[:i, j] @ A[i, :i] + below[j] * 0.5
        C[i, :] += B[i, :] * A[i, i] + below
    return C


def shifted(A, B):
    """From the second column on, with a total that the outer loop carries and a first value that
    depends on the column."""
    total, size = 1.0, A.shape[0]
    out = np.zeros(B.shape[1])
    for j in range(2, B.shape[1]):
        s = B[0, j]
        for k in range(size):
            s = s * 0.9 + A[k, 1] * B[k, j - 1] * B[k, j]
        total = total * 0.8 + s
        out[j] = s * total
    return out * total


def columns(A, B):
    """Two inner loops, the second of which writes to the column that the first one reads."""
    for j in range(B.shape[1] - 1, -1, -1):
        norm = 0.0
        for k in range(B.shape[0]):
            norm += B[k, j] * B[k, j]
        for k in range(B.shape[0]):
            B[k, j] = B[k, j] / np.sqrt(norm) * A[k, 0]
    return B * 1.0


def factored(A, B):
    """In place: no row that a column reads is written by another one."""
    A = A[:, :3] * B[0, 0]
    for i in range(A.shape[0]):
        for j in range(i, A.shape[1]):
            for k in range(i):
                A[i, j] -= 0.1 * A[i, k] * A[k, j]
    return A


def pivot(A, B):
    """The element that all columns read is written by the row before, or by none of them."""
    A = A @ A.T
    for i in range(1, A.shape[0]):
        for j in range(i, A.shape[0]):
            for k in range(i):
                A[k, j] += 0.5 * A[k, j] * A[k, k - 1] * A[i, 0]
        for j in range(A.shape[0]):
            A[i, 0] -= 0.3 * (B[:i, 0] @ A[:i, j])
    return np.sum(A * A)


def updates(A, B):
    """Of two rows and a number at a time: the number's cotangent is a sum of sums."""
    C, weight = np.zeros((A.shape[0], A.shape[0])), B[0, 0]
    for i in range(A.shape[0]):
        for k in range(A.shape[1]):
            C[i, : i + 1] += weight * (A[: i + 1, k] * A[k, i] + A[k, : i + 1] * A[i, k])
    return C


PROGRAMS = (product, triangle, symmetric, shifted, columns, factored, pivot, updates)


def arguments(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows * 10 + columns)
    return rng.uniform(0.3, 1.2, (rows, rows)), rng.uniform(0.3, 1.2, (rows, columns))


@pytest.mark.parametrize("fn", PROGRAMS, ids=lambda fn: fn.__name__)
def test_derivatives(fn) -> None:
    derivatives = Derivatives(fn, jit=False, level="kernel")
    for rows, width in ((3, 4), (5, 2)):
        derivatives.check(arguments(rows, width))


@pytest.mark.parametrize("fn", (triangle, symmetric), ids=lambda fn: fn.__name__)
def test_compiled(fn) -> None:
    derivatives = Derivatives(fn, jit=True)
    for rows, width in ((3, 4), (9, 7)):
        derivatives.check(arguments(rows, width))


def replaced(theta, B):
    """Only the first column knows theta: the reverse sweep, which ends there, gives its number."""
    s, out = theta, np.zeros(B.shape[1])
    for j in range(B.shape[1]):
        u, t = 2.0 * s, 0.0
        for k in range(B.shape[0]):
            t += B[k, j] * u
        out[j] = t
        s = B[0, j]
    return np.sum(out)


def test_what_only_the_last_iteration_gives() -> None:
    B = arguments(3, 4)[1]
    gradient = s2s_ad.grad(replaced, wrt="theta", jit=False, level="kernel")
    assert gradient(0.5, B) == pytest.approx(2.0 * B[:, 0].sum(), rel=1e-14)


KEPT = (product, shifted, columns, factored)


@pytest.mark.parametrize("fn", KEPT, ids=lambda fn: fn.__name__)
def test_values_keep_their_bits(fn) -> None:
    A, B = arguments(6, 5)
    run = s2s_ad.differentiate(fn, jit=False, level="kernel")
    np.testing.assert_array_equal(run(A.copy(), B.copy()), fn(A.copy(), B.copy()))


SUMS = """
func f(b: f64[m, n], t: f64) {
  m: i64 = dim b {axis=0}
  n: i64 = dim b {axis=1}
  last: i64 = sub n, 1: i64
  c: f64[n] = empty n {dtype='f64'}
  t1: f64, c1: f64[n] = for last, -1: i64, -1: i64, t, c { (j: i64, t: f64, c: f64[n])
    s: f64, r: f64 = for 0: i64, m, 1: i64, 0.0: f64, 0.0: f64 { (k: i64, s: f64, r: f64)
      v: f64 = load b, k, j {spec='i,i'}
      s: f64 = add s, v adjoint
      r: f64 = mul r, v
      yield s, r
    } adjoint
    c: f64[n] = store c, r, j {spec='i'} adjoint
    t2: f64 = add t, s adjoint
    yield t2, c
  } adjoint
  return t1, c1
}
"""

#: What changes, and whether the nest is turned, and whether it then needs a row for s.
CHANGES = {
    "a sum of sums": ("", "", True, False),
    "a sum of maxima": ("add s, v adjoint", "maximum s, v adjoint", True, True),
    "from another number on": ("m, 1: i64, 0.0: f64,", "m, 1: i64, t,", False, True),
    "the sum is read": (
        "c: f64[n] = store c, r, j",
        "u: f64 = add r, s\n    c: f64[n] = store c, u, j",
        True,
        True,
    ),
    "in some iterations": (
        "yield t2, c",
        "b1: bool = gt r, 1.0: f64\n    t3: f64 = select b1, t2, t adjoint\n    yield t3, c",
        True,
        True,
    ),
    "the last one": ("t2: f64 = add t, s", "t2: f64 = add 1.0: f64, s", False, True),
}


@pytest.mark.parametrize("case", CHANGES)
def test_sums_of_sums(case: str) -> None:
    old, new, turned, row = CHANGES[case]
    func = parse(SUMS.replace(old, new))
    after = verify(dce(simplify(interchange(func))))
    for shape in ((5, 4), (1, 1), (3, 0), (0, 3)):
        args = np.random.default_rng(0).normal(size=shape), 0.7
        for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert (show(interchange(func)) != show(func)) == turned
    rows = [e for e in walk(after.body) if e.prim in ("empty", "full")]
    assert not turned or len(rows) == (3 if row else 2)


def innermost(fn, *args) -> set[str]:
    """The indices of the innermost loops of a program and its derivative, and what they read."""
    text = s2s_ad.vjp(fn).source(*args, level="kernel")
    loops = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.For)]
    return {
        f"{ast.unparse(loop.target)}: {ast.unparse(s)}"
        for loop in loops
        if not any(isinstance(n, ast.For) for b in loop.body for n in ast.walk(b))
        for s in ast.walk(loop)
        if isinstance(s, ast.Subscript) and ast.unparse(s).startswith(("A[", "B["))
    }


def test_inner_loops_run_along_rows() -> None:
    assert "j: B[k, j]" in innermost(product, *arguments(3, 4))
    found = innermost(factored, *arguments(3, 4))
    assert any(f.startswith("j: A") for f in found) and "k: A[k, j]" not in found
    for fn in (product, triangle, symmetric):
        for found in innermost(fn, *arguments(3, 4)):
            assert not found.startswith("k: B["), fn.__name__


def carried(A, B):
    """The next column needs this one."""
    for j in range(1, B.shape[1]):
        s = 0.0
        for k in range(B.shape[0]):
            s += B[k, j - 1]
        B[0, j] = s
    return np.sum(B * B)


def stopping(A, B):
    total = 0.0
    for j in range(B.shape[1]):
        s = 0.0
        for k in range(B.shape[0]):
            s += B[k, j]
        if s > 2.0:
            break
        total += s * s
    return total


def dependent(A, B):
    """How far the inner loop goes depends on the column."""
    out = np.zeros(B.shape[1])
    for j in range(B.shape[1]):
        for k in range(min(j, B.shape[0])):
            out[j] += B[k, j] * B[k, j]
    return np.sum(out)


def shown(A, B):
    out = np.zeros(B.shape[1])
    for j in range(B.shape[1]):
        s = 0.0
        for k in range(B.shape[0]):
            s += B[k, j]
        if s < 0.0:
            raise ValueError("negative")
        out[j] = s
    return np.sum(out * out)


@pytest.mark.parametrize("fn", (carried, stopping, dependent, shown), ids=lambda fn: fn.__name__)
def test_stays(fn) -> None:
    """What the iterations of the outer loop tell each other, or the user, keeps its order."""
    text = s2s_ad.differentiate(fn).source(*arguments(3, 4), level="kernel")
    assert text.index("for j in") < text.index("for k in")
    Derivatives(fn, jit=False, level="kernel").check(arguments(3, 4))


def narrow(A, B, n):
    """Where there is no column, the rows of A may be too few."""
    total = 0.0
    for i in range(n):
        for j in range(B.shape[1]):
            s = 0.0
            for k in range(B.shape[0]):
                s += A[i, k] * B[k, j]
            total += s * s
    return total


def test_nothing_is_read_that_the_program_does_not_read() -> None:
    A, B = np.ones((2, 3)), np.ones((3, 0))
    for fn in (s2s_ad.differentiate(narrow, jit=False, level="kernel"), narrow):
        assert fn(A, B, 5) == 0.0
    gradient = s2s_ad.grad(narrow, wrt=("A", "B"), jit=False, level="kernel")
    np.testing.assert_array_equal(gradient(A, B, 5)[0], np.zeros((2, 3)))
    with pytest.raises(IndexError):
        gradient(A, np.ones((3, 1)), 5)
