"""One loop nest that computes one or more array equations.

y: f64[n] = mul x, 2.0: f64          n: i64 = dim x {axis=0}
s: f64 = sum y {axes=(0,)}     →     y0: f64[?] = empty n {dtype='f64'}
                                     y, s = for 0, n, 1, y0, 0.0: f64 { (i, y1, s1)
                                       t = load x, i {spec='i'}
                                       t1 = mul t, 2.0: f64
                                       y2 = store y1, t1, i {spec='i'}
                                       s2 = add s1, t1
                                       yield y2, s2 }
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2s_ad.analysis.integers import Lin, lin
from s2s_ad.ir.build import Builder, boolean, i64, number
from s2s_ad.ir.core import ANY_ORDER, NO_PARAMS, REVERSE, Atom, Eqn, Lit, Var
from s2s_ad.ir.types import I64, Type
from s2s_ad.passes.lower_roots import Root
from s2s_ad.passes.lower_scope import Index, Scope, element_spec
from s2s_ad.passes.lower_values import Values

_NAMES = "ijklpq"
_COMBINE = {
    "sum": "add",
    "prod": "mul",
    "any": "or",
    "all": "and",
    "reduce_max": "maximum",
    "reduce_min": "minimum",
}


@dataclass(eq=False)
class Slot:
    """A value that the loops carry, from level `birth` inwards. `value` is its version at the point
    reached; `out` is the variable to define with the last version, if there is one."""

    name: str
    type: Type
    birth: int
    value: Atom
    out: Var | None = None
    base: Var | None = None  # the array that it is a version of, where that may be read as well


def loop_names(values: Values) -> list[str]:
    """Names for the indices of nested loops."""
    return [n for n in _NAMES if n not in values.names]


def origin(first: Lin) -> Lin:
    """Where a loop over elements from `first` on begins to count. Where that is 2, or a variable,
    LLVM cannot tell that no index counts from the end, and would not vectorise the loop."""
    return first if first.is_const and first.const <= 1 else lin(0)


def emit_nest(values: Values, builder: Builder, roots: Sequence[Root], dropped: set[Var]) -> None:
    """Append the loops that compute `roots` to `builder`. Results in `dropped` are needed only
    inside the nest, element by element."""
    _Nest(values, builder, roots, dropped).run()


class _Nest:
    def __init__(
        self, values: Values, builder: Builder, roots: Sequence[Root], dropped: set[Var]
    ) -> None:
        self.values, self.scope = values, Scope(values, builder)
        self.main = next((r for r in roots if r.starts_inside), roots[0])
        self.depth = len(self.main.loops)
        self.scope.making.update(r.eqn.outs[0] for r in roots)
        self.names = loop_names(values)
        self.t: list[Lin] = []  # how often each loop has gone round
        self.slots: list[Slot] = []
        kinds = {"array": _Elements, "store": _Elements, "accum": _Elements, "scan": _Scan}
        kinds |= {"arg": _Arg, "reduce": _Reduce}
        self.members = [kinds[r.kind](r, self, r.eqn.outs[0] in dropped) for r in roots]
        self.safe = all(r.reads_carried_safely(values, roots) for r in roots)

    def run(self) -> None:
        self.scope.at(self.main.eqn)
        self.descend(0)
        for slot in self.slots:
            if slot.out is not None and slot.value is not slot.out:
                self.values.rename[slot.out] = slot.value

    def descend(self, level: int) -> None:
        for member in self.members:
            self.scope.at(member.root.eqn)
            member.open(level)
        if level == self.depth:
            for step in ("compute", "write"):
                for member in self.members:
                    self.scope.at(member.root.eqn)
                    getattr(member, step)()
            return
        self.loop(level)
        for member in self.members:
            self.scope.at(member.root.eqn)
            member.close(level)

    def loop(self, level: int) -> None:
        """A `for` equation at `level` around everything further in."""
        scope, axis = self.scope, self.main.loops[level]
        scope.at(self.main.eqn)
        first = origin(axis.first)
        ends = (first, first + axis.count)
        bounds = (*(scope.atom(end, level) for end in ends), i64(1))
        index = Var(self.names[level] if level < len(self.names) else "i", I64)
        self.values.facts.bound(index, first, first + axis.count - 1)
        alive = [s for s in self.slots if s.birth <= level]
        inits = tuple(s.value for s in alive)
        params = tuple(Var(s.name, s.type) for s in alive)
        scope.push(index, {s.base: p for s, p in zip(alive, params) if s.base and self.safe})
        self.t.append(lin(index) - first)
        for slot, param in zip(alive, params):
            slot.value = scope.level_of(param)
        self.descend(level + 1)
        self.t.pop()
        body = scope.pop().region((index, *params), tuple(s.value for s in alive))
        outs = tuple(s.out if level == 0 and s.out else Var(s.name, s.type) for s in alive)
        main = self.main.eqn
        ins = (*bounds, *inits)
        scope.builders[-1].append(Eqn(outs, "for", ins, NO_PARAMS, (body,), main.loc, main.role))
        for slot, out in zip(alive, outs):
            slot.value = scope.level_of(out)

    def slot(self, name: str, kind: Type, birth: int, value: Atom, **more: Var | None) -> Slot:
        self.slots.append(Slot(name, kind, birth, value, **more))
        return self.slots[-1]

    def new_array(self, out: Var, extents: Sequence[Lin], value: Lit | None = None) -> Slot:
        """A carried array for the result `out`, made before the loops."""
        sizes = tuple(map(self.scope.size, extents))
        if value is None:
            array = self.scope.make("empty", sizes, out, {"dtype": out.type.dtype})
        else:
            array = self.scope.make("full", (value, *sizes), out)
        return self.slot(out.name, out.type, 0, array, out=out)

    def write(self, prim: str, slot: Slot, value: Atom, index: Index) -> None:
        """A new version of a carried array, at the level that has been reached."""
        scope, level = self.scope, len(self.scope.builders) - 1
        atoms = tuple(scope.atom(i, level) for i in index)
        ins = (slot.value, value, *atoms)
        slot.value = scope.append(level, prim, ins, slot.name, element_spec(atoms))

    def scalar(self, prim: str, slot: Slot, *ins: Atom, **params: object) -> None:
        """A new version of a carried scalar, at the innermost level."""
        level = len(self.scope.builders) - 1
        slot.value = self.scope.append(level, prim, ins, slot.name, params)


class _Member:
    """What one root does in the nest: `open` and `close` run before and after the loop of a level,
    `compute` and then, when all members have computed, `write` in the innermost body."""

    def __init__(self, root: Root, nest: _Nest, dropped: bool) -> None:
        self.root, self.nest, self.dropped = root, nest, dropped
        self.eqn, self.out = root.eqn, root.eqn.outs[0]
        self.values, self.scope = nest.values, nest.scope
        self.array: Slot | None = None

    def open(self, level: int) -> None:
        raise AssertionError("every kind of member has its own")

    def close(self, level: int) -> None:
        """Nothing to do, for most."""

    def index(self) -> Index:
        return self.root.index(self.nest.t)

    def operand(self, index: Index) -> Atom:
        return self.scope.element(self.eqn.ins[0], index)

    def extents(self, v: Var) -> list[Lin]:
        return [self.values.extent(v, a) for a in range(v.type.ndim)]

    def require_elements(self) -> None:
        """NumPy has no largest element of nothing, unless it is asked for none. An adjoint computes
        again what has been checked before."""
        x, axes = self.eqn.ins[0], self.eqn.params["axes"]
        scope, extents = self.scope, self.extents(x)
        some = [self.values.is_positive(x, a) for a in range(x.type.ndim)]
        reduced = [extents[a] for a in axes if not some[a]]
        if not reduced or self.eqn.role in REVERSE:
            return
        found: Atom | None = None
        for extent in reduced:
            one = scope.emit("gt", (scope.atom(extent), i64(0)))
            found = one if found is None else scope.emit("and", (found, one))
        for axis in range(len(extents)):
            if axis not in axes and not some[axis]:
                none = scope.emit("le", (scope.atom(extents[axis]), i64(0)))
                found = scope.emit("or", (found, none))
        scope.require(found, f"{self.eqn.prim.removeprefix('reduce_')} of an empty array")


class _Elements(_Member):
    """A lazy value that is given memory, or a store or accum on a place."""

    def open(self, level: int) -> None:
        if level or self.dropped:
            return
        if self.root.kind == "array":
            source = self.eqn.ins[0] if self.eqn.prim == "copy" else self.out
            extents = self.extents(source)
            self.array = self.nest.new_array(self.out, extents)
        else:
            base = self.eqn.ins[0]
            value = self.values.renamed(base)
            self.array = self.nest.slot(
                self.out.name, self.out.type, 0, value, out=self.out, base=base
            )

    def compute(self) -> None:
        index = self.index()
        if self.root.kind == "array":
            self.value, self.place = self.scope.define(self.eqn, index), index
        else:
            self.value = self.scope.broadcast(self.eqn.ins[1], index)
            self.place = self.scope.subscript(self.eqn, self.values.place(self.eqn), index)
        if self.root.kind != "accum":
            self.scope.known[self.values.element_key(self.out, self.place)] = self.value

    def write(self) -> None:
        if self.array is not None:
            prim = "accum" if self.root.kind == "accum" else "store"
            self.nest.write(prim, self.array, self.value, self.place)


class _Reduce(_Member):
    """A reduction. Over the innermost loops it is a carried scalar; over outer loops the result is
    an array that every iteration adds to."""

    def __init__(self, root: Root, nest: _Nest, dropped: bool) -> None:
        super().__init__(root, nest, dropped)
        self.combine = _COMBINE[self.eqn.prim]
        axes = self.eqn.params["axes"]
        reduced = {k for a, k in enumerate(root.where) if a in axes and k is not None}
        self.inner = nest.depth  # the loops from here on are reduced into a scalar
        while self.inner - 1 in reduced:
            self.inner -= 1
        self.once = not any(k < self.inner for k in reduced)  # each result is written only once
        self.total: Slot | None = None

    def open(self, level: int) -> None:
        if level == 0:
            if self.combine in ("maximum", "minimum"):
                self.require_elements()
            if self.out.type.is_array:
                x, place = self.eqn.ins[0], self.place(tuple(range(self.eqn.ins[0].type.ndim)))
                extents = [lin(1) if a is None else self.values.extent(x, a) for a in place]
                initial = None if self.once else self.identity()
                self.array = self.nest.new_array(self.out, extents, initial)
        if level == self.inner < self.nest.depth:
            out = None if self.out.type.is_array else self.out
            kind = self.out.type.scalar
            self.total = self.nest.slot(self.out.name, kind, level, self.initial(), out=out)

    def place(self, index: tuple) -> list:
        """The entries of `index` (of the operand) for the result; None for a kept extent 1."""
        axes, keep = self.eqn.params["axes"], self.eqn.params.get("keepdims")
        return [None if a in axes else i for a, i in enumerate(index) if keep or a not in axes]

    def identity(self) -> Lit:
        if self.combine in ("or", "and"):
            return boolean(self.combine == "and")
        if self.combine in ("add", "mul"):
            return number(self.combine == "mul", self.out.type.dtype)
        return number(float("-inf" if self.combine == "maximum" else "inf"), self.out.type.dtype)

    def initial(self) -> Atom:
        """Of integers the largest so far is the first: they have no infinity."""
        x = self.eqn.ins[0]
        if self.combine in ("maximum", "minimum") and not x.type.is_float:
            t = [*self.nest.t, *[lin(0)] * (self.nest.depth - self.inner)]
            return self.operand(self.root.index(t))
        return self.identity()

    def compute(self) -> None:
        self.value = self.operand(self.index())

    def write(self) -> None:
        if self.total is not None:
            order = {ANY_ORDER: True} if self.combine in ("add", "mul") else {}
            self.nest.scalar(self.combine, self.total, self.total.value, self.value, **order)
        elif self.array is not None:
            self.put(self.value)
        else:
            self.values.rename[self.out] = self.value

    def close(self, level: int) -> None:
        if level == self.inner and self.array is not None:
            self.put(self.total.value)

    def put(self, value: Atom) -> None:
        t = [*self.nest.t, *[lin(0)] * (self.nest.depth - len(self.nest.t))]
        place = tuple(lin(0) if i is None else i for i in self.place(self.root.index(t)))
        if self.once:
            self.nest.write("store", self.array, value, place)
        elif self.combine == "add":
            self.nest.write("accum", self.array, value, place)
        else:
            level = len(self.scope.builders) - 1
            atoms = tuple(self.scope.atom(i, level) for i in place)
            ins = (self.array.value, *atoms)
            before = self.scope.append(level, "load", ins, "t", element_spec(atoms))
            after = self.scope.append(level, self.combine, (before, value), self.out.name)
            self.nest.write("store", self.array, after, place)


class _Scan(_Member):
    """cumsum: the running sum is carried by the innermost loop, which is the axis's."""

    def open(self, level: int) -> None:
        kind = self.out.type.scalar
        if level == 0:
            self.array = self.nest.new_array(self.out, self.extents(self.eqn.ins[0]))
        if level == self.nest.depth - 1:
            zero = number(0, kind.dtype)
            self.total = self.nest.slot(self.out.name, kind, level, zero)

    def compute(self) -> None:
        axis, index = self.eqn.params["axis"], list(self.index())
        if self.eqn.params.get("reverse"):
            index[axis] = self.values.extent(self.eqn.ins[0], axis) - 1 - index[axis]
        self.at = tuple(index)
        self.value = self.operand(self.at)

    def write(self) -> None:
        self.nest.scalar("add", self.total, self.total.value, self.value)
        self.nest.write("store", self.array, self.total.value, self.at)


class _Arg(_Member):
    """argmax and argmin: the best value and its place are carried by the innermost loop."""

    def open(self, level: int) -> None:
        x = self.eqn.ins[0]
        (axis,) = self.eqn.params["axes"]
        if level == 0:
            self.require_elements()
            if self.out.type.is_array:
                keep = self.eqn.params.get("keepdims")
                extents = [lin(1) if a == axis else e for a, e in enumerate(self.extents(x))]
                if not keep:
                    extents.pop(axis)
                self.array = self.nest.new_array(self.out, extents)
        if level == self.nest.depth - 1:
            first = self.root.index([*self.nest.t, lin(0)])
            out = None if self.out.type.is_array else self.out
            best = self.scope.element(x, first)
            self.best = self.nest.slot("best", x.type.scalar, level, best)
            self.where = self.nest.slot(self.out.name, I64, level, i64(0), out=out)

    def compute(self) -> None:
        (axis,) = self.eqn.params["axes"]
        index = self.index()
        self.value, self.here = self.operand(index), self.scope.atom(index[axis])

    def write(self) -> None:
        scope, value, best = self.scope, self.value, self.best.value
        better = scope.emit("gt" if self.eqn.prim == "argmax" else "lt", (value, best))
        if self.eqn.ins[0].type.is_float:  # NumPy finds the first NaN
            found, before = scope.emit("isnan", (value,)), scope.emit("isnan", (best,))
            first = scope.emit("and", (found, scope.emit("not", (before,))))
            better = scope.emit("or", (better, first))
        self.nest.scalar("select", self.best, better, value, best)
        self.nest.scalar("select", self.where, better, self.here, self.where.value)

    def close(self, level: int) -> None:
        if level == self.nest.depth - 1 and self.array is not None:
            (axis,) = self.eqn.params["axes"]
            place = list(self.root.index([*self.nest.t, lin(0)]))
            place[axis] = lin(0)
            if not self.eqn.params.get("keepdims"):
                place.pop(axis)
            self.nest.write("store", self.array, self.where.value, tuple(place))
