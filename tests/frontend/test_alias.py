"""Names that share memory: what is followed exactly, and what is decided when running."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.frontend import trace
from s2s_ad.frontend.errors import AliasError
from s2s_ad.ir.types import Type
from tests.frontend.checks import check

RNG = np.random.default_rng(1)
V, W, A = RNG.standard_normal(6), RNG.standard_normal(6), RNG.standard_normal((4, 6))
X, N = Type("f64", ("?",)), Type("i64")


def two_names(x):
    y = x
    y[0] = 1.0
    return x[0] + y[1], x


def view_of_view(A):
    b = A[1:]
    c = b[:, 2:]
    c[0] *= 2.0
    c[1:-1][0] += b[0, 0]
    return c.sum() + A.sum()


def view_keeps_its_index(A, k):
    row = A[k]
    k = 0
    row[k] = 9.0
    return A


def transposed(A):
    t = A.T
    t[1] = A[:, 0]
    t[2][1:3] += 1.0
    return t


def step_views(x):
    odd = x[1::2]
    odd[:] = x[::2]
    odd[1:] *= 3.0
    back = x[::-1]
    back[0] = 7.0
    return x


def reshaped(A):
    flat = A.reshape(-1)
    flat[5] = 3.0
    grid = flat.reshape(6, 4)
    grid[0] = grid[1]
    return A


def row_of_parameter(A):
    for row in A:
        row[0] = row.sum()
    for i in range(A.shape[0]):
        r = A[i]
        r /= 2.0
    return A


def helper_writes(x):
    def scale(v, by):
        v *= by
        return v

    y = scale(x[2:], 2.0)
    scale(y, 0.5)[0] = 4.0
    return x


def swap_buffers(u0, n):
    u = u0.copy()
    v = np.empty_like(u)
    v[:] = 0.0
    for _ in range(n):
        for i in range(1, len(u) - 1):
            v[i] = 0.5 * (u[i - 1] + u[i + 1])
        u, v = v, u
    return u


def swap_argument(u, n):
    v = np.zeros_like(u)
    for _ in range(n):
        v[1:-1] = u[:-2] + u[2:]
        u, v = v, u
    return u


def rotate_three(a, n):
    b, c = a + 1.0, a * 2.0
    for _ in range(n):
        c[:] = a - b
        a, b, c = b, c, a.copy()
    return a + b + c


def rebound(u, n):
    first = u
    for _ in range(n):
        u = u * 2.0
    return first + u


def latest(u, n):
    v = u.copy()
    for _ in range(n):
        v[1:-1] = 0.5 * (u[:-2] + u[2:])
        u = v
    return u


def either(x, y, c):
    z = x if c > 0.0 else y
    total = z.sum()
    return z * total


def either_then_write(x, y, c):
    z = x.copy()
    if c <= 0.0:
        z = y * 2.0
    z[0] = x[1] + y[1]
    return z


def write_in_branch(x, c):
    y = x
    if c > 0.0:
        y[0] = 2.0
        y = x * 3.0
    return y


def write_in_while(x):
    k = 0
    while k < len(x) and x[k] > 0.0:
        x[k] *= 2.0
        k += 1
    return x.sum()


def old_row(A, n):
    row = A[0]
    for i in range(n):
        s = row[0]
        A[i, 0] = s + 1.0
        row = A[i]
    return row[0]


WORK = np.zeros(6)
BUFFERS = {"a": WORK, "b": np.ones(6)}


def captured(z, y):
    WORK[:] = 2.0 * y
    BUFFERS["a"][0] = BUFFERS["b"][1]
    z[:] = np.sin(WORK)


CASES = [
    (two_names, V),
    (view_of_view, A),
    (view_keeps_its_index, A, 2),
    (transposed, RNG.standard_normal((4, 4))),
    (step_views, V),
    (reshaped, A),
    (row_of_parameter, A),
    (helper_writes, V),
    *((swap_buffers, V, n) for n in range(4)),
    *((swap_argument, V, n) for n in range(4)),
    *((rotate_three, V, n) for n in range(5)),
    (rebound, V, 3),
    (latest, V, 3),
    *((either, V, W, c) for c in (1.0, -1.0)),
    *((either_then_write, V, W, c) for c in (1.0, -1.0)),
    *((write_in_branch, V, c) for c in (1.0, -1.0)),
    (write_in_while, np.abs(V)),
    (write_in_while, V),
    (captured, V, W),
    (old_row, A, 4),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_program(case: tuple) -> None:
    fn, *args = case
    check(fn, *args)


def test_swap_carries_two_buffers() -> None:
    traced = trace(swap_buffers, [X, N])
    loop = next(e for e in traced.func.body.eqns if e.prim == "for")
    assert [v.name for v in loop.outs] == ["u", "v"]
    assert not traced.func.mutated and not traced.undecided


def test_swapped_argument_is_undecided() -> None:
    traced = trace(swap_argument, [X, N])
    assert traced.undecided == ("u",) and not traced.func.mutated


def test_one_object_is_one_capture() -> None:
    traced = trace(captured, [X, X])
    assert [c.name for c in traced.captures] == ["WORK", "BUFFERS_b"]
    assert traced.captures[0].get() is WORK
    assert [traced.params[p] for p, _ in traced.func.mutated] == ["z", "WORK"]


def buffer_kept(u, n):
    v = np.zeros_like(u)
    for _ in range(n):
        for i in range(1, len(u) - 1):
            v[i] = u[i - 1] + u[i + 1]
        u = v
    return u


def parameter_read_after_swap(u, n):
    v, keep = np.zeros_like(u), u
    for _ in range(n):
        v[:] = u * 2.0
        u, v = v, u
    return keep.sum()


@pytest.mark.parametrize("fn", [buffer_kept, parameter_read_after_swap])
def test_what_cannot_be_decided_is_an_error(fn) -> None:
    with pytest.raises(AliasError):
        trace(fn, [X, N])
