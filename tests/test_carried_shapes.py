"""Arrays whose shape a loop may change, and does not: every iteration checks it, and tapes are
rectangular."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad import grad, value_and_grad, vjp
from tests.derivative_checks import Derivatives
from tests.numerics import assert_same
from tests.programs import normal

#: What the reverse sweep has where entries of a tape may differ in size.
GROWS = "_shape = np.empty("


def filter_steps(y, F, H, P0, m0):
    """A Kalman filter with a fixed gain: `F @ m` has as many numbers as F has rows."""
    m, P, total = m0, P0, 0.0
    for t in range(y.shape[0]):
        m = F @ m
        P = F @ P @ F.T + 0.1 * np.eye(F.shape[0])
        e = y[t] - H @ m
        S = H @ P @ H.T + np.eye(H.shape[0])
        m = m + P @ H.T @ e
        total += e @ np.linalg.solve(S, e)
    return total


def recurrent_network(xs, W, U, h0):
    h = h0
    for i in range(len(xs)):
        x = xs[i]
        h = np.tanh(W @ h + U @ x)
    return np.sum(h * h)


def until_small(W, h0, bound):
    h, s = h0, 0.0
    while np.sum(h * h) > bound:
        h = 0.2 * np.tanh(W @ h)
        s += np.sum(h**3)
    return s


def sweeps(W, h0, n):
    s = 0.0
    for _ in range(n):
        h = h0
        for _ in range(3):
            h = np.sin(W @ h)
        s += h @ h
    return s


def left_early(W, h0, n):
    h = h0
    for _ in range(n):
        h = np.sin(W @ h)
        if h[0] > 0.4:
            break
    return h @ h


def halved(W, h0, n):
    """Each step has half of the numbers: no check is the same in all iterations."""
    h = h0
    for _ in range(n):
        h = np.sin(h[: len(h) // 2]) * 2.0
    return np.sum(h * h) + W[0, 0]


def shown(W, h0, n):
    """What is printed comes before the error."""
    h = h0
    for i in range(n):
        print(i)
        h = np.sin(W @ h)
    return h @ h


W, H0 = normal(3, 3) * 0.6, normal(3, seed=1)
PROGRAMS = {
    filter_steps: (normal(4, 2, seed=2), W, normal(2, 3, seed=3), np.eye(3), H0),
    recurrent_network: (normal(4, 2, seed=4), W, normal(3, 2, seed=5), H0),
    until_small: (W, H0, 0.02),
    sweeps: (W, H0, 2),
    left_early: (W, H0, 5),
    halved: (W, normal(9), 2),
    shown: (W, H0, 3),
}
VARIES = (halved, shown)


@pytest.mark.parametrize("fn", PROGRAMS)
def test_tapes(fn) -> None:
    text = vjp(fn).source(*PROGRAMS[fn])
    assert (GROWS in text) == (fn in VARIES)


@pytest.mark.parametrize("level", ["array", "kernel"])
@pytest.mark.parametrize("fn", PROGRAMS)
def test_derivatives(fn, level: str) -> None:
    Derivatives(fn, jit=False, level=level).check(PROGRAMS[fn])


def read_and_changed(W, h0, n):
    h, s = h0, 0.0
    for _ in range(n):
        s += np.sum(np.sin(h))
        h = np.sin(W @ h)
    return s + np.sum(h * h)


def scaled_and_changed(W, h0, n):
    h = h0
    for _ in range(n):
        t = h * 2.0
        h = np.sin(W @ h)
        h = h * np.sum(np.tanh(t))
    return np.sum(h * h)


def one_column(W, h0, n):
    """The second product asks for one row, too."""
    h, s = h0, 0.0
    for _ in range(n):
        h = np.sin(W @ h)
        h = np.tanh(W @ (h * h))
        s += h[0] * h[-1]
    return s + np.sum(h * h)


def shrinks(W, h0, n):
    h, s = h0, W[0, 0]
    for _ in range(n):
        s += np.sum(np.sin(h))
        h = h[1:] * h[:-1]
    for _ in range(2):
        h = h * s + h * h
    return s + np.sum(h * h)


WIDE, TALL, COLUMN = normal(2, 3, seed=6), normal(4, 3, seed=7), normal(3, 1, seed=8)
CHANGES = {
    "a network of one layer": (
        recurrent_network,
        (normal(1, 4), WIDE, normal(2, 4, seed=9), H0),
    ),
    "a network of none": (recurrent_network, (normal(0, 4), W, normal(3, 4), normal(5))),
    "no step": (sweeps, (W, normal(5), 0)),
    "read before, wide": (read_and_changed, (WIDE, H0, 1)),
    "read before, tall": (read_and_changed, (TALL, H0, 1)),
    "read before, square": (read_and_changed, (W, H0, 2)),
    "scaled, wide": (scaled_and_changed, (WIDE, H0, 1)),
    "scaled, tall": (scaled_and_changed, (TALL, H0, 1)),
    "one column, no step": (one_column, (COLUMN, normal(1), 0)),
    "one column and row": (one_column, (COLUMN[:1], normal(1), 2)),
    "fewer every time": (shrinks, (W, normal(6), 3)),
}


@pytest.mark.parametrize("level", ["array", "kernel"])
@pytest.mark.parametrize("name", CHANGES)
def test_the_shape_changes(name: str, level: str) -> None:
    """A network of one layer need not be square. What a loop reads and what it leaves have extents
    of their own: a gradient was wrong where they were taken for the same."""
    fn, args = CHANGES[name]
    Derivatives(fn, jit=False, level=level).check(args)


def test_the_shape_changes_compiled() -> None:
    made = grad(read_and_changed, wrt=(0, 1))
    plain = grad(read_and_changed, wrt=(0, 1), jit=False)
    for args in ((WIDE, H0, 1), (TALL, H0, 1), (W, H0, 2), (W, normal(5), 0)):
        assert_same(made(*args), plain(*args), 1e-12)


@pytest.mark.parametrize("jit", [False, True])
def test_the_check_comes_before_the_tape(jit: bool) -> None:
    """Of an array that is too short or too long nothing is kept, and the error is the user's."""
    made = value_and_grad(sweeps, wrt=(0, 1), jit=jit)
    assert made(W, H0, 2)[0] == pytest.approx(sweeps(W, H0, 2))
    for wrong in (normal(2), normal(4000), normal(1)):
        with pytest.raises(ValueError, match="axis 1 of W.* and axis 0 of h"):
            made(W, wrong, 2)
    with pytest.raises(ValueError, match="axis 1 of W.* and axis 0 of h"):
        made(normal(2, 3), H0, 2)  # in the second iteration


def nested(S, h0, n):
    h, s, c = h0, 0.0, h0 * 0.5
    for q in range(2):
        h = h0 * (1.0 + q)
        for _ in range(n):
            s += np.sum(np.sin(h))
            h = np.sin(S @ h)
            g = h * 2.0
            g[0] = s
            s += np.sum(g * h)
            g = h * 2.0
            g[0] = s
            s += np.sum(g * h)
        s += np.sum(h * h)
    return s + np.sum(h * h) + np.sum(c)


@pytest.mark.parametrize("fn, args", [(nested, (W, H0, 2)), (read_and_changed, (WIDE, H0, 1))])
def test_derivatives_of_pullbacks(fn, args, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers that leave two loops, of which the first has one with the extent of the other's."""
    monkeypatch.setenv("S2S_AD_VERIFY", "1")

    def gradient(*given):
        value, pullback = vjp(fn, wrt=(0, 1))(*given)
        return pullback(value)

    for level in ("array", "kernel"):
        Derivatives(gradient, wrt=(0, 1), jit=False, level=level).check(args, gradients=False)


def counted_by_extent(x, W, h0, n):
    h, s = h0, 1.0
    for _ in range(n):
        for _ in range(len(h)):
            s = np.sin(s * x) + 0.5
        h = W @ h
    return s


def made_by_extent(x, W, h0, n):
    s = 1.0
    for _ in range(2):
        h, k = h0, 0
        while k < n:
            if len(h) == W.shape[1]:
                s = np.sin(s * x * len(h))
            z = np.ones(len(h)) * x
            s += np.sum(np.sin(z * z))
            h = W @ h
            k += 1
    return s


@pytest.mark.parametrize("level", ["array", "kernel"])
@pytest.mark.parametrize("args", [(W, H0, 3), (WIDE, H0, 1), (W, normal(4), 0)])
@pytest.mark.parametrize("fn", [counted_by_extent, made_by_extent])
def test_extents_that_are_checked_are_kept(fn, args, level: str) -> None:
    """The reverse sweep needs the extent itself, of an array that it does not need."""
    for wrt in ((0,), (0, 1, 2)):
        Derivatives(fn, wrt=wrt, jit=False, level=level).check((0.7, *args))
