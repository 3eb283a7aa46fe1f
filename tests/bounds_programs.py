"""A Hypothesis strategy for programs that index: loops, branches and slices with random bounds.

Every program is `f(x, y, A, idx, k, m)`: two vectors, a matrix, an index vector and two integers.
Most of them go out of range for some arguments; what they compute tells every element they read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.source_text import define

STEPS = ("", ", 1", ", 2", ", -1", ", -2", ", 3")


@dataclass(frozen=True)
class IndexProgram:
    text: str
    sizes: tuple[int, int, int, int]  # of x, y and A
    ints: tuple[int, int]
    seed: int

    def function(self) -> Callable:
        return define(self.text, "f", f"index program {hash(self.text)}")

    def args(self) -> tuple[Any, ...]:
        rng = np.random.default_rng(self.seed)
        n, m, rows, columns = self.sizes
        idx = rng.integers(-4, 5, 4)
        return (
            rng.uniform(1, 2, n),
            rng.uniform(1, 2, m),
            rng.uniform(1, 2, (rows, columns)),
            idx,
            *self.ints,
        )


class _Writer:
    def __init__(self, draw: Callable) -> None:
        self.draw, self.lines, self.fresh = draw, [], 0

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def small(self) -> int:
        return self.draw(st.integers(-3, 3))

    def name(self, stem: str) -> str:
        self.fresh += 1
        return f"{stem}{self.fresh}"

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def integer(self, ints: tuple[str, ...], deep: int = 2) -> str:
        kind = self.draw(st.integers(0, 9)) if deep else self.draw(st.integers(0, 3))
        if kind < 3:
            return self.pick(*ints)
        if kind == 3:
            return str(self.small())
        a, b = self.integer(ints, deep - 1), self.integer(ints, deep - 1)
        if kind < 7:
            return f"({a} {self.pick('+', '-')} {b})"
        if kind == 7:
            return f"{self.pick('min', 'max')}({a}, {b})"
        return self.pick(f"({a}) % {self.pick('3', 'max(len(x), 1)')}", f"({a}) // 2", f"2 * ({a})")

    def vector(self, ints: tuple[str, ...]) -> str:
        base = self.pick("x", "y", "x", "y", "A[%s]", "A[:, %s]", "x[%s:]", "y[%s:%s]", "x[1:][1:]")
        while "%s" in base:
            base = base.replace("%s", self.integer(ints, 1), 1)
        return base

    def read(self, ints: tuple[str, ...]) -> str:
        kind = self.draw(st.integers(0, 9))
        if kind < 5:
            return f"{self.vector(ints)}[{self.integer(ints)}]"
        if kind < 7:
            return f"A[{self.integer(ints)}, {self.integer(ints)}]"
        if kind == 7:
            return f"np.sum({self.pick('x', 'y')}[idx + ({self.integer(ints, 1)})])"
        if kind == 8:
            return f"{self.pick('x', 'y')}[idx[{self.integer(ints, 1)}]]"
        return f"np.sum({self.pick('x', 'y')}[np.arange({self.pick('4', 'len(x)')})])"

    def condition(self, ints: tuple[str, ...]) -> str:
        a, b = self.integer(ints, 1), self.integer((*ints, "len(x)", "len(y)"), 1)
        test = f"{a} {self.pick('<', '<=', '>', '>=', '==')} {b}"
        if self.pick(True, False):
            return test
        c = self.integer(ints, 1)
        return self.pick(f"0 <= {c} < len(x)", f"{test} and {c} >= 0", f"not {test} or {c} < 2")

    def block(self, depth: int, ints: tuple[str, ...], nested: int) -> None:
        for _ in range(self.draw(st.integers(1, 2))):
            self.statement(depth, ints, nested)

    def statement(self, depth: int, ints: tuple[str, ...], nested: int) -> None:
        kind = self.draw(st.integers(0, 9)) if nested else self.draw(st.integers(0, 3))
        if kind < 2:
            self.line(depth, f"s += {self.read(ints)}")
        elif kind == 2:
            target = f"{self.vector(ints)}[{self.integer(ints)}]"
            self.line(depth, f"{target} {self.pick('=', '+=')} 0.5 * s")
        elif kind == 3:
            name = self.name("row")
            self.line(depth, f"{name} = A[{self.integer(ints, 1)}]")
            self.line(depth, f"s += {name}[{self.integer(ints, 1)}]")
        elif kind < 7:
            self.loop(depth, ints, nested)
        elif kind == 7:
            name = self.name("w")
            stop = self.pick("len(x)", "len(y)", "m", "4")
            self.line(depth, f"{name} = {self.integer(ints, 1)}")
            self.line(depth, f"while {name} < {stop}:")
            self.block(depth + 1, (*ints, name), nested - 1)
            self.line(depth + 1, f"{name} += {self.pick('1', '2')}")
        else:
            self.line(depth, f"if {self.condition(ints)}:")
            self.block(depth + 1, ints, nested - 1)
            if self.pick(True, False):
                self.line(depth, "else:")
                self.block(depth + 1, ints, nested - 1)

    def loop(self, depth: int, ints: tuple[str, ...], nested: int) -> None:
        index = self.name("i")
        start = self.integer(ints, 1)
        stop = self.integer((*ints, "len(x)", "len(y)", "A.shape[0]", "A.shape[1]"), 1)
        bounds = self.pick("len(x)", "len(y)", stop, f"{start}, {stop}", f"{start}, {stop}")
        step = self.pick(*STEPS) if "," in bounds and "(" not in bounds else ""
        counter = self.name("c") if self.pick(True, False) else None
        if counter:
            self.line(depth, f"{counter} = {self.pick('0', 'k')}")
        self.line(depth, f"for {index} in range({bounds}{step}):")
        inner = (*ints, index, index, *([counter] if counter else []))
        self.block(depth + 1, inner, nested - 1)
        if self.draw(st.integers(0, 5)) == 0:
            self.line(depth + 1, f"if {self.condition(inner)}: break")
        if counter:
            guard = self.pick("", f"if {self.condition(inner)}: ")
            change = self.pick("+= 1", "-= 1", "= " + index, "+= 2")
            self.line(depth + 1, f"{guard}{counter} {change}")


@st.composite
def index_programs(draw: Callable) -> IndexProgram:
    writer = _Writer(draw)
    writer.line(1, "s = 0.0")
    writer.block(1, ("k", "m"), 3)
    text = "\n".join(["def f(x, y, A, idx, k, m):", *writer.lines, "    return s"]) + "\n"
    size = st.sampled_from((0, 2, 3, 4, 6))
    return IndexProgram(
        text,
        tuple(draw(size) for _ in range(4)),
        (draw(st.integers(-3, 5)), draw(st.integers(-1, 5))),
        draw(st.integers(0, 99)),
    )
