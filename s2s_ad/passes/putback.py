"""Putting arrays back: before every write, the element (or slice) that it overwrites is read.

    A1 = store A0, v, i {spec='i'}        old = load A0, i {spec='i'}
                                          A1 = store A0, v, i {spec='i'}

The reverse sweep stores `old` again, and so has `A0` where it had `A1`. A load that is there
already serves. Updates that are undone arithmetically (analysis/inversion.py) keep nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from s2s_ad.analysis.chains import Chain
from s2s_ad.ir.build import Builder, number
from s2s_ad.ir.core import Atom, Eqn, Func, Lit, Region, Var, eqn_uses
from s2s_ad.ir.subscript import is_element


def with_logs(func: Func, chain: Chain, undo: Mapping[Eqn, int]) -> Func:
    """`func` with the overwritten value at hand before every write of `chain`. Those in `undo` need
    no log (a factor that is to be divided by again is checked not to be zero), nor do those that
    stay."""
    return func.with_(body=_region(func.body, set(chain.writes) - chain.fresh, undo))


def _region(region: Region, writes: set[Eqn], undo: Mapping[Eqn, int]) -> Region:
    b = Builder()
    for eqn in region.eqns:
        if eqn in writes and eqn in undo:
            _check_factor(b, eqn, undo[eqn])
        elif eqn in writes and overwritten(b.eqns, eqn) is None:
            with b.at(eqn.loc):
                base, indices = eqn.ins[0], eqn.ins[2:]
                b.emit("load", base, *indices, spec=eqn.params["spec"], name=f"{base.name}_old")
        regions = tuple(_region(r, writes, undo) for r in eqn.regions)
        b.append(eqn.with_(regions=regions) if regions else eqn)
    return Region(region.params, _late(b.eqns, undo.keys() & writes), region.results)


def _late(eqns: Sequence[Eqn], moved: set[Eqn]) -> tuple[Eqn, ...]:
    """`eqns` with those in `moved` as late as possible: in reverse they are undone before anything
    that reads the older value, the tangents of a product above all."""
    out: list[Eqn] = []
    held: dict[Var, Eqn] = {}

    def release(used: Iterable[Var]) -> None:
        for v in used:
            eqn = held.pop(v, None)
            if eqn is not None:
                release(eqn_uses(eqn))
                out.append(eqn)

    for eqn in eqns:
        if eqn in moved:
            held[eqn.out] = eqn
            continue
        release(eqn_uses(eqn))
        out.append(eqn)
    release(list(held))
    return tuple(out)


def _check_factor(b: Builder, eqn: Eqn, position: int) -> None:
    if eqn.prim != "mul" or isinstance(eqn.ins[1 - position], Lit):
        return
    with b.at(eqn.loc):
        factor = eqn.ins[1 - position]
        nonzero = b.emit("ne", factor, number(0, factor.type.dtype))
        message = "an update that multiplies by zero cannot be inverted"
        b.equation("assert", [nonzero], {"error": "ZeroDivisionError", "message": message})


def undone(b: Builder, eqn: Eqn, position: int, now: Atom, others: Sequence[Atom]) -> Atom:
    """The operand of `eqn` at `position`, from its result `now` and its other operands."""
    base = eqn.ins[position]
    kind = {"name": getattr(base, "name", "t"), "type": base.type}
    if eqn.prim == "accum":
        value, *place = others
        back = b.emit("neg", value)
        return b.emit("accum", now, back, *place, spec=eqn.params["spec"], **kind)
    if eqn.prim == "neg":
        return b.emit("neg", now, **kind)
    (other,) = others
    if eqn.prim == "sub" and position == 1:
        return b.emit("sub", other, now, **kind)
    back = {"add": "sub", "sub": "add", "mul": "div", "div": "mul"}[eqn.prim]
    return b.emit(back, now, other, **kind)


def overwritten(eqns: Sequence[Eqn], write: Eqn) -> Atom | None:
    """What `write` overwrites, if an equation among `eqns` (those of its region) has it: one that
    reads that place, or that wrote it just before."""
    base, place, spec = write.ins[0], write.ins[2:], write.params["spec"]
    for eqn in eqns:
        if eqn is write:
            return None
        if eqn.prim == "load" and eqn.ins == (base, *place) and eqn.params["spec"] == spec:
            return eqn.out
        just_written = eqn.prim == "store" and eqn.out is base and is_element(spec)
        if just_written and eqn.ins[2:] == place and eqn.params["spec"] == spec:
            return eqn.ins[1]
    return None
