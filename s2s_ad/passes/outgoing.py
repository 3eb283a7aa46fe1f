"""What leaves a loop has extents with names of their own, where these may change in the loop.

    h: f64[h] = for 0, n, 1, h0 {             h: f64[h__last] = for 0, n, 1, h0 {
      (i, h: f64[h])                            (i, h: f64[h])
      u: f64[m] = dot W, h              →       u: f64[m] = dot W, h
      yield u }                                 yield u }
    v: f64[h] = sin h                         v: f64[h__last] = sin h

The frontend has one name for the extent at the start of an iteration and for the one after the
loop: nothing sees both. A reverse sweep does: what it reads of an iteration, and what comes from
after the loop. There equal names have to be equal extents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from s2s_ad.analysis.activity import loop_slots
from s2s_ad.ir.core import Atom, Eqn, Func, Region, Var
from s2s_ad.ir.types import Dim, Type, known_equal

Names = Mapping[str, str]
#: What a symbol with a shift, such as `n-2`, is counted from.
_BASE = re.compile(r"\w+")


def outgoing(func: Func) -> Func:
    """`func` with the names of the module's docstring.

    Example: `outgoing(parse(text))` gives a `Func` with other types for what leaves its loops.
    """
    found = _Loops()
    found.region(func.body)
    every = {s: new for names in found.own.values() for s, new in names.items()}
    return func.with_(body=_region(func.body, every, found.own, {})) if every else func


class _Loops:
    """`own` are the names that loops give to extents which change in them, with those after."""

    def __init__(self) -> None:
        self.own: dict[Eqn, dict[str, str]] = {}
        self.seen: set[str] = set()

    def region(self, region: Region) -> None:
        self.see(region.params)
        for eqn in region.eqns:
            if eqn.prim in ("for", "while"):
                fresh = dict.fromkeys(s for s in _changing(eqn) if s not in self.seen)
                # The frontend has none with `__`: a derivative goes back to it, as a part of more.
                self.own[eqn] = {s: self.free(f"{s}__last") for s in fresh}
            for inner in eqn.regions:
                self.region(inner)
            self.see(eqn.outs)

    def see(self, variables: tuple[Var, ...]) -> None:
        dims = (d for v in variables for d in v.type.shape if isinstance(d, str))
        self.seen.update(m.group() for m in map(_BASE.match, dims) if m)

    def free(self, name: str) -> str:
        while name in self.seen:
            name += "_"
        self.seen.add(name)
        return name


def _changing(loop: Eqn) -> Iterator[str]:
    """The symbols of extents that carried arrays have at the start of an iteration, which are not
    those of what the loop starts with, or not those of what an iteration gives."""
    inits, body, results, outs = loop_slots(loop)
    params = body.params[len(body.params) - len(inits) :]
    for slot in zip(inits, params, results, outs):
        for first, own, after, left in zip(*(a.type.shape for a in slot)):
            same = known_equal(first, own) and known_equal(own, after)
            if known_equal(own, left) and not same and str(own).isidentifier():
                yield own


def _region(region: Region, names: Names, own: Mapping[Eqn, Names], env: dict[Var, Var]) -> Region:
    """`region` with other `names`, but in the loops whose own ones they are."""

    def define(v: Var) -> Var:
        kind = _renamed(v.type, names)
        if kind is not v.type:
            env[v] = Var(v.name, kind)
        return env.get(v, v)

    def atom(a: Atom) -> Atom:
        return env.get(a, a) if isinstance(a, Var) else a

    params = tuple(map(define, region.params))
    eqns = []
    for eqn in region.eqns:
        inner = {s: new for s, new in names.items() if s not in own.get(eqn, {})}
        ins = tuple(map(atom, eqn.ins))
        regions = tuple(_region(r, inner, own, env) for r in eqn.regions)
        eqns.append(eqn.with_(outs=tuple(map(define, eqn.outs)), ins=ins, regions=regions))
    return Region(params, tuple(eqns), tuple(map(atom, region.results)))


def _renamed(kind: Type, names: Names) -> Type:
    shape = tuple(_dim(d, names) for d in kind.shape)
    return kind if shape == kind.shape else kind.with_shape(shape)


def _dim(dim: Dim, names: Names) -> Dim:
    base = _BASE.match(dim) if isinstance(dim, str) else None
    if base is None or base.group() not in names:
        return dim
    return names[base.group()] + dim[base.end() :]
