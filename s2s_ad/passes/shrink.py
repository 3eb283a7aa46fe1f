"""An array that every iteration of a loop uses a row of becomes one that the iteration makes.

    t = empty n, m                          s = for 0, n, 1, 0.0 { (i, s)
    t9, s9 = for 0, n, 1, t, 0.0 { (i, t, s)    t = empty m
      t1 = store t, v, i, j             →       t1 = store t, v, j
      w = load t1, i, j                         w = load t1, j
      …                                         …
      yield t1, s1 }                            yield s1 }

What is left without axes is a number, and needs no memory. The part of `rows` that rewrites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from s2s_ad.ir.build import Builder, number
from s2s_ad.ir.core import Atom, Eqn, Region, Var


def shrink(loop: Eqn, arrays: Sequence[tuple[Eqn, Sequence[int]]]) -> Eqn:
    """The `for` without its carried arrays that these equations make: in place of each, an
    iteration makes one without the axes given, at which every access has the loop's index."""
    (body,) = loop.regions
    inside = _Shrunk()
    before: list[Eqn] = []
    dropped: set[int] = set()
    for made, axes in arrays:
        slot = loop.ins[3:].index(made.out)
        dropped.add(slot)
        before += inside.begin(made, body.params[1 + slot], axes)
    region = inside.region(body)
    left = [k for k in range(len(loop.outs)) if k not in dropped]
    return loop.with_(
        outs=tuple(loop.outs[k] for k in left),
        ins=(*loop.ins[:3], *(loop.ins[3 + k] for k in left)),
        regions=(
            Region(
                (region.params[0], *(region.params[1 + k] for k in left)),
                (*before, *region.eqns),
                tuple(region.results[k] for k in left),
            ),
        ),
    )


@dataclass
class _Shrunk:
    """Rewrites regions: `env` maps what is replaced, `axes` the versions of the arrays to the axes
    that they lose, and `extents` these to what is left of their extents."""

    env: dict[Var, Atom] = field(default_factory=dict)
    axes: dict[Var, tuple[int, ...]] = field(default_factory=dict)
    extents: dict[Var, tuple[Atom, ...]] = field(default_factory=dict)

    def begin(self, made: Eqn, param: Var, axes: Sequence[int]) -> list[Eqn]:
        """The equations that an iteration starts with, for the array in the place of `param`."""
        sizes = made.ins if made.prim == "empty" else made.ins[1:]
        ones = [a for a, d in enumerate(made.out.type.shape) if d == 1]
        gone = set(axes)
        if len(gone | set(ones)) == len(sizes):
            gone |= set(ones)  # a single element
        self.axes[param] = tuple(sorted(gone))
        self.extents[param] = sizes
        left = tuple(s for a, s in enumerate(sizes) if a not in gone)
        fill = made.ins[:1] if made.prim == "full" else ()
        if not left:
            self.env[param] = fill[0] if fill else number(0, param.type.dtype)
            return []
        out = self.version(param, param)
        return [made.with_(outs=(out,), ins=(*fill, *left))]

    def version(self, v: Var, base: Var) -> Var:
        """The new variable for `v`, a version of `base`."""
        self.axes[v], self.extents[v] = self.axes[base], self.extents[base]
        gone = self.axes[v]
        shape = tuple(d for a, d in enumerate(v.type.shape) if a not in gone)
        self.env[v] = new = Var(v.name, v.type.with_shape(shape))
        return new

    def atom(self, a: Atom) -> Atom:
        return self.env.get(a, a) if isinstance(a, Var) else a

    def region(self, region: Region) -> Region:
        b = Builder()
        for eqn in region.eqns:
            b.loc, b.role = eqn.loc, eqn.role
            if eqn.ins and eqn.ins[0] in self.axes and not eqn.regions:
                self.access(b, eqn)
                continue
            for init, param, out in zip(*_carried(eqn)):
                if init in self.axes:
                    self.version(param, init)
                    self.version(out, init)
            regions = tuple(map(self.region, eqn.regions))
            if eqn.prim == "if":
                for out, first in zip(eqn.outs, eqn.regions[0].results):
                    if first in self.axes:
                        self.version(out, first)
            ins = tuple(map(self.atom, eqn.ins))
            outs = tuple(map(self.atom, eqn.outs))
            b.append(eqn.with_(ins=ins, outs=outs, regions=regions))
        params = tuple(map(self.atom, region.params))
        return b.region(params, tuple(map(self.atom, region.results)))

    def access(self, b: Builder, eqn: Eqn) -> None:
        """A load, store, accum or dim of a version of one of the arrays."""
        base = eqn.ins[0]
        gone, now = self.axes[base], self.atom(base)
        if eqn.prim == "dim":
            self.env[eqn.out] = self.extents[base][eqn.params["axis"]]
            return
        skip = 1 if eqn.prim == "load" else 2
        values = tuple(map(self.atom, eqn.ins[1:skip]))
        place = tuple(self.atom(a) for k, a in enumerate(eqn.ins[skip:]) if k not in gone)
        if place:
            out = eqn.out if eqn.prim == "load" else self.version(eqn.out, base)
            spec = {**eqn.params, "spec": ",".join("i" * len(place))}
            b.append(eqn.with_(outs=(out,), ins=(now, *values, *place), params=spec))
        elif eqn.prim == "load":
            self.env[eqn.out] = now
        else:
            self.version(eqn.out, base)
            total = b.emit("add", now, *values, name=eqn.out.name) if eqn.prim == "accum" else None
            self.env[eqn.out] = values[0] if total is None else total


def _carried(eqn: Eqn) -> tuple[Sequence[Atom], Sequence[Var], Sequence[Var]]:
    """The initial values, the parameters and the results of what a `for` carries."""
    if eqn.prim != "for":
        return (), (), ()
    skip = 1 if eqn.params.get("exit") else 0
    return eqn.ins[3:], eqn.regions[0].params[1:], eqn.outs[skip:]
