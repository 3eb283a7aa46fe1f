"""The text that `source` gives is a module: it imports what it needs, and runs by itself."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from s2s_ad import grad
from tests.numerics import assert_same
from tests.parallel_programs import PROGRAMS, X, chain


def run(text: str, *args):
    """The value of the one function in `text`."""
    (name,) = [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
    module: dict = {}
    exec(compile(text, "source", "exec"), module)
    return module[name](*args)


@pytest.mark.parametrize("level", ["array", "kernel"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_source_runs_by_itself(name: str, level: str) -> None:
    """Loops over prange among them."""
    fn, args, wrt = PROGRAMS[name]
    made = grad(fn, wrt=wrt, jit=False, level=level)
    assert_same(run(made.source(*args, level=level), *args), made(*args), 1e-14)


@pytest.mark.parametrize("parallel", [False, True])
def test_source_of_array_code(parallel: bool) -> None:
    text = grad(chain, parallel=parallel).source(X, level="kernel")
    expected = np.cos(X) * np.exp(-X * X) - 2.0 * X * np.sin(X) * np.exp(-X * X)
    np.testing.assert_allclose(run(text, X), expected, rtol=1e-12)


def test_names_of_the_users_stay() -> None:
    """An array without a name takes that of the cotangent it has turned out to be; `t` is one."""

    def argument(x, t):
        return np.sum(x * t)

    def local(x, z):
        t = x * 2.0
        total = np.sum(t)
        return np.sum(t * z) + total * total

    text = grad(argument, wrt=(0, 1)).source(X, X)
    assert "return t.copy(), x.copy()" in text
    text = grad(local, wrt=(0, 1)).source(X, X)
    assert "    t = x * 2.0\n" in text and "return x_bar, t\n" in text
