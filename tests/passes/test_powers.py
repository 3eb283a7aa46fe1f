"""Powers with known exponents are products, roots and quotients: accurate, right at the edges."""

from __future__ import annotations

import numpy as np
import pytest

import s2s_ad
from s2s_ad.analysis.powers import parts
from s2s_ad.backend.module import emit_module
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.powers import powers
from tests.accuracy import DTYPES, WIDE, samples, specials, ulps
from tests.derivative_checks import Derivatives
from tests.source_text import define

BEFORE = """
func f(x: f64, n: i64, a: f64[m]) {
  cube: f64 = pow x, 3.0: f64
  quotient: f64 = pow x, -1: i64
  t: f64 = pow x, -1.5: f64 adjoint
  s: f64 = for 0: i64, n, 1: i64, cube { (i: i64, s: f64)
    v: f64 = load a, i {spec='i'}
    p: f64 = pow v, -2.5: f64
    s: f64 = add s, p
    yield s
  }
  other: f64 = pow x, 0.3: f64
  large: f64 = pow x, -17: i64
  square: f64 = pow x, 2: i64
  array: f64[m] = pow a, 0.5: f64
  return cube, quotient, t, s, other, large, square, array
}
"""

HALVES = (0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5)
WHOLE = (2.0, 3.0, 4.0, 5.0, -1.0, -2.0, -3.0, -4.0)
EXPONENTS = (*HALVES, *WHOLE)
ROWS = "def rows(x, out):\n    for i in range(x.shape[0]):\n" + "".join(
    f"        out[{k}, i] = x[i] ** {exponent}\n" for k, exponent in enumerate(EXPONENTS)
)


@pytest.fixture(scope="module")
def compiled():
    """For each exponent the powers of all elements."""
    rows = s2s_ad.jvp(define(ROWS, "rows", "powers"), outputs="out")

    def run(x: np.ndarray) -> np.ndarray:
        out = np.empty((len(EXPONENTS), x.size), x.dtype)
        return rows((x, out), (x, out))[0]

    return run


def exact(x: np.ndarray, exponent: float) -> np.ndarray:
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    with np.errstate(all="ignore"):
        return x.astype(wide) ** wide(exponent)


def test_golden(golden) -> None:
    func = parse(BEFORE)
    after = verify(powers(func))
    golden("ir", "powers.txt", BEFORE.lstrip() + "\n=== after powers\n\n" + show(after))
    args = 1.7, 3, np.array([0.5, 2.0, 3.0])
    for found, expected in zip(evaluate(after, args), evaluate(func, args)):
        np.testing.assert_allclose(found, expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy(compiled, dtype: type) -> None:
    """4 ulp, where neither the power nor its reciprocal is subnormal; there, like 0 or inf."""
    x = samples(dtype, 1)
    least, most = np.finfo(dtype).tiny, 0.5 / np.finfo(dtype).tiny
    for exponent, found in zip(EXPONENTS, compiled(x)):
        should = exact(x, exponent)
        with np.errstate(invalid="ignore"):
            small, large = np.abs(should) < least, np.abs(should) > most
        inside = ~small & ~large
        assert inside.sum() > 1000
        assert ulps(found, should)[inside].max() <= 4 + (not WIDE), exponent
        assert np.all(np.abs(found[small]) <= least) and np.all(np.abs(found[large]) >= most / 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(compiled, dtype: type) -> None:
    """Those of `**`, the sign of zero included. The root of -0.0 and halves of -inf are NumPy's."""
    x = specials(dtype)
    x = x[(np.abs(x) >= np.finfo(dtype).tiny) | (x == 0) | np.isnan(x)]
    for exponent, found in zip(EXPONENTS, compiled(x)):
        with np.errstate(over="ignore"):
            should = exact(x, exponent).astype(dtype)
        if exponent in HALVES:
            should[x == -np.inf] = np.nan
        if exponent == 0.5:
            should[(x == 0) & np.signbit(x)] = -0.0
        plain = np.isnan(should) | np.isinf(should) | (should == 0)
        assert plain.sum() >= 3
        np.testing.assert_array_equal(found[plain], should[plain], str(exponent))
        zero = should == 0
        np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(should[zero]))


def turned(x):
    """Complex powers stay what they are."""
    z = x + 0.5j * x
    total = 0.0 * z[0]
    for i in range(x.shape[0]):
        total += z[i] ** 0.5 + z[i] ** -2 + z[i] ** 3 + z[i] ** -1.5
    return total


def test_complex_powers() -> None:
    x = np.array([0.3, 1.2])
    np.testing.assert_allclose(s2s_ad.differentiate(turned)(x), turned(x), rtol=1e-14)


def law(x, y):
    """Forces that go with 1/r², with the root of a density, and a Lennard-Jones potential."""
    s = 0.0
    for i in range(x.shape[0]):
        r2 = x[i] ** 2.0 + y**2 + 0.1
        s += x[i] * r2**-1.5 + 2.0 * r2**-6 - y * r2**-3 + (x[i] + y) ** 0.5
    return s + np.sum((x + y) ** 1.5) ** 0.3


def test_derivatives() -> None:
    Derivatives(law).check((np.array([0.3, 1.2, 2.0]), 0.7))
    Derivatives(law, jit=False).check((np.array([0.3, 1.2, 2.0]), 0.7))


def test_where() -> None:
    """In compiled text, unless libm's functions are asked for."""

    def text(math: str) -> str:
        derived = s2s_ad.grad(law, math=math)._derived_for((np.ones(3), 0.7), {})
        vector = math == "vector"
        return emit_module(derived.funcs("kernel", vector=vector), vector=vector)

    assert "** -1.5" in text("scalar") and "np.sqrt" not in text("scalar")
    assert "** -1.5" not in text("vector") and "np.sqrt" in text("vector")
    source = s2s_ad.grad(law).source(np.ones(3), 0.7)
    assert "** -1.5" in source


@pytest.mark.parametrize(
    "exponent, expected",
    [
        ("2: i64", ("mul",)),
        ("3: i64", ("mul", "mul")),
        ("7: i64", ("mul",) * 4),
        ("12: i64", ("mul",) * 4),
        ("-1.0: f64", ("div",)),
        ("-2: i64", ("mul", "div")),
        ("0.5: f64", ("sqrt",)),
        ("-2.5: f64", ("mul", "mul", "sqrt", "div")),
        ("-8: i64", ("mul", "mul", "mul", "div")),
        ("5.0: f64", ("mul", "mul", "mul")),
        ("6.0: f64", ()),
        ("-5.0: f64", ()),
        ("4.5: f64", ()),
        ("-3.5: f64", ()),
        ("0.3: f64", ()),
        ("1.0: f64", ()),
        ("0: i64", ()),
        ("x", ()),
    ],
)
def test_parts(exponent: str, expected: tuple[str, ...]) -> None:
    func = parse(f"func f(x: f64) {{\n  y: f64 = pow x, {exponent}\n  return y\n}}")
    assert parts(func.body.eqns[0]) == expected
