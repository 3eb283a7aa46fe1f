"""Random programs: the trace is the program, both modes agree with differences and each other.

S2S_FUZZ_EXAMPLES sets how many programs there are, of which each check gets its part (BUDGETS), and
S2S_FUZZ_SEED, where it is set, looks at other programs than the fixed ones. A failing program is
printed as it was found; with S2S_FUZZ_SHRINK=1 it is made smaller first, which takes minutes.
"""

from __future__ import annotations

import os
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, seed, settings

from tests.generator import RandomProgram, programs
from tests.numerics import call, flat
from tests.random_checks import CHECKS, PROGRAMS, NotSmooth

EXAMPLES = int(os.environ.get("S2S_FUZZ_EXAMPLES", "60"))
SEED = os.environ.get("S2S_FUZZ_SEED", "")
PHASES = [Phase.generate, *([Phase.shrink] if os.environ.get("S2S_FUZZ_SHRINK") else [])]

#: How many programs of a kind each check looks at, as parts of EXAMPLES.
BUDGETS = {
    ("trace", "everything"): 2.0,
    ("derivatives", "everything"): 1.0,
    ("derivatives", "nests"): 1.0,
    ("derivatives", "steppers"): 0.5,
    ("derivatives", "ensembles"): 0.5,
    ("some", "everything"): 0.07,
    ("some", "nests"): 0.17,
    ("some", "steppers"): 0.07,
    ("pieces", "everything"): 0.5,
    ("pieces", "nests"): 0.5,
    ("pieces", "steppers"): 0.2,
    ("pieces", "ensembles"): 0.7,
    ("compiled", "everything"): 0.09,
    ("compiled", "nests"): 0.05,
    ("compiled", "steppers"): 0.05,
    ("compiled", "ensembles"): 0.03,
    ("second", "everything"): 0.25,
    ("inner", "everything"): 0.25,
}


@pytest.fixture(autouse=True, scope="module")
def verified():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S2S_AD_VERIFY", "1")
        yield


@pytest.mark.parametrize("check, of", BUDGETS)
def test_random_programs(check: str, of: str) -> None:
    """The same programs each time, others for each check, unless S2S_FUZZ_SEED asks for others."""

    @seed(zlib.crc32(f"{check} {of} {SEED}".encode()))
    @settings(
        max_examples=max(int(EXAMPLES * BUDGETS[check, of]), 1),
        deadline=None,
        database=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs(PROGRAMS[of]))
    def look(program: RandomProgram) -> None:
        note(program.text)
        try:
            CHECKS[check](program)
        except NotSmooth:
            assume(False)

    look()


@pytest.mark.parametrize("trips", [0, 1, 5])
def test_generator_is_bounded(trips: int) -> None:
    """The generator's own promise: programs run, and their values stay where differences work."""

    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    @given(programs())
    def run(program: RandomProgram) -> None:
        args = list(program.args())
        args[2] = trips
        value = flat(call(program.plain(), tuple(args), None))
        assert np.all(np.abs(value) < 1e6)

    run()
