"""One specialisation: a function, a transformation and the types of one call, made to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from s2s_ad import pipeline
from s2s_ad.api_errors import OutputsError, OverlapError, ReadOnlyError, UpdateError
from s2s_ad.backend.jit import compile_source, load_compiled
from s2s_ad.backend.made import Made, Signature, made_once
from s2s_ad.backend.module import emit_module
from s2s_ad.backend.names import identifier
from s2s_ad.ir.core import Func, Region
from s2s_ad.ir.types import Type
from s2s_ad.matching import Unsupported, Writer
from s2s_ad.specialise import (
    Argument,
    Donate,
    Outputs,
    Program,
    Wrt,
    donated_params,
    mirror_spec,
    require_scalar,
    resolve_wrt,
    select_outputs,
    tuple_spec,
    with_captures_last,
    wrt_params,
)
from s2s_ad.trees import (
    Leaf,
    Spec,
    describe,
    leaf_paths,
    leaf_specs,
    leaf_value,
    seeds,
)


@dataclass(frozen=True)
class Derived:
    """A program and what is to be made of it: `mode`, with respect to the parameters `params`.

    `out` is the structure of the whole result; `sources` says for each of its leaves which argument
    it *is* (a compiled primal returns the caller's own array where Python would), None for most;
    `donated` are the parameters whose buffers may be used; `boundscheck` and `parallel` are the
    user's options.
    """

    mode: str
    program: Program
    out: Spec
    wrt: tuple[Argument, ...] = ()
    params: tuple[int, ...] = ()
    sources: tuple[int | None, ...] = ()
    invert: bool = False
    boundscheck: bool = True
    donated: tuple[int, ...] = ()
    parallel: bool = False

    def funcs(
        self, level: str, after: str | None = None, numpy: bool = False, vector: bool = False
    ) -> tuple[Func, ...]:
        """The functions at the end of the pipeline, or after one of its stages; `numpy` says that
        they are printed for NumPy and not compiled, `vector` that 4 ulp will do for functions."""
        options = (self.invert, self.boundscheck, numpy, self.donated, self.parallel, vector)
        funcs = pipeline.run(self.program.func, self.mode, self.params, level, after, *options)
        if self.mode == "jvp" and after is None:
            count = len(self.program.captures)
            funcs = tuple(with_captures_last(f, count, len(self.params)) for f in funcs)
        return funcs

    def asked(self) -> tuple:
        """All that `funcs` depends on, besides the program's function: every field that does not
        say what the user's values look like."""
        own = (f.name for f in fields(self) if f.name not in ("program", "out", "wrt"))
        return (len(self.program.captures), *(getattr(self, name) for name in own))


def derive(
    mode: str,
    program: Program,
    wrt: Wrt,
    outputs: Outputs,
    invert: bool = False,
    boundscheck: bool = True,
    donate: Donate = (),
    parallel: bool = False,
) -> Derived:
    """What `mode` asks of a program, checked: the arguments in `wrt` and `donate`, the value that
    counts."""
    donated = donated_params(program, donate)
    if mode == "primal":
        options = {"boundscheck": boundscheck, "donated": donated, "parallel": parallel}
        return replace(_primal(program), **options)
    program = select_outputs(program, outputs)
    chosen = resolve_wrt(program, wrt)
    gradients = [mirror_spec(a.spec) for a in chosen]
    gradient = gradients[0] if isinstance(wrt, (int, str)) else tuple_spec(*gradients)
    if mode in ("grad", "value_and_grad"):
        require_scalar(program)
    out = {
        "grad": gradient,
        "value_and_grad": tuple_spec(program.out, gradient),
        "jvp": tuple_spec(program.out, mirror_spec(program.out)),
        "vjp": gradient,
    }[mode]
    params = wrt_params(program, chosen)
    options = {"invert": invert, "boundscheck": boundscheck, "donated": donated}
    options["parallel"] = parallel
    return Derived(mode, program, out, chosen, params, **options)


def _primal(program: Program) -> Derived:
    """The function itself. Arrays that it returns and that the caller has are not results."""
    func = program.func
    if program.undecided:
        name = func.params[program.undecided[0]].name
        raise OutputsError(
            f"what {func.name} leaves in {name!r} depends on which array a name stands for",
            advice="end with a copy into the argument: result[:] = buffer",
        )
    for update in program.updates:
        if update.spec is None:
            raise UpdateError(
                f"{func.name} assigns {update.name}, which cannot be written back: {update.reason}",
                advice="pass the object as an argument, or return the new value",
            )
    out = program.out
    if program.updates:
        out = tuple_spec(out, *(u.spec for u in program.updates))
    final = {func.params[p]: p for p in range(len(func.params))}
    for p, r in func.mutated:
        del final[func.params[p]]
        final[func.results[r]] = p
    count = sum(1 for _ in leaf_specs(out))
    returned = func.results[:count]
    sources = tuple(final.get(r) if r.type.is_array else None for r in returned)
    dropped = {k for k, source in enumerate(sources) if source is not None}
    kept = [k for k in range(len(func.results)) if k not in dropped]
    slim = func.with_(
        body=Region(func.params, func.body.eqns, tuple(func.results[k] for k in kept)),
        result_names=tuple(func.result_names[k] for k in kept) if func.result_names else (),
        mutated=tuple((p, kept.index(r)) for p, r in func.mutated),
    )
    return Derived("primal", replace(program, func=slim), out, sources=sources)


def as_program(derived: Derived) -> Program:
    """A derivative as a program that can be differentiated again."""
    stage = "jvp" if derived.mode == "jvp" else "transpose"
    (func,) = derived.funcs("array", after=stage)
    program = derived.program
    if derived.mode != "jvp":
        return replace(program, func=func, out=derived.out, updates=())
    func = with_captures_last(func, len(program.captures), len(derived.params))
    primals = tuple_spec(*(a.spec for a in program.arguments))
    tangents = tuple_spec(*(mirror_spec(a.spec) for a in derived.wrt))
    arguments = (Argument("primals", 0, primals), Argument("tangents", 1, tangents))
    return replace(program, func=func, arguments=arguments, out=derived.out, updates=())


class Specialisation:
    """Compiled code for one signature.

    `call` takes any leaves of the right types. What is done with leaves that are as compiled code
    wants them is written out by `dispatch`, for which `finish` writes how the user's result is made
    of the `count` results of the kernel; `way` is kept here once it is made.
    """

    def __init__(
        self,
        derived: Derived,
        signatures: Sequence[Signature],
        kernels: Sequence[Callable[..., Any]],
        jit: bool,
    ) -> None:
        self.derived, self.kernel = derived, kernels[0]
        signature = signatures[0]
        self.types = signature.params
        program = derived.program
        self.captures, self.guards = program.captures, program.guards
        self.writes, self.donated = program.writes, derived.donated
        self.written = tuple(p for p, _ in signature.mutated)
        self.count = len(signature.results) - len(self.written)
        if derived.mode == "vjp":
            self.finish = _pullback_maker(derived, signatures, kernels[1], jit)
        else:
            self.finish = _finisher(derived, signature, jit)
        self.way: Any = None
        self._result = _result_of(self.finish, self.count, len(self.types))

    def fresh(self) -> bool:
        """True while everything that was taken for known when compiling is still so."""
        for get, expected in self.guards:
            if not same(get(), expected):
                return False
        if not self.captures:
            return True
        arrays = [get() for get in self.captures]
        types = self.types[len(self.types) - len(arrays) :]
        distinct = len(set(map(id, arrays))) == len(arrays)  # as they were when compiling
        return distinct and all(map(_has_type, arrays, types))

    def call(self, leaves: Sequence[Any]) -> Any:
        given = (*leaves, *(get() for get in self.captures))
        for p in (*self.written, *self.donated):
            if not given[p].flags.writeable:
                what = "the function writes to it" if p in self.written else "it is donated"
                raise ReadOnlyError(f"{self._path(p)} is read-only, and {what}")
        if self.writes or self.donated:
            self._check_overlap(given)
        ready = list(map(leaf_value, self.types, given))
        result = self.kernel(*ready)
        for p in self.written:
            if ready[p] is not given[p]:
                given[p][...] = ready[p]
        return self._result(result, given)

    def _check_overlap(self, leaves: Sequence[Any]) -> None:
        """OverlapError where an array that the function writes to, or that is donated, shares
        memory with another argument, or an element with another of its own."""
        own = len(self.derived.program.func.params) - len(self.captures)
        seeds = range(own, len(leaves) - len(self.captures))  # read only: they may overlap
        for param in dict.fromkeys((*self.donated, *self.writes)):
            reason = "is donated" if param in self.donated else "is written to"
            p = param if param < own else param + len(seeds)  # captured arrays come last
            if overlaps_itself(leaves[p]):
                raise OverlapError(
                    f"elements of {self._path(p)} share memory, and it {reason}",
                    advice="pass a copy of it",
                )
            for q, other in enumerate(leaves):
                if (
                    q != p
                    and (q not in seeds or param in self.donated)
                    and np.may_share_memory(leaves[p], other)
                    and _overlap(leaves[p], other)
                ):
                    raise OverlapError(
                        f"{self._path(p)} and {self._path(q)} share memory, and {self._path(p)} "
                        f"{reason}",
                        advice="pass a copy of one of them",
                    )

    def _path(self, param: int) -> str:
        """The name of a parameter's leaf, as the user would write it."""
        arguments = self.derived.program.arguments
        paths = [path for a in arguments for path in leaf_paths(a.spec, a.name)]
        if param < len(paths):
            return paths[param]
        captured = [p.name for p in self.derived.program.func.params[len(paths) :]]
        behind = param - (len(self.types) - len(captured))
        return captured[behind] if behind >= 0 else "a tangent"


def overlaps_itself(a: np.ndarray) -> bool:
    """True where two elements of an array may be the same memory: np.broadcast_to, as_strided.
    Views made by subscripts never do that: each stride steps over all that smaller ones reach."""
    if a.flags.c_contiguous or a.size == 0:
        return False
    reach = a.itemsize
    for stride, size in sorted((abs(s), n) for s, n in zip(a.strides, a.shape) if n > 1):
        if stride < reach:
            return True
        reach = stride * (size - 1) + reach
    return False


def _overlap(a: Any, b: Any) -> bool:
    if not isinstance(b, np.ndarray):
        return False
    try:
        return np.shares_memory(a, b, max_work=10_000)
    except np.exceptions.TooHardError:
        return True  # cannot be decided in reasonable time: treated as an overlap


def same(a: Any, b: Any) -> bool:
    """True for one object, and for equal numbers, strings and tuples of them, which attributes and
    the keys of a dict are each time anew."""
    if a is b or type(a) is not type(b):
        return a is b
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, (int, float, complex, str)) and repr(a) == repr(b)


def _has_type(value: Any, kind: Type) -> bool:
    spec = describe(value, "")
    return isinstance(spec, Leaf) and spec.type.same_kind(kind)


def result_items(count: int) -> list[str]:
    """How to get at each result of a kernel, which returns a single one bare."""
    return ["r"] if count == 1 else [f"r[{k}]" for k in range(count)]


#: Writes how the user's result is made, and gives it as text, from the names that hold the results
#: of the kernel and those that hold its arguments.
Finish = Callable[[Writer, Sequence[str], Sequence[str]], str]


def _result_of(finish: Finish, count: int, leaves: int) -> Callable[[Any, Any], Any]:
    """The user's result as a function of what a kernel returns and of its arguments."""
    writer = Writer()
    made = finish(writer, result_items(count), [f"a[{k}]" for k in range(leaves)])
    writer.line(f"return {made}")
    return writer.function("result", "r, a")


def _finisher(derived: Derived, kernel: Signature, jit: bool) -> Finish:
    """What makes the user's result of what the kernel returns."""
    written = {r for _, r in kernel.mutated}
    results = [kind for k, kind in enumerate(kernel.results) if k not in written]
    sources = derived.sources or (None,) * len(results)

    def finish(writer: Writer, names: Sequence[str], leaves: Sequence[str]) -> str:
        own = iter(zip(names, results))
        items = (next(own) if s is None else (leaves[s], kernel.params[s]) for s in sources)
        return writer.result(derived.out, items, jit)

    return finish


class Pullback:
    """`pullback(cotangent)`: the gradients. It may be called any number of times.

    The cotangent has the structure and shapes of the value; None stands for zeros. SeedError where
    it does not fit.
    """

    __slots__ = ("_plan", "_residuals", "_shapes")

    def __init__(self, plan: _Backward, residuals: tuple, shapes: tuple) -> None:
        self._plan, self._residuals, self._shapes = plan, residuals, shapes

    def __call__(self, cotangent: Any) -> Any:
        return self._plan.way(self._residuals, self._shapes, cotangent)


class _Backward:
    """The second half of a vjp: the structure of the value, and what gives the gradients for
    residuals, shapes of the value's leaves and a cotangent."""

    def __init__(
        self, derived: Derived, back: Signature, kernel: Callable[..., Any], jit: bool
    ) -> None:
        self.value, self.kernel = derived.program.out, kernel
        self.count = len(back.results)
        self.finish = _finisher(derived, back, jit)
        self._result = _result_of(self.finish, self.count, 0)
        self.way: Callable[[tuple, tuple, Any], Any] = self.call

    def call(self, residuals: tuple, shapes: tuple, cotangent: Any) -> Any:
        given = seeds(self.value, iter(shapes), cotangent, "the cotangent")
        result = self._result(self.kernel(*residuals, *given), ())
        if self.way == self.call:
            self.way = self._short_way() or self.call
        return result

    def _short_way(self) -> Callable[[tuple, tuple, Any], Any] | None:
        """`call` for a cotangent that needs no conversion: see `dispatch`."""
        writer = Writer(("residuals", "shapes", "cotangent"))
        missed = f"{writer.name(self.call)}(residuals, shapes, cotangent)"
        writer.miss = missed
        count = sum(1 for _ in leaf_specs(self.value))
        shapes = (f"shapes[{k}]" for k in range(count))
        try:
            writer.seed(self.value, shapes, "cotangent")
        except Unsupported:
            return None
        kernel = writer.name(self.kernel)  # by the dispatcher: residuals may have another order
        call = f"{kernel}({', '.join(('*residuals', *writer.leaves))})"
        writer.returning(call, self.count, lambda w, names: self.finish(w, names, ()))
        return writer.function("pullback", "residuals, shapes, cotangent")


def _pullback_maker(
    derived: Derived, signatures: Sequence[Signature], kernel: Callable[..., Any], jit: bool
) -> Finish:
    """What makes (value, pullback) of what the forward kernel returns."""
    ahead, back = signatures
    types = ahead.results
    count = sum(1 for _ in leaf_specs(derived.program.out))
    plan = _Backward(derived, back, kernel, jit)

    def finish(writer: Writer, names: Sequence[str], leaves: Sequence[str]) -> str:
        items = list(zip(names, types))
        value = writer.result(derived.program.out, iter(items[:count]), jit)
        shapes = (f"{name}.shape" if kind.is_array else "()" for name, kind in items[:count])
        kept = (
            writer.result(Leaf(kind), iter([(name, kind)]), jit) for name, kind in items[count:]
        )
        parts = (writer.name(plan), _tuple_text(kept), _tuple_text(shapes))
        return f"({value}, {writer.name(Pullback)}({', '.join(parts)}))"

    return finish


def _tuple_text(items: Iterable[str]) -> str:
    return f"({''.join(f'{item}, ' for item in items)})"


def specialise(
    derived: Derived, jit: bool, level: str, vector: bool, fastmath: bool = False
) -> Specialisation:
    """`derived`, taken through the pipeline and compiled (or, with `jit` false, only imported).
    With `vector`, loops call functions that the compiler can vectorise; with `fastmath`, it may
    compute what is equal but for rounding."""
    settings = (level, jit, vector, fastmath)

    def make() -> Made:
        funcs = derived.funcs(level, numpy=not jit, vector=vector and jit)
        text = emit_module(funcs, jit=jit, vector=vector and jit, fastmath=fastmath)
        return Made(text, tuple(map(Signature.of, funcs)))

    made = made_once(derived.program.func, (*derived.asked(), *settings), make)
    kernels = [compile_source(made.text, identifier(s.name), jit=jit) for s in made.signatures]
    for kernel, signature in zip(kernels, made.signatures):
        load_compiled(kernel, signature.params)
    return Specialisation(derived, made.signatures, kernels, jit)
