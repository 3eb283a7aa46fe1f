"""The verifier: what every pass may rely on. It runs between passes in tests, and on demand."""

from __future__ import annotations

from s2s_ad.ir.core import Atom, Eqn, Func, Region, Var
from s2s_ad.ir.prims import PRIMS, IRTypeError


def verify(func: Func) -> Func:
    """Return `func` if it is well formed, else raise IRTypeError.

    Every variable is defined once and before its uses, in scope; every equation's results have the
    types that its primitive gives to its operands (extents that are not known to be 1 may differ: a
    pass may know more, or less, than the rule).
    """
    defined: set[Var] = set()
    _region(func.body, set(), defined)
    for param, result in func.mutated:
        if not (param < len(func.params) and result < len(func.results)):
            raise IRTypeError(f"{func.name}: mutated {param}->{result} does not exist")
    if func.result_names and len(func.result_names) != len(func.results):
        raise IRTypeError(f"{func.name}: {len(func.results)} results, other names")
    return func


def _region(region: Region, scope: set[Var], defined: set[Var]) -> None:
    scope = set(scope)

    def define(v: Var) -> None:
        if v in defined:
            raise IRTypeError(f"{v} is defined twice")
        defined.add(v)
        scope.add(v)

    def use(a: Atom, where: object) -> None:
        if isinstance(a, Var) and a not in scope:
            raise IRTypeError(f"{a} is used by {where} out of scope or before its definition")

    for param in region.params:
        define(param)
    for eqn in region.eqns:
        for atom in eqn.ins:
            use(atom, eqn.prim)
        for inner in eqn.regions:
            _region(inner, scope, defined)
        _types(eqn)
        for out in eqn.outs:
            define(out)
    for atom in region.results:
        use(atom, "yield")


def _types(eqn: Eqn) -> None:
    if eqn.prim not in PRIMS:
        raise IRTypeError(f"no primitive {eqn.prim!r}")
    try:
        types = PRIMS[eqn.prim].infer(eqn.ins, eqn.params, eqn.regions)
    except (ValueError, IndexError, KeyError) as error:
        raise IRTypeError(f"{eqn.prim} at {eqn.loc}: {error}") from error
    if len(types) != len(eqn.outs):
        raise IRTypeError(f"{eqn.prim} has {len(types)} results, not {len(eqn.outs)}")
    for out, inferred in zip(eqn.outs, types):
        if out.type.dtype != inferred.dtype or out.type.ndim != inferred.ndim:
            raise IRTypeError(f"{eqn.prim} at {eqn.loc} gives {inferred}, not {out}")
