"""Tapes of while loops, which grow while they are written: compiled, by pieces."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import s2s_ad
from s2s_ad.backend.module import emit_module

#: Around the sizes that a tape has: 64, 129, 259.
TRIPS = (0, 1, 63, 64, 65, 128, 129, 130, 258, 259, 260, 700)


def scalars(x, n):
    k = 0
    y = 1.0
    while k < n:
        y = 0.5 * np.sin(x * y) + 0.5
        x = x * 0.99 + 0.01 * y * y
        k += 1
    return y * x


def arrays(x, n):
    """The condition is more than an expression, and the tape has rows."""
    k = 0
    while np.sum(x * 0.0) + k < n:
        x = np.cos(x) * x + 0.1
        k += 1
    return np.sum(x * x)


def nested(x, n):
    """The inner loop's tape goes on growing from one outer iteration to the next."""
    s = 0.0
    for i in range(3):
        k = 0
        while k < n // (i + 1):
            x = x * np.sin(x) + 0.1 * i
            k += 1
            if x > 0.7:
                s += x * x
        s += x
    return s


def both(x, n):
    """Two loops whose tapes grow, one inside the other: each has room of its own."""
    i = 0
    s = 0.0
    while i < n:
        k = 0
        y = x
        while k < 500 - n // 2:
            y = 0.5 * np.sin(x * y) + 0.5
            k += 1
        x = x * 0.99 + 0.01 * y * y
        s += x * y
        i += 1
    return s


PROGRAMS = {
    "both": (both, 0.3),
    "scalars": (scalars, 0.3),
    "arrays": (arrays, np.array([0.1, 0.2])),
    "nested": (nested, 0.4),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_any_number_of_iterations(name: str) -> None:
    f, x = PROGRAMS[name]
    compiled, plain = s2s_ad.value_and_grad(f), s2s_ad.value_and_grad(f, jit=False)
    for n in TRIPS:
        value, gradient = compiled(x, n)
        expected_value, expected = plain(x, n)
        np.testing.assert_allclose(value, expected_value, rtol=1e-12)
        np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-300)


def test_no_array_is_replaced_in_the_inner_loop() -> None:
    """numba would count references in each iteration."""
    funcs = s2s_ad.grad(scalars)._derived_for((0.3, 3), {}).funcs("kernel")
    tree = ast.parse(emit_module(funcs, vector=True))
    loops = [n for n in ast.walk(tree) if isinstance(n, ast.While)]
    outer, inner = loops
    assert inner in ast.walk(outer)
    assert "grown(" in ast.unparse(outer)
    assert "grown(" not in ast.unparse(inner)
    assert "room" not in s2s_ad.grad(scalars).source(0.3, 3, level="kernel")


def test_each_loop_knows_its_own_room() -> None:
    """The inner loop's would be larger: the outer one would write past the end of its tape."""
    funcs = s2s_ad.grad(both)._derived_for((0.3, 3), {}).funcs("kernel")
    tree = ast.parse(emit_module(funcs, vector=True))
    rooms = [
        node.targets[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("room")
    ]
    assert len(rooms) == len(set(rooms)) == 2
