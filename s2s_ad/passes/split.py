"""Loops do their first and last iterations apart where only these differ.

    y = for 0, n, 1, y0 { (i, y)           m = minimum 1, n
      k = sub i, 1                         a = for 0, m, 1, y0 { … as before … }
      first = lt k, 0                 →    y = for 1, n, 1, a { (i, y)
      last = add k, n                        k = sub i, 1
      at = select first, last, k             t = load x, k
      t = load x, at                         y1 = store y, t, i
      y1 = store y, t, i                     yield y1
      yield y1                             }
    }

So are the elements of `np.roll(x, 1)` found, and those of a boundary that a loop asks for. Which
iterations decide otherwise is known when compiling: a number of them from either end. In between
the condition is constant, and memory is read in order: such loops are vectorised, others are not.
What is left of a loop of the reverse sweep may become one later (lookahead.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from s2s_ad.analysis.independence import facts_of
from s2s_ad.analysis.integers import Facts, Lin, Op, lin
from s2s_ad.analysis.vectors import is_vector
from s2s_ad.ir.build import Builder, boolean, i64
from s2s_ad.ir.core import (
    ADJOINT,
    EDGE,
    PARALLEL,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    clone,
    region_defs,
    substitute,
    walk,
)
from s2s_ad.ir.types import I64

#: The most iterations that stand apart at one end, and the most equations of an iteration.
MOST, LONGEST = 8, 150


def split(func: Func) -> Func:
    """`func` with loops in up to three parts, as in the module's docstring.

    Example: `split(func)` gives the same results to the last bit, but for totals without an order.
    """
    return func.with_(body=_region(func.body, facts_of(func)))


def _region(region: Region, facts: Facts) -> Region:
    b = Builder()
    for eqn in region.eqns:
        found = _found(eqn, facts)
        if found is None:
            b.append(eqn.with_(regions=tuple(_region(r, facts) for r in eqn.regions)))
        else:
            with b.at(eqn.loc), b.playing(eqn.role):
                _write(b, eqn, found, facts)
    return b.region(region.params, region.results)


# --- what the iterations decide ------------------------------------------------------------------


@dataclass(frozen=True)
class _Middle:
    """`known` is what is constant but for the first `head` iterations and the last `tail`."""

    known: Mapping[Var, Atom]
    head: int
    tail: int


def _found(loop: Eqn, facts: Facts) -> _Middle | None:
    """What is known between the ends of a loop that is worth it."""
    if loop.prim != "for" or loop.ins[2] != i64(1) or loop.params.keys() & {"exit", PARALLEL}:
        return None
    (body,) = loop.regions
    if len(body.eqns) > LONGEST or any(e.prim in ("for", "while") for e in walk(body)):
        return None
    loops = _Loop(loop, facts)
    found = {e.out: m for e in walk(body) if (m := loops.decided(e)) is not None}
    if not found or loops.is_short() or not (loop.role == ADJOINT or is_vector(body)):
        return None
    head, tail = (max(m[k] for m in found.values()) for k in (1, 2))
    known = {v: value for v, (value, _, _) in found.items()}
    return _Middle(known, head, tail) if head + tail else None


class _Loop:
    """Integers of an iteration, compared with where the loop begins and ends."""

    def __init__(self, loop: Eqn, facts: Facts) -> None:
        self.facts = facts
        self.index = loop.regions[0].params[0]
        self.inside = set(region_defs(loop.regions[0]))
        self.start, self.stop = (facts.expand(lin(a)) for a in loop.ins[:2])

    def is_short(self) -> bool:
        trips = self.stop - self.start
        return trips.is_const and trips.const <= 2 * MOST

    def decided(self, eqn: Eqn) -> tuple[Atom, int, int] | None:
        """What an equation gives but for some first and some last iterations, and how many."""
        if eqn.prim == "mod":
            return self._remainder(eqn)
        if eqn.prim not in (*_COMPARED, "eq", "ne") or any(a.type != I64 for a in eqn.ins):
            return None
        difference = self._offset(lin(eqn.ins[0]) - lin(eqn.ins[1]))
        if difference is None:
            return None
        sign, offset = difference
        if eqn.prim in ("eq", "ne"):
            return self._met(eqn.prim == "ne", offset * -sign)
        below, past = _COMPARED[eqn.prim]
        first = offset * -1 + past if sign > 0 else offset + (1 - past)
        return self._past(first, below == (sign > 0))

    def _offset(self, value: Lin) -> tuple[int, Lin] | None:
        """The sign of the index in a sum, and what does not change in the loop."""
        value = self.facts.expand(value)
        sign = dict(value.terms).get(self.index, 0)
        rest = value - lin(self.index) * sign
        fixed = not any(isinstance(s, Op) or s in self.inside for s, _ in rest.terms)
        return (sign, rest) if sign in (1, -1) and fixed else None

    def _ends(self, first: Lin) -> tuple[int | None, int | None]:
        """How many iterations are before `first`, and how many from there on, where that is known
        and few."""
        first = self.facts.expand(first)
        counts = (first - self.start, self.stop - first)
        return tuple(c.const if c.is_const and c.const <= MOST else None for c in counts)

    def _past(self, first: Lin, below: bool) -> tuple[Atom, int, int] | None:
        """A condition that holds below `first` only (or from there on)."""
        head, tail = self._ends(first)
        if head is not None:
            return boolean(not below), max(head, 0), 0
        return None if tail is None else (boolean(below), 0, max(tail, 0))

    def _met(self, differs: bool, at: Lin) -> tuple[Atom, int, int] | None:
        """A condition that `at` alone decides otherwise."""
        (head, _), (_, tail) = self._ends(at + 1), self._ends(at)
        if head is not None:
            return boolean(differs), max(head, 0), 0
        return None if tail is None else (boolean(differs), 0, max(tail, 0))

    def _remainder(self, eqn: Eqn) -> tuple[Atom, int, int] | None:
        """`(i - 2) % n`"""
        found = self._offset(lin(eqn.ins[0])) if eqn.out.type == I64 else None
        if found is None or found[0] < 0:
            return None
        (head, _), (_, tail) = map(self._ends, (found[1] * -1, lin(eqn.ins[1]) - found[1]))
        if head is None or tail is None:
            return None
        return eqn.ins[0], max(head, 0), max(tail, 0)


#: Comparisons of an index: whether they hold for the smaller values, and if the limit is one.
_COMPARED = {"lt": (True, 0), "le": (True, 1), "ge": (False, 0), "gt": (False, 1)}


# --- the parts -----------------------------------------------------------------------------------


def _write(b: Builder, loop: Eqn, middle: _Middle, facts: Facts) -> None:
    """The loop in parts, each of which goes on with what the one before has carried."""
    start, stop, (body,) = loop.ins[0], loop.ins[1], loop.regions
    low, high = _plus(b, start, middle.head), _plus(b, stop, -middle.tail)
    parts = [(low, high, substitute(body, middle.known))]
    if isinstance(low, Lit) and low.value > 1:
        parts = [_from_zero(b, low.value, high, body, middle.known, facts)]
    if middle.head:
        parts.insert(0, (start, b.emit("minimum", low, stop), body))
    if middle.tail:
        parts.append((b.emit("maximum", low, high), stop, body))
    carried = loop.ins[3:]
    for part, (first, last, region) in enumerate(parts, 1):
        fresh = tuple(Var(v.name, v.type) for v in loop.outs)
        outs = loop.outs if part == len(parts) else fresh
        ins = (first, last, i64(1), *carried)
        params = {} if region is not body else {EDGE: True}
        b.append(loop.with_(ins=ins, outs=outs, regions=(clone(region),), params=params))
        carried = outs


def _plus(b: Builder, a: Atom, more: int) -> Atom:
    if isinstance(a, Lit):
        return i64(a.value + more)
    if more == 0:
        return a
    return b.emit("add" if more > 0 else "sub", a, i64(abs(more)))


def _from_zero(
    b: Builder, low: int, high: Atom, body: Region, known: Mapping[Var, Atom], facts: Facts
) -> tuple[Atom, Atom, Region]:
    """The iterations from `low` on, counted from 0: of `x[i - 2]` in a loop from 2 on LLVM does not
    see that it is not counted from the end."""
    index, turn = body.params[0], Var(body.params[0].name, I64)
    inner = Builder(b.loc, b.role)
    moved: dict[Var, Atom] = {}
    for v in (index, *(e.out for e in body.eqns if len(e.outs) == 1 and e.out.type == I64)):
        offset = facts.expand(lin(v)) - lin(index)
        if offset.is_const:
            moved[v] = _plus(inner, turn, offset.const + low)
    moved |= {v: moved.get(a, a) if isinstance(a, Var) else a for v, a in known.items()}
    eqns = (*inner.eqns, *substitute(Region((), body.eqns, ()), moved).eqns)
    results = substitute(Region((), (), body.results), moved).results
    return i64(0), b.emit("sub", high, i64(low)), Region((turn, *body.params[1:]), eqns, results)
