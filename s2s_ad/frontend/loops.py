"""Loops: the body is interpreted with what is carried round it, again and again until the types,
the written arrays and the sharing of memory have settled; the last interpretation counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from s2s_ad.errors import Loc
from s2s_ad.frontend.arithmetic import as_bool, both
from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.errors import PathError, UnsupportedSyntaxError
from s2s_ad.frontend.flow import FLAGS, Branch, run_branch, within
from s2s_ad.frontend.growth import Growing, Trips
from s2s_ad.frontend.heap import put
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
    Pairs,
    changed_cells,
    changed_slots,
    current,
    find_sources,
    hint,
    leaf_type,
    leaves_of,
    lift,
    lower,
    new_places,
    places_of,
    sharing,
)
from s2s_ad.frontend.values import Cell, Slot, children, is_scalar
from s2s_ad.ir.core import Atom, Lit, Region, Var, substitute
from s2s_ad.ir.types import BOOL, Type

ROUNDS = 40
#: The serial and the extent symbols at the start of a loop.
Since = tuple[int, frozenset[str]]


@dataclass
class Carried:
    """What goes round a loop: the shapes of names and of objects' slots, memory cells, staleness,
    sharing."""

    shapes: dict[Key, Any]
    cells: list[Cell] = field(default_factory=list)
    stale: dict[Cell, Loc] = field(default_factory=dict)
    pairs: Pairs = field(default_factory=set)
    growing: Growing | None = None

    @property
    def slots(self) -> dict[Any, tuple[str, Type]]:
        """Leaves, then cells, each with a hint and a type: the block arguments."""
        found = {k: (n, leaf_type(k)) for k, n in leaves_of(self.shapes).items()}
        return found | {c: (c.name, c.type) for c in self.cells}

    @property
    def places(self) -> list[Arr | Ins]:
        return places_of(self.shapes)

    def signature(self) -> tuple:
        order = {place: k for k, place in enumerate(self.places)}
        shapes = tuple((n, _signature(s, order)) for n, s in self.shapes.items())
        cells = tuple(c.serial for c in self.cells)
        return shapes, cells, tuple(sorted(c.serial for c in self.stale)), sorted(self.pairs)


def _signature(shape: Any, order: Mapping[Arr | Ins, int]) -> tuple:
    if isinstance(shape, Keep):
        return ("keep",)
    if isinstance(shape, Num):
        return ("num", shape.dtype, shape.weak)
    if isinstance(shape, Arr):
        sources = tuple(sorted(c.serial for c in shape.sources))
        return ("array", order[shape], str(shape.type), sources)
    if isinstance(shape, Ins):
        sources = tuple(sorted(b.serial for b in shape.sources))
        items = tuple((n, _signature(s, order)) for n, s in shape.items.items())
        return ("object", order[shape], sources, items)
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
    new_places(cx, carried.places, atoms, carried.pairs)
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
    cx.state.stale = dict(carried.stale)


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
        names.pop("%value", None)
        body()
        names = cx.frame.locals
        stop.append(both(cx, names.get("%break", False), names.get("%return", False), "or"))

    branch = run_branch(cx, run)
    return Attempt(params, branch, stop[0] if stop else None, head[0])


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
    for _ in range(ROUNDS):
        tried = attempt(cx, carried, growing.counting(body))
        if growing.replan(tried.branch.state, tried.stop, since[0]):
            carried, since = _start(cx, start, rebound)
            continue
        following = _widened(cx, carried, tried, since, growing)
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
    return Carried(shapes, stale=dict(cx.state.stale)), since


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
    stale = {c: w for c, w in end.state.stale.items() if c.serial <= older}
    new = Carried(shapes, changed_cells(head, end.state, older), {**stale, **before.stale})
    find_sources(cx, new.places, older)
    new.pairs = sharing(cx, new.places)
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
) -> dict[Any, Atom]:
    """Emit the `for`; what the leaves and cells are after it."""
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
        {"exit": True} if exits else {},
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


def emit_while(
    cx: Context, carried: Carried, tried: Attempt, test: Callable[[Any], Any]
) -> dict[Any, Atom]:
    """Emit the `while`; `test(stopped)` evaluates the condition at the head of an iteration."""
    block = close(cx, carried, tried)
    params = {k: Var(n, t) for k, (n, t) in carried.slots.items()}
    found: list[Any] = []
    starts: list[State] = []
    older: list[int] = []

    def condition() -> None:
        enter(cx, carried, params)
        starts.append(cx.state.fork())
        older.append(cx.serial)
        names = cx.frame.locals
        stopped = both(cx, names.get("%break", False), names.get("%return", False), "or")
        found.append(test(stopped))

    head = run_branch(cx, condition)
    written = any(head.version(c) is not params[c] for c in carried.cells)
    if written or changed_slots(starts[0], head.state, older[0]):
        cx.fail(UnsupportedSyntaxError, "the condition of a while must not write to arrays")
    invariant = {params[k]: atom for k, atom in block.atoms.items()}
    cond = Region(
        tuple(params[k] for k in block.keys), tuple(head.builder.eqns), (as_bool(found[0]),)
    )
    body = Region(tuple(block.params), tuple(tried.branch.builder.eqns), tuple(block.results))
    regions = [substitute(cond, invariant), substitute(body, block.invariant)]
    names = [carried.slots[k][0] for k in block.keys]
    outs = cx.builder.equation("while", block.inits, {}, regions, names)
    return {**block.atoms, **dict(zip(block.keys, outs))}
