"""Arithmetic of derivatives, whose rounding is nobody's.

    x_tape[k] = x                # as written                t_bar = y_bar * 0.1    # free
    x += 0.1 * v                 # as written                v_bar += t_bar * u     # free
    if x > 1.0: …                # as written                if x > 1.0: …          # as before

What the program computes decides ties, and keeps what a compensated sum compensates, so it is
computed as it is written, one rounding for each operation, and to the same bits when the reverse
sweep computes it again. Tangents and cotangents decide nothing, and a person has written none of
their operations: a compiler may contract a product and a sum to one operation, reorder sums, and
divide by multiplying with a reciprocal. That pays where a loop computes the reciprocal once:

    for i in range(n):
        x_bar[i] = fdiv(y_bar[i], h)     # y_bar[i] * (1 / h)
        z_bar[i] = y_bar[i] / z[i]       # as it stands

Products keep their order. In another order they may leave the range of floats: 1e-200 * (1e-200 *
1e300) is 1e-100, and (1e-200 * 1e-200) * 1e300 is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s2s_ad.analysis.integers import slots
from s2s_ad.ir.core import ADJOINT, PRIMAL, RECOMPUTED, TANGENT, Atom, Eqn, Func, Region, walk
from s2s_ad.ir.subscript import is_element

_ARITHMETIC = ("add", "sub", "mul", "div", "accum")


def free(func: Func) -> frozenset[Eqn]:
    """The arithmetic of tangents and cotangents, of single floats. Where a common subexpression is
    used by the program itself as well, it stays as it is written."""
    exact = _exact(func.body) | set(_quotients(func.body, set(func.params)))
    return frozenset(e for e in walk(func.body) if _is_derivative(e) and e.out not in exact)


def derived(func: Func) -> frozenset[Eqn]:
    """The equations of a derivative that give single floats which decide nothing and which the
    program itself does not use; coefficients too, which it computes as the program would."""
    eqns = list(walk(func.body))
    exact = _closure(eqns, {a for e in eqns if _decides(e) for a in e.ins})
    made = (e for e in eqns if e.role != PRIMAL and len(e.outs) == 1)
    return frozenset(e for e in made if e.out.type.is_float and e.out not in exact)


def _decides(eqn: Eqn) -> bool:
    """True for the program's equations, and what a derivative computes again but for floats."""
    if eqn.role == RECOMPUTED:
        return not all(out.type.is_float for out in eqn.outs)
    return _is_program(eqn)


def _quotients(region: Region, changing: set[Atom]) -> Iterator[Atom]:
    """The results of divisions whose divisor may be another in each iteration of the innermost
    loop; `changing` is what that loop has computed so far."""
    for eqn in region.eqns:
        if eqn.prim == "div" and eqn.ins[1] in changing:
            yield eqn.out
        for inner in eqn.regions:
            loop = eqn.prim in ("for", "while")
            yield from _quotients(inner, set(inner.params) if loop else changing)
        changing.update(eqn.outs)


def _is_derivative(eqn: Eqn) -> bool:
    if eqn.prim not in _ARITHMETIC or eqn.role not in (ADJOINT, TANGENT):
        return False
    if eqn.prim == "accum":
        return eqn.out.type.is_float and is_element(eqn.params["spec"])
    return eqn.out.type.is_float and not eqn.out.type.is_array


def _exact(body: Region) -> set[Atom]:
    """What equations that are not a derivative's read, and all that it is made from."""
    eqns = list(walk(body))
    return _closure(eqns, {a for e in eqns if _is_program(e) for a in e.ins})


def _closure(eqns: Sequence[Eqn], values: set[Atom]) -> set[Atom]:
    """`values`, and all that they are made from."""
    known = -1
    while len(values) > known:  # once more for what loops carry
        known = len(values)
        for eqn in reversed(eqns):
            for made, sources in _ways(eqn):
                if not values.isdisjoint(made):
                    values.update(sources)
    return values


def _is_program(eqn: Eqn) -> bool:
    """True for an equation that computes something of the program. (Where an array is, or how
    large, may be asked of cotangents too.)"""
    return not (eqn.regions or eqn.role in (ADJOINT, TANGENT) or eqn.prim in ("copy", "dim"))


def _ways(eqn: Eqn) -> Iterator[tuple[Sequence[Atom], Sequence[Atom]]]:
    """Values that `eqn` defines, and those that they are made from."""
    if eqn.prim == "if":
        yield from (((out,), [r.results[k] for r in eqn.regions]) for k, out in enumerate(eqn.outs))
    elif eqn.regions:
        for k, (init, param, result, out) in enumerate(slots(eqn)):
            tested = [r.params[k] for r in eqn.regions[:-1]]  # by a while
            yield (param, out, *tested), (init, result)
    elif eqn.prim != "dim":
        yield eqn.outs, eqn.ins
