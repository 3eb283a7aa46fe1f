"""A chain of stores and accums at shifted places of one array, gathered: each element is written
once, in one loop that can be vectorised.

    x[:-2] += v              if n - 2 >= 2:
    x[2:] += w        →          x[0] += v[0]
                                 x[1] += v[1]
                                 for i in range(2, n - 2):
                                     x[i] += v[i] + w[i - 2]
                                 x[n - 2] += w[n - 4]
                                 x[n - 1] += w[n - 3]
                             else:  # the array is smaller than the stencil: one by one
                                 …

This is what the adjoint of a stencil is made of. In rows that not all links of the chain reach (of
a matrix, the first and the last), the links are computed one after the other, as they would be
without this. Sums may be rounded differently; nothing else changes.

Loops have exactly the ranges that they need, rather than conditions inside: LLVM compares the
memory that whole loops may touch before it takes the vectorised ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise

from s2s_ad.analysis.integers import Lin, Op, lin
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import NO_PARAMS, Atom, Eqn, Lit, Region, Var
from s2s_ad.ir.types import I64
from s2s_ad.passes.lower_nest import loop_names, origin
from s2s_ad.passes.lower_roots import Root
from s2s_ad.passes.lower_scope import Scope, element_spec
from s2s_ad.passes.lower_values import Values, is_gather

#: Where this many slices of the last axis begin (or end) at different places, the text would get
#: long; and up to this many elements that a group of links share are written out.
_EDGES, _UNROLLED = 4, 2


def can_gather(values: Values, roots: Sequence[Root]) -> bool:
    """True for a chain of stores and accums whose places are one another's, shifted."""
    if any(not _is_box(values, r) for r in roots):
        return False
    if any(not _is_parallel(values, roots[0], r) for r in roots[1:]):
        return False
    for axis in range(len(roots[0].loops)):
        firsts, ends = _edges(roots, axis)
        if not all((f - firsts[0]).is_const for f in firsts[1:]):
            return False
        common = _least(ends) - _largest(firsts)
        if common.is_const and common.const <= 0:
            return False
    return all(
        all((e - edges[0]).is_const for e in edges[1:]) and len(set(edges)) <= _EDGES
        for edges in _edges(roots, -1)
    )


def is_shifted(roots: Sequence[Root]) -> bool:
    """True where the places of a chain are not all the same: there is something to gather."""
    return any(len(set(e)) > 1 for a in range(len(roots[0].loops)) for e in _edges(roots, a))


def reads_gathered_safely(values: Values, roots: Sequence[Root]) -> bool:
    """True where no value of the chain reads an element of the array that the chain has written:
    only the first link may read what it is about to overwrite."""
    bases = {r.base for r in roots}
    for root in roots:
        for array, index in root.reads:
            if not values.leaves(array) & bases:
                continue
            if array is not roots[0].base:
                return False
            own = root is roots[0] and root.writes_at(values, index)
            if not own and not all(r.writes_elsewhere(values, index) for r in roots):
                return False
    return True


def emit_gather(values: Values, builder: Builder, roots: Sequence[Root]) -> None:
    """Append the loops for a chain for which `can_gather` is True."""
    _Gather(values, roots).run(builder)


def _is_box(values: Values, root: Root) -> bool:
    if root.kind not in ("store", "accum") or not root.loops or is_gather(root.eqn):
        return False
    steps = (t.step for t in values.place(root.eqn) if t.kind == "slice")
    return all(s is None or (isinstance(s, Lit) and s.value == 1) for s in steps)


def _is_parallel(values: Values, root: Root, other: Root) -> bool:
    """True where two places differ in the slices that are looped over only."""
    same = values.facts.same
    tokens = list(zip(values.place(root.eqn), values.place(other.eqn)))
    if root.where != other.where or any(
        (a.kind == "index") != (b.kind == "index") for a, b in tokens
    ):
        return False
    indices = ((a.start, b.start) for a, b in tokens if a.kind == "index")
    axes = zip(root.where, values.place_axes(root.eqn), values.place_axes(other.eqn))
    return all(same(lin(a), lin(b)) for a, b in indices) and all(
        same(a.first, b.first) for k, a, b in axes if k is None
    )


def _edges(roots: Sequence[Root], axis: int) -> tuple[list[Lin], list[Lin]]:
    """Where the places of `roots` begin and end on a loop's axis."""
    axes = [r.loops[axis] for r in roots]
    return [a.first for a in axes], [a.first + a.count for a in axes]


def _largest(values: Sequence[Lin]) -> Lin:
    return reduce(lambda a, b: _choose("max", a, b, (a - b).const >= 0), dict.fromkeys(values))


def _least(values: Sequence[Lin]) -> Lin:
    return reduce(lambda a, b: _choose("min", a, b, (a - b).const <= 0), dict.fromkeys(values))


def _choose(name: str, a: Lin, b: Lin, first: bool) -> Lin:
    if (a - b).is_const:
        return a if first else b
    return lin(Op(name, a, b))


class _Gather:
    def __init__(self, values: Values, roots: Sequence[Root]) -> None:
        self.values, self.roots = values, roots
        self.eqn, self.base = roots[0].eqn, roots[0].base
        self.out = roots[-1].eqn.outs[0]
        self.depth = len(roots[0].loops)
        self.names = loop_names(values)

    def run(self, b: Builder) -> None:
        array = self.values.renamed(self.base)
        outside = self.scope(b, array)
        edges = [_edges(self.roots, axis) for axis in range(self.depth)]
        plain = [[[_plain(outside, e) for e in side] for side in axis] for axis in edges]
        self.boxes = [[(f[k], e[k]) for f, e in plain] for k in range(len(self.roots))]
        self.core = [(_plain(outside, _largest(f)), _plain(outside, _least(e))) for f, e in edges]
        self.hull = [(_plain(outside, _least(f)), _plain(outside, _largest(e))) for f, e in edges]
        self.uneven = [a for a, (f, e) in enumerate(edges[:-1]) if len({*f}) + len({*e}) > 2]
        self.values.rename[self.out] = self.everything(b, array, self.enough(outside))

    def everything(self, b: Builder, array: Atom, enough: Atom | None) -> Atom:
        """The rows that all links reach, and then the others; all of them are others where the
        last axis is not `enough` for the stencil."""
        if enough is None:
            array = self.rows(b, array, [])
        elif self.uneven:
            array = self.choose(b, enough, array, lambda b, a: self.rows(b, a, []))
        else:
            return self.choose(b, enough, array, lambda b, a: self.rows(b, a, []), self.links)
        return self.other_rows(b, array, [], enough) if self.uneven else array

    def enough(self, scope: Scope) -> Atom | None:
        """The condition that the slices of the last axis all have elements in common, or at least
        that none of them begins after another one ends. None where it need not be asked."""
        low, high = self.core[-1]
        uneven = any(box[-1] != self.core[-1] for box in self.boxes)
        if not uneven or self.values.facts.at_least(high - low, 0):
            return None
        return scope.emit("ge", (scope.atom(high), scope.atom(low)))

    # -- loops

    def rows(self, b: Builder, array: Atom, at: list[Lin]) -> Atom:
        """All elements of the rows that all links reach."""
        if len(at) == self.depth - 1:
            return self.row(b, array, at)
        low, high = self.core[len(at)]

        def inside(b: Builder, array: Atom, index: Lin) -> Atom:
            return self.rows(b, array, [*at, index])

        return self.loop(b, len(at), low, high, array, inside)

    def row(self, b: Builder, array: Atom, at: list[Lin]) -> Atom:
        """One row: between two places where links begin or end, the same ones are summed."""
        scope = self.scope(b, array)
        low, high = self.core[-1]
        spans = [(root, *box[-1]) for root, box in zip(self.roots, self.boxes)]
        firsts = sorted({first for _, first, _ in spans}, key=lambda f: (f - low).const)
        ends = sorted({end for _, _, end in spans}, key=lambda e: (e - high).const)
        for start, stop in pairwise(firsts):
            links = [root for root, first, _ in spans if (first - start).const <= 0]
            array = self.stretch(scope, array, at, (start, stop), links)
        array = self.stretch(scope, array, at, (low, high), self.roots)
        for start, stop in pairwise(ends):
            links = [root for root, _, end in spans if (end - stop).const >= 0]
            array = self.stretch(scope, array, at, (start, stop), links)
        return array

    def other_rows(self, b: Builder, array: Atom, at: list[Lin], enough: Atom | None) -> Atom:
        """The rows that some links do not reach, one link after the other."""
        if len(at) < self.depth - 1:

            def inside(b: Builder, array: Atom, index: Lin) -> Atom:
                return self.other_rows(b, array, [*at, index], enough)

            return self.loop(b, len(at), *self.hull[len(at)], array, inside)

        def row(b: Builder, array: Atom) -> Atom:
            for root, box in zip(self.roots, self.boxes):
                array = self.link_in_row(b, array, at, root, box)
            return array

        scope = self.scope(b, array)
        terms = [] if enough is None else [scope.emit("not", (enough,))]
        for axis in self.uneven:
            low, high = self.core[axis]
            here = scope.atom(at[axis])
            terms.append(scope.emit("lt", (here, scope.atom(low))))
            terms.append(scope.emit("ge", (here, scope.atom(high))))
        return self.choose(b, reduce(lambda x, y: scope.emit("or", (x, y)), terms), array, row)

    def link_in_row(
        self, b: Builder, array: Atom, at: list[Lin], root: Root, box: list[tuple[Lin, Lin]]
    ) -> Atom:
        scope, terms = self.scope(b, array), []
        for here, (low, high), (first, end) in zip(at, self.hull, box):
            if first != low:
                terms.append(scope.emit("ge", (scope.atom(here), scope.atom(first))))
            if end != high:
                terms.append(scope.emit("lt", (scope.atom(here), scope.atom(end))))
        if not terms:
            return self.link(b, array, root, box, at)
        reached = reduce(lambda x, y: scope.emit("and", (x, y)), terms)
        return self.choose(b, reached, array, lambda b, a: self.link(b, a, root, box, at))

    def links(self, b: Builder, array: Atom) -> Atom:
        """One link after the other."""
        for root, box in zip(self.roots, self.boxes):
            array = self.link(b, array, root, box, [])
        return array

    def link(
        self, b: Builder, array: Atom, root: Root, box: list[tuple[Lin, Lin]], at: list[Lin]
    ) -> Atom:
        """One link, from the row or the loop on that has been reached."""

        def inside(b: Builder, array: Atom, index: Lin) -> Atom:
            return self.link(b, array, root, box, [*at, index])

        if len(at) < self.depth - 1:
            return self.loop(b, len(at), *box[len(at)], array, inside)
        start = origin(box[-1][0])
        return self.stretch(self.scope(b, array), array, at, box[-1], [root], start)

    def stretch(
        self,
        scope: Scope,
        array: Atom,
        at: list[Lin],
        span: tuple[Lin, Lin],
        links: Sequence[Root],
        start: Lin | None = None,
    ) -> Atom:
        """A part of a row in which `links` have elements, as a loop that counts from `start`."""
        first, count = span[0], span[1] - span[0]
        if count.is_const and count.const <= _UNROLLED:
            for k in range(count.const):
                array = self.element(scope, array, [*at, first + k], links)
            return array
        start = first if start is None else start
        bounds = (scope.atom(start, 0), scope.atom(start + count, 0), i64(1), array)
        index, param = self.index(len(at), start, count), self.version()
        scope.push(index, {self.base: param})
        result = self.element(
            scope, scope.level_of(param), [*at, lin(index) - start + first], links
        )
        body = scope.pop().region((index, param), (result,))
        array = scope.level_of(self.version())
        eqn = self.eqn
        scope.builders[0].append(
            Eqn((array,), "for", bounds, NO_PARAMS, (body,), eqn.loc, eqn.role)
        )
        scope.carried[0][self.base] = array
        return array

    def element(self, scope: Scope, array: Atom, at: list[Lin], links: Sequence[Root]) -> Atom:
        """One element of the array: what the last store puts there, and all that is added."""
        stores = [k for k, root in enumerate(links) if root.kind == "store"]
        links = links[stores[-1] :] if stores else links
        terms = []
        for root in links:
            turns = [here - axis.first for here, axis in zip(at, root.loops)]
            terms.append(scope.broadcast(root.eqn.ins[1], root.index(turns)))
        terms = [t for t in terms if not (isinstance(t, Lit) and t.value == 0)] or terms[:1]
        total = reduce(lambda x, y: scope.emit("add", (x, y)), terms)
        turns = [here - axis.first for here, axis in zip(at, self.roots[0].loops)]
        place = self.values.place(self.eqn)
        index = scope.subscript(self.eqn, place, self.roots[0].index(turns))
        level = len(scope.builders) - 1
        atoms = tuple(scope.atom(i, level) for i in index)
        prim = "store" if stores else "accum"
        ins = (array, total, *atoms)
        array = scope.append(level, prim, ins, self.out.name, element_spec(atoms))
        scope.carried[-1][self.base] = array
        return array

    # -- regions

    def scope(self, b: Builder, array: Atom) -> Scope:
        """For what is computed in `b`, where `array` is the version alive."""
        scope = Scope(self.values, b)
        scope.making.update(r.eqn.outs[0] for r in self.roots)
        scope.carried[0][self.base] = array
        scope.at(self.eqn)
        scope.is_one_statement = True
        return scope

    def version(self) -> Var:
        return Var(self.out.name, self.out.type)

    def index(self, level: int, first: Lin, count: Lin) -> Var:
        index = Var(self.names[level] if level < len(self.names) else "i", I64)
        self.values.facts.bound(index, first, first + count - 1)
        return index

    def loop(
        self,
        b: Builder,
        level: int,
        low: Lin,
        high: Lin,
        array: Atom,
        inside: Callable[[Builder, Atom, Lin], Atom],
    ) -> Atom:
        """A loop in `b` that carries the array through `inside`."""
        scope = self.scope(b, array)
        bounds = (scope.atom(low), scope.atom(high), i64(1), array)
        index, param = self.index(level, low, high - low), self.version()
        body = self.region((index, param), lambda b: inside(b, param, lin(index)))
        return self.append(b, "for", bounds, (body,))

    def choose(
        self,
        b: Builder,
        condition: Atom,
        array: Atom,
        then: Callable[[Builder, Atom], Atom],
        other: Callable[[Builder, Atom], Atom] = lambda b, array: array,
    ) -> Atom:
        regions = tuple(
            self.region((), lambda b, make=make: make(b, array)) for make in (then, other)
        )
        return self.append(b, "if", (condition,), regions)

    def region(self, params: tuple[Var, ...], make: Callable[[Builder], Atom]) -> Region:
        b = Builder(self.eqn.loc, self.eqn.role)
        with self.values.region():
            result = make(b)
        return b.region(params, (result,))

    def append(self, b: Builder, prim: str, ins: tuple, regions: tuple[Region, ...]) -> Var:
        out, eqn = self.version(), self.eqn
        b.append(Eqn((out,), prim, ins, NO_PARAMS, regions, eqn.loc, eqn.role))
        return out


def _plain(scope: Scope, value: Lin) -> Lin:
    """`value` with minima and the like computed already, and all extents at hand."""
    out = lin(value.const)
    for symbol, coefficient in value.terms:
        atom = scope.symbol(symbol)
        out = out + lin(atom if isinstance(symbol, Op) else symbol) * coefficient
    return out
