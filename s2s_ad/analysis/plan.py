"""What the reverse sweep saves, puts back, or computes again.

For every scope (the body of a loop, or the function) the values that the reverse sweep asks for are
the sinks of a graph whose edges are the equations that may be evaluated again. What is at hand for
nothing (the loop index, values from outside, arrays that are put back) separates it from nothing;
the rest is cut at the least number of bytes. What is cut is saved, once per iteration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from s2s_ad.analysis.chains import Chain
from s2s_ad.analysis.inversion import jumps
from s2s_ad.analysis.mincut import vertex_cut
from s2s_ad.analysis.program import Node, Program
from s2s_ad.ir.core import Eqn, Var, eqn_free_vars
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.types import DTYPES

#: Stand-ins for what is only known at run time, used to compare plans.
TRIPS, EXTENT = 64, 100

Needs = dict[Var, int]  # variable -> the last position, in its region, at which it is asked for


@dataclass
class Plan:
    """`saved` lists, for every scope, the variables that are saved; `restored` are the versions of
    arrays that are put back; `cost` is an estimate in bytes."""

    saved: dict[Node, list[Var]] = field(default_factory=dict)
    restored: frozenset[Var] = frozenset()
    cost: float = 0.0

    def is_saved(self, program: Program, v: Var) -> bool:
        return v in self.saved.get(program.home[v].scope, ())


def make_plan(program: Program, needs: Needs, restored: Iterable[Chain]) -> Plan:
    """The cheapest plan for `needs`, with these chains put back."""
    return _Planner(program, dict(needs), list(restored)).run()


class _Planner:
    def __init__(self, program: Program, needs: Needs, restored: list[Chain]) -> None:
        self.program, self.needs = program, needs
        self.chain_of = {v: c for c in restored for v in c.versions}
        self.plan = Plan(restored=frozenset(self.chain_of))
        undone = (w for c in restored for w in c.writes if w in program.undo)
        self.rounded = any(w.out.type.is_float for w in undone)

    def run(self) -> Plan:
        scopes = {n.scope: None for n in self.program.nodes.values() if n.kind != "cond"}
        for scope in sorted(scopes, key=lambda n: -n.depth):
            self._scope(scope)
        return self.plan

    # -- questions

    def _current(self, v: Var, position: int) -> bool:
        """True if a version that is put back has been when `position` is reversed."""
        scope = self.program.home[v].scope
        following = [e for e in self.chain_of[v].following.get(v, ()) if e.prim != "if"]
        return not any(self._done(eqn, scope, position) for eqn in following)

    def _done(self, eqn: Eqn, scope: Node, position: int) -> bool:
        """True if `eqn`, which may be in a loop or branch within `scope`, may have been performed
        when `position` of that scope is reached."""
        node, at = self.program.home[eqn.outs[0]], self.program.order[eqn]
        while node.scope is not scope:
            node = node.scope
            at, node = self.program.order[node.eqn], node.parent
        while node.kind == "branch":
            holds = range(self.program.order[node.eqn] + 1, self.program.end[node.eqn])
            if position in holds and not node.span[0] <= position <= node.span[1]:
                return False  # on the other side
            node = node.parent
        return at <= position

    def _at_hand(self, v: Var, position: int) -> bool:
        """True for what the reverse sweep has without saving it."""
        home = self.program.home[v]
        if home.kind == "root" or self.program.is_index(v):
            return True
        if v not in self.chain_of or v in self.chain_of[v].ends:
            return False
        return self._current(v, position)

    def _again(self, eqn: Eqn | None) -> bool:
        """True where an equation may be evaluated again."""
        if eqn is None or not PRIMS[eqn.prim].cheap or eqn.regions:
            return False
        return not (self.rounded and jumps(eqn))

    # -- one scope

    def _scope(self, scope: Node) -> None:
        positions = {v: p for v, p in self.needs.items() if self.program.home[v].scope is scope}
        inputs, leaves = self._graph(scope, positions)
        asked = [v for v in self.needs if self.program.home[v].scope is scope]
        costs = {v: _bytes(v) for v in positions}
        leaves = {v for v in leaves if not self._at_hand(v, positions[v])}
        sinks = [v for v in asked if not self._at_hand(v, positions[v])]
        cut = vertex_cut(inputs, costs, leaves, sinks)
        order = {v: k for k, v in enumerate(self.program.home)}
        if cut:
            self.plan.saved[scope] = sorted(cut, key=order.__getitem__)
        self.plan.cost += sum(map(_bytes, cut)) * TRIPS**scope.depth
        self._ask_outer(scope, sinks, cut, inputs, positions)

    def _graph(self, scope: Node, positions: Needs) -> tuple[dict[Var, list[Var]], set[Var]]:
        """The dataflow graph above the needs. `positions` is extended: each variable's last use."""
        inputs: dict[Var, list[Var]] = {}
        leaves: set[Var] = set()
        program = self.program
        todo = sorted(positions, key=program.defined_at)
        while todo:
            v = todo.pop()
            eqn = program.definition.get(v)
            if self._at_hand(v, positions[v]) or not self._again(eqn):
                leaves.add(v)
                continue
            leaves.discard(v)
            places = [(u, self._place(u, v, positions[v])) for u in eqn_free_vars(eqn)]
            if any(u in self.chain_of and not self._current(u, at) for u, at in places):
                inputs[v] = []
                leaves.add(v)
                continue
            inner = [(u, at) for u, at in places if self._in_graph(u, scope)]
            inputs[v] = [u for u, _ in inner]
            for u, at in inner:
                if at > positions.get(u, -2):
                    positions[u] = at
                    todo.append(u)
        return inputs, leaves

    def _place(self, u: Var, v: Var, position: int) -> int:
        """The position at which `u` is asked for, when `v` is computed again from it at `position`.
        Inside a branch that is after the branch, where `u` would be computed again; a version that
        is put back is at hand inside."""
        home, inner = self.program.home[u], self.program.home[v]
        if home is inner or (u in self.chain_of and home.scope is inner.scope):
            return position
        return self.program.climb(inner, home)

    def _in_graph(self, u: Var, scope: Node) -> bool:
        """Values from outside the scope cost nothing here, nor do arrays that are put back."""
        return self.program.home[u].scope is scope and u not in self.chain_of

    def _ask_outer(
        self,
        scope: Node,
        sinks: list[Var],
        cut: set[Var],
        inputs: dict[Var, list[Var]],
        positions: Needs,
    ) -> None:
        """What is evaluated again in this scope asks for values of the scopes around it."""
        todo, seen = [v for v in sinks if v not in cut], set()
        while todo:
            v = todo.pop()
            if v in seen or v in cut or self._at_hand(v, positions[v]):
                continue
            seen.add(v)
            for u in eqn_free_vars(self.program.definition[v]):
                if self._in_graph(u, scope):
                    todo.append(u)
                elif self.program.home[u].scope is not scope:
                    at = self._place(u, v, positions[v])
                    self.needs[u] = max(at, self.needs.get(u, -1))


def _bytes(v: Var) -> float:
    size = DTYPES[v.type.dtype][1]
    for extent in v.type.shape:
        size *= extent if isinstance(extent, int) else EXTENT
    return float(size)
