"""What a `for` goes over: known items, or a counted range with an item for each index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import StaticValueError, UnsupportedTypeError
from s2s_ad.frontend.facts import shifted
from s2s_ad.frontend.heap import filled, is_list, is_object, items_of, plain
from s2s_ad.frontend.memory import element, extent
from s2s_ad.frontend.values import (
    Enumerate,
    Indices,
    Iterator,
    Mapped,
    Range,
    Record,
    Reversed,
    Rows,
    Zip,
    describe,
    is_array,
    is_number,
)
from s2s_ad.ir.core import Lit, Var


@dataclass(frozen=True)
class Counted:
    """`for i in range(start, stop, step)`, with `item(i)` for each i; `parallel` is a prange."""

    start: Any
    stop: Any
    step: Any
    item: Callable[[Any], Any]
    parallel: bool = False

    @property
    def from_zero(self) -> bool:
        return self.start == 0 and self.step == 1


def itself(i: Any) -> Any:
    """The item of a range that is counted through."""
    return i


def known_items(cx: Context, value: Any) -> list[Any] | None:
    """The items of an iterable whose items are all known one by one; None for another."""
    value = plain(cx, value)
    if isinstance(value, (tuple, list, str)):
        return list(value)
    if isinstance(value, dict):
        return list(value)
    if isinstance(value, Record):
        return list(value.items)
    if isinstance(value, Iterator):
        return known_items(cx, value.item)
    if isinstance(value, Enumerate):
        items = known_items(cx, value.item)
        start = value.start
        return None if items is None else [(start + k, item) for k, item in enumerate(items)]
    if isinstance(value, Reversed):
        items = known_items(cx, value.item)
        return None if items is None else items[::-1]
    if isinstance(value, Zip):
        columns = [list(v) if isinstance(v, range) else known_items(cx, v) for v in value.items]
        all_ranges = all(isinstance(v, range) for v in value.items)
        return None if None in columns or all_ranges else list(zip(*columns))
    return None


def spend(cx: Context, value: Any) -> None:
    """Go over an iterable. Python's iterators are empty the second time."""
    if isinstance(value, (Enumerate, Zip, Reversed, Mapped, Iterator)):
        if any(value is other for other in cx.spent):
            cx.fail(
                UnsupportedTypeError,
                f"the {type(value).__name__.lower()} object is gone over a second time, when it is "
                "empty",
                "write it where it is used, or make it a list: list(…)",
            )
        cx.spent.append(value)
    if isinstance(value, (Enumerate, Reversed, Mapped, Iterator)):
        spend(cx, value.item)
    elif isinstance(value, Zip):
        for item in value.items:
            spend(cx, item)


def static_items(cx: Context, value: Any) -> list[Any]:
    """The items of an iterable, now: ranges, and arrays of known length, are unrolled."""
    spend(cx, value)
    return unrolled_items(cx, value)


def unrolled_items(cx: Context, value: Any) -> list[Any]:
    """`static_items` of what has been counted as gone over."""
    if is_object(value):
        from s2s_ad.frontend.containers import iterable

        value = iterable(cx, value)
    items = known_items(cx, value)
    if items is not None:
        return items
    if isinstance(value, range):
        return list(value)
    over = counted(cx, value)
    bounds = [b.value if isinstance(b, Lit) else b for b in (over.start, over.stop, over.step)]
    if any(type(b) is not int for b in bounds):
        cx.fail(
            StaticValueError,
            "the number of items must be known when compiling",
            "write a for loop that fills an array",
        )
    return [over.item(i) for i in range(*bounds)]


def counted(cx: Context, value: Any) -> Counted:
    """An iterable that a loop counts through."""
    if is_list(value):
        rows = items_of(cx, value)
        return Counted(0, rows.length, 1, lambda i: row(cx, items_of(cx, value), i))
    if isinstance(value, range):
        return Counted(value.start, value.stop, value.step, itself)
    if isinstance(value, Range):
        return Counted(value.start, value.stop, value.step, itself, value.parallel)
    if is_array(value):
        n = extent(cx, value, 0)
        return Counted(0, n, 1, lambda i: element(cx, value, cx.index(i)))
    if isinstance(value, Enumerate):
        over = from_zero(cx, counted(cx, value.item))
        start = value.start
        return Counted(0, over.stop, 1, lambda i: (ar.binary(cx, "add", i, start), over.item(i)))
    if isinstance(value, Zip):
        return _zip(cx, value)
    if isinstance(value, Reversed):
        over = from_zero(cx, counted(cx, value.item))
        last = ar.binary(cx, "sub", over.stop, 1)
        return Counted(0, over.stop, 1, lambda i: over.item(ar.binary(cx, "sub", last, i)))
    if isinstance(value, Mapped):
        return _mapped(cx, value)
    if isinstance(value, Iterator):
        return counted(cx, value.item)
    if isinstance(value, Indices):
        return _indices(cx, value)
    return cx.fail(UnsupportedTypeError, f"a loop over {describe(value)} is not supported")


def row(cx: Context, rows: Rows, index: Any) -> Any:
    """An item of a list whose length is known when running."""
    found = element(cx, filled(cx, rows), cx.index(index))
    if rows.weak and isinstance(found, Var):
        cx.weak.add(found)
    return found


def _indices(cx: Context, value: Indices) -> Counted:
    """One count for all axes; each index is a part of it."""
    total: Any = 1
    for n in value.extents:
        total = ar.binary(cx, "mul", total, n)

    def item(i: Any) -> Any:
        out: list[Any] = []
        for n in reversed(value.extents):
            out.append(_part(cx, "mod", i, n))
            i = _part(cx, "floordiv", i, n)
        at = tuple(reversed(out))
        return at if value.array is None else (at, _element_at(cx, value.array, at))

    return Counted(0, total, 1, item)


def _part(cx: Context, prim: str, i: Any, n: Any) -> Any:
    """`i // n` or `i % n` where `n` is certainly positive: the loop is running."""
    if is_number(i) and is_number(n):
        return ar.binary(cx, prim, i, n)
    out = ar.elementwise(cx, prim, (i, n), "i64", weak=True)
    cx.nonneg.add(out)
    return out


def _element_at(cx: Context, view: Any, at: tuple[Any, ...]) -> Any:
    for k in at:
        view = element(cx, view, cx.index(k))
    return view


def _mapped(cx: Context, value: Mapped) -> Counted:
    from s2s_ad.frontend.calls import call

    over = counted(cx, value.item)

    def item(i: Any) -> Any:
        found = over.item(i)
        return call(cx, value.function, list(found) if value.star else [found], {})

    return Counted(over.start, over.stop, over.step, item)


def _zip(cx: Context, value: Zip) -> Counted:
    columns = [_column(cx, v) for v in value.items]
    stop = columns[0].stop
    for other in columns[1:]:
        stop = smaller(cx, stop, other.stop)
    return Counted(0, stop, 1, lambda i: tuple(c.item(i) for c in columns))


def _column(cx: Context, value: Any) -> Counted:
    items = known_items(cx, value)
    if items is not None:
        cx.fail(
            StaticValueError,
            "zip of known items with an array whose length is not known",
            "loop over range(len(...)) and index the arrays",
        )
    return from_zero(cx, counted(cx, value))


def from_zero(cx: Context, over: Counted) -> Counted:
    """The same items, counted 0, 1, 2, …"""
    if over.from_zero:
        return over
    n = length(cx, over.start, over.stop, over.step)

    def item(i: Any) -> Any:
        at = ar.binary(cx, "add", over.start, ar.binary(cx, "mul", i, over.step))
        return over.item(at)

    return Counted(0, n, 1, item)


def backwards(cx: Context, values: Range) -> Range:
    """`values[::-1]`."""
    n = length(cx, values.start, values.stop, values.step)
    last = ar.binary(cx, "sub", n, 1)
    last = ar.binary(cx, "add", values.start, ar.binary(cx, "mul", last, values.step))
    return Range(last, ar.binary(cx, "sub", values.start, values.step), ar.negate(cx, values.step))


def length(cx: Context, start: Any, stop: Any, step: Any) -> Any:
    """`len(range(start, stop, step))`."""
    if all(type(v) is int for v in (start, stop, step)):
        return len(range(start, stop, step))
    span = ar.binary(cx, "sub", stop, start)
    if step != 1:
        if type(step) is not int:
            cx.fail(StaticValueError, "the step of this range must be known when compiling")
        less = step - 1 if step > 0 else step + 1
        span = ar.binary(cx, "floordiv", ar.binary(cx, "add", span, less), step)
    if cx.is_nonneg(span):
        return span
    out = ar.elementwise(cx, "maximum", (span, 0), "i64", weak=True)
    cx.nonneg.add(out)
    if span in cx.affine:
        cx.memo[("atom", out)] = shifted(*cx.affine[span])
    return out


def smaller(cx: Context, a: Any, b: Any) -> Any:
    """The smaller of two lengths."""
    if a is b or (type(a) is int and type(b) is int):
        return min(a, b) if type(a) is int else a
    return ar.elementwise(cx, "minimum", (a, b), "i64", weak=True)
