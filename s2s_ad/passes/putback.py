"""Putting arrays back: before every write, the element (or slice) that it overwrites is read.

    A1 = store A0, v, i {spec='i'}        old = load A0, i {spec='i'}
                                          A1 = store A0, v, i {spec='i'}

The reverse sweep stores `old` again, and so has `A0` where it had `A1`. A load that is there
already serves.
"""

from __future__ import annotations

from collections.abc import Sequence

from s2s_ad.analysis.chains import Chain
from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import Atom, Eqn, Func, Region
from s2s_ad.ir.subscript import is_element


def with_logs(func: Func, chain: Chain) -> Func:
    """`func` with the overwritten value at hand before every write of `chain`."""
    return func.with_(body=_region(func.body, set(chain.writes)))


def _region(region: Region, writes: set[Eqn]) -> Region:
    b = Builder()
    for eqn in region.eqns:
        if eqn in writes and overwritten(b.eqns, eqn) is None:
            with b.at(eqn.loc):
                base, indices = eqn.ins[0], eqn.ins[2:]
                b.emit("load", base, *indices, spec=eqn.params["spec"], name=f"{base.name}_old")
        regions = tuple(_region(r, writes) for r in eqn.regions)
        b.append(eqn.with_(regions=regions) if regions else eqn)
    return b.region(region.params, region.results)


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
