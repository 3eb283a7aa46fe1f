"""A tangent that an iteration stores for the next one to load is handed over in a number.

    d = for 1, n, 1, d0 { (i, d1)            d, _ = for 1, n, 1, d0, p0 { (i, d1, p)
      y = load d1, i - 1                       v = mul p, a
      v = mul y, a                     →       d2 = store d1, v, i
      d2 = store d1, v, i                      yield d2, v
      yield d2                               }
    }

A trajectory, a filter or a volatility is an array that each iteration continues. Its cotangent
would go through memory as well: `x_bar[i - 1] += a * x_bar[i]`, where each iteration waits for the
one before to be stored. Handed over, the recurrence is one of numbers (what preaccumulate.py looks
for), and the array of cotangents is only read. `p0` is what the first iteration finds: what was
stored in front of the loop, or an element of `d0`, which is only certain to exist if there is a
first iteration.

The primal values stay where they are: the reverse sweep finds them in the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.instances import Instances, Place
from s2s_ad.analysis.integers import Extent, Lin, Symbol
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import (
    PRIMAL,
    TANGENT,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    substitute,
)
from s2s_ad.ir.subscript import is_element

#: How many iterations later an element may be read, and how many accesses are looked at.
LAGS, MOST = 4, 40


def handover(func: Func, guarded: bool = True) -> Func:
    """`func`, a JVP, with the loads of tangents of the module's docstring replaced. Unless it is
    `guarded`, only where what the first iteration finds is known, so that no condition is needed.

    Example: `transpose(handover(jvp(func)))` gives the same gradients, but for rounding.
    """
    return func.with_(body=_Handover(Instances(func), guarded).region(func.body))


class _Handover:
    def __init__(self, instances: Instances, guarded: bool) -> None:
        self.instances, self.guarded = instances, guarded

    def region(self, region: Region) -> Region:
        b = Builder()
        made: dict[Atom, Eqn] = {}
        for eqn in region.eqns:
            handed = _found(eqn, self.instances) if eqn.prim == "for" else []
            firsts = [_Firsts(eqn, h, self.instances, made) for h in handed]
            firsts = [f for f in firsts if f.are_known or (self.guarded and f.can_be_read)]
            if eqn.regions:
                eqn = eqn.with_(regions=tuple(map(self.region, eqn.regions)))
            b.append(_rewritten(b, eqn, firsts) if firsts else eqn)
            made.update(dict.fromkeys(eqn.outs, eqn))
        return b.region(region.params, region.results)


@dataclass(frozen=True)
class _Handed:
    """What `store`, in a loop, stores in the array at `slot`; `loads` gives the loads of it by how
    many iterations later they are, 1 to the number of them."""

    slot: int
    store: Eqn
    loads: dict[int, list[Eqn]]

    def params(self) -> list[Var]:
        """The numbers that are handed over: what was stored in the last iteration, and so on."""
        kind, name = self.store.ins[1].type, self.store.ins[0].name.removesuffix("_dot")
        return [Var(f"{name}_last{lag if lag > 1 else ''}_dot", kind) for lag in self.loads]


# --- what can be handed over ---------------------------------------------------------------------


def _found(loop: Eqn, instances: Instances) -> list[_Handed]:
    if loop.params.get("exit") or not isinstance(loop.ins[2], Lit):
        return []
    first = len(loop.outs) - loop.params.get("linear", 0)
    slots = [k for k in range(first, len(loop.outs)) if loop.outs[k].type.is_array]
    return [h for slot in slots for h in _of_array(loop, slot, instances)]


def _of_array(loop: Eqn, slot: int, instances: Instances) -> list[_Handed]:
    (body,) = loop.regions
    accesses = BufferAccesses(body.params[1 + slot])
    accesses.block(body)
    order = [e for e in body.eqns if e in accesses.eqns]
    last = accesses.in_line and body.results[slot] is accesses.latest
    if accesses.mixed or not last or len(order) > MOST:
        return []
    if any(e.prim != "load" and e not in order for e in accesses.eqns):
        return []  # one in a branch, or a loop
    found: dict[Eqn, dict[int, list[Eqn]]] = {}
    for load in order:
        if load.prim == "load" and is_element(load.params["spec"]):
            source = _source(load, loop, order, instances)
            if source is not None:
                found.setdefault(source[0], {}).setdefault(source[1], []).append(load)
    handed = []
    for store, loads in found.items():
        near = {lag: loads[lag] for lag in range(1, LAGS + 1) if {*range(1, lag + 1)} <= {*loads}}
        if near:
            handed.append(_Handed(slot, store, near))
    return handed


def _source(
    load: Eqn, loop: Eqn, order: Sequence[Eqn], instances: Instances
) -> tuple[Eqn, int] | None:
    """The store that made what `load` finds, in each iteration but the first ones, and how many
    iterations before; `order` are all accesses to the array, in an iteration."""
    place = instances.place(load)
    for store in order:
        if store.prim == "load" or not is_element(store.params["spec"]):
            continue
        if store.ins[1].type != load.out.type:
            continue
        for lag in range(1, LAGS + 1):
            with instances.earlier(loop, lag) as then:
                same = instances.same(then(instances.place(store)), place)
            if same and _untouched(load, store, lag, loop, order, instances):
                return store, lag
    return None


def _untouched(
    load: Eqn, store: Eqn, lag: int, loop: Eqn, order: Sequence[Eqn], instances: Instances
) -> bool:
    """True where nothing else is written to the place of `load` since `store`, `lag` iterations
    before, or since the beginning where there were not as many."""
    place = instances.place(load)
    for count in range(lag + 1):
        others = [e for e in order if e.prim != "load"]
        if count == lag:
            others = [e for e in others if order.index(e) > order.index(store)]
        if count == 0:
            others = [e for e in others if order.index(e) < order.index(load)]
        with instances.earlier(loop, count) as then:
            if not all(instances.apart(then(instances.place(e)), place) for e in others):
                return False
    return True


# --- what the first iterations find --------------------------------------------------------------


class _Firsts:
    """What the first iterations of `loop` find of what is `handed` over: equations `made` before it
    may say so."""

    def __init__(
        self, loop: Eqn, handed: _Handed, instances: Instances, made: dict[Atom, Eqn]
    ) -> None:
        self.handed, self.array = handed, loop.ins[3 + handed.slot]
        self.params = instances.params
        place = instances.place(handed.store)
        self.places = [instances.at_start(loop, place, lag) for lag in handed.loads]
        self.known = [_stored(self.array, p, made, instances) for p in self.places]

    @property
    def are_known(self) -> bool:
        return None not in self.known

    @property
    def can_be_read(self) -> bool:
        """True where the subscripts are sums of variables and extents of parameters."""
        indices = [span.low for place in self.places for span in place]
        known = None not in indices
        return known and all(self._exists(s) for a in indices for s, _ in a.terms)

    def _exists(self, symbol: Symbol) -> bool:
        if isinstance(symbol, Extent):
            return symbol.var in self.params
        return isinstance(symbol, Var)

    def atoms(self, b: Builder, loop: Eqn) -> list[Atom]:
        """The numbers that are handed to the first iteration; what computes them goes to `b`."""
        pairs = zip(self.places, self.known)
        return [self._element(b, loop, p) if k is None else k for p, k in pairs]

    def _element(self, b: Builder, loop: Eqn, place: Place) -> Atom:
        """The element that was there before the loop, if there is an iteration."""
        b.loc, b.role = loop.loc, PRIMAL
        start, stop, step = loop.ins[:3]
        some = b.emit("lt" if step.value > 0 else "gt", start, stop, name="any_trip")
        then = Builder(loop.loc)
        index = [_atom(then, span.low) for span in place]
        spec, name = self.handed.store.params["spec"], self.array.name
        with then.playing(TANGENT):
            element = then.emit("load", self.array, *index, spec=spec, name=name)
        zero = number(0, self.array.type.dtype)
        regions = then.region((), (element,)), Region((), (), (zero,))
        return b.equation("if", (some,), {"linear": 1}, regions, (name,))[0]


def _stored(array: Atom, place: Place, made: dict[Atom, Eqn], instances: Instances) -> Atom | None:
    """The tangent that an element of `array` was given, in the equations `made` before the loop."""
    eqn = made.get(array)
    while eqn is not None and eqn.prim == "store":
        there = instances.place(eqn)
        if is_element(eqn.params["spec"]) and instances.same(there, place):
            return eqn.ins[1] if eqn.ins[1].type.dtype == array.type.dtype else None
        if not instances.apart(there, place):
            return None
        eqn = made.get(eqn.ins[0])
    is_zero = eqn is not None and eqn.prim == "full" and isinstance(eqn.ins[0], Lit)
    return eqn.ins[0] if is_zero else None


def _atom(b: Builder, value: Lin) -> Atom:
    """A sum of variables, computed."""
    total: Atom | None = i64(value.const) if value.const or not value.terms else None
    for symbol, factor in value.terms:
        term = symbol
        if isinstance(symbol, Extent):
            term = b.emit("dim", symbol.var, axis=symbol.axis, name="n")
        if factor != 1:
            term = b.emit("mul", term, i64(factor))
        total = term if total is None else b.emit("add", total, term)
    return total


# --- the loop ------------------------------------------------------------------------------------


def _rewritten(b: Builder, loop: Eqn, firsts: Sequence[_Firsts]) -> Eqn:
    """The loop with numbers in place of what is handed over, and before it, in `b`, the first."""
    (body,) = loop.regions
    handed = [f.handed for f in firsts]
    own = [h.params() for h in handed]
    names: dict[Var, Atom] = {}
    for one, params in zip(handed, own):
        for loads, param in zip(one.loads.values(), params):
            names.update((load.out, param) for load in loads)
    inits = [a for f in firsts for a in f.atoms(b, loop)]
    inner, values = _without_loads(body, handed, names)
    passed = [v for h, params in zip(handed, own) for v in (values[h.store], *params[:-1])]
    flat = [p for params in own for p in params]
    results = [names.get(r, r) if isinstance(r, Var) else r for r in body.results]
    return loop.with_(
        ins=(*loop.ins, *inits),
        outs=(*loop.outs, *(Var(p.name, p.type) for p in flat)),
        regions=(inner.region((*body.params, *flat), (*results, *passed)),),
        params={**loop.params, "linear": loop.params["linear"] + len(flat)},
    )


def _without_loads(
    body: Region, handed: Sequence[_Handed], names: dict[Var, Atom]
) -> tuple[Builder, dict[Eqn, Atom]]:
    """The equations of the body, with `names` for what the loads gave, and what is stored."""
    b = Builder()
    values: dict[Eqn, Atom] = {}
    gone = {load for h in handed for loads in h.loads.values() for load in loads}
    stores = {h.store for h in handed}
    for eqn in body.eqns:
        if eqn in gone:
            continue
        (new,) = substitute(Region((), (eqn,), ()), names).eqns
        if eqn in stores:
            new = _as_store(b, new)
            values[eqn] = new.ins[1]
        b.append(new)
    return b, values


def _as_store(b: Builder, write: Eqn) -> Eqn:
    """A write as a store; what an `accum` leaves is computed in `b`."""
    if write.prim == "store":
        return write
    array, value, *index = write.ins
    with b.at(write.loc), b.playing(write.role):
        old = b.emit("load", array, *index, spec=write.params["spec"], name=array.name)
        new = b.emit("add", old, value, name=array.name)
    return write.with_(prim="store", ins=(array, new, *index))
