"""Powers with known exponents: which of them are products, a root and a quotient."""

from __future__ import annotations

from s2s_ad.ir.core import Eqn, Lit

#: How many times what takes the place of a power of floats is rounded, at most: to 4 ulp.
MOST_ROUNDINGS = 4
#: The greatest integer that the reciprocal of a product is for.
MOST = 16


def parts(eqn: Eqn) -> tuple[str, ...]:
    """What computes a power that no function does; of all other equations nothing.

    Example: of `pow x, 3: i64` two products, of `pow x, -0.5: f64` a root and a quotient.
    """
    twice = halves(eqn)
    if twice is None and not is_product(eqn):
        return ()
    whole, half = divmod(abs(twice or 2 * eqn.ins[1].value), 2)  # type: ignore[union-attr]
    products = whole.bit_length() + whole.bit_count() - 2 + half if whole else 0  # by squaring
    return ("mul",) * products + ("sqrt",) * half + ("div",) * (twice is not None and twice < 0)


def halves(eqn: Eqn) -> int | None:
    """Twice the exponent of a power of floats, where that is a whole number and moderate: -3 for
    `x ** -1.5`. None of all other equations, and of what is a product as it stands.

    Example: of `pow x, 2: i64` None, of `pow x, 2.0: f64` 4, of `pow x, 0.3: f64` None.
    """
    if eqn.prim != "pow" or not isinstance(eqn.ins[1], Lit):
        return None
    if eqn.ins[0].type.dtype not in ("f64", "f32"):
        return None
    exponent = float(eqn.ins[1].value)
    if exponent in (0.0, 1.0) or is_product(eqn) or not (2.0 * exponent).is_integer():
        return None
    integer = eqn.ins[1].type.dtype == "i64"  # a product, as numba has it
    fine = abs(exponent) <= MOST if integer else _roundings(exponent) <= MOST_ROUNDINGS
    return int(2.0 * exponent) if fine else None


def _roundings(exponent: float) -> int:
    """How often one rounds, where a square counts twice what it is the square of."""
    whole, half = divmod(abs(exponent), 1.0)
    return int(max(whole - 1.0, 0.0)) + (half > 0.0) * (1 + (whole > 0.0)) + (exponent < 0.0)


def is_product(eqn: Eqn) -> bool:
    """True for `x ** 3`, which is a product as it stands."""
    exponent = eqn.ins[-1] if eqn.prim == "pow" else None
    return isinstance(exponent, Lit) and exponent.type.dtype == "i64" and exponent.value >= 0
