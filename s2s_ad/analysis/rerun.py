"""Loops that the reverse sweep runs again, instead of keeping what every run of them computed.

    for i { … for j { p.1 = mul p, t_i } … }      keep p:        a tape of i × j
                                                  or run the inner loop again when i is reversed:
                                                  a tape of j, which all i use in turn

A loop inside a loop can be run again where what it reads is at hand, or is cheaper to keep than
what it computes. Nothing is computed twice where the forward sweep has no other use of the loop.
"""

from __future__ import annotations

from collections.abc import Iterable

from s2s_ad.analysis.activity import loop_slots
from s2s_ad.analysis.powers import parts
from s2s_ad.analysis.program import LOOPS, Node, Program
from s2s_ad.ir.core import Atom, Eqn, Region, Var, eqn_free_vars, walk
from s2s_ad.ir.prims import PRIMS, has_effect

#: What it takes to compute one element, in bytes that could be kept and read in the same time.
EFFORT = {
    **dict.fromkeys("load add sub mul neg abs maximum minimum select convert".split(), 0.5),
    **dict.fromkeys("div sqrt floordiv mod".split(), 4.0),
    **dict.fromkeys(
        "cbrt exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh "
        "arcsinh arccosh arctanh erf erfc gamma lgamma arctan2 hypot fmod pow".split(),
        24.0,
    ),
}


def rerunnable(program: Program, saved: Iterable[Var], restored: frozenset[Var]) -> list[Node]:
    """The bodies of the loops inside loops that hold `saved` variables and can be run again: they
    show nothing to the world and hold no version of an array that is put back."""
    holders = {node for v in saved for node in program.home[v].loops()[1:]}
    kept = {node for v in restored for node in program.home[v].loops()}
    return [
        node
        for node in program.nodes.values()
        if node in holders and node not in kept and not _shows(node.eqn)
    ]


def _shows(eqn: Eqn) -> bool:
    return any(e.prim == "perform" for region in eqn.regions for e in walk(region))


def operands(program: Program, node: Node, targets: Iterable[Var]) -> list[Var]:
    """What the loop with the body `node` reads from around it in order to compute `targets`."""
    found = needed(program, targets, node.eqn)
    return [v for v in found if not inside(program, v, node.eqn)]


def inside(program: Program, v: Var, eqn: Eqn) -> bool:
    """True for what `eqn` gives, and for the variables of its regions."""
    return program.definition.get(v) is eqn or bool(_around(program.home[v], eqn))


def needed(program: Program, targets: Iterable[Var], within: Eqn | None = None) -> dict[Var, None]:
    """The primal variables that `targets` are computed from, in some order: through data, and
    through what decides whether and how often. With `within`, what it reads is not followed on."""
    found: dict[Var, None] = {}
    todo: list[Atom] = list(targets)
    decided: set[Node] = set()
    while todo:
        v = todo.pop()
        if not isinstance(v, Var) or v in found or v in program.linear:
            continue
        found[v] = None
        if within is not None and not inside(program, v, within):
            continue
        todo += _inputs(program, v)
        for node in _around(program.home[v], within):
            if node not in decided:
                decided.add(node)
                todo += _deciders(node)
    return found


def _around(node: Node, eqn: Eqn | None) -> list[Node]:
    """The regions around what is in `node`; with an equation, only those in it."""
    found = [node]
    while found[-1].parent is not None and found[-1].eqn is not eqn:
        found.append(found[-1].parent)
    return found if eqn is None or found[-1].eqn is eqn else []


def _inputs(program: Program, v: Var) -> list[Atom]:
    """What the value of `v` is taken or computed from."""
    eqn, node = program.definition.get(v), program.home[v]
    if eqn is None:
        return [] if node.eqn is None else _of_slot(node.eqn, node.region, v)
    if eqn.prim == "if":
        k = eqn.outs.index(v)
        return [eqn.ins[0], *(region.results[k] for region in eqn.regions)]
    if eqn.prim in LOOPS:
        inits, _, results, outs = loop_slots(eqn)
        own = [a for k, out in enumerate(outs) if out is v for a in (inits[k], results[k])]
        return [*own, *_deciders(program.nodes[eqn.regions[-1]])]
    return list(eqn_free_vars(eqn))


def _of_slot(eqn: Eqn, region: Region, param: Var) -> list[Atom]:
    """The initial value and the next one of a carried variable; nothing for a loop's index."""
    inits, _, results, _ = loop_slots(eqn)
    params = region.params[len(region.params) - len(inits) :]
    return [a for k, p in enumerate(params) if p is param for a in (inits[k], results[k])]


def _deciders(node: Node) -> list[Atom]:
    """What decides whether a region runs, or how often."""
    eqn = node.eqn
    if eqn is None:
        return []
    if eqn.prim == "if":
        return [eqn.ins[0]]
    if eqn.prim == "while":
        return list(eqn.regions[0].results)
    return [*eqn.ins[:3], *(eqn.regions[0].results[:1] if eqn.params.get("exit") else ())]


def shown(program: Program) -> list[Var]:
    """What the effects of the function read: its assertions, its output."""
    eqns = (e for e in walk(program.func.body) if not e.regions and has_effect(e))
    return [a for e in eqns for a in e.ins if isinstance(a, Var)]


def effort(eqn: Eqn, extent: int) -> float:
    """What it takes to evaluate an equation, in bytes kept; `extent` stands for unknown ones."""
    if eqn.regions or PRIMS[eqn.prim].kind in ("effect", "shape"):
        return 0.0
    each = sum(EFFORT.get(prim, 0.5) for prim in parts(eqn) or (eqn.prim,))
    for size in (*eqn.out.type.shape, *(eqn.ins[0].type.shape[:1] if eqn.prim == "dot" else ())):
        each *= size if isinstance(size, int) else extent
    return each
