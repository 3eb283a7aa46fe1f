"""Chains: the successive versions of one array, which the reverse sweep can put back.

A store can be undone from the element it overwrote. A chain is a set of array versions linked by
stores, loops that carry them (also swapped with one another: double buffers) and branches, such
that undoing the links in reverse order leads from the last version to the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from s2s_ad.analysis.extents import written_base
from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.ir.core import Atom, Eqn, Var


@dataclass(frozen=True)
class Chain:
    """The versions of one array (or of arrays that a loop swaps), and the writes between them.
    `ends` are versions that nothing goes on from: there is nothing to put them back from."""

    versions: frozenset[Var]
    writes: tuple[Eqn, ...]
    ends: frozenset[Var]


def chains(program: Program) -> list[Chain]:
    """The chains of `program` that are written to inside a loop, in program order."""
    groups = _Groups()
    writes: list[Eqn] = []
    for node in program.nodes.values():
        for eqn in node.region.eqns:
            _link(program, eqn, groups, writes)
    found = []
    passed = _passed_on(program, groups)
    for versions in groups.classes():
        own = tuple(w for w in writes if w.out in versions)
        in_loop = any(program.home[w.out].depth for w in own)
        if in_loop and _reversible(program, versions, groups):
            ends = frozenset(v for v in versions if v not in groups.continued and v not in passed)
            found.append(Chain(frozenset(versions), own, ends))
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
        self.continued: dict[Var, int] = {}

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

    def classes(self) -> list[list[Var]]:
        out: dict[Var, list[Var]] = {}
        for v in self.parent:
            out.setdefault(self.find(v), []).append(v)
        return list(out.values())


def _link(program: Program, eqn: Eqn, groups: _Groups, writes: list[Eqn]) -> None:
    if any(program.is_linear(out) for out in eqn.outs) and eqn.prim in ("store", "accum"):
        return
    if eqn.prim in ("store", "accum") and isinstance(eqn.ins[0], Var):
        groups.link(eqn.out, eqn.ins[0])
        groups.continued[eqn.ins[0]] = groups.continued.get(eqn.ins[0], 0) + 1
        writes.append(eqn)
    elif eqn.prim in LOOPS:
        _link_loop(program, eqn, groups)
    elif eqn.prim == "if":
        for out in eqn.outs:
            base = written_base(program, out) if out.type.is_array else out
            if base is not out and not program.is_linear(out):
                groups.link(out, base)
                groups.continued[base] = groups.continued.get(base, 0) + 1


def _link_loop(program: Program, eqn: Eqn, groups: _Groups) -> None:
    node = program.nodes[eqn.regions[-1]]
    slots = [s for s in program.slots(eqn) if s[1].type.is_array and not program.is_linear(s[1])]
    bases = [written_base(program, result) for _, _, result, _ in slots]
    for (init, param, result, out), base in zip(slots, bases):
        if base not in node.region.params or bases.count(base) > 1 or not isinstance(init, Var):
            continue
        if not any(base is p for _, p, _, _ in slots):
            continue
        groups.link(param, init)
        groups.link(out, param)
        groups.parent[groups.find(result)] = groups.find(param)
        groups.continued[init] = groups.continued.get(init, 0) + 1


def _reversible(program: Program, versions: list[Var], groups: _Groups) -> bool:
    """Every version is linked to an earlier one or stems from outside all loops, and none is
    continued in two ways."""
    return all(
        (v in groups.linked or _outside(program.home[v])) and groups.continued.get(v, 0) <= 1
        for v in versions
    )


def _outside(node: Node) -> bool:
    return node.depth == 0 and node.kind == "root"
