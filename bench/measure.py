"""Timing side by side, and what a derivative is checked against before it is timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numba import njit

#: what s2s_ad compiles with: no nnan, no ninf
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
numba_peer = njit(error_model="numpy", fastmath=FASTMATH)


def seconds(run: Callable[[], object], at_least: float = 0.002) -> float:
    """Time of one call, from a batch that lasts `at_least` seconds."""
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            run()
        taken = time.perf_counter() - start
        if taken >= at_least:
            return taken / count
        count *= 2


def side_by_side(runs: Sequence[Callable[[], object]], budget: float = 2.0) -> list[float]:
    """The minimum time of each, measured in turns until the budget (seconds) is spent, so that a
    slow spell of the machine meets all of them. The first round, which compiles, does not count."""
    for run in runs:
        run()
    best = [np.inf] * len(runs)
    start, rounds = time.perf_counter(), 0
    while rounds < 5 or time.perf_counter() - start < budget:
        best = [min(b, seconds(run)) for b, run in zip(best, runs)]
        rounds += 1
    return best


def complex_step(fn: Callable, args: tuple, wrt: Sequence[int], tangents: Sequence) -> float:
    """The directional derivative of an analytic scalar function, to the last digit or so."""
    moved = [a.astype(complex) if isinstance(a, np.ndarray) else a for a in args]
    for i, v in zip(wrt, tangents):
        moved[i] = moved[i] + 1e-30j * v
    return fn(*moved).imag / 1e-30


def check_gradient(gradients: Sequence, fn: Callable, args: tuple, wrt: Sequence[int]) -> float:
    """The relative error of ⟨gradient, v⟩ for random v; AssertionError above 1e-8."""
    rng = np.random.default_rng(0)
    peer, worst = njit(fn), 0.0
    for _ in range(3):
        v = [rng.standard_normal(np.shape(args[i])) for i in wrt]
        expected = complex_step(peer, args, wrt, v)
        terms = [np.sum(np.asarray(g) * t) for g, t in zip(gradients, v)]
        worst = max(worst, abs(sum(terms) - expected) / abs(expected))
    assert worst < 1e-8, f"{fn.__name__}: the gradient is wrong by {worst:.1e} (relative)"
    return worst
