"""`trace`: a Python function and the types of its arguments become a `Func`."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import (
    builtin,  # noqa: F401  (builtin to shaping fill the tables of what can be called)
    calls,
    composite,  # noqa: F401
    elementary,  # noqa: F401
    inplace,  # noqa: F401
    jitted,
    linear,  # noqa: F401
    output,  # noqa: F401
    shaping,  # noqa: F401
)
from s2s_ad.frontend.aliasing import IdentityNeeded, bring_up_to_date
from s2s_ad.frontend.context import Capture, Context, Frame
from s2s_ad.frontend.errors import (
    AliasError,
    ArgumentError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.fence import fence
from s2s_ad.frontend.known import known
from s2s_ad.frontend.memory import read
from s2s_ad.frontend.source import Source, closure_of, source_of
from s2s_ad.frontend.values import (
    Cell,
    Record,
    Static,
    View,
    children,
    describe,
    is_array,
    is_dataclass_instance,
    is_namedtuple,
    is_scalar,
    record_of,
)
from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import Atom, Func, Var
from s2s_ad.ir.types import UNKNOWN, Dim, Type

#: A type (a leaf that is known when running), a Static, or a container of specs.
Spec = Any


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


@dataclass(frozen=True)
class Traced:
    """What `trace` gives.

    `func` is the program; `params` name its parameters by their paths (`x`, `p.mu`, `q['a']`,
    `pair[0]`), captured arrays last; `out_tree(results)` rebuilds what the function returns;
    `captures` are the arrays it reads from around it; `guards` are (get, value) of what else it
    reads from there and was compiled in; `undecided` are the parameters that are written on some
    path through a name that may or may not denote them (buffers that are swapped): their final
    content is not among the results."""

    func: Func
    params: tuple[str, ...]
    out_tree: OutTree
    captures: tuple[Capture, ...]
    guards: tuple[tuple[Callable[[], Any], Any], ...]
    undecided: tuple[str, ...] = ()


def trace(fn: Any, args: Sequence[Spec], kwargs: Mapping[str, Spec] | None = None) -> Traced:
    """The typed program of `fn` for arguments of these types.

    `args` and `kwargs` hold a `Type` for what is known when running (extents: 1, an int, a name, or
    `?` for any), a `Static` for what is known now, or tuples, lists, dicts, named tuples and
    dataclass instances of these. Raises a subclass of S2SError, at the user's line, for whatever
    is outside the language.

        >>> traced = trace(lambda x: x * x, [Type("f64")])
        >>> print(show(traced.func))
    """
    function = jitted.traceable(fn.__func__ if isinstance(fn, types.MethodType) else fn)
    source = source_of(function)
    fence(source)
    try:
        return _traced(fn, function, source, args, dict(kwargs or {}), False)
    except IdentityNeeded:
        return _traced(fn, function, source, args, dict(kwargs or {}), True)


def _traced(
    fn: Any,
    function: types.FunctionType,
    source: Source,
    args: Sequence[Spec],
    kwargs: dict[str, Spec],
    exact: bool,
) -> Traced:
    """The program, with or without identities of arrays (see aliasing.py)."""
    cx = Context(exact)
    frame = Frame(source, {}, function.__globals__, dict(closure_of(function)))
    cx.builder = Builder(source.loc(source.node))
    cx.frame = frame
    cx.symbols.update(_given_names((args, kwargs)))
    inputs = Inputs(cx)
    own = [_owner(cx, fn)] if isinstance(fn, types.MethodType) else []
    frame.locals = _arguments(cx, source, function, args, kwargs, inputs, own)
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

    def value(self, spec: Spec, path: str) -> Any:
        """The value of an argument."""
        if isinstance(spec, Static):
            return known(self.cx, spec.value, None, path)
        if isinstance(spec, Type):
            return self.leaf(spec, path)
        if is_namedtuple(spec) or is_dataclass_instance(spec):
            record = record_of(spec)
            items = [self.value(s, f"{path}.{n}") for n, s in zip(record.names, record.items)]
            return dataclasses.replace(record, items=tuple(items))
        if type(spec) in (tuple, list):
            return type(spec)(self.value(s, f"{path}[{k}]") for k, s in enumerate(spec))
        if type(spec) is dict:
            return {k: self.value(s, f"{path}[{k!r}]") for k, s in spec.items()}
        return self.cx.fail(
            ArgumentError,
            f"the argument {path!r} is described by {describe(spec)}",
            "give an ir Type, a Static, or a container of these",
        )

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
    if is_dataclass_instance(spec) and not isinstance(spec, Static):
        return _given_names(record_of(spec).items)
    if isinstance(spec, Mapping):
        spec = list(spec.values())
    if isinstance(spec, (tuple, list)):
        return set().union(*map(_given_names, spec))
    return set()


def _arguments(
    cx: Context,
    source: Source,
    fn: types.FunctionType,
    args: Sequence[Spec],
    kwargs: dict[str, Spec],
    inputs: Inputs,
    own: Sequence[Any],
) -> dict[str, Any]:
    """The function's parameters, bound; what is not given takes its default. `own` comes first: the
    object that a method belongs to."""
    defaults = [known(cx, d, None, "default") for d in fn.__defaults__ or ()]
    named = {k: known(cx, d, None, k) for k, d in (fn.__kwdefaults__ or {}).items()}
    paths = jitted.paths_of(fn, len(own) + len(args))[len(own) :]
    positional = [inputs.value(s, p) for s, p in zip(args, paths)]
    keyword = {k: inputs.value(s, k) for k, s in kwargs.items()}
    return calls.bind(cx, source, defaults, named, [*own, *positional], keyword)


def _owner(cx: Context, method: types.MethodType) -> Any:
    return known(cx, method.__self__, lambda: method.__self__, "self", ("self", id(method)))


# --- results -------------------------------------------------------------------------------------


def _finish(cx: Context, source: Source, frame: Frame, inputs: Inputs, value: Any) -> Traced:
    cx.builder.loc = source.loc(source.node)
    results: list[Atom] = []
    tree = _flatten(cx, value, results)
    names = _result_names(frame, tree, len(results))
    out_tree = OutTree(tree, len(results))
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
    return Traced(func, tuple(paths), out_tree, captures, guards, tuple(undecided))


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


def _flatten(cx: Context, value: Any, results: list[Atom]) -> Any:
    """Append the numbers and arrays of a returned value; its structure, with `Leaf`s for them."""
    if is_scalar(value) or is_array(value):
        atom = read(cx, value) if is_array(value) else value
        results.append(ar.convert(cx, atom, ar.dtype_of(cx, atom)[0]))
        return Leaf(len(results) - 1)
    parts = children(value)
    if parts is not None:
        return parts[0]([_flatten(cx, v, results) for v in parts[1]])
    if value is None or isinstance(value, str):
        return value
    return cx.fail(
        UnsupportedTypeError,
        f"the function returns {describe(value)}",
        "return numbers, arrays, and tuples, lists, dicts or dataclasses of these",
    )


def _rebuild(shape: Any, results: Sequence[Any]) -> Any:
    if isinstance(shape, Leaf):
        return results[shape.index]
    if isinstance(shape, Record):
        fields = [_rebuild(item, results) for item in shape.items]
        return shape.cls(**dict(zip(shape.names, fields)))
    parts = children(shape)
    return shape if parts is None else parts[0]([_rebuild(item, results) for item in parts[1]])


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
