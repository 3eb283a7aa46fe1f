"""Buffers that an iteration makes for itself are made once, before the loop.

    for 0, m, 1, s { (k, s)                  t.0 = empty n
      t = full 0.0, n                        for 0, m, 1, s, t.0 { (k, s, t.1)
      t1 = accum t, v, i              →        t = store t.1, 0.0 {spec=':'}
      …                                        t1 = accum t, v, i
      yield s1                                 …
    }                                          yield s1, t1
                                             }

What may move: `empty` and `full`, and `copy` of an array whose extents are known before the loop,
where no version of the buffer and no view of it is among the results of an iteration. Then the next
iteration reads nothing of it but what it has written itself. Where it is one of the results, and
the next iteration does not pass it on, two buffers take turns: `yield a1, u, t` with the parameters
`a, t, u` (and `a1` a version of `t`); where it does, and the one after does not, three. The
pass comes after `inplace`: until then an array is a value, and which values share a buffer is not
settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s2s_ad.analysis.sharing import WRITES, is_view, loop_inits
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import (
    PARALLEL,
    PROVED,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    region_defs,
    substitute,
    walk,
)
from s2s_ad.ir.types import known_equal

_ALLOCATIONS = ("empty", "full", "copy")
_SAFE = ("add", "sub", "mul", "maximum", "minimum")  # integers that may be computed in vain
_NEGATIVE = {"error": "ValueError", "message": "negative dimensions are not allowed"}


def buffers(func: Func) -> Func:
    """`func` with the allocations of iterations moved in front of their loops."""
    made = {out: e for e in walk(func.body) for out in e.outs}
    return func.with_(body=_region(func.body, made, {}))


def _region(region: Region, made: dict[Var, Eqn], sizes: dict[Var, Sequence[Atom]]) -> Region:
    eqns: list[Eqn] = []
    for eqn in region.eqns:
        if eqn.regions:
            eqn = eqn.with_(regions=tuple(_region(r, made, sizes) for r in eqn.regions))
        if eqn.prim in ("for", "while") and eqn.params.get(PARALLEL) != PROVED:
            moved = _Moved(eqn, made, sizes)
            eqns += moved.before.eqns
            eqn = moved.loop
        eqns.append(eqn)
    return Region(region.params, tuple(eqns), region.results)


class _Moved:
    """A loop without the allocations that can go before it, and these. `sizes` are the extents of
    what has moved, of this or an inner loop: a variable that may be gone."""

    def __init__(self, loop: Eqn, made: dict[Var, Eqn], sizes: dict[Var, Sequence[Atom]]) -> None:
        self.loop, self.made, self.sizes = loop, made, sizes
        self.before = Builder()
        self.body = loop.regions[-1]
        self.memory = _Memory(self.body)
        self.first: list[Var] = []  # what the loop carries besides: before it,
        self.params: list[Var] = []  # in it,
        self.results: list[Atom] = []  # and at the end of an iteration
        self.names: dict[Var, Atom] = {}  # what is one of these now
        stay: dict[Eqn, list[Eqn]] = {}  # what is left in place of an allocation
        inside = set(region_defs(self.body))
        for eqn in self.body.eqns:
            if eqn.prim in _ALLOCATIONS and eqn.out.type.is_array:
                turns = self.turns(eqn.out)
                sizes = self.extents(eqn, inside) if turns else [None]
                if None not in sizes:
                    stay[eqn] = self.move(eqn, sizes, turns)
        if stay:
            self.loop = self.carrying(stay)

    def turns(self, buffer: Var) -> int:
        """How many buffers take turns: one, and one more for each iteration that gets it from the
        iteration before. None at all where it may be kept for good, or in two places."""
        params, results = (*self.body.params, *self.params), (*self.body.results, *self.results)
        passed: list[int] = []
        kept = self.memory.kept(buffer, results)
        while kept:
            (place, *others) = kept
            if place < 0 or others or place in passed:
                return 0
            passed.append(place)
            kept = self.memory.kept(params[place + len(params) - len(results)], results)
        return 1 + len(passed)

    def extents(self, eqn: Eqn, inside: set[Var]) -> list[Atom | None]:
        """The extents of what `eqn` makes; None for one that is not known before the loop."""
        if eqn.prim == "copy":
            return [self.extent(size) for size in eqn.ins[0].type.shape]
        sizes = eqn.ins if eqn.prim == "empty" else eqn.ins[1:]
        return [self.outside(a, inside) for a in sizes]

    def outside(self, a: Atom, inside: set[Var]) -> Atom | None:
        """The integer `a` before the loop, computed there if need be."""
        if a not in inside:
            return a
        eqn = self.made.get(a)
        if eqn is None or not (eqn.prim == "dim" or eqn.prim in _SAFE):
            return None
        if eqn.prim == "dim" and eqn.ins[0] in self.sizes:
            return self.outside(self.sizes[eqn.ins[0]][eqn.params["axis"]], inside)
        ins = [self.outside(b, inside) for b in eqn.ins]
        if None in ins:
            return None
        return self.emit(eqn.prim, *ins, name=a.name, **eqn.params)

    def emit(self, prim: str, *ins: Atom, **more: object) -> Var:
        out = self.before.emit(prim, *ins, **more)
        self.made[out] = self.before.eqns[-1]
        return out

    def extent(self, size: int | str) -> Atom | None:
        """An extent as a number, from an array that the loop starts with."""
        if isinstance(size, int):
            return i64(size)
        for a in (*loop_inits(self.loop), *self.first):
            for axis, other in enumerate(a.type.shape):
                if known_equal(size, other):
                    return self.emit("dim", a, axis=axis, name="n")
        return None

    def move(self, eqn: Eqn, sizes: Sequence[Atom], turns: int) -> list[Eqn]:
        """The buffer goes round the loop, so that its versions stay in line; of several, each goes
        to the place of the one before. What stays in the loop."""
        out, before, stays = eqn.out, self.before, Builder(eqn.loc, eqn.role)
        before.loc, before.role = eqn.loc, eqn.role
        known = []
        for size in sizes:
            if is_size(size, self.made):
                known.append(size)
                continue
            fine = stays.emit("ge", size, i64(0), name="fine")  # the error stays where it was
            stays.equation("assert", (fine,), _NEGATIVE)
            known.append(self.emit("maximum", size, i64(0), name="n"))
        self.sizes[out] = known
        made = [
            self.emit("empty", *known, name=out.name, type=out.type, dtype=out.type.dtype)
            for _ in range(turns)
        ]
        params = [Var(out.name, out.type) for _ in made]
        if eqn.prim != "empty":
            spec = {"spec": ",".join(":" * out.type.ndim)}
            filled = (params[0], eqn.ins[0])
            stays.append(Eqn((out,), "store", filled, spec, (), eqn.loc, eqn.role))
        else:
            self.names[out] = params[0]
        self.memory.leads(params[0], out)
        self.first += made
        self.params += params
        self.results += (*params[1:], _last(out, self.body))
        return stays.eqns

    def carrying(self, stay: Mapping[Eqn, Sequence[Eqn]]) -> Eqn:
        """The loop with what it carries besides."""
        eqns = tuple(e for old in self.body.eqns for e in stay.get(old, (old,)))
        params = (*self.body.params, *self.params)
        results = (*self.body.results, *self.results)
        regions = [substitute(Region(params, eqns, results), self.names)]
        if self.loop.prim == "while":
            cond = self.loop.regions[0]
            unread = (Var(v.name, v.type) for v in self.first)
            regions.insert(0, Region((*cond.params, *unread), cond.eqns, cond.results))
        return self.loop.with_(
            ins=(*self.loop.ins, *self.first),
            outs=(*self.loop.outs, *(Var(v.name, v.type) for v in self.first)),
            regions=tuple(regions),
            params={k: v for k, v in self.loop.params.items() if k != "linear"},
        )


def is_size(a: Atom, made: Mapping[Var, Eqn]) -> bool:
    """True for what is certainly not negative."""
    if isinstance(a, Lit):
        return a.value >= 0
    eqn = made.get(a)
    if eqn is None:
        return False
    if eqn.prim in ("add", "mul", "minimum"):
        return all(is_size(b, made) for b in eqn.ins)
    if eqn.prim == "select":
        return all(is_size(b, made) for b in eqn.ins[1:])
    return eqn.prim == "dim" or (eqn.prim == "maximum" and any(is_size(b, made) for b in eqn.ins))


class _Memory:
    """Which variables of a region may share memory with which."""

    def __init__(self, body: Region) -> None:
        self.next: dict[Atom, list[Var]] = {}
        self.shown: set[Atom] = set()  # to what is outside of the program
        for eqn in walk(body):
            if eqn.prim == "perform":
                self.shown.update(eqn.ins)
            elif eqn.prim in WRITES or eqn.prim == "grow" or is_view(eqn):
                self.leads(eqn.ins[0], *eqn.outs)
            elif eqn.prim == "if":
                for out, *ways in zip(eqn.outs, *(r.results for r in eqn.regions)):
                    for way in ways:
                        self.leads(way, out)
            elif eqn.prim in ("for", "while"):
                self._round(eqn)

    def leads(self, a: Atom, *to: Var) -> None:
        self.next.setdefault(a, []).extend(to)

    def _round(self, eqn: Eqn) -> None:
        """What a loop carries: each slot shares as a whole."""
        inits = loop_inits(eqn)
        for k in range(-len(inits), 0):
            own = (eqn.outs[k], eqn.regions[-1].results[k], *(r.params[k] for r in eqn.regions))
            slot = [a for a in own if isinstance(a, Var)]
            for a in (inits[k], *slot):
                self.leads(a, *slot)

    def kept(self, buffer: Var, results: Sequence[Atom]) -> list[int]:
        """Those of `results` that may share memory with `buffer`; -1 stands for what is outside of
        the program."""
        sharing: set[Atom] = set()
        todo: list[Atom] = [buffer]
        while todo:
            a = todo.pop()
            if a not in sharing:
                sharing.add(a)
                todo += self.next.get(a, ())
        if not sharing.isdisjoint(self.shown):
            return [-1]
        return [k for k, a in enumerate(results) if a in sharing]


def _last(v: Var, region: Region) -> Var:
    """The last version of the buffer `v` at the end of `region`, as far as it can be followed."""
    for eqn in region.eqns:
        if eqn.prim in WRITES and eqn.ins[0] is v:
            v = eqn.out
        elif eqn.prim == "if":
            kept = [k for k in range(len(eqn.outs)) if _ends(eqn, k, [v, v])]
            v = eqn.outs[kept[0]] if kept else v
        elif eqn.prim in ("for", "while") and v in loop_inits(eqn):
            k = loop_inits(eqn).index(v) - len(loop_inits(eqn))
            params = [r.params[k] for r in eqn.regions[-1:]]
            v = eqn.outs[k] if _ends(eqn, k, params) else v
    return v


def _ends(eqn: Eqn, k: int, starts: Sequence[Var]) -> bool:
    """True where the result `k` of the last regions of `eqn` are the last versions of `starts`."""
    regions = eqn.regions[-len(starts) :]
    return all(r.results[k] is _last(v, r) for v, r in zip(starts, regions))
