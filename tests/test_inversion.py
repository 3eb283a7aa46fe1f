"""`invert=True`: updates are inverted in the reverse sweep, and nothing is kept."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad import grad, vjp
from tests.derivative_checks import Derivatives
from tests.programs import Program, inversion

#: Programs that keep no floating-point number of any iteration; `damped` keeps a bool.
WITHOUT_TAPE = "leapfrog leapfrog_arrays leapfrog_elements substeps event exchanged".split()
CASES = [
    pytest.param(program, args, id=f"{program.name}-{label}")
    for program in inversion.PROGRAMS
    for label, args in program.inputs
]
BY_NAME = {program.name: program for program in inversion.PROGRAMS}


def source(name: str, level: str = "array", **options) -> str:
    program = BY_NAME[name]
    extra = {} if program.outputs is None else {"outputs": program.outputs}
    return vjp(program.fn, **extra, **options).source(*program.inputs[0][1], level=level)


@pytest.mark.parametrize("level", ["array", "kernel"])
@pytest.mark.parametrize("program, args", CASES)
def test_derivatives(program: Program, args: tuple, level: str) -> None:
    Derivatives(program.fn, program.outputs, jit=False, level=level, invert=True).check(args)


@pytest.mark.slow
@pytest.mark.parametrize("program, args", CASES)
def test_compiled_derivatives(program: Program, args: tuple) -> None:
    Derivatives(program.fn, program.outputs, invert=True).check(args)


def test_compiled_leapfrog() -> None:
    Derivatives(inversion.leapfrog, invert=True).check(BY_NAME["leapfrog"].inputs[0][1])


@pytest.mark.parametrize("name", WITHOUT_TAPE)
def test_nothing_is_kept(name: str) -> None:
    assert "tape" in source(name)
    assert "tape" not in source(name, invert=True)


def test_a_condition_on_what_is_inverted_is_kept() -> None:
    """Evaluated again from a rounded value it might come out differently."""
    text = source("damped", invert=True)
    assert text.count("np.empty(") == 1
    assert "dtype=np.bool_" in text


def test_what_cannot_be_inverted_is_saved() -> None:
    assert source("not_invertible", invert=True) == source("not_invertible")


def test_a_factor_of_zero_is_an_error() -> None:
    args = (1.0, 0.5, 0.5, 2.0, 3)  # 1 - g h is 0
    expected = grad(inversion.damped, jit=False)(*args)
    assert np.isfinite(expected)
    with pytest.raises(ZeroDivisionError, match="cannot be inverted"):
        grad(inversion.damped, jit=False, invert=True)(*args)


def test_integers_are_inverted_without_being_asked() -> None:
    """`k` is an index that moves by a step that is known: it is counted back, not kept."""

    def strided(x, step):
        total = 0.0
        k = 0
        while k < len(x):
            total += x[k] * x[k]
            k += step
        return total

    x = np.arange(1.0, 8.0)
    gradient = grad(strided, jit=False)
    assert "tape" not in gradient.source(x, 3)
    np.testing.assert_array_equal(gradient(x, 3), [2.0, 0, 0, 8.0, 0, 0, 14.0])


def test_linear_accumulations_keep_nothing() -> None:
    def weighted(x, w, n):
        total = 0.0
        for i in range(n):
            total = 0.9 * total + w * x[i]
            total += 2.0 * x[i]
        return total

    x = np.arange(1.0, 6.0)
    text = grad(weighted, wrt=("x", "w")).source(x, 0.3, 5)
    assert "np.empty" not in text
    Derivatives(weighted, jit=False).check((x, 0.3, 5))
