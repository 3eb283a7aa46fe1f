"""A store to a place of a tangent that nothing has touched before says so.

    d = full 0.0, n                     d = full 0.0, n
    d = for 0, n, 1, d { (i, d1)   →    d = for 0, n, 1, d { (i, d1)
      d2 = store d1, v, i                 d2 = store d1, v, i {first_touch=True}
      yield d2 }                          yield d2 }

The transpose of a store reads the cotangent of its place and clears that, for those who read or
wrote the place before. Where nobody did, and the array starts as zeros, nobody looks at it again.
Without the clearing, the cotangent of an array that is filled element by element is only read.
"""

from __future__ import annotations

from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.instances import Instances
from s2s_ad.ir.build import number
from s2s_ad.ir.core import FIRST_TOUCH, TANGENT, Eqn, Func, Lit, Region
from s2s_ad.ir.subscript import is_full, split_spec

#: Arrays with more accesses are left alone: all pairs are compared.
MOST = 24


def untouched(func: Func) -> Func:
    """`func`, a JVP, with the stores of the module's docstring marked.

    Example: `transpose(untouched(jvp(func)))` gives the same gradients.
    """
    found: set[Eqn] = set()
    _find(func.body, Instances(func), found)
    return func.with_(body=_marked(func.body, found))


def _find(region: Region, instances: Instances, found: set[Eqn], top: bool = True) -> None:
    for eqn in region.eqns:
        if eqn.prim == "full" and eqn.role == TANGENT and eqn.ins[0] == _zero(eqn):
            found |= _first_stores(eqn, region, instances, top)
        for inner in eqn.regions:
            _find(inner, instances, found, False)


def _first_stores(zeros: Eqn, region: Region, instances: Instances, top: bool) -> set[Eqn]:
    """The stores to an array that starts as `zeros`, in `region`, whose places are touched by
    nothing earlier."""
    accesses = BufferAccesses(zeros.out)
    accesses.block(region)
    leaves = not top and not accesses.versions.isdisjoint(region.results)
    uses = (*accesses.eqns, *accesses.wholes)
    if accesses.mixed or leaves or len(uses) > MOST:
        return set()
    outside = len(instances.loops[zeros])
    return {
        e for e in accesses.eqns
        if _is_part(e) and not any(instances.met_before(e, other, outside) for other in uses)
    }  # fmt: skip


def _zero(eqn: Eqn) -> Lit:
    return number(0, eqn.out.type.dtype)


def _is_part(eqn: Eqn) -> bool:
    """True for a store to some places, each once."""
    spec = eqn.params["spec"]
    return eqn.prim == "store" and not is_full(spec) and "a" not in split_spec(spec)


def _marked(region: Region, found: set[Eqn]) -> Region:
    eqns = []
    for eqn in region.eqns:
        regions = tuple(_marked(r, found) for r in eqn.regions)
        eqn_params = {**eqn.params, FIRST_TOUCH: True} if eqn in found else eqn.params
        eqns.append(eqn.with_(regions=regions, params=eqn_params))
    return Region(region.params, tuple(eqns), region.results)
