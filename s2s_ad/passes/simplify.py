"""Local identities, applied from the first equation to the last.

    a = mul x, 1.0          b = sub x, y
    c = neg y         →     return b
    b = add a, c
    return b

Values keep their bits: x + 0.0 stays in the user's code (it turns -0.0 into 0.0), and goes away
only in derivatives. Each identity is a function from an equation to an atom, an equation, or None;
the first that applies wins.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from s2s_ad.analysis.activity import loop_slots
from s2s_ad.ir.build import Builder, boolean, i64
from s2s_ad.ir.core import (
    ADJOINT,
    PRIMAL,
    RECOMPUTED,
    TANGENT,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    substitute,
    walk,
)
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import is_element, is_full, split_spec
from s2s_ad.ir.types import DTYPES, I64, UNKNOWN
from s2s_ad.ops import same_shape

Definitions = dict[Var, Eqn]
Identity = Callable[[Eqn, Definitions], "Atom | Eqn | None"]


def simplify(func: Func) -> Func:
    """`func` with local identities applied."""
    names: dict[Var, Atom] = {}
    body = _region(func.body, names, {})
    return func.with_(body=_named_extents(func, _named_cotangents(body, names)))


def _named_cotangents(body: Region, names: dict[Var, Atom]) -> Region:
    """An array that has turned out to be a cotangent is called so, unless it has a name, or is the
    primal's (whose names are the user's)."""
    wanted = {
        a: Var(v.name, a.type)
        for v, a in names.items()
        if a.type.is_array and isinstance(a, Var) and a.name == "t"
        if v.name != "t_bar" and v.name.endswith("_bar")
    }
    if not wanted:
        return body
    unnamed = {v for eqn in walk(body) for v in eqn.outs}
    for eqn in walk(body):
        if eqn.role == PRIMAL:
            unnamed.difference_update(eqn.ins, *(r.results for r in eqn.regions))
    better = {a: new for a, new in wanted.items() if a in unnamed}

    def define(region: Region) -> Region:
        eqns = []
        for eqn in region.eqns:
            outs = tuple(better.get(v, v) for v in eqn.outs)
            eqns.append(eqn.with_(outs=outs, regions=tuple(map(define, eqn.regions))))
        return Region(region.params, tuple(eqns), region.results)

    return define(substitute(body, better)) if better else body


def _named_extents(func: Func, body: Region) -> Region:
    """Extents that a parameter has too are read from it, once, at the start: equal symbols are
    equal extents. Later the parameter's buffer may hold another version. Those of an array that the
    function has made are what it is made with."""
    symbols: dict[object, tuple[Var, int]] = {}
    for param in func.params:
        for axis, size in enumerate(param.type.shape):
            if isinstance(size, str) and size != UNKNOWN:
                symbols.setdefault(size, (param, axis))
    first = Builder()
    found: dict[object, Atom] = {}
    made: dict[object, Atom] = {}  # known from some place on

    def extent(size: object) -> Atom | None:
        if size not in found and size in symbols:
            param, axis = symbols[size]
            found[size] = first.emit("dim", param, axis=axis, name="n")
        elif size not in found and isinstance(size, str):
            base, _, less = size.rpartition("-")
            whole = extent(base) if base and less.isdigit() else None
            if whole is not None:
                short = first.emit("sub", whole, i64(int(less)), name="n")
                found[size] = first.emit("maximum", short, i64(0), name="n")
        return found.get(size)

    def read(region: Region, top: bool = False) -> Region:
        eqns, names = [], {}
        for eqn in region.eqns:
            known = None
            if top and eqn.prim in ("full", "empty"):  # which fail where an extent is negative
                for size, atom in zip(eqn.out.type.shape, eqn.ins[-eqn.out.type.ndim :]):
                    if isinstance(size, str) and size not in (UNKNOWN, *symbols):
                        made.setdefault(size, names.get(atom, atom))
            if eqn.prim == "dim":
                size = eqn.ins[0].type.shape[eqn.params["axis"]]
                known = extent(size) or made.get(size)
                if top and known is None and isinstance(size, str) and size != UNKNOWN:
                    made[size] = eqn.out
            if known is not None:
                names[eqn.out] = known
            else:
                regions = tuple(map(read, eqn.regions))
                eqns.append(eqn.with_(regions=regions) if regions else eqn)
        return substitute(Region(region.params, tuple(eqns), region.results), names)

    body = read(body, top=True)
    return Region(body.params, (*first.eqns, *body.eqns), body.results)


def _region(region: Region, names: dict[Var, Atom], defs: Definitions) -> Region:
    def atom(a: Atom) -> Atom:
        return names.get(a, a) if isinstance(a, Var) else a

    eqns: list[Eqn] = []
    for eqn in region.eqns:
        ins = tuple(map(atom, eqn.ins))
        if eqn.prim == "if" and isinstance(ins[0], Lit):
            taken = _region(eqn.regions[0 if ins[0].value else 1], names, defs)
            eqns += taken.eqns
            names.update(zip(eqn.outs, taken.results))
            continue
        if eqn.prim == "assert" and ins[0] == boolean(True):
            continue
        regions = tuple(_region(r, names, defs) for r in eqn.regions)
        eqn = eqn.with_(ins=ins, regions=regions) if ins != eqn.ins or regions else eqn
        if regions:
            eqn = _without_unchanged(eqn, names)
        new = _apply(eqn, defs)
        if isinstance(new, Eqn):
            eqns.append(new)
            defs.update(dict.fromkeys(new.outs, new))
        else:
            names[eqn.out] = new
    return Region(region.params, tuple(eqns), tuple(map(atom, region.results)))


def _without_unchanged(eqn: Eqn, names: dict[Var, Atom]) -> Eqn:
    """What all branches, or the iterations of a loop, leave as it was has its old name, afterwards
    (in `names`) and inside."""
    if eqn.prim == "if":
        ways = zip(eqn.outs, *(r.results for r in eqn.regions))
        names.update((out, a) for out, a, b in ways if a is b or (isinstance(a, Lit) and a == b))
        return eqn
    inits, body, results, outs = loop_slots(eqn)
    params = body.params[len(body.params) - len(inits) :]
    kept = [k for k, p in enumerate(params) if results[k] is p]
    if not kept:
        return eqn
    names.update((outs[k], inits[k]) for k in kept)
    inside = {r.params[-len(inits) :][k]: inits[k] for r in eqn.regions for k in kept}
    return eqn.with_(regions=tuple(substitute(r, inside) for r in eqn.regions))


def _apply(eqn: Eqn, defs: Definitions) -> Atom | Eqn:
    """What is left of an equation after every identity that applies to it."""
    changed = len(eqn.outs) == 1 and not eqn.regions
    while changed:
        changed = False
        for identity in IDENTITIES:
            new = identity(eqn, defs)
            if isinstance(new, Lit | Var):
                return new
            if new is not None:
                eqn, changed = new, True
                break
    return eqn


def _definition(a: Atom, defs: Definitions, prim: str) -> Eqn | None:
    """The equation that defines `a`, if it applies `prim`."""
    eqn = defs.get(a) if isinstance(a, Var) else None
    return eqn if eqn is not None and eqn.prim == prim else None


def _is(a: Atom, value: float) -> bool:
    """True for a literal number of this value (not a bool; -0.0 is not 0)."""
    if not isinstance(a, Lit) or a.type.dtype == "bool" or a.value != value:
        return False
    return value != 0 or str(a.value)[0] != "-"


def _keeps(eqn: Eqn, a: Atom) -> bool:
    """True if `a` has the type of the result, so that it may stand for it."""
    return a.type.dtype == eqn.out.type.dtype and same_shape(a.type.shape, eqn.out.type.shape)


# --- numbers -----------------------------------------------------------------------------------

_FOLD = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg,
    "maximum": max, "minimum": min, "eq": operator.eq, "ne": operator.ne, "lt": operator.lt,
    "le": operator.le, "gt": operator.gt, "ge": operator.ge, "and": operator.and_,
    "or": operator.or_, "not": operator.not_, "xor": operator.xor,
}  # fmt: skip


def _fold(eqn: Eqn, defs: Definitions) -> Atom | None:
    """Arithmetic on integer and boolean literals."""
    if eqn.prim not in _FOLD or not all(isinstance(a, Lit) for a in eqn.ins):
        return None
    if any(a.type.dtype not in ("i64", "bool") for a in eqn.ins):
        return None
    value = _FOLD[eqn.prim](*(a.value for a in eqn.ins))
    return i64(value) if eqn.out.type == I64 else boolean(value)


def _logic(eqn: Eqn, defs: Definitions) -> Atom | None:
    """`and`, `or` with a literal operand; `not not`; `select` on a literal."""
    if eqn.prim in ("and", "or"):
        for a, b in (eqn.ins, eqn.ins[::-1]):
            if isinstance(a, Lit) and not eqn.out.type.is_array:
                return b if a.value == (eqn.prim == "and") else a
    if eqn.prim == "not":
        inner = _definition(eqn.ins[0], defs, "not")
        return None if inner is None else inner.ins[0]
    if eqn.prim == "select" and isinstance(eqn.ins[0], Lit):
        chosen = eqn.ins[1] if eqn.ins[0].value else eqn.ins[2]
        return chosen if _keeps(eqn, chosen) else None
    return None


def _neutral(eqn: Eqn, defs: Definitions) -> Atom | Eqn | None:
    """x * 1, x / 1, x - 0, x ** 1; x + 0 for integers and in derivatives."""
    if eqn.prim not in ("add", "sub", "mul", "div", "pow"):
        return None
    a, b = eqn.ins
    exact = eqn.out.type.is_float and eqn.role in (PRIMAL, RECOMPUTED)
    neutral = {"add": 0, "sub": 0, "mul": 1, "div": 1, "pow": 1}[eqn.prim]
    if _is(b, neutral) and _keeps(eqn, a) and not (exact and eqn.prim == "add"):
        return a
    if eqn.prim in ("add", "mul") and _is(a, neutral) and _keeps(eqn, b):
        return None if exact and eqn.prim == "add" else b
    if eqn.prim == "sub" and _is(a, 0) and not exact and _keeps(eqn, b):
        return eqn.with_(prim="neg", ins=(b,))
    return None


def _numbers(eqn: Eqn, defs: Definitions) -> Atom | None:
    """Sums and products of literals, in derivatives."""
    if not _is_free(eqn) or eqn.prim not in ("add", "sub", "mul") or eqn.out.type.is_array:
        return None
    if not all(isinstance(a, Lit) and type(a.value) is float for a in eqn.ins):
        return None
    return Lit(_FOLD[eqn.prim](*(a.value for a in eqn.ins)), eqn.out.type)


def _factors(eqn: Eqn, defs: Definitions) -> Atom | Eqn | None:
    """0.5 * (2 * x) is x, -1 * x is -x, and 0.5 * x + 0.5 * x is x, for derivatives, whose rounding
    is free."""
    if not _is_free(eqn) or eqn.prim not in ("add", "mul", "neg"):
        return None
    outer, x = _multiple(eqn)
    if outer is None:
        return _halves_and_doubles(eqn, defs)
    if x.type.dtype != eqn.out.type.dtype:
        return None
    inner = defs.get(x)
    factor, rest = _multiple(inner) if inner is not None else (None, x)
    if factor is not None and rest.type == eqn.out.type and _is_normal(outer * factor, eqn):
        return _times(eqn, outer * factor, rest)
    if outer == -1.0 and eqn.prim == "mul" and _keeps(eqn, x):
        return eqn.with_(prim="neg", ins=(x,))
    return None


def _multiple(eqn: Eqn) -> tuple[float | None, Atom]:
    """The constant of a product, and the other factor; -1 and 2 for -x and x + x."""
    a, b = eqn.ins[0], eqn.ins[-1]
    if eqn.prim == "mul" and isinstance(a, Lit) != isinstance(b, Lit):
        number, other = (a, b) if isinstance(a, Lit) else (b, a)
        return (number.value, other) if type(number.value) is float else (None, other)
    if eqn.prim == "neg" and isinstance(a, Var):
        return -1.0, a
    if eqn.prim == "add" and a is b and isinstance(a, Var):
        return 2.0, a
    return None, a


def _halves_and_doubles(eqn: Eqn, defs: Definitions) -> Eqn | None:
    """(0.5 * x) * (2 * y) is x * y: the derivative of a root meets that of a square."""
    made = [defs.get(a) for a in eqn.ins]
    if eqn.prim != "mul" or None in made:
        return None
    (one, x), (other, y) = map(_multiple, made)
    if one is None or other is None or one * other != 1.0:
        return None
    if any(v.type != a.type for v, a in zip((x, y), eqn.ins)):
        return None
    return eqn.with_(ins=(x, y))


def _times(eqn: Eqn, factor: float, x: Atom) -> Atom | Eqn:
    if factor == 1.0:
        return x
    if factor == -1.0:
        return eqn.with_(prim="neg", ins=(x,))
    return eqn.with_(prim="mul", ins=(x, Lit(factor, eqn.out.type.scalar)))


def _is_normal(factor: float, eqn: Eqn) -> bool:
    """True for a constant that has its digits in the type of `eqn`. 1e-200 * (1e-200 * x) need not
    be 0, nor is 1e200 * (1e200 * 0.0) nan: rounding is free, not the range of numbers."""
    limits = np.finfo(DTYPES[eqn.out.type.dtype][0])
    return float(limits.tiny) <= abs(factor) <= float(limits.max)


def _is_free(eqn: Eqn) -> bool:
    """True for arithmetic of a derivative."""
    return eqn.role in (ADJOINT, TANGENT) and eqn.out.type.is_float


def _signs(eqn: Eqn, defs: Definitions) -> Atom | Eqn | None:
    """-(-x), x + (-y), x - (-y)."""
    if eqn.prim == "neg":
        if isinstance(eqn.ins[0], Lit):
            return Lit(-eqn.ins[0].value, eqn.ins[0].type)
        inner = _definition(eqn.ins[0], defs, "neg")
        return None if inner is None else inner.ins[0]
    if eqn.prim not in ("add", "sub"):
        return None
    a, b = eqn.ins
    right = _definition(b, defs, "neg")
    if right is not None:
        return eqn.with_(prim="sub" if eqn.prim == "add" else "add", ins=(a, right.ins[0]))
    left = _definition(a, defs, "neg")
    if left is not None and eqn.prim == "add":
        return eqn.with_(prim="sub", ins=(b, left.ins[0]))
    return None


def _offsets(eqn: Eqn, defs: Definitions) -> Eqn | None:
    """(i + 2) - 1 is i + 1, for integers."""
    if eqn.prim not in ("add", "sub") or eqn.out.type != I64 or not isinstance(eqn.ins[1], Lit):
        return None
    inner = defs.get(eqn.ins[0])
    if inner is None or inner.prim not in ("add", "sub") or not isinstance(inner.ins[1], Lit):
        return None
    sign = {"add": 1, "sub": -1}
    total = sign[eqn.prim] * eqn.ins[1].value + sign[inner.prim] * inner.ins[1].value
    prim = "add" if total >= 0 else "sub"
    return eqn.with_(prim=prim, ins=(inner.ins[0], i64(abs(total))))


def _extent_positive(eqn: Eqn, defs: Definitions) -> Atom | None:
    """max(extent, 0), min(n, n)."""
    if eqn.prim not in ("maximum", "minimum") or eqn.out.type != I64:
        return None
    if eqn.ins[0] == eqn.ins[1]:
        return eqn.ins[0]
    if eqn.prim == "minimum":
        return None
    for a, b in (eqn.ins, eqn.ins[::-1]):
        if _is(a, 0) and _definition(b, defs, "dim") is not None:
            return b
    return None


# --- arrays ------------------------------------------------------------------------------------


def _dims(eqn: Eqn, defs: Definitions) -> Atom | Eqn | None:
    """The extent of a result is that of an operand."""
    if eqn.prim != "dim":
        return None
    size = eqn.ins[0].type.shape[eqn.params["axis"]]
    if isinstance(size, int):
        return i64(size)
    source = defs.get(eqn.ins[0])
    if source is None:
        return None
    axis = eqn.params["axis"]
    if source.prim in ("store", "accum", "copy", "cumsum", "roll"):
        return eqn.with_(ins=source.ins[:1])
    if source.prim in ("full", "reshape"):
        return source.ins[1 + axis]
    if source.prim in ("empty", "iota"):
        return source.ins[axis]
    if source.prim == "transpose":
        return eqn.with_(ins=source.ins, params={"axis": source.params["perm"][axis]})
    if source.prim == "dot":
        left = axis < source.ins[0].type.ndim - 1
        return eqn.with_(ins=source.ins[not left :][:1], params={"axis": 0 if left else 1})
    if PRIMS[source.prim].elementwise:
        for a in source.ins:
            at = a.type.ndim - source.out.type.ndim + axis
            if at >= 0 and a.type.shape[at] != 1:
                return eqn.with_(ins=(a,), params={"axis": at})
    return None


def _implicit_broadcast(eqn: Eqn, defs: Definitions) -> Eqn | None:
    """x * broadcast(y) is x * y where x has the whole shape already."""
    if not (PRIMS[eqn.prim].elementwise and len(eqn.ins) > 1):
        return None
    for k, a in enumerate(eqn.ins):
        wide = _definition(a, defs, "broadcast")
        if wide is None or not _trailing(wide):
            continue
        others = eqn.ins[:k] + eqn.ins[k + 1 :]
        if any(same_shape(o.type.shape, eqn.out.type.shape) for o in others):
            return eqn.with_(ins=(*eqn.ins[:k], wide.ins[0], *eqn.ins[k + 1 :]))
    return None


def _trailing(wide: Eqn) -> bool:
    """True for a broadcast that NumPy would do by itself."""
    ndim, inner = wide.out.type.ndim, wide.ins[0].type.ndim
    return tuple(wide.params["axes"]) == tuple(range(ndim - inner, ndim))


def _written_broadcast(eqn: Eqn, defs: Definitions) -> Eqn | None:
    """A store or accum broadcasts its value by itself."""
    if eqn.prim not in ("store", "accum"):
        return None
    wide = _definition(eqn.ins[1], defs, "broadcast")
    if wide is None or not _trailing(wide):
        return None
    return eqn.with_(ins=(eqn.ins[0], wide.ins[0], *eqn.ins[2:]))


def _read_constant(eqn: Eqn, defs: Definitions) -> Atom | None:
    """An element of np.full is its value."""
    if eqn.prim != "load" or not is_element(eqn.params["spec"]):
        return None
    source = _definition(eqn.ins[0], defs, "full")
    return None if source is None or eqn.role == PRIMAL else source.ins[0]


def _just_written(eqn: Eqn, defs: Definitions) -> Atom | None:
    """An element read where it has just been written is what was written."""
    if eqn.prim != "load" or not is_element(eqn.params["spec"]):
        return None
    write = _definition(eqn.ins[0], defs, "store")
    if write is None or write.params["spec"] != eqn.params["spec"]:
        return None
    return write.ins[1] if write.ins[2:] == eqn.ins[1:] else None


def _whole(eqn: Eqn, defs: Definitions) -> Atom | Eqn | None:
    """A[:] read is A; zeros with all of v added are v, or v[::-1] where it is added backwards; what
    does not change a shape is nothing."""
    if eqn.prim == "load" and is_full(eqn.params["spec"]):
        return eqn.ins[0]
    if eqn.prim == "accum" and eqn.role != PRIMAL and _turns_over(eqn):
        base = _definition(eqn.ins[0], defs, "full")
        if base is not None and _is(base.ins[0], 0) and _keeps(eqn, eqn.ins[1]):
            all_, backwards = eqn.ins[1], eqn.with_(prim="load", ins=eqn.ins[1:])
            return all_ if is_full(eqn.params["spec"]) else backwards
    if eqn.prim == "convert" and eqn.params["dtype"] == eqn.ins[0].type.dtype:
        return eqn.ins[0]
    if eqn.prim == "transpose" and list(eqn.params["perm"]) == sorted(eqn.params["perm"]):
        return eqn.ins[0]
    return None


def _turns_over(eqn: Eqn) -> bool:
    """True where every axis is taken as a whole, forwards or backwards."""
    backwards = all(isinstance(a, Lit) and a.value == -1 for a in eqn.ins[2:])
    return backwards and {":", "::_"} >= {*split_spec(eqn.params["spec"])}


def _inverse(eqn: Eqn, defs: Definitions) -> Atom | None:
    """squeeze(expand(x)), expand(squeeze(x)), transpose(transpose(x))."""
    pairs = {"squeeze": "expand", "expand": "squeeze", "transpose": "transpose"}
    inner = _definition(eqn.ins[0], defs, pairs.get(eqn.prim, "")) if eqn.ins else None
    if inner is None:
        return None
    if eqn.prim == "transpose":
        perm = [inner.params["perm"][p] for p in eqn.params["perm"]]
        return inner.ins[0] if perm == sorted(perm) else None
    return inner.ins[0] if inner.params["axes"] == eqn.params["axes"] else None


def _kept_axes(eqn: Eqn, defs: Definitions) -> Eqn | None:
    """Axes that a sum has kept, only to be dropped. (The user's own sums may have other uses.)"""
    inner = _definition(eqn.ins[0], defs, "sum") if eqn.prim == "squeeze" else None
    if inner is None or eqn.role != ADJOINT or not inner.params.get("keepdims"):
        return None
    if tuple(eqn.params["axes"]) != tuple(inner.params["axes"]):
        return None
    return eqn.with_(prim="sum", ins=inner.ins, params={**inner.params, "keepdims": False})


IDENTITIES: tuple[Identity, ...] = (
    _fold,
    _logic,
    _neutral,
    _numbers,
    _factors,
    _signs,
    _offsets,
    _extent_positive,
    _dims,
    _implicit_broadcast,
    _written_broadcast,
    _read_constant,
    _just_written,
    _whole,
    _inverse,
    _kept_axes,
)
