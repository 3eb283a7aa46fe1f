"""Literals: equal where they are the same number, to the bit."""

from __future__ import annotations

import pytest

from s2s_ad.ir.core import Lit
from s2s_ad.ir.types import BOOL, C128, F32, F64, I64

NAN = float("nan")


@pytest.mark.parametrize(
    "a, b",
    [
        (Lit(0.0, F64), Lit(-0.0, F64)),
        (Lit(1.0, F64), Lit(1.0, F32)),
        (Lit(1, I64), Lit(True, BOOL)),
        (Lit(complex(1.0, 0.0), C128), Lit(complex(1.0, -0.0), C128)),
        (Lit(NAN, F64), Lit(0.0, F64)),
    ],
)
def test_different(a: Lit, b: Lit) -> None:
    assert a != b and b != a
    assert len({a, b}) == 2


@pytest.mark.parametrize(
    "a",
    [Lit(-0.0, F64), Lit(NAN, F64), Lit(2.5, F32), Lit(3, I64), Lit(False, BOOL), Lit(1j, C128)],
)
def test_equal(a: Lit) -> None:
    b = Lit(type(a.value)(repr(a.value)) if isinstance(a.value, float) else a.value, a.type)
    assert a == b and hash(a) == hash(b)
    assert a != a.value
