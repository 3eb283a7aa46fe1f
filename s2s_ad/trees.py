"""Structured arguments and results, taken apart into leaves and put together again.

The *spec* of a value says what compiled code depends on, and is hashable:

    Leaf(type)               a number or an array: a parameter of the compiled function
    Known(value)             a string, None, bool, function …: part of the specialisation
    Node(cls, keys, parts)   a tuple, list, dict, named tuple, or an instance with its attributes
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from s2s_ad.api_errors import ArgumentTypeError, SeedError, StaticArgumentError
from s2s_ad.instances import attributes, is_instance, make
from s2s_ad.ir.types import DTYPES, UNKNOWN, Type, from_numpy


@dataclass(frozen=True)
class Leaf:
    type: Type


@dataclass(frozen=True)
class Known:
    """`key` stands for the value in comparisons: 0.0, -0.0, 0 and False are four values."""

    value: Any = field(compare=False)
    key: Any


@dataclass(frozen=True)
class Node:
    cls: type
    keys: tuple[Any, ...]
    parts: tuple[Spec, ...]


Spec = Leaf | Known | Node

_SCALARS = {float: Type("f64"), int: Type("i64"), complex: Type("c128")}
_STATIC = (
    type(None), bool, np.bool_, str, bytes, range, slice, type, np.dtype, np.ufunc, enum.Enum,
    functools.partial, types.FunctionType, types.BuiltinFunctionType, types.ModuleType,
    type(Ellipsis),
)  # fmt: skip


def known(value: Any, path: str) -> Known:
    """`value` as a part of the specialisation. StaticArgumentError where it has no hash."""
    if isinstance(value, np.bool_):
        value = bool(value)
    try:
        hash(value)
    except TypeError:
        raise StaticArgumentError(
            f"{path} is static, so it has to be hashable, and a {type(value).__name__} is not",
            advice="pass a tuple instead of a list, or leave it out of static=",
        ) from None
    key = repr(value) if isinstance(value, (float, complex)) else value
    return Known(value, (type(value), key))


def describe(value: Any, path: str) -> Spec:
    """The spec of an argument; `path` names it in messages. ArgumentTypeError for what compiled
    code cannot take."""
    if type(value) in _SCALARS:
        if type(value) is int and not -(2**63) <= value < 2**63:
            raise ArgumentTypeError(f"{path} = {value} does not fit into 64 bits")
        return Leaf(_SCALARS[type(value)])
    if isinstance(value, np.bool_):
        return known(value, path)
    if isinstance(value, (np.ndarray, np.generic)):
        return _describe_array(value, path)
    taken_apart = children(value)
    if taken_apart is not None:
        keys, parts = taken_apart
        part_of = _attribute if is_instance(value) else describe
        specs = [part_of(part, child(value, path, key)) for key, part in zip(keys, parts)]
        return Node(type(value), keys, tuple(specs))
    if isinstance(value, _STATIC) or hasattr(value, "py_func") or hasattr(value, "__wrapped__"):
        return known(value, path)
    raise ArgumentTypeError(
        f"{path} has type {type(value).__name__}, which compiled code cannot take",
        advice="pass numbers, arrays, and tuples, lists, dicts or objects that hold them",
    )


def _attribute(value: Any, path: str) -> Spec:
    """The spec of an attribute. One that compiled code cannot take is known by its identity."""
    try:
        return describe(value, path)
    except ArgumentTypeError:
        if type(value).__hash__ is not object.__hash__:
            raise
        return known(value, path)


def _describe_array(value: Any, path: str) -> Leaf:
    if isinstance(value, np.ndarray) and type(value) not in (np.ndarray, np.memmap):
        raise ArgumentTypeError(
            f"{path} is a {type(value).__name__}, whose arithmetic is not that of a plain array",
            advice="pass np.asarray(…) of it if that is what you mean",
        )
    try:
        dtype = from_numpy(value.dtype.newbyteorder("="))
    except (KeyError, TypeError):
        raise ArgumentTypeError(
            f"{path} has dtype {value.dtype}, which compiled code cannot take",
            advice="convert it with .astype; the dtypes are " + ", ".join(_dtype_names()),
        ) from None
    return Leaf(Type(dtype, tuple(1 if extent == 1 else UNKNOWN for extent in value.shape)))


def _dtype_names() -> list[str]:
    return [numpy_name.rstrip("_") for numpy_name, _ in DTYPES.values()]


def children(value: Any) -> tuple[tuple[Any, ...], list[Any]] | None:
    """(keys, parts) of a container, None for anything else."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return value._fields, list(value)
    if type(value) in (tuple, list):
        return tuple(range(len(value))), list(value)
    if type(value) is dict:
        return tuple(value), list(value.values())
    if is_instance(value):
        held = attributes(value)
        return tuple(held), list(held.values())
    return None


def child(value: Any, path: str, key: Any) -> str:
    """The path of a part: `p.rate`, `p['rate']`, `p[0]`."""
    cls = value if isinstance(value, type) else type(value)
    return f"{path}[{key!r}]" if cls in (tuple, list, dict) else f"{path}.{key}"


def build(cls: type, keys: tuple[Any, ...], parts: list[Any]) -> Any:
    """A container from its parts. An instance is made without its `__init__`, which may check its
    fields: a gradient need not be a legal argument."""
    if cls in (tuple, list):
        return cls(parts)
    if cls is dict:
        return dict(zip(keys, parts))
    if issubclass(cls, tuple):
        return cls._make(parts)
    return make(cls, dict(zip(keys, parts)))


def leaf_specs(spec: Spec) -> Iterator[Leaf]:
    """The leaves of a spec, in order."""
    if isinstance(spec, Leaf):
        yield spec
    elif isinstance(spec, Node):
        for part in spec.parts:
            yield from leaf_specs(part)


def leaf_paths(spec: Spec, path: str) -> Iterator[str]:
    """The paths of the leaves of a spec, in order."""
    if isinstance(spec, Leaf):
        yield path
    elif isinstance(spec, Node):
        for key, part in zip(spec.keys, spec.parts):
            yield from leaf_paths(part, child(spec.cls, path, key))


def leaves(spec: Spec, value: Any) -> Iterator[Any]:
    """The leaves of a value that has this spec, in order."""
    if isinstance(spec, Leaf):
        yield value
    elif isinstance(spec, Node):
        for part, inner in zip(spec.parts, children(value)[1]):
            yield from leaves(part, inner)


def map_spec(spec: Spec, leaf: Callable[[Leaf], Any], known: Callable[[Known], Any]) -> Any:
    """A value of the structure of `spec`, from what the functions make of its ends, in order."""
    if isinstance(spec, Leaf):
        return leaf(spec)
    if isinstance(spec, Known):
        return known(spec)
    return build(spec.cls, spec.keys, [map_spec(part, leaf, known) for part in spec.parts])


def expression(
    spec: Spec,
    leaf: Callable[[Leaf], str],
    known: Callable[[Known], str],
    make: Callable[[Node, list[str]], str],
) -> str:
    """A value of structure `spec` as Python text; containers other than tuples by `make`."""
    if isinstance(spec, Leaf):
        return leaf(spec)
    if isinstance(spec, Known):
        return known(spec)
    parts = [expression(part, leaf, known, make) for part in spec.parts]
    if spec.cls is tuple:
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    return make(spec, parts)


def mirror_class(cls: type) -> type:
    """The class of the derivative of an instance of `cls`: a dataclass is its own; another class
    might compute with its attributes, so that it is a plain namespace of the same names."""
    plain = cls in (tuple, list, dict) or hasattr(cls, "_fields") or dataclasses.is_dataclass(cls)
    return cls if plain else types.SimpleNamespace


def has_float(spec: Spec) -> bool:
    return any(leaf.type.is_float for leaf in leaf_specs(spec))


def seeds(spec: Spec, shapes: Iterator[tuple[int, ...]], seed: Any, path: str) -> Iterator[Any]:
    """One tangent or cotangent per floating-point leaf of `spec`, taken from `seed`.

    `shapes` gives the shape of every leaf in order. None anywhere in `seed` stands for zeros.
    SeedError where the structure or a shape differs.
    """
    if isinstance(spec, Leaf):
        shape = next(shapes)
        if spec.type.is_float:
            yield _seed_leaf(spec.type, shape, seed, path)
        elif seed is not None and np.any(np.asarray(seed) != 0):
            raise SeedError(f"{path} belongs to an integer, so it can only be None or zero")
    elif isinstance(spec, Node):
        parts = (None,) * len(spec.parts) if seed is None else _seed_parts(spec, seed, path)
        for key, part, inner in zip(spec.keys, spec.parts, parts):
            yield from seeds(part, shapes, inner, child(spec.cls, path, key))


def _seed_parts(spec: Node, seed: Any, path: str) -> list[Any]:
    taken_apart = children(seed)
    sequences = spec.cls in (tuple, list) and type(seed) in (tuple, list)
    mirror = is_instance(seed) and mirror_class(spec.cls) is type(seed)
    if taken_apart is None or not (sequences or mirror or isinstance(seed, spec.cls)):
        raise SeedError(f"{path} has to be a {spec.cls.__name__}, not a {type(seed).__name__}")
    by_key = dict(zip(*taken_apart))
    if set(by_key) != set(spec.keys):
        raise SeedError(f"{path} has the parts {list(by_key)}, not {list(spec.keys)}")
    return [by_key[key] for key in spec.keys]


def _seed_leaf(kind: Type, shape: tuple[int, ...], seed: Any, path: str) -> Any:
    dtype = np.dtype(DTYPES[kind.dtype][0])
    if seed is None:
        return np.zeros(shape, dtype) if shape else dtype.type(0)
    if type(seed) is np.ndarray and seed.dtype == dtype and seed.shape == shape and shape:
        return seed if seed.flags.carray else np.require(seed, dtype, "CA")
    found = np.asarray(seed)
    if found.dtype.kind not in "fiub" and not (found.dtype.kind == "c" and dtype.kind == "c"):
        raise SeedError(f"{path} has to be made of {dtype} numbers, not {found.dtype}")
    if found.shape != shape:
        raise SeedError(f"{path} has shape {found.shape}, but what it belongs to has {shape}")
    return scalar(kind, found[()]) if not shape else np.require(found, dtype, "CA")


def scalar(kind: Type, value: Any) -> Any:
    """`value` as a Python number for 64-bit types, else as a NumPy scalar, to keep its width."""
    return scalar_class(kind)(value)


def scalar_class(kind: Type) -> type:
    """The class of a scalar of this type."""
    own = {"f64": float, "i64": int, "bool": bool, "c128": complex}
    return own.get(kind.dtype) or np.dtype(DTYPES[kind.dtype][0]).type


def leaf_value(kind: Type, value: Any) -> Any:
    """An argument's leaf as compiled code takes it: a scalar, or a C-contiguous aligned array."""
    if not kind.is_array:
        return scalar(kind, value)
    return np.require(value, np.dtype(DTYPES[kind.dtype][0]), "CA")
