"""Index arithmetic for `lower`: sums of integer symbols, slices as ranges, and a small prover.

A subscript is kept symbolic while views are composed, so that `A[1:-1][i - 1]` becomes `A[i]`, and
it turns into equations only where an element is read. A symbol is an i64 variable, the extent of an
array, or `min`, `max`, `floordiv` or `wrap` (Python's meaning of a negative index) of two sums.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from s2s_ad.ir.core import Atom, Eqn, Lit, Var
from s2s_ad.ir.subscript import Axis


@dataclass(frozen=True)
class Extent:
    """The extent of an axis of an array. Equal keys are equal extents; `var` is one that has it."""

    key: Hashable
    var: Var = field(compare=False)
    axis: int = field(compare=False)


@dataclass(frozen=True)
class Op:
    name: str
    left: Lin
    right: Lin


Symbol = Var | Extent | Op


@dataclass(frozen=True, eq=False)
class Lin:
    """`const + sum(coefficient * symbol)`. Terms are kept in the order in which they were made, so
    that the same program gives the same text; equality ignores the order."""

    terms: tuple[tuple[Symbol, int], ...] = ()
    const: int = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Lin) or self.const != other.const:
            return False
        return frozenset(self.terms) == frozenset(other.terms)

    def __hash__(self) -> int:
        return hash((self.const, frozenset(self.terms)))

    def __add__(self, other: Lin | int) -> Lin:
        if isinstance(other, int):
            return Lin(self.terms, self.const + other)
        terms = dict(self.terms)
        for symbol, coefficient in other.terms:
            terms[symbol] = terms.get(symbol, 0) + coefficient
        kept = tuple((s, c) for s, c in terms.items() if c)
        return Lin(kept, self.const + other.const)

    def __mul__(self, factor: int) -> Lin:
        if factor == 0:
            return Lin()
        return Lin(tuple((s, c * factor) for s, c in self.terms), self.const * factor)

    def __sub__(self, other: Lin | int) -> Lin:
        return self + (-other if isinstance(other, int) else other * -1)

    @property
    def is_const(self) -> bool:
        return not self.terms


def lin(value: Atom | Symbol | int) -> Lin:
    """A literal, a variable or a symbol as a sum."""
    if isinstance(value, int):
        return Lin((), value)
    if isinstance(value, Lit):
        return Lin((), int(value.value))
    return Lin(((value, 1),))


class Facts:
    """What is known about integers: how scalars are defined, and the ranges of loop indices.

    `extent_of(var, axis)` gives the extent behind a `dim` equation."""

    def __init__(self, extent_of) -> None:
        self.extent_of = extent_of
        self.defs: dict[Var, Eqn] = {}
        self.bounds: dict[Var, tuple[Lin, Lin | None]] = {}  # inclusive; inner loops come later

    def bound_index(self, index: Var, start: Atom, stop: Atom, step: Atom) -> None:
        """Record that `index` runs over range(start, stop, step), if the step is a literal."""
        if not isinstance(step, Lit):
            return
        if step.value > 0:
            self.bounds[index] = (lin(start), lin(stop) - 1)
        else:
            self.bounds[index] = (lin(stop) + 1, lin(start))

    def expand(self, value: Lin) -> Lin:
        """`value` with scalars replaced by their definitions, where those are sums."""
        out = Lin((), value.const)
        for symbol, coefficient in value.terms:
            meaning = self._definition(symbol) if isinstance(symbol, Var) else None
            out = out + (lin(symbol) if meaning is None else self.expand(meaning)) * coefficient
        return out

    def _definition(self, var: Var) -> Lin | None:
        eqn = self.defs.get(var)
        if eqn is None:
            return None
        if eqn.prim == "dim":
            return self.extent_of(eqn.ins[0], eqn.params["axis"])
        if eqn.prim == "add":
            return lin(eqn.ins[0]) + lin(eqn.ins[1])
        if eqn.prim == "sub":
            return lin(eqn.ins[0]) - lin(eqn.ins[1])
        if eqn.prim == "mul" and any(isinstance(a, Lit) for a in eqn.ins):
            a, b = eqn.ins if isinstance(eqn.ins[1], Lit) else eqn.ins[::-1]
            return lin(a) * int(b.value)
        if eqn.prim in ("minimum", "maximum"):
            return lin(Op(eqn.prim[:3], lin(eqn.ins[0]), lin(eqn.ins[1])))
        return None

    def at_least(self, value: Lin, least: int, depth: int = 12) -> bool:
        """True where `value >= least` is proved."""
        value = self.expand(value)
        if depth == 0:
            return False
        order = {v: n for n, v in enumerate(self.bounds)}
        bounded = [(s, c) for s, c in value.terms if isinstance(s, Var) and s in order]
        if bounded:  # the innermost index first: its bounds may mention the others
            index, coefficient = max(bounded, key=lambda t: order[t[0]])
            bound = self.bounds[index][0 if coefficient > 0 else 1]
            if bound is None:
                return False
            return self.at_least(value + (bound - lin(index)) * coefficient, least, depth - 1)
        for symbol, coefficient in value.terms:
            if isinstance(symbol, Op) and symbol.name in ("min", "max"):
                # max is at least either of its operands; min must be bounded through both
                enough = any if (symbol.name == "max") == (coefficient > 0) else all
                return enough(
                    self.at_least(value + (bound - lin(symbol)) * coefficient, least, depth - 1)
                    for bound in (symbol.left, symbol.right)
                )
        if any(not isinstance(s, Extent) or c < 0 for s, c in value.terms):
            return False
        return value.const >= least  # what is left are extents, which are not negative

    def same(self, a: Lin, b: Lin) -> bool:
        return self.expand(a) == self.expand(b)

    def distinct(self, a: Lin, b: Lin) -> bool:
        """True where two subscripts are proved to name different places of an axis."""
        if not (self.at_least(a, 0) and self.at_least(b, 0)):
            return False  # a negative one counts from the end
        return self.at_least(a - b, 1) or self.at_least(b - a, 1)


def wrap(index: Lin, extent: Lin, facts: Facts) -> Lin:
    """`index` counted from the front: a negative one counts from the end."""
    if facts.at_least(index, 0):
        return index
    if index.is_const:
        return extent + index.const
    return lin(Op("wrap", index, extent))


def at_most(value: Lin, bound: Lin, facts: Facts) -> Lin:
    return value if facts.at_least(bound - value, 0) else lin(Op("min", value, bound))


def not_below(value: Lin, bound: int, facts: Facts) -> Lin:
    return value if facts.at_least(value, bound) else lin(Op("max", value, lin(bound)))


def slice_range(axis: Axis, extent: Lin, facts: Facts) -> tuple[Lin, Lin, int]:
    """First index, count and step of a slice of an axis of this extent.

    The count may be negative where the slice is empty, and then the first index means nothing:
    neither matters to a loop, and it keeps `A[1:-1]` as simple as `range(1, n - 1)`.
    """
    step = 1 if axis.step is None else int(axis.step.value)
    start, stop = (None if a is None else lin(a) for a in (axis.start, axis.stop))
    if step > 0:
        first = lin(0) if start is None else not_below(wrap(start, extent, facts), 0, facts)
        end = extent if stop is None else wrap(stop, extent, facts)
        if stop is not None and not _from_end(stop):
            end = at_most(end, extent, facts)
        span = end - first
    else:
        first = extent - 1 if start is None else wrap(start, extent, facts)
        if start is not None and not _from_end(start):
            first = at_most(first, extent - 1, facts)
        end = lin(-1) if stop is None else not_below(wrap(stop, extent, facts), -1, facts)
        span = first - end
    size = abs(step)
    if size > 1:
        span = span + (size - 1)
        quotient = span.const // size if span.is_const else None
        count = lin(Op("floordiv", span, lin(size))) if quotient is None else lin(quotient)
        return first, count, step
    return first, span, step


def _from_end(bound: Lin) -> bool:
    return bound.is_const and bound.const < 0
