"""What a function returns: its structure, and the numbers and arrays in it, which are results."""

from __future__ import annotations

import enum
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import PathError, UnsupportedTypeError
from s2s_ad.frontend.heap import contents, items_of, load, new_box, new_dict, new_list
from s2s_ad.frontend.known import known_fields
from s2s_ad.frontend.memory import read
from s2s_ad.frontend.values import (
    Box,
    Conflict,
    Maybe,
    Record,
    Rows,
    children,
    describe,
    is_array,
    is_namedtuple,
    is_scalar,
)
from s2s_ad.instances import make
from s2s_ad.ir.core import Atom

#: What may be a part of a returned object as it is.
CALLABLE = (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)


@dataclass(frozen=True)
class OutTree:
    """The structure of what a function returns; results are numbered in `shape`."""

    shape: Any
    count: int

    def __call__(self, results: Sequence[Any]) -> Any:
        """The returned value, from the first `count` of the flat results."""
        return _rebuild(self.shape, results)


@dataclass(frozen=True)
class Leaf:
    """The place of result `index` in an `OutTree`."""

    index: int


def flatten(cx: Context, value: Any, results: list[Atom]) -> Any:
    """Append the numbers and arrays of a returned value; its structure, with `Leaf`s for them."""
    if isinstance(value, Box):
        return _flatten_object(cx, value, results)
    if isinstance(value, (Maybe, Conflict)):
        message = value.message if isinstance(value, Conflict) else "it has no value on some paths"
        cx.fail(PathError, f"a part of what the function returns: {message}")
    if is_scalar(value) or is_array(value):
        atom = read(cx, value) if is_array(value) else value
        results.append(ar.convert(cx, atom, ar.dtype_of(cx, atom)[0]))
        return Leaf(len(results) - 1)
    parts = children(value)
    if parts is not None:
        return parts[0]([flatten(cx, v, results) for v in parts[1]])
    raised = isinstance(value, type) and issubclass(value, BaseException)  # or an instance of it
    known = (str, bytes, enum.Enum, np.dtype, *CALLABLE)
    if value is None or (isinstance(value, known) and not raised):
        return value
    return cx.fail(
        UnsupportedTypeError,
        f"the function returns {describe(value)}",
        "return numbers, arrays, and tuples, lists, dicts or dataclasses of these",
    )


def _flatten_object(cx: Context, box: Box, results: list[Atom]) -> Any:
    """A list, dict or instance that is returned; instances as a `Record` of their attributes."""
    if box.cls not in (list, dict):
        known_fields(cx, box)
        names = tuple(contents(cx.state, box))
        return Record(box.cls, names, tuple(flatten(cx, load(cx, box, n), results) for n in names))
    items = items_of(cx, box)
    if isinstance(items, Rows):
        cx.fail(
            UnsupportedTypeError,
            "the function returns a list whose length is known when running",
            "return np.array(…) of it",
        )
    if box.cls is dict:
        return {k: flatten(cx, v, results) for k, v in items.items()}
    return [flatten(cx, v, results) for v in items]


def _rebuild(shape: Any, results: Sequence[Any]) -> Any:
    if isinstance(shape, Leaf):
        return results[shape.index]
    if isinstance(shape, Record):
        fields = [_rebuild(item, results) for item in shape.items]
        named = dict(zip(shape.names, fields))
        return shape.cls(**named) if is_namedtuple(shape.cls) else make(shape.cls, named)
    parts = children(shape)
    return shape if parts is None else parts[0]([_rebuild(item, results) for item in parts[1]])


def valued(cx: Context, shape: Any, items: Sequence[Any]) -> Any:
    """The value of this structure inside the function: lists, dicts and instances are new ones."""
    if isinstance(shape, Leaf):
        return items[shape.index]
    if isinstance(shape, Record):
        parts = tuple(valued(cx, item, items) for item in shape.items)
        if is_namedtuple(shape.cls):
            return Record(shape.cls, shape.names, parts)
        return new_box(cx, shape.cls, dict(zip(shape.names, parts)))
    if type(shape) is list:
        return new_list(cx, [valued(cx, item, items) for item in shape])
    if type(shape) is dict:
        return new_dict(cx, {k: valued(cx, item, items) for k, item in shape.items()})
    return tuple(valued(cx, item, items) for item in shape) if type(shape) is tuple else shape
