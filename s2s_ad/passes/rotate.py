"""What a loop clears at the end of an iteration is cleared at the start of the next one.

    z = full 0.0, n                            z = full 0.0, n
    a, b = for k, 0, -1, w, z { (_, p, q)      a, b = for k, 0, -1, w, z { (_, p, q)
      t = load p, 1, -1                          t = load p, 1, -1
      p1 = store p, 0.0, 1, -1            →      q1 = store q, 0.0, 1, -1
      q1 = accum q, t, 2                         q2 = accum q1, t, 2
      q2 = accum q1, t, -2                       q3 = accum q2, t, -2
      yield q2, p1                               yield q3, p
    }                                          }
                                               b1 = store b, 0.0, 1, -1

The reverse sweep of a double buffer takes the cotangent out of one buffer and adds to the other,
which is the first one's in the next iteration. Cleared just before it is added to, an element is
written once (passes/lower_gather.py) instead of being cleared, read and written. The buffer is made
of zeros before the loop, so that the first iteration has nothing to clear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from s2s_ad.ir.core import Atom, Eqn, Func, Lit, Region, Var, region_defs, region_uses, substitute
from s2s_ad.ir.subscript import split_spec


def rotate(func: Func) -> Func:
    """`func` with the zeros of the module's docstring at the start of the iterations.

    Example: `rotate(func)` gives the same results to the last bit.
    """
    return func.with_(body=_region(func.body, {}))


def _region(region: Region, outer: Mapping[Var, Eqn]) -> Region:
    made = {**outer, **{v: e for e in region.eqns for v in e.outs}}
    eqns: list[Eqn] = []
    cleared: dict[Var, Atom] = {}
    for eqn in region.eqns:
        (eqn,) = substitute(Region((), (eqn,), ()), cleared).eqns
        eqn = eqn.with_(regions=tuple(_region(r, made) for r in eqn.regions))
        after = []
        for k, clear in _cleared_last(eqn, made):
            eqn, again = _turned(eqn, k, clear)
            after.append(again)
            cleared[eqn.outs[k]] = again.out
        eqns += (eqn, *after)
    results = tuple(cleared.get(a, a) if isinstance(a, Var) else a for a in region.results)
    return Region(region.params, tuple(eqns), results)


def _cleared_last(eqn: Eqn, made: Mapping[Var, Eqn]) -> list[tuple[int, Eqn]]:
    """The results of a loop that its iterations clear at their ends, and add to from the start."""
    if eqn.prim != "for" or eqn.params.get("exit"):
        return []
    (body,) = eqn.regions
    uses, inside = Counter(region_uses(body)), set(region_defs(body))
    own = {e.outs[0]: e for e in body.eqns if e.prim in ("store", "accum")}
    found = []
    for k, (init, param, result) in enumerate(zip(eqn.ins[3:], body.params[1:], body.results)):
        clear = own.get(result)  # type: ignore[arg-type]
        if (
            clear is not None
            and clear.prim == "store"
            and _is_zero(clear.ins[1])
            and _is_slice(clear)
            and uses[clear.out] == 1
            and not inside & set(clear.ins[2:])
            and _is_zeros(made.get(init))  # type: ignore[arg-type]
            and uses[param] == 1
            and any(e.prim == "accum" and e.ins[0] is param for e in own.values())
        ):
            found.append((k, clear))
    return found


def _is_slice(clear: Eqn) -> bool:
    """True for what may be empty: an element need not exist where the loop has no iterations."""
    return not {"i", "a"} & {*split_spec(clear.params["spec"])}


def _is_zero(a: Atom) -> bool:
    return isinstance(a, Lit) and a.value == 0


def _is_zeros(made: Eqn | None) -> bool:
    return made is not None and made.prim == "full" and _is_zero(made.ins[0])


def _turned(eqn: Eqn, k: int, clear: Eqn) -> tuple[Eqn, Eqn]:
    """The loop with `clear` at the start of its iterations, and `clear` for its result `k`."""
    (body,) = eqn.regions
    param = body.params[k + 1]
    first = clear.with_(outs=(Var(clear.out.name, clear.out.type),), ins=(param, *clear.ins[1:]))
    rest = Region((), tuple(e for e in body.eqns if e is not clear), ())
    eqns = (first, *substitute(rest, {param: first.out}).eqns)
    results = tuple(clear.ins[0] if a is clear.out else a for a in body.results)
    turned = eqn.with_(regions=(Region(body.params, eqns, results),))
    old = eqn.outs[k]
    after = clear.with_(outs=(Var(old.name, old.type),), ins=(old, *clear.ins[1:]))
    return turned, after
