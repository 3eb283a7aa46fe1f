"""Writes that need not be undone, because nobody reads what they overwrite.

    for i in range(n):
        y = ys[i]                   # the reverse sweep reads it, too
        ys[i + 1] = y + h * f(y)    # in a row that no iteration has read before

The reverse sweep reads elements of earlier versions of an array. Where none of these elements is
written again afterwards, the last version has them as well: a trajectory, a table that is filled
row by row, or a matrix that is factored in place is its own tape. What is read of elements that
are written again is stale there, and has to be kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.instances import Instances
from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.ir.core import Eqn, Lit, Var

#: How many pairs of a write and a read are compared.
MOST = 300


def fresh(
    program: Program, instances: Instances, versions: Collection[Var], writes: Sequence[Eqn]
) -> tuple[frozenset[Eqn], frozenset[Eqn]]:
    """Those of `writes`, which make `versions` of one array, that need not be undone, and the loads
    that are stale then. They stand in a loop of the function's body, in which are all that carry
    the array; all of them or none."""
    nothing = frozenset[Eqn](), frozenset[Eqn]()
    loop = _carrier(program, versions)
    inside = [] if loop is None else [w for w in writes if loop in program.home[w.out].loops()]
    outside = [w for w in writes if w not in inside]
    if not inside or any(w in program.undo or program.home[w.out].kind != "loop" for w in inside):
        return nothing
    if any(program.home[w.out] is not program.root for w in outside):
        return nothing
    reads = _reads(loop, versions, inside)
    if reads is None or len(reads) * len(inside) > MOST:
        return nothing
    stale = {r for r in reads if any(instances.met_before(w, r) for w in inside)}
    return frozenset(inside), frozenset(stale)


def _carrier(program: Program, versions: Collection[Var]) -> Node | None:
    """The body of the loop that all loops are in that carry the array, each in one slot."""
    found: list[Node] = []
    for node in program.nodes.values():
        if node.eqn is not None and node.eqn.prim in LOOPS and node.kind == "loop":
            found += [node for _, param, _, _ in program.slots(node.eqn) if param in versions]
    outermost = [node for node in found if node.parent is program.root]
    if len(outermost) != 1 or len({*found}) < len(found):
        return None
    (loop,) = outermost
    counts = loop.eqn.prim == "for" and isinstance(loop.eqn.ins[2], Lit)
    return loop if counts and all(loop in node.loops() for node in found) else None


def _reads(loop: Node, versions: Collection[Var], writes: Collection[Eqn]) -> list[Eqn] | None:
    """The loads from versions that an iteration makes, or starts with; None where anything else
    reads these. (Versions from before the loop are not made by putting back what is after it.)"""
    params = [p for p in loop.region.params if p in versions]
    accesses = BufferAccesses(params[0])
    accesses.block(loop.region)
    if accesses.escapes or not accesses.versions >= {w.out for w in writes}:
        return None
    if not accesses.in_line or accesses.latest not in loop.region.results:
        return None  # what is read after a write would be what it overwrote
    return [e for e in accesses.eqns if e.prim == "load"]
