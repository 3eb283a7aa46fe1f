"""Loops over the same rows become one; what only its iterations use is as large as one of them.

    t = empty n, m                              for 0, n, 1, s { (i, s1)
    t2 = for 0, n, 1, t { (i, t1)                 t = empty m
      … for 0, m … store t1, v, i, j …            … for 0, m … store t, v, j …
    }                                      →      … for 0, m … load t1, j …
    for 0, n, 1, s { (k, s1)                    }
      … for 0, m … load t2, k, j …
    }

`lower` makes one nest of what it can compute element by element. A softmax is more: the sum of a
row must be known before the row is divided by it. But no row needs another one, so all of its nests
can share the outer loops, and between them stand arrays of one row, which stay in the cache.

Two loops become one where they have the same bounds, and every array that one of them writes and
the other touches is touched by both with the loop's index at one and the same axis. The innermost
loops stay as they are: what they should compute together `lower` has decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from s2s_ad.analysis.accesses import Accesses, is_counted
from s2s_ad.analysis.sharing import is_view
from s2s_ad.ir.core import (
    PARALLEL,
    Atom,
    Eqn,
    Func,
    Region,
    Var,
    eqn_free_vars,
    region_uses,
    substitute,
    walk,
)
from s2s_ad.ir.prims import PRIMS, has_effect
from s2s_ad.ir.types import I64
from s2s_ad.passes.buffers import is_size
from s2s_ad.passes.cse import cse
from s2s_ad.passes.fuse import LIGHT, kills
from s2s_ad.passes.repeated import repeated
from s2s_ad.passes.shrink import shrink

#: What an index in step with the loop's is made by.
_AFFINE = frozenset(("add", "sub", "mul"))
#: Light enough to be computed in a loop over rows, one by one.
_SCALAR = LIGHT | {"div", "sqrt", "floordiv", "mod"}


def rows(func: Func) -> Func:
    """`func` with the loops of the module's docstring joined, and the arrays between them smaller.

    Example: `rows(lower(func))` gives the same results to the last bit.
    """
    sizes = {e.out: e for e in walk(func.body) if len(e.outs) == 1 and e.out.type == I64}
    return func.with_(body=_region(func.body, _Equal(), sizes))


def _region(region: Region, outer: _Equal, sizes: Mapping[Var, Eqn]) -> Region:
    region = _smaller(_Joiner(region, _Equal(outer)).joined(), sizes)
    equal = _Equal(outer)
    eqns = []
    for eqn in region.eqns:
        regions = tuple(_region(r, equal, sizes) for r in eqn.regions)
        eqns.append(eqn.with_(regions=regions) if regions else eqn)
        equal.learn(eqn)
    return Region(region.params, tuple(eqns), region.results)


class _Equal:
    """Integers that assertions have found to be equal."""

    def __init__(self, outer: _Equal | None = None) -> None:
        self.parent: dict[Atom, Atom] = dict(outer.parent) if outer else {}
        self.tests: dict[Var, Eqn] = dict(outer.tests) if outer else {}

    def find(self, a: Atom) -> Atom:
        while a in self.parent:
            a = self.parent[a]
        return a

    def learn(self, eqn: Eqn) -> None:
        if eqn.prim == "eq" and not eqn.out.type.is_array:
            self.tests[eqn.out] = eqn
        elif eqn.prim == "assert" and eqn.ins[0] in self.tests:
            first, second = map(self.find, self.tests[eqn.ins[0]].ins)
            if first != second:
                self.parent[first] = second


@dataclass(frozen=True, eq=False)
class _Loop:
    """A `for` and what it touches."""

    eqn: Eqn
    at: Accesses
    free: frozenset[Var]
    kills: frozenset[Var]
    is_nest: bool
    is_vector: bool  # which a nest would lose

    @property
    def body(self) -> Region:
        return self.eqn.regions[0]

    def slot(self, array: Var) -> int | None:
        """The place among the carried variables that `array` starts."""
        inits = self.eqn.ins[3:]
        return inits.index(array) if array in inits else None

    def rows(self, array: Var) -> set[int] | None:
        """The axes of rows of an array from around the loop."""
        slot = self.slot(array)
        return self.at.rows(array if slot is None else self.body.params[1 + slot])


def _loop(eqn: Eqn) -> _Loop | None:
    """`eqn` as a loop over rows that may be moved; None where it is none."""
    if eqn.prim != "for" or eqn.params.get("exit") or has_effect(eqn):
        return None
    arrays = [a for a in eqn.ins[3:] if _is_array(a)]
    if not is_counted(*eqn.ins[:3]) or len(set(arrays)) < len(arrays):
        return None
    body, at = eqn.regions[0], Accesses(eqn)
    is_nest = any(e.prim in ("for", "while") for e in walk(body))
    free, killed = frozenset(eqn_free_vars(eqn)), frozenset(kills(eqn))
    return _Loop(eqn, at, free, killed, is_nest, not is_nest and _is_vector(body, at))


def _is_array(a: Atom) -> bool:
    return isinstance(a, Var) and a.type.is_array


class _Joiner:
    """Joins the loops of one region."""

    def __init__(self, region: Region, equal: _Equal) -> None:
        self.region, self.equal = region, equal
        self.eqns = list(region.eqns)
        self.loops = {e: loop for e in self.eqns if (loop := _loop(e))}
        self.made = {out: e for e in self.eqns for out in e.outs}
        self.uses: Counter[Var] | None = None  # counted when they are asked for

    def joined(self) -> Region:
        place = 0
        nests: list[int] = []  # the places of those before, and of all loops before
        loops: list[int] = []
        while place < len(self.eqns):
            self.equal.learn(self.eqns[place])
            second = self.loops.get(self.eqns[place])
            found = None
            if second is not None and (second.is_nest or not second.is_vector):
                partners = loops if second.is_nest else nests  # one of the two is a nest
                found = next((k for k in reversed(partners) if self.join(k, place)), None)
                if found is None:
                    loops.append(place)
                    nests += [place] if second.is_nest else []
            if found is None:
                place += 1
            else:  # the joined loop is behind that
                place = found
                nests, loops = ([k for k in some if k < place] for some in (nests, loops))
        return Region(self.region.params, tuple(self.eqns), self.region.results)

    def join(self, k: int, place: int) -> bool:
        """Make one of the loops at `k` and `place`, if that is right and of use."""
        first, second = self.loops[self.eqns[k]], self.loops[self.eqns[place]]
        if not self.same_bounds(first, second) or _wish(first.eqn) != _wish(second.eqn):
            return False  # what the user wants in parallel is joined with its like only
        if not self.by_rows(first, second):
            return False
        if not (_saves(first, second) or _repeats(first, second)):
            return False
        between = self.eqns[k + 1 : place]
        late = self.pushed_back(first, second, between)
        if late is None:
            return False
        one = _one(first, second)
        before = [e for e in between if e not in late]
        self.eqns[k : place + 1] = [*before, one, *late]
        loop = _loop(one)
        if loop is not None:
            self.loops[one] = loop
        self.made.update(dict.fromkeys(one.outs, one))
        self.uses = None
        return True

    def same_bounds(self, first: _Loop, second: _Loop) -> bool:
        pairs = zip(first.eqn.ins[:3], second.eqn.ins[:3])
        return all(self.equal.find(a) == self.equal.find(b) for a, b in pairs)

    def by_rows(self, first: _Loop, second: _Loop) -> bool:
        """True where no iteration of one loop needs what another iteration of the other does."""
        outs = dict(zip(first.eqn.outs, first.body.params[1:]))
        old = {self.base(a) for a in first.kills}
        for v in second.free:
            if v in outs:  # what the first loop computes
                if not (_is_array(v) and _meet(first.at.rows(outs[v]), second.rows(v))):
                    return False
                if second.slot(v) is not None and self.count(v) != 1:
                    return False  # another version of it is needed as well
            elif _is_array(v) and self.base(v) in old:
                return False
        for v in second.kills - outs.keys():
            if any(self.base(u) is self.base(v) and u is not v for u in first.free):
                return False
            if v in first.free and (v in first.kills or not _meet(first.rows(v), second.rows(v))):
                return False
        return True

    def count(self, v: Var) -> int:
        """How often `v` is used in the region."""
        if self.uses is None:
            self.uses = Counter(region_uses(Region((), tuple(self.eqns), self.region.results)))
        return self.uses[v]

    def base(self, v: Var) -> Var:
        """The array that `v` is a view of."""
        while v in self.made and is_view(self.made[v]):
            v = self.made[v].ins[0]
        return v

    def pushed_back(self, first: _Loop, second: _Loop, between: list[Eqn]) -> list[Eqn] | None:
        """What must come after both loops, if these stand at the place of the second; None where
        they cannot."""
        made, late = set(first.eqn.outs), []
        for eqn in between:
            free = set(eqn_free_vars(eqn))
            if not free & made:
                if first.free & set(kills(eqn)):
                    return None  # the first loop reads what is overwritten here
                continue
            if has_effect(eqn) or free & second.kills:
                return None
            made.update(eqn.outs)
            late.append(eqn)
        return None if second.free & (made - set(first.eqn.outs)) else late


def _meet(first: set[int] | None, second: set[int] | None) -> bool:
    """True where two loops agree on an axis of rows, or one of them touches nothing."""
    return first is None or second is None or bool(first & second)


def _saves(first: _Loop, second: _Loop) -> bool:
    """True where sharing the loop keeps rows in the cache."""
    outs = {v for v in first.eqn.outs if v.type.is_array}
    read = {v for v in first.free & second.free if v.type.ndim > 1 and first.rows(v)}
    return any(second.rows(v) for v in outs & second.free | read)


def _repeats(first: _Loop, second: _Loop) -> bool:
    """True where the second computes loops of the first again."""
    if not (first.is_nest and second.is_nest):
        return False
    both = Region((), (_one(first, second),), ())
    once = cse(Func("both", both))
    return _loops(repeated(once).body) < _loops(both)


def _loops(region: Region) -> int:
    return sum(e.prim == "for" for e in walk(region))


def _is_vector(body: Region, at: Accesses) -> bool:
    """True for a loop that computes functions, several iterations at once: it picks no elements by
    indices that it reads or decides on."""
    inner = list(walk(body))
    found = {out for e in inner if e.prim not in _AFFINE for out in e.outs}
    places = [p for places in at.places.values() for p in places]
    if any(p is None or not found.isdisjoint(p) for p in places):
        return False
    return any(PRIMS[e.prim].elementwise and e.prim not in _SCALAR for e in inner)


def _one(first: _Loop, second: _Loop) -> Eqn:
    """Both loops: an iteration of the first, and then one of the second."""
    a, b = first.eqn, second.eqn
    results = dict(zip(a.outs, first.body.results))
    outs, inits, params = list(a.outs), list(a.ins[3:]), list(first.body.params)
    last, early = list(first.body.results), {}
    now: dict[Var, Atom] = {second.body.params[0]: params[0]}
    now.update((v, r) for v, r in results.items() if v in second.free)
    carried: list[tuple[int, Atom]] = []
    for out, init, param, result in zip(
        b.outs, b.ins[3:], second.body.params[1:], second.body.results
    ):
        if init in results:  # goes on from where the first loop's iteration ended
            k = a.outs.index(init)
            now[param] = results[init]
            outs[k] = out
            carried.append((k, result))
            continue
        if _is_array(init) and init in first.free:
            early[init] = param  # the first loop reads it before it is written
        carried.append((len(inits), result))
        outs.append(out)
        inits.append(init)
        params.append(param)
        last.append(result)
    for k, result in carried:
        last[k] = now.get(result, result) if isinstance(result, Var) else result
    head = substitute(Region((), first.body.eqns, tuple(last)), early)
    tail = substitute(Region((), second.body.eqns, ()), now)
    body = Region(tuple(params), (*head.eqns, *tail.eqns), head.results)
    ins = (*b.ins[:3], *inits)
    return Eqn(tuple(outs), "for", ins, _wish(b), (body,), b.loc, b.role)


def _wish(loop: Eqn) -> Mapping[str, Any]:
    """What the user has said of a loop."""
    return {k: v for k, v in loop.params.items() if k == PARALLEL}


# --- smaller arrays ------------------------------------------------------------------------------


def _smaller(region: Region, sizes: Mapping[Var, Eqn]) -> Region:
    """`region` with arrays that only the iterations of one loop use made inside, without the axes
    of rows. `sizes` defines integers, by which extents are known not to be negative: an error that
    NumPy would raise must stay."""
    uses = Counter(region_uses(region))
    made = {
        e.out: e
        for e in region.eqns
        if e.prim in ("empty", "full") and uses[e.out] == 1
        if all(is_size(n, sizes) for n in (e.ins if e.prim == "empty" else e.ins[1:]))
    }
    eqns: list[Eqn] = []
    gone: set[Var] = set()
    for eqn in region.eqns:
        if eqn.prim == "for" and not made.keys().isdisjoint(eqn.ins[3:]):
            taken = list(_private(eqn, made, uses))
            gone.update(a.out for a, _ in taken)
            eqn = shrink(eqn, taken) if taken else eqn
        eqns.append(eqn)
    kept = (e for e in eqns if not (len(e.outs) == 1 and e.out in gone))
    return Region(region.params, tuple(kept), region.results)


def _private(
    loop: Eqn, made: Mapping[Var, Eqn], uses: Mapping[Var, int]
) -> Iterator[tuple[Eqn, list[int]]]:
    """The equations that make what the iterations of `loop` carry, but leave nothing in for each
    other nor for later, with the axes of rows."""
    if loop.params.get("exit") or not is_counted(*loop.ins[:3]):
        return
    at = Accesses(loop)
    for init, out, param in zip(loop.ins[3:], loop.outs, loop.regions[0].params[1:]):
        axes = at.rows(param) if init in made and not uses[out] else None
        if axes:
            yield made[init], sorted(axes)
