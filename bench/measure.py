"""Timing: the minimum of repetitions."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(run: Callable[[], object], at_least: float = 0.01) -> float:
    """The time of one call: of several, each or in batches that last `at_least` seconds, the
    least."""
    start = time.perf_counter()
    run()
    one = time.perf_counter() - start
    count = max(1, int(at_least / max(one, 1e-9) / 4))
    best = one
    end = time.perf_counter() + at_least
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(count):
            run()
        best = min(best, (time.perf_counter() - start) / count)
    return best
