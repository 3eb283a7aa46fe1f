"""Reverse mode: the linear part of a differentiated function, transposed.

    t: f64 = cos x                       forward     y = sin x;  t = cos x
    y_dot: f64 = mul x_dot, t  tangent   reverse     x_bar = mul y_bar, t

Equations are taken in reverse order; a `for` runs backwards, an `if` takes the branch it took, a
`while` runs as often as it did. Cotangents that are zero do not exist. Linear variables that a loop
reads from outside become accumulators that the reversed loop carries.

What the reverse sweep needs of the primal is asked for through `Reverse.lookup`. It runs twice:
once to learn what is asked for, from which the plan is made (analysis/plan.py), and once for real.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from s2s_ad.analysis.chains import Chain, chains
from s2s_ad.analysis.inversion import undoable
from s2s_ad.analysis.plan import Needs, Plan, dear, make_plan
from s2s_ad.analysis.program import Node, Program
from s2s_ad.analysis.rerun import rerunnable
from s2s_ad.ir.build import Builder, number
from s2s_ad.ir.core import ADJOINT, Atom, Eqn, Func, Region, Var, clone, free_vars
from s2s_ad.passes.dce import dce
from s2s_ad.passes.handover import handover
from s2s_ad.passes.jvp import jvp_with_pairs, names_of
from s2s_ad.passes.origins import origins
from s2s_ad.passes.putback import with_logs
from s2s_ad.passes.reread import reread
from s2s_ad.passes.reverse import Reverse
from s2s_ad.passes.tape import Forward, forward, prepare, with_extents
from s2s_ad.passes.untouched import untouched


def grad(
    func: Func,
    wrt: Sequence[int],
    invert: bool = False,
    donated: Sequence[int] = (),
    value: bool = True,
    guarded: bool = False,
) -> Func:
    """One function with all of `func`'s results and then the gradients of the first, a scalar, with
    respect to the parameters `wrt`; without that first result where `value` is false. It never
    writes to its arguments, and does not count on finding in those `donated`, later, what they hold
    at first. `invert` allows it to invert updates of floating-point variables, with rounding,
    instead of saving these. `guarded` allows conditions for what is handed over (handover.py)."""
    seed = number(1, func.results[0].type.dtype)
    first = 0 if value else 1
    sweeps = _Sweeps(func, wrt, {0: seed}, invert, donated, first, guarded)
    results = (*sweeps.primal_results[first:], *sweeps.gradients)
    names = names_of(func)[first:] + _bars(func, wrt)
    name = f"{func.name}_value_and_grad" if value else f"{func.name}_grad"
    return Func(name, Region(func.params, sweeps.eqns(), results), names)


def vjp(
    func: Func,
    wrt: Sequence[int],
    invert: bool = False,
    donated: Sequence[int] = (),
    guarded: bool = False,
) -> tuple[Func, Func]:
    """(forward, backward). `forward` has the parameters of `func`, and gives its results and then
    the residuals. `backward` has the residuals and then one cotangent for every floating-point
    result, and gives one gradient for every parameter in `wrt`. Neither writes to its arguments."""
    cotangents = {
        k: Var(f"{name}_bar", r.type)
        for k, (name, r) in enumerate(zip(names_of(func), func.results))
        if r.type.is_float
    }
    sweeps = _Sweeps(func, wrt, cotangents, invert, donated, guarded=guarded)
    params = tuple(cotangents.values())
    back = Region(params, tuple(sweeps.back.eqns), sweeps.gradients)
    residuals = tuple(free_vars(back))
    ahead = Region(func.params, sweeps.forward_eqns(), (*sweeps.primal_results, *residuals))
    whole = clone(Region((*residuals, *params), back.eqns, back.results))
    ahead_names = names_of(func) + tuple(r.name for r in residuals)
    return (
        Func(f"{func.name}_forward", ahead, ahead_names),
        Func(f"{func.name}_backward", whole, _bars(func, wrt)),
    )


def _bars(func: Func, wrt: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{func.params[k].name}_bar" for k in wrt)


class _Sweeps:
    """The forward and the reverse sweep of a function, which share variables. `cotangents` are
    given for some of its results, by index; the results before `first` are not wanted."""

    def __init__(
        self,
        func: Func,
        wrt: Sequence[int],
        cotangents: Mapping[int, Atom],
        invert: bool,
        donated: Sequence[int],
        first: int = 0,
        guarded: bool = False,
    ) -> None:
        self.func = func
        start, seeded = _linearised(func, wrt, cotangents, donated, guarded)
        wanted = start.func.results[first : len(func.results)]
        program, plan = _best_plan(start, seeded, invert, wanted)
        self.ahead: Forward = forward(program, plan)
        self.primal_results = program.func.results[: len(func.results)]
        self.back = Builder(role=ADJOINT)
        self.sweep = Reverse(program, plan, self.ahead, self.back)
        self.sweep.run(seeded)
        inputs = program.func.params[len(func.params) :]
        self.gradients = tuple(self.sweep.cotangent(v) for v in inputs)

    def forward_eqns(self) -> tuple[Eqn, ...]:
        """The forward sweep, with the extents that the reverse sweep asks for, each read as soon as
        its array exists (later the array may have been overwritten)."""
        eqns: list[Eqn] = []
        after: dict[Var, list[Eqn]] = {}
        for (array, _), eqn in self.sweep.dims.items():
            at_start = array in self.func.params
            (eqns if at_start else after.setdefault(array, [])).append(eqn)
        for eqn in self.ahead.builder.eqns:
            eqns.append(eqn)
            for out in eqn.outs:
                eqns += after.get(out, [])
        return tuple(eqns)

    def eqns(self) -> tuple[Eqn, ...]:
        return (*self.forward_eqns(), *self.back.eqns)


def _linearised(
    func: Func,
    wrt: Sequence[int],
    cotangents: Mapping[int, Atom],
    donated: Sequence[int],
    guarded: bool,
) -> tuple[Program, list[tuple[Var, Atom]]]:
    """The JVP of `func` with only those tangent results that have a cotangent, and these pairs."""
    tangent, primal_of = jvp_with_pairs(func, wrt)
    tangent = origins(tangent, donated)
    floats = [k for k, r in enumerate(func.results) if r.type.is_float]
    dots = tangent.results[len(func.results) :]
    pairs = [(dot, cotangents[k]) for k, dot in zip(floats, dots) if k in cotangents]
    results = tangent.results[: len(func.results)] + tuple(dot for dot, _ in pairs)
    body = Region(tangent.params, tangent.body.eqns, results)
    handed = untouched(handover(dce(Func(tangent.name, body)), guarded))
    ready, hints = with_extents(prepare(handed), primal_of)
    return Program(ready, len(tuple(wrt)), hints), [p for p in pairs if isinstance(p[0], Var)]


Seeds = list[tuple[Var, Atom]]


def _best_plan(
    program: Program, seeds: Seeds, invert: bool, results: Sequence[Atom]
) -> tuple[Program, Plan]:
    """The best plan, of the program as it is, or with what is saved, and functions, read from where
    they are stored. (Where nothing is saved, functions that are computed again cost nothing.)"""
    found, plan = _plan(program, seeds, invert, results)
    saved = {v for own in plan.saved.values() for v in own}
    again = reread(program.func, saved | dear(program))
    if again is program.func:
        return found, plan
    trial = _plan(program.of(again), seeds, invert, results)
    better = trial[1].cost < plan.cost or trial[1].cost == plan.cost == 0.0
    return trial if better else (found, plan)


def _plan(
    program: Program, seeds: Seeds, invert: bool, results: Sequence[Atom]
) -> tuple[Program, Plan]:
    """The best plan found: variables are inverted, arrays put back, and loops run again, one after
    the other, where that saves memory."""
    best = make_plan(program, _needs(program, (), seeds), ())
    chosen: list[Chain] = []
    if best.cost == 0:
        return program, best
    program, best, chosen = _inverted(program, best, seeds, invert)
    for chain in chains(program):
        rivals = [c for c in chosen if chain.versions & c.versions]
        if any(chain.versions != c.versions for c in rivals):
            continue  # else it is the same in another form
        wanted = [chain, *(c for c in chosen if c not in rivals)]
        trial, plan = _with_chains(program, wanted, seeds)
        if plan.cost < best.cost:
            program, best, chosen = trial, plan, wanted
    if not best.rounded:
        best = _with_reruns(program, best, chosen, seeds, results)
    return program, best


def _with_reruns(
    program: Program, best: Plan, chosen: list[Chain], seeds: Seeds, results: Sequence[Atom]
) -> Plan:
    """The plan with loops run again, the outermost first, with or without their results."""
    nodes = rerunnable(program, best.kept_by(None), best.restored)
    if not nodes:
        return best
    restored = _restored(program, chosen)
    needs = _needs(program, restored, seeds)
    again: dict[Node, bool] = {}
    for node, whole in itertools.product(nodes, (True, False)):
        wanted = {**again, node: whole}
        trial = make_plan(program, needs, restored, wanted, results)
        if trial.cost < best.cost:
            best, again = trial, wanted
    return best


def _restored(program: Program, wanted: list[Chain]) -> list[Chain]:
    """The chains of this version of the program that are those wanted."""
    return [c for c in chains(program) if any(map(c.is_of, wanted))]


def _with_chains(program: Program, wanted: list[Chain], seeds: Seeds) -> tuple[Program, Plan]:
    """A program that can put these chains back, and its plan."""
    func = program.func
    for chain in wanted:
        func = with_logs(func, chain, program.undo)
    trial = program.of(func)
    restored = _restored(trial, wanted)
    return trial, make_plan(trial, _needs(trial, restored, seeds), restored)


def _inverted(
    program: Program, best: Plan, seeds: Seeds, rounding: bool
) -> tuple[Program, Plan, list[Chain]]:
    """All that can be inverted, together (a leapfrog's positions need its velocities, and the other
    way round), without those that make no difference; nothing where it does not save memory."""
    able = program.undoing(undoable(program, rounding))
    chosen = [c for c in chains(able) if any(w in able.undo for w in c.writes)]
    if not chosen:
        return program, best, []
    trial, plan = _with_chains(able, chosen, seeds)
    for chain in list(chosen):
        fewer = [c for c in chosen if c is not chain]
        less, cheaper = _with_chains(able, fewer, seeds)
        if cheaper.cost <= plan.cost:
            trial, plan, chosen = less, cheaper, fewer
    return (trial, plan, chosen) if plan.cost < best.cost else (program, best, [])


def _needs(program: Program, restored: Sequence[Chain], seeds: Seeds) -> Needs:
    """What the reverse sweep asks for, found by running it."""
    versions = frozenset(v for c in restored for v in c.versions)
    stay = frozenset(w for c in restored for w in c.fresh)
    plan = Plan(restored=versions, fresh=stay)
    recorder = Reverse(program, plan, None, Builder(role=ADJOINT))
    recorder.run(seeds)
    return recorder.needs
