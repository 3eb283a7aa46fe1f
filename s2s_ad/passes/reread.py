"""What tangents need of a value that is stored, they read from where it was stored.

    q = div p, d                                     q = div p, d
    t = mul e_dot, q {tangent}                       a1 = store a, q, i
    a1 = store a, q, i                        →      r = load a1, i
    a1_dot = store a_dot, t, i {tangent}             t = mul e_dot, r {tangent}
                                                     a1_dot = store a_dot, t, i {tangent}

What the reverse sweep asks for and cannot compute again goes to a tape. But where the program keeps
it itself, in an element that is not written again, that is the tape: the quotients of a factor in
place, the states of a network, `x[i] = np.exp(…)`. Whether the element stays the plan finds out, as
it does for all that is read of arrays. So this is tried for what would be on a tape otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import TANGENT, Atom, Eqn, Func, Region, Var, eqn_free_vars, eqn_uses
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import is_element


def reread(func: Func, saved: Collection[Var]) -> Func:
    """`func`, a JVP, with loads in place of values that are `saved`, or that something saved is
    computed from for tangents alone.

    Example: `reread(jvp(func), saved)` gives the same results to the last bit.
    """
    body = _region(func.body, set(saved)) if saved else func.body
    return func if body is func.body else func.with_(body=body)


def _region(region: Region, saved: set[Var]) -> Region:
    """The region; the same one where nothing is read again."""
    eqns = [_inside(e, saved) for e in region.eqns]
    for store in [e for e in eqns if _keeps_a_number(e)]:
        eqns = _read(eqns, store, _aside(region, eqns), saved) or eqns
    same = len(eqns) == len(region.eqns) and all(a is b for a, b in zip(eqns, region.eqns))
    return region if same else Region(region.params, tuple(eqns), region.results)


def _inside(eqn: Eqn, saved: set[Var]) -> Eqn:
    regions = tuple(_region(r, saved) for r in eqn.regions)
    same = all(a is b for a, b in zip(regions, eqn.regions))
    return eqn if same else eqn.with_(regions=regions)


def _keeps_a_number(eqn: Eqn) -> bool:
    if eqn.prim != "store" or eqn.role == TANGENT or not is_element(eqn.params["spec"]):
        return False
    array, value = eqn.ins[:2]
    return isinstance(value, Var) and value.type.is_float and value.type == array.type.scalar


def _aside(region: Region, eqns: Sequence[Eqn]) -> set[Eqn]:
    """Arithmetic that only tangents take, and such arithmetic."""
    users: dict[Var, list[Eqn]] = {}
    for eqn in eqns:
        for v in eqn_uses(eqn):
            users.setdefault(v, []).append(eqn)
    found: set[Eqn] = set()
    for eqn in reversed(eqns):
        if eqn.role == TANGENT or not PRIMS[eqn.prim].elementwise or eqn.out in region.results:
            continue
        if all(u in found or _is_tangent(u) for u in users.get(eqn.out, ())):
            found.add(eqn)
    return found


def _is_tangent(eqn: Eqn) -> bool:
    return eqn.role == TANGENT and not eqn.regions


def _read(eqns: Sequence[Eqn], store: Eqn, aside: set[Eqn], saved: set[Var]) -> list[Eqn] | None:
    """The equations with what `store` keeps read again after it, by tangents and for them; None
    where nothing that is saved is, or where what comes before the store cannot come after it."""
    value, at = store.ins[1], [*eqns].index(store)
    taking: dict[Eqn, None] = {}
    made: set[Var] = set()
    for k, eqn in enumerate(eqns):
        free = {*eqn_free_vars(eqn)}
        if eqn is store or not (value in free or free & made):
            continue
        if _is_tangent(eqn) or eqn in aside:
            taking[eqn] = None
            made.update(eqn.outs)
        elif free & made and k < at:
            return None
    if saved.isdisjoint({value, *made}) or not any(value in e.ins for e in taking):
        return None
    b = Builder(store.loc)
    names = {value: b.emit("load", store.out, *store.ins[2:], **store.params, name=value.name)}
    before = [e for e in eqns[:at] if e not in taking]
    after = [e for e in eqns[:at] if e in taking] + [*eqns[at + 1 :]]
    after = [_with(e, names) if e in taking else e for e in after]
    return [*before, store, *b.eqns, *after]


def _with(eqn: Eqn, names: Mapping[Atom, Atom]) -> Eqn:
    return eqn.with_(ins=tuple(names.get(a, a) for a in eqn.ins))
