"""Chains: the successive versions of one variable, which the reverse sweep can put back.

A store can be undone from the element it overwrote, an update like `x = x + d` from its other
operand (inversion.py). A chain is a set of versions linked by writes or updates, loops that carry
them (also swapped with one another: double buffers) and branches, such that undoing the links in
reverse order leads from the last version to the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from s2s_ad.analysis.extents import version_before, written_base
from s2s_ad.analysis.fresh import fresh
from s2s_ad.analysis.instances import Instances
from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.ir.core import Atom, Eqn, Var


@dataclass(frozen=True, eq=False)
class Chain:
    """The versions of one variable (or of those that a loop swaps), and the writes between them.
    `following` gives the equations that go on from a version; `ends` are versions that nothing goes
    on from: there is nothing to put them back from. What the writes in `fresh` overwrite is read by
    nobody but the loads in `stale`: they stay."""

    versions: frozenset[Var]
    writes: tuple[Eqn, ...]
    ends: frozenset[Var]
    following: Mapping[Var, Sequence[Eqn]]
    fresh: frozenset[Eqn] = frozenset()
    stale: frozenset[Eqn] = frozenset()

    def is_of(self, other: Chain) -> bool:
        """True for the chain of the same versions that is put back in the same way."""
        return bool(self.versions & other.versions) and bool(self.fresh) == bool(other.fresh)


def chains(program: Program) -> list[Chain]:
    """The chains of `program` that are written to inside a loop, in program order. Where writes may
    stay although some loads are stale then, the chain is there in both forms."""
    groups = _Groups()
    writes: list[Eqn] = []
    for node in program.nodes.values():
        for eqn in node.region.eqns:
            _link(program, eqn, groups, writes)
    found = []
    instances = Instances(program.func)
    passed = _passed_on(program, groups)
    for versions in groups.classes():
        own = tuple(w for w in writes if w.out in versions)
        in_loop = any(program.home[w.out].depth for w in own)
        if in_loop and _reversible(program, versions, groups):
            ends = frozenset(v for v in versions if v not in groups.continued and v not in passed)
            stay, stale = fresh(program, instances, frozenset(versions), own)
            chain = Chain(frozenset(versions), own, ends, groups.continued, stay, stale)
            found.append(chain)
            if stale:
                found.append(replace(chain, fresh=frozenset(), stale=frozenset()))
    return found


def _passed_on(program: Program, groups: _Groups) -> set[Var]:
    """Versions that leave their region as a result that is a version of the same array."""
    found: set[Var] = set()
    for node in program.nodes.values():
        for eqn in node.region.eqns:
            pairs: list[tuple[Atom, Var]] = []
            if eqn.prim == "if":
                pairs = [p for r in eqn.regions for p in zip(r.results, eqn.outs)]
            elif eqn.prim in LOOPS:
                pairs = [(result, out) for _, _, result, out in program.slots(eqn)]
            found.update(v for v, out in pairs if groups.same(v, out))
    return found


class _Groups:
    """A union-find over array versions, and which equations continue from each."""

    def __init__(self) -> None:
        self.parent: dict[Var, Var] = {}
        self.linked: set[Var] = set()
        self.continued: dict[Var, list[Eqn]] = {}

    def find(self, v: Var) -> Var:
        self.parent.setdefault(v, v)
        while self.parent[v] is not v:
            v = self.parent[v]
        return v

    def same(self, a: Atom, b: Atom) -> bool:
        return a in self.parent and b in self.parent and self.find(a) is self.find(b)

    def link(self, new: Var, old: Atom) -> None:
        """`new` is `old` after some writes."""
        self.parent[self.find(new)] = self.find(old)
        self.linked.add(new)

    def go_on(self, v: Var, eqn: Eqn) -> None:
        """`eqn` makes the next version after `v`."""
        self.continued.setdefault(v, []).append(eqn)

    def classes(self) -> list[list[Var]]:
        out: dict[Var, list[Var]] = {}
        for v in self.parent:
            out.setdefault(self.find(v), []).append(v)
        return list(out.values())


def _link(program: Program, eqn: Eqn, groups: _Groups, writes: list[Eqn]) -> None:
    if any(program.is_linear(out) for out in eqn.outs) and eqn.prim in ("store", "accum"):
        return
    base = eqn.ins[program.undo.get(eqn, 0)] if eqn.ins else None
    if (eqn.prim in ("store", "accum") or eqn in program.undo) and isinstance(base, Var):
        groups.link(eqn.out, base)
        groups.go_on(base, eqn)
        writes.append(eqn)
    elif eqn.prim in LOOPS:
        _link_loop(program, eqn, groups)
    elif eqn.prim == "if":
        for out in eqn.outs:
            base = version_before(program, out)
            if base is not None and not program.is_linear(out):
                groups.link(out, base)
                groups.go_on(base, eqn)


def _link_loop(program: Program, eqn: Eqn, groups: _Groups) -> None:
    node = program.nodes[eqn.regions[-1]]
    slots = [s for s in program.slots(eqn) if not program.is_linear(s[1])]
    bases = [written_base(program, result) for _, _, result, _ in slots]
    for (init, param, result, out), base in zip(slots, bases):
        if base not in node.region.params or bases.count(base) > 1:
            continue
        if not any(base is p for _, p, _, _ in slots):
            continue
        if param.type.is_array or (isinstance(init, Var) and not _outside(program.home[init])):
            if not isinstance(init, Var):
                continue
            groups.link(param, init)
            groups.go_on(init, eqn)
        groups.linked.add(param)  # a number from outside all loops is at hand by itself
        groups.link(out, param)
        groups.parent[groups.find(result)] = groups.find(param)


def _reversible(program: Program, versions: list[Var], groups: _Groups) -> bool:
    """Every version is linked to an earlier one or stems from outside all loops, and none is
    continued in two ways."""
    return all(
        (v in groups.linked or _outside(program.home[v]))
        and _one_way(program, v, groups.continued.get(v, []))
        for v in versions
    )


def _one_way(program: Program, v: Var, following: list[Eqn]) -> bool:
    """At most one equation goes on from `v` on every path: the `if` that holds two goes on too."""
    places = [program.home[eqn.outs[0]] for eqn in following]
    by_place = dict(zip(places, following))
    return len(set(places)) == len(places) and all(
        node is program.home[v] or (node.kind == "branch" and by_place.get(node.parent) is node.eqn)
        for node in places
    )


def _outside(node: Node) -> bool:
    return node.depth == 0 and node.kind == "root"
