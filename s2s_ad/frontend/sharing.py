"""What the arrays and objects of a join share, and what two states have changed.

A *place* is a joined array or object (`join.Arr`, `join.Ins`): its `origins` are the cells or boxes
that it was joined from, one for each path, its `sources` the older ones that it may be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from s2s_ad.errors import Loc
from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.heap import held
from s2s_ad.frontend.values import Box, Cell, Slot, same

#: Which of a join's arrays and objects may share memory with each other, by position.
Pairs = set[tuple[int, int]]
States = tuple[State, State]


def closure(state: State, origin: Cell | Box | None, older_than: int) -> set[Cell | Box]:
    """The cells that an array may be a part of (or the objects that one may be), without those made
    since."""
    if origin is None:
        return set()
    places = {origin} | state.alias.get(origin, frozenset())
    return {p for p in places if p.serial <= older_than}


def find_sources(places: Sequence[Any], states: States, older_than: int) -> None:
    """Add to each array and object the older ones that it may share memory with."""
    for place in places:
        for state, origin in zip(states, place.origins):
            place.sources |= closure(state, origin, older_than)


def sharing(places: Sequence[Any], states: States) -> Pairs:
    """The pairs of joined arrays and objects that may share memory on some path."""
    pairs = set()
    for i, a in enumerate(places):
        for j in range(i):
            for state, p, q in zip(states, a.origins, places[j].origins):
                if p is not None and q is not None and state.overlap(p, q):
                    pairs.add((j, i))
    return pairs


def outdated_after(states: States, places: Sequence[Any], older: int) -> dict[Any, Loc]:
    """The objects that may have been written to as another on some path, and those joined from
    them: what these hold is no better."""
    found: dict[Any, Loc] = {}
    for state in states:
        found |= {box: loc for box, loc in state.outdated.items() if box.serial <= older}
    for place in places:
        for state, origin in zip(states, place.origins):
            if origin in state.outdated:
                found[place] = state.outdated[origin]
    return found


def placed_boxes(outdated: Mapping[Any, Loc]) -> dict[Box, Loc]:
    """Joined objects as the boxes that these have now."""
    return {getattr(place, "box", place): loc for place, loc in outdated.items()}


def new_links(before: State, after: State, older: int) -> set[frozenset[Cell | Box]]:
    """The pairs that share memory since `before`, where both were there before."""
    found = set()
    for a, others in after.alias.items():
        known = before.alias.get(a, frozenset())
        if a.serial <= older and others is not known:
            found |= {frozenset((a, b)) for b in others - known if b.serial <= older}
    return found


def join_links(cx: Context, pairs: Collection[frozenset[Cell | Box]]) -> None:
    for a, b in pairs:
        cx.link(a, {b})


def changed_slots(before: State, after: State, older_than: int) -> list[Slot]:
    """The slots of objects that exist in `before` and hold something else in `after`."""
    found = []
    for box, fields in after.heap.items():
        if box.serial <= older_than and fields is not before.heap.get(box):
            names = [n for n, v in fields.items() if not same(v, held(before, box, n))]
            found += [Slot(box, n) for n in names]
    return found


def changed_cells(before: State, after: State, older_than: int) -> list[Cell]:
    """The cells that exist in `before` and have another version in `after`."""
    return sorted(
        (
            c
            for c, version in after.memory.items()
            if c.serial <= older_than and before.memory.get(c, c.initial) is not version
        ),
        key=lambda c: c.serial,
    )
