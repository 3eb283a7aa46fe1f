"""Strings: what is known is a str; what holds values that are known only when running is a `Text`,
which can be shown but not looked into."""

from __future__ import annotations

import builtins
import dataclasses
import re
import string
import types
from collections.abc import Sequence
from typing import Any

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import StaticValueError, UnsupportedTypeError
from s2s_ad.frontend.heap import filled, is_dict, is_list, is_object, items_of
from s2s_ad.frontend.memory import read
from s2s_ad.frontend.registry import handles
from s2s_ad.frontend.values import (
    Field,
    Record,
    Rows,
    Text,
    children,
    describe,
    is_array,
    is_atom,
    is_dynamic,
    is_namedtuple,
    is_number,
)
from s2s_ad.ir.core import Atom, Lit
from s2s_ad.ir.types import DTYPES

_CONVERSIONS = {"": str, "s": str, "r": repr, "a": ascii}
_PERCENT = re.compile(r"%(?:%|([-+ #0]*)(\d*)(\.\d+)?([diouxXeEfFgGcrsa]))")
_PYTHON_TYPES = {"bool": "bool", "i64": "int", "f64": "float", "c128": "complex"}


def joined(parts: Sequence[Any]) -> Any:
    """A str, or a Text, of strs, fields and texts one after the other."""
    flat: list[Any] = []
    for part in parts:
        for piece in part.parts if isinstance(part, Text) else (part,):
            if isinstance(piece, str) and flat and isinstance(flat[-1], str):
                flat[-1] += piece
            else:
                flat.append(piece)
    if all(isinstance(p, str) for p in flat):
        return "".join(flat)
    return Text(tuple(flat))


def field(cx: Context, value: Any, conversion: str, spec: Any, source: str) -> Any:
    """`{value!conversion:spec}`."""
    if isinstance(spec, Text):
        cx.fail(StaticValueError, "a format must be known when compiling")
    if holds_objects(cx, value):
        if spec and not conversion:
            cx.fail(UnsupportedTypeError, f"a format of {describe(value)}", "format its numbers")
        value, conversion = object_text(cx, value, conversion), ""
    value = snapshot(cx, value)
    if isinstance(value, Text) and conversion in ("", "s") and not spec:
        return value
    if _unknown(value):
        return Field(value, conversion, spec, source=source)
    try:
        return format(_CONVERSIONS[conversion](value) if conversion else value, spec)
    except (ValueError, TypeError) as error:
        return cx.fail(UnsupportedTypeError, str(error))


def percent(cx: Context, template: str, values: Any) -> Any:
    """`template % values`."""
    values = snapshot(cx, values)
    if not _unknown(values) and not holds_objects(cx, values):
        try:
            return template % values
        except (ValueError, TypeError) as error:
            cx.fail(UnsupportedTypeError, str(error))
    items = list(values) if type(values) is tuple else [values]
    parts: list[Any] = []
    end = 0
    for match in _PERCENT.finditer(template):
        parts.append(template[end : match.start()])
        end = match.end()
        if match.group() == "%%":
            parts.append("%")
        elif not items:
            cx.fail(UnsupportedTypeError, "not enough values for this format")
        else:
            item = items.pop(0)
            if holds_objects(cx, item) and match.group(4) in "sra":
                item, match = object_text(cx, item, match.group(4)), _PERCENT.match("%s")
            parts.append(_percent_field(item, match) if _unknown(item) else match.group() % (item,))
    parts.append(template[end:])
    if items or "%" in _PERCENT.sub("", template):
        cx.fail(UnsupportedTypeError, f"{template!r} is not a format for these values")
    return joined(parts)


def _percent_field(item: Any, match: re.Match) -> Field:
    """`%-8.3s` is `{!s:<8.3}`, which numba lets pass; numbers keep their `%`."""
    flags, width, precision, kind = match.groups()
    if kind not in ("s", "r", "a"):
        return Field(item, spec=match.group(), percent=True)
    align = ("<" if "-" in flags else ">") + width if width else ""
    return Field(item, kind, align + (precision or ""))


def formatted(cx: Context, template: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """`template.format(*args, **kwargs)`."""
    parts: list[Any] = []
    counter = 0
    for before, name, spec, conversion in string.Formatter().parse(template):
        parts.append(before)
        if name is None:
            continue
        if name == "":
            name, counter = str(counter), counter + 1
        known = int(name) < len(args) if name.isdigit() else name in kwargs
        if not known or "{" in (spec or ""):
            cx.fail(UnsupportedTypeError, f"the field {{{name}}} of a format is not supported")
        value = args[int(name)] if name.isdigit() else kwargs[name]
        parts.append(field(cx, value, conversion or "", spec or "", name))
    return joined(parts)


# --- what is shown -------------------------------------------------------------------------------


def shown(cx: Context, value: Any) -> Any:
    """What `print(value)` shows of it: instances as their text."""
    return object_text(cx, value, "s") if holds_objects(cx, value) else snapshot(cx, value)


def snapshot(cx: Context, value: Any) -> Any:
    """What a list, dict, tuple or array holds now, which later writes do not change."""
    if is_array(value):
        return cx.fresh(read(cx, value))
    if is_list(value) or is_dict(value):
        return snapshot(cx, _content(cx, value))
    if isinstance(value, Rows):
        return dataclasses.replace(value, buffer=snapshot(cx, filled(cx, value)))
    parts = children(value)
    return value if parts is None else parts[0]([snapshot(cx, v) for v in parts[1]])


def _content(cx: Context, value: Any) -> Any:
    items = items_of(cx, value)
    return list(items) if is_list(value) and not isinstance(items, Rows) else items


def _unknown(value: Any) -> bool:
    """True for what is shown by code, not now."""
    parts = children(value)
    inside = parts is not None and any(map(_unknown, parts[1]))
    return inside or is_dynamic(value) or isinstance(value, Lit)


def holds_objects(cx: Context, value: Any) -> bool:
    """True for an instance, and for a container of some."""
    if is_object(value):
        return True
    parts = children(_content(cx, value) if is_list(value) or is_dict(value) else value)
    return parts is not None and any(holds_objects(cx, v) for v in parts[1])


def object_text(cx: Context, value: Any, conversion: str) -> Any:
    """The text of an instance, or of a container that holds some."""
    if not holds_objects(cx, value):
        return joined([field(cx, value, "r", "", "…")])
    if is_object(value):
        return _instance_text(cx, value, conversion)
    items = _content(cx, value) if is_list(value) or is_dict(value) else value
    if isinstance(items, Record):
        named = zip(items.names, items.items)
        return _listed(cx, f"{items.cls.__name__}(", [([n, "="], v) for n, v in named], ")")
    if isinstance(items, dict):
        named = items.items()
        return _listed(cx, "{", [([object_text(cx, k, "r"), ": "], v) for k, v in named], "}")
    ends = "[]" if is_list(value) or type(items) is list else "()"
    last = ",)" if ends == "()" and len(items) == 1 else ends[1]
    return _listed(cx, ends[0], [([], v) for v in items], last)


def _listed(cx: Context, start: str, items: Sequence[tuple[list[Any], Any]], end: str) -> Any:
    parts: list[Any] = [start]
    for k, (label, value) in enumerate(items):
        parts += [", "] * (k > 0) + [*label, object_text(cx, value, "r")]
    return joined([*parts, end])


def _instance_text(cx: Context, value: Any, conversion: str) -> Any:
    """What `str` or `repr` of an instance is: its class's method, or what `@dataclass` writes."""
    from s2s_ad.frontend import objects

    for name in ("__repr__",) if conversion in ("r", "a") else ("__str__", "__repr__"):
        method = objects.special(value, name)
        generated = getattr(method, "__wrapped__", None)
        if generated is not None and generated.__code__.co_filename == "<string>":
            names = [f.name for f in dataclasses.fields(value.cls) if f.repr]
            named = [([n, "="], objects.get_attribute(cx, value, n)) for n in names]
            return _listed(cx, f"{value.cls.__qualname__}(", named, ")")
        if isinstance(method, types.FunctionType):
            found = objects.try_special(cx, value, name)
            if not isinstance(found, (str, Text)):
                cx.fail(UnsupportedTypeError, f"{name} gives {describe(found)}, not a string")
            return found
    return cx.fail(
        UnsupportedTypeError,
        f"{describe(value)} cannot be shown: its text would be its address",
        "show its numbers and arrays, or define __repr__",
    )


@handles(builtins.str, boxes=True)
def str_(cx: Context, value: Any = "") -> Any:
    return joined([field(cx, value, "s", "", "…")])


@handles(builtins.repr, boxes=True)
def repr_(cx: Context, value: Any) -> Any:
    return joined([field(cx, value, "r", "", "…")])


@handles(builtins.format, boxes=True)
def format_(cx: Context, value: Any, format_spec: Any = "") -> Any:
    return joined([field(cx, value, "", format_spec, "…")])


# --- as Python code ------------------------------------------------------------------------------


class Code:
    """Writes values as Python expressions over operands `_0`, `_1`, …, which it collects."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self.operands: list[Atom] = []

    def place(self, atom: Atom) -> str:
        if atom not in self.operands:
            self.operands.append(atom)
        return f"_{self.operands.index(atom)}"

    def of(self, value: Any) -> str:
        """An expression that is `value` when running: Python's numbers are Python's, NumPy's are
        NumPy's, so that they are shown as the user's program would show them."""
        if isinstance(value, Text):
            return self.text(value)
        if is_array(value):
            return self.place(ar.read(self.cx, value))
        if is_atom(value):
            dtype, weak = ar.dtype_of(self.cx, value)
            kind = _PYTHON_TYPES[dtype] if weak else f"np.{DTYPES[dtype][0]}"
            inner = repr(value.value) if isinstance(value, Lit) else self.place(value)
            return f"{kind}({inner})"
        if type(value) is float and repr(value).strip("-") in ("inf", "nan"):
            return f"float({repr(value)!r})"
        if is_number(value) or value is None or isinstance(value, (str, bytes, range)):
            return repr(value)
        return self.container(value)

    def container(self, value: Any) -> str:
        if isinstance(value, Rows):
            rows = self.of(value.buffer)
            return f"{rows}.tolist()" if value.weak else f"list({rows})"
        if type(value) is tuple:
            items = ", ".join(map(self.of, value))
            return f"({items},)" if len(value) == 1 else f"({items})"
        if type(value) is list:
            return f"[{', '.join(map(self.of, value))}]"
        if type(value) is dict:
            return "{" + ", ".join(f"{self.of(k)}: {self.of(v)}" for k, v in value.items()) + "}"
        advice = "show its numbers and arrays"
        if is_dynamic(value) or is_namedtuple(value):
            return self.cx.fail(UnsupportedTypeError, f"{describe(value)} cannot be shown", advice)
        return repr(str(value))

    def text(self, value: Text) -> str:
        template, args = "", []
        for part in value.parts:
            if isinstance(part, str):
                template += part.replace("{", "{{").replace("}", "}}")
                continue
            inner = self.of(part.value)
            args.append(f"{part.spec!r} % ({inner},)" if part.percent else inner)
            form = "" if part.percent else f":{part.spec}" if part.spec else ""
            template += "{" + (f"!{part.conversion}" if part.conversion else "") + form + "}"
        return f"{template!r}.format({', '.join(args)})"
