"""The Jacobian of an iteration is computed before the cotangents go through it.

    x, a = for n1, -1, -1, x0, a0 { (i, x, a)       J = for … { early, several at once
      p = load t, i                                   p = load t, i
      u = sin p                                       u = sin p
      y = mul x, u                                    j1 = mul u, u
      z = mul y, u                         →          j2 = mul u, 3.0 }
      w = mul y, 3.0                                x, a = for … { late, one after the other
      b = add a, w                                    z = mul x, j1
      yield z, b                                      w = mul x, j2
    }                                                 b = add a, w
                                                      yield z, b }

The reverse sweep of a recurrence of few numbers (an ODE's step, a filter, a price) is a chain: each
iteration waits for the cotangents that the one before has left, for as long as its longest path
takes. But it is linear in them. Its coefficients, products of partial derivatives along its paths
(Griewank and Walther, Evaluating Derivatives, 2008, §10), come from the tape alone. They are
computed for a piece of the loop at a time (pieces.py), by vector instructions, and what remains of
the chain is a product with a small matrix.

A product of partial derivatives may be more than any float where the cotangent, multiplied with one
after the other, is one. So each iteration asks whether all coefficients and cotangents are of
moderate size; where they are not, it goes the way that the program has (`if … else`, not shown).
Loops of few iterations go it throughout.

Where all that becomes of a carried `x` is `v = add x, w` (a cotangent that comes from later in the
program as well, as those of a trajectory do), it is `v` whose coefficients are computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from s2s_ad.analysis.powers import parts
from s2s_ad.analysis.vectors import is_function, is_simple, is_vector
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import (
    ADJOINT,
    Atom,
    Eqn,
    Func,
    Region,
    Var,
    clone,
    eqn_free_vars,
    free_vars,
    region_defs,
    region_uses,
    substitute,
    walk,
)
from s2s_ad.passes.forms import AFFINE, LINEAR, Form, Forms, Seed, is_one, product_of
from s2s_ad.passes.pieces import Split, emit_pieces, is_plain, is_short, split, trips

#: A loop of fewer iterations is not worth the detour.
FEWEST = 32
#: The greatest cotangents, and coefficients, that are moderate.
_MODERATE = {"f64": (1e30, 1e270), "f32": (1e6, 1e30)}
#: Numbers that a vector instruction works on at once, of f64 and at least.
_LANES = 4
#: How long equations take, an addition being 1.
_WEIGHTS = {"div": 5, "sqrt": 5, "load": 0.5, "convert": 0.5}
_FUNCTION = 20


def preaccumulate(func: Func) -> Func:
    """`func` with the loops of the module's docstring in two.

    Example: `preaccumulate(func)` gives the same results, but for rounding.
    """
    return func.with_(body=_region(func.body))


def _region(region: Region) -> Region:
    b = Builder()
    for eqn in region.eqns:
        eqn = eqn.with_(regions=tuple(map(_region, eqn.regions)))
        if not _rewritten(b, eqn):
            b.append(eqn)
    return b.region(region.params, region.results)


def _rewritten(b: Builder, loop: Eqn) -> bool:
    """True where `loop` has been appended, with Jacobians."""
    if loop.role != ADJOINT or not is_plain(loop) or is_vector(loop.regions[0]):
        return False
    recurrence = _recurrence(loop.regions[0])
    if recurrence is None or is_short(loop, FEWEST):
        return False
    jacobian = _jacobian(loop, recurrence)
    if jacobian is None or not _pays(recurrence, jacobian):
        return False
    b.loc, b.role = loop.loc, loop.role
    ahead: Atom | None = b.emit("ge", trips(b, loop), i64(FEWEST), name="ahead")
    body, choosing = _body(loop, recurrence, jacobian, ahead)
    parts = split(body)
    if parts is not None and (parts.first or _is_read(parts, body, choosing)):
        ahead = None  # more than Jacobians comes from the early part, so it always runs
        body, _ = _body(loop, recurrence, jacobian, ahead)
        parts = split(body)
    if parts is None:
        return False
    emit_pieces(b, loop.with_(regions=(body,)), parts, ahead)
    return True


def _is_read(parts: Split, body: Region, choosing: set[Eqn]) -> bool:
    """True where something that is passed on is read by more than what chooses the product with the
    Jacobian, and that product."""
    others = [e for e in (*parts.again, *parts.late) if e not in choosing]
    read = {*body.results, *(v for e in others for v in eqn_free_vars(e))}
    for eqn in choosing:
        for region in eqn.regions[1:]:
            read.update(free_vars(region))
    return not read.isdisjoint(parts.passed)


# --- what is linear ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recurrence:
    """A body in three: what nothing carried decides; arithmetic that is linear in the carried
    `seeds`, by their places; and writes of what that gives to arrays. `inputs` are sums of a seed
    and something early that take the seed's place."""

    body: Region
    early: list[Eqn]
    linear: list[Eqn]
    writes: list[Eqn]
    seeds: dict[Var, Seed]
    inputs: dict[Seed, Eqn]

    @property
    def outputs(self) -> list[Var]:
        """What the linear part is computed for."""
        made = {out for e in self.linear for out in e.outs}
        wanted = (*self.body.results, *(e.ins[1] for e in self.writes))
        return [a for a in dict.fromkeys(wanted) if isinstance(a, Var) and a in made]

    @property
    def added(self) -> list[Var]:
        """What the inputs add to the seeds."""
        atoms = [a for e in self.inputs.values() for a in e.ins]
        return [a for a in dict.fromkeys(atoms) if isinstance(a, Var) and a not in self.seeds]

    def forms(self) -> Forms:
        """The forms of the seeds, or of what takes their place."""
        taken = {self.inputs[k].out if k in self.inputs else p: k for p, k in self.seeds.items()}
        return Forms(taken, self.body)


def _recurrence(body: Region) -> _Recurrence | None:
    """How `body` comes apart; None where not all that depends on carried numbers is linear."""
    pairs = list(enumerate(zip(body.params[1:], body.results)))
    seeds = {p: k for k, (p, r) in pairs if not p.type.is_array and r is not p}
    if not all(p.type.dtype in _MODERATE for p in seeds) or len({*seeds}) == 0:
        return None
    if len({p.type.dtype for p in seeds}) > 1 or not all(map(is_simple, walk(body))):
        return None
    early, linear, writes = [], [], []
    moving, written = set(seeds), set()
    for eqn in body.eqns:
        if moving.isdisjoint(eqn_free_vars(eqn)):
            early.append(eqn)
        elif eqn.prim in ("store", "accum") and moving.isdisjoint((eqn.ins[0], *eqn.ins[2:])):
            writes.append(eqn)
            written.update((eqn.ins[0], eqn.out))
        elif _is_linear(eqn, moving):
            linear.append(eqn)
            moving.update(eqn.outs)
        else:
            return None
    others = [v for e in (*early, *linear) for v in eqn_free_vars(e)]
    if not written.isdisjoint(others):  # read again, or written by the early part too
        return None
    return _Recurrence(body, early, linear, writes, seeds, _inputs(body, linear, seeds, moving))


def _inputs(
    body: Region, linear: Sequence[Eqn], seeds: dict[Var, Seed], moving: set[Var]
) -> dict[Seed, Eqn]:
    """The sums that are all that becomes of a seed."""
    uses = Counter(region_uses(body))
    sums = [e for e in linear if e.prim == "add" and len(moving.intersection(e.ins)) == 1]
    return {seeds[a]: e for e in sums for a in e.ins if a in seeds and uses[a] == 1}


def _is_linear(eqn: Eqn, moving: set[Var]) -> bool:
    """True for arithmetic of cotangents, or a branch with nothing else in it that takes what is
    `moving`; whether a product is linear, only the forms of its operands tell."""
    if eqn.role != ADJOINT:
        return False
    if eqn.prim != "if":
        return eqn.prim in LINEAR
    known = set(moving)
    for inner in (e for r in eqn.regions for e in r.eqns):
        if inner.prim in ("store", "accum"):
            return False
        if not known.isdisjoint(eqn_free_vars(inner)):
            if not _is_linear(inner, known):
                return False
            known.update(inner.outs)
    return eqn.ins[0] not in moving


# --- the Jacobian --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Jacobian:
    """The equations that give it, and for each output its form."""

    eqns: list[Eqn]
    forms: dict[Var, Form]

    def coefficients(self) -> list[Var]:
        """All that are not literals, each once."""
        found = (a for form in self.forms.values() for a in form.values())
        return [a for a in dict.fromkeys(found) if isinstance(a, Var)]

    @property
    def chained(self) -> set[Seed]:
        """The seeds that are multiplied with something; the others are only added to."""
        forms = self.forms.values()
        return {k for f in forms for k, c in f.items() if k != AFFINE and not is_one(c)}


def _jacobian(loop: Eqn, recurrence: _Recurrence) -> _Jacobian | None:
    """Propagates forms through the linear equations; None where one is not linear after all."""
    b, forms = Builder(loop.loc, loop.role), recurrence.forms()
    inputs = recurrence.inputs.values()
    if not forms.propagate(b, [e for e in recurrence.linear if e not in inputs]):
        return None
    return _named(_Jacobian(b.eqns, {v: forms.known[v] for v in recurrence.outputs}), recurrence)


def _named(jacobian: _Jacobian, recurrence: _Recurrence) -> _Jacobian:
    """With names for its coefficients: what is differentiated, by what."""
    seeds = {k: p.name for p, k in recurrence.seeds.items()}
    made = {out for e in jacobian.eqns for out in e.outs}
    names: dict[Var, Var] = {}
    for v, form in jacobian.forms.items():
        for k, c in form.items():
            if isinstance(c, Var) and c in made and c not in names:
                name = f"{v.name}_alone" if k == AFFINE else f"{v.name}_by_{seeds[k]}"
                names[c] = Var(name, c.type)
    whole = substitute(Region((), tuple(jacobian.eqns), ()), names)
    eqns = [e.with_(outs=tuple(names.get(v, v) for v in e.outs)) for e in whole.eqns]
    forms = {v: {k: names.get(c, c) for k, c in f.items()} for v, f in jacobian.forms.items()}
    return _Jacobian(eqns, forms)


def _pays(recurrence: _Recurrence, jacobian: _Jacobian) -> bool:
    """True where the Jacobian, several at once, and the product with it take less time than the
    iteration does."""
    if not (jacobian.chained and jacobian.coefficients()):
        return False
    passed = len(jacobian.coefficients()) + len(recurrence.added)
    inside = {*region_defs(recurrence.body), *(v for e in jacobian.eqns for v in e.outs)}
    early, before = (_weight(eqns, inside) for eqns in (recurrence.early, recurrence.linear))
    products = sum(len(form) for form in jacobian.forms.values())
    ahead = early + _weight(jacobian.eqns, inside) + passed
    after = ahead / _LANES + passed / 2 + products + 2
    return after < 0.9 * (early + before)


def _weight(eqns: Sequence[Eqn], inside: set[Var]) -> float:
    """How long they take. What is divided by something from outside is multiplied with what that
    has made of it."""
    every = [e for eqn in eqns for e in (eqn, *(i for r in eqn.regions for i in walk(r)))]
    total = 0.0
    for e in every:
        light = e.prim == "div" and e.ins[1] not in inside
        steps = sum(_WEIGHTS.get(prim, 1) for prim in parts(e) or (e.prim,))
        total += _FUNCTION if is_function(e) else 1 if light else steps
    return total


# --- the loop ------------------------------------------------------------------------------------


def _body(
    loop: Eqn, recurrence: _Recurrence, jacobian: _Jacobian, ahead: Atom | None
) -> tuple[Region, set[Eqn]]:
    """The body: coefficients, and either the product with them or all that was there. And the
    equations that choose."""
    body, outputs = recurrence.body, recurrence.outputs
    b = Builder(loop.loc, loop.role)
    b.eqns += (*recurrence.early, *jacobian.eqns)
    size = _size(b, recurrence, jacobian)
    before = len(b.eqns)
    moderate = _moderate(b, recurrence, jacobian, size)
    product = Builder(loop.loc, loop.role)
    seeds = _seeds(product, recurrence)
    found = [product_of(product, jacobian.forms[v], seeds, v.name) for v in outputs]
    regions = (product.region((), found), _otherwise(recurrence, outputs))
    chosen = moderate if ahead is None else b.emit("and", ahead, moderate)
    outs = b.equation("if", (chosen,), regions=regions, names=[v.name for v in outputs])
    names, choosing = dict(zip(outputs, outs)), {*b.eqns[before:]}
    b.eqns += (e.with_(ins=tuple(names.get(a, a) for a in e.ins)) for e in recurrence.writes)
    return b.region(body.params, [names.get(r, r) for r in body.results]), choosing


def _size(b: Builder, recurrence: _Recurrence, jacobian: _Jacobian) -> Atom:
    """The sum of the magnitudes of all coefficients: more than each of them, and not a number where
    one is not. What is added to cotangents counts as much more as these must be less."""
    sizes: list[Atom] = [b.emit("abs", c) for c in jacobian.coefficients()]
    for one in recurrence.added:
        most, greatest = _MODERATE[one.type.dtype]
        scaled = b.emit("mul", one, number(greatest / most, one.type.dtype))
        sizes.append(b.emit("abs", scaled))
    total = sizes[0]
    for one in sizes[1:]:
        total = b.emit("add", total, one, name="size")
    return total


def _moderate(b: Builder, recurrence: _Recurrence, jacobian: _Jacobian, size: Atom) -> Atom:
    """Whether all coefficients, and the cotangents that they are multiplied with, are moderate."""
    most, greatest = (number(k, size.type.dtype) for k in _MODERATE[size.type.dtype])
    test = b.emit("le", size, greatest)
    for param, k in recurrence.seeds.items():
        if k in jacobian.chained:
            test = b.emit("and", test, b.emit("le", b.emit("abs", param), most))
    return test


def _seeds(b: Builder, recurrence: _Recurrence) -> dict[Var, Seed]:
    """The seeds, or what takes their place, computed in `b`."""
    found = {}
    for param, k in recurrence.seeds.items():
        if k in recurrence.inputs:
            eqn = recurrence.inputs[k]
            param = Var(eqn.out.name, eqn.out.type)
            b.append(eqn.with_(outs=(param,)))
        found[param] = k
    return found


def _otherwise(recurrence: _Recurrence, outputs: Sequence[Var]) -> Region:
    """The iteration as it was. What it reads of arrays that are written is read outside."""
    carried = set(recurrence.body.params[1:])
    outside = {
        e for e in recurrence.early
        if any(a.type.is_array and (a in carried or e.prim != "load") for a in e.ins)
        or any(a.type.is_array for a in e.outs)
    }  # fmt: skip
    own = [e for e in recurrence.early if e not in outside]
    eqns = (*own, *recurrence.linear)
    return clone(Region((), eqns, tuple(outputs)))
