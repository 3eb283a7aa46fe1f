"""Python's builtin functions."""

from __future__ import annotations

import builtins
import dataclasses
import functools
from typing import Any

import gast
import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import calls, containers, expressions, objects
from s2s_ad.frontend.calls import call
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import (
    ArgumentError,
    StaticValueError,
    UnsupportedCallError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.heap import is_object, items_of, new_dict, new_list
from s2s_ad.frontend.iteration import known_items, length, spend, static_items
from s2s_ad.frontend.jitted import prange
from s2s_ad.frontend.memory import extent
from s2s_ad.frontend.reductions import not_empty, reduce
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.values import (
    UNDEFINED,
    Bound,
    Box,
    Enumerate,
    Indices,
    Iterator,
    Mapped,
    Method,
    Partial,
    Range,
    Record,
    Reversed,
    Rows,
    Text,
    Zip,
    describe,
    is_array,
    is_atom,
    is_number,
    is_scalar,
)
from s2s_ad.ir.core import FIRST, Lit


@handles(builtins.len, boxes=True)
def length_of(cx: Context, x: Any) -> Any:
    if is_object(x):
        return objects.unary(cx, "len", x)
    if isinstance(x, Box):
        x = items_of(cx, x)
    if isinstance(x, Rows):
        return x.length
    if is_array(x):
        return extent(cx, x, 0)
    if isinstance(x, Range):
        return length(cx, x.start, x.stop, x.step)
    if isinstance(x, Record):
        return len(x.items)
    if not hasattr(x, "__len__"):
        cx.fail(UnsupportedTypeError, f"{describe(x)} has no length")
    return len(x)


@handles(builtins.range)
def range_of(cx: Context, *bounds: Any) -> Any:
    if not 1 <= len(bounds) <= 3:
        cx.fail(ArgumentError, "range takes one to three integers")
    values = [b.value if isinstance(b, Lit) else b for b in bounds]
    for v in values:
        cx.index(v)
    start, stop, step = (0, *values, 1) if len(values) == 1 else (*values, 1)[:3]
    if all(type(v) in (int, bool) for v in (start, stop, step)):
        if step == 0:
            cx.fail(UnsupportedTypeError, "the step of a range must not be zero")
        return range(start, stop, step)
    return Range(start, stop, step)


@handles(prange)
def prange_of(cx: Context, *bounds: Any) -> Range:
    values = range_of(cx, *bounds)
    return Range(values.start, values.stop, values.step, parallel=True)


@handles(builtins.enumerate, boxes=True)
def enumerate_(cx: Context, iterable: Any, start: Any = 0) -> Any:
    return Enumerate(iterable, start)


@handles(builtins.zip, boxes=True)
def zip_(cx: Context, *iterables: Any) -> Any:
    return Zip(tuple(iterables))


@handles(builtins.reversed, boxes=True)
def reversed_(cx: Context, iterable: Any) -> Any:
    return reversed_range(iterable) if isinstance(iterable, range) else Reversed(iterable)


def reversed_range(values: range) -> range:
    return values[::-1]


@handles(builtins.pow)
def pow_(cx: Context, base: Any, exp: Any) -> Any:
    return ar.binary(cx, "pow", base, exp)


@handles(functools.partial, boxes=True)
def partial(cx: Context, fn: Any, *args: Any, **kwargs: Any) -> Partial:
    return Partial(fn, args, kwargs)


def identity(fn: Any) -> Any:
    """A decorator that changes nothing."""
    return fn


@handles(identity, boxes=True)
def identity_(cx: Context, fn: Any) -> Any:
    return fn


@handles(functools.wraps)
def wraps(cx: Context, wrapped: Any, **options: Any) -> Any:
    return identity


@handles(functools.lru_cache, functools.cache)
def lru_cache(cx: Context, *args: Any, **options: Any) -> Any:
    cx.fail(UnsupportedCallError, "a cache inside the function", "compute the value once, before")


@handles(functools.reduce, boxes=True)
def reduce_items(cx: Context, function: Any, iterable: Any, *initial: Any) -> Any:
    items = [*initial, *static_items(cx, iterable)]
    if not items:
        cx.fail(UnsupportedTypeError, "reduce of no items with no initial value")
    total = items[0]
    for item in items[1:]:
        total = call(cx, function, [total, item], {})
    return total


@handles(builtins.map, boxes=True)
def map_(cx: Context, function: Any, *iterables: Any) -> Any:
    """Known items are mapped now; those of an array as a loop reaches them."""
    columns = [containers.iterable(cx, i) for i in iterables]
    items = columns[0] if len(columns) == 1 else Zip(tuple(columns))
    known = list(items) if isinstance(items, range) else known_items(cx, items)
    many = len(columns) > 1
    if known is None:
        return Mapped(function, items, many)
    spend(cx, items)
    return Iterator(tuple(call(cx, function, list(i) if many else [i], {}) for i in known))


@handles(builtins.filter, boxes=True)
def filter_(cx: Context, function: Any, iterable: Any) -> Iterator:
    kept = []
    for item in static_items(cx, iterable):
        tested = item if function is None else call(cx, function, [item], {})
        truth = expressions.truth(cx, tested)
        if not isinstance(truth, bool):
            cx.fail(StaticValueError, "what filter keeps must be known", "use `if` in a for loop")
        kept += [item] if truth else []
    return Iterator(tuple(kept))


@handles(builtins.tuple, boxes=True)
def tuple_(cx: Context, items: Any = ()) -> tuple:
    return tuple(static_items(cx, items))


@handles(builtins.list, boxes=True)
def list_(cx: Context, items: Any = ()) -> Box:
    made = new_list(cx, ())
    containers.extend(cx, made, containers.iterable(cx, items))
    return made


@handles(builtins.dict, boxes=True)
def dict_(cx: Context, items: Any = (), **named: Any) -> Box:
    return new_dict(cx, containers.pairs_of(cx, items) | named)


def python_type(cx: Context, obj: Any) -> type:
    """The class that a value has: float for a Python number, np.float64 for one that an array
    gave."""
    if is_array(obj):
        return np.ndarray
    if is_atom(obj):
        dtype, weak = ar.dtype_of(cx, obj)
        return KINDS[dtype] if weak else STRONG[dtype]
    if isinstance(obj, Text):
        return str
    return obj.cls if isinstance(obj, (Box, Record)) else type(obj)


#: What `iter` gives back as it is.
ITERATORS = (Enumerate, Zip, Reversed, Mapped, Iterator)


@handles(builtins.iter, boxes=True)
def iter_(cx: Context, items: Any) -> Any:
    items = containers.iterable(cx, items)
    return items if isinstance(items, ITERATORS) else Iterator(items)


@handles(builtins.setattr, boxes=True)
def setattr_(cx: Context, obj: Any, name: str, value: Any) -> None:
    objects.set_attribute(cx, obj, attribute_name(cx, name), value)


def attribute_name(cx: Context, name: Any) -> str:
    if not isinstance(name, str):
        cx.fail(StaticValueError, "the name of an attribute must be a string that is known")
    return name


@handles(builtins.object.__setattr__, boxes=True)
def set_directly(cx: Context, obj: Any, name: str, value: Any) -> None:
    """What frozen dataclasses use in `__post_init__`."""
    objects.set_attribute(cx, obj, attribute_name(cx, name), value, direct=True)


@handles(builtins.getattr, boxes=True)
def getattr_(cx: Context, obj: Any, name: str, *default: Any) -> Any:
    name = attribute_name(cx, name)
    if is_object(obj) and default:
        return objects.get_attribute(cx, obj, name, default[0])
    if default and not hasattr_(cx, obj, name):
        return default[0]
    return expressions.get_attribute(cx, obj, name)


@handles(builtins.hasattr, boxes=True)
def hasattr_(cx: Context, obj: Any, name: str) -> bool:
    name = attribute_name(cx, name)
    if is_object(obj):
        return objects.has_attribute(cx, obj, name)
    return hasattr(python_type(cx, obj), name)


@handles(builtins.type, boxes=True)
def type_of(cx: Context, obj: Any) -> type:
    return python_type(cx, obj)


@handles(builtins.callable, boxes=True)
def callable_(cx: Context, obj: Any) -> bool:
    if isinstance(obj, Box):
        return objects.member_of(obj.cls, "__call__") is not UNDEFINED
    return callable(obj) or isinstance(obj, (Bound, Method, Partial, calls.Closure))


@handles(dataclasses.replace, boxes=True)
def replace_(cx: Context, obj: Any, /, **changes: Any) -> Any:
    return objects.replaced(cx, obj, **changes)


@handles(builtins.vars, boxes=True)
def vars_(cx: Context, obj: Any) -> Any:
    return cx.fail(UnsupportedTypeError, "vars() is not supported", "name the attributes")


@handles(builtins.bool, boxes=True)
def bool_(cx: Context, x: Any = False) -> Any:
    return expressions.truth(cx, x if not is_array(x) else item_of(cx, x))


def _number_type(cls: type, dtype: str) -> None:
    def handler(cx: Context, x: Any = 0) -> Any:
        if is_number(x) or isinstance(x, str):
            try:
                return cls(x)
            except (ValueError, OverflowError, TypeError) as error:
                cx.fail(UnsupportedTypeError, str(error))
        if is_array(x):
            x = item_of(cx, x)
        if not is_atom(x):
            cx.fail(UnsupportedTypeError, f"{cls.__name__} of {describe(x)}")
        if cls is int:
            ar.integral_check(cx, x)
        return ar.value_of(cx, weak_copy(cx, x, dtype), True)

    handles(cls)(handler)


def item_of(cx: Context, x: Any) -> Any:
    """The number in an array of one element."""
    from s2s_ad.frontend.creation import item

    return item(cx, x)


def weak_copy(cx: Context, x: Any, dtype: str) -> Any:
    """A number as a Python number: a conversion even where the dtype is the same already."""
    if x.type.dtype == dtype and x in cx.weak:
        return x
    return x if isinstance(x, Lit) else cx.emit("convert", x, dtype=dtype)


_number_type(float, "f64")
_number_type(int, "i64")
_number_type(complex, "c128")


def _extreme(prim: str, fn: Any, reduction: str) -> None:
    """`max(a, b, …)` and `max(items)`. Python's max(a, b) is b only if b > a."""

    def handler(cx: Context, *values: Any) -> Any:
        if len(values) == 1 and is_array(values[0]):
            not_empty(cx, values[0], None)
            return reduce(cx, reduction, values[0], None, False, values[0].type.dtype)
        items = static_items(cx, values[0]) if len(values) == 1 else list(values)
        if not items or not all(map(is_scalar, items)):
            cx.fail(
                UnsupportedTypeError, f"{fn.__name__} takes numbers", "use np.maximum for arrays"
            )
        out = items[0]
        for other in items[1:]:
            out = _choose(cx, out, other)
        return out

    def _choose(cx: Context, a: Any, b: Any) -> Any:
        if is_number(a) and is_number(b):
            return fn(a, b)
        dtype, weak = ar.result_dtype(cx, (a, b))
        if ar.KIND[dtype] != 2:
            return ar.elementwise(cx, prim, (a, b), "i64" if dtype == "bool" else dtype, weak=weak)
        atoms = [ar.convert(cx, v, dtype) for v in (a, b)]
        return ar.value_of(cx, cx.emit(prim, *atoms, **{FIRST: True}), weak)

    handles(fn)(handler)


_extreme("maximum", builtins.max, "reduce_max")
_extreme("minimum", builtins.min, "reduce_min")


@handles(builtins.sum)
def sum_(cx: Context, items: Any, start: Any = 0) -> Any:
    if is_array(items) and items.type.ndim == 1 and is_number(start) and start == 0:
        from s2s_ad.frontend.reductions import reduce_sum

        total = reduce_sum(cx, items)
        return cx.emit("convert", total, dtype="i32") if items.type.dtype == "i32" else total
    total = start
    for item in static_items(cx, items):
        total = expressions.operate(cx, gast.Add(), total, item)
    return total


def _logical(fn: Any, prim: str) -> None:
    def handler(cx: Context, items: Any) -> Any:
        if is_array(items):
            from s2s_ad.frontend.registry import FUNCTIONS

            return FUNCTIONS[np.any if prim == "or" else np.all](cx, items)
        out: Any = prim == "and"
        for item in static_items(cx, items):
            out = ar.both(cx, out, expressions.truth(cx, item), prim)
        return out

    handles(fn)(handler)


_logical(builtins.any, "or")
_logical(builtins.all, "and")

STRONG = {"f64": np.float64, "f32": np.float32, "i64": np.int64, "i32": np.int32}
STRONG |= {"bool": np.bool_, "c128": np.complex128, "c64": np.complex64}
KINDS = {"bool": bool, "i64": int, "i32": int, "f32": float, "f64": float, "c128": complex}


@handles(builtins.isinstance, boxes=True)
def isinstance_(cx: Context, x: Any, cls: Any) -> bool:
    """By what is known of `x`: an array is an ndarray, a number is an int or a float."""
    classes = cls if isinstance(cls, tuple) else (cls,)
    if not all(isinstance(c, type) for c in classes):
        cx.fail(UnsupportedTypeError, "isinstance takes a class, or a tuple of classes")
    if is_array(x):
        return any(issubclass(np.ndarray, c) for c in classes)
    if is_atom(x):
        kind = KINDS.get(x.type.dtype, complex)
        return any(issubclass(kind, c) for c in classes)
    if isinstance(x, (Record, Box, Text)):
        return any(issubclass(python_type(cx, x), c) for c in classes)
    return isinstance(x, classes)


@handles(np.ndindex)
def ndindex(cx: Context, *shape: Any) -> Indices:
    extents = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    for n in extents:
        cx.index(n)
    return Indices(tuple(extents))


@handles(np.ndenumerate)
def ndenumerate(cx: Context, arr: Any) -> Indices:
    if not is_array(arr):
        cx.fail(UnsupportedTypeError, f"np.ndenumerate of {describe(arr)}")
    return Indices(tuple(extent(cx, arr, a) for a in range(arr.type.ndim)), arr)


@handles(np.shape)
def shape(cx: Context, a: Any) -> tuple:
    return tuple(ar.extents_of(cx, ar.as_array(cx, a)))


@handles(np.ndim)
def ndim(cx: Context, a: Any) -> int:
    return len(ar.shape_of(ar.as_array(cx, a)))


@handles(np.size)
def size(cx: Context, a: Any) -> Any:
    total: Any = 1
    for n in ar.extents_of(cx, ar.as_array(cx, a)):
        total = ar.binary(cx, "mul", total, n)
    return total
