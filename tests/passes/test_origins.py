"""What an iteration reads before it is written is read from where it was before the loop."""

from __future__ import annotations

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.origins import origins
from tests.derivative_checks import Derivatives

SCALED = """
func f(c: f64[n, m], b: f64) {
  n: i64 = dim c {axis=0}
  c1: f64[n, m] = for 0: i64, n, 1: i64, c { (i: i64, c: f64[n, m])
    t: f64[m] = load c, i {spec='i,:'}
    u: f64[m] = mul t, b
    c: f64[n, m] = store c, u, i {spec='i,:'}
    v: f64[m] = load c, i {spec='i,:'}
    w: f64[m] = mul v, v
    c: f64[n, m] = accum c, w, i {spec='i,:'}
    yield c
  }
  return c1
}
results c
"""


def test_golden(golden) -> None:
    before = parse(SCALED)
    after = verify(origins(before))
    golden("ir", "origins.txt", f"{show(before)}\n=== after origins\n\n{show(after)}")
    args = np.random.default_rng(0).normal(size=(3, 2)), 0.7
    expected = evaluate(before, [args[0].copy(), args[1]])
    np.testing.assert_array_equal(evaluate(after, [args[0].copy(), args[1]])[0], expected[0])


def rank_k(C, A, beta):
    for i in range(A.shape[0]):
        C[i, : i + 1] *= beta
        for k in range(A.shape[1]):
            C[i, : i + 1] += A[i, k] * A[: i + 1, k]
    return np.sum(C * C[0, 0])


def shifting(C, A, beta):
    """Each row is written from the one before: only its own old row is what it was."""
    for i in range(1, C.shape[0]):
        C[i] = np.sin(C[i] * C[i - 1]) * beta
    return np.sum(C * A[0, 0])


def twice(C, A, beta):
    for i in range(C.shape[0]):
        C[i, 0] = C[i, 0] * C[i, 1] * beta
        C[i, 1] = C[i, 0] * C[i, 1] + A[0, 0]
    return np.sum(C * C)


def ahead(C, A, beta):
    """The next row is written as well, before it is read."""
    for i in range(C.shape[0] - 1):
        C[i] = C[i] * C[i] * beta
        C[i + 1] += C[i]
    return np.sum(C * A[0, 0])


def sometimes(C, A, beta):
    for i in range(C.shape[0]):
        if C[i, 0] > 0.7:
            C[i] *= C[i, 1] * beta
    return np.sum(C * C)


@pytest.mark.parametrize(
    "fn", (rank_k, shifting, twice, ahead, sometimes), ids=lambda f: f.__name__
)
def test_derivatives(fn) -> None:
    rng = np.random.default_rng(1)
    derivatives = Derivatives(fn, jit=False)
    for n, m in ((4, 3), (1, 2), (3, 5)):
        derivatives.check((rng.uniform(0.3, 1.2, (n, n + 1)), rng.uniform(0.3, 1.2, (n, m)), 0.8))


def test_nothing_is_saved() -> None:
    def weighted(C, A, W, beta):
        rank_k(C, A, beta)
        return np.sum(C * W)

    args = np.ones((4, 4)), np.ones((4, 3)), np.ones((4, 4)), 0.8
    text = s2s_ad.grad(weighted, wrt=("C", "A", "beta")).source(*args, level="kernel")
    assert "tape" not in text
    assert ".copy()" not in text.split("# reverse sweep")[0]
