"""The value of an expression."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import gast

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import calls, containers, iteration, objects, registry, subscripts
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
    Cell,
    Conflict,
    Maybe,
    Method,
    Partial,
    Record,
    Rows,
    Super,
    describe,
    is_array,
    is_atom,
    is_dynamic,
    is_namedtuple,
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
BITS = {gast.BitAnd: "and", gast.BitOr: "or", gast.BitXor: "xor"}


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
    if is_object(a) or is_object(b):
        return objects.operator(cx, type(op).__name__, a, b)
    if is_list(a) or is_list(b):
        found = _list_op(cx, op, a, b)
        if found is not None:
            return found
    if isinstance(op, gast.MatMult):
        return matmul(cx, a, b)
    if type(op) in BITS:
        return bits(cx, BITS[type(op)], a, b)
    sequences = isinstance(a, (str, tuple)) or isinstance(b, (str, tuple))
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
    if isinstance(op, gast.Add) and type(a) is type(b):
        return a + b
    if isinstance(op, gast.Mod) and isinstance(a, str) and not is_dynamic(b):
        return a % b
    if isinstance(op, gast.Mult) and (type(a) is int or type(b) is int):
        return a * b
    return cx.fail(UnsupportedTypeError, f"no such operation on {describe(a)} and {describe(b)}")


def bits(cx: Context, prim: str, a: Any, b: Any) -> Any:
    """`&`, `|`, `^` on bools and boolean arrays."""
    if all(type(v) is bool for v in (a, b)):
        return {"and": a and b, "or": a or b, "xor": a != b}[prim]
    dtype, weak = ar.result_dtype(cx, (a, b))
    if dtype != "bool":
        cx.fail(UnsupportedTypeError, "bit operations on integers are not supported")
    return ar.elementwise(cx, prim, (a, b), "bool", weak=weak)


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
    dtype, weak = ar.dtype_of(cx, value)
    if dtype != "bool" or type(value) is bool:
        cx.fail(UnsupportedTypeError, "~ is supported on boolean arrays only", "use `not`")
    return ar.elementwise(cx, "not", [value], "bool", weak=weak)


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
    """A comparison, chained ones too: `a < b < c` evaluates b once, and c only where it matters."""

    def rest(left: Any, k: int) -> Any:
        right = evaluate(cx, node.comparators[k])
        first = compare_two(cx, node.ops[k], left, right)
        if k + 1 == len(node.ops):
            return first
        if is_array(first):
            ar.truth(cx, first)
        return short_circuit(cx, "and", first, lambda: rest(right, k + 1))

    return rest(evaluate(cx, node.left), 0)


def compare_two(cx: Context, op: gast.AST, a: Any, b: Any) -> Any:
    if type(op) in COMPARE:
        return compare_values(cx, COMPARE[type(op)], a, b)
    negative = isinstance(op, (gast.IsNot, gast.NotIn))
    if isinstance(op, (gast.Is, gast.IsNot)):
        if is_scalar(a) and is_scalar(b) and not (type(a) is bool and type(b) is bool):
            cx.fail(UnsupportedTypeError, "`is` on numbers is not supported", "use ==")
        return identical(cx, a, b) != negative
    if isinstance(b, Box):
        found = _contained(cx, a, b)
        return ar.logical_not(cx, found) if negative else found
    if is_dynamic(a) or not isinstance(b, (tuple, str, range)) or _numbers(b):
        cx.fail(UnsupportedTypeError, "`in` needs a value and a container that are known")
    return (a in b) != negative


def _numbers(container: Any) -> bool:
    return isinstance(container, tuple) and any(map(is_dynamic, container))


def identical(cx: Context, a: Any, b: Any) -> bool:
    """`a is b`. PathError where that depends on the path taken."""
    if a is b or (is_array(a) and a == b):
        return True
    places = [v.cell if is_array(v) else v for v in (a, b)]
    alike = all(isinstance(p, (Box, Cell)) for p in places) and places[0] is not places[1]
    if alike and cx.overlap(*places):
        cx.fail(PathError, "whether the two are one object depends on the path taken")
    return False


def _contained(cx: Context, value: Any, box: Box) -> Any:
    if not is_object(box):
        return containers.contains(cx, value, box)
    found = objects.try_special(cx, box, "__contains__", value)
    if found is NotImplemented:
        cx.fail(UnsupportedTypeError, f"`in` needs a container, not {describe(box)}")
    return truth(cx, found)


def compare_values(cx: Context, prim: str, a: Any, b: Any) -> Any:
    """A comparison of two values: eq, lt, …"""
    if is_object(a) or is_object(b):
        return objects.comparison(cx, prim, a, b)
    if isinstance(a, Box) and isinstance(b, Box) and prim in ("eq", "ne"):
        found = containers.equal(cx, a, b)
        return found if prim == "eq" else ar.logical_not(cx, found)
    return ar.compare(cx, prim, *(ar.as_array(cx, v) if is_list(v) else v for v in (a, b)))


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
    return tuple(_items(cx, node.elts))


def list_of(cx: Context, node: gast.List) -> Box:
    return new_list(cx, _items(cx, node.elts))


def argument(cx: Context, node: gast.AST) -> Any:
    """The value of something that is gone over once, at once: there, a generator is a list."""
    if isinstance(node, gast.GeneratorExp):
        with cx.at(node):
            return comprehension(cx, node)
    return evaluate(cx, node)


def _items(
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
    args = _items(cx, node.args, evaluate if followed(fn) else argument)
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


def joined_string(cx: Context, node: gast.JoinedStr) -> str:
    """An f-string; what is not known is shown by its source."""
    parts = []
    for part in node.values:
        if isinstance(part, gast.Constant):
            parts.append(str(part.value))
            continue
        value = evaluate(cx, part.value)
        parts.append(f"{{{gast.unparse(part.value).strip()}}}" if is_dynamic(value) else str(value))
    return "".join(parts)


def named_expr(cx: Context, node: gast.NamedExpr) -> Any:
    from s2s_ad.frontend.statements import bind_target

    value = evaluate(cx, node.value)
    bind_target(cx, node.target, value)
    return value


def import_of(cx: Context, module: str, item: str = "") -> Any:
    """`import module`, `from module import item`."""
    import importlib

    found = importlib.import_module(module)
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
    gast.ListComp: comprehension,
    gast.GeneratorExp: generator,
    gast.DictComp: comprehension,
    gast.Call: call,
    gast.Lambda: lambda_of,
    gast.JoinedStr: joined_string,
    gast.NamedExpr: named_expr,
}
