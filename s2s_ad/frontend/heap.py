"""Objects with an identity: what lists, dicts and instances hold at a point of the program.

A name holds a `Box`. What is in it is part of the state, which branches and loops fork and join as
they do names, so that all names of one object see what is written through any of them:

    p = self.params        p holds the Box that the field `params` holds
    p.x = 3.0              a new value in the slot (box, "x")
    self.params.x          3.0

An object that is one of several, by the path taken, is joined to a new Box that *may be* each of
them: after a write through one, reading another is an AliasError, as with arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from s2s_ad.frontend.context import Context, State
from s2s_ad.frontend.errors import AliasError, PathError
from s2s_ad.frontend.facts import shifted
from s2s_ad.frontend.memory import read
from s2s_ad.frontend.values import UNDEFINED, Box, Conflict, Maybe, Rows, Slot, View

#: The slot of a list's items (a tuple, or Rows) and of a dict's (a dict that is never written to).
ITEMS = "items"


# --- making --------------------------------------------------------------------------------------


def new_box(cx: Context, cls: type, fields: Mapping[str, Any], name: str = "") -> Box:
    """An object made here."""
    cx.serial += 1
    box = Box(cls, name or cls.__name__.lower(), cx.serial, {})
    cx.state.heap[box] = dict(fields)
    return box


def new_list(cx: Context, items: Iterable[Any], name: str = "list") -> Box:
    return new_box(cx, list, {ITEMS: tuple(items)}, name)


def new_dict(cx: Context, items: Mapping[Any, Any], name: str = "dict") -> Box:
    return new_box(cx, dict, {ITEMS: dict(items)}, name)


def boxed(cx: Context, value: Any) -> Any:
    """A list or dict that a handler has made, as an object."""
    if type(value) is list:
        return new_list(cx, [boxed(cx, v) for v in value])
    if type(value) is dict:
        return new_dict(cx, {k: boxed(cx, v) for k, v in value.items()})
    return value


# --- reading and writing -------------------------------------------------------------------------


def held(state: State, box: Box, field: str) -> Any:
    """What a slot holds in a state; UNDEFINED where there is nothing."""
    fields = state.heap.get(box)
    if fields is not None and field in fields:
        return fields[field]
    return box.fields.get(field, UNDEFINED)


def current(state: State, names: Mapping[str, Any], key: str | Slot) -> Any:
    """What a name or a slot holds."""
    if isinstance(key, Slot):
        return held(state, key.box, key.field)
    return names.get(key, UNDEFINED)


def contents(state: State, box: Box) -> dict[str, Any]:
    """All that an object holds in a state, as far as it has been read or written."""
    return {**box.fields, **state.heap.get(box, {})}


def load(cx: Context, box: Box, field: str) -> Any:
    """A field's value, to be read: UNDEFINED where there is none."""
    since = cx.state.outdated.get(box)
    if since is not None:
        cx.fail(
            AliasError,
            f"{box.name!r} may be the object that was written to in line {since.line}; whether it "
            "is depends on the path taken",
            "bind the name to one object on every path, or write after reading",
        )
    value = held(cx.state, box, field)
    if isinstance(value, Conflict):
        cx.fail(PathError, value.message, "let it hold the same kind of value on every path")
    if isinstance(value, Maybe):
        what = f"{box.cls.__name__}.{field}"
        cx.check(value.flag, "AttributeError", f"{what} is read before it has a value")
        value = value.value
        put(cx.state, box, field, value)
    return value


def save(cx: Context, box: Box, field: str, value: Any) -> None:
    """Write a field. Objects that may be this one must not be read any more."""
    put(cx.state, box, field, value)
    for other in sorted(cx.state.alias.get(box, ()), key=lambda b: b.serial):
        cx.state.outdated[other] = cx.loc


def put(state: State, box: Box, field: str, value: Any) -> None:
    state.heap[box] = {**state.heap.get(box, {}), field: value}


# --- containers ----------------------------------------------------------------------------------


def is_list(value: Any) -> bool:
    return isinstance(value, Box) and value.cls is list


def is_dict(value: Any) -> bool:
    return isinstance(value, Box) and value.cls is dict


def is_object(value: Any) -> bool:
    """An instance of a class, not a list or dict."""
    return isinstance(value, Box) and value.cls not in (list, dict)


def items_of(cx: Context, box: Box) -> Any:
    """The items of a list (a tuple, or Rows) or of a dict."""
    return load(cx, box, ITEMS)


def plain(cx: Context, value: Any) -> Any:
    """A list or dict as Python's own, for those who only read it; a list whose length is known when
    running is the array of its items; anything else is itself."""
    if not (isinstance(value, Box) and value.cls in (list, dict)):
        return value
    items = items_of(cx, value)
    if isinstance(items, Rows):
        return cx.fresh(read(cx, filled(cx, items)))
    return list(items) if value.cls is list else dict(items)


def filled(cx: Context, rows: Rows) -> View:
    """The rows of a buffer that are in use."""
    from s2s_ad.frontend.subscripts import Slice, place

    dim = rows.length if isinstance(rows.length, int) else cx.affine.get(rows.length)
    dim = shifted(*dim) if isinstance(dim, tuple) else dim
    if dim is not None and cx.state.facts.equal(rows.buffer.type.shape[0], dim):
        return rows.buffer
    return place(cx, rows.buffer, [Slice(None, rows.length, None)])
