"""What is linear in a few numbers, by its coefficients.

    z = 2 x + 3 y + p            z: {x: 2, y: 3, AFFINE: p}
    w = z * u                    w: {x: 2 u, y: 3 u, AFFINE: p u}

The equations that make `w` of `x` and `y` become those that make its coefficients, which have
nothing to do with `x` and `y`: forward accumulation of a Jacobian, of a program that is linear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s2s_ad.ir.build import Builder, number
from s2s_ad.ir.core import Atom, Eqn, Lit, Region, Var, eqn_free_vars, walk

#: One of the numbers; what does not depend on any.
Seed = int
AFFINE: Seed = -1
#: A number that is linear in them: the coefficient of each. One that is left out is 0.
Form = dict[Seed, Atom]
#: What may be linear; and `eq`, for `Forms._select`.
LINEAR = ("add", "sub", "neg", "mul", "div", "select", "eq")


class Forms:
    """The forms of numbers: `known`, and how the program makes them."""

    def __init__(self, seeds: Mapping[Var, Seed], body: Region) -> None:
        """Of what `body` makes of `seeds`."""
        self.known: dict[Atom, Form] = {p: {k: number(1.0, p.type.dtype)} for p, k in seeds.items()}
        self.moving = set(seeds)
        self.made = {out: e for e in walk(body) for out in e.outs}

    def propagate(self, b: Builder, eqns: Sequence[Eqn]) -> bool:
        """Append coefficients of what `eqns` compute; False where one is not linear."""
        for eqn in eqns:
            if self.moving.isdisjoint(eqn_free_vars(eqn)):
                b.append(eqn)
                continue
            self.moving.update(eqn.outs)
            if eqn.prim == "eq":
                continue
            with b.at(eqn.loc):
                found = self._branch(b, eqn) if eqn.prim == "if" else [self._form(b, eqn)]
            if found is None or None in found:
                return False
            self.known.update(zip(eqn.outs, found))
        return True

    def _of(self, a: Atom) -> Form:
        return self.known.get(a, {AFFINE: a})

    def _branch(self, b: Builder, eqn: Eqn) -> list[Form | None] | None:
        """The forms of the results of an `if`: another `if` gives all their coefficients."""
        cases: list[tuple[Builder, list[Form]]] = []
        for region in eqn.regions:
            inside = Builder(b.loc, b.role)
            if not self.propagate(inside, region.eqns):
                return None
            cases.append((inside, list(map(self._of, region.results))))
        keys = [
            (n, k)
            for n, forms in enumerate(zip(*(found for _, found in cases)))
            for k in dict.fromkeys(k for form in forms for k in form)
        ]
        zeros = [number(0.0, out.type.dtype) for out in eqn.outs]
        regions = [
            inside.region((), [found[n].get(k, zeros[n]) for n, k in keys])
            for inside, found in cases
        ]
        outs = b.equation("if", eqn.ins, regions=regions, names=[eqn.outs[n].name for n, _ in keys])
        return [{k: v for (m, k), v in zip(keys, outs) if m == n} for n in range(len(eqn.outs))]

    def _form(self, b: Builder, eqn: Eqn) -> Form | None:
        """The form of the result of arithmetic; None where it is not linear."""
        name = eqn.out.name
        if eqn.prim in ("add", "sub"):
            return _sum(b, eqn.prim, *map(self._of, eqn.ins), name)
        if eqn.prim == "neg":
            return {k: b.emit("neg", c, name=name) for k, c in self._of(eqn.ins[0]).items()}
        if eqn.prim == "select":
            return self._select(b, eqn)
        if eqn.prim not in ("mul", "div"):  # a conversion of floats: it rounds
            return None
        left, right = eqn.ins
        if eqn.prim == "mul" and left not in self.known:
            left, right = right, left
        if right in self.known or left not in self.known:
            return None
        return {k: _scaled(b, eqn.prim, c, right, name) for k, c in self.known[left].items()}

    def _select(self, b: Builder, eqn: Eqn) -> Form | None:
        """Of either of two. Where `0.0 if x == 0.0 else x / r` keeps a cotangent from 0 / 0, the
        form is that of x / r: where r is 0 a coefficient is none, and all goes the other way."""
        test = self.made.get(eqn.ins[0])  # type: ignore[arg-type]
        if test is None or eqn.ins[0] not in self.moving:
            return _chosen(b, eqn, *map(self._of, eqn.ins[1:]))
        scaled = self.made.get(eqn.ins[2])  # type: ignore[arg-type]
        zeros = all(isinstance(a, Lit) and a.value == 0 for a in (test.ins[1], eqn.ins[1]))
        if test.prim != "eq" or scaled is None or not zeros:
            return None
        holds = scaled.prim in ("mul", "div") and test.ins[0] in scaled.ins
        return self._of(eqn.ins[2]) if holds else None


def is_one(a: Atom) -> bool:
    return isinstance(a, Lit) and a.value == 1.0


def product_of(b: Builder, form: Form, seeds: Mapping[Var, Seed], name: str) -> Atom:
    """The value of a form: its coefficients multiplied with the seeds."""
    pairs = [(p, form[k]) for p, k in seeds.items() if k in form]
    terms: list[Atom] = [p for p, c in pairs if is_one(c)]
    terms += (b.emit("mul", p, c, name=name) for p, c in pairs if not is_one(c))
    total, *others = (*terms, *(c for k, c in form.items() if k == AFFINE))
    for one in others:
        total = b.emit("add", total, one, name=name)
    return total


def _scaled(b: Builder, prim: str, c: Atom, by: Atom, name: str) -> Atom:
    return by if prim == "mul" and is_one(c) else b.emit(prim, c, by, name=name)


def _sum(b: Builder, prim: str, left: Form, right: Form, name: str) -> Form:
    found = dict(left)
    for k, c in right.items():
        if k in left:
            found[k] = b.emit(prim, left[k], c, name=name)
        else:
            found[k] = c if prim == "add" else b.emit("neg", c, name=name)
    return found


def _chosen(b: Builder, eqn: Eqn, left: Form, right: Form) -> Form:
    zero = number(0.0, eqn.out.type.dtype)
    cases = {k: (left.get(k, zero), right.get(k, zero)) for k in dict.fromkeys((*left, *right))}
    return {k: b.emit("select", eqn.ins[0], *c, name=eqn.out.name) for k, c in cases.items()}
