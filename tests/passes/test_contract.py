"""Parts and sums of products without the products, and the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.contract import contract
from tests.derivative_checks import Derivatives
from tests.programs import normal

BEFORE = """
func f(A: f64[n, m], B: f64[m, n], x: f64[m], v: f64[n], k: i64, c: f64) {
  n: i64 = dim A {axis=0}
  n.1: i64 = dim B {axis=1}
  same: bool = eq n, n.1
  assert same {error='ValueError', message='not square'}
  p: f64[n, n] = dot A, B
  row: f64[n] = load p, k {spec='i,:'}
  q: f64[n, n] = dot A, B
  part: f64[?] = load q, k, 1: i64 {spec='i,_:'}
  r: f64[n] = dot A, x
  element: f64 = load r, k {spec='i'}
  s: f64[n, n] = dot A, B
  i: i64[n] = iota n
  diagonal: f64[n] = load s, i, i {spec='a,a'}
  t: f64[n, n] = dot A, B
  total: f64 = sum t {axes=(0, 1)}
  u: f64[n, n] = dot A, B
  columns: f64[n] = sum u {axes=(0,)}
  w: f64[n] = dot A, x
  all: f64 = sum w {axes=(0,)}
  d: f64[n, m] = mul c, A
  e: f64[m, n] = transpose d {perm=(1, 0)}
  g: f64[m] = dot e, v adjoint
  h: f64[n, m] = mul c, A
  kept: f64[n] = dot h, x
  z: f64[n, n] = dot A, B
  both: f64[n] = load z, k {spec='i,:'}
  return row, part, element, diagonal, total, columns, all, g, kept, both, z
}
"""


def test_golden(golden) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(0)
    after = contract(func)
    verify(after)
    golden("ir", "contract.txt", BEFORE.lstrip() + "\n=== after contract\n\n" + show(after))
    args = rng.random((3, 4)), rng.random((4, 3)), rng.random(4), rng.random(3), 1, 1.5
    for found, expected in zip(evaluate(after, args), evaluate(func, args)):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


COMMON = """
func f(A: f64[n, m], B: f64[m, k], C: f64[k, m]) {
  t: f64[m, n] = transpose A {perm=(1, 0)}
  p: f64[n, k] = dot A, B adjoint
  q: f64[k, n] = dot C, t adjoint
  r: f64[n, k] = transpose q {perm=(1, 0)} adjoint
  s: f64[n, k] = add p, r adjoint
  u: f64[k, n] = dot C, t adjoint
  D: f64[k, m] = transpose B {perm=(1, 0)}
  v: f64[k, n] = dot D, t adjoint
  w: f64[k, n] = add u, v adjoint
  x: f64[n, k] = dot A, B
  y: f64[n, k] = dot A, B
  z: f64[n, k] = add x, y
  return s, w, z
}
"""


def test_a_common_factor() -> None:
    """In reverse sweeps; the user's own sums of products stay."""
    func, rng = parse(COMMON), np.random.default_rng(0)
    after = verify(contract(func))
    assert sum(e.prim == "dot" for e in after.body.eqns) == 4
    args = rng.random((3, 4)), rng.random((4, 2)), rng.random((2, 4))
    for found, expected in zip(evaluate(after, args), evaluate(func, args)):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def parts(A, B, x, k):
    """Everything that is asked of a product without forming it, and a product that stays."""
    total = np.trace(A @ B) + np.sum((A @ B)[k] ** 2) + np.sum(np.diag(B @ A) ** 3)
    total += np.sum(A @ B) * np.sum(A @ x) + np.sum((A @ B)[1:, :-1] ** 2)
    total += np.sum(np.mean(B @ A, axis=0) ** 2) + np.sum(np.sum(A @ B, axis=1) ** 2)
    for i in range(k):
        total += (A @ B)[i, -1] * (A @ x)[i] + (x @ B)[i]
    whole = A @ B
    return total + np.sum(whole[0] * whole[1]) + np.sum((2.0 * A) @ x * (x @ -B) / 3.0)


def leading(A, B):
    """Not the diagonal of a square product: of a part that is."""
    rows = np.arange(A.shape[0])
    return np.sum((A @ B)[rows, rows] ** 2)


@pytest.mark.parametrize("jit", [False, True], ids=["python", "numba"])
def test_derivatives(jit) -> None:
    check = Derivatives(parts, wrt=(0, 1, 2), jit=jit)
    check.check((normal(4, 5), normal(5, 4, seed=1), normal(5, seed=2), 2))


def test_a_part_of_the_diagonal() -> None:
    check = Derivatives(leading, jit=False)
    check.check((normal(3, 4), normal(4, 3, seed=1)))
    check.check((normal(3, 4), normal(4, 5, seed=1)))  # more columns than rows


def test_errors_stay() -> None:
    """A subscript out of range, extents that differ: as where the product is formed."""

    def trace(A, B):
        return np.trace(A @ B)

    def row(A, B, k):
        return np.sum((A @ B)[k])

    gradient = s2s_ad.grad(trace, jit=False)
    with pytest.raises(ValueError, match="the two axes do not match"):
        gradient(np.ones((2, 3)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="the factors do not match"):
        gradient(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(IndexError, match="axis 0"):
        s2s_ad.grad(row, jit=False)(np.ones((2, 3)), np.ones((3, 4)), 2)


def test_no_product_in_a_trace() -> None:
    def trace(A, B):
        return np.trace(A @ B)

    text = s2s_ad.value_and_grad(trace, wrt=(0, 1)).source(np.ones((2, 3)), np.ones((3, 2)))
    assert "@" not in text.split('"""')[-1].replace("# return np.trace(A @ B)", "")
