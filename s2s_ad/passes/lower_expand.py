"""The first step of `lower`: array equations are rewritten into the few kinds that fusion knows.

dot with a vector, of what is computed   sum of a product
or sliced: not contiguous in memory
stack, concatenate                       empty, then a store of each part
reshape that only adds or drops 1s       expand and squeeze
a store over the whole of a new array    broadcast of the value
cumsum, argmax over an extent 1          copy, zeros
-(x * 2), (-x) * 2                       x * -2
for … a { (i, a) … yield a + e }         for … a { (i, a) … yield accum a, e }
"""

from __future__ import annotations

from collections import Counter

from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import Atom, Eqn, Func, Lit, Region, Var, region_uses
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import is_contiguous, is_element, is_full
from s2s_ad.ir.types import Dim, known_equal

#: A parameter of stores made here: the slice is inside its axis, so nothing need be clipped.
EXACT = "exact"


def expand(func: Func) -> Func:
    """`func` with the rewriting of the module's docstring, in all of its regions."""
    return func.with_(body=_Expander(Counter(region_uses(func.body))).region(func.body))


class _Expander:
    def __init__(self, uses: Counter[Var]) -> None:
        self.uses = uses  # of the program before
        self.defs: dict[Var, Eqn] = {}
        self.here: set[Var] = set()  # what the region itself defines

    def region(self, region: Region) -> Region:
        b, around = Builder(), self.here
        self.here = set()
        for eqn in region.eqns:
            b.loc, b.role = eqn.loc, eqn.role
            rule = _RULES.get(eqn.prim)
            before = len(b.eqns)
            if rule is None or not rule(self, b, eqn):
                if eqn.prim == "for":
                    eqn = eqn.with_(regions=(_in_place(eqn.regions[0], self.uses),))
                b.append(eqn.with_(regions=tuple(map(self.region, eqn.regions))))
            for new in b.eqns[before:]:
                self.defs.update(dict.fromkeys(new.outs, new))
                self.here.update(new.outs)
        self.here = around
        return b.region(region.params, region.results)

    def defined_by(self, a: Atom) -> str:
        eqn = self.defs.get(a) if isinstance(a, Var) else None
        return eqn.prim if eqn else ""


def _in_place(body: Region, uses: Counter[Var]) -> Region:
    """The body of a loop with sums onto what it carries written in place: else two arrays would
    take turns, and each iteration would read the one and write the other."""
    carried = body.params[len(body.params) - len(body.results) :]
    rounds = {r: p for p, r in zip(carried, body.results) if p.type.is_array and uses[p] == 1}

    def rewritten(eqn: Eqn) -> Eqn:
        total = rounds.get(eqn.outs[0]) if eqn.prim == "add" else None
        if total is None or uses[eqn.out] != 1 or total not in eqn.ins:
            return eqn
        (term,) = (a for a in eqn.ins if a is not total)
        spec = {"spec": ",".join(":" * total.type.ndim)}
        return eqn.with_(prim="accum", ins=(total, term), params=spec)

    return Region(body.params, tuple(map(rewritten, body.eqns)), body.results)


def _finish(b: Builder, eqn: Eqn, prim: str, *ins: Atom, **params: object) -> bool:
    """The last equation of a rewriting defines what `eqn` defined."""
    b.append(Eqn(eqn.outs, prim, ins, params, (), eqn.loc, eqn.role))
    return True


def _dot(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    """BLAS reads contiguous arrays, and a copy of anything else costs as much as its product with a
    vector."""
    a, c = eqn.ins
    if a.type.ndim == c.type.ndim == 2:
        return False
    if a.type.ndim == 2 or c.type.ndim == 2:
        return _matrix_vector(x, b, eqn)
    if not any(_is_computed(x.defs.get(v)) for v in (a, c)):
        return False
    shape = a.type if a.type.shape[0] != "?" else c.type
    product = b.emit("mul", a, c, type=shape)
    return _finish(b, eqn, "sum", product, axes=(0,))


def _matrix_vector(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    a, c = eqn.ins
    matrix = a if a.type.ndim == 2 else c
    if not _is_scattered(x, matrix):
        return False
    if matrix is c:
        a = b.emit("expand", a, axes=(1,))
    product = b.emit("mul", a, c, type=matrix.type)
    return _finish(b, eqn, "sum", product, axes=(1 if matrix is eqn.ins[0] else 0,))


def _is_scattered(x: _Expander, matrix: Atom) -> bool:
    """True for a matrix that is not contiguous in memory, nor the transpose of one that is, and
    need not be made: a slice of columns, or what only this product uses."""
    eqn = x.defs.get(matrix)
    if eqn is None:
        return False
    if eqn.prim == "transpose":
        return _is_scattered(x, eqn.ins[0])
    if eqn.prim == "load":
        return not is_contiguous(eqn.params["spec"]) or _is_scattered(x, eqn.ins[0])
    return PRIMS[eqn.prim].elementwise and x.uses[matrix] == 1 and matrix in x.here


def _is_computed(eqn: Eqn | None) -> bool:
    """True where a vector is a slice, or an expression that a loop can evaluate as it goes."""
    if eqn is None:
        return False
    return PRIMS[eqn.prim].elementwise or eqn.prim in (
        "load", "transpose", "squeeze", "broadcast", "roll", "full", "iota",
    )  # fmt: skip


def _extents(b: Builder, v: Atom) -> list[Atom]:
    return [
        i64(d) if isinstance(d, int) else b.emit("dim", v, name="n", axis=axis)
        for axis, d in enumerate(v.type.shape)
    ]


def _stack(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    axis, parts = eqn.params["axis"], eqn.ins
    extents = _extents(b, parts[0])
    extents.insert(axis, i64(len(parts)))
    out = b.emit("empty", *extents, name=eqn.out.name, type=eqn.out.type, dtype=eqn.out.type.dtype)
    spec = ",".join("i" if a == axis else ":" for a in range(len(extents)))
    for k, part in enumerate(parts[:-1]):
        out = b.emit("store", out, part, i64(k), name=eqn.out.name, spec=spec)
    return _finish(b, eqn, "store", out, parts[-1], i64(len(parts) - 1), spec=spec)


def _concatenate(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    axis, ends = eqn.params["axis"], [i64(0)]
    extents = _extents(b, eqn.ins[0])
    for part in eqn.ins:
        ends.append(_add(b, ends[-1], _extents(b, part)[axis]))
    extents[axis] = ends[-1]
    out = b.emit("empty", *extents, name=eqn.out.name, type=eqn.out.type, dtype=eqn.out.type.dtype)
    spec = ",".join("_:_" if a == axis else ":" for a in range(len(extents)))
    for k, part in enumerate(eqn.ins[:-1]):
        place = {"spec": spec, EXACT: True}
        out = b.emit("store", out, part, ends[k], ends[k + 1], name=eqn.out.name, **place)
    last = (out, eqn.ins[-1], ends[-2], ends[-1])
    return _finish(b, eqn, "store", *last, spec=spec, **{EXACT: True})


def _add(b: Builder, x: Atom, y: Atom) -> Atom:
    if isinstance(x, Lit) and isinstance(y, Lit):
        return i64(x.value + y.value)
    if isinstance(x, Lit) and x.value == 0:
        return y
    return b.emit("add", x, y, name="end")


def _reshape(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    source, target = eqn.ins[0], eqn.out
    if not (source.type.is_array and _same_extents(source.type.shape, target.type.shape)):
        return False
    ones = tuple(a for a, d in enumerate(source.type.shape) if d == 1)
    added = tuple(a for a, d in enumerate(target.type.shape) if d == 1)
    if not added:
        return _finish(b, eqn, "squeeze", source, axes=ones)
    if ones:
        source = b.emit("squeeze", source, name=target.name, axes=ones)
    return _finish(b, eqn, "expand", source, axes=added)


def _same_extents(before: tuple[Dim, ...], after: tuple[Dim, ...]) -> bool:
    """True where the shapes are equal but for 1s: all extents but one agree, so the last does."""
    before, after = ([d for d in s if d != 1] for s in (before, after))
    differing = sum(not known_equal(a, b) for a, b in zip(before, after))
    return len(before) == len(after) and differing <= 1


def _store(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    base, value = eqn.ins[:2]
    if not is_full(eqn.params["spec"]) or is_element(eqn.params["spec"]):
        return False
    made = x.defs.get(base)
    if made is None or made.prim not in ("full", "empty"):
        return False
    extents = made.ins
    if made.prim == "full":
        zero = isinstance(made.ins[0], Lit) and made.ins[0].value == 0
        if eqn.prim == "accum" and not zero:
            return False
        extents = made.ins[1:]
    elif eqn.prim == "accum":
        return False
    axes = tuple(range(len(extents) - value.type.ndim, len(extents)))
    return _finish(b, eqn, "broadcast", value, *extents, axes=axes)


def _cumsum(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    if eqn.ins[0].type.shape[eqn.params["axis"]] != 1:
        return False
    return _finish(b, eqn, "copy", eqn.ins[0])


def _arg(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    (axis,) = eqn.params["axes"]
    if eqn.ins[0].type.shape[axis] != 1:
        return False
    if not eqn.out.type.is_array:
        return _finish(b, eqn, "add", i64(0), i64(0))
    kept = _extents(b, eqn.ins[0])
    if not eqn.params.get("keepdims"):
        kept.pop(axis)
    return _finish(b, eqn, "full", number(0, "i64"), *kept)


def _sign(x: _Expander, b: Builder, eqn: Eqn) -> bool:
    """A sign goes into a factor that is a literal. Fewer operations make a value cheap enough to be
    computed wherever it is used; but a product that is computed once for several uses stays."""
    outer = next((a for a in eqn.ins if isinstance(a, Lit)), None)
    value = next((a for a in eqn.ins if isinstance(a, Var)), None)
    made = x.defs.get(value) if value is not None else None
    if made is None or {eqn.prim, made.prim} != {"neg", "mul"}:
        return False
    factor = outer or next((a for a in made.ins if isinstance(a, Lit)), None)
    source = next((a for a in made.ins if isinstance(a, Var)), None)
    if source is None or factor is None or factor.type.dtype not in ("f32", "f64"):
        return False
    if x.uses[value] > 1 and _is_elementwise(x.defs.get(source)):
        return False
    return _finish(b, eqn, "mul", source, Lit(-factor.value, factor.type))


def _is_elementwise(eqn: Eqn | None) -> bool:
    return eqn is not None and PRIMS[eqn.prim].elementwise


_RULES = {
    "neg": _sign,
    "mul": _sign,
    "dot": _dot,
    "stack": _stack,
    "concatenate": _concatenate,
    "reshape": _reshape,
    "store": _store,
    "accum": _store,
    "cumsum": _cumsum,
    "argmax": _arg,
    "argmin": _arg,
}
