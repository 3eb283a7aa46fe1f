"""Writes that need not be undone, because nobody reads what they overwrite.

    for i in range(n):
        y = ys[i]                   # the reverse sweep reads it, too
        ys[i + 1] = y + h * f(y)    # in a row that no iteration has read before

The reverse sweep reads elements of earlier versions of an array. Where none of these elements is
written again afterwards, the last version has them as well: a trajectory, or a table that is filled
row by row, is its own tape.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from s2s_ad.analysis.independence import facts_of
from s2s_ad.analysis.integers import Extent, Facts, Lin, lin
from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import Atom, Eqn, Lit, Var
from s2s_ad.ir.subscript import parse_subscript


def fresh(program: Program, versions: Collection[Var], writes: Sequence[Eqn]) -> frozenset[Eqn]:
    """Those of `writes`, which make `versions` of one array, that need not be undone. They stand in
    a loop of the function's body, which is the only one to carry the array; all or none."""
    node = _carrier(program, versions)
    if node is None:
        return frozenset()
    inside = [w for w in writes if program.home[w.out] is node]
    if any(w in program.undo or w.prim != "store" for w in inside):
        return frozenset()
    if any(program.home[w.out] not in (node, program.root) for w in writes):
        return frozenset()
    readers = _readers(program, versions, writes, node)
    if readers is None or not inside:
        return frozenset()
    order = _Order(program, node, facts_of(program.func))
    ndim = inside[0].out.type.ndim
    first = any(
        all(order.is_before(r, w, axis) for r in readers for w in inside) for axis in range(ndim)
    )
    return frozenset(inside) if first else frozenset()


def _carrier(program: Program, versions: Collection[Var]) -> Node | None:
    """The body of the only loop that carries the array, in one slot."""
    found = []
    for node in program.nodes.values():
        if node.eqn is not None and node.eqn.prim in LOOPS and node.kind == "loop":
            found += [node for _, param, _, _ in program.slots(node.eqn) if param in versions]
    if len(found) != 1 or found[0].eqn.prim != "for" or found[0].parent is not program.root:
        return None
    return found[0] if isinstance(found[0].eqn.ins[2], Lit) else None


def _readers(
    program: Program, versions: Collection[Var], writes: Collection[Eqn], loop: Node
) -> list[Eqn] | None:
    """The loads from versions that an iteration makes, or starts with; None where anything else
    reads these. (Versions from before the loop are not made by putting back what is after it.)"""
    found = []
    own = {v for v in versions if loop in program.home[v].loops()}
    for node in program.nodes.values():
        if loop not in node.loops():
            continue
        if node is not loop and not own.isdisjoint(node.region.results):
            return None
        for eqn in node.region.eqns:
            used = [k for k, a in enumerate(eqn.ins) if a in own]
            if not used or eqn.prim == "dim" or (eqn in writes and used == [0]):
                continue
            if eqn.prim != "load" or used != [0]:
                return None
            found.append(eqn)
    return found


@dataclass(frozen=True)
class _Order:
    """What comes before what in the iterations of a loop."""

    program: Program
    loop: Node
    facts: Facts

    def is_before(self, read: Eqn, write: Eqn, axis: int) -> bool:
        """True where nothing is read at a place of this axis that a later write goes to: neither in
        the iteration of the write, before it, nor in any earlier one. What an iteration reads lies
        behind its own write, and the writes go on from there."""
        here = self.index(write, axis)
        if here is None or not all(map(self.stays, here.terms)) or not self.facts.at_least(here):
            return False
        step = self.loop.eqn.ins[2].value
        forward = dict(here.terms).get(self.loop.region.params[0], 0) * step
        low, high = self.reach(read, axis)
        end = high if forward > 0 else low
        if not forward or end is None:
            return False
        gap = here - end if forward > 0 else end - here
        apart = self.follows(read.ins[0], write) or self.elsewhere(read, write)
        return self.facts.at_least(gap, 0 if apart else 1)

    def elsewhere(self, read: Eqn, write: Eqn) -> bool:
        """True where an iteration reads at another place than it writes to."""
        ndim = write.out.type.ndim
        pairs = ((self.index(read, axis), self.index(write, axis)) for axis in range(ndim))
        return any(a and b and self.facts.distinct(a, b) for a, b in pairs)

    def index(self, access: Eqn, axis: int) -> Lin | None:
        """The index of an axis, where it is one."""
        operands = access.ins[2:] if access.prim == "store" else access.ins[1:]
        place = parse_subscript(access.params["spec"], operands)[axis]
        return self.facts.expand(lin(place.start)) if place.kind == "index" else None

    def reach(self, read: Eqn, axis: int) -> tuple[Lin | None, Lin | None]:
        """The first and the last place of an axis that is read; None where that is not known, and
        where it might be counted from the end."""
        place = parse_subscript(read.params["spec"], read.ins[1:])[axis]
        if place.kind == "index":
            ends = (place.start, place.start)
        elif place.kind == "slice" and place.step is None:
            ends = (i64(0) if place.start is None else place.start, place.stop)
        else:
            return None, None
        low, high = (None if end is None else self.facts.expand(lin(end)) for end in ends)
        low, high = (x if x and self.facts.at_least(x) else None for x in (low, high))
        if place.kind == "slice" and high is not None:
            high = high - 1
        return low, high

    def stays(self, term: tuple[object, int]) -> bool:
        """True for the loop's index, and for what is the same in all iterations."""
        symbol, _ = term
        var = symbol.var if isinstance(symbol, Extent) else symbol
        if not isinstance(var, Var):
            return False
        return var is self.loop.region.params[0] or self.loop not in self.program.home[var].loops()

    def follows(self, version: Atom, write: Eqn) -> bool:
        """True for a version that an iteration has after a write."""
        return any(eqn is write for eqn in self.behind(version))

    def behind(self, version: Atom) -> Iterator[Eqn]:
        """The writes that lead to a version, in its iteration."""
        eqn = self.program.definition.get(version)
        while eqn is not None and eqn.prim == "store" and self.program.home[eqn.out] is self.loop:
            yield eqn
            eqn = self.program.definition.get(eqn.ins[0])
