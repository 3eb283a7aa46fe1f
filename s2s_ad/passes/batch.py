"""A product of matrices that a loop computes row by row is computed at once, before the loop.

    for 0, n, 1, c { (i, c1)                     b = load x, n {spec=':,:_'}
      u = load x, i {spec=':,i'}                 a = transpose b
      v = load x, i, n {spec=':,_:_'}            products = dot a, b
      t = dot u, v                         →     for 0, n, 1, c { (i, c1)
      c2 = store c1, t, i, i {spec='i,_:'}         t = load products, i, i {spec='i,_:'}
      yield c2                                     c2 = store c1, t, i, i {spec='i,_:'}
    }                                              yield c2 }

BLAS multiplies matrices several times faster than a vector and a matrix, for which it waits for
memory. The reverse sweep of one product is two products, in place of two passes over a matrix in
each iteration. So this comes before differentiation.

It is done for a loop from 0, 1 or 2 on that goes to its end, where one factor is a row (or a
column) of an array that does not change in the loop, at the loop's index, and the other an
invariant matrix, or such a matrix from or up to the index. What is computed in vain (of a triangle
the other half) is at most as much as what is needed. The products must go into an array which has
a row for each of them as well: then memory grows by as much again, at most. Slices are clipped, and
the factors are known to fit, so no loop that fails or does not run at all fails earlier, or
otherwise. Products have no order, so that only rounding differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import PARALLEL, TANGENT, Atom, Eqn, Func, Lit, Region, Var, region_defs
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import Axis, is_full, make_spec, parse_subscript
from s2s_ad.ir.types import UNKNOWN, known_equal

#: What a loop may begin with, and a bound differ from its index by: so little is computed in vain.
_NEAR = 2


def batch(func: Func) -> Func:
    """`func` with the products of the module's docstring in front of their loops."""
    return func.with_(body=_region(func.body, {}))


def _region(region: Region, defs: Mapping[Var, Eqn]) -> Region:
    b, known = Builder(), dict(defs)
    for eqn in region.eqns:
        if eqn.regions:
            eqn = eqn.with_(regions=tuple(_region(r, known) for r in eqn.regions))
        if _is_counted(eqn):
            eqn = _Loop(b, eqn, known).rewritten()
        b.append(eqn)
        known.update(dict.fromkeys(eqn.outs, eqn))
    return b.region(region.params, region.results)


def _is_counted(eqn: Eqn) -> bool:
    if eqn.prim != "for" or eqn.params.get("exit") or PARALLEL in eqn.params:
        return False
    start, _, step = eqn.ins[:3]
    return step == i64(1) and isinstance(start, Lit) and 0 <= start.value <= _NEAR


@dataclass(frozen=True)
class _Factor:
    """The matrix that a factor is, or is a row of in each iteration: `axes` of `array`, whose axis
    `along` is multiplied; `part` is what of the other axis an iteration wants."""

    array: Var
    axes: tuple[Axis, Axis]
    along: int
    part: Axis


class _Loop:
    """A loop, and what it computes in rows. `defs` define what is around it."""

    def __init__(self, b: Builder, loop: Eqn, defs: Mapping[Var, Eqn]) -> None:
        self.b, self.loop, self.defs = b, loop, defs
        (self.body,) = loop.regions
        self.index, self.stop = self.body.params[0], loop.ins[1]
        self.inside = set(region_defs(self.body))
        self.here = {out: e for e in self.body.eqns for out in e.outs}

    def rewritten(self) -> Eqn:
        eqns = tuple(self.product(e) if e.prim == "dot" else e for e in self.body.eqns)
        if eqns == self.body.eqns:
            return self.loop
        return self.loop.with_(regions=(Region(self.body.params, eqns, self.body.results),))

    def product(self, eqn: Eqn) -> Eqn:
        """A `dot` as a part of a product that is computed before the loop, if that is worth it."""
        ranks = [a.type.ndim for a in eqn.ins]
        if eqn.role == TANGENT or sorted(ranks) != [1, 2] or not self.is_kept(eqn):
            return eqn
        at = ranks.index(1)
        vector, matrix = eqn.ins[at], eqn.ins[1 - at]
        row, other = self.row(vector), self.matrix(matrix, at)
        if row is None or other is None:
            return eqn
        if not known_equal(vector.type.shape[0], matrix.type.shape[at]):
            return eqn
        row, other = self.alike(row, other)
        with self.b.at(eqn.loc):
            left, right = self.made(row, 1), self.made(other, 0)
            rows = self.b.emit("dot", left, right, name="products")
        spec, operands = make_spec((Axis("index", self.index), other.part))
        return eqn.with_(prim="load", ins=(rows, *operands), params={"spec": spec})

    def made(self, factor: _Factor, along: int) -> Var:
        """The matrix of a factor, with the axis that is multiplied at `along`."""
        spec, operands = make_spec(factor.axes)
        array = factor.array
        if not is_full(spec):
            array = self.b.emit("load", array, *operands, name=array.name, spec=spec)
        if factor.along != along:
            array = self.b.emit("transpose", array, name=array.name, perm=(1, 0))
        return array

    def alike(self, row: _Factor, other: _Factor) -> tuple[_Factor, _Factor]:
        """Two slices of one matrix that end near each other become the same one: then the gradient
        is one product."""
        stops = [f.axes[1 - f.along].stop for f in (row, other)]
        if row.array is not other.array or row.along != other.along or None in stops:
            return row, other
        (a, first), (b, second) = map(self.sum, stops)
        if a is not b or row.axes[row.along] != other.axes[row.along]:
            return row, other
        if not -_NEAR <= first - second <= _NEAR:
            return row, other
        axes = (row if first > second else other).axes
        return replace(row, axes=axes), replace(other, axes=axes)

    def sum(self, a: Atom) -> tuple[Atom | None, int]:
        """A bound as what it is near, and how far it is from that."""
        if isinstance(a, Lit):
            return None, a.value
        eqn = self.defs.get(a)
        if eqn is not None and eqn.prim in ("add", "sub") and isinstance(eqn.ins[1], Lit):
            far = eqn.ins[1].value
            return eqn.ins[0], far if eqn.prim == "add" else -far
        return a, 0

    # -- what may be a factor

    def row(self, v: Atom) -> _Factor | None:
        """A row or a column of an invariant matrix, at the loop's index."""
        eqn = self.here.get(v) if isinstance(v, Var) else None
        if eqn is None or not self.reads_matrix(eqn):
            return None
        axes = parse_subscript(eqn.params["spec"], eqn.ins[1:])
        at = next((k for k, a in enumerate(axes) if a.kind == "index"), None)
        if at is None or axes[at].start is not self.index or not self.is_fixed(axes[1 - at]):
            return None
        axes[at] = self.up_to(self.stop, eqn.ins[0], at)
        return _Factor(eqn.ins[0], tuple(axes), 1 - at, Axis("full"))

    def matrix(self, v: Var, along: int) -> _Factor | None:
        """An invariant matrix, or one whose other axis than that which is multiplied begins or ends
        at the loop's index."""
        full = (Axis("full"), Axis("full"))
        if v not in self.inside:
            return _Factor(v, full, along, full[0])
        eqn = self.here.get(v)
        if eqn is None or not self.reads_matrix(eqn):
            return None
        axes = parse_subscript(eqn.params["spec"], eqn.ins[1:])
        if any(a.kind not in ("full", "slice") for a in axes) or not self.is_fixed(axes[along]):
            return None
        found = self.bounded(axes[1 - along], eqn.ins[0], 1 - along)
        if found is None:
            return None
        axes[1 - along], part = found
        return _Factor(eqn.ins[0], tuple(axes), along, part)

    def reads_matrix(self, eqn: Eqn) -> bool:
        return eqn.prim == "load" and eqn.ins[0].type.ndim == 2 and eqn.ins[0] not in self.inside

    def is_fixed(self, axis: Axis) -> bool:
        return axis.kind in ("full", "slice") and not any(map(self.varies, _operands(axis)))

    def varies(self, a: Atom | None) -> bool:
        return a in self.inside

    def bounded(self, axis: Axis, array: Var, at: int) -> tuple[Axis, Axis] | None:
        """The slice that all iterations need, and what each takes of it."""
        if self.is_fixed(axis):
            return axis, Axis("full")
        start, stop = axis.start, axis.stop
        if axis.step not in (None, i64(1)):
            return None
        if not self.varies(stop) and self.distance(start) is not None:
            whole = Axis("full") if stop is None else self.up_to(stop, array, at)
            return whole, Axis("slice", start)
        beyond = None if self.varies(start) else self.distance(stop)
        if beyond is None or not (start is None or isinstance(start, Lit) and start.value >= 0):
            return None
        last = self.stop if beyond == 1 else self.b.emit("add", self.stop, i64(beyond - 1))
        return self.up_to(last, array, at), axis

    def distance(self, a: Atom | None) -> int | None:
        """How far a bound is from the loop's index, where that is near, and it is not negative."""
        eqn = self.here.get(a) if isinstance(a, Var) else None
        far = None
        if a is self.index:
            far = 0
        elif eqn is not None and eqn.prim == "add" and self.index in eqn.ins:
            other = eqn.ins[1 - eqn.ins.index(self.index)]
            far = other.value if isinstance(other, Lit) else None
        elif eqn is not None and eqn.prim == "sub" and eqn.ins[0] is self.index:
            far = -eqn.ins[1].value if isinstance(eqn.ins[1], Lit) else None
        near = far is not None and far <= _NEAR and self.loop.ins[0].value + far >= 0
        return far if near else None

    def up_to(self, stop: Atom, array: Var, at: int) -> Axis:
        """The slice up to `stop`, or the whole axis where that is its extent."""
        eqn = self.defs.get(stop) if isinstance(stop, Var) else None
        if eqn is not None and eqn.prim == "dim":
            other, axis = eqn.ins[0], eqn.params["axis"]
            size = array.type.shape[at]
            if size != UNKNOWN and known_equal(size, other.type.shape[axis]):
                return Axis("full")
        return Axis("slice", None, stop)

    def is_kept(self, eqn: Eqn) -> bool:
        """True where what a product gives goes into a place of an array that is its iteration's."""
        rows = {eqn.out}
        for e in self.body.eqns:
            if e.prim in ("store", "accum") and e.ins[1] in rows and e.ins[0].type.ndim > 1:
                axes = parse_subscript(e.params["spec"], e.ins[2:])
                if any(a.kind == "index" and a.start is self.index for a in axes):
                    return True
            elif PRIMS[e.prim].elementwise and not rows.isdisjoint(e.ins):
                rows.update(e.outs)
        return False


def _operands(axis: Axis) -> tuple[Atom, ...]:
    return tuple(a for a in (axis.start, axis.stop, axis.step) if a is not None)
