"""What has been checked is true.

    none = le n, 0                              none = le n, 0
    same = eq m, 3                              same = eq m, 3
    either = or none, same                      either = or none, same
    assert either                        →      assert either
    for 0, n, 1 { (i)                           for 0, n, 1 { (i)
      u = if same { a } { b }                     u = if True { a } { b }
      yield u }                                   yield u }

A check that every iteration makes stands before its loop, guarded by there being an iteration. In
one, the guard is false, so what it guards is true: what was written for rows of another extent is
left out, and a state that has been taken from a row is made of numbers like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from s2s_ad.ir.build import boolean, i64
from s2s_ad.ir.core import Atom, Eqn, Func, Region, Var, substitute, walk

Definitions = Mapping[Atom, Eqn]


def assured(func: Func) -> Func:
    """`func` with True in place of conditions that have been checked.

    Example: `assured(func)` gives the same results, and fails where `func` does.
    """
    eqns = list(walk(func.body))
    defs = {out: e for e in eqns for out in e.outs}
    checked = [c for e in eqns if e.prim == "assert" for c in (e.ins[0], *_parts(e.ins[0], defs))]
    decided = {e.ins[0] for e in eqns if e.prim in ("if", "select")}
    if decided.isdisjoint(v for c in checked for v in _all_of(c, defs)):
        return func
    return func.with_(body=_region(func.body, frozenset(), defs))


def _parts(condition: Atom, defs: Definitions) -> tuple[Atom, ...]:
    """The two conditions of which one holds."""
    eqn = defs.get(condition)
    return eqn.ins if eqn is not None and eqn.prim == "or" else ()


def _region(region: Region, checked: frozenset[Atom], defs: Definitions) -> Region:
    """`region`, before which the conditions `checked` have been."""
    eqns: list[Eqn] = []
    known: dict[Var, Atom] = {}
    for eqn in region.eqns:
        (eqn,) = substitute(Region((), (eqn,), ()), known).eqns
        if eqn.regions:
            inside = dict.fromkeys(_true_inside(eqn, checked, defs), boolean(True))
            regions = (_region(substitute(r, inside), checked, defs) for r in eqn.regions)
            eqn = eqn.with_(regions=tuple(regions))
        eqns.append(eqn)
        if eqn.prim == "assert":
            checked |= {eqn.ins[0]}
            known.update(dict.fromkeys(_all_of(eqn.ins[0], defs), boolean(True)))
    results = substitute(Region((), (), region.results), known).results
    return Region(region.params, tuple(eqns), results)


def _all_of(condition: Atom, defs: Definitions) -> Iterator[Var]:
    """What is true if a condition is."""
    if isinstance(condition, Var):
        yield condition
        eqn = defs.get(condition)
        if eqn is not None and eqn.prim == "and":
            for part in eqn.ins:
                yield from _all_of(part, defs)


def _true_inside(loop: Eqn, checked: frozenset[Atom], defs: Definitions) -> Iterator[Var]:
    """What is true where a loop has an iteration."""
    for condition in checked:
        parts = _parts(condition, defs)
        for guard, guarded in zip(parts, parts[::-1]):
            if _is_empty(loop, defs.get(guard), defs):
                yield from _all_of(guarded, defs)


def _is_empty(loop: Eqn, guard: Eqn | None, defs: Definitions) -> bool:
    """True where `guard` says that a loop has no iteration."""
    if loop.prim != "for" or guard is None or guard.prim not in ("le", "ge"):
        return False
    most, least = guard.ins if guard.prim == "le" else guard.ins[::-1]
    start, stop, step = loop.ins[:3]
    if step == i64(-1) and stop == i64(-1):
        last = defs.get(start)
        return (
            last is not None and (last.prim, *last.ins) == ("sub", most, i64(1)) and least == i64(0)
        )
    return step == i64(1) and (start, stop) == (least, most)
