"""From a call to the typed program that it runs, and from there to the program that differentiates.

A `Program` is an IR function together with the structure of what it takes and gives:

    func.params    the leaves of the arguments in order, then the captured arrays
    func.results   the leaves of the value in order, then the final versions of written arguments
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s2s_ad.api_errors import (
    ArgumentTypeError,
    InactiveArgumentError,
    NotScalarError,
    OutputsError,
    StaticArgumentError,
    WrtError,
)
from s2s_ad.frontend import Static, Traced, trace
from s2s_ad.frontend.heap import ITEMS
from s2s_ad.frontend.results import Leaf as OutLeaf
from s2s_ad.frontend.values import Record
from s2s_ad.ir.core import Func, Region, Var
from s2s_ad.trees import (
    Known,
    Leaf,
    Node,
    Spec,
    children,
    describe,
    has_float,
    known,
    leaf_specs,
    map_spec,
    mirror_class,
)


class _Others:
    """`wrt` of a method's jvp and vjp: every floating-point argument after the object."""

    def __repr__(self) -> str:
        return "the arguments after the first"


AFTER_FIRST = _Others()

Wrt = int | str | tuple[int | str, ...] | _Others | None
Outputs = str | tuple[str, ...] | None
Donate = int | str | tuple[int | str, ...]


@dataclass(frozen=True)
class Argument:
    """One argument of a call. `position` is None for one that is passed by keyword."""

    name: str
    position: int | None
    spec: Spec


@dataclass(frozen=True)
class Program:
    """`out` is the structure of the value; `captures` read the captured arrays, `guards` tell
    whether what was taken for known is still so; `writes` are the parameters that the *user's*
    function writes to, whether or not `func` does; of those, `undecided` are not among the results;
    `selected` names what `out` holds. `updates` are the fields of the caller's objects that the
    function assigns, which are further results; `assigned` names the first of them, also where they
    are no results any more. `objects` are those that it reads from around it."""

    func: Func
    arguments: tuple[Argument, ...]
    out: Spec
    captures: tuple[Callable[[], Any], ...]
    guards: tuple[tuple[Callable[[], Any], Any], ...]
    writes: tuple[int, ...]
    undecided: tuple[int, ...] = ()
    selected: str | tuple[str, ...] = "return"
    updates: tuple[Update, ...] = ()
    objects: tuple[Any, ...] = ()
    assigned: str = ""

    def leaf_range(self, argument: Argument) -> range:
        """The parameters that the leaves of `argument` are."""
        start = 0
        for other in self.arguments:
            size = sum(1 for _ in leaf_specs(other.spec))
            if other is argument:
                return range(start, start + size)
            start += size
        raise KeyError(argument.name)


@dataclass(frozen=True)
class Update:
    """A field of a caller's object that the function assigns; `spec` None where it cannot be
    written back, for `reason`. `route` leads from the arguments to the object."""

    path: str
    route: tuple | None
    field: str
    spec: Spec | None
    reason: str

    @property
    def name(self) -> str:
        return self.path if self.field in ("", ITEMS) else f"{self.path}.{self.field}"


class Binder:
    """How the arguments of a call are put in order for one function and one `static=`."""

    def __init__(self, fn: Callable[..., Any], static: Sequence[str], wrt: Wrt) -> None:
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self.signature = inspect.signature(fn)
        self.static = frozenset(static)
        self.named = frozenset(w for w in _as_tuple(wrt) if isinstance(w, str))
        parameters = self.signature.parameters
        for name in static:
            if name not in parameters:
                raise StaticArgumentError(f"static={name!r}: {self.name} has no such argument")
        kinds = {name: p.kind for name, p in parameters.items()}
        one_each = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.positional = [name for name, kind in kinds.items() if kind in one_each]
        several = inspect.Parameter.VAR_POSITIONAL
        self.variadic = next((name for name, kind in kinds.items() if kind is several), "")
        #: what counts as passed where it is not: the defaults of parameters that `wrt` names
        self.defaults = {
            name: p.default
            for name, p in parameters.items()
            if name in self.named and p.default is not p.empty
        }

    def bind(self, args: tuple, kwargs: dict[str, Any]) -> list[tuple[str, int | None, Any]]:
        """(name, position or None, value) of every argument, in order. Defaults that are not passed
        are left to the function, except those that `wrt` names. TypeError as Python has it."""
        bound = self.signature.bind(*args, **kwargs)
        found: list[tuple[str, int | None, Any]] = []
        for position, value in enumerate(bound.args):
            more = position - len(self.positional)
            label = self.positional[position] if more < 0 else f"{self.variadic}[{more}]"
            found.append((label, position, value))
        found += [(name, None, value) for name, value in bound.kwargs.items()]
        for name, default in self.defaults.items():
            if name not in bound.arguments:
                found.append((name, None, default))
        return found

    def describe(self, bound: list[tuple[str, int | None, Any]]) -> tuple[Argument, ...]:
        """The specs of bound arguments: the key of a specialisation."""
        return tuple(
            Argument(n, p, known(v, n) if n in self.static else _described(v, n))
            for n, p, v in bound
        )


def _described(value: Any, name: str) -> Spec:
    try:
        return describe(value, name)
    except RecursionError:
        raise ArgumentTypeError(
            f"{name} is, or holds, an object that is a part of itself",
            advice="leave the reference back out of what is passed",
        ) from None


def program_of(fn: Callable[..., Any], arguments: tuple[Argument, ...]) -> Program:
    """The program of a Python function for arguments with these specs."""
    args = [_abstract(a.spec) for a in arguments if a.position is not None]
    kwargs = {a.name: _abstract(a.spec) for a in arguments if a.position is None}
    return _from_trace(trace(fn, args, kwargs), arguments)


def _abstract(spec: Spec) -> Any:
    """What the frontend is given for an argument: types in place of numbers and arrays."""
    return map_spec(spec, lambda leaf: leaf.type, lambda k: Static(k.value))


def _from_trace(traced: Traced, arguments: tuple[Argument, ...]) -> Program:
    func = traced.func
    out = _out_spec(traced.out_tree.shape, func)
    captures = tuple(capture.get for capture in traced.captures)
    undecided = tuple(traced.params.index(path) for path in traced.undecided)
    writes = (*(p for p, _ in func.mutated), *undecided)
    updates = tuple(
        Update(u.path, u.route, u.field, _out_spec(u.tree, func) if u.route else None, u.reason)
        for u in traced.updates
    )
    return Program(
        func, arguments, out, captures, traced.guards, writes, undecided,
        updates=updates, objects=traced.objects, assigned=updates[0].name if updates else "",
    )  # fmt: skip


def _out_spec(shape: Any, func: Func) -> Spec:
    """The structure of what the frontend saw returned."""
    if isinstance(shape, OutLeaf):
        return Leaf(func.results[shape.index].type)
    if isinstance(shape, Record):
        parts = tuple(_out_spec(item, func) for item in shape.items)
        return Node(shape.cls, shape.names, parts)
    taken_apart = children(shape)
    if taken_apart is None:
        return known(shape, "a part of the returned value")
    keys, parts = taken_apart
    return Node(type(shape), keys, tuple(_out_spec(part, func) for part in parts))


def select_outputs(program: Program, outputs: Outputs) -> Program:
    """`program` with the value that is differentiated: what it returns, or what it leaves in the
    arguments that `outputs` names. It writes to nothing.

    With `outputs=None`, a function that returns None is taken by all arrays that it writes to.
    """
    func = program.func
    written = {func.params[p]: func.results[r] for p, r in func.mutated}
    if outputs is None:
        outputs = "return" if not _returns_none(program) else _written(program)
    chosen, specs = [], []
    for name in _as_tuple(outputs):
        if name == "return":
            size = sum(1 for _ in leaf_specs(program.out))
            chosen += func.results[:size]
            specs.append(program.out)
            continue
        argument = next((a for a in program.arguments if a.name == name), None)
        params = [func.params[i] for i in program.leaf_range(argument)] if argument else []
        if argument and set(program.undecided) & set(program.leaf_range(argument)):
            raise OutputsError(
                f"what {func.name} leaves in {name!r} depends on which array a name stands for",
                advice="end with a copy into the argument: result[:] = buffer",
            )
        assigned = [u.name for u in program.updates if _belongs(u, argument)]
        if assigned:
            raise OutputsError(
                f"outputs={name!r}: {func.name} assigns {assigned[0]}",
                advice="return what is to be differentiated",
            )
        if not any(p.type.is_array for p in params):
            raise OutputsError(
                f"outputs={name!r}: {func.name} has no argument of this name that holds an array",
                advice="outputs takes 'return' and names of arguments that are written to",
            )
        chosen += [written.get(p, p) for p in params]
        specs.append(argument.spec)
    many = isinstance(outputs, tuple)
    out = Node(tuple, tuple(range(len(specs))), tuple(specs)) if many else specs[0]
    selected = func.with_(
        body=Region(func.params, func.body.eqns, tuple(chosen)),
        result_names=_result_names(_as_tuple(outputs), specs),
        mutated=(),
    )
    return replace(program, func=selected, out=out, selected=outputs)


def _belongs(update: Update, argument: Argument | None) -> bool:
    """True for an update of an object in this argument, or of one that may be anywhere."""
    if argument is None or update.route is None:
        return update.route is None
    return update.route[0] in (argument.position, argument.name)


def _result_names(outputs: tuple[str, ...], specs: Sequence[Spec]) -> tuple[str, ...]:
    names = []
    for output, spec in zip(outputs, specs):
        base = "y" if output == "return" else output
        count = sum(1 for _ in leaf_specs(spec))
        names += [base] if count == 1 else [f"{base}{k}" for k in range(count)]
    return tuple(names)


def _returns_none(program: Program) -> bool:
    return isinstance(program.out, Known) and program.out.value is None


def _written(program: Program) -> str | tuple[str, ...]:
    """The arguments that the program writes floating-point numbers to."""
    func = program.func
    targets = {p for p, _ in func.mutated if func.params[p].type.is_float}
    names = [a.name for a in program.arguments if targets & set(program.leaf_range(a))]
    if not names:
        raise OutputsError(
            f"{func.name} returns None and writes to none of its arguments",
            advice="return what is to be differentiated, or write it into an argument",
        )
    return names[0] if len(names) == 1 else tuple(names)


def resolve_wrt(program: Program, wrt: Wrt) -> tuple[Argument, ...]:
    """The arguments that `wrt` selects, in its order; every floating-point one for None."""
    name = program.func.name
    if wrt is None or wrt is AFTER_FIRST:
        candidates = program.arguments[0 if wrt is None else 1 :]
        found = tuple(a for a in candidates if has_float(a.spec))
        if not found:
            raise WrtError(f"{name} is called without a floating-point argument")
        return found
    found = tuple(_argument(program, w) for w in _as_tuple(wrt))
    for k, argument in enumerate(found):
        if argument in found[:k]:
            raise WrtError(f"wrt selects {argument.name!r} of {name} twice")
        if not has_float(argument.spec):
            raise InactiveArgumentError(
                f"{argument.name!r} of {name} is {_kind(argument.spec)}: it has no derivative",
                advice="pass floating-point numbers if that is what they are: 2.0, not 2",
            )
    return found


def donated_params(program: Program, donate: Donate) -> tuple[int, ...]:
    """The parameters that the arrays in the donated arguments are."""
    found: list[int] = []
    for which in _as_tuple(donate):
        argument = _argument(program, which, "donate")
        arrays = [i for i in program.leaf_range(argument) if program.func.params[i].type.is_array]
        if not arrays:
            raise WrtError(f"donate={which!r}: {argument.name!r} holds no array")
        found += arrays
    return tuple(dict.fromkeys(found))


def _argument(program: Program, wrt: int | str, option: str = "wrt") -> Argument:
    positional = [a for a in program.arguments if a.position is not None]
    if isinstance(wrt, str):
        matches = [a for a in program.arguments if a.name == wrt]
    elif isinstance(wrt, int) and -len(positional) <= wrt < len(positional):
        matches = [positional[wrt]]
    else:
        matches = []
    if not matches:
        names = ", ".join(a.name for a in program.arguments)
        raise WrtError(
            f"{option}={wrt!r}: {program.func.name} is called without such an argument",
            advice=f"the arguments are {names}; {option} takes an index, a name or a tuple of them",
        )
    return matches[0]


def _kind(spec: Spec) -> str:
    if isinstance(spec, Leaf):
        kind = "boolean" if spec.type.dtype == "bool" else "integer"
        return f"an array of {kind}s" if spec.type.is_array else f"an {kind}"
    return "static" if isinstance(spec, Known) else "without floating-point parts"


def wrt_params(program: Program, wrt: Sequence[Argument]) -> tuple[int, ...]:
    """The parameters that the floating-point leaves of the arguments are."""
    return tuple(
        i for a in wrt for i in program.leaf_range(a) if program.func.params[i].type.is_float
    )


def require_scalar(program: Program) -> None:
    """NotScalarError unless the value is one real floating-point number."""
    name, out = program.func.name, program.out
    advice = "use vjp, which takes a cotangent of the value's shape, or return a sum"
    if not isinstance(out, Leaf):
        kind = "None" if isinstance(out, Known) else f"a {out.cls.__name__}"
        raise NotScalarError(f"grad needs one number, and {name} gives {kind}", advice=advice)
    if out.type.is_array:
        dims = f"{out.type.ndim}-dimensional array"
        raise NotScalarError(f"grad needs one number, and {name} gives a {dims}", advice=advice)
    if out.type.dtype not in ("f32", "f64"):
        raise NotScalarError(f"grad needs a real number, and {name} gives a {out.type.dtype}")


def mirror_spec(spec: Spec) -> Spec:
    """The structure of a derivative: None in place of what is not differentiable."""
    if isinstance(spec, Leaf):
        return spec if spec.type.is_float else known(None, "")
    if isinstance(spec, Known):
        return known(None, "")
    return Node(mirror_class(spec.cls), spec.keys, tuple(map(mirror_spec, spec.parts)))


def tuple_spec(*specs: Spec) -> Node:
    return Node(tuple, tuple(range(len(specs))), specs)


def with_captures_last(func: Func, captures: int, tangents: int) -> Func:
    """`func` with its last `tangents` parameters moved before the `captures` that precede them."""
    if not captures or not tangents:
        return func
    params = func.params
    cut, end = len(params) - tangents - captures, len(params) - tangents
    order: tuple[Var, ...] = (*params[:cut], *params[end:], *params[cut:end])
    return func.with_(body=Region(order, func.body.eqns, func.body.results))


def _as_tuple(value: Any) -> tuple:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)
