"""What `lower` knows about values: which arrays exist in memory, and which extents are equal."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from s2s_ad.analysis.integers import Extent, Facts, Lin, lin
from s2s_ad.ir.core import Atom, Eqn, Lit, Region, Var
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import Axis, parse_subscript, split_spec
from s2s_ad.ir.types import I64, UNKNOWN, Dim
from s2s_ad.passes.lower_expand import EXACT
from s2s_ad.passes.lower_index import slice_range

#: Primitives whose elements are found by arithmetic on subscripts alone.
VIEWS = frozenset("load transpose expand squeeze broadcast roll".split())
#: Arrays that NumPy makes in one call; an element of one is known without making it.
FILLS = frozenset("full iota".split())
REDUCTIONS = frozenset("sum prod reduce_max reduce_min any all argmax argmin".split())


def is_lazy(eqn: Eqn) -> bool:
    """True where an element of the (array) result can be computed when it is needed."""
    return eqn.outs[0].type.is_array and (
        PRIMS[eqn.prim].elementwise or eqn.prim in VIEWS or eqn.prim in FILLS
    )


@dataclass(frozen=True)
class PlaceAxis:
    """An axis of a place in an array: the key of its extent, where it starts (0 unless it is a
    slice of step 1) and its extent."""

    key: Hashable
    first: Lin
    count: Lin


class Values:
    """The definitions of all values, and the facts about extents known so far.

    `stored` holds the lazy values that have been given memory of their own. `rename` maps variables
    of the old program to atoms of the new one. `dims` holds the extents that are at hand.
    """

    def __init__(self) -> None:
        self.defs: dict[Var, Eqn] = {}
        self.stored: set[Var] = set()
        self.rename: dict[Var, Atom] = {}
        self.loaded: set[Var] = set()  # elements read by the new program
        self.names: set[str] = set()  # of the arguments, and of the indices of loops around
        self.dims: dict[Hashable, Var] = {}
        self.parent: dict[Hashable, Hashable] = {}
        self.positive: set[Hashable] = set()  # extents that are known not to be 0
        self.facts = Facts(self.extent)

    def learn(self, region: Region) -> None:
        """Record every definition and the range of every loop index, in nested regions too."""
        for eqn in region.eqns:
            self.defs.update(dict.fromkeys(eqn.outs, eqn))
            if len(eqn.outs) == 1:
                self.facts.defs[eqn.outs[0]] = eqn
            if eqn.prim == "for":
                self.facts.bound_index(eqn.regions[0].params[0], *eqn.ins[:3])
            for inner in eqn.regions:
                self.learn(inner)

    def lazy(self, v: Atom) -> Eqn | None:
        """The equation to evaluate for an element of `v`; None where `v` is in memory."""
        eqn = self.defs.get(v) if isinstance(v, Var) else None
        if eqn is None or v in self.stored or not is_lazy(eqn):
            return None
        return eqn

    def renamed(self, a: Atom) -> Atom:
        return self.rename.get(a, a) if isinstance(a, Var) else a

    def element_key(self, v: Var, index: tuple[Lin, ...]) -> Hashable:
        """Equal for what is known to be the same element."""
        return v, tuple(map(self.facts.expand, index))

    # -- what evaluating a value reads

    def leaves(self, v: Atom) -> frozenset[Var]:
        """The scalars and arrays in memory that evaluating `v` reads; a view in memory reads its
        base too."""
        if not isinstance(v, Var):
            return frozenset()
        eqn = self.defs.get(v)
        if not v.type.is_array or eqn is None:
            return frozenset((v,))
        if self.lazy(v) is not None:
            return frozenset().union(*map(self.leaves, eqn.ins))
        if eqn.prim in ("reshape", "load", "transpose") and v not in self.stored:
            return self.leaves(eqn.ins[0]) | {v}
        return frozenset((v,))

    def shape_leaves(self, v: Atom) -> frozenset[Var]:
        """The arrays and scalars that decide the extents of `v`."""
        eqn = self.defs.get(v) if isinstance(v, Var) else None
        if eqn is None or not v.type.is_array or not is_lazy(eqn):
            return self.leaves(v)
        return frozenset().union(*map(self.shape_leaves, eqn.ins))

    # -- extents

    def place(self, eqn: Eqn) -> list[Axis]:
        """The axes of the subscript of a load, store or accum."""
        skip = 1 if eqn.prim == "load" else 2
        return parse_subscript(eqn.params["spec"], eqn.ins[skip:])

    def slice_of(self, eqn: Eqn, axis: int, token: Axis) -> tuple[Lin, Lin, int]:
        """First index, count and step of axis `axis` of the base of `eqn`, a slice."""
        base = eqn.ins[0]
        if eqn.params.get(EXACT):
            return lin(token.start), lin(token.stop) - lin(token.start), 1
        if isinstance(base.type.shape[axis], int) and all(
            a is None or isinstance(a, Lit) for a in (token.start, token.stop, token.step)
        ):
            bounds = (None if a is None else a.value for a in (token.start, token.stop, token.step))
            found = range(*slice(*bounds).indices(base.type.shape[axis]))
            return lin(found.start), lin(len(found)), found.step
        return slice_range(token, self.extent(base, axis), self.facts)

    def extent(self, v: Atom, axis: int) -> Lin:
        """The extent of an axis of `v`; it may be negative for an empty slice. That of a lazy value
        comes from its operands, whether or not it has been given memory."""
        eqn = self.defs.get(v) if isinstance(v, Var) else None
        if eqn is not None and is_lazy(eqn):
            return self._extent_of_result(v, axis)
        if eqn is not None and eqn.prim == "empty":
            return lin(eqn.ins[axis])
        if eqn is not None and eqn.prim in ("store", "accum") and self._is_made(eqn.ins[0]):
            return self.extent(eqn.ins[0], axis)
        if eqn is not None and eqn.prim == "copy" and self.lazy(eqn.ins[0]):
            return self.extent(eqn.ins[0], axis)
        dim = v.type.shape[axis]
        return lin(dim) if isinstance(dim, int) else lin(Extent(self.key(v, axis), v, axis))

    def _is_made(self, v: Atom) -> bool:
        """True where `v` goes back to an array made here, whose extents need not be asked for."""
        eqn = self.defs.get(v) if isinstance(v, Var) else None
        while eqn is not None and eqn.prim in ("store", "accum"):
            eqn = self.defs.get(eqn.ins[0])
        return eqn is not None and eqn.prim in ("empty", "full")

    def _extent_of_result(self, v: Var, axis: int) -> Lin:
        dim, eqn = v.type.shape[axis], self.defs[v]
        if isinstance(dim, int):
            return lin(dim)
        if eqn.prim in ("full", "broadcast"):
            return lin(eqn.ins[1 + axis])
        if eqn.prim == "iota":
            return lin(eqn.ins[0])
        if eqn.prim == "load":
            return self.place_axes(eqn)[axis].count
        if eqn.prim in VIEWS:
            return self.extent(eqn.ins[0], source_axis(eqn, axis))
        sources = broadcast_axes(eqn.ins)[axis]
        return self.extent(*(wide(sources) or sources)[0])

    def place_axes(self, eqn: Eqn) -> list[PlaceAxis]:
        """The axes of the place that a load, store or accum names."""
        base, place = eqn.ins[0], self.place(eqn)
        arrays = [t.start for t in place if t.kind == "array"]
        out: list[PlaceAxis] = []
        for axis, token in enumerate(place):
            if token.kind == "full":
                out.append(PlaceAxis(self.key(base, axis), lin(0), self.extent(base, axis)))
            elif token.kind == "slice":
                first, count, step = self.slice_of(eqn, axis, token)
                bounds = (token.start, token.stop, token.step)
                known = tuple(None if a is None else self.atom_key(a) for a in bounds)
                key = count.const if count.is_const else self.key_of_slice(base, axis, known)
                out.append(PlaceAxis(key, first if step == 1 else lin(0), count))
            elif token.kind == "array" and arrays:
                for sources in broadcast_axes(arrays):
                    v, a = (wide(sources) or sources)[0]
                    out.append(PlaceAxis(self.key(v, a), lin(0), self.extent(v, a)))
                arrays = []
        return out

    def key_of_slice(self, base: Atom, axis: int, bounds: tuple[Hashable, ...]) -> Hashable:
        return self.find(("slice", self.key(base, axis), *bounds))

    # -- equality of extents

    def find(self, key: Hashable) -> Hashable:
        while key in self.parent:
            key = self.parent[key]
        return key

    def union(self, a: Hashable, b: Hashable) -> None:
        a, b = self.find(a), self.find(b)
        if a != b and not (isinstance(a, int) and isinstance(b, int)):
            if isinstance(a, int):
                a, b = b, a  # a number stays the representative
            self.parent[a] = b

    def key(self, v: Atom, axis: int) -> Hashable:
        """Equal for extents that are known to be equal."""
        dim: Dim = v.type.shape[axis]
        return self.find(dim if dim != UNKNOWN else self._key(v, axis))

    def is_positive(self, v: Atom, axis: int) -> bool:
        """True where an extent is known not to be 0."""
        if self.find(self.key(v, axis)) in map(self.find, self.positive):
            return True
        return self.facts.at_least(self.extent(v, axis), 1)

    def atom_key(self, a: Atom) -> Hashable:
        if isinstance(a, Lit):
            return a.value
        eqn = self.defs.get(a)
        if eqn is not None and eqn.prim == "dim":
            return self.key(eqn.ins[0], eqn.params["axis"])
        return self.find(("value", a))

    def _key(self, v: Atom, axis: int) -> Hashable:
        eqn = self.defs.get(v) if isinstance(v, Var) else None
        itself = ("axis", v, axis)
        if eqn is None:
            return itself
        if eqn.prim in ("full", "broadcast", "reshape"):
            return self.atom_key(eqn.ins[1 + axis])
        if eqn.prim in ("empty", "iota"):
            return self.atom_key(eqn.ins[axis])
        if eqn.prim in ("store", "accum", "copy", "cumsum", "roll"):
            return self.key(eqn.ins[0], axis)
        if eqn.prim in ("transpose", "expand", "squeeze"):
            return self.key(eqn.ins[0], source_axis(eqn, axis))
        if eqn.prim == "load":
            return self.place_axes(eqn)[axis].key
        if PRIMS[eqn.prim].elementwise:
            sources = broadcast_axes(eqn.ins)[axis]
            return self.key(*(wide(sources) or sources)[0])  # what is n may be known to be 1
        return itself

    def note(self, eqn: Eqn) -> None:
        """Learn from `eqn` which extents are equal, now that it has been reached: what NumPy
        would check has been checked before it."""
        if eqn.prim == "assert":
            self._note_check(eqn.ins[0])
        elif eqn.prim in ("store", "accum"):
            axes = self.place_axes(eqn)
            value = eqn.ins[1].type.shape
            for place, (a, dim) in zip(axes[len(axes) - len(value) :], enumerate(value)):
                if dim != 1:
                    self.union(place.key, self.key(eqn.ins[1], a))
        elif len(eqn.outs) == 1 and is_lazy(eqn):
            if PRIMS[eqn.prim].elementwise:
                for sources in map(wide, broadcast_axes(eqn.ins)):
                    for v, a in sources[1:]:
                        self.union(self.key(v, a), self.key(*sources[0]))
            for axis, dim in enumerate(eqn.out.type.shape):
                if isinstance(dim, str) and dim != UNKNOWN:
                    self.union(self._key(eqn.out, axis), dim)

    def _note_check(self, condition: Atom) -> None:
        check = self.defs.get(condition) if isinstance(condition, Var) else None
        if check is None or check.prim != "gt" or check.ins[0].type != I64:
            return
        if isinstance(check.ins[1], Lit) and check.ins[1].value >= 0:
            self.positive.add(self.atom_key(check.ins[0]))

    @contextmanager
    def region(self) -> Iterator[None]:
        """What is learnt inside is forgotten at the end: it holds in that region only."""
        before = dict(self.dims), dict(self.parent), set(self.names), set(self.positive)
        try:
            yield
        finally:
            self.dims, self.parent, self.names, self.positive = before


def broadcast_axes(operands: Sequence[Atom]) -> list[list[tuple[Atom, int]]]:
    """For each axis of the result of an elementwise operation, the operands' axes behind it."""
    ndim = max(x.type.ndim for x in operands)
    return [
        [(x, a - ndim + x.type.ndim) for x in operands if a >= ndim - x.type.ndim]
        for a in range(ndim)
    ]


def wide(sources: list[tuple[Atom, int]]) -> list[tuple[Atom, int]]:
    """Those axes that are not known to have extent 1."""
    return [(x, a) for x, a in sources if x.type.shape[a] != 1]


def source_axis(eqn: Eqn, axis: int) -> int:
    """The operand's axis behind axis `axis` of a transpose, expand or squeeze."""
    axes = eqn.params.get("axes", ())
    if eqn.prim == "transpose":
        return eqn.params["perm"][axis]
    if eqn.prim == "expand":
        return axis - sum(a < axis for a in axes)
    for removed in sorted(axes):
        axis += removed <= axis
    return axis


def is_gather(eqn: Eqn) -> bool:
    return "a" in split_spec(eqn.params["spec"])
