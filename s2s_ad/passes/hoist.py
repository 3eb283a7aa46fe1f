"""Loop-invariant code leaves the loop.

    for 0, n, 1, s0 { (i, s)              c = div h, two
      c = div h, two                      for 0, n, 1, s0 { (i, s)
      t = mul c, s                 →        t = mul c, s
      yield t                               yield t
    }                                     }

Only what cannot fail moves (a loop may run zero times): elementwise equations other than integer
division, and extents. Loads stay; LLVM moves them where it can prove them safe.
"""

from __future__ import annotations

from s2s_ad.ir.core import TANGENT, Eqn, Func, Region, Var, region_defs
from s2s_ad.ir.prims import PRIMS


def hoist(func: Func) -> Func:
    """`func` with invariant equations moved in front of the loops that held them."""
    return func.with_(body=_region(func.body))


def _region(region: Region) -> Region:
    eqns: list[Eqn] = []
    for eqn in region.eqns:
        eqn = eqn.with_(regions=tuple(map(_region, eqn.regions))) if eqn.regions else eqn
        if eqn.prim in ("for", "while"):
            moved, eqn = _split(eqn)
            eqns += moved
        eqns.append(eqn)
    return Region(region.params, tuple(eqns), region.results)


def _split(loop: Eqn) -> tuple[list[Eqn], Eqn]:
    inside: set[Var] = {v for r in loop.regions for v in region_defs(r)}
    moved: list[Eqn] = []
    regions = []
    for region in loop.regions:
        stay = []
        for eqn in region.eqns:
            if _movable(eqn) and not any(a in inside for a in eqn.ins if isinstance(a, Var)):
                moved.append(eqn)
                inside.difference_update(eqn.outs)
            else:
                stay.append(eqn)
        regions.append(Region(region.params, tuple(stay), region.results))
    return moved, loop.with_(regions=tuple(regions)) if moved else loop


def _movable(eqn: Eqn) -> bool:
    if eqn.role == TANGENT or not eqn.outs:
        return False
    if eqn.prim == "dim":
        return True
    if not PRIMS[eqn.prim].elementwise or eqn.out.type.is_array:
        return False
    return eqn.out.type.is_float or eqn.prim not in ("floordiv", "mod", "pow", "div")
