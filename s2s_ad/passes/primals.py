"""The values of the primal in the reverse sweep: from a tape, computed again, or put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from s2s_ad.analysis.plan import Needs, Plan
from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import RECOMPUTED, Atom, Lit, Var
from s2s_ad.ir.prims import PRIMS
from s2s_ad.passes.rerun import run_again
from s2s_ad.passes.tape import Forward, loops_of, ordinal, product, start_and_step, tape_spec


@dataclass
class Frame:
    """A region of the primal being reversed. `env` maps its variables to their values in the
    reverse sweep, `ct` its linear variables to their cotangents; `again` holds the tapes of its
    loops that have been run again; `position` is where the reversal is."""

    node: Node
    b: Builder
    parent: Frame | None
    env: dict[Var, Atom] = field(default_factory=dict)
    ct: dict[Var, Atom] = field(default_factory=dict)
    tops: dict[object, Atom] = field(default_factory=dict)
    again: dict[Node, Forward] = field(default_factory=dict)
    position: int = -1


class Primals:
    """What a reverse sweep knows of the primal, at the frame where it is. Without a forward sweep
    it only records, in `needs`, what is asked of the primal, and at which position."""

    def __init__(
        self, program: Program, plan: Plan, ahead: Forward | None, builder: Builder
    ) -> None:
        self.program, self.plan, self.ahead = program, plan, ahead
        self.frame = Frame(program.root, builder, None)
        self.needs: Needs = {}
        #: Versions whose elements, those that are read, the next version has as well.
        self.staying = {w.ins[0]: w.out for w in plan.fresh}
        if ahead is not None:
            self.frame.tops = {key: ahead.state[key] for key in positions(ahead)}

    def lookup(self, a: Atom) -> Atom:
        """The value of a primal variable, in the reverse sweep. What it is computed from comes
        first; chains of hundreds of values are no calls inside calls."""
        if isinstance(a, Lit):
            return a
        asked = [(a, self.frame)]
        while True:
            v, inside = asked[-1]
            frame, value = self._known(v, inside)
            if value is None:
                missing = self._missing(v, frame)
                if missing is not None:
                    asked.append((missing, frame))
                    continue
                value = self._found(v, frame)
            asked.pop()
            if not asked:
                return value

    def _known(self, a: Var, frame: Frame) -> tuple[Frame, Atom | None]:
        """The frame of a variable's region, or a frame inside it where the variable has a value,
        and the value; None where it has none yet."""
        home = self.program.home[a]
        while a not in frame.env and frame.node is not home:
            frame = frame.parent
        return frame, frame.env.get(a)

    def _missing(self, a: Var, frame: Frame) -> Var | None:
        """The first variable that `a` is to be computed from and that has no value yet."""
        if self.ahead is None or frame.node.kind == "root":
            return None
        if self.plan.is_saved(self.program, a):
            return None
        if a in self.staying:
            wanted: Sequence[Atom] = (self._last(a, frame),)
        else:
            eqn = self.program.definition[a]
            wanted = () if eqn.regions else eqn.ins
        return next((u for u in wanted if self._lacking(u, frame)), None)

    def _lacking(self, a: Atom, frame: Frame) -> bool:
        if isinstance(a, Lit) or self.program.home[a].kind == "root":
            return False
        return self._known(a, frame)[1] is None

    def _last(self, a: Var, frame: Frame) -> Var:
        """The version that has the elements of `a` as well, and that has a value."""
        while a in self.staying and a not in frame.env:
            a = self.staying[a]
        return a

    def _found(self, a: Var, frame: Frame) -> Atom:
        """The value of a variable of the region of `frame`, kept for the next time."""
        value = self._record(a, frame) if self.ahead is None else self._materialise(a, frame)
        if value is not a or frame.node.kind != "root":
            frame.env[a] = value
        return value

    def _record(self, a: Var, frame: Frame) -> Atom:
        self.needs[a] = max(frame.position, self.needs.get(a, -1))
        return a

    def _materialise(self, a: Var, frame: Frame) -> Atom:
        """A variable of the region of `frame`: from its tape, or computed again."""
        if self.plan.is_saved(self.program, a):
            return self._read_tape(a, frame)
        if frame.node.kind == "root":
            return a
        if a in self.staying:
            return self._from(frame)(self._last(a, frame))
        eqn = self.program.definition[a]
        if eqn.prim in LOOPS and self.program.nodes[eqn.regions[-1]] in self.plan.again:
            self._run_again(self.program.nodes[eqn.regions[-1]], frame)
            return frame.env[a]
        if eqn.regions or not PRIMS[eqn.prim].cheap:
            raise AssertionError(f"the plan neither saves {a} nor lets it be computed again")
        ins = tuple(map(self._from(frame), eqn.ins))
        out = Var(a.name, a.type)
        with frame.b.at(eqn.loc):
            frame.b.append(eqn.with_(outs=(out,), ins=ins, role=RECOMPUTED))
        return out

    def _run_again(self, node: Node, frame: Frame) -> None:
        """Run a loop of the region of `frame` again, unless that has been done."""
        if node not in frame.again:
            results, ahead = run_again(self.program, self.plan, node, self._from(frame), frame.b)
            frame.env.update(results)
            frame.again[node] = ahead
            frame.tops.update((key, ahead.state[key]) for key in positions(ahead))

    def _ahead(self, scope: Node, frame: Frame) -> Forward:
        """The sweep that has the tapes of `scope`."""
        holder = self.plan.holder(scope)
        while holder is not None and holder not in frame.again:
            frame = frame.parent
        return self.ahead if holder is None else frame.again[holder]

    def _read_tape(self, a: Var, frame: Frame) -> Atom:
        scope = frame.node.scope
        ahead = self._ahead(scope, frame)
        tape = ahead.state[a]
        if scope.kind == "root":
            return tape
        if scope in ahead.stacks:
            indices = [self._top(scope, frame)]
        else:
            look = self._from(frame)
            indices = [
                ordinal(frame.b, look(self.program.index_of(n)), *map(look, start_and_step(n)))
                for n in loops_of(self.plan, scope)
            ]
        if ("end", a) in ahead.state:
            return self._read_piece(a, frame, indices)
        spec = tape_spec(indices, a)
        return frame.b.emit("load", tape, *indices, spec=spec, name=a.name, type=a.type)

    def _read_piece(self, a: Var, frame: Frame, indices: list[Atom]) -> Atom:
        """The last piece of a flat tape, whose end moves back by as much."""
        b, shapes = frame.b, self.ahead.state["shape", a]
        spec = ",".join("i" * (len(indices) + 1))
        shape = [
            i64(n) if isinstance(n, int)  # an extent that is known to be 1 is stretched
            else b.emit("load", shapes, *indices, i64(axis), spec=spec, name="n")
            for axis, n in enumerate(a.type.shape)
        ]  # fmt: skip
        end = self._top(("end", a), frame)
        start = b.emit("sub", end, product(b, shape), name=f"{a.name}_end")
        frame.tops["end", a] = start
        flat = b.emit("load", self.ahead.state[a], start, end, spec="_:_", name=a.name)
        if a.type.ndim == 1:
            return flat
        return b.emit("reshape", flat, *shape, name=a.name)

    def _from(self, frame: Frame) -> Callable[[Atom], Atom]:
        """`lookup` as seen from an outer frame: what it computes goes there."""

        def look(a: Atom) -> Atom:
            inside, self.frame = self.frame, frame
            value = self.lookup(a)
            self.frame = inside
            return value

        return look

    def _top(self, scope: object, frame: Frame) -> Atom:
        while scope not in frame.tops:
            frame = frame.parent
        return frame.tops[scope]

    def _positions(self) -> list[object]:
        """What the reverse sweep counts down here."""
        found = [] if self.ahead is None else positions(self.ahead)
        frame: Frame | None = self.frame
        while frame is not None:
            found += [key for ahead in frame.again.values() for key in positions(ahead)]
            frame = frame.parent
        return found


def positions(ahead: Forward) -> list[object]:
    """What is counted down: positions on stacks, and the ends of flat tapes."""
    keys = ahead.state
    return [k for k in keys if isinstance(k, Node) or (isinstance(k, tuple) and k[0] == "end")]
