"""Which executions of two accesses may touch the same element of an array.

    for i in range(1, n):
        for j in range(m):
            x[i, j] = …             the element (i, j)
            y = x[i - 1, j]         (i - 1, j): what was written one iteration of i before

A subscript is a sum of the indices of loops and of what does not change in them. Its value in an
earlier iteration is the same sum of other values, about which the bounds of the loops are known.
Negative subscripts count from the end, so two of them are told apart only where neither is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from s2s_ad.analysis.independence import facts_of
from s2s_ad.analysis.integers import Extent, Lin, Op, Symbol, lin
from s2s_ad.ir.core import Eqn, Func, Lit, Region, Var, region_defs
from s2s_ad.ir.subscript import Axis, parse_subscript
from s2s_ad.ir.types import I64


class Span(NamedTuple):
    """The first and the last index of an axis that are touched; None where that is not known."""

    low: Lin | None
    high: Lin | None


#: The subscripts of an access, one for each axis.
Place = Sequence[Span]
_ANYWHERE = Span(None, None)


class Instances:
    """The accesses of a function, in their loops. `loops[eqn]` are the loops around an equation,
    outermost first."""

    def __init__(self, func: Func) -> None:
        self.facts, self.params = facts_of(func), set(func.params)
        self.loops: dict[Eqn, tuple[Eqn, ...]] = {}
        self.order: dict[Eqn, int] = {}
        self._inside: dict[Eqn, set[Var]] = {}
        self._index(func.body, ())

    def _index(self, region: Region, loops: tuple[Eqn, ...]) -> None:
        for eqn in region.eqns:
            self.order[eqn] = len(self.order)
            self.loops[eqn] = loops
            is_loop = eqn.prim in ("for", "while")
            for inner in eqn.regions:
                self._index(inner, (*loops, eqn) if is_loop else loops)

    def place(self, access: Eqn) -> Place:
        """The subscripts of a load, store or accum."""
        operands = access.ins[1 if access.prim == "load" else 2 :]
        return list(map(self._span, parse_subscript(access.params["spec"], operands)))

    def _span(self, axis: Axis) -> Span:
        if axis.kind == "index":
            index = self.facts.expand(lin(axis.start))
            return Span(index, index)
        if axis.kind != "slice" or axis.step is not None:
            return _ANYWHERE
        low = lin(0 if axis.start is None else axis.start)
        high = None if axis.stop is None else self.facts.expand(lin(axis.stop)) - 1
        return Span(self.facts.expand(low), high)

    def same(self, one: Place, other: Place) -> bool:
        """True where both certainly are the same element."""
        spans = (*one, *other)
        return all(s.low is not None and s.low is s.high for s in spans) and all(
            self.facts.same(a.low, b.low) for a, b in zip(one, other)
        )

    def apart(self, one: Place, other: Place) -> bool:
        """True where no element is at both."""
        return any(self._before(a, b) or self._before(b, a) for a, b in zip(one, other))

    def _before(self, one: Span, other: Span) -> bool:
        """True where `one` ends before `other` starts, and none is counted from the end."""
        ends = (one.low, one.high, other.low)
        if None in ends or not self.facts.at_least(other.low - one.high, 1):
            return False
        single = one.low is one.high
        return self.facts.at_least(one.low) and (single or self.facts.at_least(one.high, -1))

    @contextmanager
    def earlier(
        self, loop: Eqn, count: int | None, deeper: Sequence[Eqn] = ()
    ) -> Iterator[Callable[[Place], Place]]:
        """Gives what turns places in an iteration of `loop` into those of `count` iterations before
        (of any number, for None), which are known to exist; `deeper` are the loops inside of it
        around what is there, in any iteration of theirs. Only for steps that are literals."""
        start, stop, step = loop.ins[:3]
        index = loop.regions[0].params[0]
        with self.facts.scope():
            about = index
            back = lin(0 if count is None else count * step.value)
            if count is None:
                about = Var("before", I64)
                self.facts.learn(lin(about) - 1, about)
                back = lin(about) * step.value
            then = lin(index) - back
            inside = (then - lin(start)) if step.value > 0 else (lin(start) - then)
            self.facts.learn(inside, about)
            names = {index: then}
            for inner in deeper:
                self._any_iteration(inner, names, self.inside(loop))
            yield lambda place: self._all_moved(place, names, self.inside(loop))

    def at_start(self, loop: Eqn, place: Place, count: int) -> Place:
        """A place as it would be `count` iterations before the first one."""
        start, _, step = loop.ins[:3]
        first = self.facts.expand(lin(start)) - count * step.value
        names = {loop.regions[0].params[0]: first}
        return self._all_moved(place, names, self.inside(loop))

    def _all_moved(self, place: Place, names: dict[Var, Lin], varying: set[Var]) -> Place:
        moved = []
        for low, high in place:
            first = low and self._moved(low, names, varying)
            last = first if high is low else high and self._moved(high, names, varying)
            moved.append(Span(first, last))
        return moved

    def _any_iteration(self, loop: Eqn, names: dict[Var, Lin], varying: set[Var]) -> None:
        """A name for the index of `loop` that is not that of the iteration looked at."""
        if loop.prim != "for":
            return
        start, stop, step = (self.facts.expand(lin(a)) for a in loop.ins[:3])
        low, high = (self._moved(a, names, varying) for a in (start, stop))
        names[loop.regions[0].params[0]] = new = lin(Var("other", I64))
        ((var, _),) = new.terms
        if low is None or high is None or not step.is_const:
            return
        if step.const > 0:
            self.facts.bound(var, low, high - 1)
        else:
            self.facts.bound(var, high + 1, low)

    def inside(self, loop: Eqn) -> set[Var]:
        """All variables that are defined in a loop."""
        if loop not in self._inside:
            self._inside[loop] = {v for r in loop.regions for v in region_defs(r)}
        return self._inside[loop]

    def _moved(self, value: Lin, names: dict[Var, Lin], varying: set[Var]) -> Lin | None:
        """`value` with other values for `names`; None where something else may differ, too."""
        out = lin(value.const)
        for symbol, coefficient in value.terms:
            known = names.get(symbol) if isinstance(symbol, Var) else None
            if known is None and varies(symbol, varying):
                return None
            out = out + (lin(symbol) if known is None else known) * coefficient
        return out

    def met_before(self, access: Eqn, other: Eqn, outside: int = 0) -> bool:
        """True where `other` may have touched, earlier, an element that `access` touches now. It is
        an access to the same array, or uses that as a whole. The array is another one in each
        iteration of the outermost `outside` loops."""
        mine, theirs = self.loops[access], self.loops[other]
        shared = 0
        while mine[shared : shared + 1] == theirs[shared : shared + 1] != ():
            shared += 1
        if any(e.prim != "for" or not isinstance(e.ins[2], Lit) for e in mine[outside:shared]):
            return True
        here = self.place(access)
        is_place = other.prim in ("load", "store", "accum")
        there: Place = self.place(other) if is_place else [_ANYWHERE] * len(here)
        if self.order[other] < self.order[access] and not self.apart(here, there):
            return True
        for depth in range(outside, shared):
            with self.earlier(theirs[depth], None, theirs[depth + 1 :]) as then:
                if not self.apart(here, then(there)):
                    return True
        return False


def varies(symbol: Symbol, varying: set[Var]) -> bool:
    """True for a symbol in which one of `varying` is."""
    if isinstance(symbol, Op):
        sides = (*symbol.left.terms, *symbol.right.terms)
        return any(varies(s, varying) for s, _ in sides)
    return (symbol.var if isinstance(symbol, Extent) else symbol) in varying
