"""The few array operations of NumPy that numba does not compile become loops; all others stay.

    g: f64[n] = accum g, u, k {spec='a'}        g = for 0, m, 1, g { (i, g1)
                                            →     … load u, i … load k, i … accum g1 … yield … }

These are sums at places that an array gives (`np.add.at`), reductions other than sums along one of
several axes or with `keepdims`, `np.roll`, and `math`'s functions of arrays. The array level is for
reading, but may be compiled as well; kernels have loops throughout.
"""

from __future__ import annotations

from s2s_ad.ir.core import Atom, Eqn, Func, Region, Var
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import split_spec
from s2s_ad.passes.lower import lower

#: Reductions that numba compiles along one axis.
_ALONG_AN_AXIS = ("sum", "argmax", "argmin")
#: Functions of `math`, which NumPy has no form of.
_OF_NUMBERS = ("erf", "erfc", "gamma", "lgamma")


def compilable(func: Func) -> Func:
    """`func` with what numba lacks as loops; see the module's docstring."""
    return func.with_(body=_region(func.body, {}))


def _region(region: Region, made: dict[Atom, Atom]) -> Region:
    """`region` with loops; `made` are the results of those that have been written."""
    eqns: list[Eqn] = []
    for eqn in region.eqns:
        regions = tuple(_region(r, made) for r in eqn.regions)
        eqn = eqn.with_(ins=tuple(made.get(a, a) for a in eqn.ins), regions=regions)
        if _compiles(eqn):
            eqns.append(eqn)
        else:
            loops = _loops(eqn)
            eqns += loops.eqns
            made[eqn.out] = loops.results[0]
    return Region(region.params, tuple(eqns), tuple(made.get(a, a) for a in region.results))


def _compiles(eqn: Eqn) -> bool:
    if eqn.prim == "accum":
        return "a" not in split_spec(eqn.params["spec"])
    if eqn.prim == "roll":
        return False
    if eqn.prim in _OF_NUMBERS:
        return not eqn.out.type.is_array
    if PRIMS[eqn.prim].kind != "reduce":
        return True
    axes, ndim = len(eqn.params["axes"]), eqn.ins[0].type.ndim
    one = axes == 1 and eqn.prim in _ALONG_AN_AXIS
    return (one or axes == ndim) and not eqn.params.get("keepdims")


def _loops(eqn: Eqn) -> Region:
    """The equations for one that numba does not compile."""
    operands = tuple(dict.fromkeys(a for a in eqn.ins if isinstance(a, Var)))
    alone = Func("", Region(operands, (eqn,), eqn.outs))
    return lower(alone).body
