"""`with` of contexts that change nothing that a compiled program does, and `try`.

A compiled program raises what it raises by itself: `raise`, `assert`, and the checks of shapes.
Division by zero gives inf, as in NumPy. So a handler can be exact where it only gives such an error
another type, or where what it would catch cannot happen; any other is refused.
"""

from __future__ import annotations

import builtins
import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gast
import numpy as np

from s2s_ad.errors import Loc
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import UnsupportedCallError, UnsupportedSyntaxError
from s2s_ad.frontend.flow import Branch, guarded, leaving, run_branch
from s2s_ad.frontend.liveness import Names, may_leave, reads
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.values import describe
from s2s_ad.ir.core import Eqn, Lit, Region, walk
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import split_spec

Block = Callable[[Context, Sequence[gast.AST], Names, Names], None]


# --- with ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NullContext:
    """A context that does nothing here; `as` gives `value`."""

    value: Any = None


@handles(contextlib.nullcontext)
def nullcontext(cx: Context, enter_result: Any = None) -> NullContext:
    return NullContext(enter_result)


@handles(np.errstate)
def errstate(cx: Context, **states: Any) -> NullContext:
    for name, state in states.items():
        if state not in ("ignore", "warn"):
            cx.fail(
                UnsupportedCallError,
                f"np.errstate({name}={state!r}): compiled code neither raises nor calls here",
                "use 'ignore' or 'warn', and test for the values with np.isfinite",
            )
    return NullContext()


@handles(warnings.catch_warnings)
def catch_warnings(cx: Context, *, record: Any = False, **options: Any) -> NullContext:
    if record is not False:
        cx.fail(UnsupportedCallError, "recording warnings is not supported")
    return NullContext()


@handles(warnings.simplefilter, warnings.filterwarnings)
def warning_filter(cx: Context, *args: Any, **options: Any) -> None:
    """Compiled arithmetic does not warn: there is nothing to filter."""


def enter_context(cx: Context, value: Any) -> Any:
    """What `with value as name` binds."""
    if not isinstance(value, NullContext):
        cx.fail(
            UnsupportedSyntaxError,
            f"a with block of {describe(value)} is not supported",
            "only contexts without an effect on the numbers are (contextlib.nullcontext, "
            "np.errstate, warnings.catch_warnings): move it around the call of this function",
        )
    return value.value


# --- try -----------------------------------------------------------------------------------------

#: Python's float operations that raise where compiled ones give inf or nan.
_TOTAL = frozenset("neg abs sign add sub mul maximum minimum erf erfc arctan tanh arcsinh".split())
_DIVISIONS = frozenset("div floordiv mod pow".split())
_DOMAINS = frozenset(
    "sqrt exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos sinh cosh arccosh arctanh "
    "pow gamma lgamma".split()
)


def try_statement(cx: Context, block: Block, stmt: gast.Try, after: Names, exits: Names) -> None:
    """`try`, up to where the statements after it go on. `finally` comes after whatever leaves."""
    later = after | reads(stmt)
    if stmt.handlers:
        guarded_body(cx, block, stmt, later, exits | later)
    else:
        block(cx, stmt.body, later, exits | later)
    if not stmt.finalbody or cx.state.dead:
        return
    if may_leave(stmt.finalbody):
        cx.fail(
            UnsupportedSyntaxError, "leaving a finally block is not supported", "leave after it"
        )
    names = cx.frame.locals
    flags = {k: v for k, v in names.items() if k.startswith("%")}
    names.update(dict.fromkeys(("%return", "%break", "%continue"), False))
    block(cx, stmt.finalbody, after, exits)
    cx.frame.locals.update(flags)


def guarded_body(cx: Context, block: Block, stmt: gast.Try, after: Names, exits: Names) -> None:
    """The body of a try with its handlers, and `else`."""
    body = run_branch(cx, lambda: block(cx, stmt.body, after, exits))
    handlers = [Handler(cx, h) for h in stmt.handlers]
    eqns = body.builder.eqns
    for handler in handlers:
        handler.refuse_unseen(cx, eqns)
    raised = [e for e in _asserts(eqns) if _catching(cx, handlers, e)]
    last = eqns[-1] if eqns else None
    always = body.state.dead and raised == [last] and isinstance(last.ins[0], Lit)
    if always:  # what is caught is the last thing that happens, on the only path
        body.builder.eqns.pop()
        body.state.dead = False
        adopt(cx, body)
        handler = _catching(cx, handlers, last)
        handler.bind(cx, last)
        block(cx, handler.node.body, after, exits)
        return
    renamed = {e: _translated(cx, _catching(cx, handlers, e), e) for e in raised}
    body.builder.eqns[:] = _replaced(eqns, renamed)
    adopt(cx, body)
    if stmt.orelse and not cx.state.dead:
        guarded(cx, leaving(cx), lambda: block(cx, stmt.orelse, after, exits), after | exits)


def adopt(cx: Context, branch: Branch) -> None:
    """Go on from the end of a branch that is always taken."""
    cx.builder.eqns.extend(branch.builder.eqns)
    cx.state, cx.frame.locals = branch.state, branch.locals


def _asserts(eqns: Sequence[Eqn]) -> Iterator[Eqn]:
    return (e for e in walk(Region((), tuple(eqns), ())) if e.prim == "assert")


class Handler:
    """An `except`: the classes that it catches, as they are known now."""

    def __init__(self, cx: Context, node: gast.AST) -> None:
        from s2s_ad.frontend.expressions import evaluate

        self.node = node
        found = BaseException if node.type is None else evaluate(cx, node.type)
        self.classes = found if isinstance(found, tuple) else (found,)
        if not all(isinstance(c, type) and issubclass(c, BaseException) for c in self.classes):
            cx.fail(UnsupportedSyntaxError, "except takes exception classes", node=node)

    def catches(self, cls: type) -> bool:
        return issubclass(cls, self.classes)

    def bind(self, cx: Context, failed: Eqn) -> None:
        """`except E as name`: the exception, with the message that is known of it."""
        if self.node.name is not None:
            error = error_class(cx, failed)
            name = getattr(self.node.name, "id", self.node.name)
            cx.frame.locals[name] = error(failed.params["message"])

    def refuse_unseen(self, cx: Context, eqns: Sequence[Eqn]) -> None:
        """Errors that Python would raise and catch here, and compiled code does not raise."""
        for eqn in walk(Region((), tuple(eqns), ())):
            for cls in unseen(cx, eqn):
                if self.catches(cls):
                    line = f" (line {eqn.loc.line})" if eqn.loc else ""
                    cx.fail(
                        UnsupportedSyntaxError,
                        f"a handler for the {cls.__name__} that{line} may raise is not supported: "
                        "compiled arithmetic goes on with inf or nan",
                        "test for the condition with `if` instead",
                        node=self.node,
                    )


def error_class(cx: Context, failed: Eqn) -> type[BaseException]:
    """The class of what a check raises."""
    name = failed.params["error"]
    return cx.raised.get(name) or getattr(builtins, name, ValueError)


def _catching(cx: Context, handlers: Sequence[Handler], eqn: Eqn) -> Handler | None:
    cls = error_class(cx, eqn)
    return next((h for h in handlers if h.catches(cls)), None)


def unseen(cx: Context, eqn: Eqn) -> Iterator[type]:
    """The errors that the user's Python may raise at an equation, and compiled code does not."""
    if eqn.prim in ("load", "store", "accum") and set(split_spec(eqn.params["spec"])) & {"i", "a"}:
        yield IndexError
    if PRIMS[eqn.prim].kind == "contract" and eqn.prim != "dot":
        yield np.linalg.LinAlgError
    if len(eqn.outs) != 1 or eqn.out.type.is_array or eqn.out not in cx.weak:
        return
    if eqn.prim in _DIVISIONS and not (isinstance(eqn.ins[1], Lit) and eqn.ins[1].value):
        yield ZeroDivisionError
    if eqn.prim in _DOMAINS:
        yield from (ValueError, OverflowError)
    if eqn.prim == "convert" and eqn.ins[0].type.is_float and not eqn.out.type.is_float:
        yield from (ValueError, OverflowError)


def _translated(cx: Context, handler: Handler, failed: Eqn) -> Eqn:
    """The check `failed`, raising what the handler raises instead."""
    body = [s for s in handler.node.body if not isinstance(s, gast.Pass)]
    if len(body) != 1 or not isinstance(body[0], gast.Raise):
        _refuse_handling(cx, handler, failed.loc)
    if body[0].exc is None:
        return failed

    def run() -> None:
        from s2s_ad.frontend.statements import raise_statement

        handler.bind(cx, failed)
        with cx.at(body[0]):
            raise_statement(cx, body[0])

    new = run_branch(cx, run).builder.eqns
    if len(new) != 1:
        _refuse_handling(cx, handler, failed.loc)
    return failed.with_(params=new[0].params)


def _refuse_handling(cx: Context, handler: Handler, loc: Loc | None) -> None:
    where = f" in line {loc.line}" if loc else ""
    cx.fail(
        UnsupportedSyntaxError,
        f"going on after the error that is raised{where} is not supported",
        "an except block may raise another error; to go on, test with `if` and do not raise",
        node=handler.node,
    )


def _replaced(eqns: Sequence[Eqn], new: dict[Eqn, Eqn]) -> list[Eqn]:
    """`eqns`, those in their regions too, with some replaced."""
    if not new:
        return list(eqns)
    out = []
    for eqn in eqns:
        regions = tuple(
            Region(r.params, tuple(_replaced(r.eqns, new)), r.results) for r in eqn.regions
        )
        out.append(new.get(eqn) or (eqn.with_(regions=regions) if regions else eqn))
    return out
