"""Derivatives that the function itself takes: `grad(energy)(x)` among the statements of a stepper.

The function that is differentiated is interpreted in place, as the path of a branch is, with a new
variable for every number and array that it is differentiated by. What it uses of its surroundings
stays what it is, so the derivative of the surroundings goes through it, and no two derivatives can
take each other's perturbations. The equations are differentiated at once, by what the API brings
along (`Transform.derive`), and the derivative's stand in place of the call:

    def push(x, k):                        g = …               (grad of energy, at x and k)
        energy = lambda q: k * q**4        x1 = x - 0.1 * g
        return x - 0.1 * grad(energy)(x)

Arrays and objects that the inner function writes to are left alone, as by every derivative.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import calls, creation
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import (
    AliasError,
    ArgumentError,
    UnsupportedCallError,
    UnsupportedTypeError,
)
from s2s_ad.frontend.flow import Branch, run_branch
from s2s_ad.frontend.heap import ITEMS, contents, items_of, load, new_box, plain
from s2s_ad.frontend.known import known_fields
from s2s_ad.frontend.results import Leaf, flatten, valued
from s2s_ad.frontend.values import (
    Bound,
    Box,
    Cell,
    Partial,
    Record,
    Rows,
    describe,
    is_array,
    is_number,
    is_scalar,
)
from s2s_ad.ir.core import Atom, Func, Lit, Region, Var, clone, forget_roles, free_vars, walk
from s2s_ad.ir.types import FLOATS, Type

#: Options of a derivative that say how it is compiled, not what it is.
COMPILING = "jit static level boundscheck math fastmath parallel donate".split()
#: Numbers that are Python's where a function of ours gives them.
PYTHON = ("f64", "i64", "bool", "c128")


@dataclass(frozen=True, eq=False)
class Transform:
    """What `grad`, `jvp` and the others are: `derive(func, params, invert)` differentiates with
    respect to these parameters; a vjp gives two functions. `wrt` is the default."""

    mode: str
    wrt: Any
    derive: Callable[[Func, tuple[int, ...], bool], tuple[Func, ...]]


@dataclass(frozen=True, eq=False)
class Derivative:
    """`grad(fn)`: a function or whatever else can be called, and what is to be done to it."""

    transform: Transform
    fn: Any
    wrt: Any = None
    invert: bool = False
    outputs: Any = None

    @property
    def __name__(self) -> str:
        return f"{getattr(self.fn, '__name__', 'function')}_{self.transform.mode}"


@dataclass(frozen=True, eq=False)
class Pullback:
    """The second result of a vjp: the reverse sweep, what it needs, the structure of the value
    whose cotangent it takes with what was in it, and the structure of the gradients. (The value and
    the arguments themselves may be lists that are written to before it is called.)"""

    func: Func
    residuals: tuple[Atom, ...]
    shape: Any
    values: tuple[Any, ...]
    gradient: Any


def try_call(cx: Context, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result of calling `grad` or the like, a derivative or a pullback; NotImplemented for
    anything else."""
    found = fn if isinstance(fn, (Derivative, Pullback)) else None
    found = found or getattr(fn, "__s2s_derivative__", None)
    if isinstance(found, Transform):
        return made(cx, found, args, kwargs)
    if isinstance(found, Derivative):
        return call(cx, found, args, kwargs)
    return NotImplemented if found is None else pull(cx, found, args, kwargs)


def made(cx: Context, transform: Transform, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`grad(fn, wrt, **options)` inside the function."""
    names = dict(zip(("fn", "wrt"), args)) | {"wrt": transform.wrt} | dict(kwargs)
    names |= dict(zip(("fn", "wrt"), args))
    fn, wrt = names.pop("fn", None), names.pop("wrt")
    invert, outputs = names.pop("invert", False), names.pop("outputs", None)
    if fn is None or len(args) > 2 or not set(names) <= set(COMPILING):
        wrong = next((n for n in names if n not in COMPILING), "")
        what = f"has no option {wrong!r}" if wrong else "takes a function, and wrt"
        cx.fail(ArgumentError, f"{transform.mode} {what}")
    return Derivative(transform, fn, wrt, invert, outputs)


def call(cx: Context, d: Derivative, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a derivative."""
    if d.outputs not in (None, "return"):
        cx.fail(
            UnsupportedCallError,
            "the option outputs= is not supported for a derivative inside a function",
            "let the inner function return what is to be differentiated",
        )
    if d.transform.mode == "jvp":
        return _pushed(cx, d, *_primals_and_tangents(cx, d, args, kwargs))
    inner = _Inner(cx, d, args, kwargs)
    if cx.state.dead:
        return None
    if d.transform.mode == "vjp":
        return _pulled(cx, d, inner)
    inner.require_scalar()
    (func,) = d.transform.derive(inner.func, inner.wrt, d.invert)
    results = inline(cx, func, inner.atoms)
    gradient = valued(cx, inner.gradient, results[len(results) - len(inner.wrt) :])
    return gradient if d.transform.mode == "grad" else (results[0], gradient)


def _pulled(cx: Context, d: Derivative, inner: _Inner) -> Any:
    ahead, back = d.transform.derive(inner.func, inner.wrt, d.invert)
    results = inline(cx, ahead, inner.atoms)
    count = len(inner.func.results)
    values, residuals = results[:count], tuple(_atom(cx, r) for r in results[count:])
    pullback = Pullback(back, residuals, inner.shape, tuple(values), inner.gradient)
    return valued(cx, inner.shape, values), pullback


def pull(cx: Context, p: Pullback, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a pullback with a cotangent."""
    if len(args) != 1 or kwargs:
        cx.fail(ArgumentError, "a pullback takes one cotangent, of the structure of the value")
    value = valued(cx, p.shape, p.values)
    pairs = paired(cx, value, args[0], "the cotangent")
    seeds = [_seed(cx, leaf, seed, "the cotangent") for leaf, seed in pairs]
    return valued(cx, p.gradient, inline(cx, p.func, [*p.residuals, *seeds]))


def _primals_and_tangents(
    cx: Context, d: Derivative, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Any]:
    names = dict(zip(("primals", "tangents"), args)) | dict(kwargs)
    primals = plain(cx, names.get("primals"))
    if set(names) != {"primals", "tangents"} or not isinstance(primals, (tuple, list)):
        cx.fail(
            ArgumentError,
            f"{d.__name__} takes the arguments as a tuple, and their tangents",
            "jvp(f)((x, y), (x_dot, y_dot))",
        )
    return primals, plain(cx, names["tangents"])


def _pushed(cx: Context, d: Derivative, primals: Sequence[Any], tangents: Any) -> Any:
    chosen = _chosen(cx, d, primals, {})
    bare = isinstance(d.wrt, (int, str)) and not (
        isinstance(tangents, (tuple, list)) and len(tangents) == 1
    )
    tangents = (tangents,) if bare else tangents
    if not isinstance(tangents, (tuple, list)) or len(tangents) != len(chosen):
        cx.fail(
            ArgumentError,
            f"{d.__name__} takes one tangent for each of {len(chosen)} arguments",
            "give them as a tuple; None stands for zeros",
        )
    inner = _Inner(cx, d, primals, {})
    if cx.state.dead:
        return None
    seeds = [
        None if seed is None else _seed(cx, leaf, seed, "the tangent")
        for key, tangent in zip(chosen, tangents)
        for leaf, seed in paired(cx, inner.given[key], tangent, "the tangent")
    ]
    active = tuple(k for k, seed in enumerate(seeds) if seed is not None)
    (func,) = d.transform.derive(inner.func, active, d.invert)
    results = inline(cx, func, [*inner.atoms, *(s for s in seeds if s is not None)])
    count = len(inner.func.results)
    value = valued(cx, inner.shape, results[:count])
    return value, valued(cx, mirrored(cx, value), results[count:])


# --- the function that is differentiated ---------------------------------------------------------


@dataclass(eq=False)
class _Leaves:
    """The variables in place of what a function is differentiated by."""

    cx: Context
    vars: list[Var] = field(default_factory=list)
    atoms: list[Atom] = field(default_factory=list)
    cells: list[tuple[Cell, Cell]] = field(default_factory=list)  # new ones, and those of before
    boxes: list[tuple[Box, Box]] = field(default_factory=list)

    def replace(self, value: Any) -> Any:
        cx = self.cx
        weak = is_number(value) or value in cx.weak if not is_array(value) else False
        atom = _atom(cx, value)
        name = atom.name if isinstance(atom, Var) and atom.name != "t" else "x"
        var = Var(value.cell.name if is_array(value) else name, atom.type)
        self.vars.append(var)
        self.atoms.append(atom)
        made = ar.value_of(cx, var, weak)
        if is_array(value):
            self.cells.append((made.cell, value.cell))
        return made


class _Inner:
    """The call of a function in a derivative: as a function of what it is differentiated by, and of
    what it uses from around it."""

    def __init__(
        self, cx: Context, d: Derivative, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        self.cx, self.d = cx, d
        named = {**dict(enumerate(args)), **kwargs}
        #: the arguments that it is differentiated by, as they were given
        self.given = {key: named[key] for key in _chosen(cx, d, args, kwargs)}
        found = tuple(self.given.values())
        #: the structure of the gradients
        self.gradient = mirrored(cx, found[0] if isinstance(d.wrt, (int, str)) else found)
        leaves = _Leaves(cx)
        for key, value in self.given.items():
            named[key] = mapped(cx, value, leaves.replace, leaves.boxes)
        results: list[Atom] = []
        shapes: list[Any] = []

        def body() -> None:
            own = [named[k] for k in range(len(args))]
            value = calls.call(cx, d.fn, own, {k: named[k] for k in kwargs})
            if not cx.state.dead:
                shapes.append(flatten(cx, value, results))

        branch = run_branch(cx, body)
        self.shape = shapes[0] if shapes else None
        region = Region(tuple(leaves.vars), tuple(branch.builder.eqns), tuple(results))
        free = free_vars(region)
        _check_writes(cx, branch, leaves, _read(region))
        name = "".join(c if c.isalnum() else "_" for c in getattr(d.fn, "__name__", "f"))
        names = tuple(f"{name}_value{k or ''}" for k in range(len(results)))
        self.func = Func(name, Region((*leaves.vars, *free), region.eqns, region.results), names)
        self.wrt = tuple(range(len(leaves.vars)))
        self.atoms = [*leaves.atoms, *free]
        if branch.state.dead:  # it always raises
            inline(cx, self.func, self.atoms)
            cx.state.dead = True

    def require_scalar(self) -> None:
        kind = self.func.results[0].type if isinstance(self.shape, Leaf) else None
        if kind is not None and kind.dtype in ("f32", "f64") and not kind.is_array:
            return
        found = describe(valued(self.cx, self.shape, self.func.results)) if kind is None else kind
        self.cx.fail(
            UnsupportedTypeError,
            f"{self.d.transform.mode} needs one real number, and the function gives {found}",
            "use vjp, which takes a cotangent of the value's shape, or return a sum",
        )


def _read(region: Region) -> set[Atom]:
    """What a region uses, other than for an extent."""
    eqns = [e for e in walk(region) if e.prim != "dim"]
    inner = [r for e in eqns for r in e.regions]
    return {a for e in eqns for a in e.ins} | {a for r in (region, *inner) for a in r.results}


def _check_writes(cx: Context, branch: Branch, leaves: _Leaves, read: set[Atom]) -> None:
    """What a function is differentiated by is its own while it runs. AliasError where it writes to
    it, and has it by another name as well: in Python both names would see the write."""

    def changed(cell: Cell) -> bool:
        return branch.version(cell) is not cx.version(cell)

    originals = [old for _, old in leaves.cells]
    for new, old in leaves.cells:
        around = {old} | {c for c in cx.state.alias.get(old, ()) if isinstance(c, Cell)}
        shared = sum(c in around for c in originals) > 1
        seen = any(cx.version(c) in read for c in around)
        if any(map(changed, around)) or (changed(new) and (shared or seen)):
            _shared(cx, f"the array {old.name!r}")
    for new, old in leaves.boxes:
        before = cx.state.heap.get
        if branch.state.heap.get(new) is not before(new):
            _shared(cx, f"the {old.cls.__name__} {old.name!r}")
        if branch.state.heap.get(old) is not before(old):
            _shared(cx, f"the {old.cls.__name__} {old.name!r}")


def _shared(cx: Context, what: str) -> None:
    cx.fail(
        AliasError,
        f"a function that is differentiated by {what} writes to it, perhaps by another name",
        "pass a copy, or return the new value",
    )


# --- wrt -----------------------------------------------------------------------------------------


def _chosen(
    cx: Context, d: Derivative, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[int | str]:
    """The arguments that `wrt` selects: positions, and names of those that are passed by name."""
    values = {**dict(enumerate(args)), **kwargs}
    wrt = plain(cx, d.wrt)
    if wrt is None:
        return [key for key, value in values.items() if any(_floats(cx, value))]
    chosen = [_key(cx, d, w, args, kwargs) for w in (wrt if isinstance(wrt, tuple) else (wrt,))]
    for key in chosen:
        if not any(_floats(cx, values[key])):
            cx.fail(
                ArgumentError,
                f"the argument {key!r} is {describe(values[key])}: it has no derivative",
                "pass floating-point numbers if that is what they are: 2.0, not 2",
            )
        if chosen.count(key) > 1:
            cx.fail(ArgumentError, f"wrt selects the argument {key!r} twice")
    return chosen


def _key(
    cx: Context, d: Derivative, wrt: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> int | str:
    if type(wrt) is int and -len(args) <= wrt < len(args):
        return wrt % len(args)
    names = _parameters(d.fn)
    if isinstance(wrt, str) and wrt in kwargs:
        return wrt
    if isinstance(wrt, str) and wrt in names[: len(args)]:
        return names.index(wrt)
    return cx.fail(
        ArgumentError,
        f"wrt={describe(wrt)}: the function is called without such an argument",
        "wrt takes the index of an argument, its name, or a tuple of them",
    )


def _parameters(fn: Any) -> list[str]:
    """The names of a callable's positional parameters, as far as they are known."""
    if isinstance(fn, calls.Closure):
        spec = fn.source.node.args
        return [a.id for a in (*spec.posonlyargs, *spec.args)]
    if isinstance(fn, Derivative):
        return ["primals", "tangents"] if fn.transform.mode == "jvp" else _parameters(fn.fn)
    if isinstance(fn, Bound):
        return _parameters(fn.function)[1:]
    if isinstance(fn, Partial):
        return _parameters(fn.function)[len(fn.args) :]
    try:
        return list(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        return []


# --- structures ----------------------------------------------------------------------------------


def _is_leaf(cx: Context, value: Any) -> bool:
    if not (is_scalar(value) or is_array(value)):
        return False
    return ar.dtype_of(cx, value)[0] in FLOATS


def _parts(cx: Context, value: Any) -> dict[Any, Any] | None:
    """What a container holds, by key; None for anything else."""
    if isinstance(value, Box) and value.cls in (list, dict):
        items = items_of(cx, value)
        if isinstance(items, Rows):
            cx.fail(
                UnsupportedTypeError,
                "a list whose length is known when running cannot be differentiated by",
                "pass np.array(…) of it",
            )
        return items if isinstance(items, dict) else dict(enumerate(items))
    if isinstance(value, Box):
        known_fields(cx, value)
        return {name: load(cx, value, name) for name in contents(cx.state, value)}
    if isinstance(value, Record):
        return dict(zip(value.names, value.items))
    return dict(enumerate(value)) if type(value) in (tuple, list) else None


def _floats(cx: Context, value: Any) -> Iterator[Any]:
    """The floating-point numbers and arrays in a value."""
    if _is_leaf(cx, value):
        yield True
        return
    for part in (_parts(cx, value) or {}).values():
        yield from _floats(cx, part)


def mapped(
    cx: Context, value: Any, leaf: Callable[[Any], Any], boxes: list[tuple[Box, Box]]
) -> Any:
    """`value` with `leaf` of its floating-point numbers and arrays. `boxes` collects the objects
    that are made, with those that they stand for."""
    if _is_leaf(cx, value):
        return leaf(value)
    parts = _parts(cx, value)
    if parts is None:
        return value
    items = {k: mapped(cx, v, leaf, boxes) for k, v in parts.items()}
    if isinstance(value, Record):
        return Record(value.cls, value.names, tuple(items.values()))
    if not isinstance(value, Box):
        return tuple(items.values())
    if value.cls in (list, dict):
        items = {ITEMS: items if value.cls is dict else tuple(items.values())}
    box = new_box(cx, value.cls, items, value.name)
    boxes.append((box, value))
    return box


def mirrored(cx: Context, value: Any) -> Any:
    """The structure of a derivative by `value`, or of its tangent, as `results.valued` takes it:
    numbered leaves in place of floating-point numbers and arrays, None for everything else."""
    numbers = itertools.count()

    def shape(value: Any) -> Any:
        if _is_leaf(cx, value):
            return Leaf(next(numbers))
        parts = _parts(cx, value)
        if parts is None:
            return None
        items = {k: shape(v) for k, v in parts.items()}
        cls = value.cls if isinstance(value, (Box, Record)) else type(value)
        if cls in (tuple, list, dict):
            return items if cls is dict else cls(items.values())
        if isinstance(value, Box) and not is_dataclass(cls):
            cx.fail(
                UnsupportedTypeError,
                f"a derivative by a {cls.__name__} has no class inside a function",
                "use a dataclass, or differentiate by its attributes",
            )
        return Record(cls, tuple(items), tuple(items.values()))

    return shape(value)


def paired(cx: Context, value: Any, seed: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """The floating-point leaves of a value, each with its part of `seed`; None stands for zeros."""
    if _is_leaf(cx, value):
        yield value, seed
        return
    parts = _parts(cx, value)
    if parts is None:
        return
    seeds = dict.fromkeys(parts) if seed is None else _parts(cx, seed)
    if seeds is None or set(seeds) != set(parts):
        cx.fail(
            ArgumentError,
            f"{path} is {describe(seed)}, and belongs to {describe(value)}",
            "give it the structure of what it belongs to; None stands for zeros",
        )
    for key, part in parts.items():
        yield from paired(cx, part, seeds[key], path)


def _seed(cx: Context, leaf: Any, seed: Any, path: str) -> Atom:
    """A tangent or a cotangent of a number or an array."""
    kind: Type = _atom(cx, leaf).type
    if seed is None:
        seed = creation.zeros_like(cx, leaf) if is_array(leaf) else 0.0
    if not (is_scalar(seed) or is_array(seed)) or len(ar.shape_of(seed)) != kind.ndim:
        cx.fail(ArgumentError, f"{path} is {describe(seed)}, and belongs to {describe(leaf)}")
    for axis in range(kind.ndim):
        ar.match(cx, leaf, axis, seed, axis, f"{path} and what it belongs to")
    return ar.convert(cx, seed, kind.dtype)


def _atom(cx: Context, value: Any) -> Atom:
    return ar.convert(cx, value, ar.dtype_of(cx, value)[0])


# --- equations -----------------------------------------------------------------------------------


def inline(cx: Context, func: Func, atoms: Sequence[Atom]) -> list[Any]:
    """Emit the equations of `func` for these arguments; its results as values: what is an argument
    is a value of its own, since it may be a Python number where the argument is not."""
    body = forget_roles(Region((), func.body.eqns, func.results))
    region = clone(body, dict(zip(func.params, atoms, strict=True)))
    cx.builder.eqns.extend(e if e.loc else e.with_(loc=cx.loc) for e in region.eqns)
    return [_as_value(cx, atom, atom in atoms) for atom in region.results]


def _as_value(cx: Context, atom: Atom, shared: bool) -> Any:
    """A result as the API gives it: a number of 64 bits is Python's."""
    if atom.type.is_array or atom.type.dtype not in PYTHON:
        return cx.fresh(atom)
    if isinstance(atom, Lit):
        return atom.value
    if shared and atom not in cx.weak:
        atom = cx.emit("convert", atom, name=atom.name, dtype=atom.type.dtype)
    return ar.value_of(cx, atom, weak=True)
