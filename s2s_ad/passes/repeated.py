"""Loops that compute the same become one.

    p = for 0, m, 1, 1.0 { (j, p)          q, t1 = for 0, m, 1, 1.0, t { (j, q, t)
      p.1 = mul p, x                         t.1 = store t, q, j
      yield p.1                              q.1 = mul q, x
    }                                  →     yield q.1, t.1
    … p …                                  }
    q, t1 = for 0, m, 1, 1.0, t { …        … q …

The sweep over an item of a sum computes the item's value, and so does the run that the gradient of
the item starts with. Once both stand side by side (passes/rows.py), that is once too often. What
only one of the loops carries, the joined one carries as well.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from s2s_ad.analysis.integers import slots
from s2s_ad.ir.core import Atom, Eqn, Func, Region, Var, eqn_free_vars, substitute
from s2s_ad.ir.prims import has_effect
from s2s_ad.passes.cse import key_of


def repeated(func: Func) -> Func:
    """`func` with loops joined that carry some of the same.

    Example: `repeated(func)` gives the same results to the last bit.
    """
    return func.with_(body=_region(func.body))


def _region(region: Region) -> Region:
    eqns = [e.with_(regions=tuple(map(_region, e.regions))) for e in region.eqns]
    names: dict[Var, Atom] = {}
    before = _Loops()
    place = 0
    while place < len(eqns):
        for first in before.like(eqns[place]):
            k = eqns.index(first)
            match = _match(first, eqns[place], {})
            needed = _needed(eqns[k : place + 1]) if match else None
            if match and needed:
                one, outs = _one(match)
                names.update(outs)
                rest = tuple(e for e in eqns[k + 1 :] if e not in needed)
                eqns[k:] = [*needed[:-1], one, *substitute(Region((), rest, ()), outs).eqns]
                before = _Loops(eqns[:place])
                break
        else:
            before.add(eqns[place])
            place += 1
    results = tuple(names.get(a, a) if isinstance(a, Var) else a for a in region.results)
    return Region(region.params, tuple(eqns), results)


class _Loops:
    """The loops of a region, by what loops that compute the same have in common: their bounds, what
    a number that they carry starts from, and how an iteration makes the next one of it."""

    def __init__(self, eqns: Iterable[Eqn] = ()) -> None:
        self.known: dict[tuple, list[Eqn]] = {}
        self.order: dict[Eqn, int] = {}
        for eqn in eqns:
            self.add(eqn)

    def add(self, eqn: Eqn) -> None:
        self.order[eqn] = len(self.order)
        for key in self.keys(eqn):
            self.known.setdefault(key, []).append(eqn)

    def like(self, eqn: Eqn) -> list[Eqn]:
        """Loops that may compute the same as `eqn`, in order."""
        found = {e for key in self.keys(eqn) for e in self.known.get(key, ())}
        return sorted(found, key=self.order.__getitem__)

    @staticmethod
    def keys(eqn: Eqn) -> set[tuple]:
        if not _plain(eqn):
            return set()
        made = _fingerprints(eqn)
        numbers = (s for s in slots(eqn) if not s[1].type.is_array)
        return {(eqn.ins[:3], s[0], s[1].type, made.get(s[2], s[2])) for s in numbers}


def _fingerprints(loop: Eqn) -> dict[Atom, Hashable]:
    """What is equal for values that iterations of two loops compute from the same, in all that
    their bodies define. (What loops inside give is one and the same here.)"""
    (body,) = loop.regions
    made: dict[Atom, Hashable] = {body.params[0]: "index"}
    for init, param, _, _ in slots(loop):
        if not param.type.is_array:
            made[param] = (init, param.type)
    for eqn in body.eqns:
        key = key_of(eqn, [made.get(a, a) for a in eqn.ins])
        made.update(dict.fromkeys(eqn.outs, hash(key) if key else eqn.prim))
    return made


def _plain(eqn: Eqn) -> bool:
    return eqn.prim == "for" and not eqn.params and not has_effect(eqn) and bool(eqn.outs)


def _needed(eqns: Sequence[Eqn]) -> list[Eqn] | None:
    """The last of `eqns`, after those of them that it needs, to stand before the others; None where
    it needs the first, or would pass a check: what it reads is there only after that."""
    found: list[Eqn] = []
    wanted: set[Var] = set()
    for eqn in reversed(eqns):
        if has_effect(eqn):
            return None
        if found and wanted.isdisjoint(eqn.outs):
            continue
        if eqn is eqns[0]:
            return None
        found.insert(0, eqn)
        wanted.update(eqn_free_vars(eqn))
    return found


#: What a loop carries: initial value, parameter, result of an iteration, result.
_Slot = tuple[Atom, Var, Atom, Var]


@dataclass(frozen=True)
class _Match:
    """Two loops that carry some of the same: `shared` has pairs of equal slots, `names` what
    equals what is computed in the first's iterations, `extra` what only the first does."""

    first: Eqn
    second: Eqn
    shared: list[tuple[_Slot, _Slot]]
    names: dict[Var, Atom]
    extra: list[Eqn]

    @property
    def outs(self) -> dict[Var, Atom]:
        return {mine[3]: other[3] for mine, other in self.shared}

    @property
    def others(self) -> list[_Slot]:
        """What only the first carries."""
        return [s for s in slots(self.first) if s[3] not in self.outs]


def _one(match: _Match) -> tuple[Eqn, dict[Var, Atom]]:
    """The second loop with what only the first does, and its results that equal the first's."""
    loop, (body,) = match.second, match.second.regions
    extra = Region((), tuple(match.extra), tuple(s[2] for s in match.others))
    extra = substitute(extra, match.names)
    params = (*body.params, *(s[1] for s in match.others))
    joined = Region(params, (*body.eqns, *extra.eqns), (*body.results, *extra.results))
    return loop.with_(
        outs=(*loop.outs, *(s[3] for s in match.others)),
        ins=(*loop.ins, *(s[0] for s in match.others)),
        regions=(joined,),
    ), match.outs


def _match(first: Eqn, second: Eqn, around: Mapping[Var, Atom]) -> _Match | None:
    """What two loops have in common; None where that is nothing. What equals what around them is
    in `around`."""
    bounds = tuple(_named(a, around) for a in first.ins[:3])
    if bounds != second.ins[:3] or not (_plain(first) and _plain(second)):
        return None
    pairs = _alike(first, second, around)
    (mine,), (other,) = first.regions, second.regions
    while pairs:
        names = {**around, mine.params[0]: other.params[0]}
        names.update((a[1], b[1]) for a, b in pairs)
        extra = _extra(other, mine, names)
        equal = [(a, b) for a, b in pairs if _named(a[2], names) == b[2]]
        if len(equal) == len(pairs):
            found = _Match(first, second, pairs, names, extra)
            apart = {s[0] for s in found.others if s[1].type.is_array}
            return found if apart.isdisjoint(eqn_free_vars(second)) else None
        pairs = equal
    return None


def _alike(first: Eqn, second: Eqn, around: Mapping[Var, Atom]) -> list[tuple[_Slot, _Slot]]:
    """Scalars that two loops start alike, those of the same name if there are several."""
    there = list(slots(second))
    pairs = []
    for slot in slots(first):
        init, param = _named(slot[0], around), slot[1]
        same = [s for s in there if s[0] == init and s[1].type == param.type]
        same.sort(key=lambda s: s[1].name != param.name)
        if same and not param.type.is_array:
            there.remove(same[0])
            pairs.append((slot, same[0]))
    return pairs


def _named(a: Atom, names: Mapping[Var, Atom]) -> Atom:
    return names.get(a, a) if isinstance(a, Var) else a


def _extra(region: Region, other: Region, names: dict[Var, Atom]) -> list[Eqn]:
    """What `other` computes and `region` does not; `names` learns the names of the rest."""
    known = {key: e for e in region.eqns if (key := key_of(e)) is not None}
    loops = [e for e in region.eqns if e.prim == "for"]
    extra = []
    for eqn in other.eqns:
        key = key_of(eqn.with_(ins=tuple(_named(a, names) for a in eqn.ins)))
        matches = (_match(eqn, loop, names) for loop in loops if eqn.prim == "for")
        found = next((m for m in matches if m and not m.others), None)
        if key in known:
            names.update(zip(eqn.outs, known[key].outs))
        elif found is not None:
            names.update(found.outs)
        else:
            extra.append(eqn)
    return extra
