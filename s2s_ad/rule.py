"""How a derivative rule is declared. A primitive has one of:

`partials(name, *functions)`
    for an elementwise primitive: one function per operand, each `f(*operands, result)` giving the
    partial derivative (or None where the derivative is zero). `partials("sin", lambda x, y:
    cos(x))`.
`linear(name, *operands)`
    the primitive is linear in these operands jointly: its tangent is itself, applied to tangents.
`@jvp(name)`
    for the rest: `f(context, equation, tangents) -> Value | None`, `tangents` with None for zeros.
`zero(names)`
    the derivative is zero.

and every primitive that appears in a tangent has `@transpose(name)`: `f(context, equation,
cotangent)`, which calls `context.add(operand, cotangent)` for each linear operand. That one
declaration serves forward and reverse mode. The rules live in the `rules/` folder; users' rules use
the same functions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from s2s_ad.errors import S2SError
from s2s_ad.ir.core import FIRST

Rule = Callable[..., Any]

PARTIALS: dict[str, tuple[Rule | None, ...]] = {}
LINEAR: dict[str, tuple[int, ...]] = {}
JVPS: dict[str, Rule] = {}
TRANSPOSES: dict[str, Rule] = {}
ZERO: set[str] = set()
#: The primitives for which others than this package have declared something.
DECLARED_BY_OTHERS: set[str] = set()


class UnsupportedDerivativeError(S2SError):
    """A primitive can be evaluated but has no derivative rule for this case."""

    code = "S2S090"


def partials(name: str, *functions: Rule | None, first: bool = False) -> None:
    """Declare the partial derivatives of an elementwise primitive; of Python's `max` and `min`,
    which are NumPy's with another rule for nan, with `first`."""
    _note(name)
    PARTIALS[f"{FIRST} {name}" if first else name] = functions


def linear(name: str, *operands: int) -> None:
    """Declare a primitive as linear in `operands` jointly; none given means in all of them."""
    _note(name)
    LINEAR[name] = operands


def jvp(name: str) -> Callable[[Rule], Rule]:
    """Declare the tangent of a primitive as a function."""
    _note(name)

    def declare(f: Rule) -> Rule:
        JVPS[name] = f
        return f

    return declare


def transpose(name: str) -> Callable[[Rule], Rule]:
    """Declare the transpose of a primitive."""
    _note(name)

    def declare(f: Rule) -> Rule:
        TRANSPOSES[name] = f
        return f

    return declare


def zero(names: str) -> None:
    """Declare primitives whose derivative is zero (or which have no floating-point result)."""
    _note(*names.split())
    ZERO.update(names.split())


def load_rules() -> None:
    """Import the rules that come with the package."""
    import s2s_ad.rules  # noqa: F401


def _note(*names: str) -> None:
    """Remember for which primitives the caller's caller declares something, if that is not us."""
    if not sys._getframe(2).f_globals.get("__name__", "").startswith("s2s_ad.rules."):
        DECLARED_BY_OTHERS.update(names)
