"""Statements, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gast

from s2s_ad.errors import S2SError
from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import calls, containers, contexts, iteration, objects, subscripts
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import (
    GrowthError,
    MutationError,
    PathError,
    StaticValueError,
    UnsupportedSyntaxError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.expressions import (
    BINARY,
    argument,
    condition,
    evaluate,
    get_attribute,
    get_item,
    import_of,
    index_items,
    operate,
    python_index,
)
from s2s_ad.frontend.flow import conditional, guarded, leaving, run_branch, short_circuit
from s2s_ad.frontend.growth import Trips
from s2s_ad.frontend.heap import is_dict, is_list, is_object, new_list
from s2s_ad.frontend.liveness import (
    Names,
    assigned,
    has_break,
    leaves_always,
    live_after_each,
    live_at_head,
    live_before,
    may_leave,
)
from s2s_ad.frontend.loops import emit_for, emit_while, leave, settle
from s2s_ad.frontend.values import Box, Text, View, describe, is_array, is_dynamic
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import Lit, Var
from s2s_ad.ir.types import I64

#: A loop of at most this many iterations is unrolled where its index must be known.
UNROLL = 32


def block(cx: Context, stmts: Sequence[gast.AST], live: Names, exits: Names = frozenset()) -> None:
    """Interpret statements. `live` are the names that may be read after them, `exits` those that
    may be read after a `break` or `continue` here."""
    for k, (stmt, later) in enumerate(zip(stmts, live_after_each(stmts, live, exits))):
        rest = list(stmts[k + 1 :])
        if isinstance(stmt, gast.If):
            return if_statement(cx, stmt, rest, live, exits)
        if isinstance(stmt, gast.With):
            with_items(cx, stmt)
            return block(cx, [*stmt.body, *rest], live, exits)
        with cx.at(stmt):
            after = later | live | exits if may_leave([stmt]) else later
            statement(cx, stmt, after, exits)
        if cx.state.dead:
            return None
        flag = leaving(cx)
        if flag is not False and rest:
            return guarded(cx, flag, lambda r=rest: block(cx, r, live, exits), live | exits)
        if flag is True:
            return None
    return None


def statement(cx: Context, stmt: gast.AST, after: Names, exits: Names) -> None:
    if isinstance(stmt, gast.For):
        return for_statement(cx, stmt, after, exits)
    if isinstance(stmt, gast.While):
        return while_statement(cx, stmt, after, exits)
    if isinstance(stmt, gast.Try):
        return contexts.try_statement(cx, block, stmt, after, exits)
    handler = HANDLERS.get(type(stmt))
    if handler is None:
        cx.fail(UnsupportedSyntaxError, f"{type(stmt).__name__} is not supported")
    return handler(cx, stmt)


def with_items(cx: Context, stmt: gast.With) -> None:
    """The contexts of a `with`, which do nothing; its body is a part of the block."""
    for item in stmt.items:
        with cx.at(stmt):
            value = contexts.enter_context(cx, evaluate(cx, item.context_expr))
            if item.optional_vars is not None:
                bind_target(cx, item.optional_vars, value)


# --- branches ------------------------------------------------------------------------------------


def if_statement(
    cx: Context, stmt: gast.If, rest: list[gast.AST], live: Names, exits: Names
) -> None:
    """An `if` and what follows it. Where one branch always leaves, what follows is the other's."""
    with cx.at(stmt):
        truth = condition(cx, stmt.test)
    if cx.state.dead:
        return None
    if isinstance(truth, bool):
        return block(cx, [*(stmt.body if truth else stmt.orelse), *rest], live, exits)
    moved = leaves_always(stmt.body) or leaves_always(stmt.orelse)
    after = live | exits
    if not moved:
        after = live_before(rest, live, exits)
        after |= (live | exits) if may_leave([stmt]) else frozenset()

    def path(stmts: list[gast.AST]) -> Callable[[], None]:
        whole = stmts if leaves_always(stmts) or not moved else [*stmts, *rest]
        return lambda: block(cx, whole, after, exits)

    with cx.at(stmt):
        conditional(cx, truth, path(stmt.body), path(stmt.orelse), after)
    if moved or not rest or cx.state.dead:
        return None
    return guarded(cx, leaving(cx), lambda: block(cx, rest, live, exits), live | exits)


# --- loops ---------------------------------------------------------------------------------------


def carried_names(cx: Context, stmt: gast.AST, after: Names, exits: Names, flag: bool) -> list[str]:
    """The names whose values may go round a loop or out of it, in the order of their making."""
    bound = assigned(stmt)
    out = live_before(stmt.orelse, after, exits) | after
    names = live_at_head(stmt, after, exits) | out | cx.frame.captured
    old = [n for n in cx.frame.locals if n in names]
    new = sorted(n for n in names & bound if n not in cx.frame.locals)
    return [*old, *new, "%return", "%value", *(["%break"] if flag else [])]


def for_statement(cx: Context, stmt: gast.For, after: Names, exits: Names) -> None:
    iterable = argument(cx, stmt.iter)
    iterable = containers.iterable(cx, iterable)
    iteration.spend(cx, iterable)
    items = iteration.known_items(cx, iterable)
    if items is not None:
        before = containers.lengths(cx, iterable)
        unrolled(cx, stmt, items, after, exits)
        return containers.check_unchanged(cx, before)
    over = iteration.counted(cx, iterable)
    bounds = [b.value if isinstance(b, Lit) else b for b in (over.start, over.stop, over.step)]
    trips = range(*bounds) if all(type(b) is int for b in bounds) else None
    if trips is not None and not trips:
        return block(cx, stmt.orelse, after, exits)
    try:
        return counted_loop(cx, stmt, over, after, exits)
    except (StaticValueError, PathError, GrowthError):
        if trips is None or len(trips) > UNROLL:
            raise
        return unrolled(cx, stmt, [over.item(i) for i in trips], after, exits)


def counted_loop(
    cx: Context, stmt: gast.For, over: iteration.Counted, after: Names, exits: Names
) -> None:
    """A `for` whose iterations are counted when running."""
    itself = isinstance(stmt.target, gast.Name) and over.item is iteration.itself
    name = stmt.target.id if itself else "i"
    around = live_at_head(stmt, after, exits) | after
    index = Var(name, I64)

    def body() -> None:
        with cx.at(stmt):
            cx.weak.add(index)
            if _never_negative(cx, over):
                cx.nonneg.add(index)
            if isinstance(over.stop, Var) and over.start == 0 and type(over.step) is int:
                cx.state.facts.nonzero.add(over.stop)  # else there is no iteration
            bind_target(cx, stmt.target, over.item(index))
        block(cx, stmt.body, around, around)

    if not isinstance(over.step, int):
        moves = ar.binary(cx, "ne", over.step, 0)
        cx.check(ar.as_bool(moves), "ValueError", "range() arg 3 must not be zero")
    rebound = assigned(stmt)
    names = carried_names(cx, stmt, after, exits, bool(stmt.orelse) and has_break(stmt))
    trips = Trips(index, (over.start, over.stop, over.step))
    carried, tried = settle(cx, names, rebound, body, trips)
    bounds = tuple(cx.index(b) for b in (over.start, over.stop, over.step))
    atoms = emit_for(cx, index, bounds, carried, tried, over.parallel)
    leave(cx, carried, atoms, rebound)
    finish_loop(cx, stmt, after, exits)


def _never_negative(cx: Context, over: iteration.Counted) -> bool:
    if type(over.step) is not int:
        return False
    low = over.start if over.step > 0 else over.stop
    return cx.is_nonneg(low) or (over.step < 0 and low == -1)


def while_statement(cx: Context, stmt: gast.While, after: Names, exits: Names) -> None:
    around = live_at_head(stmt, after, exits) | after
    rebound = assigned(stmt)
    names = carried_names(cx, stmt, after, exits, has_break(stmt))
    always = isinstance(stmt.test, gast.Constant) and bool(stmt.test.value)

    def holds() -> object:
        with cx.at(stmt):
            return True if always else condition(cx, stmt.test)

    def test(stopped: object) -> object:
        return short_circuit(cx, "and", ar.logical_not(cx, stopped), holds)

    def body() -> None:
        block(cx, stmt.body, around, around)

    def tested_body() -> None:
        def end() -> None:
            cx.frame.locals["%done"] = True

        conditional(cx, holds(), body, end, around)

    atoms, before, mark = None, cx.state.fork(), len(cx.builder.eqns)
    if not any(isinstance(n, gast.NamedExpr) for n in gast.walk(stmt.test)):
        carried, tried = settle(cx, names, rebound, body)
        atoms = emit_while(cx, carried, tried, test)
    if atoms is None:  # the condition changes something: it is a part of the body
        cx.state = before
        del cx.builder.eqns[mark:]
        carried, tried = settle(cx, [*names, "%done"], rebound, tested_body)
        atoms = emit_while(cx, carried, tried, lambda stopped: ar.logical_not(cx, stopped))
    leave(cx, carried, atoms, rebound)
    if always and not has_break(stmt):
        cx.frame.locals["%return"] = True
    finish_loop(cx, stmt, after, exits)


def finish_loop(cx: Context, stmt: gast.AST, after: Names, exits: Names) -> None:
    """The `else` of a loop, and flags off."""
    names = cx.frame.locals
    broken = names.get("%break", False)
    names["%break"] = names["%continue"] = names["%done"] = False
    if stmt.orelse:
        flag = ar.both(cx, broken, names.get("%return", False), "or")
        guarded(cx, flag, lambda: block(cx, stmt.orelse, after, exits), after | exits)


def unrolled(
    cx: Context, stmt: gast.For, items: Sequence[object], after: Names, exits: Names
) -> None:
    """A loop over known items: its body once for each."""
    around = live_at_head(stmt, after, exits) | after
    names = cx.frame.locals
    names["%break"] = names["%continue"] = False

    def iterate(rest: Sequence[object]) -> None:
        for k, item in enumerate(rest):
            bind_target(cx, stmt.target, item)
            block(cx, stmt.body, around, around)
            cx.frame.locals["%continue"] = False
            if cx.state.dead:
                return None
            flag = leaving(cx)
            if flag is not False:
                return guarded(cx, flag, lambda left=rest[k + 1 :]: iterate(left), around | exits)
        return None

    iterate(items)
    if not cx.state.dead:
        finish_loop(cx, stmt, after, exits)


# --- binding -------------------------------------------------------------------------------------


def assign(cx: Context, stmt: gast.Assign) -> None:
    value = evaluate(cx, stmt.value)
    for target in stmt.targets:
        bind_target(cx, target, value)


def annotated(cx: Context, stmt: gast.AnnAssign) -> None:
    if stmt.value is not None:
        bind_target(cx, stmt.target, evaluate(cx, stmt.value))


def bind_target(cx: Context, target: gast.AST, value: object) -> None:
    """`target = value`."""
    if isinstance(target, gast.Name):
        give_name(cx, value, target.id)
        cx.frame.locals[target.id] = value
    elif isinstance(target, (gast.Tuple, gast.List)):
        items = unpack(cx, value, target.elts)
        for part, item in zip(target.elts, items):
            bind_target(cx, part.value if isinstance(part, gast.Starred) else part, item)
    elif isinstance(target, gast.Subscript):
        set_item(cx, evaluate(cx, target.value), evaluate(cx, target.slice), value)
    else:
        owner = evaluate(cx, target.value)
        with cx.at(target):
            give_name(cx, value, target.attr)
            objects.set_attribute(cx, owner, target.attr, value)


def give_name(cx: Context, value: object, name: str) -> None:
    """Call a result after the user's variable: the hint of a temporary is set once."""
    if isinstance(value, Box) and value.name == value.cls.__name__.lower():
        value.name = name
    if isinstance(value, View) and not value.steps and value.cell.name == "t":
        value.cell.name = name
        value = value.cell.initial
    if isinstance(value, Var) and value.name == "t":
        object.__setattr__(value, "name", name)


def unpack(cx: Context, value: object, targets: Sequence[gast.AST]) -> list[object]:
    """The items of `value`, one for each target; a starred target takes a list of the rest."""
    count = len(targets)
    star = next((k for k, t in enumerate(targets) if isinstance(t, gast.Starred)), None)
    if star is None and is_array(value) and not isinstance(value.type.shape[0], int):
        length = cx.index(iteration.counted(cx, value).stop)
        cx.check(cx.emit("eq", length, i64(count)), "ValueError", f"unpacking needs {count} items")
        return [iteration.element(cx, value, i64(k)) for k in range(count)]
    items = iteration.static_items(cx, value)
    if star is not None and len(items) >= count - 1:
        end = len(items) - (count - 1 - star)
        items = [*items[:star], new_list(cx, items[star:end]), *items[end:]]
    if len(items) != count:
        cx.fail(UnsupportedTypeError, f"{len(items)} items cannot be unpacked into {count} names")
    return items


def set_item(cx: Context, base: object, index: object, value: object) -> None:
    """`base[index] = value`."""
    if is_array(base):
        return subscripts.set_items(cx, base, index_items(cx, index), value)
    if is_list(base):
        return containers.set_list_item(cx, base, index, value)
    if is_dict(base):
        return containers.set_dict_item(cx, base, index, value)
    if objects.special(base, "__setitem__") is not None:
        objects.try_special(cx, base, "__setitem__", python_index(index), value)
        return None
    return cx.fail(
        MutationError,
        f"{describe(base)} cannot be written to",
        "arrays, lists, dicts and attributes of instances can",
    )


def augmented(cx: Context, stmt: gast.AugAssign) -> None:
    target = stmt.target
    if isinstance(target, gast.Subscript):
        base, index = evaluate(cx, target.value), evaluate(cx, target.slice)
        if is_array(base):
            return augmented_item(cx, stmt, base, index_items(cx, index))
        current = get_item(cx, base, index)
        changed = in_place(cx, stmt.op, current, evaluate(cx, stmt.value))
        return set_item(cx, base, index, changed)
    if isinstance(target, gast.Attribute):
        owner = evaluate(cx, target.value)
        with cx.at(target):
            current = get_attribute(cx, owner, target.attr)
        changed = in_place(cx, stmt.op, current, evaluate(cx, stmt.value))
        give_name(cx, changed, target.attr)
        return objects.set_attribute(cx, owner, target.attr, changed)
    current = evaluate(
        cx, gast.copy_location(gast.Name(target.id, gast.Load(), None, None), target)
    )
    return bind_target(cx, target, in_place(cx, stmt.op, current, evaluate(cx, stmt.value)))


def augmented_item(cx: Context, stmt: gast.AugAssign, base: View, items: list[object]) -> None:
    """`array[items] op= value`."""
    value = evaluate(cx, stmt.value)
    if type(stmt.op) in BINARY:
        return subscripts.augment(cx, base, items, BINARY[type(stmt.op)], value)
    current = subscripts.get(cx, base, items)
    return subscripts.set_items(cx, base, items, operate(cx, stmt.op, current, value))


def in_place(cx: Context, op: gast.AST, current: object, value: object) -> object:
    """`current op= value`: what the target holds afterwards."""
    if is_array(current):
        if type(op) in BINARY:
            subscripts.update(cx, current, BINARY[type(op)], value)
        else:
            subscripts.put(cx, current, operate(cx, op, current, value))
        return current
    if is_list(current):
        return containers.in_place(cx, type(op), current, value)
    if is_dict(current) and isinstance(op, gast.BitOr):
        containers.update(cx, current, value)
        return current
    if is_object(current):
        return objects.in_place(cx, type(op).__name__, current, value)
    return operate(cx, op, current, value)


# --- the rest ------------------------------------------------------------------------------------


def return_statement(cx: Context, stmt: gast.Return) -> None:
    value = None if stmt.value is None else evaluate(cx, stmt.value)
    cx.frame.return_names.add(_return_names(stmt.value))
    cx.frame.locals.update({"%value": value, "%return": True})


def _return_names(node: gast.AST | None) -> tuple[str, ...]:
    """The names of what is returned, where they are names."""
    if isinstance(node, gast.Name):
        return (node.id,)
    if isinstance(node, gast.Tuple) and all(isinstance(e, gast.Name) for e in node.elts):
        return tuple(e.id for e in node.elts)
    return ()


def leave_loop(cx: Context, stmt: gast.AST) -> None:
    cx.frame.locals["%break" if isinstance(stmt, gast.Break) else "%continue"] = True


def assert_statement(cx: Context, stmt: gast.Assert) -> None:
    truth = condition(cx, stmt.test)
    message = "" if stmt.msg is None else _text(cx, stmt.msg)
    cx.check(ar.as_bool(truth), "AssertionError", message)


def _text(cx: Context, node: gast.AST) -> str:
    """A message. What it computes is not part of the program: it is interpreted apart, and shown as
    source where it is not known."""
    found: list[object] = []
    try:
        run_branch(cx, lambda: found.append(evaluate(cx, node)))
    except S2SError:
        return gast.unparse(node).strip()
    known = isinstance(found[0], Text) or not is_dynamic(found[0])
    return str(found[0]) if known else gast.unparse(node).strip()


def raise_statement(cx: Context, stmt: gast.Raise) -> None:
    node, error, message = stmt.exc, "RuntimeError", ""
    if isinstance(node, gast.Call):
        message = " ".join(_text(cx, a) for a in node.args)
        node = node.func
    if node is not None:
        cls = evaluate(cx, node)
        if isinstance(cls, BaseException):
            cls, message = type(cls), str(cls)
        error = getattr(cls, "__name__", error)
        cx.raised[error] = cls
    cx.check(ar.as_bool(False), error, message)


def nested_def(cx: Context, stmt: gast.FunctionDef) -> None:
    decorators = [evaluate(cx, d) for d in stmt.decorator_list]
    value = calls.make_closure(cx, stmt, stmt.name)
    for decorator in reversed(decorators):
        value = calls.call(cx, decorator, [value], {})
    cx.frame.locals[stmt.name] = value


def delete(cx: Context, stmt: gast.Delete) -> None:
    for target in stmt.targets:
        if isinstance(target, gast.Subscript):
            base, index = evaluate(cx, target.value), evaluate(cx, target.slice)
            containers.delete_item(cx, base, index)
            continue
        if not isinstance(target, gast.Name):
            cx.fail(MutationError, "attributes cannot be deleted", "assign None instead")
        evaluate(cx, gast.copy_location(gast.Name(target.id, gast.Load(), None, None), target))
        del cx.frame.locals[target.id]


def import_statement(cx: Context, stmt: gast.AST) -> None:
    for alias in stmt.names:
        if isinstance(stmt, gast.ImportFrom):
            value = import_of(cx, stmt.module, alias.name)
        else:
            whole = import_of(cx, alias.name)
            value = whole if alias.asname else import_of(cx, alias.name.split(".")[0])
        cx.frame.locals[alias.asname or alias.name.split(".")[0]] = value


def expression_statement(cx: Context, stmt: gast.Expr) -> None:
    evaluate(cx, stmt.value)


def nothing(cx: Context, stmt: gast.AST) -> None:
    """`pass`, `nonlocal`, and `global` of names that are only read."""


HANDLERS: dict[type, Callable[[Context, Any], None]] = {
    gast.Assign: assign,
    gast.AnnAssign: annotated,
    gast.AugAssign: augmented,
    gast.Return: return_statement,
    gast.Break: leave_loop,
    gast.Continue: leave_loop,
    gast.Assert: assert_statement,
    gast.Raise: raise_statement,
    gast.FunctionDef: nested_def,
    gast.Import: import_statement,
    gast.ImportFrom: import_statement,
    gast.Expr: expression_statement,
    gast.Pass: nothing,
    gast.Global: nothing,
    gast.Nonlocal: nothing,
    gast.Delete: delete,
}
