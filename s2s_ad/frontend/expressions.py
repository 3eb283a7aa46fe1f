"""The value of an expression."""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Iterator
from typing import Any

import gast

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import calls, iteration, subscripts, text
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
from s2s_ad.frontend.known import attribute, known, lookup
from s2s_ad.frontend.linear import matmul
from s2s_ad.frontend.memory import extent, read, transposed
from s2s_ad.frontend.registry import METHODS, unknown
from s2s_ad.frontend.subscripts import Slice
from s2s_ad.frontend.values import (
    Bound,
    Conflict,
    Maybe,
    Method,
    Range,
    Record,
    Text,
    describe,
    is_array,
    is_atom,
    is_dynamic,
    is_number,
    is_scalar,
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
COMPARE = {
    gast.Eq: "eq",
    gast.NotEq: "ne",
    gast.Lt: "lt",
    gast.LtE: "le",
    gast.Gt: "gt",
    gast.GtE: "ge",
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
    if isinstance(op, gast.MatMult):
        return matmul(cx, a, b)
    if type(op) in BITS:
        return bits(cx, BITS[type(op)], a, b)
    kinds = (str, Text, tuple, list)
    sequences = isinstance(a, kinds) or isinstance(b, kinds)
    if sequences and not (is_array(a) or is_array(b)):
        return _sequence_op(cx, op, a, b)
    if type(op) not in BINARY:
        cx.fail(UnsupportedSyntaxError, f"the operator {type(op).__name__} is not supported")
    return ar.binary(cx, BINARY[type(op)], ar.as_array(cx, a), ar.as_array(cx, b))


def _sequence_op(cx: Context, op: gast.AST, a: Any, b: Any) -> Any:
    strings = isinstance(a, (str, Text)) and isinstance(b, (str, Text))
    if isinstance(op, gast.Add) and strings:
        return text.joined([a, b])
    if isinstance(op, gast.Add) and type(a) is type(b):
        return a + b
    if isinstance(op, gast.Mod) and isinstance(a, str):
        return text.percent(cx, a, b)
    if isinstance(op, gast.Mult) and (type(a) is int or type(b) is int):
        return a * b
    return cx.fail(UnsupportedTypeError, f"no such operation on {describe(a)} and {describe(b)}")


def bits(cx: Context, prim: str, a: Any, b: Any) -> Any:
    """`&`, `|`, `^` on bools and integers, `<<` and `>>` on integers."""
    if isinstance(a, (frozenset, dict)) and type(a) is type(b) and not is_dynamic((a, b)):
        return ar.PYTHON[prim](a, b)
    return ar.bitwise(cx, prim, ar.as_array(cx, a), ar.as_array(cx, b))


def unary_op(cx: Context, node: gast.UnaryOp) -> Any:
    value = evaluate(cx, node.operand)
    if isinstance(node.op, gast.Not):
        return ar.logical_not(cx, value)
    if isinstance(node.op, gast.UAdd):
        ar.dtype_of(cx, value)
        return cx.fresh(read(cx, value)) if is_array(value) else value
    if isinstance(node.op, gast.USub):
        return ar.negate(cx, value)
    return ar.inverted(cx, value)


def bool_op(cx: Context, node: gast.BoolOp) -> Any:
    """`and`, `or`: Python gives an operand; the next is evaluated only where it is needed."""
    is_and = isinstance(node.op, gast.And)

    def rest(values: list[gast.AST]) -> Any:
        first = evaluate(cx, values[0])
        if len(values) == 1:
            return first
        truth = ar.truth(cx, first)
        if isinstance(truth, bool):
            return rest(values[1:]) if truth == is_and else first
        if is_atom(first) and first.type == BOOL:
            return short_circuit(cx, "and" if is_and else "or", first, lambda: rest(values[1:]))
        if is_and:
            return choose(cx, truth, lambda: rest(values[1:]), lambda: first)
        return choose(cx, truth, lambda: first, lambda: rest(values[1:]))

    return rest(node.values)


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

    return rest(evaluate(cx, node.left), 0)


def _container_or_value(cx: Context, op: gast.AST, node: gast.AST) -> Any:
    """What stands on the right; for `in`, a set of run-time numbers is as good as a tuple."""
    if isinstance(op, (gast.In, gast.NotIn)) and isinstance(node, gast.Set):
        return tuple(_items(cx, node.elts))
    return evaluate(cx, node)


def compare_two(cx: Context, op: gast.AST, a: Any, b: Any) -> Any:
    if type(op) in COMPARE:
        return ar.compare(cx, COMPARE[type(op)], a, b)
    negative = isinstance(op, (gast.IsNot, gast.NotIn))
    if isinstance(op, (gast.Is, gast.IsNot)):
        if is_scalar(a) and is_scalar(b) and not (type(a) is bool and type(b) is bool):
            cx.fail(UnsupportedTypeError, "`is` on numbers is not supported", "use ==")
        return (a is b or (is_array(a) and a == b)) != negative
    found = contains(cx, b, a)
    return ar.logical_not(cx, found) if negative else found


def contains(cx: Context, container: Any, value: Any) -> Any:
    """`value in container`."""
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


def _same_item(cx: Context, a: Any, b: Any) -> Any:
    return True if a is b and not is_scalar(a) else ar.truth(cx, ar.compare(cx, "eq", a, b))


def _in_range(cx: Context, values: Range, value: Any) -> Any:
    if not (is_scalar(value) and ar.KIND[ar.dtype_of(cx, value)[0]] < 2):
        cx.fail(UnsupportedTypeError, f"{describe(value)} in a range", "compare with its bounds")
    n = iteration.length(cx, values.start, values.stop, values.step)
    offset = ar.binary(cx, "sub", value, values.start)
    place = ar.binary(cx, "floordiv", offset, values.step)
    whole = ar.compare(cx, "eq", ar.binary(cx, "mul", place, values.step), offset)
    inside = ar.both(cx, ar.compare(cx, "ge", place, 0), ar.compare(cx, "lt", place, n))
    return ar.both(cx, whole, inside)


def if_exp(cx: Context, node: gast.IfExp) -> Any:
    truth = ar.truth(cx, evaluate(cx, node.test))
    value = choose(cx, truth, lambda: evaluate(cx, node.body), lambda: evaluate(cx, node.orelse))
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
    if isinstance(value, dict) and attr in ("items", "keys", "values", "get"):
        return getattr(value, attr)
    if isinstance(value, (tuple, list, calls.Closure, Method)):
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
    return [ar.as_array(cx, i) if isinstance(i, list) else i for i in items]


def get_item(cx: Context, value: Any, index: Any) -> Any:
    if is_array(value):
        return subscripts.get(cx, value, index_items(cx, index))
    if isinstance(value, Record):
        value = value.items
    if isinstance(value, dict):
        if is_dynamic(index) or index not in value:
            cx.fail(SubscriptError, f"the dict has no key {describe(index)}")
        return value[index]
    if isinstance(value, (tuple, list, str, range)):
        return _sequence_item(cx, value, index)
    if isinstance(value, Range) and index == Slice(None, None, -1):
        return iteration.backwards(cx, value)
    return cx.fail(UnsupportedTypeError, f"{describe(value)} cannot be subscripted")


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
    return tuple(_items(cx, node.elts))


def list_of(cx: Context, node: gast.List) -> list:
    return _items(cx, node.elts)


def set_of(cx: Context, node: gast.Set) -> Any:
    items = _items(cx, node.elts)
    if any(map(is_dynamic, items)):
        cx.fail(StaticValueError, "the items of a set must be known when compiling", "use a tuple")
    return frozenset(i.value if isinstance(i, Lit) else i for i in items)


def _items(cx: Context, nodes: list[gast.AST]) -> list[Any]:
    out: list[Any] = []
    for item in nodes:
        if isinstance(item, gast.Starred):
            out.extend(iteration.static_items(cx, evaluate(cx, item.value)))
        else:
            out.append(evaluate(cx, item))
    return out


def dict_of(cx: Context, node: gast.Dict) -> dict:
    out: dict = {}
    for key, value in zip(node.keys, node.values):
        if key is None:
            out.update(evaluate(cx, value))
            continue
        found = evaluate(cx, key)
        if is_dynamic(found):
            cx.fail(StaticValueError, "the key of a dict must be known when compiling")
        out[found] = evaluate(cx, value)
    return out


def comprehension(cx: Context, node: gast.AST) -> Any:
    """A comprehension over what is known, item by item, now. Its variables are its own."""
    frame = cx.frame
    outer = dict(frame.locals)
    found: list[Any] = []
    for _ in _bindings(cx, node.generators):
        if isinstance(node, gast.DictComp):
            found.append((evaluate(cx, node.key), evaluate(cx, node.value)))
        else:
            found.append(evaluate(cx, node.elt))
    for target in set(frame.locals) - set(outer):
        del frame.locals[target]
    frame.locals.update({k: v for k, v in outer.items() if frame.locals.get(k) is not v})
    return dict(found) if isinstance(node, gast.DictComp) else found


def _bindings(cx: Context, generators: list[gast.comprehension]) -> Iterator[None]:
    from s2s_ad.frontend.statements import bind_target

    if not generators:
        yield
        return
    first, rest = generators[0], generators[1:]
    for item in iteration.static_items(cx, evaluate(cx, first.iter)):
        bind_target(cx, first.target, item)
        if all(_known_test(cx, test) for test in first.ifs):
            yield from _bindings(cx, rest)


def _known_test(cx: Context, node: gast.AST) -> bool:
    truth = ar.truth(cx, evaluate(cx, node))
    if not isinstance(truth, bool):
        cx.fail(
            StaticValueError, "the condition of a comprehension must be known", "use a for loop"
        )
    return truth


# --- calls ---------------------------------------------------------------------------------------


def call(cx: Context, node: gast.Call) -> Any:
    fn = evaluate(cx, node.func)
    args = _items(cx, node.args)
    kwargs: dict[str, Any] = {}
    for keyword in node.keywords:
        value = evaluate(cx, keyword.value)
        kwargs.update(value if keyword.arg is None else {keyword.arg: value})
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
    gast.GeneratorExp: comprehension,
    gast.DictComp: comprehension,
    gast.Call: call,
    gast.Lambda: lambda_of,
    gast.JoinedStr: joined_string,
    gast.NamedExpr: named_expr,
}
