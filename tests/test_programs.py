"""Programs as users write them: both modes, compiled and not, on several inputs each."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest

from s2s_ad import differentiate, jvp, vjp
from tests.derivative_checks import Derivatives
from tests.numerics import assert_same, call_with_effects, noise, same_signature
from tests.poison import poisoned
from tests.programs import (
    Program,
    arrays,
    calls,
    control,
    elementwise,
    inplace,
    language,
    linalg,
    lists,
    loops,
    mutation,
    normal,
    numbers,
    objects,
    ode,
    reruns,
    statements,
    statistics,
    stencils,
)

NAMED = [
    p
    for m in (ode, inplace, stencils, linalg, statistics, control, calls, mutation, objects, lists)
    for p in m.PROGRAMS
]
BROAD = [
    p
    for m in (elementwise, arrays, language, statements, loops, reruns, numbers)
    for p in m.PROGRAMS
]
WITH_ARRAYS = [
    p for m in (arrays, elementwise, linalg, mutation, statistics, stencils) for p in m.PROGRAMS
]
#: The programs that are compiled in every run; the others' compilations are slow tests.
COMPILED = """
    van_der_pol lotka_volterra newton_sqrt running_product recurrence jacobi_2d gauss_seidel
    cholesky logistic_regression gmm safe_sqrt nested_exits helper_elsewhere closure
    cache_challenge read_overwrite_read row_view scatter swap_arguments store_pairs nested_walrus
    nonlocal_accumulator break_with_live_values bits_of_integers oscillator append_filtered
"""
LEVELS = ("array", "kernel")


@pytest.fixture(autouse=True)
def verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2S_AD_VERIFY", "1")


def cases(programs: list[Program]) -> list:
    return [
        pytest.param(program, index, id=f"{program.name}-{label}")
        for program in programs
        for index, (label, _) in enumerate(program.inputs)
    ]


@cache
def derivatives(program: Program, level: str | None) -> Derivatives:
    """`level` None is the compiled form."""
    options = {} if level is None else {"jit": False, "level": level}
    return Derivatives(program.fn, program.outputs, program.wrt, **options)


def compiled_cases(programs: list[Program]) -> list:
    """Inputs that need a specialisation of their own take a compilation of their own: slow."""
    found = []
    for case in cases(programs):
        program, index = case.values
        first, own = program.inputs[0][1], program.inputs[index][1]
        quick = program.name in COMPILED.split() and same_signature(first, own)
        marks = () if quick else (pytest.mark.slow,)
        found.append(pytest.param(program, index, id=case.id, marks=marks))
    return found


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("program, index", cases(NAMED + BROAD))
def test_uncompiled(program: Program, index: int, level: str) -> None:
    with poisoned():
        derivatives(program, level).check(program.inputs[index][1], fd_rtol=program.fd_rtol)


@pytest.mark.parametrize("program, index", compiled_cases(NAMED + BROAD))
def test_compiled(program: Program, index: int) -> None:
    """Of the broad table forward mode and pullbacks are compiled; gradients are much the same."""
    gradients = program in NAMED
    args = program.inputs[index][1]
    derivatives(program, None).check(args, gradients=gradients, fd_rtol=program.fd_rtol)


@pytest.mark.slow
@pytest.mark.parametrize("program", WITH_ARRAYS, ids=lambda p: p.name)
def test_compiled_array_code(program: Program) -> None:
    """The array level is for reading, but compiles as well."""
    options = {"wrt": program.wrt, "outputs": program.outputs, "level": "array"}
    args = program.inputs[0][1]
    expected, pullback = vjp(program.fn, jit=False, **options)(*copy.deepcopy(args))
    value, compiled_pullback = vjp(program.fn, **options)(*copy.deepcopy(args))
    assert_same(value, expected, 1e-11)
    w = noise(expected, np.random.default_rng(3))
    assert_same(compiled_pullback(w), pullback(w), 1e-10)


@pytest.mark.parametrize("program, index", cases(NAMED + BROAD))
def test_primal_uncompiled(program: Program, index: int) -> None:
    """`differentiate` without compilation is the program: same value, same writes to arguments."""
    primal = differentiate(program.fn, jit=False)
    args = program.inputs[index][1]
    assert_same(call_with_effects(primal, args), call_with_effects(program.fn, args), 1e-14)


@pytest.mark.parametrize("steps", [0, 1, 4, 5])
def test_swapped_buffers(steps: int) -> None:
    """Gradients are exact, and the primal leaves in the caller's array what Python does."""
    args = (normal(7), steps)
    Derivatives(stencils.swapped_buffers, jit=False).check(args)
    primal = differentiate(stencils.swapped_buffers, jit=False)
    expected = call_with_effects(stencils.swapped_buffers, args)
    assert_same(call_with_effects(primal, args), expected, 1e-14)


def test_tangents_may_share_memory_with_primals() -> None:
    a = normal(5)
    fn = inplace.running_product
    _, shared = jvp(fn, jit=False)((a,), (a,))
    _, apart = jvp(fn, jit=False)((a,), (a.copy(),))
    assert shared == apart


def test_the_compiled_programs_exist() -> None:
    assert set(COMPILED.split()) <= {program.name for program in NAMED + BROAD}
