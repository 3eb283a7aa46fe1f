"""Random programs: the trace is the program, both modes agree with differences and each other.

S2S_FUZZ_EXAMPLES sets the number of uncompiled programs (a twelfth of it is compiled), and
S2S_FUZZ_SEED, where it is set, looks at other programs than the fixed ones. A failing program is
printed as it was found; with S2S_FUZZ_SHRINK=1 it is made smaller first, which takes minutes.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, seed, settings

from s2s_ad import grad, jvp, vjp
from s2s_ad.ir.interp import evaluate
from s2s_ad.passes.simplify import simplify
from s2s_ad.specialise import Binder, program_of
from tests.generator import RandomProgram, random_programs
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

EXAMPLES = int(os.environ.get("S2S_FUZZ_EXAMPLES", "60"))
SEED = os.environ.get("S2S_FUZZ_SEED")
PHASES = [Phase.generate, *([Phase.shrink] if os.environ.get("S2S_FUZZ_SHRINK") else [])]
WRT = (0, 1, 3, 4, 5)


def fuzz(examples: int) -> Callable:
    """`given(random_programs())` with a fixed seed unless S2S_FUZZ_SEED asks for another."""

    def decorate(test: Callable) -> Callable:
        test = given(random_programs())(test)
        test = settings(
            max_examples=max(examples, 1),
            deadline=None,
            database=None,
            phases=PHASES,
            derandomize=SEED is None,
            suppress_health_check=list(HealthCheck),
        )(test)
        return test if SEED is None else seed(int(SEED))(test)

    return decorate


@pytest.fixture(autouse=True, scope="module")
def verified():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S2S_AD_VERIFY", "1")
        yield


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
    assume(False)
    raise AssertionError("assume(False) returns never")


def check_derivatives(program: RandomProgram, precise: float, **options) -> tuple:
    """Everything about one program under `options`; gives what was computed, to compare."""
    note(program.text)
    fn, args = program.plain(), program.args()
    before = copy.deepcopy(args)
    options = {"wrt": WRT, **options}
    rng = np.random.default_rng(program.seed)
    v = tuple(noise(args[i], rng) for i in WRT)
    value = call(fn, args, None)
    expected = smooth_difference(program, args, v)

    primal, tangent = jvp(fn, **options)(args, v)
    assert_same(primal, value, precise)
    assert_jvp(tangent, expected, value)

    primal, pullback = vjp(fn, **options)(*args)
    assert_same(primal, value, precise)
    w = noise(primal, rng)
    gradients = pullback(w)
    assert_transposed(tangent, w, gradients, v)
    assert_same(args, before)
    return value, tangent, gradients


@fuzz(2 * EXAMPLES)
def test_trace_is_the_program(program: RandomProgram) -> None:
    """The trace, as it is and simplified, evaluates to what Python computes."""
    note(program.text)
    fn, args = program.plain(), program.args()
    binder = Binder(fn, (), None)
    traced = program_of(fn, binder.describe(binder.bind(args, {})))
    captured = tuple(get() for get in traced.captures)
    for func in (traced.func, simplify(traced.func)):
        found = evaluate(func, copy.deepcopy(args + captured))
        written = {result for _, result in func.mutated}
        values = [r for i, r in enumerate(found) if i not in written]
        assert_same(values, call(fn, args, None), 1e-14)


@fuzz(EXAMPLES)
def test_derivatives(program: RandomProgram) -> None:
    """Both levels of uncompiled source, and that they agree."""
    array = check_derivatives(program, 1e-14, jit=False, level="array")
    kernel = check_derivatives(program, 1e-13, jit=False, level="kernel")
    assert_same(kernel, array, 1e-12)


@fuzz(EXAMPLES // 12)
def test_compiled_derivatives(program: RandomProgram) -> None:
    uncompiled = check_derivatives(program, 1e-13, jit=False, level="kernel")
    assert_same(check_derivatives(program, 1e-12), uncompiled, 1e-11)


@fuzz(EXAMPLES // 4)
def test_second_derivatives(program: RandomProgram) -> None:
    """The tangent of a gradient: forward over reverse, against differences of the gradient."""
    note(program.text)
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


@pytest.mark.parametrize("trips", [0, 1, 5])
def test_generator_is_bounded(trips: int) -> None:
    """The generator's own promise: programs run, and their values stay where differences work."""

    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    @given(random_programs())
    def run(program: RandomProgram) -> None:
        args = list(program.args())
        args[2] = trips
        value = flat(call(program.plain(), tuple(args), None))
        assert np.all(np.abs(value) < 1e6)

    run()
