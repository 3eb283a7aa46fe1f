"""Loops whose iterations may run at the same time do.

    g: f64[n], s: f64 = for 0, n, 1, g0, s0 { (i, g1, s1)    g[…] = … at i;  s2 = add s1, …

becomes, where the size says that it pays, a loop over as many parts as there are threads:

    parts = if n is large { threads } { 1 }
    s_parts = empty parts
    g, s_all = for 0, parts, 1, g0, s_parts {parallel='proved'} { (part, g1, s_parts1)
      first, last = part * n // parts, (part + 1) * n // parts
      g2, s2 = for first, last, 1, g1, 0.0 { … as before … }
      s_parts2 = store s_parts1, s2, part
      yield g2, s_parts2 }
    s = for 0, parts, 1, s0 { … adds up s_all … }

What becomes of a carried value is said by analysis/independence.py. OWN arrays are written by all
parts. Every part has a TOTAL of its own, and an array of its own for what is ADDED to. Where
iterations are NEAR each other, parts take turns: first those with even numbers, which are too far
apart to meet, then those with odd ones. A loop for which the user has wished (a prange), and that
has neither, stays as it is, marked as proved. A loop that is not proved to be independent, wished
for or not, runs in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from s2s_ad.analysis.independence import (
    ADDED,
    KEPT,
    NEAR,
    OWN,
    TOTAL,
    Carried,
    facts_of,
    independent,
)
from s2s_ad.analysis.integers import Facts, Lin, lin
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import (
    DENIED,
    EDGE,
    NO_PARAMS,
    PARALLEL,
    PROVED,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    clone,
    region_defs,
    substitute,
    walk,
)
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.types import I64, UNKNOWN, Type
from s2s_ad.passes.pieces import PIECE
from s2s_ad.passes.tape import trip_count

#: A loop goes to several threads if it takes so many operations at least: some 30 microseconds
#: where it is vectorised, and more where it is not. A thread that comes to a loop takes 2 or 3.
WORTH = 1_500_000
#: How many additions cost as much, in vectors: memory that is written and read, a quotient or root,
#: a function like exp.
_WRITTEN, _READ, _QUOTIENT, _FUNCTION = 6, 2, 16, 64
#: How many iterations an inner loop is taken to have whose number is not known beforehand.
_SOME = 8
#: The steps of loops that go over all from their first index to their last: their own, or pieces.
_STEPS = tuple(i64(step) for step in (1, -1, PIECE, -PIECE))
_COSTS = {
    "dim": 0,
    "load": _READ,
    "store": _WRITTEN,
    "accum": _READ + _WRITTEN,
    **dict.fromkeys("div sqrt floordiv mod fmod".split(), _QUOTIENT),
}
_FUNCTIONS = frozenset(
    "cbrt exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arccosh arctanh erf erfc gamma lgamma arctan2 hypot".split()
)
#: What a total starts with; the others start with what is there.
_NEUTRAL = {"add": 0, "mul": 1}


def parallel(func: Func, everywhere: bool = False) -> Func:
    """`func` with the loops that the user wished to be parallel so, where they are proved to be
    independent; `everywhere`, all loops that are. See the module's docstring."""
    if not everywhere and not any(PARALLEL in e.params for e in walk(func.body)):
        return func
    return func.with_(body=_Pass(func, everywhere).region(func.body))


class _Pass:
    def __init__(self, func: Func, everywhere: bool) -> None:
        self.everywhere, self.facts = everywhere, facts_of(func)
        self.dims: dict[object, Var] = {}  # extents at hand

    def region(self, region: Region) -> Region:
        dims = dict(self.dims)
        new = self.loops(region)
        self.dims = dims
        return new

    def loops(self, region: Region) -> Region:
        eqns: list[Eqn] = []
        same: dict[Var, Atom] = {}  # what loops have not changed
        for eqn in region.eqns:
            if eqn.prim == "dim":
                self.dims.setdefault(self.facts.expand(lin(eqn.out)), eqn.out)
            wished = PARALLEL in eqn.params
            if eqn.prim == "for" and (wished or self.everywhere):
                carried = independent(eqn, self.facts, wished)
                if carried is not None and (wished or _is_long(eqn, self.facts)):
                    for how, init, out in zip(carried, eqn.ins[3:], eqn.outs):
                        same.update({out: same.get(init, init)} if how.kind == KEPT else {})
                    slim, carried = _changing(eqn, carried)
                    run = _Run(slim, self.facts, self.dims)
                    eqns += _wished(run, carried) if wished else _where_it_pays(run, carried)
                    continue
            params = {**eqn.params, PARALLEL: DENIED} if wished else eqn.params
            eqns.append(eqn.with_(params=params, regions=tuple(map(self.region, eqn.regions))))
        return substitute(Region(region.params, tuple(eqns), region.results), same)


def _is_long(loop: Eqn, facts: Facts) -> bool:
    """True unless the loop is known to be too short for several threads."""
    count = trip_count(Builder(), *loop.ins[:3])
    if isinstance(count, Lit):
        return count.value >= 16
    most = _most(lin(loop.ins[1]) - lin(loop.ins[0]), facts)
    return most is None or most * _total(loop.regions[0]) > WORTH


def _most(count: Lin, facts: Facts) -> int | None:
    """As many iterations as there are at most, or a few more, where that is known: a block of lanes
    has few."""
    return next((most for most in (64, PIECE) if facts.at_least(count * -1, -most)), None)


def _changing(loop: Eqn, carried: Sequence[Carried]) -> tuple[Eqn, list[Carried]]:
    """The loop without what its iterations do not change."""
    (body,) = loop.regions
    inits, params = loop.ins[3:], body.params[1:]
    kept = {p: a for p, a, c in zip(params, inits, carried) if c.kind == KEPT}
    at = [k for k, c in enumerate(carried) if c.kind != KEPT]
    own, results = (params[k] for k in at), tuple(body.results[k] for k in at)
    slim = loop.with_(
        outs=tuple(loop.outs[k] for k in at),
        ins=(*loop.ins[:3], *(inits[k] for k in at)),
        regions=(substitute(Region((body.params[0], *own), body.eqns, results), kept),),
    )
    return slim, [carried[k] for k in at]


def _wished(run: _Run, carried: Sequence[Carried]) -> list[Eqn]:
    b = Builder(run.loop.loc, run.loop.role)
    _emit(run, carried, b, run.loop.outs)
    return run.b.eqns + b.eqns


def _where_it_pays(run: _Run, carried: Sequence[Carried]) -> list[Eqn]:
    """Starting threads takes a while: a short loop stays as it is."""
    loop, b = run.loop, run.b
    work, cost = run.work
    large = b.emit("gt", work, i64(max(WORTH // cost, 1)))
    many = Builder(loop.loc, loop.role)
    outs = tuple(Var(v.name, v.type) for v in loop.outs)
    _emit(run, carried, many, outs)
    few = clone(Region((), (loop,), loop.outs))
    b.append(
        Eqn(loop.outs, "if", (large,), NO_PARAMS, (many.region((), outs), few), loop.loc, loop.role)
    )
    return b.eqns


def _emit(run: _Run, carried: Sequence[Carried], b: Builder, outs: tuple[Var, ...]) -> None:
    """The parallel loop; `outs` are to be its results."""
    if all(c.kind == OWN for c in carried) and _is_plain(run.body):
        params = {PARALLEL: PROVED}
        ins = (*run.bounds, *run.loop.ins[3:])
        b.append(run.loop.with_(outs=outs, ins=ins, params=params, regions=(_ordered(run.body),)))
    else:
        _Parts(run, carried, b, outs).emit()


def _is_plain(body: Region) -> bool:
    """True where numba vectorises what is innermost of a prange over all iterations: its index is
    not negative, but nothing is known of `index - 1`."""
    deep = any(e.prim == "for" for e in body.eqns)
    moves = any(body.params[0] in e.ins for e in body.eqns if PRIMS[e.prim].elementwise)
    return deep or not moves


def _ordered(region: Region) -> Region:
    """`region` with inner loops over elements from 2 on that do not end before they begin. What has
    been checked around a prange LLVM does not know inside, and such a loop it would not vectorise:
    `x[i - 1]` counts from the end where i is 0."""
    eqns: list[Eqn] = []
    for eqn in region.eqns:
        eqn = eqn.with_(regions=tuple(map(_ordered, eqn.regions))) if eqn.regions else eqn
        if eqn.prim == "for" and _starts_late(*eqn.ins[:3]):
            b = Builder(eqn.loc, eqn.role)
            start, stop = eqn.ins[:2]
            stop = b.emit("maximum", stop, start, name="stop")
            eqns += b.eqns
            eqn = eqn.with_(ins=(start, stop, *eqn.ins[2:]))
        eqns.append(eqn)
    return Region(region.params, tuple(eqns), region.results)


def _starts_late(start: Atom, stop: Atom, step: Atom) -> bool:
    late = isinstance(start, Lit) and start.value > 1 and not isinstance(stop, Lit)
    return late and step == i64(1)


class _Run:
    """The iterations of a loop, counted upwards in steps of 1: `bounds`, and the body for that.
    `dims` are extents at hand."""

    def __init__(self, loop: Eqn, facts: Facts, dims: Mapping[Lin, Var]) -> None:
        self.loop, self.facts, self.dims = loop, facts, dims
        self.b = Builder(loop.loc, loop.role)
        start, stop, step = loop.ins[:3]
        (self.body,) = loop.regions
        self.inside = set(region_defs(self.body))
        if step == i64(1):
            ends = (start, stop)
        elif step == i64(-1):
            ends = (self.above(stop), self.above(start))
        else:
            ends = (i64(0), trip_count(self.b, start, stop, step))
            self.body = self.strided(start, step)
        self.bounds = (*ends, i64(1))

    @cached_property
    def trips(self) -> Atom:
        """How many iterations there are, or less than 0."""
        first, last = self.bounds[:2]
        known = self.integer(lin(last) - lin(first), "trips")
        return known or self.b.emit("sub", last, first, name="trips")

    def above(self, a: Atom) -> Atom:
        return self.integer(lin(a) + 1, "stop") or self.b.emit("add", a, i64(1), name="stop")

    def integer(self, value: Lin, name: str) -> Atom | None:
        """A sum as an integer before the loop, as short as can be; None where it is not known
        there."""
        value = self.facts.expand(value)
        if value in self.dims:
            return self.dims[value]
        total: Atom | None = None
        for symbol, factor in value.terms:
            term = self.dims.get(lin(symbol), symbol)
            if not isinstance(term, Var) or term in self.inside:
                return None
            if abs(factor) != 1:
                term = self.b.emit("mul", term, i64(abs(factor)), name=name)
            if total is None:
                total = term if factor > 0 else self.b.emit("neg", term, name=name)
            else:
                total = self.b.emit("add" if factor > 0 else "sub", total, term, name=name)
        if total is None or value.const == 0:
            return total or i64(value.const)
        return self.b.emit(
            "add" if value.const > 0 else "sub", total, i64(abs(value.const)), name=name
        )

    @cached_property
    def work(self) -> tuple[Atom, int]:
        """How often the innermost loop with the most work goes round in all, as far as that is
        known before the loop, and how many operations that is each time."""
        work, cost, region = self.trips, 1, self.body
        while True:
            loops = _loops(region)
            if not loops:
                return work, cost * max(_total(region), 1)
            loop = max(loops, key=lambda e: _total(e.regions[0]))
            (start, stop, step), region = loop.ins[:3], loop.regions[0]
            down = step in (i64(-1), i64(-PIECE))
            count = self.integer((lin(stop) - lin(start)) * (-1 if down else 1), "work")
            if step in (i64(PIECE), i64(-PIECE)):  # in pieces: all of its loops go over all
                inner = (e for piece in _loops(region) for e in piece.regions[0].eqns)
                region = Region((), tuple(inner), ())
            if count is None or step not in _STEPS:
                cost *= _most(lin(stop) - lin(start), self.facts) or _SOME
            elif isinstance(count, Lit):
                cost *= max(count.value, 1)
            else:
                work = self.b.emit("mul", work, count, name="work")

    def strided(self, start: Atom, step: Atom) -> Region:
        b, old = Builder(self.b.loc, self.b.role), self.body
        k = Var("k", I64)
        b.emit("mul", k, step)
        index = Eqn((old.params[0],), "add", (start, b.eqns[-1].out), NO_PARAMS, (), b.loc, b.role)
        return Region((k, *old.params[1:]), (*b.eqns, index, *old.eqns), old.results)


@dataclass(eq=False)
class _Slot:
    """One carried value: before the loop, inside, and after it. `parts` holds what every part has
    of a total, or of an array of its own."""

    how: Carried
    init: Atom
    param: Var
    result: Atom
    out: Var
    parts: Var | None = None
    extents: tuple[Atom, ...] = ()

    @property
    def split(self) -> bool:
        return self.how.kind in (TOTAL, ADDED)


class _Parts:
    """A loop over parts of another loop's iterations."""

    def __init__(
        self, run: _Run, carried: Sequence[Carried], b: Builder, outs: tuple[Var, ...]
    ) -> None:
        self.run, self.b, self.loop = run, b, run.loop
        self.start, self.body = run.bounds[0], run.body
        rows = zip(carried, self.loop.ins[3:], self.body.params[1:], self.body.results, outs)
        self.slots = [_Slot(*row) for row in rows]
        self.trips, self.parts = run.trips, i64(1)
        self.near = [s.how.span for s in self.slots if s.how.kind == NEAR]
        self.deep = any(e.prim == "for" for e in self.body.eqns)

    def emit(self) -> None:
        b = self.b
        for slot in self.slots:
            if slot.how.kind == ADDED:
                slot.extents = _extents(b, slot.init)
        self.parts = self._number()
        for slot in self.slots:
            if slot.split:
                kind = Type(slot.param.type.dtype, (UNKNOWN, *slot.param.type.shape))
                name, dtype = f"{_stem(slot.param)}_parts", kind.dtype
                shape = (self.parts, *slot.extents)
                slot.parts = b.emit("empty", *shape, name=name, type=kind, dtype=dtype)
        after = self._phases() if self.near else self._loop(b, None, self._inits(), self._outs())
        for slot, parts in zip(self.slots, after):
            if slot.split:
                self._combine(slot, parts)

    # -- how many

    def _number(self) -> Atom:
        """How many parts there are: one for each thread, two where parts take turns; fewer where
        they would be too short for that, or arrays of their own too much work."""
        b = self.b
        limits: list[Atom] = [b.emit("threads")]
        if self.near:
            limits = [b.emit("mul", limits[0], i64(2))]
            limits.append(b.emit("floordiv", self.trips, i64(max(self.near) + 1)))
        sizes = [size for slot in self.slots for size in _sizes(b, slot)]
        if sizes:
            work, _ = self.run.work
            limits += [b.emit("floordiv", work, size) for size in sizes]
        least = limits[0]
        for limit in limits[1:]:
            least = b.emit("minimum", least, limit)
        if len(limits) > 1:
            b.emit("maximum", least, i64(1))
        parts = Var("parts", I64)
        b.eqns[-1] = b.eqns[-1].with_(outs=(parts,))
        return parts

    # -- the loops

    def _inits(self) -> list[Atom]:
        return [s.parts if s.split else s.init for s in self.slots]

    def _outs(self) -> list[Var]:
        return [Var(s.parts.name, s.parts.type) if s.split else s.out for s in self.slots]

    def _phases(self) -> list[Var]:
        """Parts with even numbers, then those with odd ones."""
        outs, inits = self._outs(), self._inits()
        turn, b = Var("turn", I64), Builder(self.loop.loc, self.loop.role)
        params = [Var(v.name, v.type) for v in inits]
        rest = b.emit("sub", b.emit("add", self.parts, i64(1)), turn)
        half = b.emit("floordiv", rest, i64(2), name="half")
        inner = [Var(v.name, v.type) for v in inits]
        self._loop(b, (turn, half), params, inner)
        region = b.region((turn, *params), inner)
        bounds = (i64(0), i64(2), i64(1))
        self._append(self.b, tuple(outs), (*bounds, *inits), region, NO_PARAMS)
        return outs

    def _append(self, b: Builder, outs: tuple, ins: tuple, region: Region, params) -> None:
        b.append(Eqn(outs, "for", ins, params, (region,), self.loop.loc, self.loop.role))

    def _loop(
        self, b: Builder, turn: tuple[Var, Var] | None, inits: Sequence[Atom], outs: list[Var]
    ) -> list[Var]:
        """The loop over the parts; `turn` is which ones, and how many these are."""
        inner, index = Builder(b.loc, b.role), Var("part", I64)
        part = index
        if turn is not None:
            index = Var("pair", I64)
            twice = inner.emit("mul", index, i64(2))
            part = inner.emit("add", twice, turn[0], name="part")
        params = [Var(a.name, a.type) for a in inits]
        values = self._part(inner, part, dict(zip(self.slots, params)))
        results = []
        for slot, param, value in zip(self.slots, params, values):
            if slot.split:
                spec = ",".join(["i", *":" * value.type.ndim])
                value = inner.emit("store", param, value, part, spec=spec, name=param.name)
            results.append(value)
        region = inner.region((index, *params), results)
        bounds = (i64(0), self.parts if turn is None else turn[1], i64(1))
        self._append(b, tuple(outs), (*bounds, *inits), region, {PARALLEL: PROVED})
        return outs

    def _part(self, b: Builder, part: Var, arrays: dict[_Slot, Var]) -> list[Var]:
        """The iterations of one part; what they make of the carried values."""
        first = b.emit("floordiv", b.emit("mul", part, self.trips), self.parts)
        first = b.emit("maximum", first, i64(0), name="first")  # so that LLVM knows it too
        after = b.emit("add", part, i64(1))
        last = b.emit("floordiv", b.emit("mul", after, self.trips), self.parts, name="last")
        inits = [self._first(b, slot, arrays) for slot in arrays]
        body = _ordered(self.body)
        own, index = [s.param for s in arrays], body.params[0]
        results = tuple(s.result for s in arrays)
        outs = tuple(Var(s.param.name, s.param.type) for s in arrays)
        if self.deep:
            bounds = [self._shifted(b, a) for a in (first, last)]
            region = Region((index, *own), body.eqns, results)
        else:  # counted from 0, or it would not be vectorised
            bounds = [i64(0), b.emit("sub", last, first)]
            k, moved = Var("k", I64), Builder(b.loc, b.role)
            moved.emit("add", first, k, name=index.name)
            self._shifted(moved, moved.eqns[-1].out)
            moved.eqns[-1] = moved.eqns[-1].with_(outs=(index,))
            region = Region((k, *own), (*moved.eqns, *body.eqns), results)
        self._append(b, outs, (*bounds, i64(1), *inits), region, NO_PARAMS)
        return list(outs)

    def _shifted(self, b: Builder, a: Atom) -> Atom:
        return a if self.start == i64(0) else b.emit("add", a, self.start)

    def _first(self, b: Builder, slot: _Slot, arrays: dict[_Slot, Var]) -> Atom:
        """What a part starts with."""
        dtype = slot.param.type.dtype
        if slot.how.kind == ADDED:
            kind = {"type": slot.param.type, "name": slot.param.name}
            return b.emit("full", number(0, dtype), *slot.extents, **kind)
        if slot.how.kind == TOTAL:
            neutral = _NEUTRAL.get(slot.how.op)
            return slot.init if neutral is None else number(neutral, dtype)
        return arrays[slot]

    # -- after the loops

    def _combine(self, slot: _Slot, parts: Var) -> None:
        """Everything that the parts have is put together."""
        index, so_far = Var("part", I64), Var(slot.param.name, slot.param.type)
        b = Builder(self.loop.loc, self.loop.role)
        if slot.how.kind == TOTAL:
            value = b.emit("load", parts, index, spec="i", name="t")
            new = b.emit(slot.how.op, so_far, value, name=slot.out.name)
        else:
            new = _added(b, so_far, parts, [index], slot.extents)
        region = b.region((index, so_far), (new,))
        ins = (i64(0), self.parts, i64(1), slot.init)
        self._append(self.b, (slot.out,), ins, region, NO_PARAMS)


def _added(b: Builder, total: Var, parts: Var, indices: list[Var], extents: Sequence[Atom]) -> Var:
    """`total[…] += parts[part, …]`, element by element."""
    if not extents:
        spec = ",".join("i" * len(indices))
        value = b.emit("load", parts, *indices, spec=spec)
        return b.emit("accum", total, value, *indices[1:], spec=spec[2:], name=total.name)
    inner, index = Builder(b.loc, b.role), Var("ijklpq"[len(indices) - 1], I64)
    param = Var(total.name, total.type)
    new = _added(inner, param, parts, [*indices, index], extents[1:])
    region = inner.region((index, param), (new,))
    ins = (i64(0), extents[0], i64(1), total)
    return b.equation("for", ins, None, (region,), (total.name,), (total.type,))[0]


def _stem(v: Var) -> str:
    return v.name.split(".")[0]


def _extents(b: Builder, v: Atom) -> tuple[Atom, ...]:
    return tuple(
        i64(d) if isinstance(d, int) else b.emit("dim", v, name="n", axis=axis)
        for axis, d in enumerate(v.type.shape)
    )


def _sizes(b: Builder, slot: _Slot) -> list[Atom]:
    """How much work it is to have one more array of one's own: to clear it, and to add it."""
    if slot.how.kind != ADDED:
        return []
    size: Atom = i64(4)
    for extent in slot.extents:
        size = b.emit("mul", size, extent, name="size")
    return [b.emit("maximum", size, i64(1), name="size")]


def _loops(region: Region) -> list[Eqn]:
    """The loops of a region, also those of the dearer branch of an `if`, but for those that do the
    ends of others."""
    found = []
    for eqn in region.eqns:
        if eqn.prim == "for" and EDGE not in eqn.params:
            found.append(eqn)
        elif eqn.prim == "if":
            found += _loops(max(eqn.regions, key=lambda r: len(list(walk(r)))))
    return found


def _total(region: Region) -> int:
    return sum(map(_cost, region.eqns))


def _cost(eqn: Eqn) -> int:
    if eqn.prim == "if":
        return max(sum(map(_cost, r.eqns)) for r in eqn.regions) + 1
    if eqn.prim == "for":
        return _SOME * _total(eqn.regions[0])
    if eqn.prim in _FUNCTIONS or (eqn.prim == "pow" and not isinstance(eqn.ins[1], Lit)):
        return _FUNCTION
    return _COSTS.get(eqn.prim, 1)
