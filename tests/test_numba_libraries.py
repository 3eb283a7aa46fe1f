"""Functions of installed numba libraries, unmodified: both modes against finite differences.

numba-stats (distributions) is in the `test` extra. The core of hapsira (orbital mechanics) needs
only numba and NumPy, its package much more: `pip install --no-deps hapsira`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from s2s_ad import differentiate, vjp
from s2s_ad.errors import S2SError
from tests.derivative_checks import Derivatives

needs_stats = pytest.mark.skipif(
    importlib.util.find_spec("numba_stats") is None, reason="needs numba-stats (extra: test)"
)
needs_orbits = pytest.mark.skipif(
    importlib.util.find_spec("hapsira") is None, reason="needs: pip install --no-deps hapsira"
)

X = np.array([-1.3, -0.4, 0.1, 0.8, 1.9])
POSITIVE = np.array([0.3, 0.9, 1.4, 2.6])
PROBABILITY = np.array([0.1, 0.4, 0.55, 0.9])

#: name -> the arguments.
STATISTICS: dict[str, tuple] = {
    "norm.pdf": (X, 0.2, 1.3),
    "norm.logpdf": (X, 0.2, 1.3),
    "norm.cdf": (X, 0.2, 1.3),
    "expon.pdf": (POSITIVE, 0.1, 1.7),
    "expon.cdf": (POSITIVE, 0.1, 1.7),
    "expon.ppf": (PROBABILITY, 0.1, 1.7),
    "laplace.pdf": (X, 0.3, 1.2),
    "laplace.ppf": (PROBABILITY, 0.3, 1.2),
    "uniform.cdf": (PROBABILITY, -1.0, 3.0),
    "lognorm.pdf": (POSITIVE, 0.7, 0.1, 1.2),
    "lognorm.cdf": (POSITIVE, 0.7, 0.1, 1.2),
    "crystalball.pdf": (X, 0.9, 2.5, 0.1, 1.1),
    "crystalball.cdf": (X, 0.9, 2.5, 0.1, 1.1),
    "cruijff.density": (X, 0.1, 0.2, 0.3, 1.0, 1.4),
    "tsallis.pdf": (POSITIVE, 0.5, 0.4, 5.0),
    "tsallis.cdf": (POSITIVE, 0.5, 0.4, 5.0),
    "bernstein.density": (PROBABILITY, np.array([1.0, 3.0, 2.0]), 0.0, 1.0),
    "bernstein.integral": (PROBABILITY, np.array([1.0, 3.0, 2.0]), 0.0, 1.0),
    "truncnorm.pdf": (X, -2.0, 2.5, 0.2, 1.3),
    "truncnorm.cdf": (X, -2.0, 2.5, 0.2, 1.3),
    "truncexpon.pdf": (POSITIVE, 0.1, 3.0, 0.0, 1.5),
    "truncexpon.ppf": (PROBABILITY, 0.1, 3.0, 0.0, 1.5),
    "t.pdf": (X, 3.4, 0.1, 1.2),
    "t.logpdf": (X, 3.4, 0.1, 1.2),
    "qgaussian.pdf": (X, 1.6, 0.1, 1.2),
    "gamma.pdf": (POSITIVE, 2.3, 0.1, 1.2),
    "chi2.logpdf": (POSITIVE, 3.5, 0.1, 1.2),
    "poisson.pmf": (np.array([0.0, 1.0, 4.0]), 2.5),
    "novosibirsk.pdf": (X, 0.2, 0.1, 1.2),
    "cmsshape.pdf": (X, 0.4, 0.7, 0.2),
}

K = 398600.4418
R0, V0 = np.array([1131.34, -2282.343, 6672.423]), np.array([-5.64305, 4.30333, 2.42879])
STATE = np.concatenate([R0, V0])

ORBITS: dict[str, tuple] = {
    "angles.nu_to_E": (0.7, 0.2),
    "angles.E_to_nu": (0.7, 0.2),
    "angles.M_to_E": (0.9, 0.3),
    "angles.E_to_M": (0.9, 0.3),
    "angles.nu_to_F": (0.4, 1.4),
    "angles.F_to_nu": (0.4, 1.4),
    "angles.M_to_F": (0.9, 1.3),
    "angles.D_to_M": (0.6,),
    "angles.M_to_D": (0.6,),
    "angles.fp_angle": (0.6, 0.3),
    "elements.eccentricity_vector": (K, R0, V0),
    "elements.rv_pqw": (K, 11067.79, 0.83285, 1.61),
    "elements.coe_rotation_matrix": (0.5, 1.2, 0.7),
    "elements.coe2rv": (K, 11067.79, 0.83285, 1.53, 3.98, 0.93, 1.61),
    "elements.rv2coe": (K, R0, V0),
    "elements.mee2coe": (11067.79, 0.5, 0.4, 0.3, 0.2, 1.1),
    "perturbations.J2_perturbation": (0.0, STATE, K, 1.08e-3, 6378.1),
    "perturbations.J3_perturbation": (0.0, STATE, K, -2.5e-6, 6378.1),
    "propagation.base.func_twobody": (0.0, STATE, K),
    "propagation.farnocchia.farnocchia_rv": (K, R0, V0, 2400.0),
    "propagation.markley.markley_coe": (K, 11067.79, 0.4, 1.53, 3.98, 0.93, 1.61, 2400.0),
    "events.line_of_sight": (
        np.array([7000.0, 500.0, 10.0]),
        np.array([-900.0, 8000.0, 30.0]),
        6378.1,
    ),
    "earth_atmosphere.util.gravity": (200.0, 9.81, 6378.1),
}

#: What is compiled in every run: a compilation takes seconds.
COMPILED = ("norm.pdf", "bernstein.density", "t.logpdf", "elements.rv_pqw", "angles.M_to_E")
#: The functions whose own compilation, which finite differences need, is left to the long tests.
LONG = """
    elements.coe2rv elements.rv2coe elements.mee2coe propagation.farnocchia.farnocchia_rv
    propagation.markley.markley_coe perturbations.J2_perturbation perturbations.J3_perturbation
    angles.M_to_F angles.nu_to_F events.line_of_sight
""".split()
#: What each function that is not supported says.
REFUSED = {
    "norm.ppf": "ndtri",
    "gamma.cdf": "gammainc",
    "exponnorm.pdf": "erfcx",
    "voigt.pdf": "voigt_profile",
}


def find(package: str, name: str) -> Callable[..., Any]:
    module, function = name.rsplit(".", 1)
    return getattr(importlib.import_module(f"{package}.{module}"), function)


@cache
def derivatives(package: str, name: str, jit: bool) -> Derivatives:
    return Derivatives(find(package, name), **({} if jit else {"jit": False}))


def cases(quick: Callable[[str], bool]) -> list:
    """Every function; those that are not quick are long tests."""
    found = [("numba_stats", n, a, needs_stats) for n, a in STATISTICS.items()]
    found += [("hapsira.core", n, a, needs_orbits) for n, a in ORBITS.items()]
    return [
        pytest.param(p, n, a, id=n, marks=[mark, *(() if quick(n) else (pytest.mark.slow,))])
        for p, n, a, mark in found
    ]


@pytest.mark.parametrize("package, name, args", cases(lambda name: name not in LONG))
def test_uncompiled(package: str, name: str, args: tuple) -> None:
    derivatives(package, name, False).check(args)


@pytest.mark.parametrize("package, name, args", cases(lambda name: name in COMPILED))
def test_compiled(package: str, name: str, args: tuple) -> None:
    derivatives(package, name, True).check(args)


@needs_stats
@pytest.mark.parametrize("name", REFUSED)
def test_special_functions_without_a_rule_are_named(name: str) -> None:
    count = {"voigt.pdf": 4, "exponnorm.pdf": 4, "gamma.cdf": 4}.get(name, 3)
    with pytest.raises(S2SError, match=f"'{REFUSED[name]}' is not supported") as caught:
        vjp(find("numba_stats", name))(PROBABILITY, *([1.1] * (count - 1)))
    assert caught.value.code == "S2S003" and caught.value.chain


@needs_stats
def test_integers_are_converted_as_the_signature_says() -> None:
    """type(beta)(0.5) is 0 where beta is an int: compiled code never sees one."""
    f = find("numba_stats", "crystalball._pdf")
    expected = f(X, 1, 3, 0, 1)
    np.testing.assert_allclose(differentiate(f, jit=False)(X, 1, 3, 0, 1), expected, rtol=1e-14)


@needs_stats
@pytest.mark.parametrize("x", [X.reshape(1, 5), X.astype(np.float32)])
def test_what_no_signature_takes_is_refused(x: np.ndarray) -> None:
    f = find("numba_stats", "norm._pdf")
    with pytest.raises(S2SError, match="is compiled for"):
        vjp(lambda x: f(x.reshape(1, 5), 0.0, 1.0))(X)
    if x.ndim == 2:
        with pytest.raises(S2SError, match="is compiled for"):
            vjp(find("numba_stats", "norm.pdf"))(x, 0.0, 1.0)
