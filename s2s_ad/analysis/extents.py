"""The extents of arrays, as code: for allocating tapes and zero cotangents.

An extent is found from the type (a number), from an array with the same symbol that is at hand, or
from the equation that made the array. What "at hand" means is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable

from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import TANGENT, Atom, Eqn, Lit, Var
from s2s_ad.ir.prims import PRIMS, has_effect
from s2s_ad.ir.subscript import Axis, parse_subscript
from s2s_ad.ir.types import UNKNOWN, known_equal


class Extents:
    """Extents of the arrays of a program.

    `dim(v, axis)` gives the extent of a variable that is at hand, else None; `scalar(a)` gives an
    i64 operand that is at hand, else None.
    """

    def __init__(
        self,
        program: Program,
        b: Builder,
        dim: Callable[[Var, int], Atom | None],
        scalar: Callable[[Atom], Atom | None],
    ) -> None:
        self.program, self.b, self.dim, self.scalar = program, b, dim, scalar

    def find(self, v: Atom, axis: int) -> Atom | None:
        """The extent of `v` along `axis`, or None where it cannot be told."""
        size = v.type.shape[axis]
        if isinstance(size, int):
            return i64(size)
        direct = self.dim(self.program.hints.primal_of.get(v, v), axis)
        if direct is not None:
            return direct
        by_name = self._by_symbol(size)
        if by_name is not None:
            return by_name
        eqn = self.program.definition.get(v)
        made = self._parameter(v, axis) if eqn is None else self._equation(v, eqn, axis)
        return self._kept(v, axis) if made is None else made

    def _kept(self, v: Var, axis: int) -> Atom | None:
        """The variable that holds the extent, where the forward sweep reads it for this."""
        hints = self.program.hints
        known = hints.extents.get((hints.primal_of.get(v, v), axis))
        return None if known is None else self.scalar(known)

    def _by_symbol(self, symbol: str) -> Atom | None:
        """A parameter of the function with this extent, or with one that this is shortened from."""
        if symbol == UNKNOWN:
            return None
        base, _, less = symbol.rpartition("-")
        for param in self.program.func.params:
            for axis, size in enumerate(param.type.shape):
                if param in self.program.linear:
                    continue
                if size == symbol:
                    return self.dim(param, axis)
                if base and less.isdigit() and size == base:
                    whole = self.dim(param, axis)
                    if whole is None:
                        return None
                    short = self.b.emit("sub", whole, i64(int(less)), name="n")
                    return self.b.emit("maximum", short, i64(0), name="n")
        return None

    def _parameter(self, v: Var, axis: int) -> Atom | None:
        """A carried variable has the extent of its initial value if the types say so, or if the
        loop only ever writes into it, or one that every iteration checks it to have."""
        node = self.program.home[v]
        if node.kind != "loop":
            return None
        for init, param, result, _ in self.program.slots(node.eqn):
            if param is v and isinstance(init, Var):
                kept = known_equal(init.type.shape[axis], v.type.shape[axis])
                if kept or written_base(self.program, result) is v:
                    return self.find(init, axis)
        return self._checked(v, axis, node)

    def _checked(self, v: Var, axis: int, node: Node) -> Atom | None:
        """What the extent of a carried variable is asserted to be: `F @ v` asks for F.shape[1]."""
        define = self.program.definition.get
        for eqn in first_checks(self.program, node):
            if eqn.prim == "eq":
                for one, other in (eqn.ins, eqn.ins[::-1]):
                    read = define(one)
                    if read is not None and read.ins == (v,) and read.params["axis"] == axis:
                        return self.scalar(other)
        return None

    def _equation(self, v: Var, eqn: Eqn, axis: int) -> Atom | None:
        prim, ins = eqn.prim, eqn.ins
        if prim in LOOPS:
            for init, param, result, out in self.program.slots(eqn):
                if out is v:
                    kept = known_equal(init.type.shape[axis], v.type.shape[axis])
                    if kept or written_base(self.program, result) is param:
                        return self.find(init, axis)
                    return self.find(result, axis) if _runs(eqn) else None
            return None
        if PRIMS[prim].elementwise:
            return self._elementwise(eqn, v.type.ndim - axis)
        if prim in ("store", "accum", "copy", "cumsum", "roll"):
            return self.find(ins[0], axis)
        if prim in ("full", "reshape", "broadcast"):
            return self.scalar(ins[1 + axis])
        if prim in ("empty", "iota"):
            return self.scalar(ins[axis])
        if prim == "load":
            return self._load(eqn, axis)
        return self._shape_op(eqn, axis)

    def _elementwise(self, eqn: Eqn, from_end: int) -> Atom | None:
        for operand in eqn.ins:
            position = operand.type.ndim - from_end
            if position >= 0 and operand.type.shape[position] != 1:
                found = self.find(operand, position)
                if found is not None:
                    return found
        return None

    def _shape_op(self, eqn: Eqn, axis: int) -> Atom | None:
        base = eqn.ins[0]
        if eqn.prim == "transpose":
            return self.find(base, eqn.params["perm"][axis])
        if eqn.prim == "expand":
            return self.find(base, axis - sum(a < axis for a in eqn.params["axes"]))
        if eqn.prim in ("squeeze", "sum", "reduce_max", "reduce_min", "prod"):
            if eqn.params.get("keepdims"):
                return self.find(base, axis)
            left = [a for a in range(base.type.ndim) if a not in eqn.params["axes"]]
            return self.find(base, left[axis])
        if eqn.prim in ("cholesky", "inv", "solve"):
            return self.find(eqn.ins[-1], axis)
        if eqn.prim == "dot":
            first = axis < base.type.ndim - 1
            return self.find(base, 0) if first else self.find(eqn.ins[1], 1)
        return None

    def _load(self, eqn: Eqn, axis: int) -> Atom | None:
        position = -1
        seen_array = False
        for base_axis, where in enumerate(parse_subscript(eqn.params["spec"], eqn.ins[1:])):
            if where.kind == "index":
                continue
            if where.kind == "array":
                if seen_array:
                    continue
                seen_array, rank = True, where.start.type.ndim
                if position < axis <= position + rank:
                    return self.find(where.start, axis - position - 1)
                position += rank
                continue
            position += 1
            if position == axis:
                whole = self.find(eqn.ins[0], base_axis)
                return whole if where.kind == "full" else self._slice(where, whole)
        return None

    def _slice(self, axis: Axis, whole: Atom | None) -> Atom | None:
        """The length of a slice with step 1."""
        if whole is None or (axis.step is not None and axis.step != i64(1)):
            return None
        start = i64(0) if axis.start is None else self._clipped(axis.start, whole)
        stop = whole if axis.stop is None else self._clipped(axis.stop, whole)
        if start is None or stop is None:
            return None
        length = stop if start == i64(0) else self.b.emit("sub", stop, start, name="n")
        return self.b.emit("maximum", length, i64(0), name="n")

    def _clipped(self, bound: Atom, whole: Atom) -> Atom | None:
        """A slice bound as a position: counted from the front, between 0 and the extent."""
        at = self.scalar(bound)
        if at is None:
            return None
        if isinstance(at, Lit):
            if at.value >= 0:
                return self.b.emit("minimum", at, whole, name="n")
            back = self.b.emit("add", whole, at, name="n")
            return self.b.emit("maximum", back, i64(0), name="n")
        back = self.b.emit("maximum", self.b.emit("add", at, whole), i64(0))
        negative = self.b.emit("lt", at, i64(0))
        return self.b.emit("select", negative, back, self.b.emit("minimum", at, whole), name="n")


def _runs(loop: Eqn) -> bool:
    """True for a loop that certainly has an iteration, all of it."""
    start, stop, step = loop.ins[:3] if loop.prim == "for" else (None,) * 3
    if not all(isinstance(a, Lit) for a in (start, stop, step)):
        return False
    return len(range(start.value, stop.value, step.value)) > 0


def first_checks(program: Program, node: Node) -> list[Eqn]:
    """What an iteration asserts of the extents of carried arrays, each to be that of something from
    around the loop, with the equations for it. They may come first in the iteration: nothing but
    other checks, of which another one may then fail first, is moved past."""
    reads: dict[Var, Eqn] = {}
    tests: dict[Var, Eqn] = {}
    found: dict[Eqn, None] = {}
    for eqn in node.region.eqns:
        if eqn.role == TANGENT:
            continue
        if eqn.prim == "dim" and eqn.ins[0] in node.region.params:
            reads[eqn.out] = eqn
        elif eqn.prim == "eq" and len(reads.keys() & {*eqn.ins}) == 1:
            (other,) = (a for a in eqn.ins if a not in reads)
            if isinstance(other, Lit) or not _inside(program.home[other], node.eqn):
                tests[eqn.out] = eqn
        elif eqn.prim == "assert" and eqn.ins[0] in tests:
            test = tests[eqn.ins[0]]
            found |= dict.fromkeys((*(reads[a] for a in test.ins if a in reads), test, eqn))
        elif has_effect(eqn) and eqn.prim not in ("assert", "inside"):
            break
    return list(found)


def written_base(program: Program, a: Atom) -> Atom:
    """The version of an array that `a` became from by writes in the same region or inner ones; of
    any variable, through updates that are undone."""
    while True:
        before = version_before(program, a)
        if before is None:
            return a
        a = before


def version_before(program: Program, a: Atom) -> Atom | None:
    """The version that the equation which gave `a` wrote to; None where it gave a new variable."""
    eqn = program.definition.get(a) if isinstance(a, Var) else None
    if eqn is None:
        return None
    if eqn in program.undo:
        return eqn.ins[program.undo[eqn]]
    if eqn.prim in ("store", "accum"):
        return eqn.ins[0]
    if eqn.prim in LOOPS:
        found = (s for s in program.slots(eqn) if s[3] is a)
        init, param, result, _ = next(found, (None, None, None, a))  # the count is in no slot
        return init if init is not None and written_base(program, result) is param else None
    if eqn.prim != "if":
        return None
    position = eqn.outs.index(a)
    left, right = (_before_branch(program, r.results[position], eqn) for r in eqn.regions)
    return left if left is right else None


def _before_branch(program: Program, a: Atom | None, branch: Eqn) -> Atom | None:
    """The version from before a branch that `a`, a result of one side, became from."""
    while isinstance(a, Var) and _inside(program.home[a], branch):
        a = version_before(program, a)
    return a if isinstance(a, Var) else None


def _inside(node: Node | None, branch: Eqn) -> bool:
    while node is not None and node.eqn is not branch:
        node = node.parent
    return node is not None
