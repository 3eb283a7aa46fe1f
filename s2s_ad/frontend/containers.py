"""Lists and dicts: their methods, their items read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gast

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import comparisons, expressions, objects, subscripts
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.creation import filled as full_of
from s2s_ad.frontend.errors import (
    GrowthError,
    MutationError,
    StaticValueError,
    SubscriptError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.growth import (
    common,
    grow,
    in_array,
    kind_of,
    note,
    note_kind,
    store,
    unsure,
)
from s2s_ad.frontend.heap import (
    ITEMS,
    filled,
    held,
    is_dict,
    is_list,
    is_object,
    items_of,
    new_dict,
    new_list,
    plain,
    save,
)
from s2s_ad.frontend.iteration import counted, from_zero, known_items, row, spend, static_items
from s2s_ad.frontend.subscripts import Slice
from s2s_ad.frontend.values import (
    Box,
    Enumerate,
    Iterator,
    Mapped,
    Record,
    Reversed,
    Rows,
    Zip,
    describe,
    is_array,
    is_dynamic,
    is_number,
    is_scalar,
    same,
)
from s2s_ad.ir.core import Lit, Var
from s2s_ad.ir.types import Type

#: A list of numbers with more items than this is an array from the start.
LONG = 32
METHODS: dict[tuple[type, str], Callable[..., Any]] = {}


def method(cls: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a method `(cx, box, *args) -> value` of lists or dicts under its own name."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        METHODS[cls, fn.__name__.strip("_").split("__")[-1]] = fn
        return fn

    return register


# --- items of lists ------------------------------------------------------------------------------


def position(cx: Context, box: Box, index: Any, count: int) -> int:
    """A known index into a list of `count` items, from the front."""
    index = index.value if isinstance(index, Lit) else index
    if type(index) not in (int, bool):
        cx.fail(
            StaticValueError,
            f"the index of {describe(box)} must be known when compiling",
            "loop over the items themselves, or put numbers into an array: np.array(items)[k]",
        )
    if not -count <= index < count:
        cx.fail(SubscriptError, f"index {index} is out of range for {count} items")
    return index % count


def known_slice(cx: Context, index: Slice) -> slice:
    parts = [p.value if isinstance(p, Lit) else p for p in (index.start, index.stop, index.step)]
    if any(map(is_dynamic, parts)):
        cx.fail(StaticValueError, "the bounds of this slice must be known when compiling")
    return slice(*parts)


def get_list_item(cx: Context, box: Box, index: Any) -> Any:
    """`items[index]`; a slice is a new list."""
    items = items_of(cx, box)
    if isinstance(items, Rows):
        if not isinstance(index, Slice):
            return row(cx, items, index)
        part = subscripts.get(cx, filled(cx, items), [index])
        return array_list(cx, part, items.weak)
    if isinstance(index, Slice):
        return new_list(cx, items[known_slice(cx, index)], box.name)
    if isinstance(index, Var):
        return chosen(cx, box, items, index)
    return items[position(cx, box, index, len(items))]


def chosen(cx: Context, box: Box, items: tuple[Any, ...], index: Var) -> Any:
    """An item of a list at an index that is known when running: the items in an array."""
    if not items:
        cx.check(ar.as_bool(False), "IndexError", "list index out of range")
        return 0.0
    kind = kind_of(cx, box, items)
    if kind is None:
        position(cx, box, index, len(items))
    return row(cx, in_array(cx, box, items, len(items), kind), index)


def array_list(cx: Context, part: Any, weak: bool) -> Box:
    """A new list of what an array holds."""
    kind = (Type(part.type.dtype, part.type.shape[1:]), weak)
    length = ar.extents_of(cx, part)[0]
    box = new_list(cx, (), part.cell.name)
    rows = in_array(cx, box, Rows(part, length, False, weak), length, kind)
    cx.kinds[box] = kind
    save(cx, box, ITEMS, rows)
    return box


def set_list_item(cx: Context, box: Box, index: Any, value: Any) -> None:
    """`items[index] = value`."""
    items = items_of(cx, box)
    if isinstance(index, Slice):
        return set_list_slice(cx, box, items, index, value)
    if isinstance(items, Rows):
        if items.buffer.type.ndim > 1:
            short(cx, box, "assigning an array to an item")
        dtype, weak = ar.dtype_of(cx, value)
        kind = (items.buffer.type.dtype, items.weak)
        if common(cx, (Type(kind[0]), kind[1]), (Type(dtype), weak))[0].dtype != kind[0]:
            cx.fail(
                GrowthError,
                f"a list of {kind[0]} numbers takes no {dtype}",
                "let the list hold floats from the start: [0.0] * n",
            )
        return store(cx, filled(cx, items), cx.index(index), value)
    k = position(cx, box, index, len(items))
    return save(cx, box, ITEMS, (*items[:k], value, *items[k + 1 :]))


def set_list_slice(cx: Context, box: Box, items: Any, index: Slice, value: Any) -> None:
    if isinstance(items, Rows):
        cx.fail(MutationError, "a slice of a list that a loop has made cannot be assigned")
    changed = list(items)
    try:
        changed[known_slice(cx, index)] = static_items(cx, value)
    except ValueError as error:
        cx.fail(SubscriptError, str(error))
    save(cx, box, ITEMS, tuple(changed))


# --- methods of lists ----------------------------------------------------------------------------


def short(cx: Context, box: Box, name: str) -> tuple[Any, ...]:
    """The items of a list whose items are all known one by one."""
    items = items_of(cx, box)
    if isinstance(items, Rows):
        cx.fail(
            MutationError,
            f"{name} of a list that a loop has made is not supported",
            "make it an array with np.array and build the new one from that",
        )
    return items


@method(list)
def append(cx: Context, box: Box, value: Any) -> None:
    items = items_of(cx, box)
    note_kind(cx, box, value)
    grow(cx, box, 1)
    if not isinstance(items, Rows):
        return save(cx, box, ITEMS, (*items, value))
    if kind_of(cx, box, items) is None:
        cx.fail(GrowthError, "a list that a loop has made holds numbers and arrays only")
    if not items.room:
        items = longer(cx, box, items, 1)
    store(cx, items.buffer, cx.index(items.length), value)
    length = ar.binary(cx, "add", items.length, 1)
    if cx.is_nonneg(items.length) and not isinstance(length, int):
        cx.nonneg.add(length)
    return save(cx, box, ITEMS, Rows(items.buffer, length, items.room, items.weak))


def longer(cx: Context, box: Box, items: Rows, by: Any) -> Rows:
    """The same items in an array with room for more."""
    room = ar.binary(cx, "add", items.length, by)
    return in_array(cx, box, items, room, kind_of(cx, box, items))


@method(list)
def extend(cx: Context, box: Box, more: Any) -> None:
    spend(cx, more)
    known = known_items(cx, more)
    if known is None and isinstance(more, range):
        known = list(more)
    if known is None:
        over = from_zero(cx, counted(cx, more))
        if type(over.stop) is not int:
            return extend_by_array(cx, box, more)
        known = [over.item(k) for k in range(over.stop)]
    for value in known:
        append(cx, box, value)
    return None


def extend_by_array(cx: Context, box: Box, more: Any) -> None:
    """Append the rows of an array whose length is known when running."""
    part = plain(cx, more)
    if not is_array(part):
        cx.fail(
            MutationError,
            f"a list cannot be extended by {describe(more)} here",
            "append the items in a for loop",
        )
    items, extra = items_of(cx, box), ar.extents_of(cx, part)[0]
    weak = is_list(more) and items_of(cx, more).weak
    kind = (Type(part.type.dtype, part.type.shape[1:]), weak)
    for item in items if isinstance(items, tuple) else ():
        note_kind(cx, box, item)
    note(cx, box, kind)
    grow(cx, box, extra)
    length = len(items) if isinstance(items, tuple) else items.length
    total = ar.binary(cx, "add", length, extra)
    if isinstance(items, tuple) or not items.room:
        items = in_array(cx, box, items, total, kind_of(cx, box, items))
    subscripts.set_items(cx, items.buffer, [Slice(length, total, None)], part)
    if part.type.ndim > 1:
        cx.link_part(items.buffer.cell, part)
    save(cx, box, ITEMS, Rows(items.buffer, total, items.room, items.weak))


@method(list)
def pop(cx: Context, box: Box, index: Any = -1) -> Any:
    items = items_of(cx, box)
    if isinstance(items, Rows) and index == -1:
        some = ar.binary(cx, "gt", items.length, 0)
        cx.check(ar.as_bool(some), "IndexError", "pop from empty list")
        last = ar.binary(cx, "sub", items.length, 1)
        found = row(cx, items, last)
        if is_array(found):
            short(cx, box, "pop of arrays")
        unsure(cx, box)
        save(cx, box, ITEMS, Rows(items.buffer, last, items.room, items.weak))
        return found
    items = short(cx, box, "pop")
    k = position(cx, box, index, len(items))
    unsure(cx, box)
    save(cx, box, ITEMS, items[:k] + items[k + 1 :])
    return items[k]


@method(list)
def insert(cx: Context, box: Box, index: Any, value: Any) -> None:
    items = list(short(cx, box, "insert"))
    index = index.value if isinstance(index, Lit) else index
    if type(index) is not int:
        position(cx, box, index, len(items))
    items.insert(index, value)
    grow(cx, box, 1)
    note_kind(cx, box, None)
    save(cx, box, ITEMS, tuple(items))


@method(list)
def reverse(cx: Context, box: Box) -> None:
    save(cx, box, ITEMS, short(cx, box, "reverse")[::-1])


@method(list)
def clear(cx: Context, box: Box) -> None:
    unsure(cx, box)
    items = items_of(cx, box)
    if isinstance(items, Rows) and items.buffer.type.ndim > 1:
        short(cx, box, "clear")
    emptied = Rows(items.buffer, 0, items.room, items.weak) if isinstance(items, Rows) else ()
    save(cx, box, ITEMS, emptied)


@method(list)
def list__copy(cx: Context, box: Box) -> Box:
    return get_list_item(cx, box, Slice(None, None, None))


@method(list)
def index(cx: Context, box: Box, value: Any) -> int:
    items = short(cx, box, "index")
    if is_dynamic(value) or any(map(is_dynamic, items)):
        cx.fail(StaticValueError, "index needs items that are known when compiling")
    if value not in items:
        cx.fail(SubscriptError, f"{value!r} is not in the list")
    return items.index(value)


def repeated(cx: Context, box: Box, times: Any) -> Box:
    """`items * times`. Numbers that are repeated often, or a number of times that is known when
    running, give a list that is an array."""
    items = items_of(cx, box)
    times = times.value if isinstance(times, Lit) else times
    few = type(times) in (int, bool) and len(items) * times <= LONG if type(items) is tuple else 0
    numbers = type(items) is tuple and len(items) == 1 and is_scalar(items[0])
    if type(times) in (int, bool) and type(items) is tuple and (few or not numbers):
        return new_list(cx, items * times, box.name)
    if not numbers:
        cx.fail(
            StaticValueError,
            f"{describe(box)} cannot be repeated a number of times that is known when running",
            "repeat a list of one number, or use np.full",
        )
    dtype, weak = ar.dtype_of(cx, items[0])
    at_least = times if cx.is_nonneg(times) else ar.elementwise(cx, "maximum", (times, 0), "i64")
    made = new_list(cx, (), box.name)
    cx.kinds[made] = (Type(dtype), weak)
    buffer = full_of(cx, at_least, items[0], dtype)
    save(cx, made, ITEMS, Rows(buffer, at_least, False, weak))
    return made


def in_place(cx: Context, op: type, box: Box, value: Any) -> Box:
    """`items += more`, `items *= n`: the same list, changed."""
    if op is gast.Add:
        extend(cx, box, value)
        return box
    if op is not gast.Mult:
        cx.fail(UnsupportedTypeError, f"no such operation on {describe(box)}")
    made = repeated(cx, box, value)
    unsure(cx, box)
    if made in cx.kinds:
        cx.kinds[box] = cx.kinds[made]
    save(cx, box, ITEMS, items_of(cx, made))
    return box


def iterable(cx: Context, value: Any) -> Any:
    """What a `for` goes over, for an instance: what its `__iter__` gives."""
    if not is_object(value):
        return value
    found = objects.try_special(cx, value, "__iter__")
    if found is NotImplemented:
        cx.fail(UnsupportedTypeError, f"a loop over {describe(value)} is not supported")
    return found


def lengths(cx: Context, value: Any) -> dict[Box, int]:
    """The lists of known length that an iterable goes over."""
    if isinstance(value, Zip):
        return {box: n for item in value.items for box, n in lengths(cx, item).items()}
    if isinstance(value, (Enumerate, Reversed, Mapped, Iterator)):
        return lengths(cx, value.item)
    items = items_of(cx, value) if is_list(value) else None
    return {value: len(items)} if isinstance(items, tuple) else {}


def check_unchanged(cx: Context, before: dict[Box, int]) -> None:
    """A loop over a list has gone over what it held at first: that must still be what it holds."""
    for box, count in before.items():
        now = held(cx.state, box, ITEMS)
        if not cx.state.dead and (not isinstance(now, tuple) or len(now) != count):
            cx.fail(
                MutationError,
                "a list changes its length while a loop goes over it",
                "loop over a copy: list(items)",
            )


def joined(cx: Context, a: Box, b: Box) -> Box:
    """`a + b` of two lists."""
    both = items_of(cx, a), items_of(cx, b)
    if all(isinstance(items, tuple) for items in both):
        return new_list(cx, both[0] + both[1], a.name)
    made = list__copy(cx, a)
    if isinstance(both[0], Rows):
        cx.kinds[made] = cx.kinds[a]
    extend(cx, made, b)
    return made


def delete_item(cx: Context, base: Any, index: Any) -> None:
    """`del base[index]`."""
    if is_dict(base):
        dict__pop(cx, base, index)
    elif is_list(base):
        items = list(short(cx, base, "del"))
        sliced = isinstance(index, Slice)
        del items[known_slice(cx, index) if sliced else position(cx, base, index, len(items))]
        unsure(cx, base)
        save(cx, base, ITEMS, tuple(items))
    elif objects.special(base, "__delitem__") is not None:
        objects.try_special(cx, base, "__delitem__", expressions.python_index(index))
    else:
        advice = "items of lists and dicts can be deleted"
        cx.fail(MutationError, f"an item of {describe(base)} cannot be deleted", advice)


# --- dicts ---------------------------------------------------------------------------------------


def key_of(cx: Context, key: Any) -> Any:
    key = key.value if isinstance(key, Lit) else key
    if is_dynamic(key):
        cx.fail(StaticValueError, "the key of a dict must be known when compiling")
    return key


def get_dict_item(cx: Context, box: Box, key: Any) -> Any:
    items, key = items_of(cx, box), key_of(cx, key)
    if key not in items:
        cx.fail(SubscriptError, f"the dict has no key {describe(key)}")
    return items[key]


def set_dict_item(cx: Context, box: Box, key: Any, value: Any) -> None:
    save(cx, box, ITEMS, {**items_of(cx, box), key_of(cx, key): value})


@method(dict)
def items(cx: Context, box: Box) -> tuple:
    return tuple(items_of(cx, box).items())


@method(dict)
def keys(cx: Context, box: Box) -> tuple:
    return tuple(items_of(cx, box))


@method(dict)
def values(cx: Context, box: Box) -> tuple:
    return tuple(items_of(cx, box).values())


@method(dict)
def get(cx: Context, box: Box, key: Any, default: Any = None) -> Any:
    return items_of(cx, box).get(key_of(cx, key), default)


@method(dict)
def update(cx: Context, box: Box, other: Any = (), **named: Any) -> None:
    save(cx, box, ITEMS, {**items_of(cx, box), **pairs_of(cx, other), **named})


def pairs_of(cx: Context, value: Any) -> dict[Any, Any]:
    """The items of a dict, or of an iterable of pairs."""
    if is_dict(value):
        return items_of(cx, value)
    pairs = [tuple(static_items(cx, pair)) for pair in static_items(cx, value)]
    if any(len(pair) != 2 for pair in pairs):
        cx.fail(UnsupportedTypeError, "a dict is made of pairs: (key, value)")
    return {key_of(cx, k): v for k, v in pairs}


@method(dict)
def setdefault(cx: Context, box: Box, key: Any, default: Any = None) -> Any:
    items, key = items_of(cx, box), key_of(cx, key)
    if key not in items:
        set_dict_item(cx, box, key, default)
    return items.get(key, default)


@method(dict)
def dict__pop(cx: Context, box: Box, key: Any, *default: Any) -> Any:
    items, key = items_of(cx, box), key_of(cx, key)
    if key not in items and default:
        return default[0]
    found = get_dict_item(cx, box, key)
    save(cx, box, ITEMS, {k: v for k, v in items.items() if k != key})
    return found


@method(dict)
def dict__copy(cx: Context, box: Box) -> Box:
    return new_dict(cx, items_of(cx, box), box.name)


@method(dict)
def dict__clear(cx: Context, box: Box) -> None:
    save(cx, box, ITEMS, {})


def equal(cx: Context, a: Any, b: Any) -> Any:
    """`a == b` of two lists, dicts or tuples."""
    x, y = (items_of(cx, v) if isinstance(v, Box) else tuple_items(v) for v in (a, b))
    if isinstance(x, Rows) or isinstance(y, Rows):
        cx.fail(UnsupportedTypeError, "lists that a loop has made cannot be compared")
    kinds = [v.cls if isinstance(v, Box) else tuple for v in (a, b)]
    if kinds[0] is not kinds[1] or len(x) != len(y) or (kinds[0] is dict and set(x) != set(y)):
        return False
    pairs = [(x[k], y[k]) for k in x] if kinds[0] is dict else list(zip(x, y))
    out: Any = True
    for p, q in pairs:
        if not (is_number(p) and is_number(q)) and same(p, q):
            continue
        out = ar.both(cx, out, expressions.truth(cx, comparisons.compare_values(cx, "eq", p, q)))
    return out


def tuple_items(value: Any) -> tuple[Any, ...]:
    return value.items if isinstance(value, Record) else value
