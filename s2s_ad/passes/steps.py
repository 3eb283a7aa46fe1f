"""Several iterations of a linear recurrence as one.

    y = add x, p                      c2 = mul c, c …
    x1 = mul y, c            →        c4 = mul c3, c
                                      …             what the iterations leave, step by step
                                      alone = …     of p, p1, p2, p3
                                      x4 = add (mul x, c4), alone

The coefficients have nothing to do with the iteration: they stand in front of the loop.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import ADJOINT, Atom, Eqn, Lit, Region, Var, clone
from s2s_ad.passes.forms import AFFINE, Forms, product_of

#: How many iterations are one.
STEPS = 4
#: In what range coefficients are: the smallest has all its digits, products with the greatest are
#: numbers.
RANGE = {"f64": (1e-200, 1e6), "f32": (1e-25, 1e6)}

_FOLD = {
    "add": operator.add, "sub": operator.sub, "neg": operator.neg, "mul": operator.mul,
    "div": operator.truediv,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Steps:
    """`before` the loop, coefficients; `eqns` of STEPS iterations, from the lowest of their
    indices and what is carried into the first; `kept[n]` is what the values that were asked for are
    in the n-th; `results` what goes on to the next, by place."""

    before: list[Eqn]
    coefficients: list[Atom]
    eqns: list[Eqn]
    kept: list[dict[Var, Atom]]
    results: dict[int, Atom]

    @property
    def several(self) -> bool:
        return len(self.kept) > 1


def several_steps(
    loop: Eqn, seeds: Mapping[int, Var], chain: Sequence[Eqn], asked: Sequence[Var]
) -> Steps | None:
    """STEPS iterations of `chain`, equations of the body of `loop` that make the next `seeds`; None
    where they are not linear with coefficients that are the same in all iterations, in the range
    of numbers, or are not a recurrence."""
    eqns, kept, last = _unrolled(loop, seeds, chain, asked)
    by_seed = {p: k for k, p in seeds.items()}
    forms = Forms(by_seed, Region((), tuple(eqns), ()))
    b = Builder(loop.loc, ADJOINT)
    if not forms.propagate(b, eqns):
        return None
    plain = [e for e in eqns if not forms.moving.isdisjoint(e.outs)]
    if any(e.role != ADJOINT or e.prim not in _FOLD for e in plain):
        return None
    before, inside, known = _apart(b.eqns, {*loop.regions[0].params})
    plain = [e.with_(ins=tuple(known.get(a, a) for a in e.ins)) for e in plain]
    kept = [{v: known.get(a, a) for v, a in values.items()} for values in kept]
    found = {
        k: {s: known.get(c, c) for s, c in forms.known.get(a, {AFFINE: a}).items()}
        for k, a in last.items()
    }
    coefficients = [c for f in found.values() for s, c in f.items() if s != AFFINE]
    varying = {*loop.regions[0].params, *(v for e in inside for v in e.outs)}
    if not varying.isdisjoint(coefficients) or not _in_range(coefficients):
        return None
    product = Builder(loop.loc, ADJOINT)
    results = {k: product_of(product, form, by_seed, seeds[k].name) for k, form in found.items()}
    names = {a: results[k] for k, a in last.items()}
    kept[-1] = {v: names.get(a, a) for v, a in kept[-1].items()}
    return Steps(before, coefficients, [*inside, *plain, *product.eqns], kept, results)


def _unrolled(
    loop: Eqn, seeds: Mapping[int, Var], chain: Sequence[Eqn], asked: Sequence[Var]
) -> tuple[list[Eqn], list[dict[Var, Atom]], dict[int, Atom]]:
    """STEPS copies of `chain`, each with what the one before made of the seeds; what is `asked` for
    in each; and the seeds after the last."""
    (body,) = loop.regions
    wanted = (*(body.results[k] for k in seeds), *asked)
    b = Builder(loop.loc, ADJOINT)
    now: dict[int, Atom] = dict(seeds)
    kept = []
    for n in range(STEPS):
        names: dict[Var, Atom] = {p: now[k] for k, p in seeds.items()}
        names[body.params[0]] = index_of(b, loop, body.params[0], n)
        copy = clone(Region((), tuple(chain), wanted), names)
        b.eqns += copy.eqns
        now = dict(zip(seeds, copy.results))
        kept.append(dict(zip(asked, copy.results[len(seeds) :])))
    return b.eqns, kept, now


def index_of(b: Builder, loop: Eqn, lowest: Var, n: int) -> Var:
    """The index of the n-th of STEPS iterations."""
    more = n if loop.ins[2].value > 0 else STEPS - 1 - n
    return b.emit("add", lowest, i64(more), name=lowest.name) if more else lowest


def _apart(eqns: Sequence[Eqn], varying: set[Var]) -> tuple[list[Eqn], list[Eqn], dict[Atom, Atom]]:
    """Arithmetic that does not depend on what is `varying`, and all else; and what stands for the
    results of the first: variables of a better name, or literals."""
    before, inside = [], []
    known: dict[Atom, Atom] = {}
    varying = set(varying)
    for eqn in eqns:
        eqn = eqn.with_(ins=tuple(known.get(a, a) for a in eqn.ins))
        if eqn.prim not in _FOLD or not eqn.out.type.is_float or not varying.isdisjoint(eqn.ins):
            varying.update(eqn.outs)
            inside.append(eqn)
        elif (value := _folded(eqn)) is not None:
            known[eqn.out] = value
        else:
            known[eqn.out] = Var("coefficient", eqn.out.type)
            before.append(eqn.with_(outs=(known[eqn.out],)))
    return before, inside, known


def _folded(eqn: Eqn) -> Lit | None:
    values = [a.value for a in eqn.ins if isinstance(a, Lit)]
    if len(values) < len(eqn.ins) or (eqn.prim == "div" and values[1] == 0):
        return None
    return Lit(float(_FOLD[eqn.prim](*values)), eqn.out.type)


def _in_range(coefficients: Sequence[Atom]) -> bool:
    """False where there are none, or literals that are not; of others, only the program knows."""
    low, high = RANGE[coefficients[0].type.dtype] if coefficients else (0.0, 0.0)
    sizes = [abs(c.value) for c in coefficients if isinstance(c, Lit)]
    some = len(sizes) < len(coefficients) or sum(sizes) >= low
    return bool(coefficients) and some and sum(sizes) <= high
