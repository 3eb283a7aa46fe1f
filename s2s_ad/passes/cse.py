"""Common subexpressions: what has been computed already, in this region or around it, is not
computed again.

    a = mul x, y            a = mul x, y
    b = mul x, y      →     c = add a, a
    c = add a, b

In derivatives, the sum of a multiple is a multiple of the sum, where that is known:

    s = sum e               s = sum e
    p = mul t, e      →     p = mul t, e
    q = sum p               q = mul t, s

That is how the gradient of a softmax meets its own normalisation again, without another pass over
the array and without its rounding.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set

from s2s_ad.ir.core import (
    ADJOINT,
    NO_PARAMS,
    PRIMAL,
    RECOMPUTED,
    TANGENT,
    Atom,
    Eqn,
    Func,
    Region,
    Var,
)
from s2s_ad.ir.prims import PRIMS

#: A new buffer each: two of them may be written to separately.
_FRESH = {"full", "empty", "copy", "grow", "store", "accum"}
#: The same in either order, to the last bit.
_COMMUTATIVE = {"add", "mul", "eq", "ne"}
#: The same as another, with the operands exchanged.
_TURNED = {"gt": "lt", "ge": "le"}


def cse(func: Func) -> Func:
    """`func` with repeated pure equations merged into the first of them. That is the program's, if
    one of them is: what computes something of the program again is no derivative's to change."""
    exact: set[Var] = set()
    body = _region(func.body, {}, {}, {}, exact)
    return func.with_(body=_as_written(body, exact) if exact else body)


def _as_written(region: Region, exact: Set[Var]) -> Region:
    """`region` with the equations that define `exact` as the program's."""
    eqns = []
    for e in region.eqns:
        regions = tuple(_as_written(r, exact) for r in e.regions)
        role = RECOMPUTED if e.role == ADJOINT and not exact.isdisjoint(e.outs) else e.role
        eqns.append(e.with_(regions=regions, role=role) if regions or role != e.role else e)
    return Region(region.params, tuple(eqns), region.results)


def key_of(eqn: Eqn, ins: Sequence[Hashable] | None = None) -> tuple | None:
    """Equal for equations that give equal values; None for one that must stay on its own. `ins`
    stand for its operands, where these go by something else than their names."""
    if eqn.regions or eqn.prim in _FRESH or PRIMS[eqn.prim].kind == "effect":
        return None
    if ins is None:
        ins = [a if isinstance(a, Var) else (repr(a.value), a.type) for a in eqn.ins]
    prim, operands = eqn.prim, tuple(ins)
    if prim in _TURNED:
        prim, operands = _TURNED[prim], operands[::-1]
    params = tuple(sorted((k, repr(v)) for k, v in eqn.params.items()))
    in_any_order = frozenset(operands) if prim in _COMMUTATIVE else operands
    return prim, in_any_order, params, eqn.role == TANGENT


def _multiple(eqn: Eqn, known: Mapping[tuple, Var], defs: Mapping[Var, Eqn]) -> Eqn:
    """`eqn`, or a product for a sum of multiples of what has been summed already."""
    product = defs.get(eqn.ins[0]) if eqn.prim == "sum" and eqn.role == ADJOINT else None
    if product is None or product.prim != "mul":
        return eqn
    for factor, rest in (product.ins, product.ins[::-1]):
        total = known.get(key_of(eqn.with_(ins=(rest,), role=PRIMAL)))
        if total is not None and _is_constant(factor, rest, eqn):
            ins = (factor, total)
            return Eqn(eqn.outs, "mul", ins, NO_PARAMS, (), eqn.loc, eqn.role)
    return eqn


def _is_constant(factor: Atom, rest: Atom, total: Eqn) -> bool:
    """True where `factor` is the same along all axes that `total` sums over."""
    if not factor.type.is_array:
        return True
    aligned = total.params.get("keepdims") and factor.type.ndim == rest.type.ndim
    return bool(aligned) and all(factor.type.shape[a] == 1 for a in total.params["axes"])


def _region(
    region: Region,
    known: dict[tuple, Var],
    names: dict[Var, Atom],
    defs: dict[Var, Eqn],
    exact: set[Var],
) -> Region:
    own: list[tuple] = []  # what is known to this region, and to those inside

    def atom(a: Atom) -> Atom:
        return names.get(a, a) if isinstance(a, Var) else a

    eqns = []
    for eqn in region.eqns:
        ins = tuple(map(atom, eqn.ins))
        regions = tuple(_region(r, known, names, defs, exact) for r in eqn.regions)
        if ins != eqn.ins or regions:
            eqn = eqn.with_(ins=ins, regions=regions)
        eqn = _multiple(eqn, known, defs)
        defs.update(dict.fromkeys(eqn.outs, eqn))
        key = key_of(eqn)
        if key is not None and key in known:
            names[eqn.out] = first = known[key]
            if eqn.role in (PRIMAL, RECOMPUTED) and first.type.is_float:
                exact.add(first)
            continue
        if key is not None:
            known[key] = eqn.out
            own.append(key)
        eqns.append(eqn)
    for key in own:
        del known[key]
    return Region(region.params, tuple(eqns), tuple(map(atom, region.results)))
