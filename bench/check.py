"""Is a gradient right? By differences of plain NumPy, and by forward mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.case import Case


@dataclass(frozen=True)
class Problem:
    """A case at one size: the arguments of its objective, which of them are differentiated, which
    the program writes to, and what it gives."""

    case: Case
    arguments: dict[str, Any]
    wrt: tuple[str, ...]
    written: tuple[str, ...]
    results: tuple

    @property
    def values(self) -> tuple:
        return tuple(self.arguments.values())

    @property
    def positions(self) -> tuple[int, ...]:
        names = list(self.arguments)
        return tuple(names.index(name) for name in self.wrt)

    def fresh(self) -> tuple:
        """The arguments, copied, for a program that writes to them."""
        return tuple(np.copy(v) if isinstance(v, np.ndarray) else v for v in self.values)

    def direction(self, seed: int) -> tuple:
        """Random numbers, in each argument of the size of its entries."""
        rng = np.random.default_rng(seed)
        values = [np.asarray(self.arguments[name]) for name in self.wrt]
        sizes = [np.sqrt(np.mean(v**2)) if v.size else 1.0 for v in values]
        drawn = [rng.standard_normal(v.shape) * (s or 1.0) for v, s in zip(values, sizes)]
        return tuple(d if d.shape else float(d) for d in drawn)


def problem(case: Case, preset: str) -> Problem:
    """The weights are drawn for the results' shapes, which a run of the program tells."""
    given = case.inputs(preset)
    ordered = {name: given[name] for name in case.parameters}
    after = {n: np.copy(a) if isinstance(a, np.ndarray) else a for n, a in ordered.items()}
    with np.errstate(all="ignore"):
        results = case.results(after, copy=False)
    written = tuple(n for n, a in ordered.items() if not np.array_equal(a, after[n]))
    weights = case.weights(results) if case.outputs else {}
    return Problem(case, ordered | weights, case.wrt(ordered), written, results)


def moved(at: Problem, direction: Sequence, step: float) -> tuple:
    args = list(at.fresh())
    for position, v in zip(at.positions, direction):
        args[position] = args[position] + step * v
    return tuple(args)


#: Where differences start from. A program with kinks (a limiter, a thousand rectifiers) needs small
#: steps, so that few of them are crossed; others are known best from large ones.
STEPS = (1e-3, 1e-5, 1e-7)
ENOUGH = 1e-9


def difference(at: Problem, direction: Sequence, steps: Sequence[float] = STEPS) -> float:
    """The derivative of the objective, run by plain Python and NumPy, along a direction: Ridders'
    extrapolation of central differences, from the first of `steps` that does, else the best."""
    best, error = np.nan, np.inf
    for first in steps:
        found, gap = _extrapolated(at, direction, first)
        if gap < error:
            best, error = found, gap
        if error <= ENOUGH * abs(best):
            break
    return best


def _extrapolated(at: Problem, direction: Sequence, first: float) -> tuple[float, float]:
    """The derivative, and an estimate of its error."""
    objective = at.case.objective()
    above: list[float] = []
    best, error = np.nan, np.inf
    with np.errstate(all="ignore"):
        for halvings in range(8):
            t = first / 2.0**halvings
            ends = (float(objective(*moved(at, direction, s))) for s in (t, -t))
            row = [(next(ends) - next(ends)) / (2.0 * t)]
            for order, previous in enumerate(above):
                factor = 4.0 ** (order + 1)
                row.append((factor * row[order] - previous) / (factor - 1.0))
                gap = max(abs(row[-1] - row[-2]), abs(row[-1] - previous))
                if gap < error:
                    best, error = row[-1], gap
            above = row
    return best, error


def inner(a: Sequence, b: Sequence) -> float:
    return float(sum(np.sum(np.asarray(x) * np.asarray(y)) for x, y in zip(a, b)))


def scale(a: Sequence, b: Sequence) -> float:
    """The size of an inner product's terms, which its error is relative to."""
    return float(sum(np.sum(np.abs(np.asarray(x) * np.asarray(y))) for x, y in zip(a, b)))


def apart(found: Sequence, expected: Sequence) -> float:
    """The largest distance of two gradients, argument by argument, relative to the largest entry;
    inf where one is not finite or shapes differ."""
    worst = 0.0
    for x, y in zip(found, expected):
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
            return np.inf
        top = np.max(np.abs(y), initial=0.0)
        gap = np.max(np.abs(x - y), initial=0.0)
        worst = max(worst, float(gap / top) if top else float(gap))
    return worst


@dataclass(frozen=True)
class Finding:
    """`difference`: ⟨gradient, v⟩ against finite differences. `forward`: against forward mode.
    Both relative to the terms of the inner product, for the worst of some random v."""

    label: str
    difference: float
    forward: float

    def wrong(self, case: Case) -> str | None:
        if not self.difference <= case.differences:
            return f"differs from finite differences by {self.difference:.1e}"
        if not self.forward <= max(1e-10, case.tolerance / 100):
            return f"differs from forward mode by {self.forward:.1e}"
        return None


def check(case: Case, jit: bool = True, preset: str = "check", directions: int = 2) -> Finding:
    """s2s_ad's gradient of a case: compiled, or the array code by plain Python."""
    from s2s_ad import grad, jvp

    at = problem(case, preset)
    objective = case.objective()
    with np.errstate(all="ignore"):
        gradient = grad(objective, wrt=at.wrt, jit=jit)(*at.values)
        forward = jvp(objective, wrt=at.wrt, jit=False)
        along = forward if getattr(case.module, "FORWARD", True) else None
        worst = [0.0, 0.0]
        for seed in range(directions):
            v = at.direction(seed)
            size = scale(gradient, v)
            expected = [difference(at, v)] + ([along(at.values, v)[1]] if along else [])
            for k, value in enumerate(expected):
                gap = abs(inner(gradient, v) - value)
                worst[k] = (
                    max(worst[k], gap / size if size else gap) if np.isfinite(gap) else np.inf
                )
    return Finding(case.label, *worst)
