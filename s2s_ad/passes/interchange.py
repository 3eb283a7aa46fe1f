"""Loops change places where the innermost one would jump from row to row.

    for 0, n, 1, c { (j, c1)                s0 = full 0.0, n
      s = for 0, m, 1, 0.0 { (k, s1)        s = for 0, m, 1, s0 { (k, s1)
        x = load a, i, k                      x = load a, i, k
        y = load b, k, j              →       s2 = for 0, n, 1, s1 { (j, s2)
        p = mul x, y                            y = load b, k, j
        s2 = add s1, p                          p = mul x, y
        yield s2 }                              t = load s2, j
      c2 = store c1, s, i, j                    s4 = store s2, t + p, j … }
      yield c2 }                              yield s2 }
                                            for 0, n, 1, c { (j, c1)
                                              t = load s, j
                                              c2 = store c1, t, i, j … }

The columns of a matrix are far apart in memory: a loop along a column waits for a line of the cache
in each of its iterations, and is not vectorised. What an iteration of the outer loop hands on from
one part to the next becomes a row, which stays in the cache. Every sum has its terms in the order
that it had; only where an iteration of the new inner loop adds to the same element (or number) as
the next one, which happens in reverse sweeps, it adds to a number first.

Which loops these are, analysis/nests.py says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from s2s_ad.analysis.instances import Instances
from s2s_ad.analysis.nests import WRITES, Nest, Part, nest
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import (
    ANY_ORDER,
    NO_PARAMS,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    region_uses,
    substitute,
    walk,
)
from s2s_ad.ir.types import I64, Type
from s2s_ad.passes.buffers import is_size

#: What an iteration of an inner loop may do where the outer one has no iteration.
_SAFE = ("for", "dim", "add", "sub", "mul", "neg", "maximum", "minimum")


def interchange(func: Func, threads: bool = False) -> Func:
    """`func` with the loops of the module's docstring changed over.

    With `threads`, loops that are in no other one stay: their iterations may be shared out.
    """
    sizes = {e.out: e for e in walk(func.body) if len(e.outs) == 1 and e.out.type == I64}
    return func.with_(body=_region(func.body, sizes, Instances(func), not threads))


def _region(region: Region, sizes: Mapping[Var, Eqn], instances: Instances, may: bool) -> Region:
    b, renamed = Builder(), {}
    for eqn in region.eqns:
        within = may or eqn.prim in ("for", "while")
        regions = tuple(_region(r, sizes, instances, within) for r in eqn.regions)
        eqn = eqn.with_(regions=regions) if regions else eqn
        found = nest(eqn, instances) if may else None
        if found is None:
            b.append(eqn)
            continue
        for out, atom in zip(eqn.outs, _Writer(b, found, sizes).write()):
            renamed[out] = renamed.get(atom, atom)
    return substitute(b.region(region.params, region.results), renamed)


@dataclass(eq=False)
class _Slot:
    """Something that loops carry: `value` is its version at the point reached."""

    name: str
    type: Type
    value: Atom


class _Writer:
    """Writes the parts of a nest one after the other."""

    def __init__(self, b: Builder, of: Nest, sizes: Mapping[Var, Eqn]) -> None:
        self.b, self.nest = b, of
        loop, (body,) = of.loop, of.loop.regions
        b.loc, b.role = loop.loc, loop.role
        inits = loop.ins[3:]
        self.carried = [_Slot(p.name, p.type, a) for p, a in zip(body.params[1:], inits)]
        self.slots = dict(zip(body.params[1:], self.carried))  # by the loop's parameters
        self.rows: dict[Var, _Slot] = {}  # by what they hold, an element for each iteration
        start, stop, step = loop.ins[:3]
        if step != i64(1):
            start, stop = (_plus_one(b, a) for a in (stop, start))
        self.start, self.stop = start, stop
        sized = isinstance(stop, Lit) or is_size(stop, sizes)
        self.size = stop if sized else b.emit("maximum", stop, i64(0), name="n")

    def write(self) -> list[Atom]:
        """Append everything to the builder; what the loop's results are now."""
        for part in self.nest.parts:
            self.kept = self.handed_on(part)
            _Part(self, part).write()
        return [slot.value for slot in self.carried]

    def handed_on(self, part: Part) -> list[Var]:
        """The values of a part that later parts read from rows."""
        later = self.nest.parts[self.nest.parts.index(part) + 1 :]
        needed: dict[Var, None] = {}

        def need(a: Atom) -> None:
            eqn = self.nest.defs.get(a) if isinstance(a, Var) and not a.type.is_array else None
            if eqn is None or a in needed:
                return
            if eqn.prim != "for" and self.nest.again(a):
                for b in eqn.ins:
                    need(b)
            else:
                needed[a] = None

        for other in later:
            eqns = other.eqns if other.inner is None else [other.inner]
            for v in region_uses(Region((), tuple(eqns), ())):
                if v not in other.defines():
                    need(v)
        return [v for v in needed if any(v in e.outs for e in part.eqns)]

    def row(self, v: Var, value: Atom | None = None) -> _Slot:
        """A new row, with `value` in all places if it is given."""
        if value is None:
            made = self.b.emit("empty", self.size, name=v.name, dtype=v.type.dtype)
        else:
            made = self.b.emit("full", value, self.size, name=v.name)
        return _Slot(v.name, made.type, made)

    def loop(
        self,
        b: Builder,
        slots: Sequence[_Slot],
        index: Var,
        bounds: Callable[[], tuple[Atom, Atom, Atom]],
        fill: Callable[[Builder], None],
    ) -> None:
        """A `for` that carries `slots` around what `fill` appends, which `bounds` may look at."""
        inner, inits = Builder(b.loc, b.role), tuple(s.value for s in slots)
        params = tuple(Var(s.name, s.type) for s in slots)
        for slot, param in zip(slots, params):
            slot.value = param
        fill(inner)
        body = inner.region((index, *params), tuple(s.value for s in slots))
        outs = tuple(Var(s.name, s.type) for s in slots)
        b.append(Eqn(outs, "for", (*bounds(), *inits), NO_PARAMS, (body,), b.loc, b.role))
        for slot, out in zip(slots, outs):
            slot.value = out


class _Part:
    """One part: a loop over the iterations of the outer loop, in the inner loop if there is one."""

    def __init__(self, writer: _Writer, part: Part) -> None:
        self.w, self.part, self.nest = writer, part, writer.nest
        self.now: dict[Var, Atom] = {}
        self.outer: Builder | None = None  # of the inner loop
        self.outside: dict[_Slot, Atom] = {}  # the versions of arrays there
        self.inner = writer.b  # of the iterations
        at = self.nest.at
        written = [at.of(e.ins[0]) for e in part.body if e.prim in WRITES]
        self.arrays = [self.w.slots[a] for a in dict.fromkeys(written)]

    def write(self) -> None:
        at = self.part.inner or self.nest.loop
        self.w.b.loc, self.w.b.role = at.loc, at.role
        if self.part.inner is None:
            self.straight()
        else:
            self.around(self.part.inner)

    def straight(self) -> None:
        params, results = self.nest.body.params[1:], self.nest.body.results
        numbers = [(params[k], results[k], self.w.carried[k]) for k in self.part.totals]
        rows = {v: self.w.row(v) for v in self.w.kept}
        slots = [*self.arrays, *rows.values(), *(slot for _, _, slot in numbers)]
        if not slots:
            return

        def fill() -> None:
            self.now.update((param, slot.value) for param, _, slot in numbers)
            for eqn in self.part.eqns:
                if eqn.prim in WRITES or self.nest.is_written(eqn.ins[0] if eqn.ins else None):
                    self.append(eqn)
            for v, row in rows.items():
                self.put(row, v)
            for _, result, slot in numbers:
                slot.value = self.value(result)

        self.iterations(self.w.b, slots, fill)
        self.w.rows.update(rows)

    def around(self, loop: Eqn) -> None:
        """The inner loop, outside."""
        (body,), w = loop.regions, self.w
        rows: dict[Var, tuple[Atom, Var, _Slot]] = {}
        for init, param, result, out in zip(loop.ins[3:], body.params[1:], body.results, loop.outs):
            if not param.type.is_array and param not in self.nest.sums:
                rows[param] = (result, out, self.first_row(init, param))
        added = [e for e in body.eqns if self.nest.is_total(e)]
        totals = {e: _Slot(e.out.name, e.out.type.scalar, e.ins[1]) for e in added}
        sums = {p: _Slot(p.name, p.type, p) for p in body.params[1:] if p in self.nest.sums}
        numbers = dict.fromkeys(w.carried[self.nest.sums[p][0]] for p in sums)
        own = [slot for _, _, slot in rows.values()]
        index = Var(body.params[0].name, I64)
        self.now[body.params[0]] = index
        here = {self.slot(e) for e in body.eqns if e.prim in WRITES and e not in totals}
        inside = [s for s in self.arrays if s in here]

        def fill(b: Builder) -> None:
            self.outer, self.outside = b, {s: s.value for s in self.w.slots.values()}
            made = [*totals.values(), *sums.values()]
            for slot in made:
                slot.value = number(0, slot.type.dtype)
            self.iterations(b, [*inside, *own, *made], lambda: self.body(body, rows, totals, sums))
            for eqn, slot in totals.items():
                self.add(self.slot(eqn), slot, eqn)
            for param, slot in sums.items():
                k, eqn = self.nest.sums[param]
                self.add(w.carried[k], slot, eqn)

        w.loop(w.b, [*self.arrays, *own, *numbers], index, lambda: self.bounds(loop), fill)
        w.rows.update((out, slot) for _, out, slot in rows.values())

    def add(self, to: _Slot, slot: _Slot, eqn: Eqn) -> None:
        """`eqn`, in the inner loop, adds all at once what the outer loop's iterations add."""
        ins = (to.value, slot.value, *map(self.value, eqn.ins[2:]))
        to.value = out = Var(to.name, to.type)
        self.outer.append(eqn.with_(outs=(out,), ins=ins))

    def body(
        self, body: Region, rows: dict, totals: Mapping[Eqn, _Slot], sums: Mapping[Var, _Slot]
    ) -> None:
        """What one iteration of the inner loop does for one of the outer."""
        for param, (_, _, row) in rows.items():
            self.now[param] = self.get(row)
        self.now.update((param, slot.value) for param, slot in sums.items())
        for eqn in body.eqns:
            if eqn in totals:
                slot, term = totals[eqn], self.value(eqn.ins[1])
                total = Var(slot.name, slot.type)
                ins, free = (slot.value, term), {ANY_ORDER: True}
                self.inner.append(eqn.with_(outs=(total,), prim="add", ins=ins, params=free))
                slot.value = total
            elif eqn.prim in WRITES or self.nest.is_written(eqn.ins[0] if eqn.ins else None):
                self.append(eqn)
        for param, (result, _, row) in rows.items():
            if result is not param:
                self.put(row, result)
        for param, slot in sums.items():
            slot.value = self.value(body.results[body.params.index(param) - 1])

    # -- loops

    def iterations(self, b: Builder, slots: Sequence[_Slot], fill: Callable[[], None]) -> None:
        """A loop over the iterations of the outer loop, which `fill` fills."""
        w = self.w
        far = not isinstance(w.start, Lit) or w.start.value > 1
        index = Var(self.nest.index.name, I64)

        def within(inner: Builder) -> None:
            self.inner, j = inner, index
            if far:  # LLVM wants to know that no index counts from the end
                j = inner.emit("add", w.start, index, name=index.name)
            self.now[self.nest.index] = j
            fill()

        def bounds() -> tuple[Atom, Atom, Atom]:
            if not far:
                return w.start, w.stop, i64(1)
            return i64(0), b.emit("sub", w.stop, w.start), i64(1)

        w.loop(b, slots, index, bounds, within)

    def bounds(self, loop: Eqn) -> tuple[Atom, Atom, Atom]:
        """Those of the inner loop; it need not run where the outer one does not, and must not where
        it reads elements that then may not be there."""
        start, stop, step = loop.ins[:3]
        if not self.runs() and any(e.prim not in _SAFE for e in self.outer.eqns):
            b = self.w.b
            stop = b.emit("select", b.emit("gt", self.w.stop, self.w.start), stop, start)
        return start, stop, step

    def runs(self) -> bool:
        start, stop = self.w.start, self.w.stop
        return isinstance(start, Lit) and isinstance(stop, Lit) and start.value < stop.value

    # -- values

    def slot(self, eqn: Eqn) -> _Slot:
        return self.w.slots[self.nest.at.of(eqn.ins[0])]

    def first_row(self, init: Atom, param: Var) -> _Slot:
        """The values that a number has before the inner loop, for all iterations of the outer."""
        known = self.w.rows.get(init) if isinstance(init, Var) else None
        if known is not None:
            return _Slot(param.name, known.type, known.value)
        if init not in self.nest.inside:
            return self.w.row(param, init)
        row = self.w.row(param)
        self.iterations(self.w.b, [row], lambda: self.put(row, init))
        self.now.clear()
        return row

    def get(self, row: _Slot) -> Atom:
        return self.inner.emit("load", row.value, self.now[self.nest.index], name="t", spec="i")

    def put(self, row: _Slot, value: Atom) -> None:
        ins = (row.value, self.value(value), self.now[self.nest.index])
        row.value = self.inner.emit("store", *ins, name=row.name, type=row.type, spec="i")

    def value(self, a: Atom) -> Atom:
        """What stands for `a` here; it is computed, or read from its row, if it has to be."""
        if not isinstance(a, Var) or a not in self.nest.inside:
            return a
        if a in self.w.slots or a.type.is_array:
            return self.array(a) if a.type.is_array else self.now.get(a, self.w.slots[a].value)
        if a not in self.now:
            if a in self.w.rows:
                self.now[a] = self.get(self.w.rows[a])
            else:
                self.append(self.nest.defs[a])
        return self.now[a]

    def array(self, a: Var) -> Atom:
        return self.w.slots[self.nest.at.of(a)].value

    def append(self, eqn: Eqn) -> None:
        """`eqn`, in the loop over iterations if it depends on them, else outside of that."""
        (out,) = eqn.outs
        if out in self.now:
            return
        if any(eqn is sum_ for _, sum_ in self.nest.sums.values()):  # in the inner loop
            self.now[out] = self.value(eqn.ins[0])
            return
        deep = eqn.prim in WRITES or self.nest.depends(out) or self.outer is None
        ins = tuple(map(self.value, eqn.ins))
        if not deep and eqn.prim == "load" and self.nest.is_written(eqn.ins[0]):
            ins = (self.outside[self.slot(eqn)], *ins[1:])
        new = Var(out.name, out.type)
        if out.type.is_array:
            self.slot(eqn).value = new
        else:
            self.now[out] = new
        (self.inner if deep else self.outer).append(eqn.with_(outs=(new,), ins=ins))


def _plus_one(b: Builder, a: Atom) -> Atom:
    return i64(a.value + 1) if isinstance(a, Lit) else b.emit("add", a, i64(1))
