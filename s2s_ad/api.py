"""What users call: grad, value_and_grad, jvp, vjp, differentiate, source, stop_gradient.

Options that every transformation takes:

- `jit=True`      compile with numba; False runs the generated Python as it is, under pdb if wanted
- `static=()`     names of arguments whose *values* are part of the specialisation: an axis, a name
- `outputs=None`  what is differentiated: "return", the name of an argument that the function
                  writes to (its final content), or a tuple of these. None means what is returned
                  or, for a function that returns None, every array that it writes to
- `donate=()`     names or positions of arguments whose arrays may be used as working memory: they
                  hold anything afterwards, and need not be copied where the function writes to them
- `level=None`    "array" (NumPy code, readable) or "kernel" (loops, fast); by default kernel code
                  is what numba compiles, and array code is what runs uncompiled
- `invert=False`  reverse mode may invert updates such as `x += h * v` instead of saving `x` in
                  every step: a leapfrog integrator then needs no tape. The inverse rounds, so the
                  gradient is that of a trajectory off by rounding errors; a decaying solution
                  amplifies them on the way back. Integers are inverted exactly in any case
- `boundscheck=True`  a subscript out of range raises IndexError, naming the array and the line, in
                  compiled code too: it costs a comparison before a loop, or nothing where loop
                  bounds decide. False leaves the checks out: such a subscript reads or writes
                  foreign memory
- `math="vector"` compiled loops compute several values of exp, sin, log, … at a time, where the
                  machine can (accurate to 4 ulp); "scalar": one at a time (libm's 1 ulp or so)
- `fastmath=False` True lets the compiler replace arithmetic by what is equal but for rounding:
                  terms in another order, fused multiplications and additions, reciprocals in
                  place of divisions. Some loops are up to 1.5 times faster; comparisons of what
                  would be equal may come out either way, compensated sums are not compensated
- `parallel=False` True lets long loops of compiled code use all of numba's threads, those of array
                  expressions, reductions and reverse sweeps among them, where it is proved that
                  iterations do not depend on each other; short ones still run on one. A `prange` of
                  the function's own is parallel in any case, and so is its reverse sweep

Functions are specialised for the types of a call: dtypes, ranks, which extents are 1, the structure
of containers, and the values of strings, bools, None and functions.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from s2s_ad.api_errors import ArgumentTypeError, OptionError, SeedError, check_option
from s2s_ad.backend.module import emit_module
from s2s_ad.compiled import Derived, Specialisation, as_program, derive, specialise
from s2s_ad.dispatch import Form, Way, linked, short_jvp, short_way
from s2s_ad.frontend import derivatives as inner
from s2s_ad.ir.text import show
from s2s_ad.pipeline import differentiated
from s2s_ad.specialise import (
    AFTER_FIRST,
    Argument,
    Binder,
    Donate,
    Outputs,
    Program,
    Wrt,
    program_of,
)
from s2s_ad.trees import Node, leaves, seeds
from s2s_ad.updates import call_with_updates, check_apart

T = TypeVar("T")

#: To how many specialisations there is a short way at a time.
SHORT_WAYS = 8

#: In place of a short way, for a specialisation that has none.
NO_WAY = object()

#: How exp, sin, … are computed in compiled loops.
MATH = ("vector", "scalar")

#: How the frontend follows derivatives that a function takes itself.
TRANSFORMS = {
    mode: inner.Transform(mode, wrt, functools.partial(differentiated, mode))
    for mode, wrt in {"grad": 0, "value_and_grad": 0, "jvp": None, "vjp": None}.items()
}


class Derivative:
    """A transformed function: call it, or ask for its `source` or its `ir`.

    Compiled code is kept per specialisation. Calls from several threads are safe.

    `__call__` is a slot, so that each instance has its own: the short ways to its latest
    specialisations, generated for its signature, and behind them the long way.
    """

    __slots__ = ("__call__", "__dict__", "__weakref__")
    __call__: Callable[..., Any]
    mode = "primal"

    def __init__(
        self,
        fn: Callable[..., Any],
        wrt: Wrt = None,
        *,
        jit: bool = True,
        static: str | Sequence[str] = (),
        outputs: Outputs = None,
        donate: Donate = (),
        level: str | None = None,
        invert: bool = False,
        boundscheck: bool = True,
        math: str = "vector",
        fastmath: bool = False,
        parallel: bool = False,
    ) -> None:
        if not callable(fn):
            raise ArgumentTypeError(f"a function is needed, not a {type(fn).__name__}")
        check_option("math", math, MATH)
        self._fn, self._wrt, self._jit = fn, wrt, jit
        self._math, self._fastmath = math, fastmath
        inherited = fn._static if isinstance(fn, Derivative) else ()
        self._static = (*inherited, *((static,) if isinstance(static, str) else static))
        self._outputs, self._donate, self._invert = outputs, donate, invert
        self._parallel = parallel
        self._level = level or ("kernel" if jit else "array")
        self._boundscheck = boundscheck
        self.binder = Binder(getattr(fn, "py_func", fn), self._static, wrt)
        self._ways: tuple[Way, ...] = ()
        self._known: dict[tuple[Argument, ...], Specialisation] = {}
        self._lock = threading.RLock()
        self.__name__ = f"{self.binder.name}_{self.mode}"
        self.__doc__ = f"{self.mode} of {self.binder.name}. {inspect.getdoc(fn) or ''}".strip()
        self.__signature__ = self.binder.signature
        self._form = Form.of(self.binder.signature, self.binder.defaults)
        self._long_way = self._make_long_way()
        self.__call__ = self._long_way

    def __repr__(self) -> str:
        return f"<s2s_ad.{self.mode} of {self.binder.name}>"

    @property
    def __s2s_derivative__(self) -> inner.Derivative | None:
        """How the frontend follows a call of this derivative inside a function."""
        if self.mode == "primal":
            return None
        how = TRANSFORMS[self.mode]
        return inner.Derivative(how, self._fn, self._wrt, self._invert, self._outputs)

    def source(self, *args: Any, level: str = "array", **kwargs: Any) -> str:
        """The generated Python for a call with these arguments: NumPy code, or with
        `level="kernel"` the loops that numba compiles. It runs by itself: it imports what it needs.

        >>> print(grad(lambda x: x * x).source(3.0))  # doctest: +SKIP
        """
        return emit_module(self._derived_for(args, kwargs).funcs(level, numpy=True), jit=False)

    def ir(self, *args: Any, after: str | None = None, level: str = "kernel", **kwargs: Any) -> str:
        """The program after a stage of passes, as text: frontend, simplify, jvp or transpose (and
        inside it tape), bounds, optimise, upwards, inplace, parallel; at the kernel level also
        elements, lower, rows, interchange, lanes, split, promote and buffers, at the array level
        compilable. docs/architecture.md says what each does. None is the stage that differentiates;
        OptionError for a name that is not among those of this transformation.
        """
        after = after or {"primal": "simplify", "jvp": "jvp"}.get(self.mode, "transpose")
        return "\n".join(map(show, self._derived_for(args, kwargs).funcs(level, after)))

    # -- from a call to compiled code

    def _make_long_way(self) -> Callable[..., Any]:
        """What a call does that no short way takes."""
        if self._form is None:
            return lambda *args, **kwargs: self._call(args, kwargs)
        return self._form.long_way(self.__name__, self._call)

    def _make_way(self, entry: Specialisation) -> Way | None:
        return short_way(entry, self._form, self.__name__) if self._form else None

    def _remember(self, entry: Specialisation) -> None:
        """Take the short way for the next call of this specialisation."""
        if entry.way is NO_WAY or any(way.entry is entry for way in self._ways):
            return
        with self._lock:
            if entry.way is None:
                entry.way = self._make_way(entry) or NO_WAY
            if entry.way is NO_WAY or any(way.entry is entry for way in self._ways):
                return
            others = [way for way in self._ways if way.entry.fresh()]
            self._ways = (entry.way, *others[: SHORT_WAYS - 1])
            self.__call__ = linked(self._ways, self._long_way)

    def _call(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        bound = self.binder.bind(args, kwargs)
        arguments = self.binder.describe(bound)
        entry = self._specialisation(arguments)
        flat = _flat(arguments, bound)
        if entry.derived.program.assigned:
            result = call_with_updates(entry, flat, bound)
        else:
            result = entry.call(flat)
        self._remember(entry)
        return result

    def _specialisation(self, arguments: tuple[Argument, ...]) -> Specialisation:
        entry = self._known.get(arguments)
        if entry is not None and entry.fresh():
            return entry
        with self._lock:
            entry = self._known.get(arguments)
            if entry is None or not entry.fresh():
                derived = self.derived(arguments)
                vector = self._math == "vector"
                self._known[arguments] = entry = specialise(
                    derived, self._jit, self._level, vector, self._fastmath
                )
        return entry

    def derived(self, arguments: tuple[Argument, ...]) -> Derived:
        """What is made for a call with arguments of these specs, before it is compiled."""
        program = self._program(arguments)
        options = {"invert": self._invert, "boundscheck": self._boundscheck}
        options |= {"donate": self._donate, "parallel": self._parallel}
        return derive(self.mode, program, self._wrt, self._outputs, **options)

    def _program(self, arguments: tuple[Argument, ...]) -> Program:
        fn = self._fn
        while isinstance(fn, Derivative) and fn.mode == "primal":
            fn = fn._fn
        if isinstance(fn, Derivative):
            return fn._as_program(arguments)
        return program_of(fn, arguments)

    def _as_program(self, arguments: tuple[Argument, ...]) -> Program:
        """This derivative as something to differentiate again."""
        return as_program(self.derived(arguments))

    def _derived_for(self, args: tuple, kwargs: dict[str, Any]) -> Derived:
        return self.derived(self.binder.describe(self.binder.bind(args, kwargs)))


def _flat(arguments: tuple[Argument, ...], bound: list[tuple[str, int | None, Any]]) -> tuple:
    """The leaves of bound arguments, in the order of the program's parameters."""
    return tuple(x for a, (_, _, v) in zip(arguments, bound) for x in leaves(a.spec, v))


class Gradient(Derivative):
    """`grad(f)`."""

    mode = "grad"


class ValueAndGradient(Derivative):
    """`value_and_grad(f)`."""

    mode = "value_and_grad"


class Vjp(Derivative):
    """`vjp(f)`: calls give (value, pullback)."""

    mode = "vjp"

    def _as_program(self, arguments: tuple[Argument, ...]) -> Program:
        raise OptionError(
            f"{self!r} gives a function, which cannot be differentiated",
            advice="differentiate grad(f) or jvp(f) instead",
        )


class Jvp(Derivative):
    """`jvp(f)`: calls take (primals, tangents) and give (value, tangent)."""

    mode = "jvp"

    def __init__(self, fn: Callable[..., Any], wrt: Wrt = None, **options: Any) -> None:
        super().__init__(fn, wrt, **options)
        self.__signature__ = inspect.Signature(
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for name in ("primals", "tangents")
        )

    def _make_long_way(self) -> Callable[..., Any]:
        return self._call_with_tangents

    def _make_way(self, entry: Specialisation) -> Way | None:
        single = self._single(entry.derived)
        return short_jvp(entry, self.binder.defaults, single, self.__name__)

    def _call_with_tangents(self, primals: Sequence[Any], tangents: Any) -> Any:
        bound = self.binder.bind(self._primals(primals), {})
        arguments = self.binder.describe(bound)
        entry = self._specialisation(arguments)
        if entry.derived.program.assigned:
            check_apart(entry.derived.program, bound)
        values = {name: value for name, _, value in bound}
        flat = _flat(arguments, bound)
        result = entry.call((*flat, *self._tangents(entry.derived, values, tangents)))
        self._remember(entry)
        return result

    def _single(self, derived: Derived) -> bool:
        """True where a tangent may be given bare."""
        return isinstance(self._wrt, (int, str)) and len(derived.wrt) == 1

    def _primals(self, primals: Sequence[Any]) -> tuple:
        if not isinstance(primals, (tuple, list)):
            raise SeedError(
                f"jvp takes the arguments of {self.binder.name} as a tuple, not as a "
                f"{type(primals).__name__}",
                advice="jvp(f)((x, y), (x_dot, y_dot))",
            )
        return tuple(primals)

    def _tangents(self, derived: Derived, values: dict[str, Any], tangents: Any) -> list:
        """The tangents' leaves, in the order of the program's parameters; `values` are the
        arguments."""
        wrt = derived.wrt
        if self._single(derived) and not (
            isinstance(tangents, (tuple, list)) and len(tangents) == 1
        ):
            tangents = (tangents,)
        if not isinstance(tangents, (tuple, list)) or len(tangents) != len(wrt):
            names = ", ".join(a.name for a in wrt)
            raise SeedError(
                f"jvp of {self.binder.name} takes one tangent for each of {names}",
                advice="give them as a tuple; None stands for zeros",
            )
        found = []
        for argument, tangent in zip(wrt, tangents):
            shapes = (np.shape(x) for x in leaves(argument.spec, values[argument.name]))
            path = f"the tangent of {argument.name}"
            found += seeds(argument.spec, shapes, tangent, path)
        return found

    def _as_program(self, arguments: tuple[Argument, ...]) -> Program:
        primals, tangents = (a.spec for a in arguments)
        bound = self.binder.bind(primals.parts, {}) if isinstance(primals, Node) else []
        program = as_program(self.derived(tuple(Argument(*each) for each in bound)))
        if program.arguments[1].spec != tangents:
            raise SeedError(
                f"the tangents given to {self!r} do not match the primals",
                advice="differentiate a jvp with a full tuple of tangents, one per argument in wrt",
            )
        return program

    def _derived_for(self, args: tuple, kwargs: dict[str, Any]) -> Derived:
        """Example arguments are those of a call, (primals, tangents), or primals alone, as the
        function takes them."""
        if len(args) == 2 and isinstance(args[0], (tuple, list)) and not kwargs:
            return super()._derived_for(self._primals(args[0]), {})
        return super()._derived_for(args, kwargs)


class Differentiable(Derivative):
    """`@differentiate`: the function itself, compiled, with its derivatives at hand.

    `grad` and `value_and_grad` are with respect to the first argument, `jvp` and `vjp` with respect
    to every floating-point argument, unless `wrt` was given.
    """

    def __init__(self, fn: Callable[..., Any], **options: Any) -> None:
        super().__init__(fn, **options)
        self._options = options
        self._made: dict[Any, Derivative] = {}
        functools.update_wrapper(self, fn, updated=())  # not the state of another derivative

    def __repr__(self) -> str:
        return f"<s2s_ad.differentiate of {self.binder.name}>"

    @functools.cached_property
    def grad(self) -> Gradient:
        return self.made(Gradient, 0)

    @functools.cached_property
    def value_and_grad(self) -> ValueAndGradient:
        return self.made(ValueAndGradient, 0)

    @functools.cached_property
    def jvp(self) -> Jvp:
        return self.made(Jvp, None)

    @functools.cached_property
    def vjp(self) -> Vjp:
        return self.made(Vjp, None)

    def made(self, kind: type[Derivative], wrt: Wrt) -> Any:
        """A derivative of this function, made once; the option `wrt` goes before `wrt`."""
        key = (kind, self._options.get("wrt", wrt))
        with self._lock:
            if key not in self._made:
                self._made[key] = kind(self._fn, **{"wrt": wrt, **self._options})
        return self._made[key]

    def __s2s_method__(self, mode: str) -> inner.Derivative | None:
        """A derivative of the method that this is, where the frontend has bound it to an object:
        `wrt` is counted without `self`."""
        kinds = {kind.mode: kind for kind in (Gradient, ValueAndGradient, Jvp, Vjp)}
        if mode not in kinds:
            return None
        found = BoundDerivative(self, None, kinds[mode])._derivative.__s2s_derivative__
        return replace(found, wrt=_without_self(found.wrt))

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        return self if owner is None else BoundDifferentiable(self, owner)


class BoundDifferentiable:
    """`obj.method` of a method under `@differentiate`: `obj` is the first argument.

    It is an argument like any other: its attributes may change between calls. `grad` and
    `value_and_grad` are with respect to the first argument after it, `jvp` and `vjp` with respect
    to all floating-point arguments after it, unless `wrt` was given, which counts `self` as 0. With
    respect to the object: `Class.method.grad(obj, …)`.
    """

    def __init__(self, whole: Differentiable, owner: Any) -> None:
        self._whole, self._owner = whole, owner
        self.__wrapped__ = types.MethodType(whole._fn, owner)
        self.__name__, self.__doc__ = whole.__name__, whole.__doc__

    def __repr__(self) -> str:
        return f"{self._whole!r} bound to a {type(self._owner).__name__}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._whole(self._owner, *args, **kwargs)

    def source(self, *args: Any, **kwargs: Any) -> str:
        return self._whole.source(self._owner, *args, **kwargs)

    @property
    def grad(self) -> BoundDerivative:
        return BoundDerivative(self._whole, self._owner, Gradient)

    @property
    def value_and_grad(self) -> BoundDerivative:
        return BoundDerivative(self._whole, self._owner, ValueAndGradient)

    @property
    def jvp(self) -> BoundDerivative:
        return BoundDerivative(self._whole, self._owner, Jvp)

    @property
    def vjp(self) -> BoundDerivative:
        return BoundDerivative(self._whole, self._owner, Vjp)


class BoundDerivative:
    """A derivative of a method, with the object it belongs to as its first argument."""

    def __init__(self, whole: Differentiable, owner: Any, kind: type[Derivative]) -> None:
        self._whole, self._owner, self._kind = whole, owner, kind

    def __repr__(self) -> str:
        return f"<s2s_ad.{self._kind.mode} of {self._whole!r} bound>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._kind is not Jvp:
            return self._derivative(self._owner, *args, **kwargs)
        primals, tangents = args
        primals = Jvp._primals(self._whole, primals)
        return self._derivative((self._owner, *primals), tangents)

    def source(self, *args: Any, level: str = "array", **kwargs: Any) -> str:
        """The generated Python for a call with these arguments (of `jvp`: the primals)."""
        return self._derivative.source(self._owner, *args, level=level, **kwargs)

    @property
    def __s2s_derivative__(self) -> inner.Derivative:
        found = self._whole.__s2s_method__(self._kind.mode)
        return replace(found, fn=types.MethodType(found.fn, self._owner))

    @property
    def _derivative(self) -> Derivative:
        one = self._kind in (Gradient, ValueAndGradient)
        return self._whole.made(self._kind, 1 if one else AFTER_FIRST)


def _without_self(wrt: Wrt) -> Wrt:
    if isinstance(wrt, tuple):
        return tuple(map(_without_self, wrt))
    if wrt is AFTER_FIRST:
        return None
    return wrt if not isinstance(wrt, int) or wrt < 0 else (wrt - 1 if wrt else "self")


def grad(fn: Callable[..., Any], wrt: Wrt = 0, **options: Any) -> Gradient:
    """The gradient of a function that gives one real number.

    `wrt` is the index or name of an argument, or a tuple of them; one gives a bare gradient, a
    tuple gives a tuple; None stands for every argument that holds floating-point numbers. The
    gradient has the structure, shapes and dtypes of the argument. Arguments are never written to,
    even where `fn` writes to them (unless they are donated). Options: see the module `s2s_ad.api`.

    Raises NotScalarError where the value is not one number (use vjp), InactiveArgumentError for an
    integer argument in `wrt`, and the frontend's errors, at the line of `fn`, for what is outside
    the language.

    >>> def f(x, y):
    ...     return x * x * y
    >>> grad(f, jit=False)(3.0, 2.0)
    12.0
    >>> grad(f, wrt=("x", "y"), jit=False)(3.0, 2.0)
    (12.0, 9.0)
    """
    return Gradient(fn, wrt, **options)


def value_and_grad(fn: Callable[..., Any], wrt: Wrt = 0, **options: Any) -> ValueAndGradient:
    """Like `grad`, and gives (value, gradient): what `scipy.optimize.minimize` calls `jac=True`.

    >>> value_and_grad(lambda x: x * x, jit=False)(3.0)
    (9.0, 6.0)
    """
    return ValueAndGradient(fn, wrt, **options)


def jvp(fn: Callable[..., Any], wrt: Wrt = None, **options: Any) -> Jvp:
    """Forward mode: `jvp(f)(primals, tangents)` gives (value, tangent).

    `primals` are the arguments as a tuple, `tangents` one tangent for each argument in `wrt` (None
    stands for zeros; for a single `wrt` it may be bare). Values and tangents may be arrays and
    containers of them. SeedError where a tangent does not fit its argument.

    >>> jvp(lambda x, y: x * y, jit=False)((3.0, 2.0), (1.0, 10.0))
    (6.0, 32.0)
    """
    return Jvp(fn, wrt, **options)


def vjp(fn: Callable[..., Any], wrt: Wrt = None, **options: Any) -> Vjp:
    """Reverse mode for any value: `vjp(f)(*args)` gives (value, pullback).

    `pullback(cotangent)` gives the gradients of ⟨cotangent, value⟩ and may be called any number of
    times; the cotangent has the structure and shapes of the value.

    >>> value, pullback = vjp(lambda x, y: x * y, jit=False)(3.0, 2.0)
    >>> value, pullback(1.0)
    (6.0, (2.0, 3.0))
    """
    return Vjp(fn, wrt, **options)


def differentiate(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Decorator: the function, compiled, with `.grad`, `.value_and_grad`, `.jvp` and `.vjp`.

    Calls do what the Python function does, writes to arguments included. Used bare or with the
    options of the derivatives; `wrt` holds for all four.

    >>> @differentiate(jit=False)
    ... def f(x):
    ...     return x * x
    >>> f(3.0), f.grad(3.0)
    (9.0, 6.0)
    """
    if fn is None:
        return functools.partial(differentiate, **options)
    return Differentiable(fn, **options)


def source(fn: Callable[..., Any], *args: Any, level: str = "array", **kwargs: Any) -> str:
    """The generated Python of a derivative, or of a plain function as s2s_ad reads it, for a call
    with these arguments. `level` is "array" or "kernel"."""
    made = fn if isinstance(fn, Derivative) else Differentiable(fn)
    return made.source(*args, level=level, **kwargs)


def stop_gradient(x: T) -> T:
    """`x` itself; to a derivative, a constant.

    >>> grad(lambda x: x * stop_gradient(x), jit=False)(3.0)
    3.0
    """
    return x


stop_gradient.__s2s_prim__ = "stop_gradient"
for _maker in (grad, value_and_grad, jvp, vjp):
    _maker.__s2s_derivative__ = TRANSFORMS[_maker.__name__]
