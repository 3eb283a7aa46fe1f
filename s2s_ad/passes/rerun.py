"""A loop run again in the reverse sweep, with the tapes of one run.

    for i {                              reverse of i:   tape = empty m
      p = for 0, m, 1, 1.0 { (j, p)                      p, tape.1 = for 0, m, 1, 1.0, tape { …
        p.1 = mul p, t                                     tape.2 = store tape, p, j
        yield p.1                                          p.1 = mul p, t
      }                                                    yield p.1, tape.2
      …                                                  }
    }                                                    … tape.1 …

What the reverse sweep does not ask for, and the effects, which have been seen, are left out.
"""

from __future__ import annotations

from collections.abc import Callable

from s2s_ad.analysis.plan import Plan
from s2s_ad.analysis.program import Node, Program
from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import RECOMPUTED, Atom, Eqn, Func, Region, Var, clone, free_vars
from s2s_ad.ir.prims import PRIMS
from s2s_ad.passes.dce import dce
from s2s_ad.passes.tape import Forward, forward


def run_again(
    program: Program, plan: Plan, node: Node, look: Callable[[Atom], Atom], b: Builder
) -> tuple[dict[Var, Atom], Forward]:
    """Add the loop with the body `node` to `b`. `look` gives the values that it reads. Returns
    those of its results that are asked for, and its tapes."""
    ahead = forward(program, plan, node)
    wanted, keys = sorted(plan.again[node], key=node.eqn.outs.index), list(ahead.state)
    results = (*wanted, *(ahead.state[key] for key in keys))
    body = Region((), tuple(map(_quiet, ahead.builder.eqns)), results)
    slim = dce(Func("again", body)).body
    new = clone(slim, {v: look(v) for v in free_vars(slim)})
    b.eqns += new.eqns
    ahead.state = dict(zip(keys, new.results[len(wanted) :]))
    return dict(zip(wanted, new.results)), ahead


def _quiet(eqn: Eqn) -> Eqn:
    """`eqn` as part of the reverse sweep, without effects."""
    regions = tuple(
        Region(
            r.params,
            tuple(_quiet(e) for e in r.eqns if PRIMS[e.prim].kind != "effect"),
            r.results,
        )
        for r in eqn.regions
    )
    return eqn.with_(regions=regions, role=RECOMPUTED)
