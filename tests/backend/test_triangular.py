"""Triangular systems that compiled functions have BLAS solve, and derivatives made of them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import s2s_ad
from s2s_ad.backend.triangular import solve_lower, solve_lower_transposed
from s2s_ad.errors import S2SError
from tests.derivative_checks import Derivatives


@numba.njit
def solved(a, b):
    return solve_lower(a, b), solve_lower_transposed(a, b)


def system(n, shape, order, dtype="f8"):
    rng = np.random.default_rng(n)
    a = np.array(rng.normal(size=(n, n)) + 3.0 * np.eye(n), order=order[0], dtype=dtype)
    return a, np.array(rng.normal(size=shape), order=order[1], dtype=dtype)


@pytest.mark.parametrize("order", ["CC", "CF", "FC", "FF"])
def test_solutions(order: str) -> None:
    """The upper triangle is not read, the right-hand side is kept."""
    for n, shape in itertools.product((0, 1, 4), ((), (0,), (1,), (3,))):
        a, b = system(n, (n, *shape), order)
        before = b.copy()
        for found, left in zip(solved(a, b), (np.tril(a), np.tril(a).T), strict=True):
            np.testing.assert_allclose(found, np.linalg.solve(left, b), rtol=1e-12)
            assert found.flags.c_contiguous
        np.testing.assert_array_equal(b, before)
        for found, expected in zip(solved(a, b), solved.py_func(a, b), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_single_precision() -> None:
    a, b = system(5, (5, 2), "CC", "f4")
    found, _ = solved(a, b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.linalg.solve(np.tril(a), b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shapes", [((2, 3), (2,)), ((3, 2), (3,)), ((2, 2), (3, 2))])
def test_extents_that_differ_are_errors(shapes) -> None:
    with pytest.raises(ValueError, match="triangular system"):
        solved(*map(np.ones, shapes))


def logdet_and_misfit(K, y):
    """A Gaussian process's likelihood by the factor, which is inverted."""
    L = np.linalg.cholesky(K)
    z = np.linalg.inv(L) @ y
    return z @ z + 2.0 * np.sum(np.log(np.diag(L))) + L[1, 0] * L[0, 0]


def spd(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n))
    return root @ root.T + n * np.eye(n)


def test_first_and_second_order() -> None:
    args = spd(4), np.array([0.3, -0.2, 0.5, 0.9])
    Derivatives(logdet_and_misfit).check(args)
    gradient = s2s_ad.grad(logdet_and_misfit, wrt=0)
    Derivatives(gradient, wrt=(0, 1)).check(args, gradients=False, fd_rtol=1e-5)


def test_what_is_read() -> None:
    """Text for people, and modules that run by themselves, ask NumPy."""
    g = s2s_ad.grad(logdet_and_misfit)
    args = spd(3), np.ones(3)
    assert "np.linalg.solve(L.T, " in g.source(*args)
    assert "solve_lower" not in g.source(*args, level="kernel")


def solving(A, b):
    return np.sum(np.linalg.solve(A, b) ** 2)


@pytest.mark.parametrize("jit", [True, False])
def test_general_systems(jit: bool) -> None:
    rng = np.random.default_rng(3)
    g = s2s_ad.grad(solving, wrt=(0, 1), jit=jit)
    for shape in ((3,), (3, 2)):
        Derivatives(solving, jit=jit).check((spd(3) + rng.normal(size=(3, 3)), rng.random(shape)))
    with pytest.raises(np.linalg.LinAlgError):
        g(np.zeros((3, 3)), np.ones(3))
    with pytest.raises(ValueError, match="the matrix and the right-hand side do not match"):
        g(np.eye(3), np.ones(4))
    for A, b, said in (
        (np.ones(3), np.ones(3), "two axes"),
        (np.eye(2), 1.0, "a vector, or a matrix"),
        (np.eye(2), np.ones((2, 2, 2)), "a vector, or a matrix"),
        (np.eye(2), np.ones(2) * 1j, "complex"),
    ):
        with pytest.raises(S2SError, match=said):
            s2s_ad.grad(solving, wrt=0, jit=jit)(A, b)


PROGRAM = """
import numpy as np
import s2s_ad
from program import f
g = s2s_ad.grad(f)
print(repr(g(np.eye(3) * 4.0).tolist()))
(entry,) = g._known.values()
print(sum(entry.kernel.stats.cache_hits.values()))
"""


def test_a_second_process_finds_the_functions(tmp_path: Path) -> None:
    text = "import numpy as np\n\n\ndef f(A):\n    return np.sum(np.linalg.cholesky(A) ** 3)\n"
    (tmp_path / "program.py").write_text(text)
    env = {**os.environ, "S2S_AD_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_CACHE_DIR": ""}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split("\n")[:2])
    assert found[0][0] == found[1][0]
    assert [f[1] for f in found] == ["0", "1"]
