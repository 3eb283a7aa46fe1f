"""Which of exp, sin, log, … the vector functions of `backend.vecmath` should compute, and which
sums may come in any order.

    for i in range(n):                          for step in range(n):
        s += np.exp(x[i]) * w[i]                    y = y + h * np.cos(y)

The left loop can be vectorised: every iteration is for itself, but for a sum. The right one cannot,
each iteration needs the one before, and libm's scalar functions serve it best. But what a forward
sweep computed, a reverse sweep may compute again, and it must come to the same number: a condition
that is decided anew must be decided alike. So a module computes a function in one way throughout:
that of `vecmath` where any of its loops can be vectorised. Derivatives decide nothing: a function
that only they take is computed as suits the place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from s2s_ad.analysis.powers import parts
from s2s_ad.analysis.rounding import derived
from s2s_ad.analysis.totals import Total, has_order, is_free
from s2s_ad.ir.core import Atom, Eqn, Func, Lit, Region, Var, region_uses, walk
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import is_element

_WRITES = ("store", "accum")

#: Functions of numbers that take many times as long as an addition.
_FUNCTIONS = frozenset(
    "exp exp2 expm1 log log2 log10 log1p cbrt sin cos tan sinh cosh tanh arcsin arccos arctan "
    "arcsinh arccosh arctanh erf erfc arctan2 hypot pow".split()
)


def is_function(eqn: Eqn) -> bool:
    """True for what several iterations at once should compute; not for `x ** 2`, a product."""
    return eqn.prim in _FUNCTIONS and not eqn.out.type.is_array and not parts(eqn)


def vectorised(funcs: Iterable[Func], fastmath: bool = False) -> frozenset[Eqn]:
    """The elementwise equations that vector functions should compute: those in innermost `for`
    loops that can be vectorised, and wherever else the program itself computes such a function, for
    this dtype; with `fastmath`, every sum may be reordered for that."""
    funcs = list(funcs)
    bodies = [b for f in funcs for b in _bodies(f) if is_vector(b, fastmath)]
    inside = {e for body in bodies for e in walk(body) if PRIMS[e.prim].elementwise}
    free = frozenset().union(*map(derived, funcs))
    same = {_function(e) for e in inside - free}
    every = (e for f in funcs for e in walk(f.body) if PRIMS[e.prim].elementwise)
    return frozenset(e for e in every if (e in inside if e in free else _function(e) in same))


def _function(eqn: Eqn) -> tuple[str, str]:
    """A primitive and the dtype of its result."""
    return eqn.prim, eqn.out.type.dtype


def reorderable(func: Func) -> frozenset[Eqn]:
    """The additions and products of floats, in loops that can be vectorised if these come in any
    order, for which no order has been asked: NumPy's sums, and the sums of a reverse sweep. A sum
    that the user writes as a loop keeps its order, and with it what it is made to compensate."""
    made = [e for body in _bodies(func) for e in _totals(body) or ()]
    return frozenset(e for e in made if has_order(e) and is_free(e))


def is_vector(body: Region, fastmath: bool = False) -> bool:
    """True for the body of a loop whose iterations may be computed several at once: each is for
    itself, but for totals whose order is free; with `fastmath`, all totals are."""
    totals = _totals(body)
    return totals is not None and (
        fastmath or not any(has_order(e) and not is_free(e) for e in totals)
    )


def _bodies(func: Func) -> list[Region]:
    loops = [e for e in walk(func.body) if e.prim == "for" and not e.params.get("exit")]
    return [loop.regions[0] for loop in loops]


def _totals(body: Region) -> list[Eqn] | None:
    """What adds to totals, in a loop whose iterations pass nothing else on, and work on arrays
    element by element; None of any other loop."""
    inner = list(walk(body))
    if not all(is_simple(e) for e in inner):
        return None
    index, *carried = body.params
    uses = Counter(region_uses(body))
    made = {out: e for e in inner for out in e.outs}
    found: list[Eqn] = []
    for param, result in zip(carried, body.results):
        if param.type.is_array:
            if not is_elementwise(param, inner, index):
                return None
        elif result is not param:
            total = Total(param, uses, made)
            if uses[param] != total.uses(result):
                return None
            found += total.path
    return found


def is_simple(eqn: Eqn) -> bool:
    """True for work on numbers and single elements."""
    if eqn.prim in ("load", *_WRITES):
        return is_element(eqn.params["spec"])
    if eqn.prim == "if":
        return not any(a.type.is_array for a in eqn.outs)
    return PRIMS[eqn.prim].elementwise or eqn.prim == "dim"


def is_elementwise(param: Var, inner: list[Eqn], index: Var) -> bool:
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
