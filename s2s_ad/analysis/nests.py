"""Which loops over loops may change places, and where that makes the innermost run along memory.

    for j in range(n):                  parts: s = 0.0
        s = 0.0                                for k …
        for k in range(m):                     C[i, j] = s
            s += A[i, k] * B[k, j]      owned: C, at its axis 1
        C[i, j] = s

The outer loop is cut into parts: its inner loops, and what stands between them. Each part can run
for all j before the next one does, if the iterations of the outer loop are independent of each
other: every array that they write has j at one and the same axis of all its elements; or what one
iteration writes no other one touches, as in a matrix that is factored in place, but for sums of a
reverse sweep, which have no order. A number that the outer loop carries stays in one part, in
order; but what is added to it may be summed up in an inner loop, if no order was asked of either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from s2s_ad.analysis.accesses import Accesses
from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.instances import Instances
from s2s_ad.analysis.integers import lin
from s2s_ad.analysis.totals import Total, has_order, is_free
from s2s_ad.ir.build import i64, number
from s2s_ad.ir.core import (
    ADJOINT,
    PARALLEL,
    Atom,
    Eqn,
    Lit,
    Region,
    Var,
    region_defs,
    region_uses,
    walk,
)
from s2s_ad.ir.prims import PRIMS, has_effect
from s2s_ad.ir.subscript import is_element

WRITES = ("store", "accum")
#: Of arrays with more accesses, only those that all have the index at one axis are looked at.
MOST = 12


@dataclass(eq=False)
class Part:
    """What the iterations of the outer loop may do one after the other before they go on: `inner`
    is a loop, or `eqns` are what stands between two of them. `totals` are the places among the
    outer loop's carried numbers that change here."""

    eqns: list[Eqn] = field(default_factory=list)
    inner: Eqn | None = None
    totals: list[int] = field(default_factory=list)

    @property
    def body(self) -> tuple[Eqn, ...]:
        return tuple(self.eqns) if self.inner is None else self.inner.regions[0].eqns

    def defines(self) -> set[Var]:
        found = {out for e in self.eqns for out in e.outs}
        if self.inner is not None:
            found |= {*self.inner.outs, *region_defs(self.inner.regions[0])}
        return found


class Nest:
    """The outer loop `loop`, in `parts`. `varies` are the values that depend on its index; `again`
    those that any part computes as easily as it would read them. `sums` are what inner loops
    carry only to add it to a number of the outer loop, by what they have in an iteration: the place
    of that number, and the addition."""

    def __init__(self, loop: Eqn, instances: Instances) -> None:
        self.loop, self.at, self.instances = loop, Accesses(loop), instances
        (self.body,) = loop.regions
        self.index = self.body.params[0]
        self.defs = {out: e for e in walk(self.body) for out in e.outs}
        self.inside = set(region_defs(self.body))
        self.parts = list(_parts(self.body))
        self.varies: set[Var] = set()
        self.sums: dict[Var, tuple[int, Eqn]] = {}
        self.inner = {e: [p.inner] for p in self.parts if p.inner is not None for e in p.body}
        self.stays: dict[Eqn, bool] = {}
        self.touching: dict[Var, list[Eqn]] = {}
        for eqn in walk(self.body):
            if eqn.prim in ("load", *WRITES):
                self.touching.setdefault(self.at.of(eqn.ins[0]), []).append(eqn)

    # -- what is what

    def place(self, eqn: Eqn) -> tuple[Atom, ...]:
        return eqn.ins[1:] if eqn.prim == "load" else eqn.ins[2:]

    def is_written(self, array: Atom) -> bool:
        return self.at.of(array) in self.at.written

    def depends(self, a: Atom) -> bool:
        return a in self.varies

    def again(self, a: Atom) -> bool:
        """True for what can be computed wherever it is needed: what does not depend on the index,
        integers, and elements that nobody writes here."""
        eqn = self.defs.get(a) if isinstance(a, Var) else None
        if eqn is None:
            return a not in self.inside or a is self.index
        if eqn.prim == "load":
            return self._stays(eqn) and all(map(self.again, eqn.ins[1:]))
        if not PRIMS[eqn.prim].elementwise:
            return eqn.prim == "dim"
        light = not self.depends(a) or not eqn.out.type.is_float
        return light and all(map(self.again, eqn.ins))

    # -- what is needed for it to be right

    def is_right(self) -> bool:
        """True where the parts may run one after the other, each for all iterations."""
        if not all(map(_is_simple, self.parts)) or not self._is_in_line():
            return False
        self._find_varying()
        bounds = (a for p in self.parts if p.inner for a in p.inner.ins[:3])
        if any(a in self.inside for a in bounds):
            return False
        return all(map(self._array, self.at.versions)) and self._numbers()

    def _find_varying(self) -> None:
        carried = zip(self.body.params[1:], self.body.results)
        self.varies = {self.index, *(p for p, r in carried if r is not p and not p.type.is_array)}
        for eqn in walk(self.body):
            if eqn.prim == "for":
                scalars = (*eqn.outs, *eqn.regions[0].params[1:])
                self.varies |= {v for v in scalars if not v.type.is_array}
            elif any(map(self.depends, eqn.ins)) or not self._stays(eqn):
                self.varies |= {v for v in eqn.outs if not v.type.is_array}

    def _stays(self, eqn: Eqn) -> bool:
        """True for what does not read what an iteration writes."""
        if not self.is_written(eqn.ins[0]):
            return True
        if eqn not in self.stays:
            touching = self.touching[self.at.of(eqn.ins[0])]
            writes = [e for e in touching if e.prim in WRITES]
            few = eqn.prim == "load" and len(touching) <= MOST
            self.stays[eqn] = few and not self._meets(eqn, writes, True)
        return self.stays[eqn]

    def _meets(self, one: Eqn, others: Sequence[Eqn], same: bool) -> bool:
        """True where an iteration may touch by `one` what another one touches by any of `others`;
        with `same`, or that iteration itself."""
        return any(
            self._met(one, other, None)
            or self._met(other, one, None)
            or (same and self._met(one, other, 0))
            for other in others
        )

    def _met(self, one: Eqn, other: Eqn, count: int | None) -> bool:
        """True where `one` may touch what `other` has touched so many iterations before."""
        at = self.instances
        with at.earlier(self.loop, count, self.inner.get(other, ())) as then:
            return not at.apart(at.place(one), then(at.place(other)))

    def _array(self, version: Var) -> bool:
        """True where the iterations do not meet in an array of which there is a version, but for
        sums without order. What is added to one element by all of them is added up first, so
        nothing else may touch that."""
        array = self.at.of(version)
        if array not in self.at.written or self.at.rows(array):
            return array in self.body.params
        touching = self.touching[array]
        if array not in self.body.params or len(touching) != len(self.at.places[array]):
            return False
        sums = [e for e in touching if e.prim == "accum" and e.role == ADJOINT]
        others = [e for e in touching if e not in sums]
        if not others:
            return True
        writes = [e for e in touching if e.prim in WRITES]
        return len(touching) <= MOST and not any(
            self._meets(w, others if w in sums else touching, self.is_total(w)) for w in writes
        )

    def is_total(self, eqn: Eqn) -> bool:
        """True for what is added to one element by all iterations of the outer loop."""
        return eqn.prim == "accum" and not any(map(self.depends, self.place(eqn)))

    def _is_in_line(self) -> bool:
        """True where no version of an array is used after the next one was made."""
        for param, result in zip(self.body.params[1:], self.body.results):
            if param in self.at.written:
                accesses = BufferAccesses(param)
                accesses.block(self.body)
                if not accesses.in_line or accesses.latest is not result:
                    return False
        return True

    def _numbers(self) -> bool:
        """Find the parts that carried numbers change in; False where there is one that changes in
        several, or whose order would change."""
        uses = Counter(region_uses(self.body))
        for k, (param, result) in enumerate(zip(self.body.params[1:], self.body.results)):
            if param.type.is_array or result is param:
                continue
            part = next((p for p in self.parts if p.inner is None and result in p.defines()), None)
            if part is None or uses[param] != _count(part, param):
                return False
            if self.loop.ins[2].value < 0 and not self._free(param, result, uses):
                return False
            part.totals.append(k)
            self._find_sums(k, uses)
        return True

    def _find_sums(self, k: int, uses: Counter[Var]) -> None:
        """Note the sums of inner loops that are added to the number at place `k`: where an
        iteration does nothing with that number but add to it, and none of this is read."""
        found: dict[Var, tuple[int, Eqn]] = {}
        a = self.body.results[k]
        while a is not self.body.params[1 + k]:
            eqn = self.defs.get(a) if isinstance(a, Var) and uses[a] == 1 else None
            if eqn is None or eqn.prim != "add" or not is_free(eqn):
                return
            inner = self._summed(eqn.ins[1], uses)
            if inner is not None:
                found[inner] = k, eqn
            a = eqn.ins[0]
        self.sums |= found if uses[a] == 1 else {}

    def _summed(self, a: Atom, uses: Counter[Var]) -> Var | None:
        """What an inner loop has of `a` in an iteration, if that is a sum without order."""
        loop = self.defs.get(a) if isinstance(a, Var) and uses[a] == 1 else None
        if loop is None or loop.prim != "for":
            return None
        place, (inner,) = loop.outs.index(a), loop.regions
        param, result = inner.params[1 + place], inner.results[place]
        from_zero = loop.ins[3 + place] == number(0, param.type.dtype)
        return param if from_zero and self._free(param, result, uses) == "add" else None

    def _free(self, param: Var, result: Atom, uses: Counter[Var]) -> str:
        """The kind of a total that may be made in any order."""
        total = Total(param, uses, self.defs)
        if not uses[param] or total.uses(result) != uses[param]:
            return ""
        return total.kind if all(is_free(e) or not has_order(e) for e in total.path) else ""

    # -- what it is good for

    def is_better(self) -> bool:
        """True where an inner loop jumps from row to row of an array of which the outer one would
        run along a row, and there is none of which the outer one would jump."""
        found = False
        for part in self.parts:
            if part.inner is None:
                continue
            own = self._depending_on(part.inner.regions[0])
            for eqn in part.body:
                if eqn.prim not in ("load", *WRITES):
                    continue
                place = self.place(eqn)
                if not any(map(self.depends, place)):
                    continue
                if any(map(self.depends, place[:-1])) or not self._in_step(place[-1]):
                    return False
                found |= any(a in own for a in place[:-1])
        return found

    def _depending_on(self, inner: Region) -> set[Atom]:
        own: set[Atom] = {inner.params[0]}
        for eqn in inner.eqns:
            if any(a in own for a in eqn.ins):
                own.update(eqn.outs)
        return own

    def _in_step(self, a: Atom) -> bool:
        """True for the index of the outer loop plus what does not depend on it."""
        if a is self.index:
            return True
        eqn = self.defs.get(a) if isinstance(a, Var) else None
        if eqn is None or eqn.prim not in ("add", "sub"):
            return False
        moving = [b for b in eqn.ins if self.depends(b)]
        if len(moving) != 1 or (eqn.prim == "sub" and moving[0] is not eqn.ins[0]):
            return False
        return self._in_step(moving[0])


def nest(eqn: Eqn, instances: Instances) -> Nest | None:
    """`eqn`, of a function that `instances` knows, as a nest whose parts should run one after the
    other; None where it is none."""
    if eqn.prim != "for" or eqn.params.get("exit") or PARALLEL in eqn.params or has_effect(eqn):
        return None
    if not any(e.prim == "for" for e in eqn.regions[0].eqns) or not _is_counted(eqn, instances):
        return None
    found = Nest(eqn, instances)
    return found if found.is_right() and found.is_better() else None


def _is_counted(loop: Eqn, instances: Instances) -> bool:
    """True for steps of 1 or -1 over indices that are not negative."""
    start, stop, step = loop.ins[:3]
    least = lin(start) if step == i64(1) else lin(stop) + 1
    return step in (i64(1), i64(-1)) and instances.facts.at_least(least)


def _parts(body: Region) -> Iterator[Part]:
    part = Part()
    for eqn in body.eqns:
        if eqn.prim == "for":
            if part.eqns:
                yield part
            yield Part(inner=eqn)
            part = Part()
        else:
            part.eqns.append(eqn)
    if part.eqns:
        yield part


def _is_simple(part: Part) -> bool:
    """True where nothing but numbers, elements and extents are worked on."""
    inner = part.inner
    if inner is not None:
        if inner.params.get("exit") or PARALLEL in inner.params:
            return False
        if not isinstance(inner.ins[2], Lit):
            return False
    return all(map(_is_scalar, part.body))


def _is_scalar(eqn: Eqn) -> bool:
    if eqn.prim in ("load", *WRITES):
        values = eqn.ins[1:]
        return is_element(eqn.params["spec"]) and not any(map(_is_array, values))
    if eqn.prim == "dim":
        return True
    return PRIMS[eqn.prim].elementwise and not any(map(_is_array, (*eqn.ins, *eqn.outs)))


def _is_array(a: Atom) -> bool:
    return isinstance(a, Var) and a.type.is_array


def _count(part: Part, v: Var) -> int:
    return Counter(region_uses(Region((), tuple(part.eqns), ())))[v]
