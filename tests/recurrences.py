"""Random linear recurrences: loops over numbers and arrays that read what they have written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import numpy as np

from tests.source_text import define

#: Arrays, by how many axes they have; x and A are arguments.
ARRAYS = {"x": 1, "y": 1, "A": 2, "B": 2}
COEFFICIENTS = ("c", "d", "0.5", "-0.7", "0.25", "(1.0 - c)", "(c * d)")
RESULTS = ("s", "u", "total", "np.sum(y * y)", "np.sum(B * B)", "np.sum(A)", "np.sum(x)")
RANGES = ("range(2, {0} - 1)", "range({0} - 2, 1, -1)", "range(2, {0} - 1, 2)")


def random_recurrence(r: Random) -> tuple[Callable, tuple]:
    """A function of x (n), A (k, n), c and d, and arguments of it."""
    lines = ["s, u, total = 0.0, 0.3 * x[0], 0.0", "y, B = x * c, A * 0.5"]
    lines += ["k, n = A.shape"]
    for _ in range(r.randint(1, 2)):
        lines += _one_axis(r) if r.random() < 0.5 else _two_axes(r)
    lines.append(f"return {' + '.join(r.sample(RESULTS, r.choice((1, 2, len(RESULTS)))))}")
    body = "".join(f"    {line}\n" for line in lines)
    f = define(f"def f(x, A, c, d):\n    x, A = x.copy(), A.copy()\n{body}", "f", f"{r.random()}")
    rng, n = np.random.default_rng(r.randrange(10**6)), r.choice((6, 13, 30))
    return f, (rng.uniform(-1, 1, n), rng.uniform(-1, 1, (5, n)), r.choice((0.7, -0.4)), 1.3)


def _one_axis(r: Random) -> list[str]:
    arrays = ["x", "y"]
    body = _statements(r, arrays, r.sample(arrays, r.randint(1, 2)), ("i",))
    return [f"for i in {r.choice(RANGES).format('n')}:", *(f"    {line}" for line in body)]


def _two_axes(r: Random) -> list[str]:
    arrays = [*ARRAYS]
    body = _statements(r, arrays, r.sample(arrays, r.randint(1, 2)), ("i", "j"))
    lines = [f"for i in {r.choice(RANGES).format('k')}:"]
    lines += ["    s = 0.0"] if r.random() < 0.3 else []
    return [
        *lines,
        f"    for j in {r.choice(RANGES).format('n')}:",
        *(f"        {e}" for e in body),
    ]


def _statements(
    r: Random, arrays: Sequence[str], written: Sequence[str], indices: Sequence[str]
) -> list[str]:
    lines = []
    for _ in range(r.randint(1, 3)):
        value = _sum(r, arrays, indices)
        lines.append(
            r.choice((
                f"s = {r.choice(COEFFICIENTS)} * s + {value}",
                f"u = {r.choice(COEFFICIENTS)} * u - {r.choice(COEFFICIENTS)} * s",
                f"u = {r.choice(COEFFICIENTS)} * {r.choice(('s', value))}",
                f"total += ({value}) * {_element(r, arrays, indices)}",
                *[f"{_element(r, written, indices)} {r.choice(('=', '=', '+='))} {value}"] * 4,
            ))
        )  # fmt: skip
    return lines


def _sum(r: Random, arrays: Sequence[str], indices: Sequence[str]) -> str:
    terms = [
        r.choice(("s", "u", *[_element(r, arrays, indices)] * 4)) for _ in range(r.randint(1, 4))
    ]
    scaled = [f"{r.choice(COEFFICIENTS)} * {t}" if r.random() < 0.7 else t for t in terms]
    total = " + ".join(scaled)
    return f"({total}) / {r.choice(('3.0', 'd'))}" if r.random() < 0.3 else total


def _element(r: Random, arrays: Sequence[str], indices: Sequence[str]) -> str:
    name = r.choice(arrays)
    chosen = indices[-1:] if ARRAYS[name] == 1 else indices
    return f"{name}[{', '.join(_near(r, i) for i in chosen)}]"


def _near(r: Random, index: str) -> str:
    by = r.choice((-2, -1, -1, 0, 0, 1))
    return f"{index} {'-' if by < 0 else '+'} {abs(by)}" if by else index
