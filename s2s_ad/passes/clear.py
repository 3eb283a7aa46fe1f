"""Zeros are written row by row, by the loop that adds to the rows.

    z = full 0.0, n, m                         z = empty n, m
    g = for k, -1, -1, z { (i, z)              g = for k, -1, -1, z { (i, z)
      …                              →           z1 = store z, 0.0, i {spec='i,:'}
      z1 = accum z, v, i, i {spec='i,:_'}        …
      yield z1                                   z2 = accum z1, v, i, i {spec='i,:_'}
    }                                            yield z2
                                               }
                                               g1 = store g, 0.0, k + 1 {spec='_:,:'}

A gradient with respect to a matrix that a loop takes row by row is as large as the matrix: cleared
at once, it leaves the cache before the loop comes to it. Rows that the loop does not reach are
cleared after it. What an iteration clears must be there: either the bounds of the loop say so, or
the iteration adds to the row in any case, which the function has read before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from s2s_ad.analysis.independence import BufferAccesses, facts_of
from s2s_ad.analysis.integers import Facts, Lin, lin
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import ADJOINT, Atom, Eqn, Func, Region, Var, region_uses, substitute
from s2s_ad.passes.upwards import following


def clear(func: Func) -> Func:
    """`func` with the zeros of the module's docstring written in the loops.

    Example: `clear(func)` gives the same results to the last bit.
    """
    return func.with_(body=_region(func.body, Counter(region_uses(func.body)), facts_of(func)))


def _region(region: Region, uses: Mapping[Var, int], facts: Facts) -> Region:
    zeros = {e.out: e for e in region.eqns if _is_zeros(e) and uses[e.out] == 1}
    b = Builder()
    for eqn in region.eqns:
        eqn = eqn.with_(regions=tuple(_region(r, uses, facts) for r in eqn.regions))
        slots = _slots(eqn, zeros, facts)
        if not slots:
            b.append(eqn)
            continue
        given = [zeros[eqn.ins[3 + k]] for k in slots]
        outs = [e.outs for e in given]
        b.eqns = [_empty(e) if e.outs in outs else e for e in b.eqns]
        rest = [k for k, e in zip(slots, given) if not facts.at_least(_end(eqn) - lin(e.ins[1]))]
        _clear(b, eqn, slots, rest, facts)
    return b.region(region.params, region.results)


def _is_zeros(eqn: Eqn) -> bool:
    return eqn.prim == "full" and eqn.ins[0] == number(0.0, eqn.out.type.dtype)


def _empty(zeros: Eqn) -> Eqn:
    params = {"dtype": zeros.out.type.dtype}
    return zeros.with_(prim="empty", ins=zeros.ins[1:], params=params)


def _slots(loop: Eqn, zeros: Mapping[Var, Eqn], facts: Facts) -> list[int]:
    """What `loop` carries that starts as zeros, and of which each iteration touches its own row."""
    if loop.prim != "for" or loop.params.get("exit") or not _is_counted(loop):
        return []
    (body,) = loop.regions
    found = []
    for k, (init, param, result) in enumerate(zip(loop.ins[3:], body.params[1:], body.results)):
        if init not in zeros or param.type.ndim < 2:
            continue
        accesses = BufferAccesses(param)
        accesses.block(body)
        own = all(p[0].kind == "index" and p[0].start is body.params[0] for p in accesses.places)
        if not own or accesses.escapes or result not in accesses.versions:
            continue
        if _has_rows(loop, zeros[init].ins[1], facts) or _adds(loop, accesses):
            found.append(k)
    return found


def _has_rows(loop: Eqn, rows: Atom, facts: Facts) -> bool:
    """True where the loop's indices are certainly below `rows`."""
    return facts.at_least(lin(rows) - _end(loop))


def _end(loop: Eqn) -> Lin:
    """The first index that the loop does not reach."""
    start, stop, step = loop.ins[:3]
    return lin(stop) if step == i64(1) else lin(start) + 1


def _adds(loop: Eqn, accesses: BufferAccesses) -> bool:
    """True where each iteration of a reverse sweep adds to its row."""
    added = (e for e in accesses.eqns if e.prim == "accum" and e.role == ADJOINT)
    return loop.role == ADJOINT and any(e in loop.regions[0].eqns for e in added)


def _is_counted(loop: Eqn) -> bool:
    """True for a loop over 0, 1, 2, … or down to 0."""
    start, stop, step = loop.ins[:3]
    return (start, step) == (i64(0), i64(1)) or (stop, step) == (i64(-1), i64(-1))


def _clear(b: Builder, loop: Eqn, rows: Sequence[int], rest: Sequence[int], facts: Facts) -> None:
    """Append `loop` with the rows cleared that its iterations add to, of what it carries at the
    places `rows`, and what clears the others, of those at `rest`."""
    (body,) = loop.regions
    outs = [Var(v.name, v.type) if k in rest else v for k, v in enumerate(loop.outs)]
    index, params = body.params[0], [body.params[1 + k] for k in rows]
    names = {v: Var(v.name, v.type) for v in params}
    cleared = [_fill(v, index, "i", names[v], loop) for v in params]
    others = substitute(Region((), body.eqns, body.results), names)
    region = Region(body.params, (*cleared, *others.eqns), others.results)
    b.append(loop.with_(outs=tuple(outs), regions=(region,)))
    if not rest:
        return
    b.loc, b.role = loop.loc, loop.role
    counts_up = loop.ins[2] == i64(1)
    end = loop.ins[1] if counts_up else following(b, loop.ins[0], facts.defs)
    reached = b.emit("maximum", end, i64(0), name="end")
    for k in rest:
        b.append(_fill(outs[k], reached, "_:", loop.outs[k], loop))


def _fill(array: Var, at: Atom, where: str, out: Var, loop: Eqn) -> Eqn:
    """`out` is `array` with zeros in a row, or in all rows from one on."""
    spec = ",".join([where, *":" * (array.type.ndim - 1)])
    ins = (array, number(0.0, array.type.dtype), at)
    return Eqn((out,), "store", ins, {"spec": spec}, (), loop.loc, loop.role)
