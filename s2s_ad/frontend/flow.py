"""Branches: two paths are interpreted apart, and what they leave behind is joined.

`break`, `continue` and `return` set flags (%break, %continue, %return, with %value); what follows
is guarded by them, so that the IR needs structured control flow only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from s2s_ad.frontend.aliasing import Path, Write, bring_up_to_date, covers, join_stale, placed, tell
from s2s_ad.frontend.arithmetic import as_bool, both, logical_not
from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.growth import most_grown, of_one_length
from s2s_ad.frontend.heap import current, put
from s2s_ad.frontend.join import (
    UNDEFINED,
    Arr,
    Joiner,
    Keep,
    hint,
    leaf_type,
    leaves_of,
    lift,
    lower,
    new_places,
    places_of,
)
from s2s_ad.frontend.liveness import Names
from s2s_ad.frontend.sharing import (
    changed_cells,
    changed_slots,
    find_sources,
    join_links,
    new_links,
    outdated_after,
    placed_boxes,
    sharing,
)
from s2s_ad.frontend.values import Cell, Slot, is_atom, same
from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import Atom, Eqn, Lit, Region
from s2s_ad.ir.prims import has_effect
from s2s_ad.ir.types import BOOL

FLAGS = ("%return", "%break", "%continue")
Thunk = Callable[[], None]


@dataclass
class Branch:
    """A path that has been interpreted: its equations, and the state at its end. Cells whose serial
    is at most `older` were there before it."""

    builder: Builder
    state: State
    locals: dict[str, Any]
    older: int = 0

    def version(self, cell: Cell) -> Atom:
        return self.state.memory.get(cell, cell.initial)


def run_branch(cx: Context, body: Thunk) -> Branch:
    """Interpret `body` apart: on copies of the state, into equations of its own."""
    builder, state, names = cx.builder, cx.state, cx.frame.locals
    branch = Branch(Builder(cx.loc), state.fork(), dict(names), cx.serial)
    frame = cx.frame
    try:
        cx.builder, cx.state, frame.locals = branch.builder, branch.state, branch.locals
        body()
        branch.state, branch.locals = cx.state, frame.locals
    finally:
        cx.builder, cx.state, frame.locals, cx.frame = builder, state, names, frame
    return branch


@contextmanager
def within(cx: Context, branch: Branch) -> Iterator[None]:
    """Emit at the end of a branch that has been interpreted."""
    builder, state = cx.builder, cx.state
    branch.builder.loc = cx.loc
    try:
        cx.builder, cx.state = branch.builder, branch.state
        yield
    finally:
        cx.builder, cx.state = builder, state


def conditional(
    cx: Context, cond: Any, then: Thunk | Branch, other: Thunk, live: Names | None
) -> None:
    """Interpret `then` or `other`; where `cond` is not known, both, and join what they leave.

    `live` are the names that may be read afterwards; None stands for all. `then` may have been
    interpreted already."""
    if isinstance(cond, (bool, Lit)):
        known = cond if isinstance(cond, bool) else cond.value
        return then() if known else other()
    a = then if isinstance(then, Branch) else run_branch(cx, then)
    b = run_branch(cx, other)
    if a.state.dead and b.state.dead:
        _emit_if(cx, cond, a, b, [], [], [])
        cx.state.dead = True
        return None
    if a.state.dead or b.state.dead:
        return _survivor(cx, cond, a, b)
    return join_branches(cx, cond, a, b, live)


def _survivor(cx: Context, cond: Atom, a: Branch, b: Branch) -> None:
    """One path always raises: what it does becomes a check, and the other path goes on."""
    dead, alive = (a, b) if a.state.dead else (b, a)
    eqns = dead.builder.eqns
    if len(eqns) == 1 and eqns[0].prim == "assert":
        holds = logical_not(cx, cond) if dead is a else cond
        with cx.builder.at(eqns[0].loc):
            cx.check(as_bool(holds), eqns[0].params["error"], eqns[0].params["message"])
    else:
        nothing = Branch(Builder(), cx.state, {})
        _emit_if(cx, cond, *((a, nothing) if dead is a else (nothing, b)), [], [], [])
    cx.builder.eqns.extend(alive.builder.eqns)
    cx.state, cx.frame.locals = alive.state, alive.locals


def _emit_if(
    cx: Context, cond: Atom, a: Branch, b: Branch, left: list, right: list, outs: list[tuple]
) -> tuple:
    """The `if` equation. Without results it is needed only for what it may raise or show."""
    regions = [Region((), tuple(p.builder.eqns), tuple(r)) for p, r in ((a, left), (b, right))]
    if not outs and not any(has_effect(e) for r in regions for e in r.eqns):
        return ()
    names, types = [n for n, _ in outs], [t for _, t in outs]
    return cx.builder.equation("if", [cond], {}, regions, names, types)


def join_branches(cx: Context, cond: Atom, a: Branch, b: Branch, live: Names | None) -> None:
    """Emit the `if` of two interpreted paths and go on from both."""
    base, older = cx.state, a.older
    joiner = Joiner(cx, base.facts, (a.state, b.state), older)
    shapes: dict[Any, Any] = {}
    changed = dict.fromkeys(s for p in (a, b) for s in changed_slots(base, p.state, older))
    for slot in changed:
        of_one_length(cx, slot, [(p.state, lambda p=p: within(cx, p)) for p in (a, b)])
    kept = cx.frame.captured
    for name in dict.fromkeys([*cx.frame.locals, *a.locals, *b.locals]):
        va, vb = a.locals.get(name, UNDEFINED), b.locals.get(name, UNDEFINED)
        if live is None or name in live | kept or name.startswith("%") or same(va, vb):
            shapes[name] = joiner.widen(Keep(va), vb, name)
    for slot in changed:
        va, vb = current(a.state, {}, slot), current(b.state, {}, slot)
        shapes[slot] = joiner.widen(Keep(va), vb, hint(slot))
    leaves, places = leaves_of(shapes), places_of(shapes)
    arrays = [place for place in places if isinstance(place, Arr)]
    states = (a.state, b.state)
    find_sources(places, states, older)
    pairs = sharing(places, states)
    unclear = tell(cx, arrays, states, pairs)
    paths = [Path(p.state, partial(within, cx, p), k) for k, p in enumerate((a, b))]
    stale = joined_stale(cx, paths, arrays, older)
    cover = covers(paths, arrays, older)
    outdated = outdated_after(states, places, older)
    links = new_links(base, a.state, older) | new_links(base, b.state, older)
    cells = sorted(
        {*changed_cells(base, a.state, older), *changed_cells(base, b.state, older)},
        key=lambda c: c.serial,
    )
    slots = [_slots(cx, p, shapes, cells) for p in (a, b)]
    hints = {**{k: (n, leaf_type(k)) for k, n in leaves.items()}}
    hints |= {c: (c.name, c.type) for c in cells}
    grown = most_grown(cx, a.state, b.state, (a.builder.eqns, b.builder.eqns))
    atoms = _merge(cx, cond, a, b, slots, hints)
    memory = {**base.memory, **{c: atoms[c] for c in cells}}
    names = cx.frame.locals = {}
    cx.state = State(memory, facts=base.facts, covers=base.covers, alias=base.alias, grown=grown)
    cx.state.heap = dict(base.heap)
    new_places(cx, places, atoms, pairs, unclear)
    join_links(cx, links)
    cx.state.stale, cx.state.outdated = placed(stale), placed_boxes(outdated)
    cx.state.covers.update((c, tuple(arr.cell for arr in arrs)) for c, arrs in cover.items())
    for key, shape in shapes.items():
        value = lift(cx, shape, atoms)
        if isinstance(key, Slot):
            put(cx.state, key.box, key.field, value)
        elif value is not UNDEFINED:
            names[key] = value


def joined_stale(
    cx: Context, paths: list[Path], arrays: list[Arr], older: int
) -> dict[Cell, tuple[Write, ...]]:
    """What is stale after a branch; the rest is brought up to date at the end of each path."""
    stale, lost = join_stale(cx, paths, arrays, older)
    for path in paths:
        with path.inside():
            for cell in sorted(lost, key=lambda c: c.serial):
                bring_up_to_date(cx, cell)
    return stale


def _slots(cx: Context, path: Branch, shapes: Mapping[Any, Any], cells: list[Cell]) -> dict:
    """What a path gives for every leaf and every cell."""
    atoms: dict[Any, Atom] = {}
    with within(cx, path):
        for key, shape in shapes.items():
            lower(cx, shape, current(path.state, path.locals, key), atoms)
    return {**atoms, **{c: path.version(c) for c in cells}}


def _merge(cx: Context, cond: Atom, a: Branch, b: Branch, slots: list[dict], hints: dict) -> dict:
    """The atoms after an `if`: results where the paths differ."""
    left, right = slots
    known: dict[Any, Atom] = {}
    for key in hints:
        x, y = left[key], right[key]
        if x is y or (isinstance(x, Lit) and x == y and repr(x) == repr(y)):
            known[key] = x
        elif x == Lit(True, BOOL) and y == Lit(False, BOOL):
            known[key] = cond
        elif x == Lit(False, BOOL) and y == Lit(True, BOOL):
            known[key] = as_bool(logical_not(cx, cond))
    rest = [k for k in hints if k not in known]
    outs = _emit_if(
        cx, cond, a, b, [left[k] for k in rest], [right[k] for k in rest], [hints[k] for k in rest]
    )
    return {**known, **dict(zip(rest, outs))}


# --- leaving -------------------------------------------------------------------------------------


def leaving(cx: Context) -> Any:
    """Whether the rest of the block is left out: a bool, known or not."""
    flag: Any = False
    for name in FLAGS:
        flag = both(cx, flag, cx.frame.locals.get(name, False), "or")
    return flag


def guarded(cx: Context, flag: Any, rest: Thunk, live: Names) -> None:
    """Interpret `rest` where `flag` is False."""
    if isinstance(flag, bool):
        return None if flag else rest()

    def inside() -> None:
        for name in FLAGS:
            if name in cx.frame.locals:
                cx.frame.locals[name] = False
        rest()

    def outside() -> None:
        for name in FLAGS:
            if cx.frame.locals.get(name) is flag:
                cx.frame.locals[name] = True

    return conditional(cx, logical_not(cx, flag), inside, outside, live)


# --- short circuits ------------------------------------------------------------------------------

#: Primitives that may be evaluated without need: they neither raise nor cost.
PLAIN = {
    *("add sub mul neg abs sign maximum minimum eq ne lt le gt ge isnan isinf isfinite".split()),
    *("and or not xor convert dim select".split()),
}


def choose(
    cx: Context, cond: Any, then: Callable[[], Any] | Branch, other: Callable[[], Any]
) -> Any:
    """`then() if cond else other()`; only the one that is chosen is evaluated when running."""
    frame = cx.frame
    outer = frame.locals.get("%expr", UNDEFINED)
    first = then if isinstance(then, Branch) else _put(cx, then)
    conditional(cx, cond, first, _put(cx, other), None)
    value = frame.locals.pop("%expr", None)
    if outer is not UNDEFINED:
        frame.locals["%expr"] = outer
    return value


def _put(cx: Context, thunk: Callable[[], Any]) -> Thunk:
    """`thunk`, leaving its value in %expr."""

    def run() -> None:
        value = thunk()
        cx.frame.locals["%expr"] = value

    return run


def short_circuit(cx: Context, prim: str, first: Any, second: Callable[[], Any]) -> Any:
    """`first and second()` (or `or`) of bools; `second` is evaluated only where it is needed,
    unless it is so plain that evaluating it always is better."""
    first = first.value if isinstance(first, Lit) else first
    if isinstance(first, bool):
        return second() if first == (prim == "and") else first
    trial = run_branch(cx, _put(cx, second))
    value = trial.locals.get("%expr")
    truth = isinstance(value, bool) or (is_atom(value) and value.type == BOOL)
    if truth and _plain(cx, trial):
        cx.state.heap = trial.state.heap  # objects made on the way
        cx.builder.eqns.extend(trial.builder.eqns)
        return both(cx, first, value, prim)
    if prim == "and":
        return choose(cx, first, trial, lambda: False)
    return choose(cx, logical_not(cx, first), trial, lambda: True)


def _plain(cx: Context, branch: Branch) -> bool:
    eqns: list[Eqn] = branch.builder.eqns
    if not same({**branch.locals, "%expr": None}, {**cx.frame.locals, "%expr": None}):
        return False
    if changed_slots(cx.state, branch.state, branch.older):
        return False
    return all(e.prim in PLAIN and not e.out.type.is_array for e in eqns) and not branch.state.dead
