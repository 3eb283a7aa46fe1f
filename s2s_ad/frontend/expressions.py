"""The value of an expression."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import gast

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import (
    calls,
    comparisons,
    containers,
    iteration,
    objects,
    registry,
    subscripts,
    text,
)
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import (
    PathError,
    StaticValueError,
    SubscriptError,
    UnsupportedCallError,
    UnsupportedSyntaxError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.flow import choose, short_circuit
from s2s_ad.frontend.heap import is_dict, is_list, is_object, items_of, new_dict, new_list
from s2s_ad.frontend.known import attribute, known, lookup
from s2s_ad.frontend.linear import matmul
from s2s_ad.frontend.memory import extent, read, transposed
from s2s_ad.frontend.registry import METHODS, unknown
from s2s_ad.frontend.subscripts import Slice
from s2s_ad.frontend.values import (
    UNDEFINED,
    Bound,
    Box,
    Conflict,
    Maybe,
    Method,
    Partial,
    Range,
    Record,
    Rows,
    Super,
    Text,
    describe,
    is_array,
    is_atom,
    is_dynamic,
    is_namedtuple,
    is_number,
)
from s2s_ad.ir.core import Lit
from s2s_ad.ir.types import BOOL, DTYPES

BINARY = {
    gast.Add: "add",
    gast.Sub: "sub",
    gast.Mult: "mul",
    gast.Div: "div",
    gast.FloorDiv: "floordiv",
    gast.Mod: "mod",
    gast.Pow: "pow",
}
BITS = {
    gast.BitAnd: "bit_and",
    gast.BitOr: "bit_or",
    gast.BitXor: "bit_xor",
    gast.LShift: "shift_left",
    gast.RShift: "shift_right",
}


def evaluate(cx: Context, node: gast.AST) -> Any:
    """The value of an expression at this point of the program."""
    with cx.at(node):
        handler = HANDLERS.get(type(node))
        if handler is None:
            cx.fail(UnsupportedSyntaxError, f"{type(node).__name__} is not supported")
        return handler(cx, node)


# --- names and constants -------------------------------------------------------------------------


def constant(cx: Context, node: gast.Constant) -> Any:
    return node.value


def name(cx: Context, node: gast.Name) -> Any:
    value = lookup(cx, node.id)
    if isinstance(value, Conflict):
        cx.fail(
            PathError,
            value.message,
            "give it the same kind of value on every path (for a number, start with a number)",
        )
    if isinstance(value, Maybe):
        cx.check(value.flag, "UnboundLocalError", f"{node.id!r} is read before it has a value")
        value = value.value
        if node.id in cx.frame.locals:
            cx.frame.locals[node.id] = value
    return value


# --- operators -----------------------------------------------------------------------------------


def binary_op(cx: Context, node: gast.BinOp) -> Any:
    return operate(cx, node.op, evaluate(cx, node.left), evaluate(cx, node.right))


def operate(cx: Context, op: gast.AST, a: Any, b: Any) -> Any:
    """`a op b`."""
    if isinstance(op, gast.Mod) and isinstance(a, str):
        return text.percent(cx, a, b)
    if is_object(a) or is_object(b):
        return objects.operator(cx, type(op).__name__, a, b)
    if is_dict(a) and is_dict(b) and isinstance(op, gast.BitOr):
        return new_dict(cx, {**items_of(cx, a), **items_of(cx, b)})
    if is_list(a) or is_list(b):
        found = _list_op(cx, op, a, b)
        if found is not None:
            return found
    if isinstance(op, gast.MatMult):
        return matmul(cx, a, b)
    if type(op) in BITS:
        return bits(cx, BITS[type(op)], a, b)
    kinds = (str, Text, tuple)
    sequences = isinstance(a, kinds) or isinstance(b, kinds)
    if sequences and not (is_array(a) or is_array(b)):
        return _sequence_op(cx, op, a, b)
    if type(op) not in BINARY:
        cx.fail(UnsupportedSyntaxError, f"the operator {type(op).__name__} is not supported")
    return ar.binary(cx, BINARY[type(op)], ar.as_array(cx, a), ar.as_array(cx, b))


def _list_op(cx: Context, op: gast.AST, a: Any, b: Any) -> Any:
    """`list + list` and `list * n`; None for what NumPy makes of a list."""
    if isinstance(op, gast.Add) and is_list(a) and is_list(b):
        return containers.joined(cx, a, b)
    if is_list(b) and not is_list(a):
        a, b = b, a
    count = type(b) in (int, bool) or (is_atom(b) and b.type.dtype in ("i64", "bool"))
    if isinstance(op, gast.Mult) and count:
        return containers.repeated(cx, a, b)
    if not is_array(b):
        cx.fail(UnsupportedTypeError, f"no such operation on {describe(a)} and {describe(b)}")
    return None


def _sequence_op(cx: Context, op: gast.AST, a: Any, b: Any) -> Any:
    strings = isinstance(a, (str, Text)) and isinstance(b, (str, Text))
    if isinstance(op, gast.Add) and strings:
        return text.joined([a, b])
    if isinstance(op, gast.Add) and type(a) is type(b):
        return a + b
    if isinstance(op, gast.Mult) and (type(a) is int or type(b) is int):
        return a * b
    return cx.fail(UnsupportedTypeError, f"no such operation on {describe(a)} and {describe(b)}")


def bits(cx: Context, prim: str, a: Any, b: Any) -> Any:
    """`&`, `|`, `^` on bools and integers, `<<` and `>>` on integers."""
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return ar.PYTHON[prim](a, b)
    return ar.bitwise(cx, prim, ar.as_array(cx, a), ar.as_array(cx, b))


def unary_op(cx: Context, node: gast.UnaryOp) -> Any:
    value = evaluate(cx, node.operand)
    if isinstance(node.op, gast.Not):
        return ar.logical_not(cx, truth(cx, value))
    if is_object(value):
        return objects.unary(cx, objects.UNARY[type(node.op).__name__], value)
    if isinstance(node.op, gast.UAdd):
        ar.dtype_of(cx, value)
        return cx.fresh(read(cx, value)) if is_array(value) else value
    if isinstance(node.op, gast.USub):
        return ar.negate(cx, value)
    return ar.inverted(cx, value)


def truth(cx: Context, value: Any) -> Any:
    """`bool(value)`: a Python bool where it is known, else a bool atom."""
    if is_object(value):
        value = objects.truth(cx, value)
    elif is_list(value) or is_dict(value):
        items = items_of(cx, value)
        value = items.length if isinstance(items, Rows) else len(items)
    return ar.truth(cx, value)


def condition(cx: Context, node: gast.AST) -> Any:
    """The truth of an expression, of which nothing but the truth is asked."""
    if not isinstance(node, gast.BoolOp):
        return truth(cx, evaluate(cx, node))
    prim = "and" if isinstance(node.op, gast.And) else "or"

    def rest(values: list[gast.AST]) -> Any:
        first = condition(cx, values[0])
        return (
            first if len(values) == 1 else short_circuit(cx, prim, first, lambda: rest(values[1:]))
        )

    with cx.at(node):
        return rest(node.values)


def bool_op(cx: Context, node: gast.BoolOp) -> Any:
    """`and`, `or`: Python gives an operand; the next is evaluated only where it is needed."""
    is_and = isinstance(node.op, gast.And)

    def rest(values: list[gast.AST]) -> Any:
        first = evaluate(cx, values[0])
        if len(values) == 1:
            return first
        known = truth(cx, first)
        if isinstance(known, bool):
            return rest(values[1:]) if known == is_and else first
        if is_atom(first) and first.type == BOOL:
            return short_circuit(cx, "and" if is_and else "or", first, lambda: rest(values[1:]))
        if is_and:
            return choose(cx, known, lambda: rest(values[1:]), lambda: first)
        return choose(cx, known, lambda: first, lambda: rest(values[1:]))

    return rest(node.values)


def compare(cx: Context, node: gast.Compare) -> Any:
    return comparisons.compare(cx, node)


def if_exp(cx: Context, node: gast.IfExp) -> Any:
    known = condition(cx, node.test)
    value = choose(cx, known, lambda: evaluate(cx, node.body), lambda: evaluate(cx, node.orelse))
    if isinstance(value, Conflict):
        cx.fail(PathError, value.message.replace("the function's result", "this expression"))
    return value


# --- attributes and subscripts -------------------------------------------------------------------


def attribute_of(cx: Context, node: gast.Attribute) -> Any:
    return get_attribute(cx, evaluate(cx, node.value), node.attr)


def get_attribute(cx: Context, value: Any, attr: str) -> Any:
    if is_array(value) or is_atom(value):
        return array_attribute(cx, value, attr)
    if isinstance(value, Record):
        return record_attribute(cx, value, attr)
    if is_number(value) and attr in ("real", "imag"):
        return getattr(value, attr)
    if is_object(value):
        return objects.get_attribute(cx, value, attr)
    if isinstance(value, Super):
        return objects.super_attribute(cx, value, attr)
    if isinstance(value, Box) and (value.cls, attr) in containers.METHODS:
        return Method(value, attr)
    if isinstance(value, type) and not is_namedtuple(value):
        member = objects.member_of(value, attr)
        if member is not UNDEFINED:
            return objects.bound_member(cx, value, None, attr, member)
    if isinstance(value, Bound) and hasattr(value.function, "__s2s_method__"):
        derived = value.function.__s2s_method__(attr)
        if derived is not None:
            return dataclasses.replace(derived, fn=Bound(derived.fn, value.owner))
    if isinstance(value, (tuple, Box, calls.Closure, Method)):
        cx.fail(UnsupportedCallError, f"{describe(value)} has no supported attribute {attr!r}")
    return attribute(cx, value, attr)


def array_attribute(cx: Context, value: Any, attr: str) -> Any:
    rank = value.type.ndim
    if attr == "shape":
        return tuple(extent(cx, value, a) for a in range(rank))
    if attr == "ndim":
        return rank
    if attr == "size":
        size: Any = 1
        for a in range(rank):
            size = ar.binary(cx, "mul", size, extent(cx, value, a))
        return size
    if attr == "dtype":
        import numpy as np

        return np.dtype(DTYPES[value.type.dtype][0])
    if attr == "T":
        return transposed(cx, value, tuple(reversed(range(rank)))) if rank else value
    if attr == "flat" and is_array(value):
        return subscripts.flat_place(cx, value, ".flat")
    if attr == "real" and value.type.dtype not in ("c64", "c128"):
        return value
    if attr in METHODS:
        return Method(value, attr)
    return unknown(cx, attr, [*METHODS, "shape", "ndim", "size", "dtype", "T"])


def record_attribute(cx: Context, record: Record, attr: str) -> Any:
    if attr in record.names:
        return record.get(attr)
    found = getattr(record.cls, attr, None)
    if isinstance(found, property):
        return calls.call(cx, found.fget, [record], {})
    if isinstance(found, types.FunctionType) and not isinstance(
        record.cls.__dict__.get(attr), staticmethod
    ):
        return Bound(found, record)
    return attribute(cx, record.cls, attr)


def subscript(cx: Context, node: gast.Subscript) -> Any:
    return get_item(cx, evaluate(cx, node.value), evaluate(cx, node.slice))


def slice_of(cx: Context, node: gast.Slice) -> Slice:
    return Slice(
        *(None if p is None else evaluate(cx, p) for p in (node.lower, node.upper, node.step))
    )


def index_items(cx: Context, index: Any) -> list[Any]:
    """A subscript as a list of items; lists in it are index arrays."""
    items = list(index) if type(index) is tuple else [index]
    return [ar.as_array(cx, i) if is_list(i) else i for i in items]


def get_item(cx: Context, value: Any, index: Any) -> Any:
    if is_array(value):
        return subscripts.get(cx, value, index_items(cx, index))
    if isinstance(value, Record):
        value = value.items
    if is_dict(value):
        return containers.get_dict_item(cx, value, index)
    if is_list(value):
        return containers.get_list_item(cx, value, index)
    if is_object(value):
        found = objects.try_special(cx, value, "__getitem__", python_index(index))
        if found is not NotImplemented:
            return found
    if isinstance(value, (tuple, str, range)):
        return _sequence_item(cx, value, index)
    if isinstance(value, Range) and index == Slice(None, None, -1):
        return iteration.backwards(cx, value)
    return cx.fail(UnsupportedTypeError, f"{describe(value)} cannot be subscripted")


def python_index(index: Any) -> Any:
    """A subscript as a method gets it."""
    if isinstance(index, Slice):
        return slice(index.start, index.stop, index.step)
    return index


def _sequence_item(cx: Context, value: Any, index: Any) -> Any:
    if isinstance(index, Slice):
        parts = [
            p.value if isinstance(p, Lit) else p for p in (index.start, index.stop, index.step)
        ]
        if not any(map(is_dynamic, parts)):
            return value[slice(*parts)]
    index = index.value if isinstance(index, Lit) else index
    if type(index) is not int:
        cx.fail(
            StaticValueError,
            f"the index of {describe(value)} must be known when compiling",
            "loop over the items themselves, or pass the index as static=",
        )
    try:
        return value[index]
    except IndexError:
        return cx.fail(SubscriptError, f"index {index} is out of range for {len(value)} items")


# --- containers ----------------------------------------------------------------------------------


def tuple_of(cx: Context, node: gast.Tuple) -> tuple:
    return tuple(items_in(cx, node.elts))


def list_of(cx: Context, node: gast.List) -> Box:
    return new_list(cx, items_in(cx, node.elts))


def argument(cx: Context, node: gast.AST) -> Any:
    """The value of something that is gone over once, at once: there, a generator is a list."""
    if isinstance(node, gast.GeneratorExp):
        with cx.at(node):
            return comprehension(cx, node)
    return evaluate(cx, node)


def set_of(cx: Context, node: gast.Set) -> Any:
    items = items_in(cx, node.elts)
    if any(map(is_dynamic, items)):
        cx.fail(StaticValueError, "the items of a set must be known when compiling", "use a tuple")
    return frozenset(i.value if isinstance(i, Lit) else i for i in items)


def items_in(
    cx: Context,
    nodes: list[gast.AST],
    value: Callable[[Context, gast.AST], Any] = evaluate,
) -> list[Any]:
    out: list[Any] = []
    for item in nodes:
        if isinstance(item, gast.Starred):
            out.extend(iteration.static_items(cx, argument(cx, item.value)))
        else:
            out.append(value(cx, item))
    return out


def dict_of(cx: Context, node: gast.Dict) -> Box:
    out: dict = {}
    for key, value in zip(node.keys, node.values):
        if key is None:
            out.update(containers.pairs_of(cx, evaluate(cx, value)))
            continue
        out[containers.key_of(cx, evaluate(cx, key))] = evaluate(cx, value)
    return new_dict(cx, out)


# --- calls ---------------------------------------------------------------------------------------


def followed(fn: Any) -> bool:
    """True for what is interpreted when it is called: it might go over an argument twice."""
    kinds = (types.FunctionType, types.MethodType, Bound, Box, Partial, calls.Closure)
    return isinstance(fn, kinds) and registry.find(fn) is None


def call(cx: Context, node: gast.Call) -> Any:
    fn = evaluate(cx, node.func)
    args = items_in(cx, node.args, evaluate if followed(fn) else argument)
    kwargs: dict[str, Any] = {}
    for keyword in node.keywords:
        value = evaluate(cx, keyword.value)
        if keyword.arg is None:
            kwargs.update(containers.pairs_of(cx, value))
        else:
            kwargs[keyword.arg] = value
    return calls.call(cx, fn, args, kwargs)


def lambda_of(cx: Context, node: gast.Lambda) -> Any:
    return calls.make_closure(cx, node, "<lambda>")


def joined_string(cx: Context, node: gast.JoinedStr) -> Any:
    """An f-string: a string where all of it is known, else a Text."""
    parts: list[Any] = []
    for part in node.values:
        if isinstance(part, gast.Constant):
            parts.append(part.value)
            continue
        spec = "" if part.format_spec is None else joined_string(cx, part.format_spec)
        conversion = "" if part.conversion < 0 else chr(part.conversion)
        source = gast.unparse(part.value).strip()
        parts.append(text.field(cx, evaluate(cx, part.value), conversion, spec, source))
    return text.joined(parts)


def named_expr(cx: Context, node: gast.NamedExpr) -> Any:
    from s2s_ad.frontend.statements import bind_target

    value = evaluate(cx, node.value)
    bind_target(cx, node.target, value)
    return value


def import_of(cx: Context, module: str, item: str = "") -> Any:
    """`import module`, `from module import item`."""
    import importlib

    try:
        found = importlib.import_module(module)
    except ImportError as error:
        cx.check(ar.as_bool(False), type(error).__name__, str(error))
        return None
    return attribute(cx, found, item) if item else known(cx, found, None, module)


def generator(cx: Context, node: gast.AST) -> Any:
    return cx.fail(
        UnsupportedSyntaxError,
        "a generator expression is supported as the argument of a builtin function, and in a for",
        "write a list: [… for …]",
    )


def comprehension(cx: Context, node: gast.AST) -> Any:
    from s2s_ad.frontend import comprehensions

    return comprehensions.comprehension(cx, node)


HANDLERS: dict[type, Callable[[Context, Any], Any]] = {
    gast.Constant: constant,
    gast.Name: name,
    gast.BinOp: binary_op,
    gast.UnaryOp: unary_op,
    gast.BoolOp: bool_op,
    gast.Compare: compare,
    gast.IfExp: if_exp,
    gast.Attribute: attribute_of,
    gast.Subscript: subscript,
    gast.Slice: slice_of,
    gast.Tuple: tuple_of,
    gast.List: list_of,
    gast.Dict: dict_of,
    gast.Set: set_of,
    gast.ListComp: comprehension,
    gast.GeneratorExp: generator,
    gast.DictComp: comprehension,
    gast.Call: call,
    gast.Lambda: lambda_of,
    gast.JoinedStr: joined_string,
    gast.NamedExpr: named_expr,
}
