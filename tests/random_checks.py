"""What holds for every random program, each check a function of the program.

`python -m tests.fuzz 20000` runs one of them on so many programs; tests/test_random_programs.py
runs all on a few. A check raises AssertionError where something is wrong, and NotSmooth where it
cannot tell.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext

import numpy as np

from s2s_ad import differentiate, grad, jvp, vjp
from s2s_ad.ir.interp import evaluate
from s2s_ad.passes.simplify import simplify
from s2s_ad.specialise import Binder, program_of
from tests.ensemble_generator import random_ensemble
from tests.generator import RandomProgram, random_program
from tests.nest_generator import random_nest
from tests.numerics import (
    along,
    assert_jvp,
    assert_same,
    assert_transposed,
    call,
    extrapolated,
    flat,
    noise,
)
from tests.poison import poisoned
from tests.small_pieces import small_pieces
from tests.stepper_generator import random_stepper

WRT = (0, 1, 3, 4, 5)


class NotSmooth(Exception):
    """There are no differences to compare with: a condition flips however near the arguments."""


class Flipped(Exception):
    """A condition came out differently at a point near the arguments."""


def smooth_difference(program: RandomProgram, args: tuple, tangents: tuple) -> np.ndarray:
    """Jv by differences whose steps are small enough to take every branch as at the arguments."""
    fn, log = program.recording()

    def run(t: float) -> tuple[np.ndarray, list[bytes]]:
        log.clear()
        return flat(call(fn, along(args, WRT, tangents, t), None)), list(log)

    _, taken = run(0.0)

    def curve(t: float) -> np.ndarray:
        value, now = run(t)
        if now != taken:
            raise Flipped
        return value

    for h in (2e-2, 2e-3, 2e-4):
        try:
            return extrapolated(curve, h)
        except Flipped:
            continue
    raise NotSmooth


def check_derivatives(program: RandomProgram, precise: float, **options) -> tuple:
    """Everything about one program under `options`; gives what was computed, to compare."""
    fn, args = program.plain(), program.args()
    before = copy.deepcopy(args)
    options = {"wrt": WRT, **options}
    rng = np.random.default_rng(program.seed)
    v = tuple(noise(args[i], rng) for i in WRT)
    value = call(fn, args, None)
    if not np.all(np.isfinite(flat(value))):
        raise NotSmooth
    expected = smooth_difference(program, args, v)

    primal, tangent = jvp(fn, **options)(args, v)
    assert_same(primal, value, precise, terms=1.0)
    assert_jvp(tangent, expected, value)

    primal, pullback = vjp(fn, **options)(*args)
    assert_same(primal, value, precise, terms=1.0)
    w = noise(primal, rng)
    gradients = pullback(w)
    assert_transposed(tangent, w, gradients, v)
    assert_same(args, before)
    return value, tangent, gradients


def trace(program: RandomProgram) -> None:
    """The trace, as it is and simplified, evaluates to what Python computes."""
    fn, args = program.plain(), program.args()
    binder = Binder(fn, (), None)
    traced = program_of(fn, binder.describe(binder.bind(args, {})))
    captured = tuple(get() for get in traced.captures)
    for func in (traced.func, simplify(traced.func)):
        found = evaluate(func, copy.deepcopy(args + captured))
        written = {result for _, result in func.mutated}
        values = [r for i, r in enumerate(found) if i not in written]
        assert_same(values, call(fn, args, None), 1e-14)


@poisoned()
def derivatives(program: RandomProgram) -> None:
    """Both modes at both levels of uncompiled source, and that the levels agree."""
    array = check_derivatives(program, 1e-14, jit=False, level="array")
    kernel = check_derivatives(program, 1e-13, jit=False, level="kernel")
    assert_same(kernel, array, 1e-12)


@poisoned()
def some(program: RandomProgram) -> None:
    """With respect to some of the arguments, the derivatives are those parts of the whole, also
    where loops are taken apart although they are short. More of the program is inactive, so other
    code is generated for what is left."""
    fn, args = program.plain(), program.args()
    rng = np.random.default_rng(program.seed)
    value, whole = vjp(fn, wrt=WRT, jit=False)(*args)
    if not np.all(np.isfinite(flat(value))):
        raise NotSmooth
    w, forward = noise(value, rng), jvp(fn, wrt=WRT, jit=False)
    gradients = dict(zip(WRT, whole(w)))
    for wrt in ((0,), (1,), (3,), (5,), (0, 4), (1, 3, 5)):
        v = {i: noise(args[i], rng) for i in wrt}
        _, expected = forward(args, tuple(v.get(i, 0.0 * noise(args[i], rng)) for i in WRT))
        for level, around in (("array", nullcontext), ("kernel", small_pieces)):
            options = {"wrt": wrt, "jit": False, "level": level}
            with around():
                _, pullback = vjp(fn, **options)(*args)
                assert_same(pullback(w), tuple(gradients[i] for i in wrt), 1e-10, terms=1.0)
                _, tangent = jvp(fn, **options)(args, tuple(v.values()))
                assert_same(tangent, expected, 1e-10, terms=1.0)


@poisoned()
def pieces(program: RandomProgram) -> None:
    """The same where loops are taken apart although they are short."""
    with small_pieces():
        check_derivatives(program, 1e-13, jit=False, level="kernel")


def compiled(program: RandomProgram) -> None:
    """Both modes, compiled, and that they agree with the uncompiled source."""
    uncompiled = check_derivatives(program, 1e-13, jit=False, level="kernel")
    assert_same(check_derivatives(program, 1e-12), uncompiled, 1e-11)


@poisoned()
def second(program: RandomProgram) -> None:
    """The tangent of a gradient: forward over reverse, against differences of the gradient."""
    fn, args = program.plain(), program.args()
    if isinstance(call(fn, args, None), tuple):
        return
    rng = np.random.default_rng(program.seed)
    v = tuple(noise(args[i], rng) for i in WRT)
    smooth_difference(program, args, v)
    gradient = grad(fn, wrt=WRT, jit=False)

    def curve(t: float) -> np.ndarray:
        return flat(gradient(*along(args, WRT, v, t)))

    value, tangent = jvp(gradient, wrt=WRT, jit=False)(args, v)
    assert_jvp(tangent, extrapolated(curve, 1e-4), value, rtol=1e-5)


@poisoned()
def inner(program: RandomProgram) -> None:
    """A derivative that a function takes itself is the one that is taken of it, and what is around
    it is differentiated through it: both modes, and differences of what is taken outside."""
    fn, args = program.plain(), program.args()

    def around(*given):
        value, pullback = vjp(fn, wrt=WRT)(*given)
        return value, pullback(value)

    outside = vjp(fn, wrt=WRT, jit=False)

    def apart(*given):
        value, pullback = outside(*given)
        return value, pullback(value)

    before = copy.deepcopy(args)
    expected = apart(*args)
    assert_same(differentiate(around, jit=False)(*args), expected, 1e-11)
    rng = np.random.default_rng(program.seed)
    v = tuple(noise(args[i], rng) for i in WRT)
    smooth_difference(program, args, v)
    value, tangent = jvp(around, wrt=WRT, jit=False)(args, v)
    assert_same(value, expected, 1e-11)
    curve = extrapolated(lambda t: flat(apart(*along(args, WRT, v, t))), 1e-4)
    assert_jvp(tangent, curve, value, rtol=1e-5)
    value, pullback = vjp(around, wrt=WRT, jit=False)(*args)
    w = noise(value, rng)
    assert_transposed(tangent, w, pullback(w), v)
    assert_same(args, before)


PROGRAMS = {
    "everything": random_program,
    "nests": random_nest,
    "steppers": random_stepper,
    "ensembles": random_ensemble,
}
CHECKS = {
    check.__name__: check for check in (trace, derivatives, some, pieces, compiled, second, inner)
}
