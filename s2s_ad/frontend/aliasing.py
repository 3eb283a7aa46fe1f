"""Which arrays are the same memory, where that depends on the path taken.

After `buf = a if c else b` the name `buf` has a cell of its own, which may be the memory of `a` or
that of `b`. A write through one of the three leaves the others *stale*. What a stale cell holds is
told by identities: every cell that is made by creation has a number, and every joined cell an i64
atom, which of the numbers it is when running (`NEW` for memory that has none outside of the join).

    content(a) = buf's version if identity(buf) == number(a) else a's own last version

More generally: of all cells that are the same memory, the one that was last written through holds
the content, since a write through a stale cell brings it up to date first. `State.stale` lists
those writers, in the order of their last writes.

Identities cost further carried values, so a function is traced without them first; the first read
of a stale cell raises `IdentityNeeded`, and it is traced again with `Context.exact`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s2s_ad.errors import Loc
from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.errors import AliasError
from s2s_ad.frontend.values import Cell, View
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import Atom, Lit, Region

#: The identity of memory that is made on a path, and of an array that is not there.
NEW, NONE = -1, -2


class IdentityNeeded(Exception):
    """A stale cell is read in a trace without identities."""


@dataclass(frozen=True)
class Write:
    """Where and through which cell a stale cell may have been written; in a join, through which
    joined array. `by` is None where identities cannot tell whether it was."""

    by: Any
    loc: Loc | None


# --- identities ----------------------------------------------------------------------------------


def number(cx: Context, cell: Cell) -> int:
    """The identity of a cell that is no join."""
    return cx.numbers.setdefault(cell, len(cx.numbers))


def identity(cx: Context, cell: Cell) -> Atom:
    return cx.identity[cell] if cell in cx.identity else i64(number(cx, cell))


def possible(cx: Context, cell: Cell) -> frozenset[int]:
    """The identities that a cell may have."""
    return cx.possible[cell] if cell in cx.possible else frozenset((number(cx, cell),))


def whole(view: View | None, dtype: str) -> bool:
    """True where joining `view` into an array of this dtype shares the memory of all its cell."""
    return view is not None and not view.steps and view.type.dtype == dtype


def seen_from(cx: Context, view: View | None, dtype: str, since: int | None) -> frozenset[int]:
    """The identities of `view` outside of the join. In a loop, what is younger than `since` has
    another twin in the next iteration: it is `NEW`."""
    if view is None:
        return frozenset((NONE,))
    if not whole(view, dtype):
        return frozenset((NEW,))
    found = possible(cx, view.cell)
    return found - younger(cx, found, since) | ({NEW} if younger(cx, found, since) else set())


def younger(cx: Context, numbers: Iterable[int], since: int | None) -> frozenset[int]:
    if since is None:
        return frozenset()
    cells = list(cx.numbers)
    return frozenset(n for n in numbers if n >= 0 and cells[n].serial > since)


def identity_of(cx: Context, view: View, dtype: str, since: int | None) -> Atom:
    """The identity of `view` outside of the join, as an atom."""
    if not whole(view, dtype):
        return i64(NEW)
    atom = identity(cx, view.cell)
    for n in sorted(younger(cx, possible(cx, view.cell), since)):
        if isinstance(atom, Lit):
            return i64(NEW)
        atom = cx.emit("select", cx.emit("eq", atom, i64(n)), i64(NEW), atom, name=atom.name)
    return atom


def told(cx: Context, a: View, b: View, dtypes: tuple[str, str], since: int | None = None) -> bool:
    """True where identities say, when running, whether two views are the same array."""
    if not (whole(a, dtypes[0]) and whole(b, dtypes[1])):
        return False
    if frozenset((a.cell, b.cell)) in cx.blurred:
        return False
    ways = seen_from(cx, a, dtypes[0], since) & seen_from(cx, b, dtypes[1], since)
    return NEW not in ways


def same_kind(cx: Context, a: Cell, b: Cell) -> bool:
    return a.type.same_kind(b.type) and bool(possible(cx, a) & possible(cx, b))


# --- writing and reading -------------------------------------------------------------------------


def written(cx: Context, cell: Cell) -> None:
    """Note a write through `cell`: what may be the same memory is stale from now on."""
    cx.writes += 1
    stale = cx.state.stale
    stale.pop(cell, None)
    for other in sorted(cx.state.alias.get(cell, ()), key=lambda c: c.serial):
        clear = cx.exact and frozenset((cell, other)) not in cx.blurred
        if clear and not same_kind(cx, cell, other):
            continue
        by = cell if clear else None
        before = tuple(w for w in stale.get(other, ()) if w.by is not by)
        stale[other] = (*before, Write(by, cx.loc))


def bring_up_to_date(cx: Context, cell: Cell) -> None:
    """Make the version of a stale cell what the memory holds. AliasError where that is unclear."""
    writes = cx.state.stale.get(cell)
    if not writes:
        return
    if not cx.exact:
        raise IdentityNeeded
    unclear = next((w for w in writes if w.by is None), None)
    if unclear is not None:
        line = f"in line {unclear.loc.line}" if unclear.loc else "before"
        cx.fail(
            AliasError,
            f"{cell.name!r} may share memory with an array that was written {line}; "
            "whether it does, or where, depends on the path taken or on the memory's layout",
            "make the copy explicit: `.copy()` where the two names are bound",
        )
    cx.state.memory[cell] = _content(cx, cell, [w.by for w in writes])
    del cx.state.stale[cell]


def _content(cx: Context, cell: Cell, writers: list[Cell]) -> Atom:
    """What `cell` holds after writes through `writers`. Where one of the cells that cover it holds
    the content in any case, the cell's own version is not needed."""
    stale, cover = cx.state.stale, cx.state.covers.get(cell, ())
    value = cx.version(cell)
    if cover and all(c in writers or c not in stale for c in cover):
        order = [*(c for c in cover if c not in writers), *writers]
        first = next(k for k, c in enumerate(order) if c in cover)
        value, writers = cx.version(order[first]), order[first + 1 :]
    for writer in writers:
        value = _pick(cx, cell, writer, value)
    return value


def _pick(cx: Context, cell: Cell, writer: Cell, otherwise: Atom) -> Atom:
    """The version of `writer` if it is `cell`."""
    a, b = identity(cx, writer), identity(cx, cell)
    version = cx.version(writer)
    both = possible(cx, writer) & possible(cx, cell)
    if not both:
        return otherwise
    if isinstance(a, Lit) and isinstance(b, Lit):
        return version if a == b else otherwise
    same = cx.emit("eq", a, b, name="same")
    if min(both) < 0:  # two that are new are not the same
        same = cx.emit("and", same, cx.emit("ge", a, i64(0)), name="same")
    regions = [Region((), (), (x,)) for x in (version, otherwise)]
    return cx.builder.equation("if", [same], {}, regions, [cell.name], [cell.type])[0]


# --- joins ---------------------------------------------------------------------------------------


def tell(
    cx: Context,
    arrays: Sequence[Any],
    states: tuple[State, State],
    pairs: set[tuple[int, int]],
    since: int | None = None,
) -> set[tuple[int, int]]:
    """Note for each joined array the identities that it may have, and the sources that these do not
    tell it from; return such pairs of joined arrays. (`arrays` come first among the places that
    `pairs` counts; the others are objects.)"""
    pairs = {pair for pair in pairs if max(pair) < len(arrays)}
    if not cx.exact:
        return pairs
    for arr in arrays:
        dtype = arr.type.dtype
        for state, view in zip(states, arr.views):
            arr.possible |= seen_from(cx, view, dtype, since)
            for source in arr.sources if view is not None else ():
                other = View(source, (), source.type)
                dtypes = (dtype, source.type.dtype)
                if state.overlap(view.cell, source) and not told(cx, view, other, dtypes, since):
                    arr.blurred.add(source)
    unclear = set()
    for i, j in pairs:
        dtypes = (arrays[i].type.dtype, arrays[j].type.dtype)
        for state, p, q in zip(states, arrays[i].views, arrays[j].views):
            shared = p is not None and q is not None and state.overlap(p.cell, q.cell)
            if shared and not told(cx, p, q, dtypes, since):
                unclear.add((i, j))
    return unclear


def survivors(state: State, arrays: Sequence[Any], path: int, cell: Cell) -> list[Any] | None:
    """The joined arrays of which one is certainly `cell`, after this path; None without."""
    found = [a for a in arrays if whole(a.views[path], a.type.dtype) and a.views[path].cell is cell]
    if found:
        return found
    parts = [survivors(state, arrays, path, c) for c in state.covers.get(cell, ())]
    return None if not parts or None in parts else [a for part in parts for a in part]


@dataclass
class Path:
    """A way into a join: the state at its end, and how to emit there."""

    state: State
    inside: Callable[[], Any]
    index: int


def join_stale(
    cx: Context,
    paths: Sequence[Path],
    arrays: Sequence[Any],
    older: int,
    sticky: Collection[Cell] = (),
) -> tuple[dict[Cell, tuple[Write, ...]], set[Cell]]:
    """Which cells are stale after a join, and those that the writers known there do not explain:
    they must be brought up to date at the end of every path. `sticky` are the cells that the
    interpretation of a loop before this one found stale: they stay so, with all joined arrays for
    writers, or it would not settle."""
    out: dict[Cell, tuple[Write, ...]] = {}
    lost: set[Cell] = set()
    cells = dict.fromkeys(c for p in paths for c in p.state.stale if c.serial <= older)
    cells.update(dict.fromkeys(sticky))
    for cell in cells:
        lists = [p.state.stale.get(cell, ()) for p in paths]
        unclear = [w for writes in lists for w in writes if w.by is None]
        if unclear:
            out[cell] = (unclear[0],)
            continue
        merged = _merged(cx, paths, arrays, older, cell)
        if merged is None:
            lost.add(cell)
            continue
        if cell in sticky:
            every = (a for a in arrays if cell in a.sources - a.blurred)
            merged = (
                *(w for w in merged if isinstance(w.by, Cell)),
                *(Write(a, cx.loc) for a in every),
            )
        if merged:
            out[cell] = merged
    return out, lost


def _merged(
    cx: Context, paths: Sequence[Path], arrays: Sequence[Any], older: int, cell: Cell
) -> tuple[Write, ...] | None:
    """The writers of a cell after a join. A writer that a path does not have is added, which is
    right where it is up to date there, as all joined arrays are."""
    old: dict[Any, Write] = {}
    joined: dict[Any, Write] = {}
    for path in paths:
        for w in path.state.stale.get(cell, ()):
            if w.by.serial <= older:
                old.setdefault(w.by, w)
                continue
            found = survivors(path.state, arrays, path.index, w.by)
            if found is None or any(cell in a.blurred for a in found):
                return None
            joined.update((a, Write(a, w.loc)) for a in found)
    order = list(old)
    for path in paths:
        own = [w.by for w in path.state.stale.get(cell, ()) if w.by in old]
        if any(c not in own and c in path.state.stale for c in order):
            return None
        if own != [c for c in order if c in own]:
            return None
    return (*old.values(), *(joined[a] for a in arrays if a in joined))


def covers(paths: Sequence[Path], arrays: Sequence[Any], older: int) -> dict[Cell, tuple]:
    """The older cells of which, on every path, one joined array is certainly the same memory."""
    found: dict[Cell, tuple] = {}
    starts = {a.views[0].cell for a in arrays if whole(a.views[0], a.type.dtype)}
    for cell in sorted(starts, key=lambda c: c.serial):
        ways = [survivors(p.state, arrays, p.index, cell) for p in paths]
        if cell.serial <= older and None not in ways:
            both = tuple(dict.fromkeys(a for way in ways for a in way))
            if not any(cell in a.blurred for a in both):
                found[cell] = both
    return found


def loop_covers(end: State, arrays: Sequence[Any], older: int) -> dict[Cell, tuple]:
    """The same for what goes round a loop: groups of arrays that every iteration permutes."""
    ways: dict[Any, list[Any]] = {}
    for arr in arrays:
        head = arr.cell
        if head is None and whole(arr.views[0], arr.type.dtype):
            head = arr.views[0].cell
        found = None if head is None else survivors(end, arrays, 1, head)
        if found is not None:
            ways[arr] = found
    while any(b not in ways for found in ways.values() for b in found):
        ways = {a: found for a, found in ways.items() if all(b in ways for b in found)}
    out: dict[Cell, tuple] = {}
    for arr in ways:
        first = arr.views[0]
        if whole(first, arr.type.dtype) and first.cell.serial <= older:
            orbit = _orbit(arr, ways)
            if not any(first.cell in a.blurred for a in orbit):
                out[first.cell] = orbit
    return out


def _orbit(arr: Any, ways: Mapping[Any, Sequence[Any]]) -> tuple:
    seen = {arr: None}
    todo = [arr]
    while todo:
        for b in ways[todo.pop()]:
            if b not in seen:
                seen[b] = None
                todo.append(b)
    return tuple(a for a in ways if a in seen)


def placed(writes: Mapping[Cell, Sequence[Write]]) -> dict[Cell, tuple[Write, ...]]:
    """Writers that are joined arrays as the cells that these have now."""
    return {
        c: tuple(Write(getattr(w.by, "cell", w.by), w.loc) for w in ws) for c, ws in writes.items()
    }
