"""Room for lists that grow in loops.

A list that a counted loop appends numbers or arrays to becomes the first rows of one array, made
before the loop with room for all that may be appended:

    out = []                          out = np.empty(n)
    for i in range(n):                for i in range(n):
        out.append(f(i))                  out[i] = f(i)

How much that is, is found by interpreting the body: a state counts what it has appended to each
list, branches take the larger count, inner loops multiply. Where each iteration appends the same
number of items, the place of an item follows from the iteration; else the length goes round the
loop with the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from s2s_ad.errors import Loc
from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.errors import GrowthError, ShapeError
from s2s_ad.frontend.facts import split_dim
from s2s_ad.frontend.heap import ITEMS, filled, held, put
from s2s_ad.frontend.iteration import length
from s2s_ad.frontend.subscripts import Slice, set_items
from s2s_ad.frontend.values import Box, Rows, Slot, View, is_array, is_scalar, structure
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import Eqn, Region, Var, clone, eqn_uses
from s2s_ad.ir.subscript import split_spec
from s2s_ad.ir.types import I64, Type

#: What may be computed before a loop although the loop computes it: it cannot fail.
SAFE = frozenset("add sub mul maximum minimum neg convert select eq ne lt le gt ge dim".split())
NO_PARAMS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Growth:
    """How many items have been appended at most (None: unknown), where last, whether surely."""

    bound: Any
    exact: bool
    loc: Loc | None


@dataclass(frozen=True)
class Trips:
    """The iterations of a counted loop."""

    index: Var
    bounds: tuple[Any, Any, Any]

    def count(self, cx: Context) -> Any:
        """How many there are."""
        return length(cx, *self.bounds)

    def done(self, cx: Context) -> Any:
        """How many have been done, in the body."""
        start, _, step = self.bounds
        past = ar.binary(cx, "sub", self.index, start)
        return past if type(step) is int and step == 1 else ar.binary(cx, "floordiv", past, step)


@dataclass(frozen=True)
class Plan:
    """A list that gets room: the type of its items, what an iteration appends."""

    item: Type
    weak: bool
    bound: int | None
    exact: bool


def grow(cx: Context, box: Box, by: Any) -> None:
    """Count items that have been appended."""
    before = cx.state.grown.get(box, Growth(0, True, None))
    bound = None if None in (before.bound, by) else ar.binary(cx, "add", before.bound, by)
    cx.state.grown[box] = Growth(bound, before.exact and type(by) is int, cx.loc)


def unsure(cx: Context, box: Box) -> None:
    """The length of a list does not follow from what has been appended any more."""
    grow(cx, box, 0)
    cx.state.grown[box] = replace(cx.state.grown[box], exact=False)


def note_kind(cx: Context, box: Box, value: Any) -> None:
    """Remember what kind of items a list has."""
    if not (is_array(value) or is_scalar(value)):
        cx.kinds[box] = None
        return
    dtype, weak = ar.dtype_of(cx, value)
    note(cx, box, (Type(dtype, ar.shape_of(value)), weak))


def note(cx: Context, box: Box, found: tuple[Type, bool]) -> None:
    """Remember one more kind. Kinds that differ are an error where the items must be an array."""
    before = cx.kinds.get(box, found)
    try:
        cx.kinds[box] = before if isinstance(before, GrowthError) else common(cx, before, found)
    except GrowthError as error:
        cx.kinds[box] = error


def kind_of(cx: Context, box: Box, items: Any) -> tuple[Type, bool] | None:
    """The type of a list's items, and whether they are Python numbers; None where they are neither
    numbers nor arrays, or there are none. GrowthError where they are of several."""
    for item in items if isinstance(items, tuple) else ():
        note_kind(cx, box, item)
    found = cx.kinds.get(box)
    if isinstance(found, GrowthError):
        raise found
    return found


def common(cx: Context, a: tuple[Type, bool] | None, b: tuple[Type, bool]) -> Any:
    """The kind of items that are of two kinds. Python's ints become floats among floats."""
    if a is None:
        return None
    if a[0].ndim != b[0].ndim:
        cx.fail(GrowthError, f"the items of a list are of different kinds: {a[0]} and {b[0]}")
    if a[0].dtype == b[0].dtype:
        return a[0], a[1] and b[1]
    if not (a[1] and b[1]) or "bool" in (a[0].dtype, b[0].dtype):
        cx.fail(
            GrowthError,
            f"the items of a list are of different types: {a[0].dtype} and {b[0].dtype}",
            "convert them when they are appended: float(…), or .astype of arrays",
        )
    return a if ar.KIND[a[0].dtype] >= ar.KIND[b[0].dtype] else b


def most_grown(cx: Context, a: State, b: State, paths: Sequence[Sequence[Eqn]]) -> dict[Box, Any]:
    """What two paths have appended at most; `paths` are their equations."""
    found = {}
    for box in dict.fromkeys([*a.grown, *b.grown]):
        x, y = (s.grown.get(box, Growth(0, True, None)) for s in (a, b))
        if x.bound is y.bound or x.bound == y.bound:
            found[box] = Growth(x.bound, x.exact and y.exact, x.loc or y.loc)
            continue
        if type(x.bound) is int and type(y.bound) is int:
            bound: Any = max(x.bound, y.bound)
        else:
            sides = [moved(cx, g.bound, eqns, set()) for g, eqns in zip((x, y), paths)]
            bound = None if None in sides else ar.elementwise(cx, "maximum", sides, "i64")
        found[box] = Growth(bound, False, x.loc or y.loc)
    return found


def times(cx: Context, a: Any, b: Any) -> Any:
    """`a * b`, plainly where that is possible: an extent stays what it is."""
    for one, other in ((a, b), (b, a)):
        if type(one) is int and one == 1:
            return other
    return ar.binary(cx, "mul", a, b)


# --- computing before the loop what the loop computes --------------------------------------------


def moved(cx: Context, atom: Any, eqns: Sequence[Eqn], params: set[Var]) -> Any:
    """`atom`, which `eqns` compute, computed here; None where it is not known (None), may fail or
    needs `params`."""
    needed = None if atom is None else sliced(atom, eqns, params)
    if needed is None:
        return None
    copy = clone(Region((), tuple(needed), (cx.index(atom),)))
    cx.builder.eqns.extend(copy.eqns)
    return copy.results[0]


def sliced(atom: Any, eqns: Sequence[Eqn], params: set[Var]) -> list[Eqn] | None:
    """The equations that compute `atom`, in order; None where they may fail or need `params`."""
    wanted, found = {atom}, []
    for eqn in reversed(eqns):
        if wanted.isdisjoint(eqn.outs):
            continue
        if not safe(eqn):
            return None
        found.append(eqn)
        wanted.update(eqn_uses(eqn))
    return None if wanted & params else found[::-1]


def safe(eqn: Eqn) -> bool:
    counts = eqn.prim == "for" and "exit" not in eqn.params
    if eqn.prim == "load":  # slices are cut to what there is
        return not {"i", "a"} & set(split_spec(eqn.params["spec"]))
    return eqn.prim in SAFE or (counts and all(map(safe, eqn.regions[0].eqns)))


# --- loops ---------------------------------------------------------------------------------------


class Growing:
    """The lists that one loop makes room for. `start` and `mark` are the state and the number of
    equations before it."""

    def __init__(self, cx: Context, trips: Trips | None) -> None:
        self.cx, self.trips = cx, trips
        self.plans: dict[Box, Plan] = {}
        self.rooms: dict[Box, Var] = {}
        self.lengths: dict[Box, Any] = {}
        self.ends: dict[Box, Growth] = {}
        self._count: Any = None
        self.start, self.mark = cx.state, len(cx.builder.eqns)

    def counting(self, body: Callable[[], None]) -> Callable[[], None]:
        """`body`, with what it appends counted, and lists as long as the iteration says."""

        def run() -> None:
            cx = self.cx
            cx.state.grown = {}
            for box, plan in self.plans.items():
                if plan.exact:
                    rows = held(cx.state, box, ITEMS)
                    length = self._after(box, self.trips.done(cx))
                    put(cx.state, box, ITEMS, replace(rows, length=length))
            body()

        return run

    def counts(self, slot: Slot) -> bool:
        """True for a list whose length follows from the iteration."""
        return slot.box in self.plans and self.plans[slot.box].exact

    def _after(self, box: Box, done: Any) -> Any:
        """The length after so many iterations."""
        cx = self.cx
        more = times(cx, done, self.plans[box].bound)
        out = ar.binary(cx, "add", self.lengths[box], more)
        if isinstance(out, Var):
            cx.nonneg.add(out)
        return out

    def count(self) -> Any:
        """The number of iterations, computed before the loop where it is needed."""
        if self._count is None:
            self._count = 0 if self.trips is None else self.trips.count(self.cx)
        return self._count

    def replan(self, end: State, stop: Any, older: int) -> bool:
        """Make room for what the body has been seen to append. True where that is news."""
        plans = dict(self.plans)
        self.ends = {b: g for b, g in end.grown.items() if b.serial <= older}
        for box, growth in self.ends.items():
            first, last = held(self.start, box, ITEMS), held(end, box, ITEMS)
            has_room = isinstance(first, Rows) and first.room
            both = isinstance(first, tuple) and isinstance(last, tuple)
            as_long = both and len(first) == len(last)
            if not has_room and (box in plans or not as_long):
                plans[box] = self._plan(box, growth, growth.exact and stop is False)
        if plans == self.plans:
            return False
        self.plans = plans
        self.cx.state = self.start.fork()
        del self.cx.builder.eqns[self.mark :]
        self._count = None
        self.rooms = {}
        for box, plan in plans.items():
            self._reserve(box, plan)
        return True

    def _plan(self, box: Box, growth: Growth, exact: bool) -> Plan:
        cx, old = self.cx, self.plans.get(box)
        if growth.bound is None or (self.trips is None and growth.bound != 0):
            raise GrowthError(
                "how many items this list will have is not known where the loop starts",
                growth.loc,
                "count in a for loop over a range, or fill an array that is large enough",
                tuple(cx.chain),
            )
        kind = kind_of(cx, box, held(self.start, box, ITEMS))
        if kind is None:
            raise GrowthError(
                "a list that a loop appends to can hold numbers and arrays only",
                growth.loc,
                "append the numbers that the items consist of, each to a list of its own",
                tuple(cx.chain),
            )
        bound = growth.bound if type(growth.bound) is int else None
        if old is not None:
            bound = None if None in (bound, old.bound) else max(bound, old.bound)
            exact = exact and old.exact and bound == old.bound
        return Plan(*kind, bound, exact and bound is not None)

    def _reserve(self, box: Box, plan: Plan) -> None:
        """Put the list into an array with room."""
        cx, first = self.cx, held(self.start, box, ITEMS)
        self.lengths[box] = length = first.length if isinstance(first, Rows) else len(first)
        if plan.bound is None:
            room: Any = Var(f"{box.name}_room", I64)
            self.rooms[box] = room
            cx.nonneg.add(room)
        else:
            more = times(cx, self.count(), plan.bound)
            room = ar.binary(cx, "add", length, more)
        rows = in_array(cx, box, first, room, (plan.item, plan.weak))
        put(cx.state, box, ITEMS, replace(rows, room=True))

    def settled(self, eqns: Sequence[Eqn], params: set[Var]) -> None:
        """Compute the rooms that were not known before, and count what the loop appends in all."""
        cx = self.cx
        later, count = cx.builder.eqns[self.mark :], self._count
        del cx.builder.eqns[self.mark :]
        self._count = None  # it is computed in what comes later
        totals = {}
        for box, room in self.rooms.items():
            growth = self.ends[box]
            totals[box] = total = self._total(growth, eqns, params)
            if total is None:
                self._plan(box, replace(growth, bound=None), False)
            whole = cx.index(ar.binary(cx, "add", self.lengths[box], total))
            cx.builder.append(Eqn((room,), "add", (whole, i64(0)), NO_PARAMS, (), cx.loc))
        cx.builder.eqns.extend(later)
        self._count = count
        for box, growth in self.ends.items():
            known = box in totals
            grow(cx, box, totals[box] if known else self._total(growth, eqns, params))

    def _total(self, growth: Growth, eqns: Sequence[Eqn], params: set[Var]) -> Any:
        """What all iterations append at most; None where that is not known before the loop."""
        cx, trips = self.cx, self.trips
        if type(growth.bound) is int:
            return times(cx, self.count(), growth.bound)
        if trips is None or growth.bound is None:
            return None
        once = moved(cx, growth.bound, eqns, {*params, trips.index})
        if once is not None:
            return times(cx, self.count(), once)
        needed = sliced(growth.bound, eqns, params)
        if needed is None:
            return None
        so_far = Var("count", I64)
        inner = Builder(cx.loc)
        inner.eqns.extend(needed)
        after = inner.emit("add", so_far, cx.index(growth.bound), name="count")
        body = clone(inner.region((trips.index, so_far), (after,)))
        bounds = [cx.index(b) for b in trips.bounds]
        (total,) = cx.builder.equation("for", [*bounds, i64(0)], {}, [body], ["count"])
        cx.nonneg.add(total)
        return total

    def finish(self) -> None:
        """After the loop: the lists have their lengths, and no room that is promised."""
        cx = self.cx
        for box, plan in self.plans.items():
            rows = held(cx.state, box, ITEMS)
            if plan.exact:
                rows = replace(rows, length=self._after(box, self.count()))
            if isinstance(rows, Rows):
                put(cx.state, box, ITEMS, replace(rows, room=False))


# --- lists as arrays -----------------------------------------------------------------------------


def of_one_length(
    cx: Context, slot: Slot, paths: Sequence[tuple[State, Callable[[], Any]]]
) -> None:
    """Lists that have different lengths at the ends of two paths become arrays there. `paths` are
    the states with what enters each to emit at its end."""
    sides = [held(state, slot.box, ITEMS) for state, _ in paths]
    lists = slot.field == ITEMS and slot.box.cls is list
    if not lists or not all(isinstance(side, (tuple, Rows)) for side in sides):
        return
    if structure(sides[0]) == structure(sides[1]):
        return
    try:
        kinds = [kind_of(cx, slot.box, side) for side in sides]
    except GrowthError:
        return
    if None in kinds:
        return
    most = max((len(side) for side in sides if isinstance(side, tuple)), default=0)
    for (_, enter), side in zip(paths, sides):
        with enter():
            room = most if isinstance(side, tuple) else side.length
            put(cx.state, slot.box, ITEMS, in_array(cx, slot.box, side, room, kinds[-1]))


def in_array(cx: Context, box: Box, items: Any, room: Any, kind: tuple[Type, bool]) -> Rows:
    """The items of a list in a new array with `room` rows."""
    item, weak = kind
    extents = []
    for dim in item.shape:
        found = cx.state.facts.find(dim)
        symbols = {found, split_dim(found)[0]} if isinstance(found, str) else set()
        if symbols and not symbols & {*cx.state.facts.extents, *cx.given}:
            cx.fail(
                ShapeError,
                "the shape of what is appended is not known where the loop starts",
                "fill an array that is made before the loop",
            )
        extents.append(cx.extent_named(found))
    shape = (cx.dim_of_atom(room), *item.shape)
    atom = cx.emit(
        "empty", cx.index(room), *extents, name=box.name, type=Type(item.dtype, shape),
        dtype=item.dtype,
    )  # fmt: skip
    view = cx.fresh(atom)
    if isinstance(items, Rows):
        set_items(cx, view, [Slice(None, items.length, None)], filled(cx, items))
        return Rows(view, items.length, False, weak)
    for k, value in enumerate(items):
        store(cx, view, i64(k), value)
    return Rows(view, len(items), False, weak)


def store(cx: Context, buffer: View, at: Any, value: Any) -> None:
    """Put an item into a row that nothing has read. A list holds the array itself: where the array
    is written to later, or the row, the other must not be read any more."""
    stale = dict(cx.state.stale)
    set_items(cx, buffer, [at], value)
    stale.pop(buffer.cell, None)  # the write has brought it up to date
    cx.state.stale = stale
    if is_array(value):
        cx.link_part(buffer.cell, value)
