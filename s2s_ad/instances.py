"""Which objects are taken apart by their attributes: instances of classes written in Python."""

from __future__ import annotations

import enum
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
    cls = type(value)
    if cls is types.SimpleNamespace:
        return True
    if isinstance(value, _VALUES) or not all(_in_python(base) for base in cls.__mro__):
        return False
    if cls.__module__.split(".")[0] in _PACKAGES or hasattr(value, "__array_interface__"):
        return False
    return not (hasattr(value, "py_func") or hasattr(value, "__wrapped__"))


def _in_python(cls: type) -> bool:
    return cls is object or bool(cls.__flags__ & _HEAP_TYPE)


def attributes(value: Any) -> dict[str, Any]:
    """The attributes that an instance itself holds, in the order of their making."""
    found = {}
    for cls in reversed(type(value).__mro__):
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found | getattr(value, "__dict__", {})


def make(cls: type, fields: dict[str, Any]) -> Any:
    """An instance with these attributes, made without its `__init__`, which may check or change
    them."""
    if cls is types.SimpleNamespace:
        return cls(**fields)
    made = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made
