"""`trace`: a Python function and the types of its arguments become a `Func`."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from s2s_ad.errors import S2SError
from s2s_ad.frontend import (
    builtin,  # noqa: F401  (builtin to ufuncs fill the tables of what can be called)
    calls,
    composite,  # noqa: F401
    elementary,  # noqa: F401
    inplace,  # noqa: F401
    jitted,
    linear,  # noqa: F401
    output,  # noqa: F401
    shaping,  # noqa: F401
    ufuncs,  # noqa: F401
)
from s2s_ad.frontend.aliasing import IdentityNeeded, bring_up_to_date
from s2s_ad.frontend.context import Capture, Context, Frame
from s2s_ad.frontend.errors import AliasError, ArgumentError
from s2s_ad.frontend.fence import fence
from s2s_ad.frontend.heap import ITEMS, contents
from s2s_ad.frontend.known import given
from s2s_ad.frontend.results import Leaf, OutTree, flatten
from s2s_ad.frontend.source import Source, closure_of, source_of
from s2s_ad.frontend.values import (
    UNDEFINED,
    Box,
    Cell,
    Record,
    Static,
    View,
    children,
    describe,
    is_array,
    is_namedtuple,
    same,
)
from s2s_ad.instances import attributes, is_instance
from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import Atom, Func, Var
from s2s_ad.ir.types import UNKNOWN, Dim, Type

#: A type (a leaf that is known when running), a Static, or a container of specs.
Spec = Any


@dataclass(frozen=True)
class Update:
    """A field of an argument's object (or the items of a list or dict) that the function assigns.
    `tree` is what it holds at the end, or None where that cannot be written back: `reason`. `route`
    leads to the object: the argument's position or name, then keys; None for an object that is not
    part of an argument."""

    path: str
    route: tuple | None
    field: str
    tree: Any
    reason: str = ""


@dataclass(frozen=True)
class Traced:
    """What `trace` gives.

    `func` is the program; `params` name its parameters by their paths (`x`, `p.mu`, `q['a']`,
    `pair[0]`), captured arrays last; `out_tree(results)` rebuilds what the function returns;
    `captures` are the arrays it reads from around it; `guards` are (get, value) of what else it
    reads from there and was compiled in; `undecided` are the parameters that are written on some
    path through a name that may or may not denote them (buffers that are swapped): their final
    content is not among the results; `updates` are the fields of the caller's objects that are
    assigned, their values numbered after those of `out_tree`."""

    func: Func
    params: tuple[str, ...]
    out_tree: OutTree
    captures: tuple[Capture, ...]
    guards: tuple[tuple[Callable[[], Any], Any], ...]
    undecided: tuple[str, ...] = ()
    updates: tuple[Update, ...] = ()
    objects: tuple[Any, ...] = ()


def trace(fn: Any, args: Sequence[Spec], kwargs: Mapping[str, Spec] | None = None) -> Traced:
    """The typed program of `fn` for arguments of these types.

    `args` and `kwargs` hold a `Type` for what is known when running (extents: 1, an int, a name, or
    `?` for any), a `Static` for what is known now, or tuples, lists, dicts, named tuples and
    dataclass instances of these. Raises a subclass of S2SError, at the user's line, for whatever
    is outside the language.

        >>> traced = trace(lambda x: x * x, [Type("f64")])
        >>> print(show(traced.func))
    """
    try:
        return _traced(fn, args, kwargs or {}, False)
    except IdentityNeeded:
        return _traced(fn, args, kwargs or {}, True)


def _traced(fn: Any, args: Sequence[Spec], kwargs: Mapping[str, Spec], exact: bool) -> Traced:
    """The program, with or without identities of arrays (see aliasing.py)."""
    cx = Context(exact)
    function, first, named = calls.resolve(cx, fn)
    source = source_of(function)
    fence(source)
    frame = Frame(source, {}, function.__globals__, dict(closure_of(function)))
    cx.builder = Builder(source.loc(source.node))
    cx.frame = frame
    cx.symbols.update(_given_names((args, kwargs)))
    inputs = Inputs(cx)
    frame.locals = _arguments(cx, source, function, (first, named), args, kwargs, inputs)
    cx.frame = None
    with _deep_stack():
        value = calls.run(cx, frame)
    cx.frame = frame
    return _finish(cx, source, frame, inputs, value)


@contextmanager
def _deep_stack() -> Iterator[None]:
    """Room for a recursion of the user's: each of its calls takes dozens of the interpreter's."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


# --- arguments -----------------------------------------------------------------------------------


class Inputs:
    """The parameters of the program, as they are made from specs."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self.vars: list[Var] = []
        self.paths: list[str] = []
        self.views: list[View | None] = []
        self.boxes: list[tuple[Box, tuple]] = []

    def value(self, spec: Spec, path: str, route: tuple = ()) -> Any:
        """The value of an argument. `route` leads to the caller's object: the argument, then keys
        and attributes."""
        if isinstance(spec, Static):
            return given(self.cx, spec.value, path, ("static",))
        if isinstance(spec, Type):
            return self.leaf(spec, path)
        if is_namedtuple(spec):
            items = [self.value(s, f"{path}.{n}", (*route, n)) for n, s in zip(spec._fields, spec)]
            return Record(type(spec), spec._fields, tuple(items))
        if type(spec) is tuple:
            return tuple(self.value(s, f"{path}[{k}]", (*route, k)) for k, s in enumerate(spec))
        if type(spec) in (list, dict) or is_instance(spec):
            return self.object(spec, path, route)
        return self.cx.fail(
            ArgumentError,
            f"the argument {path!r} is described by {describe(spec)}",
            "give an ir Type, a Static, or a container of these",
        )

    def object(self, spec: Any, path: str, route: tuple) -> Box:
        """An argument with an identity."""
        name = "".join(c if c.isalnum() else "_" for c in path).strip("_")
        box = Box(type(spec), name, 0, {}, path=path)
        self.boxes.append((box, route))
        if type(spec) is list:
            parts = [self.value(s, f"{path}[{k}]", (*route, k)) for k, s in enumerate(spec)]
            box.fields[ITEMS] = tuple(parts)
        elif type(spec) is dict:
            box.fields[ITEMS] = {
                k: self.value(s, f"{path}[{k!r}]", (*route, k)) for k, s in spec.items()
            }
        else:
            for n, s in attributes(spec).items():
                box.fields[n] = self.value(s, f"{path}.{n}", (*route, n))
        return box

    def leaf(self, spec: Type, path: str) -> Any:
        hint = "".join(c if c.isalnum() else "_" for c in path).strip("_")
        dims: list[Dim] = [
            self.cx.symbol(f"{hint}{axis}") if d == UNKNOWN else d
            for axis, d in enumerate(spec.shape)
        ]
        var = Var(hint, Type(spec.dtype, tuple(dims)))
        self.vars.append(var)
        self.paths.append(path)
        for axis, dim in enumerate(dims):
            self.cx.given.setdefault(dim, (var, axis))
        value = self.cx.fresh(var)
        self.views.append(value if is_array(value) else None)
        if not dims and spec.dtype in ("f64", "i64", "bool", "c128"):
            self.cx.weak.add(var)  # what callers pass are Python numbers
        return value


def _given_names(spec: Any) -> set[str]:
    """The extents that the caller has named."""
    if isinstance(spec, Type):
        return {d for d in spec.shape if isinstance(d, str) and d != UNKNOWN}
    if is_instance(spec):
        spec = attributes(spec)
    if isinstance(spec, Mapping):
        spec = list(spec.values())
    if isinstance(spec, (tuple, list)):
        return set().union(*map(_given_names, spec))
    return set()


def _arguments(
    cx: Context,
    source: Source,
    fn: types.FunctionType,
    brought: tuple[list[Any], dict[str, Any]],
    args: Sequence[Spec],
    kwargs: Mapping[str, Spec],
    inputs: Inputs,
) -> dict[str, Any]:
    """The function's parameters, bound; what is not given takes its default. `brought` are the
    arguments that the callable brings along: the object that a method belongs to, a partial's."""
    defaults = [given(cx, d, "default", ("default",)) for d in fn.__defaults__ or ()]
    named = {k: given(cx, d, k, ("default",)) for k, d in (fn.__kwdefaults__ or {}).items()}
    first, by_name = brought
    paths = jitted.paths_of(fn, len(first) + len(args))[len(first) :]
    positional = [inputs.value(s, p, (k,)) for k, (s, p) in enumerate(zip(args, paths))]
    keyword = {k: inputs.value(s, k, (k,)) for k, s in kwargs.items()}
    return calls.bind(cx, source, defaults, named, [*first, *positional], {**by_name, **keyword})


# --- results -------------------------------------------------------------------------------------


def _finish(cx: Context, source: Source, frame: Frame, inputs: Inputs, value: Any) -> Traced:
    cx.builder.loc = source.loc(source.node)
    results: list[Atom] = []
    tree = flatten(cx, value, results)
    names = _result_names(frame, tree, len(results))
    out_tree = OutTree(tree, len(results))
    updates = _updates(cx, inputs, results)
    names += [f"{u.path.split('.')[0]}_{u.field}" for u in updates for _ in range(_size(u.tree))]
    captured = list(cx.captured.values())
    views = [*inputs.views, *(view for _, view, _ in captured)]
    paths = [*inputs.paths, *(capture.name for capture, _, _ in captured)]
    mutated, undecided = [], []
    for position, view in enumerate(views):
        if view is None:
            continue
        if not _settled(cx, view.cell, value):
            undecided.append(paths[position])
        elif cx.version(view.cell) is not view.cell.initial:
            mutated.append((position, len(results)))
            results.append(cx.version(view.cell))
            names.append(paths[position])
    params = (*inputs.vars, *(view.cell.initial for _, view, _ in captured))
    name = source.name if source.name.isidentifier() else "function"
    func = Func(name, cx.builder.region(params, results), tuple(names), tuple(mutated))
    captures = tuple(capture for capture, _, _ in captured)
    guards = tuple(cx.guards.values())
    objects = tuple(box.live for box in cx.objects.values())
    return Traced(
        func, tuple(paths), out_tree, captures, guards, tuple(undecided), updates, objects
    )


def _updates(cx: Context, inputs: Inputs, results: list[Atom]) -> tuple[Update, ...]:
    """What the function leaves in objects that are not its own."""
    found = []
    routes: list[tuple[Box, tuple | None]] = [
        *inputs.boxes,
        *((b, None) for b in cx.objects.values()),
    ]
    for box, route in routes:
        fields = cx.state.heap.get(box, {})
        if box in cx.state.outdated:
            reason = "whether it is written to depends on the path taken"
            found.append(Update(box.path, None, "", None, reason))
            continue
        for name, value in fields.items():
            if same(value, box.fields.get(name, UNDEFINED)):
                continue
            if route is None:
                found.append(Update(box.path, None, name, None, "it is not an argument"))
                continue
            found.append(_update(cx, box, route, name, value, results))
    return tuple(found)


def _update(
    cx: Context, box: Box, route: tuple, name: str, value: Any, results: list[Atom]
) -> Update:
    own = len(results)
    try:
        if _holds_given(cx, value):
            return Update(box.path, None, name, None, "it holds another object of the caller's")
        return Update(box.path, route, name, flatten(cx, value, results))
    except S2SError as error:
        del results[own:]
        return Update(box.path, None, name, None, error.message)


def _holds_given(cx: Context, value: Any) -> bool:
    """True where an object of the caller's is in a value: it would have to stay the same one."""
    if isinstance(value, Box):
        inner = contents(cx.state, value).values()
        return value.serial == 0 or any(_holds_given(cx, v) for v in inner)
    parts = children(value)
    return parts is not None and any(_holds_given(cx, v) for v in parts[1])


def _size(tree: Any) -> int:
    """The number of leaves."""
    if isinstance(tree, Leaf):
        return 1
    parts = children(tree)
    return 0 if parts is None else sum(map(_size, parts[1]))


def _settled(cx: Context, cell: Cell, value: Any) -> bool:
    """Bring the final content of a parameter up to date; False where it cannot be told, which is an
    error for a function that returns nothing."""
    try:
        bring_up_to_date(cx, cell)
    except AliasError:
        if value is None:
            raise
        return False
    return True


def _result_names(frame: Frame, tree: Any, count: int) -> list[str]:
    """The user's names of the results where every return has the same; else value, value_0, …"""
    if len(frame.return_names) == 1:
        (names,) = frame.return_names
        single = count == 1 and isinstance(tree, Leaf)
        flat = type(tree) is tuple and all(isinstance(t, Leaf) for t in tree)
        if len(names) == count and (single or flat):
            return list(names)
    if count == 1:
        return ["value"]
    return [f"value_{k}" for k in range(count)]


__all__ = ["Capture", "OutTree", "Static", "Traced", "trace"]
