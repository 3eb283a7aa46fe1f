"""What a loop adds to one element, it adds up in a number.

    g = for 0, n, 1, g0 { (i, g)            g1, s1 = for 0, n, 1, g0, 0.0 { (i, g, s)
      …                                       …
      g1 = accum g, v, k            →         s1 = add s, v
      g2 = accum g1, w, i                     g2 = accum g, w, i
      yield g2                                yield g2, s1
    }                                       }
                                            g = if s1 != 0 { accum g1, s1, k } { g1 }

The adjoint of `theta[0]` in a loop over observations is such a sum. In memory, each addition waits
for the one before to be stored, and no compiler dares to take several iterations at once. The order
of the sums of a reverse sweep is free, so other elements of the same array may be added to in
between, even the same one. A sum that is 0.0 is not added: the element need not exist where no
iteration has added to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.ir.build import Builder, number
from s2s_ad.ir.core import (
    ADJOINT,
    NO_PARAMS,
    Atom,
    Eqn,
    Func,
    Region,
    Var,
    region_defs,
    substitute,
)
from s2s_ad.ir.subscript import is_element

#: An element: the version of an array that a loop starts with, and indices.
_Place = tuple[Var, tuple[Atom, ...]]
_Totals = Mapping[_Place, Atom]


def promote(func: Func) -> Func:
    """`func` with the sums of the module's docstring in numbers.

    Example: `promote(lower(func))` gives the same results up to rounding.
    """
    return func.with_(body=_region(func.body))


def _region(region: Region) -> Region:
    eqns: list[Eqn] = []
    for eqn in region.eqns:
        eqn = eqn.with_(regions=tuple(map(_region, eqn.regions)))
        sums = _sums(eqn) if eqn.prim == "for" and not eqn.params.get("exit") else {}
        eqns += _promoted(eqn, sums) if sums else (eqn,)
    return Region(region.params, tuple(eqns), region.results)


def _sums(loop: Eqn) -> dict[Eqn, _Place]:
    """The additions in `loop`, outside of inner loops, to elements that are the same ones in all
    iterations, of arrays that it only adds to."""
    (body,) = loop.regions
    inside = set(region_defs(body))
    found: dict[Eqn, _Place] = {}
    for param, result in zip(body.params[1:], body.results):
        if not param.type.is_array:
            continue
        accesses = BufferAccesses(param)
        accesses.block(body)
        whole = accesses.escapes or result not in accesses.versions
        if whole or not all(map(_is_sum, accesses.eqns)):
            continue
        fixed = [e for e in accesses.eqns if inside.isdisjoint(e.ins[2:])]
        found.update((e, (param, e.ins[2:])) for e in fixed)
    own = set(_outside_loops(body))
    return {e: place for e, place in found.items() if e in own}


def _is_sum(eqn: Eqn) -> bool:
    return (
        eqn.prim == "accum"
        and eqn.role == ADJOINT
        and is_element(eqn.params["spec"])
        and eqn.ins[1].type.dtype in ("f64", "f32")
    )


def _outside_loops(region: Region) -> list[Eqn]:
    found = []
    for eqn in region.eqns:
        found.append(eqn)
        if eqn.prim == "if":
            found += [e for r in eqn.regions for e in _outside_loops(r)]
    return found


def _promoted(loop: Eqn, sums: Mapping[Eqn, _Place]) -> list[Eqn]:
    """The loop with numbers in place of the elements, and what adds those to the arrays."""
    (body,) = loop.regions
    kinds = {place: eqn.ins[1].type for eqn, place in sums.items()}
    params, totals = ({p: Var(p[0].name, t) for p, t in kinds.items()} for _ in range(2))
    work = _Body(sums)
    eqns, now = work.block(body, dict(params))
    results = (*map(work.now, body.results), *(now[place] for place in kinds))
    outs, after = list(loop.outs), []
    for k, (param, last) in enumerate(zip(body.params[1:], loop.outs)):
        own = [place for place in kinds if place[0] is param]
        versions = [*(Var(last.name, last.type) for _ in own), last]
        outs[k] = versions[0]
        for place, before, version in zip(own, versions, versions[1:]):
            after += _add(before, totals[place], place[1], version, loop)
    new = loop.with_(
        ins=(*loop.ins, *(number(0.0, t.dtype) for t in kinds.values())),
        outs=(*outs, *totals.values()),
        regions=(Region((*body.params, *params.values()), tuple(eqns), results),),
    )
    return [new, *after]


def _add(array: Var, total: Var, index: Sequence[Atom], out: Var, loop: Eqn) -> list[Eqn]:
    """`out` is `array` with `total` added to an element, unless it is 0.0."""
    b = Builder(loop.loc, ADJOINT)
    some = b.emit("ne", total, number(0.0, total.type.dtype))
    then, other = Builder(loop.loc, ADJOINT), Builder(loop.loc, ADJOINT)
    spec = ",".join("i" * len(index))
    more = then.emit("accum", array, total, *index, spec=spec, name=out.name, type=out.type)
    regions = then.region((), (more,)), other.region((), (array,))
    b.append(Eqn((out,), "if", (some,), NO_PARAMS, regions, loop.loc, ADJOINT))
    return b.eqns


class _Body:
    """The body of a loop without `sums`."""

    def __init__(self, sums: Mapping[Eqn, _Place]) -> None:
        self.sums = sums
        self.names: dict[Var, Atom] = {}  # what stands for the results of sums

    def now(self, a: Atom) -> Atom:
        return self.names.get(a, a) if isinstance(a, Var) else a

    def block(self, region: Region, now: _Totals) -> tuple[list[Eqn], _Totals]:
        """The equations of a region, and the numbers after it, which are `now` before it."""
        eqns: list[Eqn] = []
        for old in region.eqns:
            if old in self.sums:
                place = self.sums[old]
                total = Var(place[0].name, old.ins[1].type)
                ins = now[place], self.now(old.ins[1])
                eqns.append(old.with_(outs=(total,), prim="add", ins=ins, params=NO_PARAMS))
                self.names[old.out] = self.now(old.ins[0])
                now = {**now, place: total}
            elif old.prim == "if":
                eqn, now = self.branch(old, now)
                eqns.append(eqn)
            else:
                eqns += substitute(Region((), (old,), ()), self.names).eqns
        return eqns, now

    def branch(self, old: Eqn, now: _Totals) -> tuple[Eqn, _Totals]:
        blocks = [self.block(r, now) for r in old.regions]
        changed = [p for p in now if any(after[p] is not now[p] for _, after in blocks)]
        outs = {p: Var(p[0].name, now[p].type) for p in changed}
        regions = []
        for region, (eqns, after) in zip(old.regions, blocks):
            results = (*map(self.now, region.results), *(after[p] for p in changed))
            regions.append(Region((), tuple(eqns), results))
        ins = tuple(map(self.now, old.ins))
        eqn = old.with_(ins=ins, outs=(*old.outs, *outs.values()), regions=tuple(regions))
        return eqn, {**now, **outs}
