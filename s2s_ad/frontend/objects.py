"""Instances of classes: how they are made, their attributes, their operators."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

from s2s_ad.frontend import calls
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import (
    ArgumentError,
    MutationError,
    UndefinedNameError,
    UnsupportedCallError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.heap import load, new_box, new_list, save
from s2s_ad.frontend.known import known, known_field, known_member
from s2s_ad.frontend.values import (
    UNDEFINED,
    Bound,
    Box,
    Record,
    Super,
    describe,
    is_array,
    is_namedtuple,
)

MISSING = dataclasses.MISSING
#: What a class may define that would change the meaning of attributes.
HOOKS = ("__getattr__", "__getattribute__", "__setattr__", "__delattr__")
HEAP_TYPE = 1 << 9  # set for classes that are written in Python
BINARY = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "truediv", "FloorDiv": "floordiv",
    "Mod": "mod", "Pow": "pow", "MatMult": "matmul", "BitAnd": "and", "BitOr": "or",
    "BitXor": "xor", "LShift": "lshift", "RShift": "rshift",
}  # fmt: skip
COMPARE = {"Eq": "eq", "NotEq": "ne", "Lt": "lt", "LtE": "le", "Gt": "gt", "GtE": "ge"}
MIRROR = {"eq": "eq", "ne": "ne", "lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
UNARY = {"USub": "neg", "UAdd": "pos", "Invert": "invert"}


# --- making --------------------------------------------------------------------------------------


def construct(cx: Context, cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`cls(*args, **kwargs)`."""
    if issubclass(cls, BaseException):
        return cls
    if is_namedtuple(cls):
        return _named_tuple(cx, cls, args, kwargs)
    if cls is types.SimpleNamespace and not args:
        return new_box(cx, cls, kwargs)
    _check_class(cx, cls)
    box = new_box(cx, cls, {})
    init = cls.__init__
    if _generated(init):
        _fill(cx, box, args, kwargs)
    elif isinstance(init, types.FunctionType):
        calls.call(cx, init, [box, *args], kwargs)
    elif args or kwargs:
        cx.fail(ArgumentError, f"{cls.__name__} takes no arguments")
    return box


def _check_class(cx: Context, cls: type) -> None:
    """UnsupportedCallError for a class whose instances are more than their attributes."""
    plain = all(b is object or b.__flags__ & HEAP_TYPE for b in cls.__mro__)
    library = cls.__module__.split(".")[0] in ("numpy", "scipy", "numba")
    hook = next((h for h in ("__new__", *HOOKS) if _user_defined(cls, h)), None)
    if library or not plain or hook or type(cls).__call__ is not type.__call__:
        cx.fail(
            UnsupportedCallError,
            f"the class {cls.__name__!r} cannot be used here"
            + (f": it defines {hook}" if hook else ""),
            "use a plain class or a dataclass for structured data",
        )


def _user_defined(cls: type, name: str) -> bool:
    found = getattr(cls, name, None)
    return isinstance(found, types.FunctionType) and not _generated(found)


def _generated(fn: Any) -> bool:
    """True for what `@dataclass` has written."""
    return isinstance(fn, types.FunctionType) and fn.__code__.co_filename == "<string>"


def _named_tuple(cx: Context, cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Record:
    names, defaults = cls._fields, cls._field_defaults
    given = _given(cx, cls, names, args, kwargs, defaults)
    return Record(cls, names, tuple(_or_default(cx, given, n, defaults) for n in names))


def _or_default(cx: Context, given: dict, name: str, defaults: Mapping[str, Any]) -> Any:
    return given[name] if name in given else known(cx, defaults[name], None, name)


def _given(
    cx: Context,
    cls: type,
    names: Sequence[str],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    optional: Any,
) -> dict[str, Any]:
    """Arguments by name; ArgumentError where they are not those of the class."""
    given = dict(zip(names, args)) | dict(kwargs)
    missing = [n for n in names if n not in given and n not in optional]
    twice = set(list(names)[: len(args)]) & set(kwargs)
    if missing or twice or len(args) > len(names) or set(given) - set(names):
        cx.fail(ArgumentError, f"{cls.__name__} takes the fields {', '.join(names)}")
    return given


def _fill(cx: Context, box: Box, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What the `__init__` of a dataclass does."""
    declared = box.cls.__dataclass_fields__.values()
    kinds = {f.name: f._field_type.name for f in declared}
    fields = [f for f in declared if kinds[f.name] != "_FIELD_CLASSVAR"]
    settable = [f for f in fields if f.init]
    names = [f.name for f in settable if not f.kw_only]
    optional = {f.name for f in fields if (f.default, f.default_factory) != (MISSING, MISSING)}
    if len(args) > len(names):
        cx.fail(ArgumentError, f"{box.cls.__name__} takes the fields {', '.join(names)}")
    order = [*names, *(f.name for f in settable if f.kw_only)]
    given = _given(cx, box.cls, order, args, kwargs, optional)
    extra = []
    for f in fields:
        value = UNDEFINED
        if f.name in given:
            value = given[f.name]
        elif f.default is not MISSING:
            value = known_member(cx, box.cls, f.name, f.default)
        elif f.default_factory is not MISSING:
            value = calls.call(cx, f.default_factory, [], {})
        if kinds[f.name] == "_FIELD_INITVAR":
            extra.append(value)
        elif value is not UNDEFINED:
            save(cx, box, f.name, value)
    if hasattr(box.cls, "__post_init__"):
        calls.call(cx, Bound(box.cls.__post_init__, box), extra, {})


# --- attributes ----------------------------------------------------------------------------------


def get_attribute(cx: Context, box: Box, name: str, default: Any = UNDEFINED) -> Any:
    """`box.name`, as Python finds it."""
    if name == "__class__":
        return box.cls
    member = member_of(box.cls, name)
    if isinstance(member, property):
        return calls.call(cx, member.fget, [box], {})
    value = load(cx, box, name)
    if value is UNDEFINED:
        value = known_field(cx, box, name)
    if value is not UNDEFINED:
        return value
    if isinstance(member, functools.cached_property):
        value = calls.call(cx, member.func, [box], {})
        save(cx, box, name, value)
        return value
    if member is not UNDEFINED and not isinstance(member, types.MemberDescriptorType):
        return bound_member(cx, box.cls, box, name, member)
    if default is not UNDEFINED:
        return default
    return cx.fail(UndefinedNameError, f"{describe(box)} has no attribute {name!r}")


def has_attribute(cx: Context, box: Box, name: str) -> bool:
    missing = object()
    return get_attribute(cx, box, name, missing) is not missing


def member_of(cls: type, name: str) -> Any:
    """What a class has under a name, before it is bound; UNDEFINED where there is nothing."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return UNDEFINED


def bound_member(cx: Context, cls: type, owner: Any, name: str, member: Any) -> Any:
    """A member of a class, looked up on an instance (or on the class: `owner` None)."""
    if isinstance(member, staticmethod):
        return member.__func__
    if isinstance(member, classmethod):
        return Bound(member.__func__, cls)
    function = isinstance(member, types.FunctionType) or hasattr(member, "py_func")
    if owner is not None and (function or hasattr(member, "__wrapped__")):
        return Bound(member, owner)
    if isinstance(member, functools.partialmethod) and owner is not None:
        return calls.Partial(Bound(member.func, owner), member.args, member.keywords)
    return known_member(cx, cls, name, getattr(cls, name))


def super_of(cx: Context, args: Sequence[Any]) -> Super:
    """`super()`, which knows the class that the method stands in, or `super(cls, self)`."""
    if len(args) == 2:
        return Super(*args)
    frame, found = cx.frame, cx.frame.closure.get("__class__")
    names = [a.id for a in (*frame.source.node.args.posonlyargs, *frame.source.node.args.args)]
    if args or found is None or not names:
        cx.fail(UnsupportedCallError, "super() is supported in methods")
    return Super(found(), frame.locals[names[0]])


def super_attribute(cx: Context, value: Super, name: str) -> Any:
    """What the classes after `value.cls` have under a name."""
    cls = value.owner.cls if isinstance(value.owner, Box) else value.owner
    bases = cls.__mro__[cls.__mro__.index(value.cls) + 1 :]
    base = next((b for b in bases if name in b.__dict__), None)
    if base is None:
        cx.fail(UndefinedNameError, f"no base of {value.cls.__name__} has {name!r}")
    member = base.__dict__[name]
    if isinstance(member, property):
        return calls.call(cx, member.fget, [value.owner], {})
    if isinstance(member, classmethod):
        return Bound(member.__func__, cls)
    if base is object and name == "__init__":
        return Bound(nothing, value.owner)
    return bound_member(cx, base, value.owner, name, member)


def nothing(self: Any) -> None:
    """What `object.__init__` does."""


def set_attribute(cx: Context, box: Box, name: str, value: Any, direct: bool = False) -> None:
    """`box.name = value`; `direct` as by `object.__setattr__`."""
    if not isinstance(box, Box) or box.cls in (list, dict):
        cx.fail(
            MutationError,
            f"an attribute of {describe(box)} cannot be assigned",
            "use a local variable, or an attribute of an instance",
        )
    frozen = getattr(box.cls, "__dataclass_params__", None)
    if frozen is not None and frozen.frozen and not direct:
        cx.fail(
            MutationError,
            f"{box.cls.__name__} is frozen: {name!r} cannot be assigned",
            "make a new one: dataclasses.replace(…)",
        )
    if not direct and (_user_defined(box.cls, "__setattr__")):
        cx.fail(MutationError, f"{box.cls.__name__} defines __setattr__, which is not followed")
    member = member_of(box.cls, name)
    if isinstance(member, property):
        if member.fset is None:
            cx.fail(MutationError, f"the property {name!r} cannot be assigned")
        calls.call(cx, member.fset, [box, value], {})
        return
    save(cx, box, name, value)


# --- operators -----------------------------------------------------------------------------------


def special(box: Any, name: str) -> Any:
    """The method that an instance's class has for an operator; None where there is none."""
    if not isinstance(box, Box) or box.cls in (list, dict):
        return None
    member = member_of(box.cls, name)
    return None if member is UNDEFINED or member is None else member


def try_special(cx: Context, owner: Any, name: str, *args: Any) -> Any:
    """The value of an operator's method; NotImplemented where the class leaves it to the other."""
    method = special(owner, name)
    if method is None or not isinstance(method, types.FunctionType):
        return NotImplemented
    if _generated(method):
        return _generated_comparison(cx, owner, name, *args)
    return calls.call(cx, method, [owner, *args], {})


def _generated_comparison(cx: Context, box: Box, name: str, other: Any) -> Any:
    """The comparisons that `@dataclass` writes compare the fields as tuples."""
    from s2s_ad.frontend import comparisons, containers

    if not isinstance(other, Box) or other.cls is not box.cls:
        return NotImplemented
    names = [f.name for f in dataclasses.fields(box.cls) if f.compare]
    if name != "__eq__":
        if len(names) != 1:
            cx.fail(UnsupportedTypeError, "an order of several fields is not supported")
        sides = (load(cx, box, names[0]), load(cx, other, names[0]))
        return comparisons.compare_values(cx, name.strip("_"), *sides)
    pairs = [new_list(cx, [load(cx, b, n) for n in names]) for b in (box, other)]
    return containers.equal(cx, *pairs)


def operator(cx: Context, op: str, a: Any, b: Any) -> Any:
    """`a op b` where one is an instance, `op` the name of a gast operator."""
    name = BINARY[op]
    if is_array(a) and not _outranks_arrays(b):
        cx.fail(
            UnsupportedTypeError,
            f"NumPy would apply the operator to each element and {describe(b)}",
            f"write the {b.cls.__name__} first, or set __array_ufunc__ = None in its class",
        )
    sides = [(a, f"__{name}__", b), (b, f"__r{name}__", a)]
    if _overrides(a, b, f"__r{name}__"):
        sides.reverse()
    if isinstance(a, Box) and isinstance(b, Box) and a.cls is b.cls:
        sides = sides[:1]
    for owner, method, other in sides:
        found = try_special(cx, owner, method, other)
        if found is not NotImplemented:
            return found
    message = f"{describe(a)} and {describe(b)} have no operator for this: __{name}__"
    return cx.fail(UnsupportedTypeError, message)


def _outranks_arrays(box: Any) -> bool:
    return getattr(getattr(box, "cls", None), "__array_ufunc__", 0) is None


def _overrides(a: Any, b: Any, method: str) -> bool:
    """True where Python asks `b` first: its class is a subclass that has the method anew."""
    if not (isinstance(a, Box) and isinstance(b, Box)) or a.cls is b.cls:
        return False
    return issubclass(b.cls, a.cls) and member_of(a.cls, method) is not member_of(b.cls, method)


def in_place(cx: Context, op: str, a: Any, b: Any) -> Any:
    """`a op= b`: the value that the target gets."""
    found = try_special(cx, a, f"__i{BINARY[op]}__", b)
    return operator(cx, op, a, b) if found is NotImplemented else found


def comparison(cx: Context, name: str, a: Any, b: Any) -> Any:
    """`a name b` (eq, lt, …) where one is an instance."""
    from s2s_ad.frontend import comparisons

    for owner, method, other in ((a, name, b), (b, MIRROR[name], a)):
        found = try_special(cx, owner, f"__{method}__", other)
        if found is not NotImplemented:
            return found
        if method == "ne":
            found = try_special(cx, owner, "__eq__", other)
            if found is not NotImplemented:
                return calls.ar.logical_not(cx, found)
    if name in ("eq", "ne"):
        return comparisons.identical(cx, a, b) == (name == "eq")
    return cx.fail(UnsupportedTypeError, f"{describe(a)} and {describe(b)} have no order")


def unary(cx: Context, name: str, box: Box) -> Any:
    """`-box`, `abs(box)`, `len(box)`, `bool(box)`: `name` is neg, abs, len, …"""
    found = try_special(cx, box, f"__{name}__")
    if found is NotImplemented:
        cx.fail(UnsupportedTypeError, f"{describe(box)} has no __{name}__")
    return found


def truth(cx: Context, box: Box) -> Any:
    """`bool(box)`, as a value whose truth is to be taken."""
    for name in ("__bool__", "__len__"):
        if special(box, name) is not None:
            return unary(cx, name.strip("_"), box)
    return True


def call_instance(cx: Context, box: Box, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    method = member_of(box.cls, "__call__")
    if method is UNDEFINED:
        cx.fail(UnsupportedCallError, f"{describe(box)} cannot be called")
    return calls.call(cx, bound_member(cx, box.cls, box, "__call__", method), args, kwargs)


def replaced(cx: Context, obj: Any, /, **changes: Any) -> Any:
    """`dataclasses.replace(obj, **changes)`."""
    if not isinstance(obj, Box) or not dataclasses.is_dataclass(obj.cls):
        cx.fail(UnsupportedTypeError, f"dataclasses.replace needs a dataclass, not {describe(obj)}")
    fields = [f for f in dataclasses.fields(obj.cls) if f.init]
    given = {f.name: changes.pop(f.name, UNDEFINED) for f in fields}
    kept = {n: get_attribute(cx, obj, n) if v is UNDEFINED else v for n, v in given.items()}
    return construct(cx, obj.cls, [], {**kept, **changes})
