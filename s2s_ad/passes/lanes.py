"""Loops around recurrences do several iterations at a time, in lanes.

    t = for 0, n, 1, 0.0 { (i, t1)             row = empty 64
      v = load x, i                            t = for 0, n, 64, 0.0, row { (i0, t1, row)
      v2 = for 0, m, 1, v { (j, v1)              lanes = minimum 64, n - i0
        u = mul r, v1                            for 0, lanes, 1 { (k)  row[k] = load x, i0 + k }
        w = sub 1.0, v1                  →       for 0, m, 1 { (j)
        v3 = mul u, w                              for 0, lanes, 1 { (k)
        yield v3 }                                   v1 = load row, k
      t2 = add t1, v2                                row[k] = mul (mul r, v1), (sub 1.0, v1) } }
      yield t2 }                                 t2 = for 0, lanes, 1, t1 { (k, t1)
                                                   yield add t1, row[k] }
                                                 yield t2 }

A recurrence waits for each of its results. Those of other iterations of the outer loop could be
computed meanwhile, several by one instruction, if theirs was the innermost loop. So the iterations
are taken in blocks of `LANES`, and within a block what stands between the starts and ends of inner
loops is done for all of them. What is handed on from one such part to another is kept in rows,
which stay in the cache; an array of an iteration's own gets an axis for the lanes, the last one. Of
a matrix whose rows belong to the iterations a block has a copy with the lanes last, a tile.

Every total has its terms in the order that it had: where inner loops make them, they are kept, and
added up at the end of the block. Where no order was asked, each lane has a sum until then.

Which loops these are, analysis/ensembles.py says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

from s2s_ad.analysis.activity import loop_slots
from s2s_ad.analysis.ensembles import (
    ARRAYS,
    OWN,
    SAME,
    TOTAL,
    VARYING,
    Ensemble,
    Tile,
    ensemble,
)
from s2s_ad.analysis.independence import facts_of
from s2s_ad.analysis.integers import Facts
from s2s_ad.analysis.sharing import WRITES
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import (
    ANY_ORDER,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    region_defs,
    region_uses,
    substitute,
    walk,
)
from s2s_ad.ir.types import I64, UNKNOWN, Type
from s2s_ad.passes.tape import trip_count

#: How many iterations go together: fewer where each keeps more than so many numbers.
LANES, FEWER, MANY = 64, 16, 2**16
#: How many columns of a tile are copied at a time: a line of the cache.
LINE = 8


def lanes(func: Func) -> Func:
    """`func` with the loops of the module's docstring in lanes.

    Example: `lanes(func)` gives the same results to the last bit, but for sums without an order.
    """
    if not any(e.prim == "for" and any(i.prim == "for" for i in e.regions[0].eqns)
               for e in walk(func.body)):  # fmt: skip
        return func
    return func.with_(body=_region(func.body, facts_of(func))[0])


def _region(region: Region, facts: Facts) -> tuple[Region, bool]:
    """Of loops in loops, the innermost that can do it have lanes. True where one has."""
    b, changed, renamed = Builder(), False, {}
    for eqn in region.eqns:
        inner = [_region(r, facts) for r in eqn.regions]
        found = None
        if any(change for _, change in inner):
            eqn, changed = eqn.with_(regions=tuple(r for r, _ in inner)), True
        else:
            found = ensemble(eqn, facts)
        if found is None:
            b.append(eqn)
        else:
            changed = True
            for out, atom in zip(eqn.outs, _Lanes(b, found).write()):
                renamed[out] = renamed.get(atom, atom)
    return substitute(b.region(region.params, region.results), renamed), changed


@dataclass(eq=False)
class _Slot:
    """What loops carry: an array, a row, a total. `value` is its version at the point reached."""

    name: str
    type: Type
    value: Atom


@dataclass
class _Segment:
    """What all lanes do before they go on: equations, for which `begins` says what some numbers
    are; then `row[k] = value` for `ends`, and `total += value` for `sums`; `terms` are kept in a
    matrix with a row for each iteration."""

    begins: dict[Var, Atom] = field(default_factory=dict)
    eqns: list[Eqn] = field(default_factory=list)
    ends: list[tuple[_Slot, Atom]] = field(default_factory=list)
    sums: list[tuple[_Slot, Atom]] = field(default_factory=list)
    terms: list[tuple[_Slot, Atom, Atom]] = field(default_factory=list)

    def uses(self) -> Counter[Atom]:
        pairs = (*self.ends, *self.sums, *(t[:2] for t in self.terms))
        return Counter(region_uses(Region((), tuple(self.eqns), tuple(a for _, a in pairs))))


class _Lanes:
    """Writes an ensemble. `rows` hold numbers of the lanes, by variable; `slots` are by the first
    version of what they hold; all that are `active` may be carried by a loop."""

    def __init__(self, b: Builder, found: Ensemble) -> None:
        self.b, self.found = b, found
        self.loop, (self.body,) = found.loop, found.loop.regions
        self.uses = Counter(region_uses(self.body))
        self.names: dict[Var, Atom] = {}
        self.rows: dict[Atom, _Slot] = {}
        self.slots: dict[Atom, _Slot] = {}
        self.active: list[_Slot] = []
        self.segment = _Segment()
        self.late: list[Eqn] = []
        self.terms: dict[Eqn, _Slot] = {}
        self.tiles: dict[Eqn, Tile] = {}
        self.copies: dict[Var, _Slot] = {}  # of arrays that are only read
        self.whole: dict[Tile, _Slot] = {}
        self.sizes: dict[Tile, Atom] = {}
        self.lows: dict[Tile, Atom] = {}

    def write(self) -> list[Atom]:
        """Append the loop to the builder; what its results are now."""
        loop, params = self.loop, self.body.params[1:]
        carried = [_Slot(p.name, p.type, a) for p, a in zip(params, loop.ins[3:])]
        self.slots.update(zip(params, carried))
        self.active += carried
        self.first = Var(self.body.params[0].name, I64)
        with self.b.at(loop.loc), self.b.playing(loop.role):
            self.width, self.room = self.widths(self.b)
            bounds = (*loop.ins[:2], self.width)
            self.around(self.b, self.first, bounds, self.block, loop)
        return [slot.value for slot in carried]

    def widths(self, b: Builder) -> tuple[Atom, Atom]:
        """How many lanes a block has, and how many there is room for in what each keeps for all
        its steps: a tape of a million steps is not made 64 times for an ensemble of three."""
        inside, kept = set(region_defs(self.body)), []
        for eqn in walk(self.body):
            if eqn.prim in ("empty", "full") and self.found.kind(eqn.out) == OWN:
                kept.append(eqn.ins[eqn.prim == "full" :])
            elif eqn.prim == "for" and any(map(self.found.is_late, eqn.regions[0].eqns)):
                kept.append((self.trips(b, eqn),) if inside.isdisjoint(eqn.ins[:2]) else ())
        kept += [(b.emit("dim", self.atom(t.array), axis=1),) for t in self.found.tiles.values()]
        total: Atom = i64(0)
        for extents in kept:
            if extents and inside.isdisjoint(extents):
                size = reduce(lambda x, y: _times(b, x, y), extents)
                total = _plus(b, total, size)
        if isinstance(total, Lit) and total.value <= MANY // LANES:
            return i64(LANES), i64(LANES)
        width = b.emit(
            "select", b.emit("le", total, i64(MANY)), i64(LANES), i64(FEWER), name="width"
        )
        return width, b.emit("minimum", width, self.trips(b, self.loop), name="room")

    def around(
        self,
        b: Builder,
        index: Var,
        bounds: Sequence[Atom],
        fill: Callable[[Builder], None],
        like: Eqn,
    ) -> None:
        """A loop that carries what changes in it."""
        slots = list(self.active)
        inits, params = [s.value for s in slots], [Var(s.name, s.type) for s in slots]
        for slot, param in zip(slots, params):
            slot.value = param
        inner = Builder(like.loc, like.role)
        fill(inner)
        del self.active[len(slots) :]
        changed = [k for k, slot in enumerate(slots) if slot.value is not params[k]]
        kept = {p: a for k, (p, a) in enumerate(zip(params, inits)) if k not in changed}
        region = inner.region(
            (index, *(params[k] for k in changed)), [slots[k].value for k in changed]
        )
        region = substitute(region, kept)
        outs = [Var(slots[k].name, slots[k].type) for k in changed]
        ins = (*bounds, *(inits[k] for k in changed))
        b.append(Eqn(tuple(outs), "for", ins, like.params, (region,), like.loc, like.role))
        for slot, init in zip(slots, inits):
            slot.value = init
        for k, out in zip(changed, outs):
            slots[k].value = out

    def slot(self, a: Atom) -> _Slot:
        return self.slots[self.found.root(a)]

    def new(self, b: Builder, like: Var, *extents: Atom) -> _Slot:
        """An array for the lanes, to be filled."""
        count = self.room if extents else i64(LANES)
        made = b.emit("empty", *extents, count, name=like.name, dtype=like.type.dtype)
        slot = _Slot(like.name, made.type, made)
        self.active.append(slot)
        return slot

    def atom(self, a: Atom) -> Atom:
        """What stands for something that is the same in all lanes, or for an array."""
        if isinstance(a, Var) and self.found.root(a) in self.slots:
            return self.slot(a).value
        return self.names.get(a, a) if isinstance(a, Var) else a

    # -- parts

    def block(self, b: Builder) -> None:
        """The iterations from `first` on."""
        rest = b.emit("sub", self.loop.ins[1], self.first)
        self.size = b.emit("minimum", rest, self.width, name="lanes")
        # it is not negative, which LLVM does not see of a variable
        self.begin = b.emit("maximum", self.first, i64(0), name="begin")
        parts = [p for p in self.body.params[1:] if p in self.found.parts]
        for param in parts:
            self.rows[param] = row = self.new(b, param)
            self.segment.begins[param] = zero = number(0, param.type.dtype)
            self.segment.ends.append((row, zero))
        for tile in self.found.tiles.values():
            self.open(b, tile)
        self.equations(b, self.body, None)
        for param in parts:
            result = self.body.results[self.body.params.index(param) - 1]
            self.segment.sums.append((self.slots[param], result))
        self.flush(b)
        for tile in self.found.tiles.values():
            self.close(b, tile)
        self.finish(b)

    def equations(self, b: Builder, region: Region, position: Atom | None) -> None:
        """`position` is that of an inner loop's iteration."""
        here = {*region.params, *(v for e in region.eqns for v in e.outs)}
        for eqn in region.eqns:
            if self.found.is_late(eqn):
                if position is None:
                    self.late.append(eqn)
                else:
                    term = eqn.ins[1 - self.found.steps[eqn]]
                    self.segment.terms.append((self.terms[eqn], term, position))
            elif eqn.prim in ("empty", "full") and self.found.kind(eqn.out) == OWN:
                self.make(b, eqn)
            elif self.found.is_same(eqn):
                ins = tuple(map(self.atom, eqn.ins))
                (eqn,) = substitute(Region((), (eqn,), ()), self.names).eqns
                b.append(eqn.with_(ins=ins))
            elif eqn.prim == "for":
                self.inner(b, eqn, here)
            else:
                self.segment.eqns.append(eqn)

    def make(self, b: Builder, eqn: Eqn) -> None:
        ins = (*map(self.atom, eqn.ins), self.room)
        last = self.room.value if isinstance(self.room, Lit) else UNKNOWN
        out = Var(eqn.out.name, eqn.out.type.with_shape((*eqn.out.type.shape, last)))
        b.append(eqn.with_(ins=ins, outs=(out,)))
        self.slots[eqn.out] = slot = _Slot(out.name, out.type, out)
        self.active.append(slot)

    # -- tiles

    def open(self, b: Builder, tile: Tile) -> None:
        """Copy the block's part of a matrix, so that lanes are next to each other."""
        array, low, high = tile.array, self.bound(b, tile.low), self.bound(b, tile.high)
        whole = b.emit("dim", self.atom(array), axis=1, name="n")
        high = b.emit("minimum", high, whole)
        size = high if low == i64(0) else b.emit("sub", high, low)
        size = b.emit("maximum", size, i64(0))
        if tile.margin:  # no iteration takes the row, which need not be there
            size = b.emit("select", b.emit("gt", size, i64(tile.margin)), size, i64(0))
        self.sizes[tile], self.lows[tile] = size, low
        slot = self.new(b, array, size)
        self.tiles.update(dict.fromkeys(tile.eqns, tile))
        if tile.written:
            self.whole[tile], self.slots[array] = self.slots[array], slot
        else:
            self.whole[tile] = _Slot(array.name, array.type, self.atom(array))
            self.copies[array] = slot
        if tile.made is None:
            self.copy(b, tile, lambda inner, k, j: self.read(inner, tile, slot, k, j))
        elif tile.made.prim == "full":
            slot.value = b.emit("full", tile.made.ins[0], size, self.room, name=array.name)

    def bound(self, b: Builder, end: tuple[Atom, int]) -> Atom:
        a, more = end
        if isinstance(a, Lit):
            return i64(a.value + more)
        return b.emit("add", a, i64(more)) if more else a

    def copy(self, b: Builder, tile: Tile, fill: Callable[[Builder, Var, Var], None]) -> None:
        """`fill` for all lanes and columns, a line of the cache of each lane at a time."""
        start, j, size = Var("start", I64), Var(_column(tile), I64), self.sizes[tile]
        like = tile.eqns[0].with_(params={})

        def line(inner: Builder) -> None:
            end = inner.emit("minimum", inner.emit("add", start, i64(LINE)), size, name="end")

            def columns(b: Builder, k: Var) -> None:
                self.around(b, j, (start, end, i64(1)), lambda b: fill(b, k, j), like)

            self.each(inner, like, columns)

        self.around(b, start, (i64(0), size, i64(LINE)), line, like)

    def place(self, b: Builder, tile: Tile, k: Var, j: Var) -> tuple[Atom, Atom]:
        low = self.lows[tile]
        column = j if low == i64(0) else b.emit("add", j, low)
        return b.emit("add", self.begin, k), column

    def read(self, b: Builder, tile: Tile, slot: _Slot, k: Var, j: Var) -> None:
        value = b.emit("load", self.whole[tile].value, *self.place(b, tile, k, j), spec="i,i")
        ins = (slot.value, value, j, k)
        slot.value = b.emit("store", *ins, name=slot.name, type=slot.type, spec="i,i")

    def close(self, b: Builder, tile: Tile) -> None:
        """Copy back what has been written."""
        if tile.written:
            slot, whole = self.slots[tile.array], self.whole[tile]
            self.slots[tile.array] = whole

            def write(inner: Builder, k: Var, j: Var) -> None:
                value = inner.emit("load", slot.value, j, k, spec="i,i")
                ins = (whole.value, value, *self.place(inner, tile, k, j))
                whole.value = inner.emit(
                    "store", *ins, name=whole.name, type=whole.type, spec="i,i"
                )

            self.copy(b, tile, write)

    # -- inner loops

    def inner(self, b: Builder, eqn: Eqn, here: set[Atom]) -> None:
        """A loop around loops over the lanes; what is defined `here` is not in a loop around it."""
        inits, body, results, outs = loop_slots(eqn)
        carried = list(zip(inits, body.params[1:], results, outs))
        varying = [c for c in carried if self.found.kind(c[1]) == VARYING]
        same = [c for c in carried if self.found.kind(c[1]) == SAME]
        for init, param, _, _ in varying:
            if init in self.rows and init in here and self.uses[init] == 1:
                self.rows[param] = self.rows[init]  # nobody else reads it
            else:
                self.rows[param] = row = self.new(b, param)
                self.segment.ends.append((row, init))
        self.flush(b)
        numbers = [_Slot(param.name, param.type, self.atom(init)) for init, param, _, _ in same]
        self.active += numbers
        self.keep_terms(b, eqn)

        def fill(inner: Builder) -> None:
            for (_, param, _, _), slot in zip(same, numbers):
                self.names[param] = slot.value
            self.equations(inner, body, self.position(inner, eqn))
            for _, param, result, _ in varying:
                if result is not param:
                    self.segment.ends.append((self.rows[param], result))
            self.flush(inner)
            for (_, _, result, _), slot in zip(same, numbers):
                slot.value = self.atom(result)

        self.around(b, body.params[0], tuple(map(self.atom, eqn.ins[:3])), fill, eqn)
        self.rows.update((out, self.rows[param]) for _, param, _, out in varying)
        self.names.update((c[3], slot.value) for c, slot in zip(same, numbers))

    def keep_terms(self, b: Builder, loop: Eqn) -> None:
        """Matrices for the operands of operations that are done later, in order."""
        steps = [e for e in loop.regions[0].eqns if self.found.is_late(e)]
        if steps:
            self.late.append(loop)
        for step in steps:
            with b.at(step.loc), b.playing(step.role):
                self.terms[step] = self.new(b, step.out, self.trips(b, loop))

    def trips(self, b: Builder, loop: Eqn) -> Atom:
        return trip_count(b, *map(self.atom, loop.ins[:3]))

    def position(self, b: Builder, loop: Eqn) -> Atom:
        index, start = loop.regions[0].params[0], self.atom(loop.ins[0])
        if start == i64(0) or not any(e in self.terms for e in loop.regions[0].eqns):
            return index
        return b.emit("sub", index, start)

    def flush(self, b: Builder) -> None:
        """Write the segment that has been collected."""
        segment, self.segment = self.segment, _Segment()
        used = segment.uses()
        for v in [v for e in segment.eqns for v in e.outs]:
            if self.found.kind(v) == VARYING and self.uses[v] > used[v]:
                self.rows[v] = row = self.new(b, v)
                segment.ends.append((row, v))
        if segment.eqns or segment.ends or segment.sums or segment.terms:
            like = (segment.eqns or [self.loop])[0].with_(params={})
            self.each(b, like, lambda inner, k: _Lane(self, inner, k).write(segment))

    def each(self, b: Builder, like: Eqn, fill: Callable[[Builder, Var], None]) -> None:
        """A loop over the lanes."""
        k = Var("k", I64)
        self.around(b, k, (i64(0), self.size, i64(1)), lambda inner: fill(inner, k), like)

    # -- totals, after everything else

    def finish(self, b: Builder) -> None:
        if self.late:
            self.each(b, self.late[0].with_(params={}), self.operations)

    def operations(self, b: Builder, k: Var) -> None:
        for event in self.late:
            with b.at(event.loc), b.playing(event.role):
                if event.prim == "for":
                    self.row_by_row(b, event, k)
                    continue
                term = event.ins[1 - self.found.steps[event]]
                self.operation(b, event, _Lane(self, b, k).value(term))

    def row_by_row(self, b: Builder, loop: Eqn, k: Var) -> None:
        row = Var(loop.regions[0].params[0].name, I64)

        def fill(inner: Builder) -> None:
            for step in loop.regions[0].eqns:
                if step in self.terms:
                    place = (self.terms[step].value, row, k)
                    self.operation(inner, step, inner.emit("load", *place, spec="i,i"))

        bounds = (i64(0), self.trips(b, loop), i64(1))
        self.around(b, row, bounds, fill, loop.with_(params={}))

    def operation(self, b: Builder, step: Eqn, term: Atom) -> None:
        at = self.found.steps[step]
        slot, out = self.slot(step.out), Var(step.out.name, step.out.type)
        operands = tuple(slot.value if k == at else term for k in range(2))
        b.append(step.with_(ins=operands, outs=(out,)))
        slot.value = out


class _Lane:
    """Writes a segment for the lane `k`. `now` has what the variables of the segment are."""

    def __init__(self, of: _Lanes, b: Builder, k: Var) -> None:
        self.of, self.b, self.k = of, b, k
        self.now: dict[Atom, Atom] = {}

    def write(self, segment: _Segment) -> None:
        self.now.update(segment.begins)
        for eqn in segment.eqns:
            self.equation(eqn)
        values = [self.value(a) for _, a in segment.ends]  # all, before a row is written to
        terms = [self.value(a) for _, a, _ in segment.terms]
        sums = [self.value(a) for _, a in segment.sums]
        for (row, _), value in zip(segment.ends, values):
            row.value = self.store(row, value, "i", self.k)
        for (slot, _, position), value in zip(segment.terms, terms):
            slot.value = self.store(slot, value, "i,i", position, self.k)
        for (slot, _), value in zip(segment.sums, sums):
            slot.value = self.b.emit("add", slot.value, value, name=slot.name, **{ANY_ORDER: True})

    def store(self, slot: _Slot, value: Atom, spec: str, *places: Atom) -> Var:
        ins = (slot.value, value, *places)
        return self.b.emit("store", *ins, name=slot.name, type=slot.type, spec=spec)

    def value(self, a: Atom) -> Atom:
        """What `a` is in this lane."""
        if a not in self.now:
            if self.of.found.kind(a) != VARYING:
                return self.of.atom(a)
            self.now[a] = self.varying(a)
        return self.now[a]

    def varying(self, a: Atom) -> Var:
        if a is self.of.body.params[0]:
            return self.b.emit("add", self.of.begin, self.k, name=a.name)
        row = self.of.rows[a]
        return self.b.emit("load", row.value, self.k, name=row.name, spec="i")

    def equation(self, eqn: Eqn) -> None:
        if eqn.prim == "if":
            self.branch(eqn)
            return
        if eqn in self.of.tiles:
            self.tiled(eqn)
            return
        ins, params = tuple(map(self.value, eqn.ins)), eqn.params
        if eqn.prim in ("load", *WRITES) and self.of.found.kind(eqn.ins[0]) == OWN:
            ins, params = (*ins, self.k), {**params, "spec": params["spec"] + ",i"}
        out = Var(eqn.out.name, ins[0].type if eqn.prim in WRITES else eqn.out.type)
        self.b.append(eqn.with_(ins=ins, outs=(out,), params=params))
        self.define(eqn.out, out)

    def tiled(self, eqn: Eqn) -> None:
        """An access to a matrix of which the block has a copy."""
        of, tile = self.of, self.of.tiles[eqn]
        slot = of.slots[tile.array] if tile.written else of.copies[tile.array]
        column, low = self.value(eqn.ins[-1]), of.lows[tile]
        if low != i64(0):
            column = self.b.emit("sub", column, low)
        ins = (slot.value, *map(self.value, eqn.ins[1:-2]), column, self.k)
        out = Var(eqn.out.name, slot.type if eqn.prim in WRITES else eqn.out.type)
        self.b.append(eqn.with_(ins=ins, outs=(out,)))
        self.define(eqn.out, out)

    def define(self, v: Var, new: Var) -> None:
        if self.of.found.kind(v) in (TOTAL, *ARRAYS):
            self.of.slot(v).value = new
        else:
            self.now[v] = new

    def branch(self, eqn: Eqn) -> None:
        condition, outer, before = self.value(eqn.ins[0]), self.b, dict(self.now)
        slots = {s: s.value for s in self.of.active}
        regions = []
        for region in eqn.regions:
            self.b, self.now = Builder(eqn.loc, eqn.role), dict(before)
            for inner in region.eqns:
                self.equation(inner)
            regions.append(self.b.region((), [self.value(a) for a in region.results]))
            for slot, value in slots.items():
                slot.value = value
        self.b, self.now = outer, before
        outs = tuple(Var(v.name, a.type) for v, a in zip(eqn.outs, regions[0].results))
        self.b.append(eqn.with_(ins=(condition,), outs=outs, regions=tuple(regions)))
        for v, new in zip(eqn.outs, outs):
            self.define(v, new)


def _times(b: Builder, x: Atom, y: Atom) -> Atom:
    both = isinstance(x, Lit) and isinstance(y, Lit)
    return i64(x.value * y.value) if both else b.emit("mul", x, y)


def _plus(b: Builder, x: Atom, y: Atom) -> Atom:
    if isinstance(x, Lit) and isinstance(y, Lit):
        return i64(x.value + y.value)
    return y if x == i64(0) else b.emit("add", x, y)


def _column(tile: Tile) -> str:
    """A name for the index of a column."""
    index = tile.eqns[0].ins[-1]
    return index.name if isinstance(index, Var) else "j"
