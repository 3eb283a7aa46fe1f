"""The reverse sweep. See transpose.py, which drives it."""

from __future__ import annotations

from collections.abc import Sequence

from s2s_ad.analysis.extents import Extents, version_before
from s2s_ad.analysis.plan import Plan
from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.errors import S2SError
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import (
    ADJOINT,
    PARALLEL,
    RECOMPUTED,
    TANGENT,
    WISHED,
    Atom,
    Eqn,
    Lit,
    Region,
    Var,
    eqn_uses,
)
from s2s_ad.ir.types import I64, Type
from s2s_ad.ops import Value, zeros
from s2s_ad.passes.primals import Frame, Primals
from s2s_ad.passes.putback import overwritten, undone
from s2s_ad.passes.tape import Forward, key_home
from s2s_ad.rule import TRANSPOSES


class ExtentError(S2SError):
    """The size of an array whose cotangent starts from zero cannot be told."""

    code = "S2S092"


class Reverse(Primals):
    """Reverses a program according to a plan. Without a forward sweep it only records what it asks
    of the primal."""

    def __init__(
        self, program: Program, plan: Plan, ahead: Forward | None, builder: Builder
    ) -> None:
        super().__init__(program, plan, ahead, builder)
        self.dims: dict[tuple[Var, int], Eqn] = {}

    @property
    def b(self) -> Builder:
        return self.frame.b

    def run(self, seeds: Sequence[tuple[Var, Atom]]) -> None:
        """Reverse everything, from the cotangents of the tangents in `seeds`."""
        for v, ct in seeds:
            self._add(v, ct)
        self._region()

    def cotangent(self, v: Var) -> Atom:
        """The cotangent of a linear variable of the function's body, after `run`."""
        return self.frame.ct[v] if v in self.frame.ct else self._zero(v)

    # -- cotangents

    def _add(self, v: Atom, ct: Atom) -> None:
        """Add to the cotangent of a linear variable, which lives in the current frame until the
        region that defines it is done (loops and branches set up those of captured ones)."""
        if not self.program.is_linear(v):
            return
        old = self.frame.ct.get(v)
        if old is not None:
            ct = self.b.emit("add", old, ct, name=bar(v), type=v.type)
        elif isinstance(ct, Var) and ct.name == "t":
            ct = self._rename(ct, bar(v), v.type)
        self.frame.ct[v] = ct

    def _rename(self, ct: Var, name: str, kind: Type) -> Var:
        """Give a temporary that has just been made its name."""
        if not self.b.eqns or self.b.eqns[-1].outs != (ct,):
            return ct
        new = Var(name, kind)
        self.b.eqns[-1] = self.b.eqns[-1].with_(outs=(new,))
        return new

    def _zero(self, v: Var) -> Atom:
        if not v.type.is_array:
            return number(0, v.type.dtype)
        shape = self.extents(v)
        out = zeros(self.b, v.type, shape).atom
        self.b.eqns[-1] = self.b.eqns[-1].with_(outs=(Var(bar(v), out.type),))
        return self.b.eqns[-1].out

    def extents(self, v: Atom) -> tuple[Atom, ...]:
        """The extents of a linear or primal array."""
        finder = Extents(self.program, self.b, self._dim, self._scalar)
        found = tuple(finder.find(v, axis) for axis in range(v.type.ndim))
        if None in found:
            eqn = self.program.definition.get(v)
            raise ExtentError(
                f"the size of the array `{v.name}` is not known in the reverse sweep",
                eqn.loc if eqn else None,
                "give the array a size that is known when the function starts",
            )
        return found

    def _scalar(self, a: Atom) -> Atom | None:
        """The value of a primal variable; None for one of a region that this is not in."""
        if isinstance(a, Lit) or self.program.home[a] in _around(self.frame.node):
            return self.lookup(a)
        return None

    def _dim(self, v: Var, axis: int) -> Atom | None:
        """The extent of a primal array of the function's body: read in the forward sweep."""
        if self.program.home[v].kind != "root" or v in self.program.linear:
            return None
        if (v, axis) not in self.dims:
            b = Builder()
            b.emit("dim", v, axis=axis, name="n")
            self.dims[v, axis] = b.eqns[0]
        return self.dims[v, axis].out

    # -- equations

    def _region(self) -> None:
        """Reverse the equations of the current frame's region."""
        frame = self.frame
        for eqn in reversed(frame.node.region.eqns):
            frame.position = self.program.end[eqn]
            with frame.b.at(eqn.loc):
                if eqn.prim == "if":
                    self._branch(eqn)
                elif eqn.prim in LOOPS:
                    self._loop(eqn)
                elif eqn.role == TANGENT:
                    self._transpose(eqn)
                elif eqn.outs and eqn.outs[0] in self.plan.restored:
                    with frame.b.playing(RECOMPUTED):
                        self._put_back(eqn)
        for key in self._positions():  # pieces that nobody asked for in this region
            if isinstance(key, tuple) and self.program.home[key[1]] is frame.node:
                self.lookup(key[1])

    def _transpose(self, eqn: Eqn) -> None:
        ct = self.frame.ct.pop(eqn.out, None)
        if ct is None or eqn.prim in ("empty", "iota"):
            return
        if not any(self.program.is_linear(a) for a in eqn.ins):
            return
        context = Context(self, eqn)
        TRANSPOSES[eqn.prim](context, eqn, Value(self.b, ct))

    def _put_back(self, eqn: Eqn) -> None:
        """Undo a write."""
        if eqn in self.plan.fresh:
            self.frame.env[eqn.ins[0]] = self.lookup(eqn.out)
            return
        if eqn in self.program.undo:
            k = self.program.undo[eqn]
            others = tuple(map(self.lookup, (*eqn.ins[:k], *eqn.ins[k + 1 :])))
            now = self.lookup(eqn.out)
            self.frame.env[eqn.ins[k]] = undone(self.b, eqn, k, now, others)
            return
        if eqn.prim not in ("store", "accum"):
            return
        old = self.lookup(overwritten(self.frame.node.region.eqns, eqn))
        indices = tuple(map(self.lookup, eqn.ins[2:]))
        base = eqn.ins[0]
        now = self.lookup(eqn.out)
        self.frame.env[base] = self.b.emit(
            "store", now, old, *indices, spec=eqn.params["spec"], name=base.name, type=base.type
        )

    # -- branches

    def _branch(self, eqn: Eqn) -> None:
        count = eqn.params.get("linear", 0)
        linear = eqn.outs[len(eqn.outs) - count :]
        cts = [self.frame.ct.pop(out, None) for out in linear]
        before = [version_before(self.program, out) for out in eqn.outs]
        backs = [
            k for k, out in enumerate(eqn.outs) if {out, before[k]} <= self.plan.restored
        ]  # a chain may also start from a result
        tops = self._stacks_in(eqn)
        if all(ct is None for ct in cts) and not backs and not tops:
            return
        condition = self.lookup(eqn.ins[0])
        now = {k: self.lookup(eqn.outs[k]) for k in backs}
        frames = [self._one_branch(eqn, region, cts, now) for region in eqn.regions]
        captured = [
            v
            for v in self.program.captured_linear(eqn)
            if any(f.ct.get(v) is not self.frame.ct.get(v) for f in frames)
        ]
        bases = self._bases(eqn, backs)
        results: list[list[Atom]] = [[], []]
        outer = self.frame
        for frame, own in zip(frames, results):
            self.frame = frame
            own += [frame.ct[v] if v in frame.ct else self._zero(v) for v in captured]
            own += [self._version(frame, v) for v in bases]
            own += [self._top(s, frame) for s in tops]
        self.frame = outer
        regions = [f.b.region((), r) for f, r in zip(frames, results)]
        names = [bar(v) for v in captured] + [v.name for v in bases] + ["top"] * len(tops)
        types = [v.type for v in captured] + [v.type for v in bases] + [I64] * len(tops)
        outs = self.b.equation("if", (condition,), None, regions, names, types)
        outer.ct.update(zip(captured, outs))
        outer.env.update(zip(bases, outs[len(captured) :]))
        outer.tops.update(zip(tops, outs[len(captured) + len(bases) :]))

    def _one_branch(
        self, eqn: Eqn, region: Region, cts: list[Atom | None], now: dict[int, Atom]
    ) -> Frame:
        outer = self.frame
        node = self.program.nodes[region]
        self.frame = frame = Frame(node, Builder(eqn.loc, ADJOINT), outer)
        for v in self.program.captured_linear(eqn):
            if v in outer.ct:
                frame.ct[v] = outer.ct[v]
        for result, ct in zip(region.results[len(region.results) - len(cts) :], cts):
            if ct is not None:
                self._add(result, ct)
        for k, value in now.items():
            frame.env[region.results[k]] = value
        self._region()
        self.frame = outer
        return frame

    def _bases(self, eqn: Eqn, backs: list[int]) -> list[Var]:
        """The versions before the branch of the arrays that it writes to and that are put back."""
        return [version_before(self.program, eqn.outs[k]) for k in backs]

    def _version(self, frame: Frame, v: Var) -> Atom:
        return frame.env[v] if v in frame.env else self.lookup(v)

    # -- loops

    def _loop(self, eqn: Eqn) -> None:
        slots = self.program.slots(eqn)
        linear = [s for s in slots if self.program.is_linear(s[1])]
        cts = [self.frame.ct.pop(out, None) for *_, out in linear]
        live, captured = self._reach(eqn, linear, cts)
        if live and self.program.nodes[eqn.regions[-1]] in self.plan.again:
            self._run_again(self.program.nodes[eqn.regions[-1]], self.frame)
        backs = [s for s in slots if {s[1], s[3]} <= self.plan.restored]  # not where one starts
        tops = self._stacks_in(eqn)
        if not live and not backs and not tops:
            return
        carried = [linear[k] for k in live]
        inits = [self._zero(linear[k][3]) if cts[k] is None else cts[k] for k in live]
        inits += [self.frame.ct[v] if v in self.frame.ct else self._zero(v) for v in captured]
        inits += [self.lookup(out) for *_, out in backs]
        inits += [self._top(s, self.frame) for s in tops]
        bounds = self._backwards(eqn)
        names = [bar(s[1]) for s in carried] + [bar(v) for v in captured]
        names += [s[1].name for s in backs] + ["top"] * len(tops)
        inside, after = self._types(carried, captured, backs, tops)
        params = [Var(n, t) for n, t in zip(names, inside)]
        region = self._body(eqn, carried, captured, backs, tops, params)
        ins = (*bounds, *inits)
        params_ = {PARALLEL: WISHED} if eqn.params.get(PARALLEL) else None
        outs = self.b.equation("for", ins, params_, (region,), names, after)
        self.frame.ct.update(zip(captured, outs[len(carried) :]))
        for (init, *_), out in zip(carried, outs):  # after: `init` may be captured as well
            self._add(init, out)
        rest = outs[len(carried) + len(captured) :]
        for (init, _, result, _), out in zip(backs, rest):
            if self.frame.parent is not None or not self._stays(result):
                self.frame.env[init] = out  # else it is not what it was
        self.frame.tops.update(zip(tops, rest[len(backs) :]))

    @staticmethod
    def _types(
        carried: list[tuple], captured: list[Var], backs: list[tuple], tops: list[object]
    ) -> tuple[list[Type], list[Type]]:
        """The types of what a reversed loop carries: an iteration starts with what belongs to the
        result of the one that is reversed, and the loop ends with what belongs to the start."""
        rest = [v.type for v in captured]
        return (
            [s[2].type for s in carried] + rest + [s[2].type for s in backs] + [I64] * len(tops),
            [s[0].type for s in carried] + rest + [s[0].type for s in backs] + [I64] * len(tops),
        )

    def _stays(self, version: Atom) -> bool:
        """True for a version that is not undone: the last of a loop whose writes stay."""
        eqn = self.program.definition.get(version)
        if eqn is None or eqn.prim not in LOOPS:
            return eqn in self.plan.fresh
        inner = (result for *_, result, out in self.program.slots(eqn) if out is version)
        return any(map(self._stays, inner))

    def _body(
        self,
        eqn: Eqn,
        carried: list[tuple],
        captured: list[Var],
        backs: list[tuple],
        tops: list[object],
        params: list[Var],
    ) -> Region:
        """The body of a reversed loop."""
        outer = self.frame
        node = self.program.nodes[eqn.regions[-1]]
        self.frame = frame = Frame(node, Builder(eqn.loc, ADJOINT), outer)
        index = Var(self.program.index_of(node).name, I64)
        frame.env[self.program.index_of(node)] = index
        incoming = [(s[2], p) for s, p in zip(carried, params)]
        frame.ct.update(zip(captured, params[len(carried) :]))
        rest = params[len(carried) + len(captured) :]
        frame.env.update((s[2], p) for s, p in zip(backs, rest))
        frame.tops.update(zip(tops, rest[len(backs) :]))
        if node in frame.tops:
            frame.tops[node] = frame.b.emit("sub", frame.tops[node], i64(1), name="top")
        for result, ct in incoming:
            self._add(result, ct)
        self._region()
        results = [frame.ct[s[1]] if s[1] in frame.ct else self._zero(s[1]) for s in carried]
        results += [frame.ct[v] for v in captured]
        results += [frame.env[s[1]] for s in backs]
        results += [frame.tops[s] for s in tops]
        self.frame = outer
        return frame.b.region((index, *params), results)

    def _backwards(self, eqn: Eqn) -> tuple[Atom, Atom, Atom]:
        """The bounds of the loop that runs the other way."""
        b = self.b
        if eqn.prim == "while":
            count = self.lookup(eqn.outs[eqn.params["counter"]])
            return b.emit("sub", count, i64(1), name="k"), i64(-1), i64(-1)
        start, stop, step = map(self.lookup, eqn.ins[:3])
        if eqn.params.get("exit"):
            count = self.lookup(eqn.outs[0])
        elif step in (i64(1), i64(-1)):
            prim = "sub" if step == i64(1) else "add"
            ends = [b.emit(prim, end, i64(1)) for end in (stop, start)]
            return *ends, i64(-step.value)
        else:
            back = b.emit("floordiv", b.emit("sub", start, stop), step)
            count = b.emit("neg", back)
        last = b.emit("add", start, b.emit("mul", b.emit("sub", count, i64(1)), step))
        return last, b.emit("sub", start, step), b.emit("neg", step)

    def _stacks_in(self, eqn: Eqn) -> list[object]:
        """The positions that the regions of `eqn` count down."""
        homes = [(key, key_home(self.program, key)) for key in self._positions()]
        return [key for key, home in homes if any(n.eqn is eqn for n in _around(home))]

    def _reach(
        self, eqn: Eqn, linear: list[tuple], cts: list[Atom | None]
    ) -> tuple[list[int], list[Var]]:
        """Which linear slots have a cotangent in some iteration, and which captured linear
        variables get one: what the results with a cotangent depend on, as a fixpoint."""
        live = {k for k, ct in enumerate(cts) if ct is not None}
        body = eqn.regions[-1]
        while True:
            seen = self._ancestors(body, [linear[k][2] for k in live])
            more = {k for k, s in enumerate(linear) if s[1] in seen}
            if more <= live:
                break
            live |= more
        captured = [v for v in self.program.captured_linear(eqn) if v in seen]
        return sorted(live), captured

    def _ancestors(self, region: Region, results: list[Atom]) -> set[Var]:
        """The linear variables that `results` depend on."""
        seen = {a for a in results if self.program.is_linear(a)}
        for eqn in reversed(region.eqns):
            if any(out in seen for out in eqn.outs):
                seen.update(v for v in eqn_uses(eqn) if v in self.program.linear)
        return seen


class Context:
    """What a transpose rule may ask for."""

    def __init__(self, reverse: Reverse, eqn: Eqn) -> None:
        self._reverse, self._eqn = reverse, eqn
        self.b = reverse.b

    def is_linear(self, a: Atom) -> bool:
        return self._reverse.program.is_linear(a)

    def value(self, a: Atom) -> Value:
        """A primal operand."""
        return Value(self.b, self._reverse.lookup(a))

    def extents(self, a: Atom) -> tuple[Atom, ...]:
        """The extents of an operand."""
        return self._reverse.extents(a)

    def is_distinct(self, a: Atom) -> bool:
        """True for index arrays without duplicates: np.arange(n), or where a mask is True."""
        eqn = self._reverse.program.definition.get(a)
        return eqn is not None and eqn.prim in ("iota", "nonzero")

    def typed(self, x: Value, like: Atom) -> Value:
        """`x` with what is known of the extents of `like`."""
        new = Var(x.atom.name, like.type)
        self.b.eqns[-1] = self.b.eqns[-1].with_(outs=(new,))
        return Value(self.b, new)

    def add(self, a: Atom, ct: Value) -> None:
        """Add to the cotangent of a linear operand."""
        self._reverse._add(a, ct.atom)

    def accumulate(
        self, a: Var, ct: Value, indices: Sequence[Atom], spec: str, **params: bool
    ) -> None:
        """Add to a part of the cotangent of a linear array; `params` of the sum."""
        ats = [self._reverse.lookup(i) for i in indices]
        frame = self._reverse.frame
        whole = frame.ct[a] if a in frame.ct else self._reverse._zero(a)
        params |= {"spec": spec}
        out = self.b.emit("accum", whole, ct.atom, *ats, name=bar(a), type=a.type, **params)
        frame.ct[a] = out


def _around(scope: Node) -> list[Node]:
    nodes = []
    while scope is not None:
        nodes.append(scope)
        scope = scope.parent
    return nodes


def bar(v: Var) -> str:
    """The name of the cotangent that belongs to a tangent."""
    base = v.name.split(".")[0]
    return (base[: -len("_dot")] if base.endswith("_dot") else base) + "_bar"
