"""Activity: which variables depend differentiably on active ones ("varied" in Tapenade's terms).

    func f(x: f64, k: i64) {          varied, for x active:
      a: f64 = convert k {…}          no: comes from an integer
      y: f64 = sin x                  yes
      z: f64 = floor y                no: its derivative is zero
      w: f64 = add y, a               yes
    }

A carried variable of a loop is varied if its initial value is, or becomes so in some iteration: a
fixpoint. An array is varied once a varied value was written to it, until it is overwritten whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from s2s_ad.ir.core import Atom, Eqn, Region, Var
from s2s_ad.ir.subscript import is_full
from s2s_ad.rule import ZERO, load_rules


def varied(region: Region, active: Iterable[Var]) -> set[Var]:
    """The variables of `region` that depend on `active` through derivatives that are not zero."""
    load_rules()
    found = set(active)
    _region(region, found)
    return found


def _region(region: Region, found: set[Var]) -> None:
    for eqn in region.eqns:
        _eqn(eqn, found)


def _eqn(eqn: Eqn, found: set[Var]) -> None:
    def hot(a: Atom) -> bool:
        return isinstance(a, Var) and a in found

    if eqn.prim == "if":
        for region in eqn.regions:
            _region(region, found)
        pairs = zip(eqn.outs, eqn.regions[0].results, eqn.regions[1].results)
        found.update(out for out, a, b in pairs if hot(a) or hot(b))
    elif eqn.prim in ("for", "while"):
        _loop(eqn, found)
    elif eqn.prim in ZERO:
        return
    elif eqn.prim == "store" and is_full(eqn.params["spec"]):
        if hot(eqn.ins[1]):
            found.add(eqn.out)
    elif any(hot(a) and a.type.is_float for a in eqn.ins):
        found.update(v for v in eqn.outs if v.type.is_float)


def _loop(eqn: Eqn, found: set[Var]) -> None:
    inits, body, results, outs = loop_slots(eqn)
    params = body.params[len(body.params) - len(inits) :]
    state = [isinstance(a, Var) and a in found for a in inits]
    while True:
        found.update(p for p, on in zip(params, state) if on)
        _region(body, found)
        after = [on or (isinstance(r, Var) and r in found) for on, r in zip(state, results)]
        if after == state:
            break
        state = after
    if eqn.prim == "while":
        found.update(p for p, on in zip(eqn.regions[0].params, state) if on)
    found.update(o for o, on in zip(outs, state) if on)


def loop_slots(eqn: Eqn) -> tuple[tuple[Atom, ...], Region, tuple[Atom, ...], tuple[Var, ...]]:
    """The carried part of a loop: initial values, body, the body's results, and what comes out."""
    body = eqn.regions[-1]
    if eqn.prim == "while":
        return eqn.ins, body, body.results, eqn.outs
    skip = 1 if eqn.params.get("exit") else 0
    return eqn.ins[3:], body, body.results[skip:], eqn.outs[skip:]
