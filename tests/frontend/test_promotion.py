"""Mixed precision: every expression has the dtype and the value that NumPy 2 gives it.

Python's numbers are weak and NumPy's are not: `0.1 * x` is in the single precision of `x`,
`np.float64(0.1) * x` and `np.abs(0.1) * x` are in double.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from s2s_ad import differentiate
from tests.numerics import assert_same
from tests.source_text import define

EXPRESSIONS = """
    np.array([s, 1])
    np.array([s, 1.0])
    np.array([s, t])
    np.array([n[0], 1])
    np.array([[s, 1], [2, k]])
    np.stack([s, t])
    np.hstack((x, t))
    np.where(x > 1, x, t)
    np.where(x > 1, 1.0, 2.0) * x
    np.linspace(s, 1.0, 3)
    np.linspace(s, t, 3)
    np.polyval([s, t], s)
    np.full(3, s) * t
    np.asarray(t) * x
    np.asarray(0.1) * x
    np.float64(t) * s
    np.float64(0.5) * x
    np.int64(k) * s
    np.abs(t) * x
    np.abs(-0.1) * x
    np.add(t, 1) * s
    np.square(t) * x
    np.power(t, 2) * x
    np.hypot(t, 1) * s
    np.array(0.1) * x
    np.copy(t) * s
    np.divmod(t, 0.3)[0] * x
    np.negative(t) * x
    np.reciprocal(t) * x
    np.copysign(t, 1) * x
    np.sqrt(2.0) * x
    np.pi * x
    math.sin(t) * x
    WIDE * x
    NARROW * t
    COUNT * s
    x.sum() / np.prod(x.shape)
    x.sum() / x.size
    n * t
    n * s
    n / 2
    x * n[0]
    s * k
    (n > 1).sum() * s
    x[0].item() * s
    float(s) * s
    max(s, t) * x
    s ** t * x
    t ** s * x
    x ** WIDE
    divmod(s, t)[1] * x
    np.cumsum(n) * s
    np.exp(n) * s
    abs(t) * x
    len(x) * x
"""
LINES = [line.strip() for line in EXPRESSIONS.strip().splitlines()]
#: `x`, `s`: single precision; `t`, `k`: Python's; `n`: 32-bit integers.
ARGS = (
    np.array([1.0, 2.0, 3.0], np.float32),
    np.float32(0.1),
    0.1,
    2,
    np.array([3, 2, 1], np.int32),
)
NAMES = {"WIDE": np.float64(0.3), "NARROW": np.float32(0.3), "COUNT": np.int64(3), "math": math}


def defined(value: str) -> Callable:
    fn = define(f"def f(x, s, t, k, n):\n    return {value}\n", "f", f"promotion {value[:80]}")
    fn.__globals__.update(NAMES)
    return fn


def same(found: object, expected: object) -> None:
    assert np.asarray(found).dtype == np.asarray(expected).dtype
    assert_same(found, expected, 1e-14 if np.asarray(expected).dtype == np.float64 else 1e-6)


@pytest.mark.parametrize("line", LINES)
def test_expressions(line: str) -> None:
    fn = defined(line)
    same(differentiate(fn, jit=False)(*ARGS), fn(*ARGS))


def test_compiled() -> None:
    """One program for all of them."""
    fn = defined(f"({', '.join(LINES)})")
    for found, expected in zip(differentiate(fn)(*ARGS), fn(*ARGS), strict=True):
        same(found, expected)
