"""Loops: the body is interpreted with what is carried round it, again and again until the types,
the written arrays and the sharing of memory have settled; the last interpretation counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

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
from s2s_ad.frontend.join import (
    UNDEFINED,
    Arr,
    Flag,
    Group,
    Joiner,
    Keep,
    Num,
    Opt,
    Pairs,
    Place,
    changed_cells,
    find_sources,
    leaf_type,
    leaves_of,
    lift,
    lower,
    new_cells,
    sharing,
)
from s2s_ad.frontend.values import Cell, children, is_scalar, same
from s2s_ad.ir.core import Atom, Lit, Region, Var, substitute
from s2s_ad.ir.types import BOOL, Type

ROUNDS = 40
#: After so many interpretations, stale arrays are carried whatever it costs.
PATIENCE = 10


@dataclass
class Carried:
    """What goes round a loop: the shapes of names, memory cells, staleness, sharing."""

    shapes: dict[str, Any]
    cells: list[Cell] = field(default_factory=list)
    stale: dict[Cell, tuple[Write, ...]] = field(default_factory=dict)
    pairs: Pairs = field(default_factory=set)
    unclear: Pairs = field(default_factory=set)
    lost: set[Cell] = field(default_factory=set)
    covers: dict[Cell, tuple[Arr, ...]] = field(default_factory=dict)

    @property
    def slots(self) -> dict[Any, tuple[str, Type]]:
        """Leaves, then cells, each with a hint and a type: the block arguments."""
        found = {k: (n, leaf_type(k)) for k, n in leaves_of(self.shapes).items()}
        return found | {c: (c.name, c.type) for c in self.cells}

    @property
    def arrays(self) -> list[Arr]:
        return [leaf for leaf in leaves_of(self.shapes) if isinstance(leaf, Arr)]

    def content_with_less(self) -> None:
        """Have stale cells brought up to date in every iteration, so that the loop settles."""
        clear = {c for c, ws in self.stale.items() if all(w.by is not None for w in ws)}
        self.lost |= clear
        self.stale = {c: ws for c, ws in self.stale.items() if c not in clear}
        self.cells = sorted({*self.cells, *clear}, key=lambda c: c.serial)
        self.covers = {}

    def signature(self) -> tuple:
        order = {arr: k for k, arr in enumerate(self.arrays)}
        shapes = tuple((n, _signature(s, order)) for n, s in self.shapes.items())
        cells = tuple(c.serial for c in self.cells)
        stale = {
            c.serial: [order[w.by] if w.by in order else getattr(w.by, "serial", -1) for w in ws]
            for c, ws in self.stale.items()
        }
        covers = {c.serial: [order[a] for a in arrs] for c, arrs in self.covers.items()}
        lost = sorted(c.serial for c in self.lost)
        pairs = sorted(self.pairs), sorted(self.unclear)
        return shapes, cells, sorted(stale.items()), pairs, lost, sorted(covers.items())


def _signature(shape: Any, order: Mapping[Arr, int]) -> tuple:
    if isinstance(shape, Keep):
        return ("keep",)
    if isinstance(shape, Num):
        return ("num", shape.dtype, shape.weak)
    if isinstance(shape, Arr):
        sources = tuple(sorted(c.serial for c in shape.sources))
        told = sorted(shape.possible), sorted(c.serial for c in shape.blurred)
        return ("array", order[shape], str(shape.type), sources, told)
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


def enter(cx: Context, carried: Carried, atoms: Mapping[Any, Atom]) -> None:
    """Set names and memory to what they are at the head of the loop."""
    new_cells(cx, carried.arrays, atoms, carried.pairs, carried.unclear)
    for name, shape in carried.shapes.items():
        value = lift(cx, shape, atoms)
        if value is UNDEFINED:
            cx.frame.locals.pop(name, None)
        else:
            cx.frame.locals[name] = value
    for cell in carried.cells:
        cx.state.memory[cell] = atoms[cell]
    cx.state.stale = placed(carried.stale)
    cx.state.covers.update((c, tuple(a.cell for a in arrs)) for c, arrs in carried.covers.items())


def attempt(cx: Context, carried: Carried, body: Callable[[], None]) -> Attempt:
    """Interpret the body once, under the assumptions in `carried`."""
    params = {k: Var(n, t) for k, (n, t) in carried.slots.items()}
    stop: list[Any] = []

    def run() -> None:
        enter(cx, carried, params)
        names = cx.frame.locals
        for flag in FLAGS:
            names[flag] = False
        names["%done"] = False
        names.pop("%value", None)
        body()
        stop.append(stopped(cx))

    return Attempt(params, run_branch(cx, run), stop[0] if stop else None)


def stopped(cx: Context) -> Any:
    """Whether no iteration follows: `%done` says that the condition, tested in the body, failed."""
    names = cx.frame.locals
    left = both(cx, names.get("%break", False), names.get("%return", False), "or")
    return both(cx, left, names.get("%done", False), "or")


def settle(
    cx: Context, names: list[str], rebound: frozenset[str], body: Callable[[], None]
) -> tuple[Carried, Attempt]:
    """Interpret `body` until what is carried has settled.

    `names` may be read at the head of the loop or after it; of these, numbers that are `rebound` in
    the body are carried from the start."""
    older, before, outside = cx.serial, cx.state, frozenset(cx.symbols)
    start = {n: cx.frame.locals.get(n, UNDEFINED) for n in names}
    joiner = Joiner(cx, before.facts, since=older)
    shapes = {n: _first(joiner, v, n in rebound) for n, v in start.items()}
    carried = Carried(shapes, stale=dict(before.stale))
    for k in range(ROUNDS):
        tried = attempt(cx, carried, body)
        following = _widened(cx, carried, tried, before, (older, outside))
        if k >= PATIENCE and cx.exact:
            following.content_with_less()
        if following.signature() == carried.signature():
            return carried, tried
        carried = following
    return cx.fail(PathError, "the types that this loop carries do not settle")


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


def _widened(
    cx: Context, old: Carried, tried: Attempt, before: State, since: tuple[int, frozenset[str]]
) -> Carried:
    """What is carried, given how the body ended. `since` are the serial and the extent symbols at
    the start of the loop."""
    end, (older, outside) = tried.branch, since
    if end.state.dead:
        return old
    joiner = Joiner(cx, end.state.facts, outside, older)
    ends = {n: end.locals.get(n, UNDEFINED) for n in old.shapes}
    shapes = {n: joiner.widen(s, ends[n], n) for n, s in old.shapes.items()}
    head = State({**before.memory, **{c: tried.params[c] for c in old.cells}})
    new = Carried(shapes)
    states = (before, end.state)
    find_sources(new.arrays, states, older)
    new.pairs = sharing(new.arrays, states)
    new.unclear = tell(cx, new.arrays, states, new.pairs, older)
    paths = [Path(before, nullcontext, 0), Path(end.state, partial(within, cx, end), 1)]
    new.stale, lost = join_stale(cx, paths, new.arrays, older, old.stale)
    unclear = {c for c, ws in new.stale.items() if any(w.by is None for w in ws)}
    new.lost = (old.lost | lost) - unclear
    new.covers = loop_covers(end.state, new.arrays, older) if cx.exact else {}
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
    for name, shape in carried.shapes.items():
        lower(cx, shape, cx.frame.locals.get(name, UNDEFINED), inits)
    inits |= {c: cx.version(c) for c in carried.cells}
    results: dict[Any, Atom] = dict(tried.params)
    if not tried.branch.state.dead:
        results = {}
        with within(cx, tried.branch):
            for name, shape in carried.shapes.items():
                lower(cx, shape, tried.branch.locals.get(name, UNDEFINED), results)
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


def _unchanged(cx: Context, names: dict[str, Any], memory: dict[Cell, Atom], older: int) -> bool:
    """True where names, and the arrays up to serial `older`, are as they were."""
    changed = changed_cells(State(memory), cx.state, older)
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
        before = dict(cx.frame.locals), dict(cx.state.memory), cx.serial
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
