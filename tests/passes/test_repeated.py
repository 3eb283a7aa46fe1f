"""Loops that later ones repeat are left out, where the later ones may stand in their places."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad import differentiate
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.repeated import repeated

BEFORE = """
func f(x: f64, w: f64, m: i64) {
  p: f64, s: f64 = for 0: i64, m, 1: i64, 1.0: f64, 0.0: f64 { (j: i64, p: f64, s: f64)
    u: f64 = mul p, x
    s: f64 = add s, u
    yield u, s
  }
  value: f64 = add p, w
  t: f64[m] = empty m {dtype='f64'}
  q: f64, s2: f64, tape: f64[m] = for 0: i64, m, 1: i64, 1.0: f64, 0.0: f64, t {
    (k: i64, q: f64, s: f64, t: f64[m])
    t: f64[m] = store t, q, k {spec='i'}
    u: f64 = mul q, x
    s: f64 = add s, u
    yield u, s, t
  } adjoint
  back: f64 = mul q, s2 adjoint
  both: f64 = add value, s
  return both, back, tape
}
"""

STAYS = {
    "another start": ("1.0: f64, 0.0: f64, t {", "2.0: f64, w, t {"),
    "another number of iterations": (
        "tape: f64[m] = for 0: i64, m",
        "tape: f64[m] = for 0: i64, 3: i64",
    ),
    "another factor": ("u: f64 = mul q, x", "u: f64 = mul q, w"),
    "a check stands between them": (
        "  value: f64 = add p, w\n",
        "  value: f64 = add p, w\n  c: bool = gt w, 0.0: f64\n"
        "  assert c {error='ValueError', message='no'}\n",
    ),
    "the second needs the first": ("store t, q, k", "store t, p, k"),
}


@pytest.mark.parametrize("m", [0, 1, 3])
def test_golden(golden, m: int) -> None:
    func = parse(BEFORE)
    after = repeated(func)
    verify(after)
    golden("ir", "repeated.txt", BEFORE.lstrip() + "\n=== after repeated\n\n" + show(after))
    args = 1.5, 0.25, m
    for found, expected in zip(evaluate(after, args), evaluate(func, args), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_only_the_first_carries(golden) -> None:
    """Another update of the total: the powers are computed once, both totals are carried."""
    func = parse(BEFORE.replace("s: f64 = add s, u", "s: f64 = sub s, u"))
    after = repeated(func)
    verify(after)
    assert show(after).count("for ") == 1 and show(after).count("mul q, x") == 1
    for m in (0, 1, 3):
        for found, expected in zip(evaluate(after, (1.5, 0.25, m)), evaluate(func, (1.5, 0.25, m))):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    before = BEFORE.replace(*STAYS[why])
    assert before != BEFORE
    func = parse(before)
    assert show(repeated(func)) == show(func)


def signed_zeros(x):
    """Two loops that would be one but for the sign of what they start from."""
    up, down = 0.0, -0.0
    for j in range(x.shape[0]):
        up = up * x[j]
    for j in range(x.shape[0]):
        down = down * x[j]
    return np.copysign(1.0, up) + 10.0 * np.copysign(1.0, down) + np.sum(x)


@pytest.mark.parametrize("options", [{"jit": False, "level": "kernel"}, {}], ids=str)
def test_zero_and_minus_zero_are_two_numbers(options: dict) -> None:
    x = np.array([1.0, 2.0])
    assert differentiate(signed_zeros, **options)(x) == signed_zeros(x) == -6.0
