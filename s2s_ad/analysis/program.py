"""Where everything is: an index of a function's regions, definitions, order and linear variables.

A *scope* is the body of a loop, or the function's. Branches belong to the scope around them.
`order` numbers the equations of a scope in program order, those of its branches too (`end` of a
branching is a number after those inside), so that "is A overwritten
between its definition and here" is a question about numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from s2s_ad.analysis.activity import loop_slots
from s2s_ad.ir.core import TANGENT, Atom, Eqn, Func, Region, Var, free_vars

LOOPS = ("for", "while")


@dataclass(eq=False)
class Node:
    """A region in its place. `kind` is root, loop, cond or branch; `eqn` owns the region; `span`
    holds the first and last numbers of its equations."""

    region: Region
    kind: str
    eqn: Eqn | None = None
    parent: Node | None = field(default=None, repr=False)
    children: list[Node] = field(default_factory=list, repr=False)
    span: tuple[int, int] = (0, -1)

    @property
    def scope(self) -> Node:
        node = self
        while node.kind == "branch":
            node = node.parent
        return node

    @property
    def depth(self) -> int:
        """The number of loops around and including this region."""
        own = int(self.kind == "loop")
        return own + (self.parent.depth if self.parent else 0)

    def loops(self) -> list[Node]:
        """The loop bodies around and including this region, outermost first."""
        outer = self.parent.loops() if self.parent else []
        return [*outer, self] if self.kind == "loop" else outer


@dataclass(frozen=True)
class Hints:
    """What is known of the tangents: the primal each belongs to, and variables that hold extents
    of arrays inside loops."""

    primal_of: Mapping[Var, Var] = field(default_factory=dict)
    extents: Mapping[tuple[Var, int], Var] = field(default_factory=dict)


class Program:
    """An index of `func`, whose last `tangents` parameters are tangents. `undo` gives the equations
    that the reverse sweep may undo, and the operand that each gives back."""

    def __init__(
        self,
        func: Func,
        tangents: int = 0,
        hints: Hints | None = None,
        undo: Mapping[Eqn, int] = MappingProxyType({}),
    ) -> None:
        self.func, self.tangents = func, tangents
        self.hints, self.undo = hints or Hints(), undo
        self.home: dict[Var, Node] = {}
        self.definition: dict[Var, Eqn] = {}
        self.order: dict[Eqn, int] = {}
        self.end: dict[Eqn, int] = {}
        self.nodes: dict[Region, Node] = {}
        self.linear: set[Var] = set(func.params[len(func.params) - tangents :])
        self.root = Node(func.body, "root")
        self._index(self.root, [0])
        self._captured: dict[Eqn, list[Var]] = {}

    def of(self, func: Func) -> Program:
        """The index of another version of the function, with the same variables and more."""
        return Program(func, self.tangents, self.hints, self.undo)

    def undoing(self, undo: Mapping[Eqn, int]) -> Program:
        """The same, with equations that are undone (see inversion.py)."""
        return Program(self.func, self.tangents, self.hints, undo)

    def _index(self, node: Node, counter: list[int]) -> None:
        self.nodes[node.region] = node
        first = counter[0]
        for param in node.region.params:
            self.home[param] = node
        for eqn in node.region.eqns:
            self.order[eqn] = counter[0]
            counter[0] += 1
            for out in eqn.outs:
                self.home[out], self.definition[out] = node, eqn
            if eqn.role == TANGENT:
                self.linear.update(eqn.outs)
            self._mark_linear(eqn)
            for k, region in enumerate(eqn.regions):
                kind = "branch" if eqn.prim == "if" else "loop"
                kind = "cond" if eqn.prim == "while" and k == 0 else kind
                child = Node(region, kind, eqn, node)
                node.children.append(child)
                self._index(child, counter if kind == "branch" else [0])
            counter[0] += eqn.prim == "if"  # its end comes after both sides
            self.end[eqn] = counter[0] - 1
        node.span = (first, counter[0] - 1)

    def _mark_linear(self, eqn: Eqn) -> None:
        count = eqn.params.get("linear", 0)
        if count:
            self.linear.update(eqn.outs[-count:])
            for region in eqn.regions if eqn.prim in LOOPS else ():
                self.linear.update(region.params[-count:])

    def is_linear(self, a: Atom) -> bool:
        return isinstance(a, Var) and a in self.linear

    def captured_linear(self, eqn: Eqn) -> list[Var]:
        """Linear variables that the regions of `eqn` read from outside."""
        if eqn not in self._captured:
            found = dict.fromkeys(v for r in eqn.regions for v in free_vars(r))
            self._captured[eqn] = [v for v in found if v in self.linear]
        return self._captured[eqn]

    def is_index(self, v: Var) -> bool:
        """True for a loop's index, which the reverse sweep always has."""
        return v is self.index_of(self.home[v])

    def index_of(self, node: Node) -> Var | None:
        """The index of a loop body: a `for`'s own, or the counter that a `while` carries."""
        if node.kind != "loop":
            return None
        if node.eqn.prim == "for":
            return node.region.params[0]
        position = node.eqn.params.get("counter")
        return None if position is None else node.region.params[position]

    def defined_at(self, v: Var) -> int:
        """The position in its scope after which `v` exists; -1 for parameters."""
        eqn = self.definition.get(v)
        return -1 if eqn is None else self.end[eqn]

    def climb(self, node: Node, target: Node) -> int:
        """The position, in `target`, of the equation of it that contains `node`."""
        while node.parent is not target:
            node = node.parent
        return self.end[node.eqn]

    def slots(self, eqn: Eqn) -> list[tuple[Atom, Var, Atom, Var]]:
        """(initial value, parameter, result, what comes out) of every carried variable."""
        inits, body, results, outs = loop_slots(eqn)
        params = body.params[len(body.params) - len(inits) :]
        return list(zip(inits, params, results, outs))
