"""Updates that can be undone: which operand of an equation is found again from its result.

    x1 = add x0, d        x0 = sub x1, d

A variable that a loop carries is inverted, not saved, where every equation between its value at the
end of an iteration and the one at the start can be undone. On integers that is exact. On
floating-point numbers it rounds, so it is done only where the user has allowed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from s2s_ad.analysis.program import LOOPS, Program
from s2s_ad.ir.core import Atom, Eqn, Var

#: Primitives that can be undone, with the operands that can be found again.
UNDO = {"add": (0, 1), "sub": (0, 1), "neg": (0,), "mul": (0, 1), "div": (0,), "accum": (0,)}
#: … without rounding, on integers.
EXACT = ("add", "sub", "neg", "accum")

#: Primitives whose value jumps: from operands that carry rounding errors they may be another's.
JUMPS = frozenset(
    "eq ne lt le gt ge isnan isinf isfinite floor ceil trunc rint sign floordiv mod "
    "argmax argmin nonzero any all".split()
)

Undo = Mapping[Eqn, int]  # equation -> the operand that is found again


def undoable(program: Program, rounding: bool) -> dict[Eqn, int]:
    """The equations of `program` that lead from what a loop's iteration starts with to what it
    gives, and can be undone. `rounding` allows it for floating-point numbers."""
    found: dict[Eqn, int] = {}
    for node in program.nodes.values():
        if node.kind != "loop":
            continue
        taken: set[Var] = set()
        params = {s[1] for s in program.slots(node.eqn) if not program.is_linear(s[1])}
        for _, param, result, _ in program.slots(node.eqn):
            if program.is_linear(param):
                continue
            path = _Search(program, rounding, params).path(result, param)
            if path is None or path[0] in taken:
                continue
            if all(found.get(eqn, k) == k for eqn, k in path[1].items()):
                taken.add(path[0])
                found.update(path[1])
    return found


class _Search:
    """Looks for a way back from a variable to one of `goals`."""

    def __init__(self, program: Program, rounding: bool, goals: set[Var]) -> None:
        self.program, self.rounding, self.goals = program, rounding, goals

    def path(self, result: Atom, own: Var) -> tuple[Var, dict[Eqn, int]] | None:
        """(parameter, equations to undo); the variable's own parameter is preferred."""
        ways = list(self._ways(result, 0))
        return next((w for w in ways if w[0] is own), ways[0] if ways else None)

    def _ways(self, a: Atom, depth: int) -> Iterator[tuple[Var, dict[Eqn, int]]]:
        if not isinstance(a, Var) or depth > 40:
            return
        if a in self.goals:
            yield a, {}
            return
        eqn = self.program.definition.get(a)
        if eqn is None:
            return
        if eqn.prim == "if":
            yield from self._through_branch(a, eqn, depth)
        elif eqn.prim in LOOPS:
            yield from self._through_loop(a, eqn, depth)
        elif eqn.prim == "store":
            yield from self._ways(eqn.ins[0], depth + 1)
        else:
            for k in self._operands(eqn):
                for goal, undo in self._ways(eqn.ins[k], depth + 1):
                    yield goal, {**undo, eqn: k}

    def _operands(self, eqn: Eqn) -> list[int]:
        """The operands that can be found again from the result."""
        exact = eqn.out.type.dtype == "i64" and eqn.prim in EXACT
        if not exact and not (self.rounding and eqn.out.type.is_float):
            return []
        return [
            k
            for k in UNDO.get(eqn.prim, ())
            if eqn.ins[k].type == eqn.out.type and not _scaled_by_array(eqn, k)
        ]

    def _through_branch(self, a: Var, eqn: Eqn, depth: int) -> Iterator[tuple[Var, dict[Eqn, int]]]:
        """Both sides must lead to the same variable from before the branch."""
        position = eqn.outs.index(a)
        left, right = (r.results[position] for r in eqn.regions)
        for base in self._before(left, eqn, depth):
            side = _Search(self.program, self.rounding, {base})
            ways = [next(side._ways(r, depth + 1), None) for r in (left, right)]
            if None in ways:
                continue
            for goal, undo in self._ways(base, depth + 1):
                yield goal, {**undo, **ways[0][1], **ways[1][1]}

    def _before(self, a: Atom, eqn: Eqn, depth: int) -> Iterator[Var]:
        """The variables from before a branch that `a`, which it gives, may have come from."""
        if not isinstance(a, Var) or depth > 40:
            return
        inner = self.program.definition.get(a)
        if self.program.home[a].region not in eqn.regions:
            yield a
        elif inner is not None and inner.prim == "store":
            yield from self._before(inner.ins[0], eqn, depth + 1)
        elif inner is not None and not inner.regions:
            for k in self._operands(inner):
                yield from self._before(inner.ins[k], eqn, depth + 1)

    def _through_loop(self, a: Var, eqn: Eqn, depth: int) -> Iterator[tuple[Var, dict[Eqn, int]]]:
        init, param, result, _ = next(s for s in self.program.slots(eqn) if s[3] is a)
        inner = _Search(self.program, self.rounding, {param}).path(result, param)
        if inner is not None:
            for goal, undo in self._ways(init, depth + 1):
                yield goal, {**undo, **inner[1]}


def _scaled_by_array(eqn: Eqn, k: int) -> bool:
    """A factor is checked not to be zero; only single ones are."""
    return eqn.prim in ("mul", "div") and eqn.ins[1 - k].type.is_array


def jumps(eqn: Eqn) -> bool:
    """True for an equation whose value may be quite another where an operand is off by a rounding
    error: it must not be evaluated again from what has been inverted."""
    to_integer = eqn.prim == "convert" and not eqn.out.type.is_float
    return to_integer or eqn.prim in JUMPS
