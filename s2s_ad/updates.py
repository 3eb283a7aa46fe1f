"""Writing back what a function assigns to the caller's objects: attributes, lists, dicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from s2s_ad.api_errors import OverlapError
from s2s_ad.instances import attributes, is_instance
from s2s_ad.specialise import Program, Update
from s2s_ad.trees import child, children

#: (name, position or None, value) of every argument.
Bound = Sequence[tuple[str, int | None, Any]]


def call_with_updates(entry: Any, leaves: tuple, bound: Bound) -> Any:
    """Call a specialisation whose function assigns to objects. `differentiate` assigns as Python
    would; derivatives leave the caller's objects alone. OverlapError where an object is passed
    twice: it would have to change in both places."""
    program = entry.derived.program
    check_apart(program, bound)
    if entry.derived.mode != "primal" or not program.updates:
        return entry.call(leaves)
    value, *fields = entry.call(leaves)
    targets = [target(update, bound) for update in program.updates]  # before any of them changes
    for update, obj, field in zip(program.updates, targets, fields):
        assign(obj, update.field, field)
    return value


def check_apart(program: Program, bound: Bound) -> None:
    """OverlapError where an object is met in two places, which the compiled function would not
    know."""
    met = {id(obj): f"the {type(obj).__name__} that {program.func.name} reads from around it"
           for obj in program.objects}  # fmt: skip
    for name, _, value in bound:
        for obj, path in objects_in(value, name):
            if id(obj) in met:
                raise OverlapError(
                    f"{met[id(obj)]} and {path} are one object, and the function assigns "
                    f"{program.assigned}",
                    advice="pass a copy of one of them",
                )
            met[id(obj)] = path


def objects_in(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The objects that can change in a value, with their paths."""
    taken_apart = children(value)
    if taken_apart is None:
        return
    if type(value) in (list, dict) or is_instance(value):
        yield value, path
    for key, part in zip(*taken_apart):
        yield from objects_in(part, child(value, path, key))


def target(update: Update, bound: Bound) -> Any:
    """The caller's object that a field is assigned to."""
    first, *rest = update.route
    obj = next(v for name, position, v in bound if first in (name, position))
    for key in rest:
        obj = attributes(obj)[key] if is_instance(obj) else getattr_or_item(obj, key)
    return obj


def assign(obj: Any, field: str, value: Any) -> None:
    """Put the final value of a field into the caller's object."""
    if type(obj) is list:
        obj[:] = value
    elif type(obj) is dict:
        obj.clear()
        obj.update(value)
    else:
        object.__setattr__(obj, field, value)


def getattr_or_item(obj: Any, key: Any) -> Any:
    """A part of a tuple, list, dict or named tuple."""
    return getattr(obj, key) if hasattr(obj, "_fields") else obj[key]
