"""Objects that the function reads from around it: arrays become captures, numbers are guarded."""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from s2s_ad.frontend.context import Capture, Context, Frame
from s2s_ad.frontend.errors import UndefinedNameError, UnsupportedTypeError
from s2s_ad.frontend.heap import ITEMS
from s2s_ad.frontend.values import UNDEFINED, Box, Record, View, is_namedtuple
from s2s_ad.instances import attributes, is_instance
from s2s_ad.ir.core import Lit, Var
from s2s_ad.ir.types import Dim, Type, from_numpy

Getter = Callable[[], Any]
MISSING = object()
#: Modules whose attributes never change: what is read from them needs no guard.
CONSTANT_MODULES = ("numpy", "math", "scipy", "builtins", "functools", "numba", "cmath")


def known(cx: Context, obj: Any, get: Getter | None, name: str, key: tuple = ()) -> Any:
    """A Python object as a value. `get` reads it again later; None where it cannot change."""
    if isinstance(obj, np.ndarray):
        return capture(cx, obj, get or (lambda: obj), name, key)
    if isinstance(obj, np.generic):
        obj_value = Lit(obj.item(), Type(dtype_name(cx, obj.dtype, name)))
        _guard(cx, obj, get, key)
        return obj_value
    if type(obj) in (list, dict) or is_instance(obj):
        return _object(cx, obj, get, name, key)
    if type(obj) is tuple:
        _guard(cx, len(obj), _keys_getter(get), (*key, "keys"))
        return tuple(_items(cx, obj, get, name, key))
    if is_namedtuple(obj) and not isinstance(obj, type):
        return Record(type(obj), obj._fields, tuple(_items(cx, obj, get, name, key)))
    if not isinstance(obj, types.ModuleType):
        _guard(cx, obj, get, key)
    return obj


def given(cx: Context, obj: Any, name: str, key: tuple) -> Any:
    """An object that a callable brings along: a default, `self`, an argument of a partial. What it
    holds may change later, and is guarded."""
    changes = type(obj) in (list, dict) or is_instance(obj)
    return known(cx, obj, (lambda: obj) if changes else None, name, (*key, id(obj)))


def _object(cx: Context, obj: Any, get: Getter | None, name: str, key: tuple) -> Box:
    """An object that was there before: one `Box` for each. That two places hold the same object is
    guarded; so are the class of an instance, the length of a list, the keys of a dict."""
    box = cx.objects.get(id(obj))
    if box is not None:
        if key != box.key and get is not None and box.get is not None:
            cx.guards.setdefault((*key, "is"), (lambda: get() is box.get(), True))
        return box
    clean = "".join(c if c.isalnum() else "_" for c in name)
    box = cx.objects[id(obj)] = Box(type(obj), clean, 0, {}, obj, name, get, key)
    if type(obj) is list:
        _guard(cx, len(obj), _keys_getter(get), (*key, "keys"))
        box.fields[ITEMS] = tuple(_items(cx, obj, get, name, key))
    elif type(obj) is dict:
        _guard(cx, tuple(obj), _keys_getter(get), (*key, "keys"))
        parts = {k: (v, _item_getter(get, k), f"{name}_{k}", (*key, k)) for k, v in obj.items()}
        box.fields[ITEMS] = {k: known(cx, *part) for k, part in parts.items()}
    else:
        _guard(cx, type(obj), None if get is None else (lambda: type(get())), (*key, "type"))
    return box


def _items(cx: Context, obj: Any, get: Getter | None, name: str, key: tuple) -> list[Any]:
    return [
        known(cx, item, _item_getter(get, k), f"{name}_{k}", (*key, k))
        for k, item in enumerate(obj)
    ]


def known_field(cx: Context, box: Box, name: str) -> Any:
    """An attribute that an object from around the function itself holds, read for the first time;
    UNDEFINED where it holds none."""
    if box.live is None or type(box.live) in (list, dict) or name in box.fields:
        return UNDEFINED
    own, get = attributes(box.live), box.get
    if name not in own:
        if get is not None:
            here = (*box.key, name, "absent")
            cx.guards.setdefault(here, (lambda: name in attributes(get()), False))
        return UNDEFINED
    label = f"{box.name}_{name}"
    value = known(cx, own[name], _attr_getter(get, name), label, (*box.key, name))
    box.fields[name] = value
    return value


def known_fields(cx: Context, box: Box) -> None:
    """Read all attributes of an object, before it is joined with another."""
    if box.live is not None and type(box.live) not in (list, dict):
        for name in attributes(box.live):
            known_field(cx, box, name)


def known_member(cx: Context, cls: type, name: str, value: Any) -> Any:
    """What a class holds under a name."""
    label = f"{cls.__name__}_{name}"
    return known(cx, value, lambda: getattr(cls, name), label, ("attribute", id(cls), name))


def _keys_getter(get: Getter | None) -> Getter | None:
    """What reads the length of a sequence, or the keys of a dict."""

    def keys() -> Any:
        obj = get()
        return tuple(obj) if type(obj) is dict else len(obj)

    return None if get is None else keys


def _item_getter(get: Getter | None, key: Any) -> Getter | None:
    return None if get is None else (lambda: get()[key])


def _attr_getter(get: Getter | None, name: str) -> Getter | None:
    return None if get is None else (lambda: getattr(get(), name))


def _guard(cx: Context, obj: Any, get: Getter | None, key: tuple) -> None:
    if get is not None and not isinstance(obj, (types.BuiltinFunctionType, np.ufunc)):
        cx.guards.setdefault(key, (get, obj))


def dtype_name(cx: Context, dtype: Any, name: str) -> str:
    """The IR's name of a NumPy dtype."""
    try:
        return from_numpy(dtype)
    except KeyError:
        cx.fail(
            UnsupportedTypeError,
            f"{name!r} has dtype {dtype}, which is not supported",
            "supported: float64, float32, int64, int32, bool, complex128, complex64",
        )


def capture(cx: Context, obj: np.ndarray, get: Getter, name: str, key: tuple = ()) -> View:
    """An array from around the function, as an extra parameter; one for each array object. That two
    places hold the same object is guarded."""
    if id(obj) not in cx.captured:
        dtype = dtype_name(cx, obj.dtype, name)
        if obj.ndim == 0:
            cx.fail(
                UnsupportedTypeError,
                f"{name!r} is an array without axes",
                "use a number, or an array of one element",
            )
        clean = "".join(c if c.isalnum() else "_" for c in name)
        dims: list[Dim] = [
            1 if n == 1 else cx.symbol(f"{clean}{axis}") for axis, n in enumerate(obj.shape)
        ]
        var = Var(clean, Type(dtype, tuple(dims)))
        for axis, dim in enumerate(dims):
            cx.given.setdefault(dim, (var, axis))
        cell = cx.new_cell(var)
        cell.serial = 0  # as old as the parameters, wherever it is met first
        cx.captured[id(obj)] = (Capture(name, get, key), View(cell, (), var.type), obj)
    first, view, _ = cx.captured[id(obj)]
    if key != first.key:
        cx.guards.setdefault((*key, "is"), (lambda: get() is first.get(), True))
    return view


# --- names ---------------------------------------------------------------------------------------


def lookup(cx: Context, name: str) -> Any:
    """What `name` holds here, as Python finds it."""
    frame: Frame | None = cx.frame
    if name in frame.locals:
        return frame.locals[name]
    if name in frame.assigned:
        cx.fail(UndefinedNameError, f"{name!r} has no value here")
    while frame.outer is not None:
        frame = frame.outer
        if name in frame.locals:
            return frame.locals[name]
        if name in frame.assigned:
            cx.fail(UndefinedNameError, f"{name!r} has no value here")
    if name in frame.closure:
        get = frame.closure[name]
        try:
            obj = get()
        except ValueError:
            cx.fail(UndefinedNameError, f"{name!r} has no value yet")
        return known(cx, obj, get, name, ("closure", id(get), name))
    table = frame.globals
    if name in table:
        return known(cx, table[name], lambda: table[name], name, ("global", id(table), name))
    if hasattr(builtins, name):
        return getattr(builtins, name)
    return cx.fail(UndefinedNameError, f"{name!r} is not defined")


def attribute(cx: Context, obj: Any, name: str) -> Any:
    """An attribute of a Python object that is known."""
    found = getattr(obj, name, MISSING)
    if found is MISSING:
        from s2s_ad.frontend.values import describe

        cx.fail(UndefinedNameError, f"{describe(obj)} has no attribute {name!r}")
    constant = isinstance(obj, types.ModuleType) and obj.__name__.split(".")[0] in CONSTANT_MODULES
    get = None if constant else (lambda: getattr(obj, name))
    label = name if isinstance(obj, types.ModuleType) else f"{type(obj).__name__}_{name}"
    return known(cx, found, get, label, ("attribute", id(obj), name))
