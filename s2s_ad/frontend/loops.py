"""Loops: the body is interpreted with what is carried round it, again and again until the types,
the written arrays and the sharing of memory have settled; the last interpretation counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from s2s_ad.errors import Loc
from s2s_ad.frontend.aliasing import (
    Path,
    Write,
    bring_up_to_date,
    join_stale,
    loop_covers,
    placed,
    tell,
)
from s2s_ad.frontend.arithmetic import as_bool, both
from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.errors import PathError
from s2s_ad.frontend.flow import FLAGS, Branch, run_branch, within
from s2s_ad.frontend.growth import Growing, Trips
from s2s_ad.frontend.heap import current, put
from s2s_ad.frontend.join import (
    UNDEFINED,
    Arr,
    Flag,
    Group,
    Ins,
    Joiner,
    Keep,
    Key,
    Num,
    Opt,
    Place,
    hint,
    leaf_type,
    leaves_of,
    lift,
    lower,
    new_places,
    places_of,
)
from s2s_ad.frontend.sharing import (
    Pairs,
    changed_cells,
    changed_slots,
    find_sources,
    join_links,
    new_links,
    outdated_after,
    placed_boxes,
    sharing,
)
from s2s_ad.frontend.values import Box, Cell, Slot, children, is_scalar, same
from s2s_ad.ir.core import PARALLEL, WISHED, Atom, Lit, Region, Var, substitute
from s2s_ad.ir.types import BOOL, Type

ROUNDS = 40
#: After so many interpretations, stale arrays are carried whatever it costs.
PATIENCE = 10
#: The serial and the extent symbols at the start of a loop.
Since = tuple[int, frozenset[str]]


@dataclass
class Carried:
    """What goes round a loop: the shapes of names and of objects' slots, memory cells, staleness,
    sharing."""

    shapes: dict[Key, Any]
    cells: list[Cell] = field(default_factory=list)
    stale: dict[Cell, tuple[Write, ...]] = field(default_factory=dict)
    pairs: Pairs = field(default_factory=set)
    unclear: Pairs = field(default_factory=set)
    lost: set[Cell] = field(default_factory=set)
    covers: dict[Cell, tuple[Arr, ...]] = field(default_factory=dict)
    outdated: dict[Box | Ins, Loc] = field(default_factory=dict)
    links: frozenset[frozenset[Cell | Box]] = frozenset()
    growing: Growing | None = None

    @property
    def slots(self) -> dict[Any, tuple[str, Type]]:
        """Leaves, then cells, each with a hint and a type: the block arguments."""
        found = {k: (n, leaf_type(k)) for k, n in leaves_of(self.shapes).items()}
        return found | {c: (c.name, c.type) for c in self.cells}

    @property
    def places(self) -> list[Arr | Ins]:
        return places_of(self.shapes)

    def content_with_less(self) -> None:
        """Have stale cells brought up to date in every iteration, so that the loop settles."""
        clear = {c for c, ws in self.stale.items() if all(w.by is not None for w in ws)}
        self.lost |= clear
        self.stale = {c: ws for c, ws in self.stale.items() if c not in clear}
        self.cells = sorted({*self.cells, *clear}, key=lambda c: c.serial)
        self.covers = {}

    def signature(self) -> tuple:
        order = {place: k for k, place in enumerate(self.places)}
        shapes = tuple((n, _signature(s, order)) for n, s in self.shapes.items())
        cells = tuple(c.serial for c in self.cells)
        stale = {
            c.serial: [order[w.by] if w.by in order else getattr(w.by, "serial", -1) for w in ws]
            for c, ws in self.stale.items()
        }
        covers = {c.serial: [order[a] for a in arrs] for c, arrs in self.covers.items()}
        lost = sorted(c.serial for c in self.lost)
        pairs = sorted(self.pairs), sorted(self.unclear), self.links
        outdated = {order.get(b, b) for b in self.outdated}
        covered = sorted(covers.items())
        return shapes, cells, sorted(stale.items()), pairs, lost, covered, outdated


def _signature(shape: Any, order: Mapping[Arr | Ins, int]) -> tuple:
    if isinstance(shape, Keep):
        return ("keep",)
    if isinstance(shape, Num):
        return ("num", shape.dtype, shape.weak)
    if isinstance(shape, Arr):
        sources = tuple(sorted(c.serial for c in shape.sources))
        told = sorted(shape.possible), sorted(c.serial for c in shape.blurred)
        return ("array", order[shape], str(shape.type), sources, told)
    if isinstance(shape, Ins):
        sources = tuple(sorted(b.serial for b in shape.sources))
        items = tuple((n, _signature(s, order)) for n, s in shape.items.items())
        return ("object", order[shape], sources, items)
    if isinstance(shape, Place):
        return ("place", shape.view.cell.serial, tuple(k is None for k in shape.indices))
    if isinstance(shape, Group):
        return ("group", *(_signature(s, order) for s in shape.items))
    if isinstance(shape, Opt):
        return ("maybe", shape.flag is None, _signature(shape.item, order) if shape.item else ())
    return ("clash",)


@dataclass
class Attempt:
    """One interpretation of a loop's body."""

    params: dict[Any, Var]
    branch: Branch
    stop: Any
    head: State


def enter(cx: Context, carried: Carried, atoms: Mapping[Any, Atom]) -> None:
    """Set names and memory to what they are at the head of the loop."""
    new_places(cx, carried.places, atoms, carried.pairs, carried.unclear)
    join_links(cx, carried.links)
    for key, shape in carried.shapes.items():
        value = lift(cx, shape, atoms)
        if isinstance(key, Slot):
            put(cx.state, key.box, key.field, value)
        elif value is UNDEFINED:
            cx.frame.locals.pop(key, None)
        else:
            cx.frame.locals[key] = value
    for cell in carried.cells:
        cx.state.memory[cell] = atoms[cell]
    cx.state.stale = placed(carried.stale)
    cx.state.outdated = placed_boxes(carried.outdated)
    cx.state.covers.update((c, tuple(a.cell for a in arrs)) for c, arrs in carried.covers.items())


def attempt(cx: Context, carried: Carried, body: Callable[[], None]) -> Attempt:
    """Interpret the body once, under the assumptions in `carried`."""
    params = {k: Var(n, t) for k, (n, t) in carried.slots.items()}
    stop: list[Any] = []
    head: list[State] = []

    def run() -> None:
        enter(cx, carried, params)
        head.append(cx.state.fork())
        names = cx.frame.locals
        for flag in FLAGS:
            names[flag] = False
        names["%done"] = False
        names.pop("%value", None)
        body()
        stop.append(stopped(cx))

    branch = run_branch(cx, run)
    return Attempt(params, branch, stop[0] if stop else None, head[0])


def stopped(cx: Context) -> Any:
    """Whether no iteration follows: `%done` says that the condition, tested in the body, failed."""
    names = cx.frame.locals
    left = both(cx, names.get("%break", False), names.get("%return", False), "or")
    return both(cx, left, names.get("%done", False), "or")


def settle(
    cx: Context,
    names: list[str],
    rebound: frozenset[str],
    body: Callable[[], None],
    trips: Trips | None = None,
) -> tuple[Carried, Attempt]:
    """Interpret `body` until what is carried has settled, and the room that lists need.

    `names` may be read at the head of the loop or after it; of these, numbers that are `rebound` in
    the body are carried from the start. `trips` is how a counted loop counts."""
    start = {n: cx.frame.locals.get(n, UNDEFINED) for n in names}
    growing = Growing(cx, trips)
    carried, since = _start(cx, start, rebound)
    for k in range(ROUNDS):
        tried = attempt(cx, carried, growing.counting(body))
        if growing.replan(tried.branch.state, tried.stop, since[0]):
            carried, since = _start(cx, start, rebound)
            continue
        following = _widened(cx, carried, tried, since, growing)
        if k >= PATIENCE and cx.exact:
            following.content_with_less()
        if following.signature() == carried.signature():
            growing.settled(tried.branch.builder.eqns, set(tried.params.values()))
            carried.growing = growing
            return carried, tried
        carried = following
    return cx.fail(PathError, "the types that this loop carries do not settle")


def _start(cx: Context, start: Mapping[str, Any], rebound: frozenset[str]) -> tuple[Carried, Since]:
    """What is carried at first."""
    joiner = Joiner(cx, cx.state.facts, (cx.state, cx.state), cx.serial)
    shapes: dict[Key, Any] = {n: _first(joiner, v, n in rebound) for n, v in start.items()}
    since = (cx.serial, frozenset(cx.symbols))
    stale, outdated = dict(cx.state.stale), dict(cx.state.outdated)
    return Carried(shapes, stale=stale, outdated=outdated), since


def _first(joiner: Joiner, value: Any, rebound: bool) -> Any:
    """Numbers that the body rebinds are carried from the first interpretation on."""
    if not rebound:
        return Keep(value)
    if is_scalar(value):
        return joiner.general(value)
    parts = children(value)
    if parts is None:
        return Keep(value)
    wide = joiner.general(value)
    return Group(wide.rebuild, wide.structure, [_first(joiner, v, True) for v in parts[1]])


def _widened(cx: Context, old: Carried, tried: Attempt, since: Since, growing: Growing) -> Carried:
    """What is carried, given how the body ended."""
    before, end, (older, outside) = cx.state, tried.branch, since
    if end.state.dead:
        return old
    joiner = Joiner(cx, end.state.facts, (before, end.state), older, outside)
    slots = [s for s in changed_slots(tried.head, end.state, older) if not growing.counts(s)]
    starts = {s: Keep(current(before, {}, s)) for s in slots} | old.shapes
    shapes = {
        k: joiner.widen(s, current(end.state, end.locals, k), hint(k) if isinstance(k, Slot) else k)
        for k, s in starts.items()
    }
    shapes = {k: shapes[k] for k in dict.fromkeys([*old.shapes, *shapes])}
    head = State({**before.memory, **{c: tried.params[c] for c in old.cells}})
    new = Carried(shapes)
    places, states = new.places, (before, end.state)
    arrays = [place for place in places if isinstance(place, Arr)]
    find_sources(places, states, older)
    new.pairs = sharing(places, states)
    new.unclear = tell(cx, arrays, states, new.pairs, older)
    new.outdated = outdated_after(states, places, older)
    new.links = old.links | new_links(before, end.state, older)
    paths = [Path(before, nullcontext, 0), Path(end.state, partial(within, cx, end), 1)]
    new.stale, lost = join_stale(cx, paths, arrays, older, old.stale)
    unclear = {c for c, ws in new.stale.items() if any(w.by is None for w in ws)}
    new.lost = (old.lost | lost) - unclear
    new.covers = loop_covers(end.state, arrays, older) if cx.exact else {}
    with within(cx, end):
        for cell in sorted(new.lost, key=lambda c: c.serial):
            bring_up_to_date(cx, cell)
            new.stale.pop(cell, None)
    changed = {*old.cells, *changed_cells(head, end.state, older), *new.lost}
    new.cells = sorted(changed, key=lambda c: c.serial)
    return new


# --- emission ------------------------------------------------------------------------------------


@dataclass
class Block:
    """A settled loop, ready to be emitted: parallel lists over what is carried."""

    keys: list[Any]
    params: list[Var]
    inits: list[Atom]
    results: list[Atom]
    invariant: dict[Var, Atom]
    atoms: dict[Any, Atom]


def close(cx: Context, carried: Carried, tried: Attempt) -> Block:
    """The block arguments with their first values and their values after an iteration; what every
    iteration keeps is not carried."""
    for cell in sorted(carried.lost, key=lambda c: c.serial):
        bring_up_to_date(cx, cell)
    inits: dict[Any, Atom] = {}
    for key, shape in carried.shapes.items():
        lower(cx, shape, current(cx.state, cx.frame.locals, key), inits)
    inits |= {c: cx.version(c) for c in carried.cells}
    results: dict[Any, Atom] = dict(tried.params)
    if not tried.branch.state.dead:
        results = {}
        with within(cx, tried.branch):
            for key, shape in carried.shapes.items():
                lower(cx, shape, current(cx.state, tried.branch.locals, key), results)
        results |= {c: tried.branch.version(c) for c in carried.cells}
    kept = [k for k in carried.slots if results[k] is tried.params[k]]
    keys = [k for k in carried.slots if k not in kept]
    return Block(
        keys,
        [tried.params[k] for k in keys],
        [inits[k] for k in keys],
        [results[k] for k in keys],
        {tried.params[k]: inits[k] for k in kept},
        {k: inits[k] for k in kept},
    )


def leave(
    cx: Context, carried: Carried, atoms: Mapping[Any, Atom], rebound: frozenset[str]
) -> None:
    """Go on after the loop. A name that the body rebinds and nothing reads later is forgotten."""
    enter(cx, carried, atoms)
    carried.growing.finish()
    for name in rebound - set(carried.shapes):
        cx.frame.locals.pop(name, None)


def emit_for(
    cx: Context,
    index: Var,
    bounds: tuple[Atom, Atom, Atom],
    carried: Carried,
    tried: Attempt,
    parallel: bool = False,
) -> dict[Any, Atom]:
    """Emit the `for`; what the leaves and cells are after it. `parallel` marks it as a prange."""
    block = close(cx, carried, tried)
    stop = False if tried.branch.state.dead else tried.stop
    exits = stop is not False
    results = [*([as_bool(stop)] if exits else []), *block.results]
    region = Region((index, *block.params), tuple(tried.branch.builder.eqns), tuple(results))
    region = substitute(region, block.invariant)
    names = [carried.slots[k][0] for k in block.keys]
    outs = cx.builder.equation(
        "for",
        [*bounds, *block.inits],
        ({"exit": True} if exits else {}) | ({PARALLEL: WISHED} if parallel else {}),
        [region],
        [*(["count"] if exits else []), *names],
    )
    after = {**block.atoms, **dict(zip(block.keys, outs[1:] if exits else outs))}
    return _surely_defined(after, block, bounds)


def _surely_defined(after: dict[Any, Atom], block: Block, bounds: tuple[Atom, ...]) -> dict:
    """Where at least one iteration is certain, a name that each defines is defined."""
    if not all(isinstance(b, Lit) for b in bounds) or not range(*(b.value for b in bounds)):
        return after
    for key, result in zip(block.keys, block.results):
        if isinstance(key, Flag) and result == Lit(True, BOOL):
            after[key] = result
    return after


def _unchanged(cx: Context, names: dict[str, Any], before: State, older: int) -> bool:
    """True where names, and the arrays and objects up to serial `older`, are as they were."""
    changed = changed_cells(before, cx.state, older) or changed_slots(before, cx.state, older)
    return not changed and same(names, cx.frame.locals)


def emit_while(
    cx: Context, carried: Carried, tried: Attempt, test: Callable[[Any], Any]
) -> dict[Any, Atom] | None:
    """Emit the `while`; `test(stopped)` evaluates the condition at the head of an iteration. None
    where that changes arrays or names, which a condition of the IR cannot."""
    block = close(cx, carried, tried)
    params = {k: Var(n, t) for k, (n, t) in carried.slots.items()}
    found: list[Any] = []

    def condition() -> None:
        enter(cx, carried, params)
        before = dict(cx.frame.locals), cx.state.fork(), cx.serial
        found.append(test(stopped(cx)))
        found.append(_unchanged(cx, *before))

    head = run_branch(cx, condition)
    if not found[1]:
        return None
    invariant = {params[k]: atom for k, atom in block.atoms.items()}
    cond = Region(
        tuple(params[k] for k in block.keys), tuple(head.builder.eqns), (as_bool(found[0]),)
    )
    body = Region(tuple(block.params), tuple(tried.branch.builder.eqns), tuple(block.results))
    regions = [substitute(cond, invariant), substitute(body, block.invariant)]
    names = [carried.slots[k][0] for k in block.keys]
    outs = cx.builder.equation("while", block.inits, {}, regions, names)
    return {**block.atoms, **dict(zip(block.keys, outs))}
