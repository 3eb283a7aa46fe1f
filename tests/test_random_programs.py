"""Random programs: the trace is the program, both modes agree with differences and each other.

S2S_FUZZ_EXAMPLES sets the number of uncompiled programs (a twelfth of it is compiled), and
S2S_FUZZ_SEED, where it is set, looks at other programs than the fixed ones. A failing program is
printed as it was found; with S2S_FUZZ_SHRINK=1 it is made smaller first, which takes minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, seed, settings

from tests import random_checks
from tests.generator import RandomProgram, random_programs
from tests.nest_generator import random_nests
from tests.numerics import call, flat
from tests.random_checks import NotSmooth
from tests.stepper_generator import random_steppers

EXAMPLES = int(os.environ.get("S2S_FUZZ_EXAMPLES", "60"))
SEED = os.environ.get("S2S_FUZZ_SEED")
PHASES = [Phase.generate, *([Phase.shrink] if os.environ.get("S2S_FUZZ_SHRINK") else [])]


def fuzz(examples: int, programs: Callable = random_programs) -> Callable:
    """`given(programs())` with a fixed seed unless S2S_FUZZ_SEED asks for another."""

    def decorate(test: Callable) -> Callable:
        test = given(programs())(test)
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


def checked(program: RandomProgram, check: Callable[[RandomProgram], None]) -> None:
    note(program.text)
    try:
        check(program)
    except NotSmooth:
        assume(False)


@fuzz(2 * EXAMPLES)
def test_trace_is_the_program(program: RandomProgram) -> None:
    checked(program, random_checks.trace)


@fuzz(EXAMPLES)
def test_derivatives(program: RandomProgram) -> None:
    checked(program, random_checks.derivatives)


@fuzz(EXAMPLES // 15)
def test_derivatives_with_respect_to_some_arguments(program: RandomProgram) -> None:
    checked(program, random_checks.some)


@fuzz(EXAMPLES, random_nests)
def test_derivatives_of_nests(program: RandomProgram) -> None:
    checked(program, random_checks.derivatives)


@fuzz(EXAMPLES // 6, random_nests)
def test_nests_with_respect_to_some_arguments(program: RandomProgram) -> None:
    checked(program, random_checks.some)


@fuzz(EXAMPLES // 20, random_nests)
def test_compiled_nests(program: RandomProgram) -> None:
    checked(program, random_checks.compiled)


@fuzz(EXAMPLES // 2, random_steppers)
def test_derivatives_of_steppers(program: RandomProgram) -> None:
    checked(program, random_checks.derivatives)


@fuzz(EXAMPLES // 15, random_steppers)
def test_steppers_with_respect_to_some_arguments(program: RandomProgram) -> None:
    checked(program, random_checks.some)


@fuzz(EXAMPLES // 20, random_steppers)
def test_compiled_steppers(program: RandomProgram) -> None:
    checked(program, random_checks.compiled)


@fuzz(EXAMPLES // 2)
def test_derivatives_in_pieces(program: RandomProgram) -> None:
    checked(program, random_checks.pieces)


@fuzz(EXAMPLES // 12)
def test_compiled_derivatives(program: RandomProgram) -> None:
    checked(program, random_checks.compiled)


@fuzz(EXAMPLES // 4)
def test_second_derivatives(program: RandomProgram) -> None:
    checked(program, random_checks.second)


@fuzz(EXAMPLES // 4)
def test_inner_derivatives(program: RandomProgram) -> None:
    checked(program, random_checks.inner)


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
