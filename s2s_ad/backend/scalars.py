"""Which scalars are NumPy's when the printed text runs uncompiled.

Python's floats raise where NumPy's, and compiled code, give inf or nan: `1.0 / s` with `s = 0.0`.
The printer makes an operand of such an operation NumPy's, unless one is certainly so already.
"""

from __future__ import annotations

from s2s_ad.analysis.activity import loop_slots
from s2s_ad.ir.core import Eqn, Func, Region, Var
from s2s_ad.ir.prims import PRIMS

#: Printed as Python operators: the result is NumPy's where an operand is.
_OPERATORS = frozenset("add sub mul div floordiv mod pow neg abs stop_gradient".split())
#: Printed as functions of `math`, or as conversions by `float`.
_PYTHON = frozenset("erf erfc gamma lgamma convert".split())


def numpy_scalars(func: Func) -> set[Var]:
    """The scalars of `func` that are certainly NumPy's; floats among the arguments are."""
    found = {p for p in func.params if not p.type.is_array and p.type.is_float}
    _region(func.body, found)
    return found


def _region(region: Region, found: set[Var]) -> None:
    for eqn in region.eqns:
        if eqn.prim in ("for", "while"):
            _loop(eqn, found)
            continue
        for inner in eqn.regions:
            _region(inner, found)
        if eqn.prim == "if":
            ways = zip(eqn.outs, *(r.results for r in eqn.regions))
            found.update(out for out, *sources in ways if all(s in found for s in sources))
        elif len(eqn.outs) == 1 and not eqn.out.type.is_array and _is_numpy(eqn, found):
            found.add(eqn.out)


def _is_numpy(eqn: Eqn, found: set[Var]) -> bool:
    if eqn.prim in _OPERATORS:
        return any(a in found for a in eqn.ins)
    if eqn.prim == "select":
        return all(a in found for a in eqn.ins[1:])
    if eqn.prim == "convert":
        return eqn.params["dtype"] not in ("f64", "i64")
    kind = PRIMS[eqn.prim].kind
    return eqn.prim not in _PYTHON and kind in ("elementwise", "reduce", "contract", "index")


def _loop(eqn: Eqn, found: set[Var]) -> None:
    """A carried variable is NumPy's if it is at first and after each iteration."""
    inits, body, results, outs = loop_slots(eqn)
    columns = [r.params[len(r.params) - len(inits) :] for r in eqn.regions]
    slots = list(zip(*columns))
    state = [a in found for a in inits]
    while True:
        trial = set(found)
        trial.update(p for params, on in zip(slots, state) for p in params if on)
        for region in eqn.regions:
            _region(region, trial)
        after = [on and r in trial for on, r in zip(state, results)]
        if after == state:
            break
        state = after
    found |= trial
    found.update(o for o, on in zip(outs, state) if on)
