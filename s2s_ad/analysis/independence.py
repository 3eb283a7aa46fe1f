"""Which loops may run their iterations at the same time, and what becomes of what they carry.

    for i in range(n):
        y[i] = x[i] * 2.0       y: every iteration has elements of its own       OWN
        s += x[i]               s: a total                                       TOTAL
        g[i - 1] += …           g: only added to, at most `span` elements from
        g[i + 1] += …              where other iterations add                    NEAR
        h[k[i]] += …            h: only added to                                 ADDED

Nothing is taken on trust: a loop is independent if the index arithmetic proves it. The program has
gone through `passes.inplace`: all versions of a carried array are one buffer, and what a loop reads
from around it shares memory with nothing that it writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from s2s_ad.analysis.integers import Extent, Facts, Lin, Op, Symbol, lin
from s2s_ad.analysis.sharing import WRITES, loop_inits
from s2s_ad.analysis.totals import Total, has_order, is_free
from s2s_ad.ir.core import (
    ADJOINT,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    region_defs,
    region_uses,
    walk,
)
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import Axis, parse_subscript
from s2s_ad.ir.types import UNKNOWN

KEPT, OWN, TOTAL, NEAR, ADDED = "kept", "own", "total", "near", "added"


@dataclass(frozen=True)
class Carried:
    """How a loop carries something: KEPT is never written; `op` makes a TOTAL; NEAR has `span`."""

    kind: str
    op: str = ""
    span: int = 0


def facts_of(func: Func) -> Facts:
    """How the integers of a function are defined, and the bounds of its loops' indices."""
    facts = Facts(_extent)
    for eqn in walk(func.body):
        facts.defs.update(dict.fromkeys(eqn.outs, eqn))
        if eqn.prim == "for":
            facts.bound_index(eqn.regions[0].params[0], *eqn.ins[:3])
    return facts


def _extent(v: Var, axis: int) -> Lin:
    size = v.type.shape[axis]
    if isinstance(size, int):
        return lin(size)
    return lin(Extent(("axis", v, axis) if size == UNKNOWN else size, v, axis))


def independent(loop: Eqn, facts: Facts, any_order: bool) -> list[Carried] | None:
    """How `loop` carries each of its values, where its iterations may run at the same time; None
    where that is not proved. `any_order` allows the totals to be added up in another order."""
    step, (body,) = loop.ins[2], loop.regions
    if loop.params.get("exit") or not (isinstance(step, Lit) or facts.at_least(lin(step), 1)):
        return None
    if any(PRIMS[e.prim].kind == "effect" for e in walk(body)):
        return None  # what is raised or shown comes in order
    return _Loop(loop, facts, any_order).carried()


class _Loop:
    def __init__(self, loop: Eqn, facts: Facts, any_order: bool) -> None:
        self.loop, self.facts, self.any_order = loop, facts, any_order
        (self.body,) = loop.regions
        self.index = self.body.params[0]
        self.inside = set(region_defs(self.body))
        self.uses = Counter(region_uses(self.body))
        self.made = {out: e for e in walk(self.body) for out in e.outs}

    def carried(self) -> list[Carried] | None:
        found = []
        for param, result in zip(self.body.params[1:], self.body.results):
            if result is param:
                one = self._kept(param)
            else:
                one = (
                    self._array(param, result)
                    if param.type.is_array
                    else self._total(param, result)
                )
            if one is None:
                return None
            found.append(one)
        return found

    def _kept(self, param: Var) -> Carried | None:
        """What every iteration leaves alone: its buffer too is only read."""
        accesses = BufferAccesses(param)
        accesses.block(self.body)
        return None if accesses.writes else Carried(KEPT)

    def _total(self, param: Var, result: Atom) -> Carried | None:
        total = Total(param, self.uses, self.made)
        if not self.uses[param] or total.uses(result) != self.uses[param]:
            return None
        if not self.any_order and any(has_order(e) and not is_free(e) for e in total.path):
            return None
        return Carried(TOTAL, total.kind)

    # -- arrays

    def _array(self, param: Var, result: Atom) -> Carried | None:
        accesses = BufferAccesses(param)
        accesses.block(self.body)
        if accesses.escapes or result not in accesses.versions:
            return None
        spans = [self._span(accesses.places, axis) for axis in range(param.type.ndim)]
        known = [s for s in spans if s is not None]
        if 0 in known:
            return Carried(OWN)
        if any(e.prim != "accum" or not self._in_any_order(e) for e in accesses.eqns):
            return None
        return Carried(NEAR, span=min(known)) if known else Carried(ADDED)

    def _in_any_order(self, eqn: Eqn) -> bool:
        exact = not eqn.out.type.is_float
        return exact or self.any_order or eqn.role == ADJOINT

    def _span(self, places: Sequence[Sequence[Axis]], axis: int) -> int | None:
        """How far apart two iterations may be, in indices of an axis, that meet in an element: 0
        where none do, None where that is not known."""
        factors, offsets = set(), []
        for place in places:
            if place[axis].kind != "index":
                return None
            start = self._plain(self.facts.expand(lin(place[axis].start)))
            factor = dict(start.terms).get(self.index, 0)
            if not self.facts.at_least(start, 0):
                return None  # a negative one counts from the end
            factors.add(factor)
            offsets.append(start - lin(self.index) * factor)
        if len(factors) != 1 or 0 in factors:
            return None
        factor, step = factors.pop(), lin(self.loop.ins[2])
        if any(self._varies(term) for offset in offsets for term in offset.terms):
            stride = step * factor
            return 0 if all(self._is_within(offset, stride) for offset in offsets) else None
        if not step.is_const:
            return None
        stride = abs(factor * step.const)
        differences = [offset - offsets[0] for offset in offsets]
        if not all(d.is_const for d in differences):
            return None
        span = max(d.const for d in differences) - min(d.const for d in differences)
        return 0 if span < stride else span

    def _plain(self, value: Lin) -> Lin:
        """`value` with what LLVM is told left out: max(i, 0) is i where i is not negative."""
        for symbol, coefficient in value.terms:
            if isinstance(symbol, Op) and symbol.name == "max":
                for a, b in ((symbol.left, symbol.right), (symbol.right, symbol.left)):
                    if self.facts.at_least(a - b):
                        value = value + (a - lin(symbol)) * coefficient
                        break
        return value

    def _is_within(self, offset: Lin, stride: Lin) -> bool:
        """True for the place within a block of `stride` iterations."""
        return self.facts.at_least(offset) and self.facts.at_least(stride - offset, 1)

    def _varies(self, term: tuple[Symbol, int]) -> bool:
        """True for a symbol that may not be the same in all iterations."""
        symbol = term[0]
        if isinstance(symbol, Op):
            return any(self._varies(t) for side in (symbol.left, symbol.right) for t in side.terms)
        return (symbol.var if isinstance(symbol, Extent) else symbol) in self.inside


class BufferAccesses:
    """Everything that a region does to a buffer, from its first version on: the equations that read
    and write elements, with their places, and the `wholes` that use it otherwise. `mixed` is true
    where one variable may be a version or something else. `in_line` is false where a version is
    used after the next one was made; `latest` is the one at the end."""

    def __init__(self, first: Var) -> None:
        self.versions: set[Atom] = {first}
        self.eqns: list[Eqn] = []
        self.wholes: list[Eqn] = []
        self.mixed, self.in_line = False, True
        self.latest: Atom = first

    @property
    def escapes(self) -> bool:
        return self.mixed or bool(self.wholes)

    @property
    def places(self) -> list[list[Axis]]:
        return [
            parse_subscript(e.params["spec"], e.ins[1 if e.prim == "load" else 2 :])
            for e in self.eqns
        ]

    @property
    def writes(self) -> bool:
        return any(e.prim in WRITES for e in self.eqns)

    def block(self, region: Region) -> None:
        for eqn in region.eqns:
            self._eqn(eqn)

    def _eqn(self, eqn: Eqn) -> None:
        if eqn.prim in ("load", *WRITES) and eqn.ins[0] in self.versions:
            self.eqns.append(eqn)
            self._whole(eqn, eqn.ins[1:])
            self._use(eqn.ins[0])
            if eqn.prim in WRITES:
                self.versions.add(eqn.out)
                self.latest = eqn.out
        elif eqn.prim == "if":
            self._branch(eqn)
        elif eqn.prim in ("for", "while"):
            self._inner_loop(eqn)
        elif eqn.prim != "dim":
            self._whole(eqn, eqn.ins)

    def _whole(self, eqn: Eqn, operands: Sequence[Atom]) -> None:
        if any(a in self.versions for a in operands):
            self.wholes.append(eqn)
        for a in operands:
            self._use(a)

    def _use(self, a: Atom) -> None:
        self.in_line &= a is self.latest or a not in self.versions

    def _branch(self, eqn: Eqn) -> None:
        before, ends = self.latest, []
        for region in eqn.regions:
            self.latest = before
            self.block(region)
            for a in region.results:
                self._use(a)
            ends.append(self.latest)
        self.latest = before
        for out, *ways in zip(eqn.outs, *(r.results for r in eqn.regions)):
            self._joined(ways, (out,))
        self.in_line &= self.latest is not before or all(end is before for end in ends)

    def _inner_loop(self, eqn: Eqn) -> None:
        inits, before = loop_inits(eqn), self.latest
        slots = [k for k in range(-len(inits), 0) if inits[k] in self.versions]
        for k in slots:
            self._use(inits[k])
            self.versions.update(r.params[k] for r in eqn.regions)
        for region in eqn.regions:
            self.latest = start = region.params[slots[-1]] if slots else before
            self.block(region)
        body = eqn.regions[-1]
        for a in body.results:
            self._use(a)
        self.in_line &= bool(slots) or self.latest is start
        self.mixed |= eqn.prim == "while" and eqn.regions[0].results[0] in self.versions
        for k in range(-len(inits), 0):
            self._joined((inits[k], body.results[k]), (eqn.outs[k],))

    def _joined(self, ways: Iterator[Atom] | Sequence[Atom], outs: Sequence[Var]) -> None:
        """What comes from several places is a version if all of these are, and nothing else may be
        one in part."""
        here = [a in self.versions for a in ways]
        self.mixed |= any(here) and not all(here)
        if all(here):
            self.versions.update(outs)
            (self.latest,) = outs
