"""The short way of a call that has been made before: one generated function for a specialisation.

It takes what the user passes, looks at it once, calls the compiled function and makes the user's
result. Where anything is not as the specialisation has it, it gives the call to the next short way,
and the last of them to the long way, which is the truth: a short way only knows what to do with
arguments that need no conversion. For a function of an array and an optional number,

    def f_grad(x=_absent, rate=_absent, *_rest):
        if _rest: return _miss(x, rate, *_rest)
        if type(x) is not ndarray or x.dtype is not _c1 or x.ndim != 1 or …: return _miss(…)
        if type(rate) is not float and …: return _miss(…)
        _x1 = _get()                      # a guard: a global number that was compiled in
        if _x1 is not _c2 and not same(_x1, _c2): return _miss(…)
        return _kernel(x, rate)

What is read from around the function is read again by every call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from s2s_ad.backend.jit import direct
from s2s_ad.compiled import Specialisation, same
from s2s_ad.matching import Unsupported, Writer, holds_objects
from s2s_ad.specialise import Argument, Update
from s2s_ad.trees import Leaf


class _Absent:
    """In place of an argument that was not passed."""

    def __repr__(self) -> str:
        return "<not passed>"


ABSENT = _Absent()


@dataclass(frozen=True)
class Form:
    """How the arguments of a function are passed, as text for functions that take the same.

    `names` may be passed by position, `rest` are more of these, `only` by keyword; `defaults` count
    as passed.
    """

    taken: tuple[str, ...]
    names: tuple[str, ...]
    rest: str
    only: tuple[str, ...]
    parameters: str
    passing: str
    defaults: Mapping[str, Any]

    @staticmethod
    def of(signature: inspect.Signature, defaults: Mapping[str, Any]) -> Form | None:
        """The form of a signature; None for a function that takes any keyword."""
        found = signature.parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in found):
            return None
        before = [p.name for p in found if p.kind is p.POSITIONAL_ONLY]
        either = [p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD]
        only = [p.name for p in found if p.kind is p.KEYWORD_ONLY]
        mark = Writer(signature.parameters).prefix
        rest = next((p.name for p in found if p.kind is p.VAR_POSITIONAL), f"{mark}rest")

        def absent(names: Sequence[str]) -> list[str]:
            return [f"{name}={mark}absent" for name in names]

        slash = ["/"] if before else []
        parameters = [*absent(before), *slash, *absent(either), f"*{rest}", *absent(only)]
        passing = [*before, *either, f"*{rest}", *(f"{name}={name}" for name in only)]
        texts = ", ".join(parameters), ", ".join(passing)
        taken = tuple(signature.parameters)
        return Form(taken, (*before, *either), rest, tuple(only), *texts, defaults)

    def writer(self) -> Writer:
        """The writer of a function of this form, which leaves for the next one."""
        writer = Writer(self.taken)
        writer.names[f"{writer.prefix}absent"] = ABSENT
        writer.miss = f"{writer.prefix}miss({self.passing})"
        return writer

    def long_way(self, name: str, call: Callable[[tuple, dict[str, Any]], Any]) -> Callable:
        """The function of this form that gives its arguments to `call`, positional and by name."""
        writer = self.writer()
        names = ", ".join(f"({n!r}, {n})" for n in self.names)
        only = ", ".join(f"({n!r}, {n})" for n in self.only)
        collected = writer.name(_collected)
        writer.line(f"return {writer.name(call)}(*{collected}([{names}], {self.rest}, [{only}]))")
        return writer.function(name, self.parameters)


def _collected(
    named: list[tuple[str, Any]], rest: tuple, only: list[tuple[str, Any]]
) -> tuple[tuple, dict[str, Any]]:
    """What was passed, as `*args` and `**kwargs`."""
    cut = next((k for k, (_, value) in enumerate(named) if value is ABSENT), len(named))
    later = [(n, v) for n, v in (*named[cut:], *only) if v is not ABSENT]
    return (*(v for _, v in named[:cut]), *rest), dict(later)


@dataclass(frozen=True)
class Way:
    """A short way. `link` says where it leaves for."""

    entry: Specialisation
    call: Callable[..., Any]
    miss: str

    def link(self, other: Callable[..., Any]) -> None:
        self.call.__globals__[self.miss] = other


def linked(ways: Sequence[Way], last: Callable[..., Any]) -> Callable[..., Any]:
    """The function that tries the ways one after the other, and then `last`. A way goes to one
    that comes later in `ways` at any time, also while it is relinked: other threads may be in it.
    """
    for way, after in reversed([*zip(ways, (*(w.call for w in ways[1:]), last))]):
        way.link(after)
    return ways[0].call if ways else last


def short_way(entry: Specialisation, form: Form, name: str) -> Way | None:
    """The short way to a specialisation of a function; None where it has none."""
    arguments = entry.derived.program.arguments
    writer = form.writer()
    try:
        _passed(writer, form, arguments)
        _finish(writer, entry, ())
    except Unsupported:
        return None
    made = writer.function(name, form.parameters)
    return Way(entry, made, f"{writer.prefix}miss")


def _passed(writer: Writer, form: Form, arguments: Sequence[Argument]) -> None:
    """Leave where other arguments are passed, or others than these; note their leaves."""
    texts = {a.name: a.name for a in arguments}
    rest = [a for a in arguments if a.name not in (*form.names, *form.only)]
    writer.leave_if(f"{writer.name(len)}({form.rest}) != {len(rest)}" if rest else form.rest)
    for k, argument in enumerate(rest):
        texts[argument.name] = writer.local(f"{form.rest}[{k}]")
    for name in (*form.names, *form.only):
        if name in form.defaults and name in texts:
            default = writer.name(form.defaults[name])
            writer.line(f"if {name} is {writer.prefix}absent: {name} = {default}")
        elif name not in texts:
            writer.leave_if(f"{name} is not {writer.prefix}absent")
    for argument in arguments:
        writer.value(argument.spec, texts[argument.name], (_first(argument),))


def _first(argument: Argument) -> str | int:
    """Where routes to parts of an argument begin."""
    return argument.name if argument.position is None else argument.position


def short_jvp(
    entry: Specialisation, defaults: Mapping[str, Any], single: bool, name: str
) -> Way | None:
    """The short way of a jvp, which takes (primals, tangents). `single`: a tangent may be bare."""
    derived = entry.derived
    arguments = derived.program.arguments
    writer = Writer(("primals", "tangents"))
    writer.miss = f"{writer.prefix}miss(primals, tangents)"
    try:
        leaves = _primals(writer, arguments, defaults)
        _tangents(writer, derived.wrt, leaves, single)
        given = sum(map(len, leaves.values()))
        _finish(writer, entry, range(given, len(writer.leaves)))
    except Unsupported:
        return None
    made = writer.function(name, "primals, tangents")
    return Way(entry, made, f"{writer.prefix}miss")


def _primals(
    writer: Writer, arguments: Sequence[Argument], defaults: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Leave where the primals are not these arguments; the names of the leaves of each."""
    passed = [a for a in arguments if a.position is not None]
    one_of = writer.name((tuple, list))
    writer.leave_if(
        f"{writer.name(type)}(primals) not in {one_of}",
        f"{writer.name(len)}(primals) != {len(passed)}",
    )
    leaves = {}
    for argument in arguments:
        at = argument.position
        default = "" if at is not None else writer.name(defaults[argument.name])
        text = writer.local(default or f"primals[{at}]")
        before = len(writer.leaves)
        writer.value(argument.spec, text, (_first(argument),))
        leaves[argument.name] = writer.leaves[before:]
    return leaves


def _tangents(
    writer: Writer, wrt: Sequence[Argument], leaves: dict[str, list[str]], single: bool
) -> None:
    """Leave where the tangents do not fit the arguments in `wrt`."""
    size = writer.name(len)
    sequence = f"{writer.name(isinstance)}(tangents, {writer.name((tuple, list))})"
    if single:
        bare = f"tangents[0] if {sequence} and {size}(tangents) == 1 else tangents"
        texts = [writer.local(bare)]
    else:
        writer.leave_if(f"not {sequence}", f"{size}(tangents) != {len(wrt)}")
        texts = [f"tangents[{k}]" for k in range(len(wrt))]
    for argument, text in zip(wrt, texts):
        shapes = (f"{leaf}.shape" for leaf in leaves[argument.name])
        writer.seed(argument.spec, shapes, writer.local(text))


def _finish(writer: Writer, entry: Specialisation, seeds: Sequence[int]) -> None:
    """The second half of a short way: what is read from around the function, the call, the result.
    `seeds` are the leaves that are tangents."""
    program = entry.derived.program
    if program.assigned:
        _check_apart(writer, entry)
    for get, expected in entry.guards:
        found, known = writer.local(f"{writer.name(get)}()"), writer.name(expected)
        differs = f"not {writer.name(same)}({found}, {known})"
        writer.leave_if(f"{found} is not {known} and {differs}")
    _captured(writer, entry)
    _check_overlap(writer, entry, seeds)
    kernel = writer.name(direct(entry.kernel, entry.types))
    call = f"{kernel}({', '.join(writer.leaves)})"
    leaves = list(writer.leaves)
    if entry.derived.mode != "primal" or not program.updates:
        writer.returning(call, entry.count, lambda w, names: entry.finish(w, names, leaves))
    else:
        _update(writer, entry, call)


def _captured(writer: Writer, entry: Specialisation) -> None:
    """Leave where captured arrays are not as they were, else note them as leaves."""
    count = len(entry.captures)
    first = len(writer.leaves)
    for get, kind in zip(entry.captures, entry.types[len(entry.types) - count :]):
        writer.value(Leaf(kind), writer.local(f"{writer.name(get)}()"), ("captured", get))
    writer.leave_if(*(f"{a} is {b}" for a, b in combinations(writer.leaves[first:], 2)))


def _check_overlap(writer: Writer, entry: Specialisation, seeds: Sequence[int]) -> None:
    """Leave where an array that is written to, or donated, may share memory with another. Two
    arrays that own their memory do not; no element of a contiguous array overlaps another."""
    leaves, own = writer.leaves, len(writer.leaves) - len(entry.captures) - len(seeds)
    owners: dict[str, str] = {}

    def owns(x: str) -> str:
        if x not in owners:
            owners[x] = writer.local(f"{x}.flags.owndata")
        return owners[x]

    done = set()
    for param in dict.fromkeys((*entry.donated, *entry.writes)):
        p = param if param < own else param + len(seeds)  # captured arrays come last
        for q in range(len(leaves)):
            counts = q not in seeds or param in entry.donated
            if q == p or not counts or not entry.types[q].is_array or frozenset((p, q)) in done:
                continue
            done.add(frozenset((p, q)))
            a, b = leaves[p], leaves[q]
            shared = f"{writer.name(np.may_share_memory)}({a}, {b})"
            writer.leave_if(f"{a} is {b}", f"not ({owns(a)} and {owns(b)}) and {shared}")


def _check_apart(writer: Writer, entry: Specialisation) -> None:
    """Leave where an object is met in two places, and the function assigns to objects."""
    program = entry.derived.program
    if any(holds_objects(a.spec) for a in program.arguments):
        raise Unsupported
    around = [writer.name(obj) for obj in program.objects]
    pairs = [*combinations(writer.objects, 2), *((x, y) for x in writer.objects for y in around)]
    writer.leave_if(*(f"{a} is {b}" for a, b in pairs))


def _update(writer: Writer, entry: Specialisation, call: str) -> None:
    """Call, put the final values of fields into the caller's objects, and return the value."""
    program = entry.derived.program
    leaves = list(writer.leaves)

    def finish(inner: Writer, names: Sequence[str]) -> str:
        made = inner.local(entry.finish(inner, names, leaves))
        for k, update in enumerate(program.updates, 1):
            _assign(inner, update, f"{made}[{k}]", program.arguments)
        return f"{made}[0]"

    writer.returning(call, entry.count, finish)


def _assign(writer: Writer, update: Update, value: str, arguments: Sequence[Argument]) -> None:
    """Put the final value of a field into the caller's object."""
    first, *keys = update.route
    at = next(_first(a) for a in arguments if first in (a.name, a.position))
    obj = writer.places[(at, *keys)]
    spec: Any = next(a.spec for a in arguments if _first(a) == at)
    for key in keys:
        spec = spec.parts[spec.keys.index(key)]
    if spec.cls is list:
        writer.line(f"{obj}[:] = {value}")
    elif spec.cls is dict:
        writer.line(f"{obj}.clear(); {obj}.update({value})")
    else:
        writer.line(f"{writer.name(object.__setattr__)}({obj}, {update.field!r}, {value})")
