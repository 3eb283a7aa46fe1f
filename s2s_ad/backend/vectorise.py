"""Which of exp, sin, log, … the vector functions of `backend.vecmath` should compute.

    for i in range(n):                          for step in range(n):
        s += np.exp(x[i]) * w[i]                    y = y + h * np.cos(y)

The left loop can be vectorised: every iteration is for itself, but for a sum. The right one cannot,
each iteration needs the one before, and libm's scalar functions serve it best. But what a forward
sweep computed, a reverse sweep may compute again, and it must come to the same number: a condition
that is decided anew must be decided alike. So a module computes a function in one way throughout:
that of `vecmath` where any of its loops can be vectorised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from s2s_ad.ir.core import Atom, Eqn, Func, Lit, Region, Var, region_uses, walk
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import is_element

#: A primitive and the dtype of its result.
Function = tuple[str, str]

#: What makes a total, by kind; and how many of its operands may hold the total so far.
_KIND = {"sub": "add"} | {p: p for p in "add mul maximum minimum and or".split()}
_OPERANDS = {"sub": 1}
_WRITES = ("store", "accum")


def vectorised(funcs: Iterable[Func]) -> frozenset[Function]:
    """The elementwise primitives that stand, for these dtypes, in innermost `for` loops that can be
    vectorised."""
    loops = [e for f in funcs for e in walk(f.body) if e.prim == "for" and not e.params.get("exit")]
    bodies = [loop.regions[0] for loop in loops if _is_independent(loop.regions[0])]
    eqns = [e for body in bodies for e in walk(body) if PRIMS[e.prim].elementwise]
    return frozenset((e.prim, e.out.type.dtype) for e in eqns)


def _is_independent(body: Region) -> bool:
    """True where iterations pass nothing on but totals, and work on arrays element by element."""
    inner = list(walk(body))
    if not all(_is_simple(e) for e in inner):
        return False
    index, *carried = body.params
    uses = Counter(region_uses(body))
    made = {out: e for e in inner for out in e.outs}
    for param, result in zip(carried, body.results):
        if param.type.is_array:
            if not _is_elementwise(param, inner, index):
                return False
        elif result is not param and uses[param] != _Total(param, uses, made).uses(result):
            return False
    return True


def _is_simple(eqn: Eqn) -> bool:
    if eqn.prim in ("load", *_WRITES):
        return is_element(eqn.params["spec"])
    if eqn.prim == "if":
        return not any(a.type.is_array for a in eqn.outs)
    return PRIMS[eqn.prim].elementwise or eqn.prim == "dim"


class _Total:
    """A carried scalar, followed from the end of an iteration back to its start."""

    def __init__(self, param: Var, uses: Counter[Var], made: dict[Var, Eqn]) -> None:
        self.param, self.count, self.made = param, uses, made
        self.kind = ""

    def uses(self, a: Atom) -> int:
        """How many uses of `param` there are in `a`, on paths of additions (or of products, or of
        maxima) that lead nowhere else."""
        if a is self.param:
            return 1
        eqn = self.made.get(a) if isinstance(a, Var) and self.count[a] == 1 else None
        if eqn is None:
            return 0
        if eqn.prim in ("if", "select"):
            k = eqn.outs.index(a)
            cases = [r.results[k] for r in eqn.regions] or eqn.ins[1:]
            found = [self.uses(c) for c in cases]
            return sum(found) if all(found) else 0
        kind = _KIND.get(eqn.prim, "")
        if not kind or self.kind not in ("", kind):
            return 0
        self.kind = kind
        return sum(map(self.uses, eqn.ins[: _OPERANDS.get(eqn.prim)]))


def _is_elementwise(param: Var, inner: list[Eqn], index: Var) -> bool:
    """True where all versions of an array are read and written at one and the same element, which
    is another one in each iteration."""
    versions: set[Atom] = {param}
    places: set[tuple[object, ...]] = set()
    for eqn in inner:
        if eqn.ins and eqn.ins[0] in versions and eqn.prim in ("load", *_WRITES):
            place = eqn.ins[1:] if eqn.prim == "load" else eqn.ins[2:]
            places.add(tuple(a.value if isinstance(a, Lit) else a for a in place))
            if eqn.prim != "load":
                versions.add(eqn.out)
    made = {e.outs[0]: e for e in inner if e.outs}
    return len(places) <= 1 and all(any(_moves(a, index, made) for a in p) for p in places)


def _moves(a: object, index: Var, made: dict[Var, Eqn]) -> bool:
    """True for the loop's index plus or minus something."""
    while isinstance(a, Var) and a is not index:
        eqn = made.get(a)
        if eqn is None or eqn.prim not in ("add", "sub"):
            return False
        a = next((b for b in eqn.ins if b is index or b in made), None)
    return a is index
