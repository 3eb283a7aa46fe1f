"""The forward sweep: the primal part of a differentiated function, keeping what the plan says.

    s = for 0, n, 1, x0 { (i, x)             tape = empty n
      y = sin x                              x.out, tape.out = for 0, n, 1, x0, tape { (i, x, tape)
      yield y                                  tape.1 = store tape, x, i
    }                                          y = sin x
                                               yield y, tape.1
                                             }

A tape has one axis per loop around the value where all trip counts are known before the outermost
loop: it is allocated there, and indexed by the iterations. Else it is a stack, and a counter gives
the position: of known size where the bounds are arithmetic on outer indices (a triangular nest is
counted beforehand), growing where they are not (a `while`, a `for` that may end early). A value in
a branch outside all loops needs no tape: the branch gets a further result. Arrays whose size
changes from one iteration to the next go to a flat tape, one after the other, with their extents
beside; their elements are counted beforehand where the extents are arithmetic on indices too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from s2s_ad.analysis.extents import Extents, first_checks
from s2s_ad.analysis.plan import Plan
from s2s_ad.analysis.program import LOOPS, Hints, Node, Program
from s2s_ad.ir.build import Builder, boolean, i64, number
from s2s_ad.ir.core import TANGENT, Atom, Eqn, Func, Lit, Region, Var, region_defs
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.types import I64, UNKNOWN, Type

#: The first size of a stack, in entries.
STACK = 64


def prepare(func: Func) -> Func:
    """`func` with every `while` that has a linear part counting its iterations in a carried i64;
    the parameter `counter` gives that variable's place among the carried ones."""
    return func.with_(body=_count_whiles(func.body))


def _count_whiles(region: Region) -> Region:
    eqns = []
    for eqn in region.eqns:
        regions = tuple(map(_count_whiles, eqn.regions))
        eqn = eqn.with_(regions=regions) if regions else eqn
        if eqn.prim == "while" and "counter" not in eqn.params:
            eqn = _counted(eqn)
        eqns.append(eqn)
    return Region(region.params, tuple(eqns), region.results)


def _counted(eqn: Eqn) -> Eqn:
    """The counter goes before the linear slots, which stay the last."""
    at = len(eqn.ins) - eqn.params.get("linear", 0)
    cond, body = eqn.regions
    count, again, out = (Var("count", I64) for _ in range(3))
    b = Builder(eqn.loc)
    b.eqns += body.eqns
    more = b.emit("add", count, i64(1), name="count")

    def insert(items: tuple, item: object) -> tuple:
        return (*items[:at], item, *items[at:])

    return eqn.with_(
        ins=insert(eqn.ins, i64(0)),
        outs=insert(eqn.outs, out),
        params={**eqn.params, "counter": at},
        regions=(
            Region(insert(cond.params, again), cond.eqns, cond.results),
            b.region(insert(body.params, count), insert(body.results, more)),
        ),
    )


def with_extents(func: Func, primal_of: Mapping[Var, Var]) -> tuple[Func, Hints]:
    """`func` reading the extents of its active arrays inside loops and branches, so that the
    reverse sweep can ask for those that it cannot find otherwise; the rest is dead code. Tangents
    whose primals are gone, since nothing needs their values, have no such array."""
    left = {*func.params, *region_defs(func.body)}
    primal_of = {dot: v for dot, v in primal_of.items() if v in left}
    arrays = set(primal_of.values())
    found: dict[tuple[Var, int], Var] = {}

    def read(region: Region, top: bool) -> Region:
        b = Builder()

        def keep(v: Var) -> None:
            for axis, size in enumerate(v.type.shape if v in arrays and not top else ()):
                if not isinstance(size, int):
                    found[v, axis] = b.emit("dim", v, axis=axis, name="n")

        for param in region.params:
            keep(param)
        for eqn in region.eqns:
            regions = tuple(read(r, False) for r in eqn.regions)
            b.append(eqn.with_(regions=regions) if regions else eqn)
            for out in eqn.outs:
                keep(out)
        return b.region(region.params, region.results)

    body = read(func.body, True)
    return func.with_(body=body), Hints(primal_of, found)


@dataclass
class Forward:
    """The forward sweep, built. `state` maps every saved variable to its tape (or, for a value of a
    branch outside loops, to itself), and every scope in `stacks` to its final position. Tapes of
    the scopes in `growing` grow; a `while` outside other loops needs no position but its own
    counter."""

    builder: Builder
    state: dict[object, Atom] = field(default_factory=dict)
    stacks: list[Node] = field(default_factory=list)
    growing: set[Node] = field(default_factory=set)


def forward(program: Program, plan: Plan, again: Node | None = None) -> Forward:
    """The primal equations of `program`, with the saves of `plan`; with `again`, only those of a
    loop that is run again, given by its body."""
    out = Forward(Builder())
    sweep = _Sweep(program, plan, out, again)
    if again is None:
        sweep.region(program.root, out.builder)
    else:
        sweep.loop(again.eqn, out.builder)
    return out


def loops_of(plan: Plan, scope: Node) -> list[Node]:
    """The loops whose iterations the tapes of `scope` are indexed by, outermost first."""
    loops, holder = scope.loops(), plan.holder(scope)
    return loops if holder is None else loops[loops.index(holder) :]


def ordinal(b: Builder, index: Atom, start: Atom, step: Atom) -> Atom:
    """The number of the iteration, from 0, of a loop's index."""
    if step == i64(1):
        return index if start == i64(0) else b.emit("sub", index, start, name="k")
    if step == i64(-1):
        return b.emit("sub", start, index, name="k")
    return b.emit("floordiv", b.emit("sub", index, start, name="k"), step, name="k")


def start_and_step(node: Node) -> tuple[Atom, Atom]:
    """Of the index of a loop; a `while` counts from 0."""
    return (i64(0), i64(1)) if node.eqn.prim == "while" else (node.eqn.ins[0], node.eqn.ins[2])


def _runs_to_its_end(node: Node) -> bool:
    """True for a `for` that cannot end early: its trip count is known when it starts, and it is
    not merely a bound, which may be far too large to allocate."""
    return node.eqn.prim == "for" and not node.eqn.params.get("exit")


def trip_count(b: Builder, start: Atom, stop: Atom, step: Atom) -> Atom:
    """The length of `range(start, stop, step)`: ⌈(stop − start) / step⌉, at least 0."""
    if all(isinstance(a, Lit) for a in (start, stop, step)):
        return i64(len(range(start.value, stop.value, step.value)))
    if step == i64(1):
        span = stop if start == i64(0) else b.emit("sub", stop, start, name="trips")
    elif step == i64(-1):
        span = b.emit("sub", start, stop, name="trips")
    else:
        back = b.emit("floordiv", b.emit("sub", start, stop, name="trips"), step, name="trips")
        span = b.emit("neg", back, name="trips")
    return b.emit("maximum", span, i64(0), name="trips")


class _Sweep:
    def __init__(self, program: Program, plan: Plan, out: Forward, again: Node | None) -> None:
        self.program, self.plan, self.out, self.holder = program, plan, out, again
        self.state = out.state
        self.counted: set[Var] = set()  # whose flat tapes are large enough from the start

    # -- regions

    def region(self, node: Node, b: Builder) -> None:
        first = first_checks(self.program, node) if node.kind == "loop" else []
        for eqn in first:  # tapes have the extents that are checked
            self.equation(eqn, b)
        for param in node.region.params:
            self.save(param, b)
        for eqn in node.region.eqns:
            if eqn.role != TANGENT and eqn not in first:
                self.equation(eqn, b)

    def equation(self, eqn: Eqn, b: Builder) -> None:
        with b.at(eqn.loc):
            if eqn.prim == "if":
                self.branch(eqn, b)
            elif eqn.prim in LOOPS:
                self.loop(eqn, b)
            else:
                b.append(eqn)
            for out in eqn.outs:
                self.save(out, b)

    def primal(self, items: tuple, eqn: Eqn) -> tuple:
        """Without the linear ones, which are the last."""
        return items[: len(items) - eqn.params.get("linear", 0)]

    def branch(self, eqn: Eqn, b: Builder) -> None:
        before, builders, results, after = dict(self.state), [], [], []
        for region in eqn.regions:
            self.state.clear()
            self.state.update(before)
            inner = Builder(b.loc)
            self.region(self.program.nodes[region], inner)
            builders.append(inner)
            results.append(self.primal(region.results, eqn))
            after.append(dict(self.state))
        changed = [
            key
            for key in dict.fromkeys((*after[0], *after[1]))
            if any(s.get(key) is not before.get(key) for s in after)
        ]
        outs = list(self.primal(eqn.outs, eqn))
        for key in changed:
            values = [s.get(key) for s in after]
            kind = next(v.type for v in values if v is not None)
            for k, (inner, value) in enumerate(zip(builders, values)):
                results[k] += (_dummy(inner, kind) if value is None else value,)
            # the dummy is empty: the result must not promise the extents of the real one
            loose = tuple(d if isinstance(d, int) else UNKNOWN for d in kind.shape)
            outs.append(Var(self._name(key), kind.with_shape(loose)))
        regions = tuple(inner.region((), r) for inner, r in zip(builders, results))
        b.append(_plain(eqn, eqn.ins, tuple(outs), regions))
        self.state.clear()
        self.state.update(before)
        self.state.update(zip(changed, outs[len(outs) - len(changed) :]))

    def loop(self, eqn: Eqn, b: Builder) -> None:
        node = self.program.nodes[eqn.regions[-1]]
        if node is self.holder or (self.holder is None and node.depth == 1):
            self.allocate(node, b)
        keys = [key for key in self.state if self._inside(key, node)]
        inits = [self.state[key] for key in keys]
        params = [Var(self._name(key), a.type) for key, a in zip(keys, inits)]
        self.state.update(zip(keys, params))
        inner = Builder(b.loc)
        self.region(node, inner)
        if node in self.out.stacks:
            bumped = inner.emit("add", self.state[node], i64(1), name=self.state[node].name)
            self.state[node] = bumped
        results = self.primal(node.region.results, eqn) + tuple(self.state[k] for k in keys)
        own = self.primal(node.region.params, eqn) + tuple(params)
        regions = [inner.region(own, results)]
        if eqn.prim == "while":
            cond = eqn.regions[0]
            unused = tuple(Var(v.name, v.type) for v in params)
            kept = self.primal(cond.params, eqn) + unused
            regions.insert(0, Region(kept, cond.eqns, cond.results))
        outs = [Var(v.name, v.type) for v in params]
        ins = self.primal(eqn.ins, eqn) + tuple(inits)
        b.append(_plain(eqn, ins, self.primal(eqn.outs, eqn) + tuple(outs), tuple(regions)))
        self.state.update(zip(keys, outs))

    def _inside(self, key: object, node: Node) -> bool:
        """True for a tape or counter of the scope of `node` or of one inside it."""
        return node in key_home(self.program, key).scope.loops()

    def _name(self, key: object) -> str:
        if isinstance(key, Node):
            return "top"
        what, v = key if isinstance(key, tuple) else ("tape", key)
        return f"{v.name.split('.')[0]}_{what}"

    # -- tapes

    def allocate(self, outermost: Node, b: Builder) -> None:
        """The tapes of all scopes in a nest of loops, before the outermost one."""
        inside = [
            s
            for s in self.plan.saved
            if self.plan.holder(s) is self.holder and outermost in s.loops()
        ]
        for scope in sorted(inside, key=lambda s: s.depth):
            trips = self._trips(scope, outermost, b)
            if trips is None and len(loops_of(self.plan, scope)) > 1:
                self.out.stacks.append(scope)
                self.state[scope] = i64(0)
            total = self._entries(scope, outermost, b) if trips is None else None
            grows = trips is None and total is None
            if grows:
                self.out.growing.add(scope)
            trips = trips or [i64(STACK) if total is None else total]
            for v in self.plan.saved[scope]:
                extents = self._extents(v, outermost, b)
                if extents is not None:
                    self._empty(v, v.type.dtype, [*trips, *extents], grows, b)
                    continue
                size = self._entries(scope, outermost, b, v)
                self.counted.update(() if size is None else (v,))
                self._empty(v, v.type.dtype, [size or i64(STACK)], size is None, b)
                self._empty(("shape", v), "i64", [*trips, i64(v.type.ndim)], grows, b)
                self.state["end", v] = i64(0)

    def _empty(self, key: object, dtype: str, shape: list[Atom], grows: bool, b: Builder) -> None:
        known = tuple(_static(a) for a in shape)
        kind = Type(dtype, (UNKNOWN, *known[1:]) if grows else known)
        self.state[key] = b.emit("empty", *shape, name=self._name(key), type=kind, dtype=dtype)

    def _outside(self, a: Atom, outermost: Node) -> bool:
        return isinstance(a, Lit) or outermost not in self.program.home[a].loops()

    def _trips(self, scope: Node, outermost: Node, b: Builder) -> list[Atom] | None:
        """The trip counts of the loops around `scope`; None where one is not known beforehand."""
        bounds = []
        for node in loops_of(self.plan, scope):
            if not _runs_to_its_end(node):
                return None
            if not all(self._outside(a, outermost) for a in node.eqn.ins[:3]):
                return None
            bounds.append(node.eqn.ins[:3])
        return [trip_count(b, *three) for three in bounds]

    def _entries(
        self, scope: Node, outermost: Node, b: Builder, v: Var | None = None
    ) -> Atom | None:
        """How often the body of `scope` runs in all, or how many elements `v` has there in all,
        counted beforehand by running the loops around it, where their bounds (and the extents) are
        arithmetic on indices; else None."""
        loops = loops_of(self.plan, scope)
        if not all(map(_runs_to_its_end, loops)):
            return None

        def count(level: int, b: Builder, env: dict[Var, Atom], total: Atom) -> Atom | None:
            eqn = loops[level].eqn
            bounds = [self._bound(a, outermost, b, env) for a in eqn.ins[:3]]
            if None in bounds:
                return None
            innermost = level == len(loops) - 1
            if innermost and v is None:
                return b.emit("add", total, trip_count(b, *bounds), name="entries")
            inner = Builder(b.loc)
            own = self.program.index_of(loops[level])
            index, so_far = Var(own.name, I64), Var("entries", I64)
            env = {**env, own: index}
            if innermost:
                size = self._size(v, outermost, inner, env)
                after = size and inner.emit("add", so_far, size, name="entries")
            else:
                after = count(level + 1, inner, env, so_far)
            if after is None:
                return None
            region = inner.region((index, so_far), (after,))
            return b.equation("for", (*bounds, total), None, (region,), ("entries",))[0]

        return count(0, b, {}, i64(0))

    def _bound(self, a: Atom, outermost: Node, b: Builder, env: dict[Var, Atom]) -> Atom | None:
        """A loop bound, from outer indices (in `env`) and what is known before the loops."""
        if self._outside(a, outermost):
            return a
        if a in env:
            return env[a]
        eqn = self.program.definition.get(a)
        if eqn is None or not PRIMS[eqn.prim].elementwise or eqn.out.type != I64:
            return None
        ins = [self._bound(operand, outermost, b, env) for operand in eqn.ins]
        if None in ins:
            return None
        env[a] = b.emit(eqn.prim, *ins, name=a.name, **eqn.params)
        return env[a]

    def _size(self, v: Var, outermost: Node, b: Builder, env: dict[Var, Atom]) -> Atom | None:
        """The number of elements of `v` in one iteration."""

        def scalar(a: Atom) -> Atom | None:
            return self._bound(a, outermost, b, env)

        extents = self._extents(v, outermost, b, scalar)
        return None if extents is None else product(b, extents)

    def _extents(
        self,
        v: Var,
        outermost: Node,
        b: Builder,
        scalar: Callable[[Atom], Atom | None] | None = None,
    ) -> list[Atom] | None:
        """The extents of `v`, if they are known before the loops: the same in every iteration, or
        arithmetic on what `scalar` gives."""

        def dim(array: Var, axis: int) -> Atom | None:
            at_hand = self._outside(array, outermost) and array not in self.program.linear
            return b.emit("dim", array, axis=axis, name="n") if at_hand else None

        def invariant(a: Atom) -> Atom | None:
            return a if self._outside(a, outermost) else None

        extents = Extents(self.program, b, dim, scalar or invariant)
        found = [extents.find(v, axis) for axis in range(v.type.ndim)]
        return None if None in found else found

    def save(self, v: Var, b: Builder) -> None:
        scope = self.program.home[v].scope
        if not self.plan.is_saved(self.program, v) or self.plan.holder(scope) is not self.holder:
            return
        if scope.kind == "root":
            self.state[v] = v
        elif ("end", v) in self.state:
            self._save_piece(v, scope, b)
        else:
            self._write(v, v, scope, self._indices(scope, b), b)

    def _indices(self, scope: Node, b: Builder) -> list[Atom]:
        if scope in self.state:
            return [self.state[scope]]
        loops = loops_of(self.plan, scope)
        return [ordinal(b, self.program.index_of(n), *start_and_step(n)) for n in loops]

    def _write(self, key: object, v: Atom, scope: Node, at: list[Atom], b: Builder) -> None:
        """One entry of a tape."""
        tape = self.state[key]
        if scope in self.out.growing:
            tape = b.emit("grow", tape, at[0], name=tape.name)
        spec = tape_spec(at, v)
        self.state[key] = b.emit("store", tape, v, *at, spec=spec, name=tape.name, type=tape.type)

    def _save_piece(self, v: Var, scope: Node, b: Builder) -> None:
        """An array whose size is its own in every iteration: its elements go to the end of a flat
        tape, its extents to another."""
        at = self._indices(scope, b)
        shape = [b.emit("dim", v, axis=axis, name="n") for axis in range(v.type.ndim)]
        for axis, n in enumerate(shape):
            self._write(("shape", v), n, scope, [*at, i64(axis)], b)
        size = product(b, shape)
        flat = v if v.type.ndim == 1 else b.emit("reshape", v, size, name=v.name)
        start, tape = self.state["end", v], self.state[v]
        end = b.emit("add", start, size, name=f"{v.name}_end")
        if v not in self.counted:
            tape = b.emit("grow", tape, end, name=tape.name)
        new = b.emit("store", tape, flat, start, end, spec="_:_", name=tape.name, type=tape.type)
        self.state[v], self.state["end", v] = new, end


def product(b: Builder, factors: list[Atom]) -> Atom:
    """The number of elements of an array with these extents."""
    size = factors[0]
    for factor in factors[1:]:
        size = b.emit("mul", size, factor, name="n")
    return size


def key_home(program: Program, key: object) -> Node:
    """The region that an entry of `Forward.state` belongs to: a stacked scope, a saved variable, or
    what goes with one."""
    if isinstance(key, Node):
        return key
    return program.home[key[1] if isinstance(key, tuple) else key]


def tape_spec(indices: list[Atom], v: Var) -> str:
    """The subscript of one entry of a tape of `v`."""
    return ",".join(["i"] * len(indices) + [":"] * v.type.ndim)


def _plain(eqn: Eqn, ins: tuple, outs: tuple, regions: tuple) -> Eqn:
    """The equation without its linear part."""
    params = {k: v for k, v in eqn.params.items() if k not in ("linear", "counter")}
    return eqn.with_(ins=ins, outs=outs, regions=regions, params=params)


def _static(a: Atom) -> int | str:
    return a.value if isinstance(a, Lit) else UNKNOWN


def _dummy(b: Builder, kind: Type) -> Atom:
    """A value of a type that nobody reads: from the branch that was not taken."""
    if not kind.is_array:
        return boolean(False) if kind.dtype == "bool" else number(0, kind.dtype)
    shape = [i64(d if isinstance(d, int) else 0) for d in kind.shape]
    return b.emit("empty", *shape, type=kind, dtype=kind.dtype)
