"""Joining the values of two paths, and of the iterations of a loop.

A `Shape` (here: Keep, Num, Arr, Place, Group, Ins, Opt, Clash) says what a name or a slot of an
object holds whichever path was taken. Its leaves are what becomes results or block arguments. Three
functions work with it: `widen` finds it, `lower` turns a value into one atom for each leaf, `lift`
turns atoms back into a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s2s_ad.frontend.aliasing import NONE, identity_of
from s2s_ad.frontend.arithmetic import KIND, convert, dtype_of, literal
from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.facts import Facts, split_dim
from s2s_ad.frontend.heap import contents, held, put
from s2s_ad.frontend.known import known_fields
from s2s_ad.frontend.sharing import Pairs
from s2s_ad.frontend.values import (
    UNDEFINED,
    Box,
    Cell,
    Conflict,
    Maybe,
    Slot,
    Undefined,
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

#: What is joined: a local variable, or a slot of an object.
Key = str | Slot

#: How the interpreter's own names read as variables.
OWN_NAMES = {
    "%return": "returned",
    "%value": "value",
    "%break": "stopped",
    "%continue": "skipped",
    "%done": "done",
    "%expr": "t",
}


def hint(key: Key) -> str:
    """A variable's name for what `key` holds."""
    if isinstance(key, Slot):
        return key.box.name if key.field == "items" else f"{key.box.name}_{key.field}"
    return OWN_NAMES.get(key, key)


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

    @property
    def origins(self) -> list[Cell | None]:
        return [None if v is None else v.cell for v in self.views]

    @property
    def place(self) -> Cell | None:
        return self.cell

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
class Ins:
    """An object that is not the same on all paths: a new one, field by field. `origins` are what it
    was joined from, `sources` the older objects it may be."""

    cls: type
    origins: tuple[Box | None, Box | None]
    items: dict[str, Any]
    sources: set[Box] = field(default_factory=set)
    box: Box | None = None

    @property
    def place(self) -> Box | None:
        return self.box


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
    """Finds the shapes of all names of one join; arrays and objects that two names share stay
    shared. `states` are the ends of the two paths, `older` the serial at their start."""

    def __init__(
        self,
        cx: Context,
        facts: Facts,
        states: tuple[State, State],
        older: int,
        outside: frozenset[str] | None = None,
    ) -> None:
        """`outside` are the extent symbols that mean the same in every iteration of a loop; None
        for a branch, where all do."""
        self.cx, self.facts, self.outside = cx, facts, outside
        self.states, self.older = states, older
        self.since = None if outside is None else older
        self.arrays: dict[tuple[View | None, View | None], Arr] = {}
        self.objects: dict[tuple[Box | None, Box | None], Ins] = {}
        self.open: list[Box] = []

    def general(self, value: Any, flagged: bool = True) -> Any:
        """The shape of a value that will differ: what the first path has."""
        if isinstance(value, Undefined):
            return Opt(None, Flag() if flagged else None)
        if isinstance(value, Maybe):
            return Opt(self.defined(Keep(value.value), 0), Flag() if flagged else None)
        if isinstance(value, Conflict):
            return Clash(value.message)
        if is_scalar(value):
            return Num(*dtype_of(self.cx, value))
        if is_array(value):
            return self.one_sided(value, 0)
        if isinstance(value, Box):
            known_fields(self.cx, value)
            fields = contents(self.states[0], value)
            return Ins(value.cls, (value, None), {n: Keep(v) for n, v in fields.items()})
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
            if isinstance(shape.value, Box) and not isinstance(value, Box):
                return self._unlike(shape, value, name)
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
            return Opt(self.defined(item, 1), shape.flag)
        if isinstance(value, (Undefined, Maybe)):
            flag = None if name.startswith("%") else Flag()
            return self.widen(Opt(self.defined(shape, 0), flag), value, name)
        return self._same_kind(shape, value, name)

    def _unlike(self, wide: Keep, value: Any, name: str) -> Any:
        if isinstance(value, (Undefined, Maybe)):
            flag = None if name.startswith("%") else Flag()
            return self.widen(Opt(self.defined(wide, 0), flag), value, name)
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
        if isinstance(shape, Ins) and isinstance(value, Box):
            return self.object(shape, value, name)
        parts = children(value)
        if isinstance(shape, Group) and parts is not None and structure(value) == shape.structure:
            pairs = zip(shape.items, parts[1])
            return Group(shape.rebuild, shape.structure, [self.widen(s, v, name) for s, v in pairs])
        return Clash(_clash(name, _in_words(shape), describe(value)))

    def defined(self, shape: Any, path: int) -> Any:
        """What an optional value is carried as: its numbers and arrays are leaves. What all paths
        seem to have in common is what `path` has."""
        if isinstance(shape, Keep) and is_array(shape.value):
            return self.loose(self.one_sided(shape.value, path))
        if isinstance(shape, Keep) and is_scalar(shape.value):
            return self.general(shape.value)
        if isinstance(shape, Keep) and isinstance(shape.value, Box):
            return self._new_object(shape, path)
        if isinstance(shape, Ins):
            items = {n: self.defined(s, path) for n, s in shape.items.items()}
            shape = self.objects[shape.origins] = dataclasses.replace(shape, items=items)
            return shape
        if isinstance(shape, Arr):
            return self.loose(shape)
        if isinstance(shape, Keep) and children(shape.value) is not None:
            shape = self.general(shape.value)
        if isinstance(shape, Group):
            items = [self.defined(s, path) for s in shape.items]
            return Group(shape.rebuild, shape.structure, items)
        return shape

    def one_sided(self, view: View, path: int) -> Arr:
        """An array that one path has."""
        if path == 1:
            return self.array(Arr(view.type, (None, None)), view, "d")
        return self._once(Arr(view.type, (view, None), identity=self._identity()))

    def _new_object(self, shape: Keep, path: int) -> Any:
        """An object that one path has: itself, unless it was made on that path."""
        box = shape.value
        if box.serial <= self.older:
            return shape
        origins = _one_sided(box, path)
        if origins not in self.objects:
            made = self.objects[origins] = Ins(box.cls, origins, {})
            fields = contents(self.states[path], box)
            made.items = {n: self.defined(Keep(v), path) for n, v in fields.items()}
        return self.objects[origins]

    def object(self, shape: Ins, value: Box, name: str) -> Any:
        """An object for two that have the same class, field by field."""
        pair = (shape.origins[0], value)
        if pair in self.objects:
            return self.objects[pair]
        if value.cls is not shape.cls:
            return Clash(_clash(name, f"a {shape.cls.__name__}", describe(value)))
        if value in self.open:
            return Clash(f"{name!r} is an object that is a part of itself")
        known_fields(self.cx, value)
        fields = contents(self.states[1], value)
        self.open.append(value)
        items = {
            n: self.widen(
                shape.items.get(n, Keep(UNDEFINED)),
                fields.get(n, UNDEFINED),
                name if n == "items" else n,
            )
            for n in dict.fromkeys([*shape.items, *fields])
        }
        self.open.pop()
        made = Ins(shape.cls, pair, items, set(shape.sources), shape.box)
        return self.objects.setdefault(pair, made)

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
        return self._once(shape.having(value, kind, fresh, self._identity()))

    def _identity(self) -> Identity | None:
        return Identity(self.since) if self.cx.exact else None

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


def _one_sided(value: Any, path: int) -> tuple[Any, Any]:
    return (None, value) if path else (value, None)


def _clash(name: str, a: str, b: str) -> str:
    what = "the function's result" if name.startswith("%") else repr(name)
    return f"{what} is {a} on one path and {b} on another"


def _in_words(shape: Any) -> str:
    if isinstance(shape, Num):
        return f"a number ({shape.dtype})"
    if isinstance(shape, Ins):
        return f"a {shape.cls.__name__}"
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
    elif isinstance(shape, Ins):
        for key, item in shape.items.items():
            leaves(item, found, name if key == "items" else f"{name}_{key}")
    elif isinstance(shape, Opt):
        if shape.flag is not None:
            found.setdefault(shape.flag, f"{name}_defined")
        leaves(shape.item, found, name)


def leaves_of(shapes: Mapping[Key, Any]) -> dict[Any, str]:
    """The leaves of several names' shapes, with the hints of their variables."""
    found: dict[Any, str] = {}
    for key, shape in shapes.items():
        leaves(shape, found, hint(key))
    return found


def objects_of(shapes: Iterable[Any]) -> list[Ins]:
    """The new objects in shapes, those within others first."""
    found: dict[Ins, None] = {}

    def visit(shape: Any) -> None:
        if isinstance(shape, (Group, Ins)):
            for item in shape.items if isinstance(shape, Group) else shape.items.values():
                visit(item)
        if isinstance(shape, Opt):
            visit(shape.item)
        if isinstance(shape, Ins):
            found.setdefault(shape)

    for shape in shapes:
        visit(shape)
    return list(found)


def places_of(shapes: Mapping[Key, Any]) -> list[Arr | Ins]:
    """The arrays and objects of shapes: what may share memory with something else."""
    arrays = [leaf for leaf in leaves_of(shapes) if isinstance(leaf, Arr)]
    return [*arrays, *objects_of(shapes.values())]


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
    elif isinstance(shape, Ins):
        for name, item in shape.items.items():
            lower(cx, item, held(cx.state, value, name), atoms)
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
    """The value whose leaves are `atoms`; `new_places` has made the cells and objects."""
    if isinstance(shape, Keep):
        return shape.value
    if isinstance(shape, Num):
        atom = atoms[shape]
        if shape.weak and isinstance(atom, Var):
            cx.weak.add(atom)
        return atom
    if isinstance(shape, Arr):
        return View(shape.cell, (), shape.cell.type)
    if isinstance(shape, Ins):
        return shape.box
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


def new_places(
    cx: Context,
    places: Sequence[Arr | Ins],
    atoms: Mapping[Any, Atom],
    pairs: Pairs,
    unclear: Pairs,
) -> None:
    """Give every joined array a cell of its own and every joined object a box, which may share
    memory with their sources. What the objects hold is put into the current state."""
    for place in places:
        if isinstance(place, Arr):
            place.cell = cx.new_cell(atoms[place])
            cx.link(place.cell, place.sources, place.blurred)
            if place.identity is not None:
                cx.identity[place.cell] = atoms[place.identity]
                cx.possible[place.cell] = frozenset(place.possible)
        else:
            cx.serial += 1
            origin = next(o for o in place.origins if o is not None)
            place.box = Box(place.cls, origin.name, cx.serial, {})
            cx.link(place.box, place.sources)
    for place in places:
        if isinstance(place, Ins):
            cx.state.heap[place.box] = {}
            for name, item in place.items.items():
                if (value := lift(cx, item, atoms)) is not UNDEFINED:
                    put(cx.state, place.box, name, value)
    for i, j in pairs:
        other = {places[j].place}
        cx.link(places[i].place, other, other if (i, j) in unclear else ())
