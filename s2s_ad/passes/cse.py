"""Common subexpressions: what has been computed already, in this region or around it, is not
computed again.

    a = mul x, y            a = mul x, y
    b = mul x, y      →     c = add a, a
    c = add a, b
"""

from __future__ import annotations

from collections.abc import Mapping

from s2s_ad.ir.core import TANGENT, Atom, Eqn, Func, Region, Var
from s2s_ad.ir.prims import PRIMS

#: A new buffer each: two of them may be written to separately.
_FRESH = {"full", "empty", "copy", "grow", "store", "accum"}


def cse(func: Func) -> Func:
    """`func` with repeated pure equations merged into the first of them."""
    return func.with_(body=_region(func.body, {}, {}))


def key_of(eqn: Eqn) -> tuple | None:
    """Equal for equations that give equal values; None for one that must stay on its own."""
    if eqn.regions or eqn.prim in _FRESH or PRIMS[eqn.prim].kind == "effect":
        return None
    params = tuple(sorted((k, repr(v)) for k, v in eqn.params.items()))
    ins = tuple(a if isinstance(a, Var) else (repr(a.value), a.type) for a in eqn.ins)
    return eqn.prim, ins, params, eqn.role == TANGENT


def _region(region: Region, known: Mapping[tuple, Var], names: dict[Var, Atom]) -> Region:
    known = dict(known)

    def atom(a: Atom) -> Atom:
        return names.get(a, a) if isinstance(a, Var) else a

    eqns = []
    for eqn in region.eqns:
        ins = tuple(map(atom, eqn.ins))
        regions = tuple(_region(r, known, names) for r in eqn.regions)
        if ins != eqn.ins or regions:
            eqn = eqn.with_(ins=ins, regions=regions)
        key = key_of(eqn)
        if key is not None and key in known:
            names[eqn.out] = known[key]
            continue
        if key is not None:
            known[key] = eqn.out
        eqns.append(eqn)
    return Region(region.params, tuple(eqns), tuple(map(atom, region.results)))
