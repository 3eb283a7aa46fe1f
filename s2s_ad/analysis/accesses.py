"""Which elements of arrays a loop reads and writes.

    for 0, n, 1, a { (i, a1)               a1 at (i, 0)
      t = load x, i, j {spec='i,i'}   →    x  at (i, j)
      a2 = store a1, t, i, 0               its rows are {a1: {0}, x: {0}}
      yield a2 }

All versions of a carried array go by the name of the loop's parameter. An axis is one of *rows*
where every access has the loop's index at it: what one iteration touches no other one does.
"""

from __future__ import annotations

from s2s_ad.ir.build import i64
from s2s_ad.ir.core import Atom, Eqn, Lit, Region, Var
from s2s_ad.ir.subscript import is_element

#: The indices of an element; None stands for more than one element, or for an unknown one.
Place = tuple[Atom, ...] | None


def is_counted(start: Atom, stop: Atom, step: Atom) -> bool:
    """True for steps of 1 or -1 over indices that are not negative, which would count from the end:
    then each iteration has an index of its own."""
    first, value = (stop, -1) if step == i64(-1) else (start, 0)
    return step in (i64(1), i64(-1)) and isinstance(first, Lit) and first.value >= value


class Accesses:
    """`places[v]` lists what the body of a `for` touches of `v`, an array from around it or one of
    its parameters; `versions[v]` is the parameter that `v` is a version of."""

    def __init__(self, loop: Eqn) -> None:
        (body,) = loop.regions
        self.index = body.params[0]
        self.versions: dict[Var, Var] = {p: p for p in body.params[1:] if p.type.is_array}
        self.places: dict[Var, list[Place]] = {p: [] for p in self.versions}
        self.written: set[Var] = set()
        self._region(body)
        for param, result in zip(body.params[1:], body.results):
            self._same(param, result)

    def of(self, v: Var) -> Var:
        """The array that `v` is a version of."""
        return self.versions.get(v, v)

    def rows(self, v: Var) -> set[int] | None:
        """The axes at which every access to `v` has the loop's index; None where there is none."""
        places = self.places.get(v, [])
        if not places:
            return None
        known = [p for p in places if p is not None]
        if len(known) < len(places):
            return set()
        return {a for a in range(v.type.ndim) if all(p[a] is self.index for p in known)}

    def _touch(self, a: Atom, place: Place = None) -> None:
        if isinstance(a, Var) and a.type.is_array:
            self.places.setdefault(self.of(a), []).append(place)

    def _same(self, v: Var, other: Atom) -> None:
        """`other` takes the place of `v`: nothing is known of either where it is another array."""
        if v.type.is_array and (not isinstance(other, Var) or self.of(other) is not self.of(v)):
            self._touch(v)
            self._touch(other)

    def _region(self, region: Region) -> None:
        for eqn in region.eqns:
            if eqn.prim in ("load", "store", "accum"):
                self._access(eqn)
            elif eqn.prim == "for":
                self._loop(eqn)
            elif eqn.prim == "if":
                self._branch(eqn)
            elif eqn.prim != "dim":
                for r in eqn.regions:
                    self._region(r)
                for a in (*eqn.ins, *(a for r in eqn.regions for a in r.results)):
                    self._touch(a)

    def _access(self, eqn: Eqn) -> None:
        base, writes = eqn.ins[0], eqn.prim != "load"
        for value in eqn.ins[1:]:
            self._touch(value)  # an array of indices, or one that is stored as a whole
        place = eqn.ins[2:] if writes else eqn.ins[1:]
        self._touch(base, tuple(place) if is_element(eqn.params["spec"]) else None)
        if writes:
            self.versions[eqn.out] = self.of(base)
            self.written.add(self.of(base))

    def _loop(self, eqn: Eqn) -> None:
        (body,) = eqn.regions
        skip = 1 if eqn.params.get("exit") else 0
        for init, param, out in zip(eqn.ins[3:], body.params[1:], eqn.outs[skip:]):
            if param.type.is_array:
                self.versions[param] = self.versions[out] = self.of(init)
        self._region(body)
        for param, result in zip(body.params[1:], body.results[skip:]):
            self._same(param, result)

    def _branch(self, eqn: Eqn) -> None:
        for r in eqn.regions:
            self._region(r)
        for out, first, second in zip(eqn.outs, *(r.results for r in eqn.regions)):
            if out.type.is_array:
                self.versions[out] = self.of(first)
                self._same(out, second)
