"""Small arrays that stay in a function are on its stack, and others are not."""

from __future__ import annotations

import ast
import textwrap

import numba
import numpy as np
import pytest

from s2s_ad import differentiate, grad, value_and_grad
from s2s_ad.backend.local import ALL, SMALL, local
from s2s_ad.backend.memory import local_empty, local_zeros
from s2s_ad.backend.module import emit_module
from s2s_ad.passes import elements


def after(body: str) -> str:
    text = "def f(x, n, y):\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return ast.unparse(local(ast.parse(text).body[0]))


STAYS = {
    "elements": "k = new_empty(2)\nk[0] = x\nk[1] += k[0] * k[n]\nreturn k[1]",
    "axes": "k = new_zeros((2, 3))\nput(k, x)\nreturn k[n, 0] + k.shape[1]",
    "in a loop": "for i in range(n):\n    k = new_zeros(3)\n    k[i] += x\n    x = k[0]\nreturn x",
    "two arrays": "k = new_empty(2)\nk[0] = x\nx = k[0]\nk = new_zeros(3)\nreturn k[n] + x",
    "copied": "k = new_empty(2)\nput(k, y)\nz = new_copy(k)\nput(y, k)\nreturn z",
    "made larger": "k = new_empty(2)\nput(k, y)\nz = grown(k, n)\nreturn z",
    "a product": "k = new_empty((2, 2))\nput(k, y)\nreturn matmul(k, x)",
}
LEAVES = {
    "returned": "k = new_empty(2)\nk[0] = x\nreturn k",
    "in a tuple": "k = new_empty(2)\nz = (x, k)\nreturn z[0]",
    "another name": "k = new_empty(2)\nz = k\nreturn z[0]",
    "two names": "z = k = new_empty(2)\nz[0] = k[0]\nreturn k[0]",
    "changes places": "k = new_empty(2)\nfor i in range(n):\n    k, y = y, k\nreturn k[0]",
    "apart": "k = new_empty(2)\nk = apart(k)\nreturn k[0]",
    "a slice": "k = new_empty(4)\nz = k[1:]\nreturn z",
    "a new axis": "k = new_empty(2)\nz = k[None]\nreturn z",
    "a new axis instead of one": "k = new_empty((2, 2))\nz = k[0, None]\nreturn z",
    "dots": "k = new_empty(2)\nz = k[...]\nreturn z",
    "a row": "k = new_empty((2, 2))\nz = k[1]\nreturn z",
    "transposed": "k = new_empty((2, 2))\nz = k.T\nreturn z",
    "unknown calls": "k = new_empty(2)\nprint(k)\nz = other(k)\nreturn z[0]",
    "unknown extents": "k = new_empty(n)\nj = new_empty((2, n))\nreturn k[0] + j[0, 0]",
    "one of two arrays": "k = new_empty(2)\nk[0] = x\nk = new_zeros(n)\nreturn k[0]",
    "a row of one": "k = new_empty(2)\nk = new_empty((2, 2))\nz = k[0]\nreturn z",
    "other numbers": "k = new_empty(2, dtype=np.bool_)\nj = new_full(2, x)\nreturn j[k[0]]",
    "large": f"k = new_empty({SMALL + 1})\nk[0] = x\nreturn k[0]",
    "three axes": "k = new_empty((2, 2, 2))\nk[0, 0, 0] = x\nreturn k[0, 0, 0]",
    "empty": "k = new_zeros(0)\nreturn k.shape[0]",
    "left to Python": "k = new_empty(2)\nwith uncompiled():\n    print(k[0])\nreturn k[0]",
    "in parallel": "k = new_empty(2)\nfor i in prange(2):\n    k[i] = x\nreturn k[0]",
}


@pytest.mark.parametrize("name", STAYS)
def test_what_stays(name: str) -> None:
    found = after(STAYS[name])
    assert "k = local_" in found and "new_empty(" not in found and "new_zeros(" not in found


@pytest.mark.parametrize("name", LEAVES)
def test_what_leaves(name: str) -> None:
    assert "local_" not in after(LEAVES[name])


def test_stacks_are_small() -> None:
    many = 2 * ALL // SMALL
    found = after("\n".join(f"k{i} = new_empty({SMALL})\nk{i}[0] = x" for i in range(many)))
    assert found.count("local_empty") == found.count("new_empty") == many // 2


@numba.njit
def sums(x, n):
    total = 0.0
    for i in range(n):
        k = local_zeros(2, 2)
        k[i % 2, 0] += x[i]
        z = local_empty(3)
        z[2] = k[0, 0] - k[1, 0]
        total += z[2] * k.size
    return total


def test_zeros_are_new_in_each_iteration() -> None:
    x = np.arange(5.0)
    assert sums(x, 5) == sums.py_func(x, 5) == 4.0 * (0 - 1 + 2 - 3 + 4)


def rhs(y, mu):
    return np.array([y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]])


def heun(y0, mu, dt, n):
    y = y0
    for _ in range(n):
        k = rhs(y, mu)
        y = y + 0.5 * dt * (k + rhs(y + dt * k, mu))
    return y[0] ** 2 + y[1]


def heun_of_numbers(x, v, mu, dt, n):
    for _ in range(n):
        a, b = v, mu * (1.0 - x * x) * v - x
        x1, v1 = x + dt * a, v + dt * b
        c, d = v1, mu * (1.0 - x1 * x1) * v1 - x1
        x, v = x + 0.5 * dt * (a + c), v + 0.5 * dt * (b + d)
    return x**2 + v


def test_the_state_of_an_ode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled, with the arrays of its right-hand side on the stack, were they not numbers."""
    monkeypatch.setattr(elements, "MOST", 0)
    args = np.array([1.5, 0.3]), 1.2, 0.05, 40
    gradient = value_and_grad(heun, wrt=("y0", "mu"))
    funcs = gradient._derived_for(args, {}).funcs("kernel")
    assert emit_module(funcs).count(" = local_empty(2)") >= 3
    value, (y_bar, mu_bar) = gradient(*args)
    expected = value_and_grad(heun_of_numbers, wrt=("x", "v", "mu"))(1.5, 0.3, 1.2, 0.05, 40)
    np.testing.assert_allclose(value, heun(*args), rtol=1e-13)
    np.testing.assert_allclose([*y_bar, mu_bar], expected[1], rtol=1e-12)
    with pytest.raises(ValueError, match="shapes"):
        gradient(np.ones(3), *args[1:])
    assert "local_" not in grad(heun, wrt="y0").source(*args, level="kernel")


def with_new_axis(x):
    k = np.zeros(3)
    k[0], k[1], k[2] = x[0], 2 * x[1], np.sin(x[2])
    return k[None]


def test_a_view_that_is_returned() -> None:
    """What is compiled from array code returns views of its arrays."""
    x = np.array([0.3, 0.5, 0.7])
    found = differentiate(with_new_axis, level="array")(x)
    np.testing.assert_array_equal(found, with_new_axis(x))
