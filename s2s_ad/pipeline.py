"""The list of passes, top to bottom, and what may watch between them.

    frontend ─ simplify ─ jvp | transpose ─ bounds ─ optimise
             ─ (lower) ─ upwards ─ (rows ─ interchange ─ lanes ─ split ─ promote)
             ─ (compilable) ─ (powers) ─ inplace ─ parallel ─ (buffers) ─ emit

A stage maps functions to functions: one to one, except that `vjp` gives a forward and a backward.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from s2s_ad.api_errors import check_option
from s2s_ad.ir.core import Func
from s2s_ad.ir.verify import verify
from s2s_ad.passes.assured import assured
from s2s_ad.passes.batch import batch
from s2s_ad.passes.bounds import bounds
from s2s_ad.passes.buffers import buffers
from s2s_ad.passes.clear import clear
from s2s_ad.passes.compilable import compilable
from s2s_ad.passes.contract import contract
from s2s_ad.passes.cse import cse
from s2s_ad.passes.dce import dce
from s2s_ad.passes.distribute import distribute
from s2s_ad.passes.elements import elements
from s2s_ad.passes.hoist import hoist, hoist_checks
from s2s_ad.passes.inplace import inplace
from s2s_ad.passes.interchange import interchange
from s2s_ad.passes.jvp import jvp
from s2s_ad.passes.lanes import lanes
from s2s_ad.passes.lookahead import lookahead
from s2s_ad.passes.lower import lower
from s2s_ad.passes.narrow import narrow
from s2s_ad.passes.onto import onto
from s2s_ad.passes.outgoing import outgoing
from s2s_ad.passes.parallel import parallel
from s2s_ad.passes.powers import powers
from s2s_ad.passes.preaccumulate import preaccumulate
from s2s_ad.passes.promote import promote
from s2s_ad.passes.repeated import repeated
from s2s_ad.passes.rotate import rotate
from s2s_ad.passes.rows import rows
from s2s_ad.passes.simplify import simplify
from s2s_ad.passes.slices_first import slices_first
from s2s_ad.passes.split import split
from s2s_ad.passes.transpose import grad, vjp
from s2s_ad.passes.upwards import upwards

Funcs = tuple[Func, ...]
#: Called after every stage with its name, what it gave, and the seconds it took.
Observer = Callable[[str, Funcs, float], None]

LEVELS = ("array", "kernel")


@dataclass(frozen=True)
class Stage:
    name: str
    run: Callable[[Funcs], Funcs]


def each(*passes: Callable[[Func], Func]) -> Callable[[Funcs], Funcs]:
    """The passes one after the other, on every function."""

    def apply(funcs: Funcs) -> Funcs:
        for one in passes:
            funcs = tuple(map(one, funcs))
        return funcs

    return apply


def _decided(func: Func) -> Func:
    known = assured(func)
    return func if known is func else dce(simplify(known))


def stages(
    mode: str,
    wrt: Sequence[int],
    level: str,
    invert: bool = False,
    boundscheck: bool = True,
    numpy: bool = False,
    donated: Sequence[int] = (),
    threads: bool = False,
    vector: bool = False,
) -> tuple[Stage, ...]:
    """What is done to a function that the frontend made, in order.

    `mode` is primal, jvp, grad, value_and_grad or vjp; `wrt` are the parameters to differentiate
    with respect to; `level` is one of LEVELS; `invert` allows updates to be inverted with rounding;
    `numpy` says that array code is not compiled: NumPy checks most of its subscripts itself; the
    buffers of the parameters `donated` may be used; `threads` makes loops parallel that are long,
    those of the user's that are to be are so anyway; `vector` lets functions be computed to 4 ulp.

    Subscripts are checked last: what a derivative is differentiated again from still has the marks
    of all of them, and the reverse sweep, which uses the same ones, has none.
    """
    optimise = each(simplify, cse, dce, contract, hoist, _decided, onto)
    kernel = level == "kernel"
    numpy = numpy and not kernel
    checks = ("unseen" if numpy else "all") if boundscheck else "none"
    gradient = functools.partial(grad, wrt=wrt, invert=invert, donated=donated, guarded=kernel)
    derive = {
        "primal": (),
        "jvp": (Stage("jvp", lambda funcs: (jvp(*funcs, wrt),)),),
        "grad": (Stage("transpose", lambda funcs: (gradient(*funcs, value=False),)),),
        "value_and_grad": (Stage("transpose", lambda funcs: (gradient(*funcs),)),),
        "vjp": (Stage("transpose", lambda funcs: vjp(*funcs, wrt, invert, donated, kernel)),),
    }
    changed = functools.partial(interchange, threads=threads)
    lowered = Stage("lower", each(rotate, clear, slices_first, lower, simplify, cse, dce))
    turned = Stage("upwards", each(upwards, simplify, dce))
    joined = Stage("rows", each(rows, cse, repeated, simplify, cse, dce))
    nested = Stage("interchange", each(hoist_checks, changed, simplify, cse, dce))
    several = Stage("lanes", each(lanes, simplify, cse, dce))
    summed = Stage(
        "promote", each(promote, preaccumulate, distribute, lookahead, onto, simplify, cse, dce)
    )
    ends = Stage("split", each(split, simplify, cse, dce))
    apart = (Stage("elements", each(narrow, elements, simplify, cse, dce)),) if kernel else ()
    loops = () if kernel or numpy else (Stage("compilable", each(compilable, simplify, cse, dce)),)
    rooted = (Stage("powers", each(powers, cse)),) if vector else ()
    reuse = (Stage("buffers", each(buffers)),) if kernel else ()
    together = Stage("parallel", each(lambda func: parallel(func, threads and kernel)))
    return (
        Stage("simplify", each(outgoing, simplify, cse, dce, contract, hoist, batch, cse)),
        *apart,
        *derive[mode],
        Stage("bounds", each(lambda func: bounds(func, checks))),
        Stage("optimise", optimise),
        *((lowered, turned, joined, nested, several, ends, summed) if kernel else (turned, *loops)),
        *rooted,
        Stage("inplace", lambda funcs: (inplace(funcs[0], donated), *map(inplace, funcs[1:]))),
        together,
        *reuse,
    )


def _inside_transpose(wrt: Sequence[int], invert: bool, donated: Sequence[int]) -> dict[str, Stage]:
    """What `transpose` goes through, to be looked at: the tangents, and the taped forward sweep."""
    return {
        "jvp": Stage("jvp", lambda funcs: (jvp(*funcs, wrt),)),
        "tape": Stage("tape", lambda funcs: (vjp(*funcs, wrt, invert, donated)[0],)),
    }


_observers: ContextVar[tuple[Observer, ...]] = ContextVar("observers", default=())


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Inside, `observer` is called after every stage of every pipeline that runs."""
    token = _observers.set((*_observers.get(), observer))
    try:
        yield
    finally:
        _observers.reset(token)


def run(
    func: Func,
    mode: str,
    wrt: Sequence[int],
    level: str,
    after: str | None = None,
    invert: bool = False,
    boundscheck: bool = True,
    numpy: bool = False,
    donated: Sequence[int] = (),
    threads: bool = False,
    vector: bool = False,
) -> Funcs:
    """`func` through all stages, or through those up to and including `after`.

    With the environment variable S2S_AD_VERIFY=1 every stage's result is verified. OptionError
    where there is no such level, or no such stage for this mode and level.
    """
    check_option("level", level, LEVELS)
    todo = stages(mode, wrt, level, invert, boundscheck, numpy, donated, threads, vector)
    inside = (
        _inside_transpose(wrt, invert, donated) if any(s.name == "transpose" for s in todo) else {}
    )
    if after is not None:
        check_option("after", after, ("frontend", *(s.name for s in todo), *inside))
    if after in inside:
        before = [s.name for s in todo].index("transpose")
        todo = (*todo[:before], inside[after])
    names = ("frontend", *(stage.name for stage in todo))
    funcs: Funcs = (func,)
    _observe("frontend", funcs, 0.0)
    for stage in todo[: names.index(after)] if after is not None else todo:
        start = time.perf_counter()
        funcs = stage.run(funcs)
        _observe(stage.name, funcs, time.perf_counter() - start)
    return funcs


def differentiated(mode: str, func: Func, wrt: tuple[int, ...], invert: bool = False) -> Funcs:
    """`func` after the stage that differentiates it, to be a part of another function: small before
    that forgets what may be rounded freely."""
    after = "jvp" if mode == "jvp" else "transpose"
    return each(simplify, cse, simplify, dce)(run(func, mode, wrt, "array", after, invert))


def _observe(name: str, funcs: Funcs, seconds: float) -> None:
    if os.environ.get("S2S_AD_VERIFY") == "1":
        for func in funcs:
            verify(func)
    for observer in _observers.get():
        observer(name, funcs, seconds)
