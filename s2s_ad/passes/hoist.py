"""Loop-invariant code leaves the loop.

    for 0, n, 1, s0 { (i, s)              c = div h, two
      c = div h, two                      for 0, n, 1, s0 { (i, s)
      t = mul c, s                 →        t = mul c, s
      yield t                               yield t
    }                                     }

Only what cannot fail moves (a loop may run zero times): elementwise equations other than integer
division, and extents. Loads stay; LLVM moves them where it can prove them safe. `hoist_checks`
moves assertions as well, which then hold where the loop runs zero times.
"""

from __future__ import annotations

import functools

from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import TANGENT, Eqn, Func, Region, Var, region_defs
from s2s_ad.ir.prims import PRIMS, has_effect


def hoist(func: Func) -> Func:
    """`func` with invariant equations moved in front of the loops that held them."""
    return func.with_(body=_region(func.body, False))


def hoist_checks(func: Func) -> Func:
    """`func` with invariant equations and assertions moved in front of loops. An assertion moves
    where it is the first thing that an iteration does but to compute: then the first iteration
    fails in it, or none does."""
    return func.with_(body=_region(func.body, True))


def _region(region: Region, checks: bool) -> Region:
    eqns: list[Eqn] = []
    for eqn in region.eqns:
        if eqn.regions:
            within = functools.partial(_region, checks=checks)
            eqn = eqn.with_(regions=tuple(map(within, eqn.regions)))
        if eqn.prim in ("for", "while"):
            moved, eqn = _split(eqn, checks and eqn.prim == "for")
            eqns += moved
        eqns.append(eqn)
    return Region(region.params, tuple(eqns), region.results)


def _split(loop: Eqn, checks: bool) -> tuple[list[Eqn], Eqn]:
    inside: set[Var] = {v for r in loop.regions for v in region_defs(r)}
    moved: list[Eqn] = []
    regions = []
    for region in loop.regions:
        stay = []
        for eqn in region.eqns:
            if _movable(eqn) and not any(a in inside for a in eqn.ins if isinstance(a, Var)):
                moved.append(eqn)
                inside.difference_update(eqn.outs)
            elif checks and eqn.prim == "assert" and eqn.ins[0] not in inside:
                moved += _guarded(eqn, loop)
            else:
                checks = checks and not has_effect(eqn)
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


def _guarded(check: Eqn, loop: Eqn) -> list[Eqn]:
    """The assertion, where the loop runs at all."""
    start, stop, step = loop.ins[:3]
    b = Builder(check.loc, check.role)
    up, down = b.emit("le", stop, start), b.emit("ge", stop, start)
    never = b.emit("select", b.emit("lt", step, i64(0)), down, up)
    b.append(check.with_(ins=(b.emit("or", never, *check.ins),)))
    return b.eqns
