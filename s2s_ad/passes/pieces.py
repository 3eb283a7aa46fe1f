"""A loop in two, a piece at a time: what nothing carried decides comes before what has an order.

    for k, n, 1, s0 { (i, s)              for low = k, n, 256, s0, t { (low, s, t)
      early…  gives e               →       for 0, count, 1, t { early…, kept in t }
      late…   takes s and e                 for 0, count, 1, s { late…, from t }
    }                                     }

A piece and what is kept of it stay in the cache. Loops that count down do so here as well: within a
piece the early part counts up, as it has no order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.vectors import is_elementwise, is_simple
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import (
    NO_PARAMS,
    Atom,
    Eqn,
    Lit,
    Region,
    Var,
    clone,
    eqn_free_vars,
    substitute,
    walk,
)
from s2s_ad.ir.prims import has_effect
from s2s_ad.ir.types import I64, Type

#: How many iterations a piece has.
PIECE = 128


@dataclass(frozen=True)
class Split:
    """The equations of a body in two: those that nothing carried decides, and the others. `first`
    are the places of the arrays that are carried by the early ones, `second` of all else that is
    carried; `passed` goes from one loop to the other; what `again` gives is computed in both."""

    early: list[Eqn]
    late: list[Eqn]
    first: list[int]
    second: list[int]
    passed: list[Var]
    again: list[Eqn]


def is_plain(loop: Eqn) -> bool:
    """True for an innermost `for` that counts up or down by one, and does nothing but compute."""
    if loop.prim != "for" or loop.params or loop.ins[2] not in (i64(1), i64(-1)):
        return False
    inner = walk(loop.regions[0])
    return not has_effect(loop) and all(e.prim not in ("for", "while") for e in inner)


def is_short(loop: Eqn, fewest: int) -> bool:
    """True for a plain loop that is known to have fewer iterations."""
    start, stop = loop.ins[:2]
    known = isinstance(start, Lit) and isinstance(stop, Lit)
    return known and abs(stop.value - start.value) < fewest


def trips(b: Builder, loop: Eqn) -> Atom:
    """How many iterations a plain loop has, if any."""
    start, stop, step = loop.ins[:3]
    return b.emit("sub", stop, start) if step == i64(1) else b.emit("sub", start, stop)


def split(body: Region) -> Split | None:
    """The body of a plain loop in two; None where that is not possible."""
    late = _late(body)
    early = [e for e in body.eqns if e not in late]
    return _passing(body, early, [e for e in body.eqns if e in late])


def _late(body: Region) -> set[Eqn]:
    """What depends on what an iteration passes to the next one."""
    index, *carried = body.params
    inner = list(walk(body))
    free = {e: eqn_free_vars(e) for e in body.eqns}
    known: set[Atom] = {p for p, r in zip(carried, body.results) if not (p.type.is_array or r is p)}
    late = {e for e in body.eqns if not all(map(is_simple, (e, *_inside(e))))}
    groups: list[set[Eqn]] = []  # what touches an array, of which all is late if some of it is
    for param in (p for p in carried if p.type.is_array):
        own = _versions(param, body)
        touching = {e for e in body.eqns if not own.isdisjoint(free[e])}
        alone = all(not e.regions for e in touching)
        if alone and is_elementwise(param, inner, index):
            groups.append(touching)
        else:
            late |= touching
    before = -1
    while len(late) > before:
        before = len(late)
        known.update(out for e in late for out in e.outs)
        for eqn in body.eqns:
            if eqn not in late and not known.isdisjoint(free[eqn]):
                late.add(eqn)
                known.update(eqn.outs)
        for touching in groups:
            if not late.isdisjoint(touching):
                late |= touching
    return late


def _inside(eqn: Eqn) -> Iterator[Eqn]:
    return (e for r in eqn.regions for e in walk(r))


def _versions(array: Var, body: Region) -> set[Atom]:
    """All versions of a carried array."""
    accesses = BufferAccesses(array)
    accesses.block(body)
    return accesses.versions


def _passing(body: Region, early: list[Eqn], late: list[Eqn]) -> Split | None:
    """What the late equations need of the early ones."""
    carried = body.params[1:]
    made = {out: e for e in early for out in e.outs}
    written = {e.ins[0]: e for e in early if e.prim in ("store", "accum")}
    first = [k for k, r in enumerate(body.results) if r in made and carried[k].type.is_array]
    second = [k for k in range(len(carried)) if k not in first]
    wanted = [a for e in late for a in eqn_free_vars(e)] + [body.results[k] for k in second]
    passed: list[Var] = []
    again: set[Eqn] = set()
    while wanted:
        a = wanted.pop()
        eqn = made.get(a)  # type: ignore[arg-type]
        if eqn is None or eqn in again or a in passed:
            continue
        loaded = eqn.prim == "load" and eqn.ins[0] not in written and eqn.ins[0] not in made
        if eqn.prim == "load" and not (loaded or a.type.is_float):
            return None  # the early part overwrites it, and numbers alone are passed on
        if loaded or not (a.type.is_float or eqn.regions):
            again.add(eqn)
            wanted += eqn.ins
        elif a.type.is_float and not a.type.is_array:
            passed.append(a)
        else:
            return None
    return Split(early, late, first, second, passed, [e for e in early if e in again])


def emit_pieces(b: Builder, loop: Eqn, parts: Split, ahead: Atom | None = None) -> None:
    """Append `loop`, a plain one, in pieces. Where `ahead` is given, a bool, and False, the early
    part is left out: the late one then gets along without what it is passed."""
    (body,) = loop.regions
    start, stop, step, *inits = loop.ins
    rooms = [
        b.emit("empty", i64(PIECE), name=v.name, type=Type(v.type.dtype, (PIECE,)),
               dtype=v.type.dtype)
        for v in parts.passed
    ]  # fmt: skip
    low = Var("low", I64)
    params = [Var(p.name, p.type) for p in body.params[1:]]
    temps = [Var(r.name, r.type) for r in rooms]
    inner = Builder(loop.loc, loop.role)
    up = step == i64(1)
    piece = piece_at(inner, low, start, stop, up)
    count = piece.count if ahead is None else inner.emit("select", ahead, piece.count, i64(0))
    after, filled = _first(inner, parts, body, Piece(piece.begin, count), params, temps)
    after |= _second(inner, parts, body, piece, params, filled, up)
    results = (*(after[k] for k in range(len(params))), *filled)
    region = inner.region((low, *params, *temps), results)
    unread = [Var(r.name, r.type) for r in rooms]
    ins = (start, stop, i64(PIECE if up else -PIECE), *inits, *rooms)
    b.append(loop.with_(outs=(*loop.outs, *unread), ins=ins, regions=(region,)))


@dataclass(frozen=True)
class Piece:
    """The lowest index of a piece, and how many it has."""

    begin: Atom
    count: Atom


def piece_at(b: Builder, low: Var, start: Atom, stop: Atom, up: bool) -> Piece:
    """The piece of the loop from `start` to `stop` whose first iteration has the index `low`. LLVM
    does not see of a variable that the indices of a loop are not negative; it is told."""
    left = b.emit("sub", stop, low) if up else b.emit("sub", low, stop)
    count = b.emit("minimum", left, i64(PIECE), name="count")
    begin: Atom = low
    if not up:
        begin = b.emit("add", b.emit("sub", low, count), i64(1))
    lowest = start if up else stop
    if isinstance(lowest, Lit) and lowest.value >= (0 if up else -1):
        begin = b.emit("maximum", begin, i64(0), name="begin")
    return Piece(begin, count)


#: What a carried place has after a loop.
_After = dict[int, Atom]


def _first(
    b: Builder, parts: Split, body: Region, piece: Piece,
    params: Sequence[Var], temps: Sequence[Var],
) -> tuple[_After, list[Var]]:  # fmt: skip
    """The loop with the early equations, and arrays with what is passed on."""
    own = [body.params[1 + k] for k in parts.first]
    rooms = [Var(t.name, t.type) for t in temps]
    inside, at = iteration(b, body, piece)
    inside.eqns += parts.early
    kept = [
        inside.emit("store", room, v, at, spec="i", name=room.name, type=room.type)
        for room, v in zip(rooms, parts.passed)
    ]
    results = (*(body.results[k] for k in parts.first), *kept)
    made = clone(Region((at, *own, *rooms), tuple(inside.eqns), results))
    ins = (i64(0), piece.count, i64(1), *(params[k] for k in parts.first), *temps)
    outs = tuple(Var(v.name, v.type) for v in (*own, *rooms))
    b.append(Eqn(outs, "for", ins, NO_PARAMS, (made,), b.loc, b.role))
    return dict(zip(parts.first, outs)), list(outs[len(own) :])


def iteration(b: Builder, body: Region, piece: Piece) -> tuple[Builder, Var]:
    """A loop over a piece, which computes the index of the whole one from its own."""
    at, inside = Var("at", I64), Builder(b.loc, b.role)
    inside.append(Eqn((body.params[0],), "add", (piece.begin, at), NO_PARAMS, (), b.loc, b.role))
    return inside, at


def shifted_back(
    b: Builder, loop: Eqn, piece: Piece, eqns: Sequence[Eqn], at: Var
) -> tuple[Eqn, ...]:
    """`eqns` of the iteration `at` of a piece, in which `i - 1` is `before + at`. That `before`,
    which is `begin - 1`, is not negative LLVM is told, as it is of `begin`: it does not see it of
    `begin + at - 1`."""
    lowest, index = loop.ins[0], loop.regions[0].params[0]
    if loop.ins[2] != i64(1):  # counts down to above `stop`
        lowest = i64(loop.ins[1].value + 1) if isinstance(loop.ins[1], Lit) else loop.ins[1]
    out = []
    for eqn in eqns:
        less = eqn.ins[1] if eqn.prim == "sub" and eqn.ins[0] is index else None
        known = isinstance(less, Lit) and isinstance(lowest, Lit)
        if known and 0 <= less.value <= lowest.value:
            before = b.emit("sub", piece.begin, less)
            before = b.emit("maximum", before, i64(0), name="before")
            eqn = eqn.with_(prim="add", ins=(before, at))
        out.append(eqn)
    return tuple(out)


def _second(
    b: Builder, parts: Split, body: Region, piece: Piece,
    params: Sequence[Var], filled: Sequence[Var], up: bool,
) -> _After:  # fmt: skip
    """The loop with the late equations, in the order of the whole."""
    own = [body.params[1 + k] for k in parts.second]
    inside, at = iteration(b, body, piece)
    loaded = {
        v: inside.emit("load", room, at, spec="i", name=v.name)
        for v, room in zip(parts.passed, filled)
    }
    inside.eqns += (*parts.again, *parts.late)
    results = tuple(body.results[k] for k in parts.second)
    made = clone(substitute(Region((at, *own), tuple(inside.eqns), results), loaded))
    bounds = (i64(0), piece.count, i64(1))
    if not up:
        bounds = (b.emit("sub", piece.count, i64(1)), i64(-1), i64(-1))
    ins = (*bounds, *(params[k] for k in parts.second))
    outs = tuple(Var(v.name, v.type) for v in own)
    b.append(Eqn(outs, "for", ins, NO_PARAMS, (made,), b.loc, b.role))
    return dict(zip(parts.second, outs))
