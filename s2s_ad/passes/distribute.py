"""Functions are computed before the recurrence that takes them, several at once.

    s = for 0, n, 1, 0.0 { (i, s)           t = empty 256
      u = load x, i                         s = for 0, n, 256, 0.0, t { (lo, s, t)
      e = exp u                               m = minimum (n - lo), 256
      s = add s, e                  →         t = for 0, m, 1, t { (k, t)
      yield s                                   u = load x, lo + k
    }                                           e = exp u
                                                t = store t, e, k
                                                yield t }
                                              s = for 0, m, 1, s { (k, s)
                                                e = load t, k
                                                s = add s, e
                                                yield s }
                                              yield s, t }

A sum that a loop spells out is added up in its order, and a price is multiplied step by step: such
loops are not vectorised, and with them nothing that they compute. But the terms depend on nothing
that the loop carries. They are computed for a piece of the loop at a time, in the cache. Adjoints
of stencils stay as they are: their terms have no order, and lookahead.py takes these loops apart.
"""

from __future__ import annotations

from collections.abc import Set

from s2s_ad.analysis.vectors import is_function, is_vector
from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import Eqn, Func, Region, eqn_free_vars, walk
from s2s_ad.passes.lookahead import taken_apart
from s2s_ad.passes.pieces import Split, emit_pieces, is_plain, split


def distribute(func: Func) -> Func:
    """`func` with the loops of the module's docstring in two.

    Example: `distribute(func)` gives the same results to the last bit.
    """
    return func.with_(body=_region(func.body, taken_apart(func)))


def _region(region: Region, others: Set[Eqn]) -> Region:
    b = Builder()
    for eqn in region.eqns:
        parts = None if eqn in others else _parts(eqn)
        eqn = eqn.with_(regions=tuple(_region(r, others) for r in eqn.regions))
        if parts is None:
            b.append(eqn)
        else:
            b.loc, b.role = eqn.loc, eqn.role
            emit_pieces(b, eqn, parts)
    return b.region(region.params, region.results)


def _parts(loop: Eqn) -> Split | None:
    """How `loop` is taken apart; None where that is not possible, or of no use."""
    if not is_plain(loop) or is_vector(loop.regions[0]):
        return None
    (body,) = loop.regions
    parts = split(body)
    if parts is None:
        return None
    functions = {e.prim for e in _varying(body) if is_function(e) and e in parts.early}
    late = [e for e in walk(body) if e not in parts.early]
    return parts if functions and not any(e.prim in functions for e in late) else None


def _varying(body: Region) -> list[Eqn]:
    """What has the index among its operands, or something that is computed with it."""
    known, found = {body.params[0]}, []
    for eqn in body.eqns:
        if not known.isdisjoint(eqn_free_vars(eqn)):
            known.update(eqn.outs)
            found.append(eqn)
    return found
