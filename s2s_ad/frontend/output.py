"""What a program shows: print, logging and warnings. Each becomes a `perform` equation, which runs
once, in its place in the forward sweep."""

from __future__ import annotations

import builtins
import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from s2s_ad.frontend import text
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import StaticValueError, UnsupportedCallError, UnsupportedTypeError
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.text import Code
from s2s_ad.frontend.values import describe, is_dynamic

LEVELS = ("debug", "info", "warning", "error", "critical")


def perform(
    cx: Context, function: str, args: Sequence[Any], named: dict[str, Any], plain: str = ""
) -> None:
    """Emit `function(*args, **named)`; `plain` are more arguments, as text."""
    code = Code(cx)
    parts = [code.of(text.shown(cx, a)) for a in args]
    parts += [f"{k}={code.of(v)}" for k, v in named.items()] + ([plain] if plain else [])
    params = {"code": f"{function}({', '.join(parts)})"}
    cx.builder.equation("perform", code.operands, params)


@handles(builtins.print, boxes=True)
def print_(
    cx: Context,
    *values: Any,
    sep: Any = None,
    end: Any = None,
    file: Any = None,
    flush: Any = False,
) -> None:
    named = {"sep": sep, "end": end, "flush": flush}
    if any(map(is_dynamic, named.values())):
        cx.fail(StaticValueError, "the options of print must be known when compiling")
    plain = ""
    if file is sys.stderr or file is sys.stdout:
        plain = f"file=sys.{'stderr' if file is sys.stderr else 'stdout'}"
    elif file is not None:
        cx.fail(UnsupportedCallError, f"print to {describe(file)}", "print to sys.stderr")
    given = {k: v for k, v in named.items() if v is not None and v is not False}
    perform(cx, "print", values, given, plain)


def log(cx: Context, logger: str, level: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """A message for a logger, as text `logging` or `logging.getLogger('name')`."""
    if any(text.holds_objects(cx, a) for a in args):
        cx.fail(UnsupportedTypeError, "a message of an object", "log its text: repr(…)")
    if kwargs:
        cx.fail(UnsupportedCallError, f"{level} with the option {next(iter(kwargs))!r}")
    perform(cx, f"{logger}.{level}", args, {})


def log_with(cx: Context, method: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """A call of a logger's method."""
    owner, level = method.__self__, method.__name__
    if level not in (*LEVELS, "log") or logging.getLogger(owner.name) is not owner:
        cx.fail(
            UnsupportedCallError,
            f"the logger's method {level!r} is not supported",
            f"use {', '.join(LEVELS)} of a logger from logging.getLogger(name)",
        )
    name = "" if owner is logging.getLogger() else repr(owner.name)
    log(cx, f"logging.getLogger({name})", level, args, kwargs)


def _module_level(level: str) -> None:
    def handler(cx: Context, *args: Any, **kwargs: Any) -> None:
        log(cx, "logging", level, args, kwargs)

    handles(getattr(logging, level), boxes=True)(handler)


for _level in (*LEVELS, "log"):
    _module_level(_level)


@handles(warnings.warn, boxes=True)
def warn(cx: Context, message: Any, category: Any = UserWarning, stacklevel: Any = 1) -> None:
    if not isinstance(category, type) or getattr(builtins, category.__name__, None) is not category:
        cx.fail(UnsupportedCallError, "a warning of the user's own class", "use UserWarning")
    if is_dynamic(stacklevel):
        cx.fail(StaticValueError, "stacklevel must be known when compiling")
    perform(cx, "warnings.warn", [message], {}, category.__name__)


@handles(logging.getLogger)
def get_logger(cx: Context, name: Any = None) -> Any:
    if is_dynamic(name):
        cx.fail(StaticValueError, "the name of a logger must be known when compiling")
    return logging.getLogger(name)
