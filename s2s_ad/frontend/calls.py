"""Calls: of functions that are followed and inlined, and of those the interpreter knows."""

from __future__ import annotations

import functools
import logging
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gast

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import (
    containers,
    derivatives,
    expressions,
    jitted,
    objects,
    output,
    registry,
    statements,
    text,
)
from s2s_ad.frontend.context import Context, Frame
from s2s_ad.frontend.errors import (
    ArgumentError,
    MissingReturnError,
    RecursiveCallError,
    SourceError,
    UnsupportedCallError,
    UnsupportedSyntaxError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.fence import fence
from s2s_ad.frontend.heap import boxed, is_object, new_dict, plain
from s2s_ad.frontend.known import given
from s2s_ad.frontend.liveness import assigned, captured, rebinds
from s2s_ad.frontend.source import Source, closure_of, source_of, unwrap
from s2s_ad.frontend.values import (
    Bound,
    Box,
    Conflict,
    Method,
    Partial,
    describe,
    is_array,
    is_atom,
    is_dynamic,
    is_number,
)
from s2s_ad.instances import is_instance

#: How deep a recursion may be, and how many calls it may make in all: each becomes code.
DEPTH, COPIES = 64, 3000
#: Builtin functions that ask an instance's class.
SPECIAL = {
    **{abs: "abs", float: "float", int: "int", complex: "complex", round: "round"},
    **{math.floor: "floor", math.ceil: "ceil", math.trunc: "trunc"},
}


@dataclass(frozen=True, eq=False)
class Closure:
    """A nested `def` or a lambda, with the frame it was made in."""

    source: Source
    frame: Frame
    defaults: tuple[Any, ...]
    kw_defaults: Mapping[str, Any]

    @property
    def __name__(self) -> str:
        return self.source.name


def call(cx: Context, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a value."""
    if isinstance(fn, Method):
        return call_method(cx, fn, args, kwargs)
    if isinstance(fn, Closure):
        return call_closure(cx, fn, args, kwargs)
    if isinstance(fn, Bound):
        return call(cx, fn.function, [fn.owner, *args], kwargs)
    if isinstance(fn, Partial):
        return call(cx, fn.function, [*fn.args, *args], {**fn.kwargs, **kwargs})
    if isinstance(fn, functools.partial):
        first = [given(cx, a, "partial", ("partial",)) for a in fn.args]
        named = {k: given(cx, a, k, ("partial",)) for k, a in fn.keywords.items()}
        return call(cx, fn.func, [*first, *args], {**named, **kwargs})
    if getattr(fn, "__s2s_prim__", "") == "stop_gradient":
        return stop_gradient(cx, *args)
    derived = derivatives.try_call(cx, fn, args, kwargs)
    if derived is not NotImplemented:
        return derived
    if fn is super:
        return objects.super_of(cx, args)
    fn = jitted.resolve(fn)
    handler = registry.find(fn)
    if handler is not None and fn in SPECIAL and args and is_object(args[0]):
        return objects.unary(cx, SPECIAL[fn], args[0])
    if handler is not None:
        name = registry.label(fn)
        return registry.invoke(cx, name, handler, args, kwargs, fn)
    if isinstance(fn, type):
        return objects.construct(cx, fn, args, kwargs)
    if isinstance(fn, Box):
        return objects.call_instance(cx, fn, args, kwargs)
    if isinstance(getattr(fn, "__self__", None), logging.Logger):
        return output.log_with(cx, fn, args, dict(kwargs))
    if isinstance(fn, types.MethodType):
        owner = given(cx, fn.__self__, "self", ("self",))
        return call(cx, fn.__func__, [owner, *args], kwargs)
    if jitted.is_generalised(fn):
        cx.fail(
            UnsupportedCallError,
            "a function made by numba.guvectorize is not supported",
            "call its Python function in a loop",
        )
    if jitted.is_elementwise(fn):
        return jitted.apply_elementwise(cx, fn, args, kwargs)
    inner = unwrap(fn)
    if isinstance(inner, types.FunctionType) and not _library(inner):
        return call_function(cx, inner, jitted.fit(cx, fn, args, kwargs), kwargs)
    return other(cx, fn, args, kwargs)


def _library(fn: types.FunctionType) -> bool:
    """Functions of NumPy and SciPy are known or not; they are not followed."""
    return (fn.__module__ or "").split(".")[0] in ("numpy", "scipy", "math")


def other(cx: Context, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A callable that cannot be followed: a method of a known string or dict, or an error."""
    owner = getattr(fn, "__self__", None)
    if isinstance(owner, str) and registry.label(fn) == "format":
        return text.formatted(cx, owner, args, dict(kwargs))
    args = [plain(cx, a) for a in args]
    simple = isinstance(owner, (str, tuple)) and not any(map(is_dynamic, args))
    if simple and registry.label(fn) in STATIC_METHODS:
        return boxed(cx, fn(*args))
    if getattr(fn, "__module__", "") == "math" and args and all(map(is_number, args)):
        try:
            return fn(*args, **kwargs)
        except (ValueError, ArithmeticError, TypeError) as error:
            cx.fail(UnsupportedTypeError, f"math.{registry.label(fn)}: {error}")
    if not callable(fn):
        cx.fail(UnsupportedCallError, f"{describe(fn)} cannot be called")
    return registry.unknown(cx, registry.label(fn), registry.function_names())


STATIC_METHODS = "lower upper startswith endswith strip split index count join".split()


def stop_gradient(cx: Context, value: Any) -> Any:
    if not (is_array(value) or is_atom(value)):
        return value
    dtype, weak = ar.dtype_of(cx, value)
    return ar.elementwise(cx, "stop_gradient", [value], dtype, weak=weak)


def call_method(cx: Context, fn: Method, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if isinstance(fn.owner, Box):
        method = containers.METHODS[fn.owner.cls, fn.name]
        return registry.apply(cx, fn.name, method, [fn.owner, *args], kwargs)
    handler = registry.METHODS.get(fn.name)
    if handler is None:
        return registry.unknown(cx, fn.name, sorted(registry.METHODS))
    return registry.invoke(cx, fn.name, handler, [fn.owner, *args], kwargs)


# --- following -----------------------------------------------------------------------------------


def call_function(
    cx: Context, fn: types.FunctionType, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Follow a Python function: its body is interpreted in place of the call."""
    try:
        source = source_of(fn)
    except SourceError as error:
        instead = jitted.replacement(cx, fn, args, kwargs)
        if instead is not None and instead is not fn:
            return call_function(cx, instead, args, kwargs)
        cx.fail(SourceError, error.message, error.advice)
    frame = Frame(source, {}, fn.__globals__, dict(closure_of(fn)))
    fence(source, tuple(cx.chain))
    positional = [given(cx, d, "default", ("default",)) for d in fn.__defaults__ or ()]
    named = {k: given(cx, d, k, ("default",)) for k, d in (fn.__kwdefaults__ or {}).items()}
    frame.locals = bind(cx, source, positional, named, args, kwargs)
    return run(cx, frame)


def call_closure(cx: Context, fn: Closure, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a nested function. What it declares `nonlocal` goes in with the call and comes back."""
    names = bind(cx, fn.source, fn.defaults, fn.kw_defaults, args, kwargs)
    outer, shared = fn.frame, rebinds(fn.source.node)
    if shared and (outer is not cx.frame or not shared <= outer.assigned):
        cx.fail(
            UnsupportedSyntaxError,
            f"{fn.source.name!r} rebinds the nonlocal {sorted(shared)[0]!r} and is called from "
            "another function than the one that holds it",
            "return the new value, or write into an array",
        )
    names.update((n, outer.locals[n]) for n in shared if n in outer.locals)
    frame = Frame(fn.source, names, outer.globals, outer.closure, outer)
    value = run(cx, frame)
    for name in shared:
        outer.locals.pop(name, None)
    outer.locals.update((n, frame.locals[n]) for n in shared if n in frame.locals)
    return value


def bind(
    cx: Context,
    source: Source,
    defaults: Sequence[Any],
    kw_defaults: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    """The parameters' values, as Python binds them. ArgumentError where they do not fit."""
    spec = source.node.args
    positional = [a.id for a in (*spec.posonlyargs, *spec.args)]
    keyword = [a.id for a in spec.kwonlyargs]
    names: dict[str, Any] = dict(zip(positional[len(positional) - len(defaults) :], defaults))
    names.update(kw_defaults)
    names.update(zip(positional, args))
    extra, rest = list(args[len(positional) :]), {}
    for name, value in kwargs.items():
        if name in positional[: len(args)]:
            cx.fail(ArgumentError, f"{source.name} got two values for {name!r}")
        if name in positional or name in keyword:
            names[name] = value
        else:
            rest[name] = value
    if spec.vararg is not None:
        names[spec.vararg.id], extra = tuple(extra), []
    if spec.kwarg is not None:
        names[spec.kwarg.id], rest = new_dict(cx, rest, spec.kwarg.id), {}
    missing = [n for n in (*positional, *keyword) if n not in names]
    if missing:
        cx.fail(ArgumentError, f"{source.name} misses {', '.join(map(repr, missing))}")
    if extra or rest:
        what = f"an argument {next(iter(rest))!r}" if rest else f"{len(args)} arguments"
        cx.fail(ArgumentError, f"{source.name} does not take {what}")
    return names


def run(cx: Context, frame: Frame) -> Any:
    """Interpret a function's body in `frame`; what it returns."""
    source, caller = frame.source, cx.frame
    _bounded(cx, source)
    loc = cx.loc
    cx.active.append(source.node)
    if caller is not None:
        cx.chain.append(loc)
    frame.assigned = assigned(source.node) | frozenset(frame.locals)
    frame.captured = captured(source.node) | rebinds(source.node)
    frame.locals["%return"] = False
    try:
        cx.frame = frame
        statements.block(cx, source.body, frozenset())
        return result(cx)
    finally:
        cx.frame = caller
        cx.active.pop()
        if caller is not None:
            cx.chain.pop()
        cx.builder.loc = loc


def _bounded(cx: Context, source: Source) -> None:
    """A recursion is unrolled: RecursiveCallError where that does not end, or not soon enough."""
    depth = cx.active.count(source.node)
    cx.copies += depth > 0
    if depth == DEPTH:
        cx.fail(
            RecursiveCallError,
            f"{source.name!r} calls itself more than {DEPTH} deep, or without an end that is known "
            "when compiling",
            "write the recursion as a loop, or let a static argument bound its depth (static=)",
        )
    if cx.copies > COPIES:
        cx.fail(
            RecursiveCallError,
            f"the recursion of {source.name!r} makes more than {COPIES} calls, each of which "
            "becomes code",
            "make it shallower, or write it as a loop",
        )


def result(cx: Context) -> Any:
    """What the function returns, once its body has been interpreted."""
    names = cx.frame.locals
    value, returned = names.get("%value"), names.get("%return", False)
    if isinstance(value, Conflict) or (not isinstance(returned, bool) and value is not None):
        message = f"{cx.frame.source.name!r} returns a value on some paths only"
        if isinstance(value, Conflict):
            message = value.message
        cx.fail(
            MissingReturnError,
            message,
            "return a value of one kind on every path",
            node=cx.frame.source.node,
        )
    return value


def resolve(cx: Context, fn: Any) -> tuple[types.FunctionType, list[Any], dict[str, Any]]:
    """The function that a callable calls, and the arguments that it brings along."""
    if isinstance(fn, functools.partial):
        inner, first, named = resolve(cx, fn.func)
        more = [given(cx, a, "partial", ("partial",)) for a in fn.args]
        by_name = {k: given(cx, a, k, ("partial",)) for k, a in fn.keywords.items()}
        return inner, [*first, *more], {**named, **by_name}
    if isinstance(fn, types.MethodType):
        inner, first, named = resolve(cx, fn.__func__)
        return inner, [given(cx, fn.__self__, "self", ("self",)), *first], named
    fn = jitted.traceable(fn)
    if isinstance(fn, (types.MethodType, functools.partial)):
        return resolve(cx, fn)
    if not isinstance(fn, types.FunctionType) and is_instance(fn) and callable(fn):
        return resolve(cx, fn.__call__)
    if not isinstance(fn, types.FunctionType):
        name = getattr(fn, "__name__", type(fn).__name__)
        raise SourceError(f"{name!r} is not a Python function, so there is no source to read")
    return fn, [], {}


def make_closure(cx: Context, node: gast.AST, name: str) -> Closure:
    """The value of a nested `def` or a lambda."""
    source = Source(name, node, cx.frame.source.file, cx.frame.source.lines)
    spec = node.args
    defaults = tuple(expressions.evaluate(cx, d) for d in spec.defaults)
    kw = {
        a.id: expressions.evaluate(cx, d)
        for a, d in zip(spec.kwonlyargs, spec.kw_defaults)
        if d is not None
    }
    return Closure(source, cx.frame, defaults, kw)
