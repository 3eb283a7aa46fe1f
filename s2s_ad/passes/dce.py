"""Dead code: equations whose results nobody reads, and carried variables nobody needs, go away.

    s, t = for 0, n, 1, 0.0, 1.0 { (i, s, t)        s = for 0, n, 1, 0.0 { (i, s)
      u = mul t, t                                    v = load x, i
      v = load x, i                            →      w = add s, v
      w = add s, v                                    yield w
      yield w, u                                    }
    }
    return s                                        return s

Assertions and output stay, and so does whatever holds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from s2s_ad.analysis.activity import loop_slots
from s2s_ad.ir.core import Eqn, Func, Region, Var, eqn_free_vars
from s2s_ad.ir.prims import has_effect


def dce(func: Func) -> Func:
    """`func` without dead equations and dead carried variables. Parameters and results stay."""
    body, _ = _region(func.body, [True] * len(func.results))
    return func.with_(body=body)


def _region(region: Region, wanted: Sequence[bool]) -> tuple[Region, set[Var]]:
    """`region` with only the wanted results, and the variables it still reads or defines."""
    results = tuple(compress(region.results, wanted))
    live = {a for a in results if isinstance(a, Var)}
    kept: list[Eqn] = []
    for eqn in reversed(region.eqns):
        if not has_effect(eqn) and not any(out in live for out in eqn.outs):
            continue
        if eqn.prim == "if":
            eqn = _branch(eqn, live)
        elif eqn.prim in ("for", "while"):
            eqn = _loop(eqn, live)
        kept.append(eqn)
        live.update(eqn_free_vars(eqn))
    return Region(region.params, tuple(reversed(kept)), results), live


def _branch(eqn: Eqn, live: set[Var]) -> Eqn:
    wanted = [out in live for out in eqn.outs]
    regions = tuple(_region(r, wanted)[0] for r in eqn.regions)
    return eqn.with_(
        outs=tuple(compress(eqn.outs, wanted)),
        regions=regions,
        params=_relabel(eqn, wanted),
    )


def _loop(eqn: Eqn, live: set[Var]) -> Eqn:
    inits, body, _, outs = loop_slots(eqn)
    lead = len(eqn.outs) - len(outs)  # the count of a `for` that may end early
    params = body.params[len(body.params) - len(inits) :]
    wanted = [out in live for out in outs]
    cond_params = eqn.regions[0].params if eqn.prim == "while" else params
    if eqn.prim == "while":
        _, tested = _region(eqn.regions[0], [True])
        wanted = [w or p in tested for w, p in zip(wanted, cond_params)]
    while True:
        new_body, reads = _region(body, [True] * lead + wanted)
        more = [w or p in reads for w, p in zip(wanted, params)]
        if more == wanted:
            break
        wanted = more
    index = body.params[: len(body.params) - len(inits)]
    kept = index + tuple(compress(params, wanted))
    regions = [Region(kept, new_body.eqns, new_body.results)]
    if eqn.prim == "while":
        cond, _ = _region(eqn.regions[0], [True])
        own = tuple(compress(cond_params, wanted))
        regions.insert(0, Region(own, cond.eqns, cond.results))
    return eqn.with_(
        ins=eqn.ins[: len(eqn.ins) - len(inits)] + tuple(compress(inits, wanted)),
        outs=eqn.outs[:lead] + tuple(compress(outs, wanted)),
        regions=tuple(regions),
        params=_relabel(eqn, wanted),
    )


def _relabel(eqn: Eqn, wanted: Sequence[bool]) -> dict[str, object]:
    """The parameters that speak of places among the carried variables, for those that are left."""
    params = dict(eqn.params)
    if "linear" in params:
        count = params.pop("linear")
        left = sum(wanted[len(wanted) - count :])
        if left:
            params["linear"] = left
    if "counter" in params:
        at = params.pop("counter")
        if wanted[at]:
            params["counter"] = sum(wanted[:at])
    return params
