"""Tables of what the interpreter knows to call: Python objects, and methods of arrays."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import UnsupportedCallError
from s2s_ad.frontend.heap import boxed, plain
from s2s_ad.ir.build import number
from s2s_ad.ir.core import Var

Handler = Callable[..., Any]
FUNCTIONS: dict[Any, Handler] = {}
#: Handlers of functions of scipy.special, by name, until it has been imported. Before that nobody
#: has such a function, and to import it takes longer than all of s2s_ad.
SPECIAL: dict[str, Handler] = {}
METHODS: dict[str, Handler] = {}
#: Handlers that tell objects apart, and do not only read what they hold.
TAKE_OBJECTS: set[Handler] = set()
#: The dtypes of Python's numbers under NumPy.
NUMPY = {int: "i64", float: "f64", complex: "c128"}


def handles(
    *objects: Any, method: str = "", special: str = "", boxes: bool = False
) -> Callable[[Handler], Handler]:
    """Register a handler `(cx, *args, **kwargs) -> value` for functions, for methods of arrays
    whose names are in `method`, separated by spaces, and for the function `special` of
    scipy.special. With `boxes`, lists, dicts and instances are given as objects."""

    def register(handler: Handler) -> Handler:
        for obj in objects:
            FUNCTIONS[obj] = handler
        for name in method.split():
            METHODS[name] = handler
        if special:
            SPECIAL[special] = handler
        if boxes:
            TAKE_OBJECTS.add(handler)
        return handler

    return register


def find(fn: Any) -> Handler | None:
    scipy = sys.modules.get("scipy.special") if SPECIAL else None
    for name, handler in list(SPECIAL.items()) if scipy is not None else ():
        function = getattr(scipy, name, None)  # another thread may be importing it
        if function is not None:
            FUNCTIONS[function] = handler
            SPECIAL.pop(name, None)
    try:
        return FUNCTIONS.get(fn)
    except TypeError:  # not hashable
        return None


def label(fn: Any) -> str:
    """A function's name, for messages."""
    if isinstance(getattr(fn, "__self__", None), np.ufunc):
        return f"{fn.__self__.__name__}.{fn.__name__}"
    return getattr(fn, "__name__", None) or type(fn).__name__


def invoke(
    cx: Context,
    name: str,
    handler: Handler,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    fn: Any = None,
) -> Any:
    """Call the handler of `fn`; arguments that it does not take are the user's error."""
    from s2s_ad.frontend.inplace import with_out

    def without_out(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        value = _invoke(cx, name, handler, args, kwargs)
        return as_numpy(cx, value) if _gives_numpy(fn) else value

    return with_out(cx, fn, name, args, kwargs, without_out)


def _gives_numpy(fn: Any) -> bool:
    """Whether the numbers that a function returns are NumPy's: np.hypot(0.5, 1) is an np.float64,
    which lifts single precision that it meets. (Results of math and len are Python's.)"""
    ufunc = isinstance(fn, np.ufunc) or isinstance(getattr(fn, "__self__", None), np.ufunc)
    numpy = ufunc or (getattr(fn, "__module__", "") or "").startswith("numpy")
    return numpy and fn not in (np.shape, np.size, np.ndim, np.broadcast_shapes)


def as_numpy(cx: Context, value: Any) -> Any:
    """Python numbers as NumPy's; booleans are the same for both."""
    if type(value) is tuple:
        return tuple(as_numpy(cx, v) for v in value)
    if isinstance(value, Var) and value in cx.weak:
        return cx.emit("convert", value, dtype=value.type.dtype)  # the argument itself stays weak
    if type(value) in (int, float, complex):
        return number(value, NUMPY[type(value)])
    return value


def _invoke(
    cx: Context, name: str, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Call a handler. Lists and dicts among its arguments are given as Python's own, where it has
    not asked for the objects; those that it makes become objects."""
    if handler not in TAKE_OBJECTS:
        args = [plain(cx, a) for a in args]
        kwargs = {k: plain(cx, a) for k, a in kwargs.items()}
    return boxed(cx, apply(cx, name, handler, args, kwargs))


def apply(
    cx: Context, name: str, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Call a handler; arguments that it does not take are the user's error."""
    try:
        inspect.signature(handler).bind(cx, *args, **kwargs)
    except TypeError as error:
        cx.fail(
            UnsupportedCallError,
            f"{name}: {error}",
            f"supported arguments: {', '.join(list(inspect.signature(handler).parameters)[1:])}",
        )
    return handler(cx, *args, **kwargs)


def unknown(cx: Context, name: str, names: Sequence[str]) -> Any:
    """Fail for a function or method that is not supported, with the nearest that is."""
    near = difflib.get_close_matches(name, names, 1)
    advice = (
        f"did you mean {near[0]}?"
        if near and near[0] != name
        else "write it with supported operations"
    )
    cx.fail(UnsupportedCallError, f"{name!r} is not supported", advice)


def function_names() -> list[str]:
    return sorted({*map(label, FUNCTIONS), *SPECIAL})
