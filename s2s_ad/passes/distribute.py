"""Functions are computed before the recurrence that takes them, several at once.

    s = for 0, n, 1, 0.0 { (i, s)           t = empty 256
      u = load x, i                         s = for 0, n, 256, 0.0, t { (lo, s, t)
      e = exp u                               m = minimum (n - lo), 256
      s = add s, e                  →         t = for 0, m, 1, t { (k, t)
      yield s                                   u = load x, lo + k
    }                                           e = exp u
                                                t = store t, e, k
                                                yield t }
                                              s = for 0, m, 1, s { (k, s)
                                                e = load t, k
                                                s = add s, e
                                                yield s }
                                              yield s, t }

A sum that a loop spells out is added up in its order, and a price is multiplied step by step: such
loops are not vectorised, and with them nothing that they compute. But the terms depend on nothing
that the loop carries. They are computed for a piece of the loop at a time, in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.vectors import is_elementwise, is_function, is_simple, is_vector
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import (
    NO_PARAMS,
    Atom,
    Eqn,
    Func,
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
PIECE = 256


def distribute(func: Func) -> Func:
    """`func` with the loops of the module's docstring in two.

    Example: `distribute(func)` gives the same results to the last bit.
    """
    return func.with_(body=_region(func.body))


def _region(region: Region) -> Region:
    b = Builder()
    for eqn in region.eqns:
        eqn = eqn.with_(regions=tuple(map(_region, eqn.regions)))
        split = _split(eqn)
        if split is None:
            b.append(eqn)
        else:
            b.loc, b.role = eqn.loc, eqn.role
            _emit(b, eqn, split)
    return b.region(region.params, region.results)


@dataclass(frozen=True)
class _Split:
    """The equations of a body in two: those that nothing carried decides, and the others. `first`
    are the places of the arrays that are carried by the early ones, `second` of all else that is
    carried; `passed` goes from one loop to the other; what `again` gives is computed in both."""

    early: list[Eqn]
    late: list[Eqn]
    first: list[int]
    second: list[int]
    passed: list[Var]
    again: list[Eqn]


def _split(loop: Eqn) -> _Split | None:
    """How `loop` is taken apart; None where that is not possible, or of no use."""
    if loop.prim != "for" or loop.params or loop.ins[2] != i64(1) or has_effect(loop):
        return None
    (body,) = loop.regions
    inner = list(walk(body))
    if any(e.prim in ("for", "while") for e in inner) or is_vector(body):
        return None
    late = _late(body)
    early = [e for e in body.eqns if e not in late]
    functions = {e.prim for e in _varying(body) if is_function(e) and e not in late}
    if not functions or any(e.prim in functions for e in inner if e not in early):
        return None
    return _passing(body, early, [e for e in body.eqns if e in late])


def _late(body: Region) -> set[Eqn]:
    """What depends on what an iteration passes to the next one."""
    index, *carried = body.params
    inner = list(walk(body))
    scalars = zip(carried, body.results)
    known: set[Atom] = {p for p, r in scalars if not p.type.is_array and r is not p}
    arrays = {p: _versions(p, body) for p in carried if p.type.is_array}
    late: set[Eqn] = set()
    before = -1
    while len(late) > before:
        before = len(late)
        for eqn in body.eqns:
            free = eqn_free_vars(eqn)
            if not known.isdisjoint(free) or not all(map(is_simple, (eqn, *_inside(eqn)))):
                late.add(eqn)
        for param, own in arrays.items():
            touching = [e for e in body.eqns if not own.isdisjoint(eqn_free_vars(e))]
            alone = all(not e.regions for e in touching)
            if not (alone and is_elementwise(param, inner, index)) or late & {*touching}:
                late.update(touching)
        known.update(out for e in late for out in e.outs)
    return late


def _varying(body: Region) -> list[Eqn]:
    """What has the index among its operands, or something that is computed with it."""
    known, found = {body.params[0]}, []
    for eqn in body.eqns:
        if not known.isdisjoint(eqn_free_vars(eqn)):
            known.update(eqn.outs)
            found.append(eqn)
    return found


def _inside(eqn: Eqn) -> Iterator[Eqn]:
    return (e for r in eqn.regions for e in walk(r))


def _versions(array: Var, body: Region) -> set[Atom]:
    """All versions of a carried array."""
    accesses = BufferAccesses(array)
    accesses.block(body)
    return accesses.versions


def _passing(body: Region, early: list[Eqn], late: list[Eqn]) -> _Split | None:
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
        if loaded or not (a.type.is_float or eqn.regions):
            again.add(eqn)
            wanted += eqn.ins
        elif a.type.is_float and not a.type.is_array:
            passed.append(a)
        else:
            return None
    return _Split(early, late, first, second, passed, [e for e in early if e in again])


def _emit(b: Builder, loop: Eqn, split: _Split) -> None:
    """Append the two loops, in a loop over pieces."""
    (body,) = loop.regions
    start, stop, _, *inits = loop.ins
    kinds = [v.type for v in split.passed]
    rooms = [
        b.emit("empty", i64(PIECE), name=v.name, type=Type(t.dtype, (PIECE,)), dtype=t.dtype)
        for v, t in zip(split.passed, kinds)
    ]
    low = Var("low", I64)
    params = [Var(p.name, p.type) for p in body.params[1:]]
    temps = [Var(r.name, r.type) for r in rooms]
    inner = Builder(loop.loc, loop.role)
    begin = inner.emit("maximum", low, i64(0)) if _is_natural(start) else low
    left = inner.emit("sub", stop, begin)
    piece = begin, inner.emit("minimum", left, i64(PIECE), name="count")
    after, filled = _first(inner, split, body, piece, params, temps)
    after |= _second(inner, split, body, piece, params, filled)
    results = (*(after[k] for k in range(len(params))), *filled)
    region = inner.region((low, *params, *temps), results)
    unread = [Var(r.name, r.type) for r in rooms]
    ins = (start, stop, i64(PIECE), *inits, *rooms)
    b.append(loop.with_(outs=(*loop.outs, *unread), ins=ins, regions=(region,)))


def _is_natural(start: Atom) -> bool:
    """True for a loop whose indices are not negative, which LLVM does not see of a variable."""
    return isinstance(start, Lit) and start.value >= 0


#: What a carried place has after a loop; where a piece begins, and how long it is.
_After, _Piece = dict[int, Atom], tuple[Atom, Atom]


def _first(
    b: Builder, split: _Split, body: Region, piece: _Piece,
    params: Sequence[Var], temps: Sequence[Var],
) -> tuple[_After, list[Var]]:  # fmt: skip
    """The loop with the early equations, and arrays with what is passed on."""
    own = [body.params[1 + k] for k in split.first]
    rooms = [Var(t.name, t.type) for t in temps]
    inside, at = _body(b, body, piece)
    inside.eqns += split.early
    kept = [
        inside.emit("store", room, v, at, spec="i", name=room.name, type=room.type)
        for room, v in zip(rooms, split.passed)
    ]
    results = (*(body.results[k] for k in split.first), *kept)
    made = clone(Region((at, *own, *rooms), tuple(inside.eqns), results))
    ins = (i64(0), piece[1], i64(1), *(params[k] for k in split.first), *temps)
    outs = tuple(Var(v.name, v.type) for v in (*own, *rooms))
    b.append(Eqn(outs, "for", ins, NO_PARAMS, (made,), b.loc, b.role))
    return dict(zip(split.first, outs)), list(outs[len(own) :])


def _body(b: Builder, body: Region, piece: _Piece) -> tuple[Builder, Var]:
    """A loop over a piece, which computes the index of the whole one from its own."""
    at, inside = Var("at", I64), Builder(b.loc, b.role)
    inside.append(Eqn((body.params[0],), "add", (piece[0], at), NO_PARAMS, (), b.loc, b.role))
    return inside, at


def _second(
    b: Builder, split: _Split, body: Region, piece: _Piece,
    params: Sequence[Var], filled: Sequence[Var],
) -> _After:  # fmt: skip
    """The loop with the late equations."""
    own = [body.params[1 + k] for k in split.second]
    inside, at = _body(b, body, piece)
    loaded = {
        v: inside.emit("load", room, at, spec="i", name=v.name)
        for v, room in zip(split.passed, filled)
    }
    inside.eqns += (*split.again, *split.late)
    results = tuple(body.results[k] for k in split.second)
    made = clone(substitute(Region((at, *own), tuple(inside.eqns), results), loaded))
    ins = (i64(0), piece[1], i64(1), *(params[k] for k in split.second))
    outs = tuple(Var(v.name, v.type) for v in own)
    b.append(Eqn(outs, "for", ins, NO_PARAMS, (made,), b.loc, b.role))
    return dict(zip(split.second, outs))
