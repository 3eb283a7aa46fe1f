"""What an expression may evaluate to.

A value is one of
- a Python object that is known when compiling: None, a string, a module, a function, a number …;
  a known number is *weak*: it takes the dtype of what it meets;
- an IR atom of scalar type: a number that is known only when running;
- a `View`: an array, which is a place in a memory `Cell`;
- a `Text`: a string that holds such numbers, good for showing only;
- a `Box`: an object with an identity (a list, a dict, an instance of a class); what it holds is in
  the state (see heap.py);
- a tuple or a `Record` (a named tuple) of values;
- a `Maybe` (a name without a value on some path) or a `Conflict` (one with two kinds of values).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from s2s_ad.ir.core import Atom, Lit, Var
from s2s_ad.ir.subscript import Axis
from s2s_ad.ir.types import Dim, Type


@dataclass(frozen=True)
class Static:
    """An argument that is known when compiling: `trace(f, [Type("f64"), Static("mean")])`."""

    value: Any


@dataclass(eq=False)
class Cell:
    """A piece of memory. `serial` orders cells by age; `initial` is the version it starts with."""

    name: str
    initial: Atom
    serial: int

    @property
    def type(self) -> Type:
        return self.initial.type


class Undefined:
    """What a name or a field without a value holds."""


UNDEFINED = Undefined()


@dataclass(eq=False)
class Box:
    """An object with an identity. `fields` are what it holds when it is first met, filled as they
    are read where it stands for `live`, an object of the caller's; what it holds later is in the
    state. `path` says where the object is found: in an argument, or around the function."""

    cls: type
    name: str
    serial: int
    fields: dict[str, Any]
    live: Any = None
    path: str = ""
    get: Callable[[], Any] | None = None
    key: tuple = ()


@dataclass(frozen=True)
class Slot:
    """A field of an object, as something that branches and loops change."""

    box: Box
    field: str


@dataclass(frozen=True)
class Rows:
    """The items of a list whose length is known when running: the first `length` rows of `buffer`.
    `room` is True in the loop that has made room for what it appends; `weak` says that the items
    are Python numbers."""

    buffer: View
    length: Any
    room: bool
    weak: bool


@dataclass(frozen=True)
class IndexAxis:
    """An axis that index arrays make: `place` axes before their last one, counted from 1."""

    place: int


@dataclass(frozen=True)
class Sub:
    """A subscript as a step of a view. `out` gives, for each axis of the result, which of the axes
    that the subscript keeps it is; None is a new axis of extent 1."""

    axes: tuple[Axis, ...]
    out: tuple[int | None, ...]

    @property
    def kept(self) -> list[int]:
        """The axes that the subscript keeps, in the base's order."""
        return [a for a, axis in enumerate(self.axes) if axis.kind != "index"]

    @property
    def sources(self) -> list[int | IndexAxis]:
        """Where the axes that the subscript keeps come from: the base's axes or index arrays."""
        found: list[int | IndexAxis] = []
        width = max((a.type.ndim for a in self.arrays), default=0)
        for a, axis in enumerate(self.axes):
            if axis.kind == "array":
                found += [IndexAxis(k) for k in range(width, 0, -1)]
                width = 0
            elif axis.kind != "index":
                found.append(a)
        return found

    @property
    def arrays(self) -> list[Any]:
        """The index arrays."""
        return [a.start for a in self.axes if a.kind == "array"]

    @property
    def plain(self) -> bool:
        """True where the result's axes are the kept ones, in order."""
        arrays = self.arrays
        rank = len(self.kept) - len(arrays) + max((a.type.ndim for a in arrays), default=0)
        return self.out == tuple(range(rank))


@dataclass(frozen=True)
class Reshape:
    """A reshaping of contiguous memory as a step of a view."""

    extents: tuple[Atom, ...]
    shape: tuple[Dim, ...]


@dataclass(frozen=True)
class View:
    """An array: the place in `cell` that `steps` lead to."""

    cell: Cell
    steps: tuple[Sub | Reshape, ...]
    type: Type


@dataclass(frozen=True)
class Record:
    """A named tuple, as the values of its fields."""

    cls: type
    names: tuple[str, ...]
    items: tuple[Any, ...]

    def get(self, name: str) -> Any:
        return self.items[self.names.index(name)]


@dataclass(frozen=True)
class Maybe:
    """A value that is there only if `flag` is True when running."""

    value: Any
    flag: Atom


@dataclass(frozen=True)
class Conflict:
    """What a name holds after two paths that disagree; an error only where it is read."""

    message: str


@dataclass(frozen=True, eq=False)
class Method:
    """A method of an array, before it is called."""

    owner: Any
    name: str


@dataclass(frozen=True, eq=False)
class Bound:
    """A Python method and the object or class it belongs to."""

    function: Any
    owner: Any


@dataclass(frozen=True, eq=False)
class Super:
    """`super()` in a method of `cls`, on `owner`: an instance, or a class."""

    cls: type
    owner: Any


@dataclass(frozen=True, eq=False)
class Partial:
    """A `functools.partial` made inside the function."""

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Range:
    """A range with bounds that are not all known, or (`parallel`) a prange."""

    start: Any
    stop: Any
    step: Any
    parallel: bool = False


@dataclass(frozen=True)
class Enumerate:
    item: Any
    start: Any


@dataclass(frozen=True)
class Zip:
    items: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Indices:
    """`np.ndindex(*extents)`; with `array`, `np.ndenumerate(array)`."""

    extents: tuple[Any, ...]
    array: View | None = None


@dataclass(frozen=True, eq=False)
class Mapped:
    """`map(function, item)`; with `star`, the items are tuples of arguments."""

    function: Any
    item: Any
    star: bool


@dataclass(frozen=True, eq=False)
class Iterator:
    """What is gone over once: `iter(item)`, and what `map` and `filter` make of known items."""

    item: Any


@dataclass(frozen=True)
class Reversed:
    item: Any


def index_operands(view: View) -> list[Atom]:
    """The indices by which a view selects: those of single elements, rows, columns …"""
    subs = [step for step in view.steps if isinstance(step, Sub)]
    return [axis.start for step in subs for axis in step.axes if axis.kind == "index"]


def with_indices(view: View, indices: Sequence[Atom | None]) -> View:
    """`view` with other indices."""
    rest, steps = iter(indices), []
    for step in view.steps:
        if isinstance(step, Sub):
            axes = [
                Axis("index", next(rest)) if axis.kind == "index" else axis for axis in step.axes
            ]
            step = dataclasses.replace(step, axes=tuple(axes))
        steps.append(step)
    return View(view.cell, tuple(steps), view.type)


def without_indices(view: View) -> tuple[Sub | Reshape, ...]:
    """The steps of a view, but for its indices."""
    return with_indices(view, [None] * len(index_operands(view))).steps


@dataclass(frozen=True)
class Field:
    """A place in a `Text` for a value that is not known: `{value!r:>8}`, or with `percent` what
    `spec % value` gives. `source` is how the user wrote the value."""

    value: Any
    conversion: str = ""
    spec: str = ""
    percent: bool = False
    source: str = "…"


@dataclass(frozen=True)
class Text:
    """A string with values in it that are known only when running: it can be shown."""

    parts: tuple[str | Field, ...]

    def __str__(self) -> str:
        return "".join(p if isinstance(p, str) else f"{{{p.source}}}" for p in self.parts)


def is_number(value: Any) -> bool:
    """A number that is known when compiling."""
    return type(value) in (bool, int, float, complex)


def is_atom(value: Any) -> bool:
    return isinstance(value, (Var, Lit))


def is_scalar(value: Any) -> bool:
    return is_number(value) or is_atom(value)


def is_array(value: Any) -> bool:
    return isinstance(value, View)


def is_dynamic(value: Any) -> bool:
    """True for what is not known when compiling: scalars, arrays, and containers of them."""
    if isinstance(value, (Var, View, Box, Maybe, Conflict, Text)):
        return True
    parts = children(value)
    return parts is not None and any(map(is_dynamic, parts[1]))


def children(value: Any) -> tuple[Callable[[Sequence[Any]], Any], list[Any]] | None:
    """How a container is taken apart: (rebuild, items); None for what is not a container."""
    if type(value) is tuple:
        return tuple, list(value)
    if type(value) is list:
        return list, list(value)
    if type(value) is dict:
        keys = list(value)
        return (lambda items: dict(zip(keys, items))), list(value.values())
    if isinstance(value, Record):
        return (lambda items: dataclasses.replace(value, items=tuple(items))), list(value.items)
    if isinstance(value, Rows):
        return (lambda items: Rows(*items, value.room, value.weak)), [value.buffer, value.length]
    return None


def structure(value: Any) -> Any:
    """What two containers must have in common to be joined item by item."""
    if isinstance(value, Record):
        return (value.cls, value.names)
    if type(value) is dict:
        return (dict, tuple(value))
    if isinstance(value, Rows):
        return (Rows, value.room, value.weak)
    return (type(value), len(value))


def is_namedtuple(value: Any) -> bool:
    """True for a named tuple's instance or class."""
    cls = value if isinstance(value, type) else type(value)
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def same(a: Any, b: Any) -> bool:
    """True where two values are certainly the same thing."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, (View, Lit, Range, Enumerate, Zip, Reversed)):
        return a == b
    parts_a, parts_b = children(a), children(b)
    if parts_a is not None and parts_b is not None:
        if structure(a) != structure(b):
            return False
        return all(map(same, parts_a[1], parts_b[1]))
    if type(a) in (bool, int, float, complex):
        return repr(a) == repr(b)  # tells 0.0 from -0.0, and nan is the same as nan
    return isinstance(a, (str, bytes, range)) and a == b


def describe(value: Any) -> str:
    """A value in words, for messages."""
    if is_number(value):
        return f"the number {value!r}"
    if is_atom(value):
        return f"a number ({value.type})"
    if is_array(value):
        return f"an array {value.type}"
    if isinstance(value, (Record, Box)):
        return f"a {value.cls.__name__}"
    if isinstance(value, Rows):
        return "items that a loop has appended"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)} items"
    if value is None or isinstance(value, str):
        return repr(value)
    if isinstance(value, Text):
        return f"the string {str(value)!r}"
    name = getattr(value, "__name__", None)
    return f"{type(value).__name__} {name!r}" if name else f"a {type(value).__name__}"
