"""Reversed loops whose iterations may come in any order count up.

    g = for t, -1, -1, g0 { (i, g)         g = for 0, n, 1, g0 { (i, g)
      u = load x, i                   →      u = load x, i
      g1 = accum g, u, i                     g1 = accum g, u, i
      yield g1                               yield g1
    }                 with t = sub n, 1    }

The reverse sweep goes through all loops backwards. Where analysis/independence.py proves that no
iteration waits for another (elements of its own, or sums of cotangents), the order is nobody's, and
counting up reads better and runs faster: compilers see that no index is negative.
"""

from __future__ import annotations

from collections.abc import Mapping

from s2s_ad.analysis.independence import facts_of, independent
from s2s_ad.analysis.integers import Facts
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import ADJOINT, Atom, Eqn, Func, Lit, Region, Var


def upwards(func: Func) -> Func:
    """`func` with the loops of its reverse sweep counting up where that makes no difference."""
    return func.with_(body=_region(func.body, facts_of(func)))


def _region(region: Region, facts: Facts) -> Region:
    b = Builder()
    for eqn in region.eqns:
        if _turns(eqn, facts):
            start, stop = (following(b, a, facts.defs) for a in (eqn.ins[1], eqn.ins[0]))
            eqn = eqn.with_(ins=(start, stop, i64(1), *eqn.ins[3:]))
        b.append(eqn.with_(regions=tuple(_region(r, facts) for r in eqn.regions)))
    return b.region(region.params, region.results)


def _turns(eqn: Eqn, facts: Facts) -> bool:
    backwards = eqn.prim == "for" and eqn.role == ADJOINT and eqn.ins[2] == i64(-1)
    return backwards and independent(eqn, facts, any_order=False) is not None


def following(b: Builder, a: Atom, defs: Mapping[Var, Eqn]) -> Atom:
    """a + 1"""
    if isinstance(a, Lit):
        return i64(a.value + 1)
    made = defs.get(a)
    if made is not None and made.prim == "sub" and made.ins[1] == i64(1):
        return made.ins[0]
    if made is not None and made.prim == "add" and isinstance(made.ins[1], Lit):
        more = made.ins[1].value + 1
        return b.emit("add", made.ins[0], i64(more), name=a.name) if more else made.ins[0]
    return b.emit("add", a, i64(1), name=a.name)
