"""What the reverse sweep saves, puts back, or computes again.

For every scope (the body of a loop, or the function) the values that the reverse sweep asks for are
the sinks of a graph whose edges are the equations that may be evaluated again. What is at hand for
nothing (the loop index, values from outside, arrays that are put back) separates it from nothing;
the rest is cut at the least number of bytes. What is cut is saved, once per iteration.

A loop inside a loop may be run again when the outer one is reversed (rerun.py): its results can
then be evaluated again like those of an equation, and what its body saves is kept for one run only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from s2s_ad.analysis.chains import Chain
from s2s_ad.analysis.inversion import jumps
from s2s_ad.analysis.mincut import INFINITE, vertex_cut
from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.analysis.rerun import EFFORT, effort, inside, needed, operands, shown
from s2s_ad.ir.core import Atom, Eqn, Var, eqn_free_vars
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.types import DTYPES

#: Stand-ins for what is only known at run time, used to compare plans.
TRIPS, EXTENT = 64, 100
#: What it costs to keep a byte in memory that is used again soon; for good, it costs 1.
REUSED = 0.125
#: From this effort on, a function of a number is rather saved than computed again.
DEAR = 16.0

Needs = dict[Var, int]  # variable -> the last position, in its region, at which it is asked for


@dataclass
class Plan:
    """`saved` lists, for every scope, the variables that are saved; `restored` are the versions of
    arrays that are put back, but for the writes `fresh`, which stay; `again` holds the bodies of
    the loops that are run again, and which of their results are asked for; `rounded` says that what
    is put back may differ by rounding; `cost` is an estimate in bytes."""

    saved: dict[Node, list[Var]] = field(default_factory=dict)
    restored: frozenset[Var] = frozenset()
    fresh: frozenset[Eqn] = frozenset()
    again: dict[Node, set[Var]] = field(default_factory=dict)
    rounded: bool = False
    cost: float = 0.0

    def is_saved(self, program: Program, v: Var) -> bool:
        return v in self.saved.get(program.home[v].scope, ())

    def holder(self, scope: Node) -> Node | None:
        """The innermost loop that is run again around (or with) the body `scope`: every run of it
        has its own tapes."""
        return next((n for n in reversed(scope.loops()) if n in self.again), None)

    def kept_by(self, holder: Node | None) -> list[Var]:
        """What is saved in every run of a loop; with None, for good."""
        return [v for s, own in self.saved.items() if self.holder(s) is holder for v in own]


def make_plan(
    program: Program,
    needs: Needs,
    restored: Iterable[Chain],
    again: Mapping[Node, bool] = MappingProxyType({}),
    results: Iterable[Atom] = (),
) -> Plan:
    """The cheapest plan for `needs`, with these chains put back and the loops `again` run again:
    for what they compute within, and, where it says so, for their results too. `results` are those
    of the function that are wanted; they matter for what is run again only."""
    return _Planner(program, dict(needs), list(restored), again, results).run()


def dear(program: Program) -> set[Var]:
    """Functions of numbers that are rather read from somewhere than computed again."""
    numbers = {v: e for v, e in program.definition.items() if not v.type.is_array}
    return {v for v, e in numbers.items() if e.prim in EFFORT and effort(e, EXTENT) >= DEAR}


class _Planner:
    def __init__(
        self,
        program: Program,
        needs: Needs,
        restored: list[Chain],
        again: Mapping[Node, bool],
        results: Iterable[Atom],
    ) -> None:
        self.program, self.results, self.again = program, list(results), again
        self.needs: dict[Node, Needs] = {}  # by the scopes of what is needed
        for v, position in needs.items():
            self._need(v, position)
        self.order = {v: k for k, v in enumerate(program.home)}
        self.chain_of = {v: c for c in restored for v in c.versions}
        self.stale = {e for c in restored for e in c.stale}
        stay = frozenset(w for c in restored for w in c.fresh)
        restores = {"restored": frozenset(self.chain_of), "fresh": stay}
        self.plan = Plan(**restores, again={n: set() for n in again})
        undone = (w for c in restored for w in c.writes if w in program.undo)
        self.plan.rounded = any(w.out.type.is_float for w in undone)

    def run(self) -> Plan:
        scopes = {n.scope: None for n in self.program.nodes.values() if n.kind != "cond"}
        for scope in sorted(scopes, key=lambda n: -n.depth):
            self._scope(scope)
            if scope in self.plan.again:
                self._ask_operands(scope)
        if self.plan.again:
            self.plan.cost += self._computed_twice()
        if any(map(self._is_outdated, self.plan.again)):
            self.plan.cost = INFINITE  # no plan
        return self.plan

    def _need(self, v: Var, position: int) -> None:
        needs = self.needs.setdefault(self.program.home[v].scope, {})
        needs[v] = max(position, needs.get(v, -1))

    # -- questions

    def _current(self, v: Var, position: int) -> bool:
        """True if a version that is put back has been when `position` is reversed. A write that
        stays has overwritten nothing that is read."""
        scope = self.program.home[v].scope
        after = self.chain_of[v].following.get(v, ())
        following = [e for e in after if e.prim != "if" and e not in self.plan.fresh]
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

    def _counts(self, v: Var) -> bool:
        """True for the number of iterations of a loop that is run again. It is never saved: it must
        be that of the run whose tapes are read, and rounding may make two runs differ."""
        eqn = self.program.definition.get(v)
        if eqn is None or eqn.prim not in LOOPS:
            return False
        count = eqn.params.get("counter", 0 if eqn.params.get("exit") else None)
        again = self.program.nodes[eqn.regions[-1]] in self.again
        return again and count is not None and eqn.outs[count] is v

    def _again(self, v: Var) -> bool:
        """True where the equation of `v` may be evaluated again."""
        eqn = self.program.definition.get(v)
        if eqn is None:
            return False
        if eqn.prim in LOOPS:
            return self._counts(v) or self.again.get(self.program.nodes[eqn.regions[-1]], False)
        cheap = PRIMS[eqn.prim].cheap and eqn not in self.stale
        return cheap and not (self.plan.rounded and jumps(eqn))

    def _inputs(self, v: Var) -> list[Var]:
        """What is read when the equation of `v` is evaluated again."""
        eqn = self.program.definition[v]
        if not eqn.regions:
            return eqn_free_vars(eqn)
        node = self.program.nodes[eqn.regions[-1]]
        return operands(self.program, node, (v, *self.plan.kept_by(node)))

    # -- one scope

    def _scope(self, scope: Node) -> None:
        asked = self.needs.get(scope, {})
        positions = dict(asked)
        inputs, leaves = self._graph(scope, positions)
        costs = {v: INFINITE if self._counts(v) else _bytes(v) for v in positions}
        leaves = {v for v in leaves if not self._at_hand(v, positions[v])}
        sinks = [v for v in asked if not self._at_hand(v, positions[v])]
        if any(costs[v] == INFINITE for v in leaves):
            self.plan.cost = INFINITE  # no plan
            return
        cut = vertex_cut(inputs, costs, leaves, sinks)
        efforts = self._efforts(scope, inputs, cut)
        if efforts:
            cut = vertex_cut(inputs, costs, leaves, sinks, efforts)
        if cut:
            self.plan.saved[scope] = sorted(cut, key=self.order.__getitem__)
        price = 1.0 if self.plan.holder(scope) is None else REUSED
        self.plan.cost += price * sum(map(_bytes, cut)) * TRIPS**scope.depth
        seen = self._ask_outer(scope, sinks, cut, positions)
        self.plan.cost += sum(efforts.get(v, 0.0) for v in seen) * TRIPS**scope.depth

    def _graph(self, scope: Node, positions: Needs) -> tuple[dict[Var, list[Var]], set[Var]]:
        """The dataflow graph above the needs. `positions` is extended: each variable's last use."""
        inputs: dict[Var, list[Var]] = {}
        leaves: set[Var] = set()
        program = self.program
        todo = sorted(positions, key=program.defined_at)
        while todo:
            v = todo.pop()
            if self._at_hand(v, positions[v]) or not self._again(v):
                leaves.add(v)
                continue
            leaves.discard(v)
            places = [(u, self._place(u, v, positions[v])) for u in self._inputs(v)]
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
        positions: Needs,
    ) -> set[Var]:
        """What is evaluated again in this scope asks for values of the scopes around it. Returns
        it."""
        todo, seen = [v for v in sinks if v not in cut], set()
        while todo:
            v = todo.pop()
            if v in seen or v in cut or self._at_hand(v, positions[v]):
                continue
            seen.add(v)
            eqn = self.program.definition[v]
            if eqn.regions:
                self.plan.again[self.program.nodes[eqn.regions[-1]]].add(v)
            for u in self._inputs(v):
                if self._in_graph(u, scope):
                    todo.append(u)
                elif self.program.home[u].scope is not scope:
                    self._need(u, self._place(u, v, positions[v]))
        return seen

    def _efforts(
        self, scope: Node, inputs: Mapping[Var, list[Var]], cut: set[Var]
    ) -> dict[Var, float]:
        """Functions of numbers that take longer to compute again than to save. Only what the
        forward sweep computes anyway counts, and nothing where a scope needs no tape at all."""
        if not cut:
            return {}
        again = {v: self.program.definition[v] for v in inputs if not v.type.is_array}
        dear = {v: effort(eqn, EXTENT) for v, eqn in again.items() if eqn.prim in EFFORT}
        dear = {v: cost for v, cost in dear.items() if cost >= DEAR}
        if not dear:
            return {}
        around = scope.loops()[:1]  # what is before the outermost loop computes nothing of it
        first = needed(self.program, cut, around[0].eqn if around else None)
        return {v: cost for v, cost in dear.items() if v in first}

    # -- loops that are run again

    def _ask_operands(self, node: Node) -> None:
        """A loop is run again, at the latest, right before it is reversed."""
        kept = self.plan.kept_by(node)
        if any(v.type.is_array for v in kept):
            self.plan.cost = INFINITE  # tapes of arrays are made once, before all loops
        position = self.program.end[node.eqn]
        for u in operands(self.program, node, kept):
            self._need(u, self._place(u, node.eqn.outs[0], position))

    def _is_outdated(self, node: Node) -> bool:
        """True where a loop that is run again would load what has been overwritten since."""
        found = self._run_again(node)
        return any(self.program.definition.get(v) in self.stale for v in found)

    def _run_again(self, node: Node) -> list[Var]:
        """What a loop that is run again computes."""
        wanted = (*self.plan.again[node], *self.plan.kept_by(node))
        found = needed(self.program, wanted, node.eqn)
        return [v for v in found if inside(self.program, v, node.eqn)]

    def _computed_twice(self) -> float:
        """What it takes to compute again what the forward sweep computes as well."""
        results = [a for a in self.results if isinstance(a, Var)]
        first = needed(self.program, (*results, *shown(self.program), *self.plan.kept_by(None)))
        total = 0.0
        for node in self.plan.again:
            for v in self._run_again(node):
                eqn = self.program.definition.get(v)
                if v in first and eqn is not None:
                    depth = self.program.home[v].scope.depth
                    total += effort(eqn, EXTENT) * TRIPS**depth
        return total


def _bytes(v: Var) -> float:
    size = DTYPES[v.type.dtype][1]
    for extent in v.type.shape:
        size *= extent if isinstance(extent, int) else EXTENT
    return float(size)
