"""Suite `calls`: what a call costs over numba's dispatcher, called with the same numbers.

The kernels do next to nothing. Both sides are timed in turns in one process, so that a slow spell
of the machine meets both; each has the least of many short rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.growth import Table

ROUNDS, BATCH = 400, 50


@dataclass
class Layer:
    weights: np.ndarray
    bias: np.ndarray
    rate: float = 0.5


@dataclass
class Decay:
    """A class with state."""

    rate: float = 0.3
    scale: np.ndarray = field(default_factory=lambda: np.ones(4))
    calls: int = 0

    def value(self, x: np.ndarray) -> float:
        return self.rate * x[0] * self.scale[1]

    def counted(self, x: np.ndarray) -> float:
        self.calls += 1
        return self.rate * x[0] * self.scale[1]


def one(x):
    return x[0] * x[1]


def three(x, y, z):
    return x[0] * y[1] + z[0]


def eight(a, b, c, d, e, f, g, h):
    return a[0] * b[0] + c[0] * d[0] + e[0] * f[0] + g[0] * h[0]


def scalars(x, y, z):
    return x * y + z


def pair(p):
    return p[0][0] * p[1][1]


def arrays(p):
    return p["a"][0] * p["b"][0] + p["c"][0]


def layer(p):
    return p.weights[0] * p.bias[0] * p.rate


def layers(p):
    return (
        p["in"].weights[0] * p["out"].bias[0] * p["in"].rate + p["out"].weights[1] * p["in"].bias[1]
    )


def product(x, y):
    return x * y


def first(x):
    x[0] = 1.0
    return x[1]


SCALE = np.ones(4)


def captured(x):
    return x[0] * SCALE[1]


def _vectors(count: int) -> tuple[np.ndarray, ...]:
    return tuple(np.linspace(0.5, 1.5, 4) + k for k in range(count))


def _layer() -> Layer:
    return Layer(*_vectors(2))


def _cases() -> Iterator[tuple[float, str, Callable[..., Any], tuple]]:
    """(how many µs it may cost, what is called with what, the called, arguments)"""
    from s2s_ad import differentiate, grad, jvp, value_and_grad, vjp

    for count, fn in ((1, one), (3, three), (8, eight)):
        yield 1.0, f"grad, {count} flat arrays", grad(fn), _vectors(count)
    yield 1.0, "value_and_grad, 3 flat arrays", value_and_grad(three), _vectors(3)
    yield 1.0, "differentiate, 3 flat arrays", differentiate(three), _vectors(3)
    yield 1.0, "grad, 3 scalars", grad(scalars), (1.0, 2.0, 3.0)
    yield 1.0, "grad, an array and a captured one", grad(captured), _vectors(1)
    yield 1.0, "differentiate, an array that is written to", differentiate(first), _vectors(1)
    yield 1.0, "jvp, 2 flat arrays", jvp(product), (_vectors(2), _vectors(2))
    yield 2.0, "vjp and its pullback, 2 flat arrays", vjp(product), (_vectors(2), *_vectors(1))
    yield 5.0, "grad, a tuple of 2 arrays", grad(pair), (_vectors(2),)
    yield 5.0, "grad, a dict of 3 arrays", grad(arrays), (dict(zip("abc", _vectors(3))),)
    yield 5.0, "grad, a dataclass", grad(layer), (_layer(),)
    yield (
        5.0,
        "grad, a dict of 2 dataclasses",
        grad(layers),
        ({"in": _layer(), "out": _layer()},),
    )
    tangent = {"in": _layer(), "out": _layer()}
    primal = {"in": _layer(), "out": _layer()}
    yield 5.0, "jvp, a dict of 2 dataclasses", jvp(layers), ((primal,), (tangent,))
    yield 5.0, "differentiate, a method", differentiate(Decay.value), (Decay(), *_vectors(1))
    yield (
        5.0,
        "grad, a method that assigns",
        grad(Decay.counted, wrt="x"),
        (Decay(), *_vectors(1)),
    )
    counted = differentiate(Decay.counted)
    yield 5.0, "differentiate, a method that assigns", counted, (Decay(), *_vectors(1))


def _met(kernel: Any) -> tuple[Any, list[tuple]]:
    """A kernel that keeps what it is called with."""
    calls: list[tuple] = []

    def keeping(*args: Any) -> Any:
        calls.append(args)
        return kernel(*args)

    return keeping, calls


def _bare(called: Any, args: tuple) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """(a call as the user makes it, calls of the same kernels through numba's dispatcher)."""
    vjp = called.mode == "vjp"
    run = (lambda: called(*args[0])[1](args[1])) if vjp else _caller(called, args)
    run()  # compiles
    (entry,) = called._known.values()
    kernel = entry.kernel
    entry.kernel, kept = _met(kernel)
    if not vjp:
        called._long_way(*args)
        entry.kernel = kernel
        return run, _caller(kernel, kept[0])
    _, pullback = called._long_way(*args[0])
    entry.kernel = kernel
    back, given = pullback._plan.kernel, (*pullback._residuals, args[1])
    ahead, behind = _caller(kernel, kept[0]), _caller(back, given)
    return run, lambda: (ahead(), behind())


def _caller(fn: Callable[..., Any], args: tuple) -> Callable[[], Any]:
    """A call with the arguments written out, as a user writes it."""
    names = [f"a{k}" for k in range(len(args))]
    return eval(f"lambda: fn({', '.join(names)})", {"fn": fn, **dict(zip(names, args))})


def _least(runs: tuple[Callable[[], Any], ...]) -> list[float]:
    """Seconds of a call of each, measured in turns."""
    best = [float("inf")] * len(runs)
    for _ in range(ROUNDS):
        for k, run in enumerate(runs):
            start = time.perf_counter()
            for _ in range(BATCH):
                run()
            best[k] = min(best[k], (time.perf_counter() - start) / BATCH)
    return best


def calls() -> Iterator[Table]:
    """A call with flat arguments should cost at most 1 µs more, one with containers 5 µs."""
    rows = []
    for limit, name, called, args in _cases():
        ours, bare = _least(_bare(called, args))
        over = (ours - bare) * 1e6
        times = (f"{ours * 1e6:.2f} µs", f"{bare * 1e6:.2f} µs", f"{over:.2f} µs")
        rows.append((name, *times, "" if over <= limit else f"over {limit:g} µs"))
    header = ("call", "ours", "numba's dispatcher", "over it", "")
    yield Table("calls: what a call costs", header, rows)
