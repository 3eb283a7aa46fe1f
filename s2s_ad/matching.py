"""Python text that looks at arguments, and text that makes results: what short ways are made of.

A short way is a function generated for one specialisation (see `dispatch`). It looks at each value
once, from the outside in, and leaves where one is not as the specialisation has it:

    if type(x) is not ndarray or x.dtype is not c1 or x.ndim != 1 or x.size == 1 or …: return …
    if type(p) is not c2: return …
    x3 = p.__dict__
    if [*x3] != c4: return …
    x5, x6 = x3.values()

Constants of the text are objects under names of ours, nothing of the user's becomes code but the
names of parameters and attributes, which are identifiers.
"""

from __future__ import annotations

import enum
import keyword
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from s2s_ad.instances import slots
from s2s_ad.ir.types import DTYPES, Type
from s2s_ad.trees import (
    Known,
    Leaf,
    Node,
    Spec,
    build,
    children,
    expression,
    mirror_class,
    scalar_class,
)

#: Classes whose instances compiled code takes as they are, by dtype.
_SCALARS: dict[str, tuple[type, ...]] = {
    "f64": (float, np.float64),
    "i64": (int, np.int64),
    "c128": (complex, np.complex128),
    "f32": (np.float32,),
    "i32": (np.int32,),
    "c64": (np.complex64,),
}
#: Constants that are compared by identity although they have a `__hash__` of their own: they never
#: change. Others could be equal to what they were no more.
_UNCHANGING = (
    type(None), float, complex, bytes, range, slice, np.dtype, enum.Enum, type(Ellipsis),
    types.BuiltinFunctionType,
)  # fmt: skip


class Unsupported(Exception):
    """There is no short way for this."""


class Writer:
    """The body of a function that is being written, and the constants that it refers to.

    `leaves` are the names that hold the leaves of the values looked at so far, `places` those of
    containers by their routes, `objects` those of the containers that can change.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """`taken` are the names of parameters; no other name of the function is like them."""
        self.prefix = "_"
        while any(name.startswith(self.prefix) for name in taken):
            self.prefix += "_"
        self.miss = "None"
        self.lines: list[str] = []
        self.leaves: list[str] = []
        self.places: dict[tuple, str] = {}
        self.objects: list[str] = []
        self.names: dict[str, Any] = {}
        self._named: dict[int, str] = {}
        self._count = 0

    def function(self, name: str, parameters: str) -> Callable[..., Any]:
        """The function that was written."""
        body = self.lines or ["pass"]
        text = "\n".join([f"def {self.prefix}way({parameters}):", *(f"    {x}" for x in body)])
        exec(compile(text, f"<the short way of {name}>", "exec"), self.names)
        made = self.names[f"{self.prefix}way"]
        made.__name__ = made.__qualname__ = name
        return made

    def name(self, value: Any) -> str:
        """A name for a constant of the function."""
        name = self._named.get(id(value))
        if name is None:
            name = self._named[id(value)] = f"{self.prefix}c{len(self.names)}"
            self.names[name] = value
        return name

    def fresh(self, letter: str = "x") -> str:
        self._count += 1
        return f"{self.prefix}{letter}{self._count}"

    def line(self, text: str) -> None:
        self.lines.append(text)

    def local(self, text: str) -> str:
        name = self.fresh()
        self.line(f"{name} = {text}")
        return name

    def leave_if(self, *conditions: str) -> None:
        """Leave where one of the conditions holds."""
        if conditions:
            self.line(f"if {' or '.join(conditions)}: return {self.miss}")

    # -- values

    def value(self, spec: Spec, x: str, route: tuple = ()) -> None:
        """Leave where the value named `x` is not of this spec, else note its leaves."""
        self.places[route] = x
        if isinstance(spec, Leaf):
            self.leaves.append(x)
            if spec.type.is_array:
                self.leave_if(*self._array(spec.type, x), f"not {x}.flags.carray")
            else:
                self.leave_if(*self._scalar(spec.type, x))
        elif isinstance(spec, Known):
            self.leave_if(*self._known(spec, x))
        else:
            self.leave_if(f"{self.name(type)}({x}) is not {self.name(spec.cls)}")
            if not issubclass(spec.cls, tuple):
                self.objects.append(x)
            for key, part, inner in zip(spec.keys, spec.parts, self._parts(spec, spec.cls, x)):
                self.value(part, inner, (*route, key))

    def _is_array(self, kind: Type, x: str) -> Iterator[str]:
        yield f"{self.name(type)}({x}) is not {self.name(np.ndarray)}"
        yield f"{x}.dtype is not {self.name(np.dtype(DTYPES[kind.dtype][0]))}"

    def _array(self, kind: Type, x: str) -> Iterator[str]:
        yield from self._is_array(kind, x)
        yield f"{x}.ndim != {kind.ndim}"
        ones = [extent == 1 for extent in kind.shape]
        if kind.ndim == 1:
            yield f"{x}.size {'!=' if ones[0] else '=='} 1"
        elif not any(ones):
            yield f"1 in {x}.shape"
        else:
            for axis, one in enumerate(ones):
                yield f"{x}.shape[{axis}] {'!=' if one else '=='} 1"

    def _scalar(self, kind: Type, x: str) -> Iterator[str]:
        classes = _SCALARS.get(kind.dtype)
        if classes is None:
            raise Unsupported
        yield " and ".join(f"{self.name(type)}({x}) is not {self.name(c)}" for c in classes)
        if kind.dtype == "i64":
            yield f"not -0x8000000000000000 <= {x} < 0x8000000000000000"

    def _known(self, spec: Known, x: str) -> Iterator[str]:
        constant, kind = self.name(spec.value), type(spec.value)
        if kind in (int, str, bool):
            yield f"{self.name(type)}({x}) is not {self.name(kind)}"
            yield f"{x} != {constant}"
        elif kind.__hash__ is object.__hash__ or isinstance(spec.value, _UNCHANGING):
            yield f"{x} is not {constant}"
        else:
            raise Unsupported

    def _parts(self, spec: Node, cls: type, x: str) -> list[str]:
        """Names of the parts of a container that has the class `cls` and the keys of `spec`."""
        count = len(spec.parts)
        if issubclass(cls, (tuple, list)):
            self.leave_if(f"{self.name(len)}({x}) != {count}")
            return self._unpacked(x, count)
        if cls is not dict:
            if getattr(cls, "__dictoffset__", 0) == 0:
                return self._slots(spec, cls, x)
            if slots(cls):
                raise Unsupported
            x = self.local(f"{x}.__dict__")
        self.leave_if(f"[*{x}] != {self.name(list(spec.keys))}")
        return self._unpacked(f"{x}.values()", count)

    def _unpacked(self, text: str, count: int) -> list[str]:
        names = [self.fresh() for _ in range(count)]
        if names:
            self.line(f"{', '.join(names)}{',' if count == 1 else ''} = {text}")
        return names

    def _slots(self, spec: Node, cls: type, x: str) -> list[str]:
        if slots(cls) != spec.keys or not all(map(_is_attribute, spec.keys)):
            raise Unsupported  # a slot of the class is empty, or its name is not the attribute's
        names = [self.fresh() for _ in spec.keys]
        reads = "; ".join(f"{name} = {x}.{key}" for name, key in zip(names, spec.keys))
        self.line(f"try: {reads or 'pass'}")
        self.line(f"except {self.name(AttributeError)}: return {self.miss}")
        return names

    # -- tangents and cotangents

    def seed(self, spec: Spec, shapes: Iterator[str], x: str) -> None:
        """Leave where `x` is not one seed for each floating-point leaf of `spec`, in its structure,
        and ready for compiled code; else note these as leaves. `shapes` gives, as text, the shape
        of every leaf."""
        if isinstance(spec, Leaf):
            shape = next(shapes)
            if not spec.type.is_float:
                self.leave_if(f"{x} is not None")
                return
            self.leaves.append(x)
            if spec.type.is_array:
                tests = self._is_array(spec.type, x)
                self.leave_if(*tests, f"{x}.shape != {shape}", f"not {x}.flags.carray")
            else:
                self.leave_if(*self._scalar(spec.type, x))
        elif isinstance(spec, Node):
            cls = mirror_class(spec.cls)
            self.leave_if(f"{self.name(type)}({x}) is not {self.name(cls)}")
            for part, inner in zip(spec.parts, self._parts(spec, cls, x)):
                self.seed(part, shapes, inner)

    # -- results

    def result(self, spec: Spec, items: Iterator[tuple[str, Type]], jit: bool) -> str:
        """The text of a value of structure `spec`, from its leaves as text and their types.
        numba gives every scalar as a Python number, NumPy as one of its own."""

        def leaf(_: Leaf) -> str:
            item, kind = next(items)
            if kind.is_array or (jit and kind.dtype not in ("f32", "i32", "c64")):
                return item
            return f"{self.name(scalar_class(kind))}({item})"

        return expression(spec, leaf, lambda known: self.name(known.value), self._container)

    def _container(self, spec: Node, parts: list[str]) -> str:
        if spec.cls is list:
            return f"[{', '.join(parts)}]"
        if spec.cls is dict:
            return f"{{{', '.join(f'{self.name(k)}: {v}' for k, v in zip(spec.keys, parts))}}}"
        return self._instance(spec, parts)

    def _instance(self, spec: Node, parts: list[str]) -> str:
        """An instance, made without its `__init__` as `trees.build` does it. Where an assignment
        does the same as `object.__setattr__`, it is one."""
        cls, keys = spec.cls, spec.keys
        plain = all(map(_is_attribute, keys))
        if cls is types.SimpleNamespace and plain:
            fields = ", ".join(f"{key}={part}" for key, part in zip(keys, parts))
            return f"{self.name(cls)}({fields})"
        if issubclass(cls, tuple) or not plain or cls is types.SimpleNamespace:
            return f"{self.name(build)}({self.name(cls)}, {self.name(keys)}, [{', '.join(parts)}])"
        made = self.local(f"{self.name(object.__new__)}({self.name(cls)})")
        direct = cls.__setattr__ is object.__setattr__
        for key, part in zip(keys, parts):
            put = f"{self.name(object.__setattr__)}({made}, {key!r}, {part})"
            self.line(f"{made}.{key} = {part}" if direct else put)
        return made

    def returning(
        self, call: str, count: int, finish: Callable[[Writer, Sequence[str]], str]
    ) -> None:
        """Return what `finish` makes of the results of `call`, of which there are `count`."""
        names = [self.fresh("r") for _ in range(count)]
        before = len(self.lines)
        made = finish(self, names)
        whole = names[0] if count == 1 else f"({', '.join(names)})"
        if count and made == whole:
            self.line(f"return {call}")
            return
        self.lines.insert(before, f"{', '.join(names)} = {call}" if names else call)
        self.line(f"return {made}")


def _is_attribute(key: Any) -> bool:
    """True for what can stand after a dot: private names are not mangled outside of classes."""
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)


def holds_objects(spec: Spec) -> bool:
    """True where a constant in `spec` has parts of its own, which could be objects."""
    if isinstance(spec, Known):
        return children(spec.value) is not None
    return isinstance(spec, Node) and any(map(holds_objects, spec.parts))
