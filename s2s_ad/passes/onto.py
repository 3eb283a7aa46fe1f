"""What is added to an array that ends there is added in place.

    g = for …                                  g = for …
    t = mul s, y                               t = mul s, y
    h = add g, t                        →      h = accum g, t {spec=':'}     # g += s * y

    z = store g, 0.0, i {spec='i'}
    h = accum z, v, i {spec='i'}        →      h = store g, v, i {spec='i'}  # g[i] = v

Cotangents are sums that grow: each use of a variable adds to its cotangent, and a write clears what
was added so far. That an array is not needed any more is told by its uses; that it has memory of
its own, by what made it: a loop, a branch, a write or a product. A sum of elementwise expressions,
which become one loop, stays one; so does one with an array that is rolled (`np.roll`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from s2s_ad.analysis.sharing import is_view
from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import (
    ADJOINT,
    DISTINCT,
    TANGENT,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    eqn_uses,
    region_uses,
)
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import split_spec
from s2s_ad.ops import same_shape

_MADE = ("for", "while", "if", "store", "accum", "dot")


def onto(func: Func) -> Func:
    """`func` with the sums of derivatives written onto what they add to.

    Example: `onto(func)` gives the same results, but for the signs of zeros.
    """
    return func.with_(body=_region(func.body, Counter(region_uses(func.body)), set()))


def _region(region: Region, uses: Mapping[Var, int], own: set[Var]) -> Region:
    """`own` are the arrays with memory of their own that are made here: those that a loop carries,
    for a start."""
    b, made, last, rolled = Builder(), {}, _last_uses(region), _last_rolls(region)
    for position, eqn in enumerate(region.eqns):
        is_loop = eqn.prim in ("for", "while")
        inner = [_region(r, uses, {*r.params} if is_loop else set()) for r in eqn.regions]
        new = eqn.with_(regions=tuple(inner)) if inner else eqn
        if eqn.role in (ADJOINT, TANGENT) and len(eqn.outs) == 1 and eqn.out.type.is_float:
            cleared = _cleared(eqn, made, uses)
            if cleared is not None:
                b.eqns.remove(cleared)
                place = {"spec": eqn.params["spec"]}
                new = eqn.with_(prim="store", ins=(cleared.ins[0], *eqn.ins[1:]), params=place)
            ends = {a for a in eqn.ins if a in own and last[a] == position > rolled.get(a, -1)}
            new = _added(b, new, ends)
        b.append(new)
        if new.prim in _MADE:
            made.update(dict.fromkeys(eqn.outs, new))
            own.update(eqn.outs)
    return b.region(region.params, region.results)


def _last_uses(region: Region) -> dict[Atom, int]:
    """The position of what uses each variable last, or comes next after the last use of a view of
    it: what reads the view does not write to what is viewed."""
    last: dict[Atom, int] = dict.fromkeys(region.results, len(region.eqns))
    for position, eqn in reversed([*enumerate(region.eqns)]):
        for v in eqn_uses(eqn):
            last.setdefault(v, position)
        if is_view(eqn):
            viewed = eqn.ins[0]
            last[viewed] = max(last[viewed], last.get(eqn.out, position) + 1)
    return last


def _last_rolls(region: Region) -> dict[Atom, int]:
    """The position of what rolls each array last, or an expression of it. Sums with that become
    one loop, which reads the array all over: it is not written to in between."""
    last: dict[Atom, int] = {}
    inside: dict[Atom, set[Atom]] = {}
    for position, eqn in enumerate(region.eqns):
        if len(eqn.outs) == 1 and (PRIMS[eqn.prim].elementwise or eqn.prim == "roll"):
            arrays = {a for a in eqn.ins if a.type.is_array}
            inside[eqn.out] = arrays.union(*(inside.get(a, ()) for a in arrays))
            if eqn.prim == "roll":
                last.update(dict.fromkeys(inside[eqn.out], position))
    return last


def _cleared(eqn: Eqn, made: Mapping[Var, Eqn], uses: Mapping[Var, int]) -> Eqn | None:
    """What cleared the place that `eqn` adds to, and did nothing else."""
    write = made.get(eqn.ins[0]) if eqn.prim == "accum" and uses[eqn.ins[0]] == 1 else None
    if write is None or write.prim != "store":
        return None
    if "a" in split_spec(eqn.params["spec"]) and not eqn.params.get(DISTINCT):
        return None
    same = write.params["spec"] == eqn.params["spec"] and write.ins[2:] == eqn.ins[2:]
    zero = isinstance(write.ins[1], Lit) and write.ins[1].value == 0
    return write if same and zero and write.role == eqn.role else None


def _added(b: Builder, eqn: Eqn, ends: set[Atom]) -> Eqn:
    """`eqn` as an addition to its first operand, or its second, where that ends here."""
    if eqn.prim not in ("add", "sub") or not eqn.out.type.is_array:
        return eqn
    onto, more = eqn.ins
    if eqn.prim == "add" and not _takes(eqn, onto, ends):
        onto, more = more, onto
    if onto is more or not _takes(eqn, onto, ends):
        return eqn
    with b.at(eqn.loc), b.playing(eqn.role):
        more = b.emit("neg", more) if eqn.prim == "sub" else more
    spec = ",".join(":" * eqn.out.type.ndim)
    return eqn.with_(prim="accum", ins=(onto, more), params={"spec": spec})


def _takes(eqn: Eqn, a: Atom, ends: set[Atom]) -> bool:
    same = a.type.dtype == eqn.out.type.dtype and same_shape(a.type.shape, eqn.out.type.shape)
    return a in ends and same
