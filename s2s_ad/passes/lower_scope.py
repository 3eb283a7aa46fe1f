"""Evaluating single elements of arrays: the scalar code inside the loops that `lower` makes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from s2s_ad.analysis.integers import Extent, Lin, Op, Symbol, lin
from s2s_ad.errors import Loc
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import NO_PARAMS, Atom, Eqn, Var
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import Axis
from s2s_ad.passes.lower_index import not_below, rolled, wrap
from s2s_ad.passes.lower_values import Values

Index = tuple[Lin, ...]


class Scope:
    """A stack of regions in the making, one per loop level; level 0 is around the nest.

    Every equation goes to the outermost level that has its operands, so what does not change in an
    inner loop is computed outside of it. Nothing is computed twice. `reads` lists the elements that
    were read; `carried[level]` gives the version of an array that is alive at a level.
    """

    def __init__(self, values: Values, builder: Builder) -> None:
        self.values = values
        self.builders = [builder]
        self.carried: list[dict[Var, Var]] = [{}]
        self.level: dict[Var, int] = {}
        self.known: dict[Hashable, Atom] = {}
        self.reads: list[tuple[Var, Index]] = []
        self.making: set[Var] = set()  # new versions of arrays: not there before the loops
        self.loc: Loc | None = None
        self.role = ""
        self.is_one_statement = False  # what values are computed from is not shown by statement

    def at(self, eqn: Eqn) -> None:
        """What is emitted next belongs to `eqn`."""
        self.loc, self.role = eqn.loc, eqn.role

    # -- levels

    def push(self, index: Var, carried: dict[Var, Var]) -> None:
        self.builders.append(Builder())
        self.carried.append(carried)
        self.level[index] = len(self.builders) - 1

    def pop(self) -> Builder:
        closed = len(self.builders) - 1
        self.known = {k: a for k, a in self.known.items() if self._level(a) < closed}
        self.carried.pop()
        return self.builders.pop()

    def _level(self, a: Atom) -> int:
        return self.level.get(a, 0) if isinstance(a, Var) else 0

    def emit(
        self,
        prim: str,
        ins: tuple[Atom, ...],
        name: str = "t",
        params: Mapping[str, Any] = NO_PARAMS,
    ) -> Var:
        """Append a scalar equation at the outermost possible level, unless it is there already."""
        key = (prim, ins, tuple(sorted(params.items())))
        found = self.known.get(key)
        if found is None:
            level = max(map(self._level, ins), default=0)
            found = self.known[key] = self.append(level, prim, ins, name, params)
        return found

    def append(
        self,
        level: int,
        prim: str,
        ins: tuple[Atom, ...],
        name: str,
        params: Mapping[str, Any] = NO_PARAMS,
    ) -> Var:
        b = self.builders[level]
        b.loc, b.role = self.loc, self.role
        out = b.emit(prim, *ins, name=name, **params)
        self.level[out] = level
        return out

    def level_of(self, v: Var) -> Var:
        """`v`, defined at the level that has been reached."""
        self.level[v] = len(self.builders) - 1
        return v

    def make(
        self, prim: str, ins: tuple[Atom, ...], like: Var, params: Mapping[str, Any] = NO_PARAMS
    ) -> Var:
        """A new array of the type of `like`, made before all loops."""
        b = self.builders[0]
        b.loc, b.role = self.loc, self.role
        return b.emit(prim, *ins, name=like.name, type=like.type, **params)

    def require(self, condition: Atom, message: str) -> None:
        """An assertion before all loops."""
        b = self.builders[0]
        b.loc, b.role = self.loc, self.role
        b.equation("assert", (condition,), {"error": "ValueError", "message": message})

    # -- indices

    def depth(self, value: Lin) -> int:
        """The outermost level at which a sum can be computed."""
        return max((self._symbol_depth(s) for s, _ in value.terms), default=0)

    def _symbol_depth(self, symbol: Symbol) -> int:
        if isinstance(symbol, Op):
            return max(self.depth(symbol.left), self.depth(symbol.right))
        return self._level(self.values.renamed(symbol)) if isinstance(symbol, Var) else 0

    def atom(self, value: Lin, level: int | None = None) -> Atom:
        """The equations for a sum, at `level`, else at the outermost level possible. Where it is
        used is where a person would write it; the machine code will not repeat it."""
        level = self.depth(value) if level is None else level
        key = (value, level)
        if key not in self.known:
            self.known[key] = self._sum(value, level)
        return self.known[key]

    def _sum(self, value: Lin, level: int) -> Atom:
        const, total = value.const, None
        for symbol, coefficient in sorted(
            value.terms, key=lambda t: (t[1] < 0, self._symbol_depth(t[0]))
        ):
            term, size = self.symbol(symbol), abs(coefficient)
            if size > 1:
                term = self.append(level, "mul", (i64(size), term), "t")
            if total is None and coefficient < 0:
                total, const = i64(const), 0
            if total is None:
                total = term
            else:
                prim = "add" if coefficient > 0 else "sub"
                total = self.append(level, prim, (total, term), "t")
        if total is None or not const:
            return i64(const) if total is None else total
        return self.append(level, "add" if const > 0 else "sub", (total, i64(abs(const))), "t")

    def _int(self, prim: str, a: Atom, b: Atom) -> Atom:
        return self.emit(prim, (a, b))

    def symbol(self, symbol: Symbol) -> Atom:
        if isinstance(symbol, Var):
            return self.values.renamed(symbol)
        if isinstance(symbol, Extent):
            return self._dim(symbol)
        return self._operation(symbol)

    def _dim(self, extent: Extent) -> Atom:
        dims, key = self.values.dims, self.values.find(extent.key)
        if isinstance(key, int):
            return i64(key)
        if key not in dims:
            array, dim = extent.var, extent.var.type.shape[extent.axis]
            while array in self.making:
                array = self.values.defs[array].ins[0]
            name = dim if str(dim).isidentifier() else "n"
            ins = (self.values.renamed(array),)
            dims[key] = self.append(0, "dim", ins, name, {"axis": extent.axis})
        return dims[key]

    def _operation(self, op: Op) -> Atom:
        a, b = self.atom(op.left), self.atom(op.right)
        if op.name == "wrap":
            negative, total = self.emit("lt", (a, i64(0))), op.left + op.right
            shorter = len(total.terms) < len(op.left.terms)  # i + 1 - n of n
            inside = self.atom(total) if shorter else self._int("add", a, b)
            return self.emit("select", (negative, inside, a))
        names = {"min": "minimum", "max": "maximum"}
        return self._int(names.get(op.name, op.name), a, b)

    def size(self, extent: Lin) -> Atom:
        """An extent as NumPy would give it: not negative."""
        return self.atom(not_below(extent, 0, self.values.facts))

    # -- elements

    def element(self, v: Atom, index: Index) -> Atom:
        """`v[index]` as a scalar; `index` has one entry for each axis of `v`."""
        if not isinstance(v, Var) or not v.type.is_array:
            return self.values.renamed(v)
        key = self.values.element_key(v, index)
        if key not in self.known:
            eqn = self.values.lazy(v)
            self.known[key] = self.load(v, index) if eqn is None else self.define(eqn, index)
        return self.known[key]

    def load(self, array: Var, index: Index) -> Atom:
        """Read an array in memory."""
        self.reads.append((array, index))
        level = max(map(self.depth, index))
        version = self.carried[level].get(array, self.values.renamed(array))
        atoms = tuple(self.atom(i, level) for i in index)
        out = self.append(level, "load", (version, *atoms), array.name, element_spec(atoms))
        self.values.loaded.add(out)
        return out

    def define(self, eqn: Eqn, index: Index) -> Atom:
        """An element of the result of a lazy equation, from its operands' elements."""
        outer = self.loc, self.role
        if not self.is_one_statement:
            self.at(eqn)
        result = self._define(eqn, index)
        self.loc, self.role = outer
        return result

    def _define(self, eqn: Eqn, index: Index) -> Atom:
        source = eqn.ins[0]
        if PRIMS[eqn.prim].elementwise:
            ins = tuple(self.broadcast(x, index) for x in eqn.ins)
            return self.emit(eqn.prim, ins, eqn.out.name, eqn.params)
        if eqn.prim == "load":
            return self.element(source, self.subscript(eqn, self.values.place(eqn), index))
        if eqn.prim == "full":
            return self.values.renamed(source)
        if eqn.prim == "iota":
            return self.atom(index[0])
        if eqn.prim == "copy":
            return self.element(source, index)
        return self.element(source, self._through(eqn, index))

    def _through(self, eqn: Eqn, index: Index) -> Index:
        """The operand's subscript behind a subscript of a transpose, roll, expand, …"""
        source, axes = eqn.ins[0], eqn.params.get("axes", ())
        if eqn.prim == "transpose":
            inner = [lin(0)] * len(index)
            for axis, origin in enumerate(eqn.params["perm"]):
                inner[origin] = index[axis]
            return tuple(inner)
        if eqn.prim == "expand":
            return tuple(i for a, i in enumerate(index) if a not in axes)
        if eqn.prim == "squeeze":
            rest = iter(index)
            return tuple(lin(0) if a in axes else next(rest) for a in range(source.type.ndim))
        if eqn.prim == "roll":
            axis, extent = eqn.params["axis"], self.values.extent(source, eqn.params["axis"])
            inside = rolled(index[axis], lin(eqn.ins[1]), extent)
            return (*index[:axis], inside, *index[axis + 1 :])
        return self._fit(source, tuple(index[a] for a in axes))

    def broadcast(self, x: Atom, index: Index) -> Atom:
        """The element of an operand that belongs to element `index` of an elementwise result."""
        if not x.type.is_array:
            return self.values.renamed(x)
        return self.element(x, self._fit(x, index[len(index) - x.type.ndim :]))

    def _fit(self, x: Atom, index: Index) -> Index:
        return tuple(lin(0) if d == 1 else i for d, i in zip(x.type.shape, index))

    def subscript(self, eqn: Eqn, place: list[Axis], index: Index) -> Index:
        """The base's subscript for element `index` of the place that `eqn` loads or stores."""
        base, position, gathered = eqn.ins[0], 0, None
        arrays = [t.start for t in place if t.kind == "array"]
        ndim = max((a.type.ndim for a in arrays), default=0)
        out = []
        for axis, token in enumerate(place):
            if token.kind == "index":
                out.append(self._into(base, axis, lin(token.start)))
            elif token.kind == "array":
                if gathered is None:
                    gathered = index[position : position + ndim]
                    position += ndim
                found = self.broadcast(token.start, gathered)
                out.append(self._into(base, axis, lin(found)))
            else:
                inner = index[position]
                if token.kind == "slice":
                    first, _, step = self.values.slice_of(eqn, axis, token)
                    inner = first + inner * step
                out.append(inner)
                position += 1
        return tuple(out)

    def _into(self, base: Atom, axis: int, index: Lin) -> Lin:
        """`index` into an axis of `base`. Arrays in memory take negative ones, views do not."""
        if self.values.lazy(base) is None:
            return index
        return wrap(index, self.values.extent(base, axis), self.values.facts)


def element_spec(atoms: Sequence[Atom]) -> dict[str, str]:
    """The parameters of a load or store of the element at these indices."""
    return {"spec": ",".join("i" * len(atoms))}
