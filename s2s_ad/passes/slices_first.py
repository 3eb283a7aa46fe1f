"""What is added to single elements of an array waits for what is added to slices of it.

    t = mul c, a                               t = mul c, a
    s = sum t {axes=(0,)}                      s = sum t {axes=(0,)}
    g1 = accum g, s, i, k {spec='i,i'}    →    u = mul c, b
    u = mul c, b                               g1 = accum g, u, i, k {spec=':_,i'}
    g2 = accum g1, u, i, k {spec=':_,i'}       g2 = accum g1, s, i, k {spec='i,i'}

Sums of cotangents have no order. An element that is added to is often the end of a loop over the
same slices: in between, it would keep what is added to these from being a part of that loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from s2s_ad.ir.core import ADJOINT, Atom, Eqn, Func, Region, Var, region_uses
from s2s_ad.ir.subscript import is_element


def slices_first(func: Func) -> Func:
    """`func` with the sums of the module's docstring in that order.

    Example: `slices_first(func)` gives the same results but for rounding.
    """
    return func.with_(body=_region(func.body, Counter(region_uses(func.body))))


def _region(region: Region, uses: Mapping[Var, int]) -> Region:
    placed: dict[Eqn, tuple[Eqn, ...]] = {}
    for chain in _chains(region.eqns, uses):
        placed.update(_turned(chain))
    eqns = [new for eqn in region.eqns for new in placed.get(eqn, (eqn,))]
    inner = [e.with_(regions=tuple(_region(r, uses) for r in e.regions)) for e in eqns]
    return Region(region.params, tuple(inner), region.results)


def _chains(eqns: Sequence[Eqn], uses: Mapping[Var, int]) -> Iterable[list[Eqn]]:
    """Sums of cotangents, each of which adds to what only the one before has given."""
    ends: dict[Atom, list[Eqn]] = {}
    chains = []
    for eqn in eqns:
        if eqn.prim != "accum" or eqn.role != ADJOINT:
            continue
        base = eqn.ins[0]
        chain = ends.pop(base, None) if uses[base] == 1 else None
        if chain is None:
            chain = []
            chains.append(chain)
        chain.append(eqn)
        ends[eqn.out] = chain
    return chains


def _turned(chain: Sequence[Eqn]) -> dict[Eqn, tuple[Eqn, ...]]:
    """What stands in the places of the equations of a chain."""
    slices = [e for e in chain if not is_element(e.params["spec"])]
    if not slices:
        return {}
    before = chain[: chain.index(slices[-1])]
    waiting = [e for e in before if is_element(e.params["spec"])]
    renamed = [
        new.with_(outs=old.outs, ins=(old.ins[0], *new.ins[1:]))
        for new, old in zip((*slices, *waiting), chain)
    ]
    moved = tuple(renamed[len(slices) :])
    found: dict[Eqn, tuple[Eqn, ...]] = {e: (new,) for e, new in zip(slices, renamed)}
    found.update(dict.fromkeys(waiting, ()))
    found[slices[-1]] += moved
    return found
