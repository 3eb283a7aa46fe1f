"""Which objects are taken apart by their attributes: instances of classes written in Python."""

from __future__ import annotations

import enum
import functools
import sys
import types
from typing import Any

#: Subclasses of these are more than their attributes; instances of the packages' own classes
#: are opaque.
_VALUES = (
    type, enum.Enum, BaseException, tuple, list, dict, set, frozenset, str, bytes, int, float,
    complex,
)  # fmt: skip
_PACKAGES = frozenset({*sys.stdlib_module_names, "numpy", "scipy", "numba", "llvmlite", "s2s_ad"})
_HEAP_TYPE = 1 << 9


def is_instance(value: Any) -> bool:
    """True for an object whose state is its attributes: a dataclass, a plain class with
    `__init__`, a `types.SimpleNamespace`."""
    return _plain(type(value)) and not (hasattr(value, "py_func") or hasattr(value, "__wrapped__"))


@functools.cache
def _plain(cls: type) -> bool:
    """True for a class whose instances are their attributes."""
    if cls is types.SimpleNamespace:
        return True
    if issubclass(cls, _VALUES) or hasattr(cls, "__array_interface__"):
        return False
    written = all(base is object or base.__flags__ & _HEAP_TYPE for base in cls.__mro__)
    return written and cls.__module__.split(".")[0] not in _PACKAGES


@functools.cache
def slots(cls: type) -> tuple[str, ...]:
    """The attributes that instances of a class hold in slots, where these are not empty."""
    found = [base.__dict__.get("__slots__", ()) for base in reversed(cls.__mro__)]
    names = [n for own in found for n in ((own,) if isinstance(own, str) else own)]
    return tuple(n for n in names if n not in ("__dict__", "__weakref__"))


def attributes(value: Any) -> dict[str, Any]:
    """The attributes that an instance itself holds, in the order of their making."""
    filled = {n: getattr(value, n) for n in slots(type(value)) if hasattr(value, n)}
    return filled | getattr(value, "__dict__", {})


def make(cls: type, fields: dict[str, Any]) -> Any:
    """An instance with these attributes, made without its `__init__`, which may check or change
    them."""
    if cls is types.SimpleNamespace:
        return cls(**fields)
    made = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made
