"""Comparisons: `==` and its kin, `is`, `in`."""

from __future__ import annotations

import builtins
from typing import Any

import gast

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import calls, containers, expressions, iteration, objects
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import PathError, UnsupportedTypeError
from s2s_ad.frontend.flow import short_circuit
from s2s_ad.frontend.heap import is_list, is_object, plain
from s2s_ad.frontend.values import (
    Box,
    Cell,
    Range,
    Record,
    describe,
    is_array,
    is_dynamic,
    is_scalar,
)
from s2s_ad.ir.core import Lit

COMPARE = {
    gast.Eq: "eq",
    gast.NotEq: "ne",
    gast.Lt: "lt",
    gast.LtE: "le",
    gast.Gt: "gt",
    gast.GtE: "ge",
}


def compare(cx: Context, node: gast.Compare) -> Any:
    """A comparison, chained ones too: `a < b < c` evaluates b once, and c only where it matters."""

    def rest(left: Any, k: int) -> Any:
        right = _container_or_value(cx, node.ops[k], node.comparators[k])
        first = compare_two(cx, node.ops[k], left, right)
        if k + 1 == len(node.ops):
            return first
        if is_array(first):
            ar.truth(cx, first)
        return short_circuit(cx, "and", first, lambda: rest(right, k + 1))

    return rest(expressions.evaluate(cx, node.left), 0)


def _container_or_value(cx: Context, op: gast.AST, node: gast.AST) -> Any:
    """What stands on the right; for `in`, a set of run-time numbers is as good as a tuple."""
    if isinstance(op, (gast.In, gast.NotIn)) and isinstance(node, gast.Set):
        return tuple(expressions.items_in(cx, node.elts))
    return expressions.evaluate(cx, node)


def compare_two(cx: Context, op: gast.AST, a: Any, b: Any) -> Any:
    if type(op) in COMPARE:
        return compare_values(cx, COMPARE[type(op)], a, b)
    negative = isinstance(op, (gast.IsNot, gast.NotIn))
    if isinstance(op, (gast.Is, gast.IsNot)):
        if is_scalar(a) and is_scalar(b) and not (type(a) is bool and type(b) is bool):
            cx.fail(UnsupportedTypeError, "`is` on numbers is not supported", "use ==")
        return identical(cx, a, b) != negative
    found = contains(cx, b, a)
    return ar.logical_not(cx, found) if negative else found


def identical(cx: Context, a: Any, b: Any) -> bool:
    """`a is b`. PathError where that depends on the path taken."""
    if a is b or (is_array(a) and a == b):
        return True
    places = [v.cell if is_array(v) else v for v in (a, b)]
    alike = all(isinstance(p, (Box, Cell)) for p in places) and places[0] is not places[1]
    if alike and cx.state.overlap(*places):
        cx.fail(PathError, "whether the two are one object depends on the path taken")
    return False


def contains(cx: Context, container: Any, value: Any) -> Any:
    """`value in container`."""
    if is_object(container):
        return _contained(cx, value, container)
    arrays = is_list(container)
    container = plain(cx, container)
    if arrays and is_array(container) and container.type.ndim > 1:
        cx.fail(UnsupportedTypeError, "`in` a list of arrays is ambiguous", "compare in a loop")
    if isinstance(container, Record):
        container = container.items
    if isinstance(container, dict):
        container = tuple(container)
    known = (tuple, list, frozenset, str, range)
    if isinstance(container, known) and not is_dynamic(container) and not is_dynamic(value):
        try:
            return (value.value if isinstance(value, Lit) else value) in container
        except TypeError as error:
            cx.fail(UnsupportedTypeError, f"`in`: {error}")
    if is_array(container):
        return calls.call(cx, builtins.any, [ar.compare(cx, "eq", container, value)], {})
    if isinstance(container, range):
        container = Range(container.start, container.stop, container.step)
    if isinstance(container, Range):
        return _in_range(cx, container, value)
    if not isinstance(container, (tuple, list, frozenset)):
        cx.fail(UnsupportedTypeError, f"`in` {describe(container)} needs a value that is known")
    found: Any = False
    for item in container:
        found = short_circuit(cx, "or", found, lambda i=item: _same_item(cx, value, i))
    return found


def _contained(cx: Context, value: Any, box: Box) -> Any:
    found = objects.try_special(cx, box, "__contains__", value)
    if found is NotImplemented:
        cx.fail(UnsupportedTypeError, f"`in` needs a container, not {describe(box)}")
    return expressions.truth(cx, found)


def _same_item(cx: Context, a: Any, b: Any) -> Any:
    if a is b and not is_scalar(a):
        return True
    return expressions.truth(cx, compare_values(cx, "eq", a, b))


def _in_range(cx: Context, values: Range, value: Any) -> Any:
    if not (is_scalar(value) and ar.KIND[ar.dtype_of(cx, value)[0]] < 2):
        cx.fail(UnsupportedTypeError, f"{describe(value)} in a range", "compare with its bounds")
    n = iteration.length(cx, values.start, values.stop, values.step)
    offset = ar.binary(cx, "sub", value, values.start)
    place = ar.binary(cx, "floordiv", offset, values.step)
    whole = ar.compare(cx, "eq", ar.binary(cx, "mul", place, values.step), offset)
    inside = ar.both(cx, ar.compare(cx, "ge", place, 0), ar.compare(cx, "lt", place, n))
    return ar.both(cx, whole, inside)


def compare_values(cx: Context, prim: str, a: Any, b: Any) -> Any:
    """A comparison of two values: eq, lt, …"""
    if is_object(a) or is_object(b):
        return objects.comparison(cx, prim, a, b)
    kinds = (Box, tuple, Record)
    sides = [isinstance(v, kinds) for v in (a, b)]
    if all(sides) and prim in ("eq", "ne"):
        found = containers.equal(cx, a, b)
        return found if prim == "eq" else ar.logical_not(cx, found)
    if any(sides) and (is_array(a) or is_array(b)):
        return ar.compare(cx, prim, ar.as_array(cx, a), ar.as_array(cx, b))
    return ar.compare(cx, prim, a, b)
