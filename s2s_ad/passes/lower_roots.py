"""Roots of loop nests: the array equations for which `lower` makes loops, and what they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from s2s_ad.analysis.integers import Lin, lin
from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import Eqn, Var
from s2s_ad.ir.subscript import is_element
from s2s_ad.ir.types import I64
from s2s_ad.passes.lower_scope import Index, Scope
from s2s_ad.passes.lower_values import (
    REDUCTIONS,
    PlaceAxis,
    Values,
    is_gather,
)

#: Stand for the iteration counts of a nest's loops, while roots are compared with each other.
TURNS = tuple(Var(f"turn{k}", I64) for k in range(32))


@dataclass(eq=False)
class Root:
    """An equation that becomes (part of) a nest.

    `loops` are the nest's loops, outermost first; `where[axis]` is the loop that runs over an axis
    of the array that is walked (the operand of a reduction, the place of a store, else the result),
    None for an extent that is 1. `reads` are elements of arrays in memory, `write` the place that a
    store or accum writes, both in terms of TURNS.
    """

    eqn: Eqn
    kind: str  # array, store, accum, reduce, scan or arg
    loops: list[PlaceAxis]
    where: tuple[int | None, ...]
    in_order: bool  # the loops are the axes in order, as any other root's may be
    reads: list[tuple[Var, Index]] = field(default_factory=list)
    write: Index | None = None

    @property
    def base(self) -> Var | None:
        """The array that is overwritten."""
        return self.eqn.ins[0] if self.kind in ("store", "accum") else None

    @property
    def starts_inside(self) -> bool:
        """True where the indices of the place it writes are better than counting from 0."""
        return any(axis.first != lin(0) for axis in self.loops)

    def index(self, turns: Sequence[Lin]) -> Index:
        """The element of the array walked that belongs to these iteration counts."""
        return tuple(lin(0) if k is None else turns[k] for k in self.where)

    def reads_carried_safely(self, values: Values, others: Sequence[Root]) -> bool:
        """True where no element that `self` reads is written by `others` in another iteration."""
        writers = {r.base: r for r in others if r.base is not None}
        for array, index in self.reads:
            aliased = values.leaves(array) & writers.keys()
            if aliased and not (array in writers and writers[array].leaves_alone(values, index)):
                return False
        return True

    def leaves_alone(self, values: Values, index: Index) -> bool:
        """True where an element of the base may be read from the version that is being written:
        it is the very element of this iteration, or one that no iteration writes."""
        return self.writes_at(values, index) or self.writes_elsewhere(values, index)

    def writes_at(self, values: Values, index: Index) -> bool:
        """True where an element is the very one that is written in the same iteration."""
        pairs = zip(self.write, index)
        return not is_gather(self.eqn) and all(values.facts.same(a, b) for a, b in pairs)

    def writes_elsewhere(self, values: Values, index: Index) -> bool:
        """True where an element is one that no iteration writes."""
        pairs = zip(self.write, index)
        return any(_still(a) and _still(b) and values.facts.distinct(a, b) for a, b in pairs)


def _still(index: Lin) -> bool:
    return not any(s in TURNS for s, _ in index.terms)


def root_kind(values: Values, eqn: Eqn) -> str | None:
    """How `eqn` becomes a nest; None where it does not."""
    if eqn.prim in ("store", "accum"):
        return None if is_element(eqn.params["spec"]) else eqn.prim
    if eqn.prim == "copy":
        return "array" if values.lazy(eqn.ins[0]) else None
    if eqn.prim == "cumsum":
        return "scan"
    if eqn.prim in REDUCTIONS:
        if not eqn.ins[0].type.is_array:
            return None
        return "arg" if eqn.prim.startswith("arg") else "reduce"
    if eqn.outs and eqn.outs[0] in values.stored:
        return "array"
    return None


def make_root(values: Values, eqn: Eqn, kind: str) -> Root:
    """The root of `eqn`, with its loops, its reads and its write."""
    axes = _walked_axes(values, eqn, kind)
    looping = [a for a, axis in enumerate(axes) if axis.key != 1]
    order = sorted(looping, key=lambda a: _is_last(eqn, kind, a))
    where = tuple(order.index(a) if a in order else None for a in range(len(axes)))
    root = Root(eqn, kind, [axes[a] for a in order], where, order == looping)
    if kind in ("scan", "arg"):
        root.in_order = False
    scope = Scope(values, Builder())
    index = root.index(tuple(map(lin, TURNS)))
    with values.region():
        if root.base is not None:
            scope.broadcast(eqn.ins[1], index)
            root.write = scope.subscript(eqn, values.place(eqn), index)
        elif kind == "array":
            scope.define(eqn, index)
            root.write = index
        else:
            scope.element(eqn.ins[0], index)
    root.reads = scope.reads
    return root


def _walked_axes(values: Values, eqn: Eqn, kind: str) -> list[PlaceAxis]:
    if kind in ("store", "accum"):
        return values.place_axes(eqn)
    walked = eqn.outs[0] if kind == "array" and eqn.prim != "copy" else eqn.ins[0]
    return [
        PlaceAxis(values.key(walked, a), lin(0), values.extent(walked, a))
        for a in range(walked.type.ndim)
    ]


def _is_last(eqn: Eqn, kind: str, axis: int) -> bool:
    """True for an axis whose loop must be inside: the one of a scan, and those over which the
    largest integer is sought."""
    if kind == "scan":
        return axis == eqn.params["axis"]
    integers = kind == "reduce" and eqn.prim in ("reduce_max", "reduce_min")
    if kind == "arg" or (integers and not eqn.ins[0].type.is_float):
        return axis in eqn.params["axes"]
    return False
