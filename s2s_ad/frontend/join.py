"""Joining the values of two paths, and of the iterations of a loop.

A `Shape` (here: Keep, Num, Arr, Place, Group, Opt, Clash) says what a name holds whichever path was
taken. Its leaves are what becomes results or block arguments. Three functions work with it: `widen`
finds it, `lower` turns a value into one atom for each leaf, `lift` turns atoms back into a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s2s_ad.frontend.aliasing import NONE, identity_of
from s2s_ad.frontend.arithmetic import KIND, convert, dtype_of, literal
from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.facts import Facts, split_dim
from s2s_ad.frontend.values import (
    Cell,
    Conflict,
    Maybe,
    View,
    children,
    describe,
    index_operands,
    is_array,
    is_scalar,
    same,
    structure,
    with_indices,
    without_indices,
)
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import Atom, Lit, Var
from s2s_ad.ir.types import BOOL, I64, UNKNOWN, Dim, Type, promote

#: Which of a join's arrays may share memory with each other, by position.
Pairs = set[tuple[int, int]]


#: How the interpreter's own names read as variables.
OWN_NAMES = {
    "%return": "returned",
    "%value": "value",
    "%break": "stopped",
    "%continue": "skipped",
    "%done": "done",
    "%expr": "t",
}


class Undefined:
    """What a name without a value holds."""


UNDEFINED = Undefined()


@dataclass(eq=False)
class Keep:
    """The same value on all paths."""

    value: Any


@dataclass(eq=False)
class Num:
    """A number of this dtype; a leaf."""

    dtype: str
    weak: bool


@dataclass(eq=False)
class Arr:
    """An array; a leaf. `views` are what it was joined from (the name's value on each path);
    `fresh` are its axes whose extents differ on the paths; `sources` the older cells it may be."""

    type: Type
    views: tuple[View | None, View | None]
    fresh: frozenset[int] = frozenset()
    sources: set[Cell] = field(default_factory=set)
    cell: Cell | None = None
    identity: Identity | None = None
    possible: set[int] = field(default_factory=set)
    blurred: set[Cell] = field(default_factory=set)

    def having(self, value: View, kind: Type, fresh: set[int], identity: Identity | None) -> Arr:
        """This, joined with one more value."""
        return Arr(
            kind,
            (self.views[0], value),
            frozenset(fresh),
            set(self.sources),
            self.cell,
            identity,
            set(self.possible),
            set(self.blurred),
        )


@dataclass(eq=False)
class Identity:
    """Which memory a joined array is (see aliasing.py); a leaf. `since` is the youngest cell before
    the loop, None in a branch."""

    since: int | None


@dataclass(eq=False)
class Place:
    """A part of one cell, whose place in it differs: `indices` are leaves in place of those index
    operands that are not the same on all paths."""

    view: View
    indices: tuple[Num | None, ...]


@dataclass(eq=False)
class Group:
    """A container, item by item."""

    rebuild: Callable[[Sequence[Any]], Any]
    structure: Any
    items: list[Any]


@dataclass(eq=False)
class Flag:
    """Whether an `Opt` has a value; a leaf."""


@dataclass(eq=False)
class Opt:
    """A value that some paths do not have; `flag` is None for the interpreter's own names."""

    item: Any
    flag: Flag | None


@dataclass(eq=False)
class Clash:
    """Values that cannot be joined."""

    message: str


class Joiner:
    """Finds the shapes of all names of one join; arrays that two names share stay shared."""

    def __init__(
        self,
        cx: Context,
        facts: Facts,
        outside: frozenset[str] | None = None,
        since: int | None = None,
    ) -> None:
        """`outside` are the extent symbols that mean the same in every iteration of a loop, `since`
        the serial of the youngest cell before it; None for a branch."""
        self.cx, self.facts, self.outside, self.since = cx, facts, outside, since
        self.arrays: dict[tuple[View | None, View | None], Arr] = {}

    def general(self, value: Any, flagged: bool = True) -> Any:
        """The shape of a value that will differ."""
        if isinstance(value, Undefined):
            return Opt(None, Flag() if flagged else None)
        if isinstance(value, Maybe):
            return Opt(self.defined(Keep(value.value)), Flag() if flagged else None)
        if isinstance(value, Conflict):
            return Clash(value.message)
        if is_scalar(value):
            return Num(*dtype_of(self.cx, value))
        if is_array(value):
            return Arr(value.type, (value, value))
        parts = children(value)
        if parts is not None:
            return Group(parts[0], structure(value), [Keep(v) for v in parts[1]])
        return Keep(value)

    def widen(self, shape: Any, value: Any, name: str) -> Any:
        """The shape that covers `shape` and `value`."""
        if isinstance(shape, Keep):
            if same(shape.value, value):
                return shape
            if is_array(shape.value) and is_array(value):
                operands = index_operands(shape.value)
                place = self.place(Place(shape.value, (None,) * len(operands)), value)
                return place or self.array(Arr(shape.value.type, (shape.value, None)), value, name)
            flagged = not name.startswith("%")
            wide = self.general(shape.value, flagged)
            if isinstance(wide, Keep):
                return self._unlike(wide, value, name)
            return self.widen(wide, value, name)
        if isinstance(shape, Opt):
            if isinstance(value, Undefined):
                return shape
            value = value.value if isinstance(value, Maybe) else value
            item = Keep(value) if shape.item is None else self.widen(shape.item, value, name)
            return Opt(self.defined(item), shape.flag)
        if isinstance(value, (Undefined, Maybe)):
            flag = None if name.startswith("%") else Flag()
            return self.widen(Opt(self.defined(shape), flag), value, name)
        return self._same_kind(shape, value, name)

    def _unlike(self, wide: Keep, value: Any, name: str) -> Any:
        if isinstance(value, (Undefined, Maybe)):
            flag = None if name.startswith("%") else Flag()
            return self.widen(Opt(wide, flag), value, name)
        return Clash(_clash(name, describe(wide.value), describe(value)))

    def _same_kind(self, shape: Any, value: Any, name: str) -> Any:
        if isinstance(shape, Clash):
            return shape
        if isinstance(value, Conflict):
            return Clash(value.message)
        if isinstance(shape, Num) and is_scalar(value):
            return self.number(shape, value)
        if isinstance(shape, Place) and is_array(value):
            start = Arr(shape.view.type, (shape.view, None))
            return self.place(shape, value) or self.array(start, value, name)
        if isinstance(shape, Arr) and is_array(value):
            return self.array(shape, value, name)
        parts = children(value)
        if isinstance(shape, Group) and parts is not None and structure(value) == shape.structure:
            pairs = zip(shape.items, parts[1])
            return Group(shape.rebuild, shape.structure, [self.widen(s, v, name) for s, v in pairs])
        return Clash(_clash(name, _in_words(shape), describe(value)))

    def defined(self, shape: Any) -> Any:
        """What an optional value is carried as: its numbers and arrays are leaves."""
        if isinstance(shape, Keep) and (is_scalar(shape.value) or is_array(shape.value)):
            if is_array(shape.value):
                start = Arr(shape.value.type, (None, None))
                return self.loose(self.array(start, shape.value, "d"))
            return self.general(shape.value)
        if isinstance(shape, Arr):
            return self.loose(shape)
        if isinstance(shape, Keep) and children(shape.value) is not None:
            shape = self.general(shape.value)
        if isinstance(shape, Group):
            return Group(shape.rebuild, shape.structure, [self.defined(s) for s in shape.items])
        return shape

    def loose(self, shape: Arr) -> Arr:
        """An array that some paths do not have. A placeholder stands for it there, which can only
        have extents that are at hand before the paths part: the others are promised to nobody."""
        known = self.cx.has_extent
        free = {
            axis
            for axis, dim in enumerate(shape.type.shape)
            if axis not in shape.fresh and not known(dim)
        }
        if not free:
            return shape
        dims = [self.cx.symbol("d") if a in free else d for a, d in enumerate(shape.type.shape)]
        kind = shape.type.with_shape(tuple(dims))
        loose = dataclasses.replace(shape, type=kind, fresh=shape.fresh | free)
        self.arrays[shape.views] = loose
        return loose

    def number(self, shape: Num, value: Any) -> Num:
        dtype, weak = dtype_of(self.cx, value)
        a, b = (shape.dtype, shape.weak), (dtype, weak)
        if a[1] == b[1]:
            wide = promote(a[0], b[0])
            return Num(wide, weak)
        strong, soft = (b[0], a[0]) if a[1] else (a[0], b[0])
        if KIND[soft] > KIND[strong]:
            strong = promote(soft, strong)
        return Num(strong, False)

    def array(self, shape: Arr, value: View, name: str) -> Any:
        a, b = shape.type, value.type
        ones = [(x == 1) != (y == 1) for x, y in zip(a.shape, b.shape)]
        if a.ndim != b.ndim or any(ones):
            return Clash(_clash(name, f"an array {a}", f"an array {b}"))
        fresh, dims = set(shape.fresh), list(a.shape)
        for axis, (x, y) in enumerate(zip(a.shape, b.shape)):
            if axis not in fresh and not (self.facts.equal(x, y) and self.lasting(y)):
                fresh.add(axis)
                dims[axis] = self.cx.symbol(OWN_NAMES.get(name, name))
        dtype = a.dtype if a.dtype == b.dtype else promote(a.dtype, b.dtype)
        kind = Type(dtype, tuple(dims))
        identity = Identity(self.since) if self.cx.exact else None
        return self._once(shape.having(value, kind, fresh, identity))

    def place(self, shape: Place, value: View) -> Place | None:
        """The join of two parts of one cell that differ in nothing but indices; else None."""
        first, old = shape.view, value.cell
        if first.cell is not old or (self.since is not None and old.serial > self.since):
            return None
        mine, own = index_operands(first), index_operands(value)
        if not own or without_indices(first) != without_indices(value):
            return None
        if not all(map(self.facts.equal, first.type.shape, value.type.shape)):
            return None
        leaves = [
            None if num is None and a == b else Num("i64", False)
            for num, a, b in zip(shape.indices, mine, own)
        ]
        return Place(first, tuple(leaves))

    def lasting(self, dim: Dim) -> bool:
        """True for an extent that is the same before, in and after the loop."""
        if self.outside is None or isinstance(dim, int):
            return True
        base, _ = split_dim(dim)
        while split_dim(base)[1]:
            base, _ = split_dim(base)
        return base in self.outside

    def _once(self, arr: Arr) -> Arr:
        return self.arrays.setdefault(arr.views, arr)


def _clash(name: str, a: str, b: str) -> str:
    what = "the function's result" if name.startswith("%") else repr(name)
    return f"{what} is {a} on one path and {b} on another"


def _in_words(shape: Any) -> str:
    if isinstance(shape, Num):
        return f"a number ({shape.dtype})"
    if isinstance(shape, (Arr, Place)):
        return f"an array {shape.type if isinstance(shape, Arr) else shape.view.type}"
    if isinstance(shape, Keep):
        return describe(shape.value)
    return f"a {getattr(shape.structure[0], '__name__', 'container')}"


# --- atoms ---------------------------------------------------------------------------------------


def leaves(shape: Any, found: dict[Any, str], name: str) -> None:
    """Collect the leaves of a shape, in order, each once, with the name each belongs to."""
    if isinstance(shape, (Num, Arr)):
        found.setdefault(shape, name)
        if isinstance(shape, Arr) and shape.identity is not None:
            found.setdefault(shape.identity, f"{name}_is")
    elif isinstance(shape, Place):
        found.update((leaf, f"{name}_at") for leaf in shape.indices if leaf is not None)
    elif isinstance(shape, Group):
        for item in shape.items:
            leaves(item, found, name)
    elif isinstance(shape, Opt):
        if shape.flag is not None:
            found.setdefault(shape.flag, f"{name}_defined")
        leaves(shape.item, found, name)


def leaves_of(shapes: Mapping[str, Any]) -> dict[Any, str]:
    """The leaves of several names' shapes, with the hints of their variables."""
    found: dict[Any, str] = {}
    for name, shape in shapes.items():
        leaves(shape, found, OWN_NAMES.get(name, name))
    return found


def leaf_type(leaf: Any) -> Type:
    if isinstance(leaf, Num):
        return Type(leaf.dtype)
    if isinstance(leaf, Identity):
        return I64
    return leaf.type if isinstance(leaf, Arr) else BOOL


def lower(cx: Context, shape: Any, value: Any, atoms: dict[Any, Atom]) -> None:
    """Put the atom of each leaf of `value` into `atoms`; emits conversions and loads."""
    if isinstance(shape, (Num, Arr)):
        if shape not in atoms:
            atoms[shape] = convert(cx, value, leaf_type(shape).dtype)
            if isinstance(shape, Arr) and shape.identity is not None:
                since = shape.identity.since
                atoms[shape.identity] = identity_of(cx, value, shape.type.dtype, since)
    elif isinstance(shape, Place):
        pairs = zip(shape.indices, index_operands(value))
        atoms.update((leaf, atom) for leaf, atom in pairs if leaf is not None)
    elif isinstance(shape, Group):
        for item, part in zip(shape.items, children(value)[1]):
            lower(cx, item, part, atoms)
    elif isinstance(shape, Opt):
        missing = isinstance(value, Undefined)
        flag: Atom = Lit(not missing, BOOL)
        if isinstance(value, Maybe):
            flag, value = value.flag, value.value
        if shape.flag is not None:
            atoms[shape.flag] = flag
        lower_missing(cx, shape.item, atoms) if missing else lower(cx, shape.item, value, atoms)


def lower_missing(cx: Context, shape: Any, atoms: dict[Any, Atom]) -> None:
    """Placeholders for a value that is not there; nothing reads them. They have the extents that
    their types promise (the reverse sweep keeps all arrays of a path alike), where these are at
    hand; a type must never promise an extent that its array does not have."""
    for leaf in leaves_of({"t": shape}):
        if leaf in atoms:
            continue
        missing = NONE if isinstance(leaf, Identity) else 0
        zero = literal(cx, missing, leaf_type(leaf).dtype)
        if isinstance(leaf, Arr):
            found = [cx.extent_named(d) for d in leaf.type.shape]
            dims = [UNKNOWN if n is None else d for n, d in zip(found, leaf.type.shape)]
            extents = [i64(0) if n is None else n for n in found]
            kind = leaf.type.with_shape(tuple(dims))
            atoms[leaf] = cx.emit("full", zero, *extents, type=kind)
        else:
            atoms[leaf] = zero


def lift(cx: Context, shape: Any, atoms: Mapping[Any, Atom]) -> Any:
    """The value whose leaves are `atoms`; `new_cells` has made the arrays' cells."""
    if isinstance(shape, Keep):
        return shape.value
    if isinstance(shape, Num):
        atom = atoms[shape]
        if shape.weak and isinstance(atom, Var):
            cx.weak.add(atom)
        return atom
    if isinstance(shape, Arr):
        return View(shape.cell, (), shape.cell.type)
    if isinstance(shape, Place):
        own = index_operands(shape.view)
        return with_indices(
            shape.view, [a if k is None else atoms[k] for k, a in zip(shape.indices, own)]
        )
    if isinstance(shape, Group):
        return shape.rebuild([lift(cx, item, atoms) for item in shape.items])
    if isinstance(shape, Opt):
        if shape.item is None:
            return UNDEFINED
        value = lift(cx, shape.item, atoms)
        return value if shape.flag is None else Maybe(value, atoms[shape.flag])
    return Conflict(shape.message)


def new_cells(
    cx: Context, arrays: Sequence[Arr], atoms: Mapping[Any, Atom], pairs: Pairs, unclear: Pairs
) -> None:
    """Give every joined array a cell of its own, which may share memory with its sources."""
    for arr in arrays:
        arr.cell = cx.new_cell(atoms[arr])
        cx.link(arr.cell, arr.sources, arr.blurred)
        if arr.identity is not None:
            cx.identity[arr.cell] = atoms[arr.identity]
            cx.possible[arr.cell] = frozenset(arr.possible)
    for i, j in pairs:
        other = {arrays[j].cell}
        cx.link(arrays[i].cell, other, other if (i, j) in unclear else ())


# --- sharing -------------------------------------------------------------------------------------


def closure(state: State, view: View | None, older_than: int) -> set[Cell]:
    """The cells that a view may be a part of, without those made since."""
    if view is None:
        return set()
    cells = {view.cell} | state.alias.get(view.cell, frozenset())
    return {c for c in cells if c.serial <= older_than}


def find_sources(arrays: Sequence[Arr], states: tuple[State, State], older_than: int) -> None:
    """Add to each array the older cells that it may share memory with."""
    for arr in arrays:
        for state, view in zip(states, arr.views):
            arr.sources |= closure(state, view, older_than)


def sharing(arrays: Sequence[Arr], states: tuple[State, State]) -> Pairs:
    """The pairs of joined arrays that may share memory with each other on some path."""
    pairs = set()
    for i, a in enumerate(arrays):
        for j in range(i):
            for state, p, q in zip(states, a.views, arrays[j].views):
                if p is not None and q is not None and state.overlap(p.cell, q.cell):
                    pairs.add((j, i))
    return pairs


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
