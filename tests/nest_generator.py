"""Random loop nests over the rows and columns of matrices, with the signature of generator.py.

Elements are read and written by row and by column, over rectangles and triangles, some where
another iteration was, some at edges only; a third loop may go along both, and some are left early.
Numbers are carried by the inner loop, by the outer one or by both: they are summed up, replaced, or
used as they were an iteration ago. These are what passes that move loops around look for, and what
analyses of subscripts tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.generator import HEAD, LITERALS, MARK, RandomProgram

ARRAYS = ("C, z = 0.5 * B.T, 0.4 * b", "C, z = np.zeros((n, n)), np.zeros(n)")
#: Subscripts besides the index of a loop. Some of them count from the end.
ELSEWHERE = (
    "{0} - 1",
    "n - 1 - {0}",
    "{0} // 2",
    "({0} + 1) % n",
    "({0} - 1) % n",
    "idx[{0}]",
    "-1",
    "{0} - 2",
)
RANGES = ("range(n)", "range(n)", "range(1, n)", "range(n - 1, -1, -1)", "range(n - 1)")
PARTS = ("range({0})", "range({0} + 1)", "range({0}, n)", "range({0} + 1, n)")


class _Writer:
    def __init__(self, pick: Callable[[Sequence], Any]) -> None:
        self.pick, self.fills = pick, pick((False, True))
        self.lines = ["n = B.shape[0]", pick((ARRAYS[0], *ARRAYS))]
        self.lines += ["h, H = np.zeros(n + 2), np.zeros((n + 2, n + 2))", "h[0], H[0, :n] = x, a"]
        self.lines += ["s, t, u, total = x, 0.0, 0.3 * y, 0.1"]

    def write(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def nest(self) -> None:
        """An outer loop, with one or two loops or slices in it and numbers between them."""
        outer, inner = self.pick((("i", "j"), ("j", "i")))
        self.write(0, f"for {outer} in {self.pick(RANGES)}:")
        for _ in range(self.pick((1, 1, 2))):
            self.between(outer)
            if self.pick((True, True, False)):
                self.inner(outer, inner)
            else:
                self.write(1, self.slices(outer))
        self.between(outer)

    def between(self, outer: str) -> None:
        for _ in range(self.pick((0, 1, 2))):
            name = self.pick("stu")
            value = self.value((outer,))
            self.write(
                1,
                self.pick((
                    f"{name} = {value}",
                    f"{name} = 0.0",
                    f"s = 0.6 * s + {value}",
                    f"total += {value}",
                    f"a[{self.at(outer)}] {self.pick(('=', '+=', '*='))} {value}",
                    f"z[{self.at(outer)}] {self.pick(('=', '+='))} {value}",
                    f"{self.table(outer, outer)} {self.pick(('=', '=', '+='))} {value}",
                )),
            )  # fmt: skip

    def inner(self, outer: str, inner: str) -> None:
        part = self.pick((self.pick(RANGES), self.pick(PARTS).format(outer)))
        self.write(1, f"for {inner} in {part}:")
        for _ in range(self.pick((1, 2, 3))):
            value, place = self.value((outer, inner)), self.element("i", "j")
            if self.fills and self.pick((True, False)):
                self.write(2, f"{self.table(outer, inner)} {self.pick(('=', '=', '+='))} {value}")
                value = self.value((outer, inner))
            line = self.pick((
                f"t += {value}",
                f"s = {value} - 0.5 * s",
                f"{self.pick('stu')} = {value}",
                f"total += {value}",
                f"total = max(total, {value})",
                f"{place} {self.pick(('=', '+=', '-=', '*='))} {value}",
                f"{place} {self.pick(('=', '+='))} {value}",
                f"a[{self.at(self.pick('ij'))}] += {value}",
                f"z[{self.at(self.pick('ij'))}] {self.pick(('=', '+='))} {value}",
            ))  # fmt: skip
            if self.pick((False,) * 3 + (True,)):
                self.write(2, f"if {self.condition(outer, inner)}:")
                line = "    " + line
            self.write(2, line)
            if self.pick((False,) * 7 + (True,)):
                self.along(self.pick((outer, inner)))
            if self.pick((False,) * 15 + (True,)):
                way = self.pick(("break", "continue"))
                self.write(2, f"if {self.condition(outer, inner)}:")
                self.write(3, way)

    def condition(self, outer: str, inner: str) -> str:
        number = f"{MARK}{self.leaf((outer, inner))} > {self.pick(LITERALS)})"
        edges = ("{} == 0 or {} == n - 1", "{} > 1", "{} < n - 2", "n - {} != 3", "{} != 0 != {}")
        edge = self.pick(edges).replace("{}", self.pick((inner, inner, outer)))
        return self.pick((number, number, edge, edge, f"({outer} + {inner}) % 3 == 1"))

    def along(self, end: str) -> None:
        """A third loop, over a row of one matrix and a column of another."""
        one, other = self.pick(("BC", "CB", "BB", "CC"))
        line = self.pick((
            f"t += 0.3 * {one}[i, l] * {other}[l, j]",
            f"{one}[i, j] -= 0.2 * {one}[i, l] * {other}[l, j]",
            f"s = 0.5 * s + {one}[l, j] * z[l]",
            f"z[l] += 0.2 * {one}[i, l] * {self.pick('stu')}",
            f"{one}[j, l] = np.sin({other}[l, i] + {one}[i, l])",
        ))  # fmt: skip
        self.write(2, f"for l in {self.pick((self.pick(PARTS), 'range(n)')).format(end)}:")
        self.write(3, line)

    def slices(self, i: str) -> str:
        one, other = self.pick(("BC", "CB", "BB"))
        end = self.pick((":", f":{i}", f"{i} + 1:"))
        texts = (
            f"{one}[{end}, {i}] += 0.3 * {self.leaf((i,))} * {other}[{i}, {end}]",
            f"{one}[{i}, {end}] = np.sin({other}[{end}, {i}] * {self.leaf((i,))})",
            f"t = 0.3 * ({one}[{i}, {end}] @ {other}[{end}, {i}])",
            f"z[{end}] += {self.leaf((i,))} * {one}[{end}, {i}]",
            f"a[{i}] -= 0.2 * (z[{end}] @ {other}[{end}, {i}])",
        )
        return self.pick(texts)

    def value(self, indices: Sequence[str]) -> str:
        u, v, w = (self.leaf(indices) for _ in range(3))
        texts = (
            f"0.5 * {u} * {v}",
            f"{u} * {v} - 0.3 * {w}",
            f"np.sin({u} + {v})",
            f"{u} / (1.5 + {v} ** 2)",
            f"0.4 * {u}",
        )
        return self.pick(texts)

    def leaf(self, indices: Sequence[str]) -> str:
        i, j = indices[0], indices[-1]
        vectors = [f"{name}[{self.at(self.pick((i, j)))}]" for name in "abz"]
        matrix = self.element(i, j)
        if len(indices) == 1:
            matrix = self.pick((matrix, f"{self.pick('BC')}[0, {i}]"))
        tables = [self.table(i, j) for _ in range(6)] if self.fills else []
        return self.pick((*vectors, matrix, matrix, "x", "y", *"stu", *tables))

    def table(self, i: str, j: str) -> str:
        """An element of what the loops fill, near the one of this iteration."""
        near = [f"{v}{self.pick(('', '', ' + 1', ' + 1', ' + 2', ' - 1'))}" for v in (i, j)]
        return f"H[{', '.join(near)}]" if i != j and self.pick((True, False)) else f"h[{near[0]}]"

    def element(self, i: str, j: str) -> str:
        i, j = self.pick(((i, j), (i, j), (j, i)))
        return f"{self.pick('BC')}[{self.at(i)}, {self.at(j)}]"

    def at(self, index: str) -> str:
        """The index, or another one that is in range for vectors of two elements or more."""
        return self.pick((index,) * 12 + ELSEWHERE).format(index)


def random_nest(pick: Callable[[Sequence], Any]) -> RandomProgram:
    """A program, each of whose choices is `pick(options)`."""
    writer = _Writer(pick)
    for _ in range(pick((1, 1, 2))):
        writer.nest()
    value = "s + t + u + total + np.sum(a) + np.sum(z * b) + np.sum(B * B) + np.sum(C)"
    value += " + np.sum(h * h) + np.sum(H)" if writer.fills else ""
    value = pick((value, "s - t * u", "total", "np.sum(z) + u", "np.sum(np.sin(C)) + 0.1 * s"))
    writer.write(0, f"return {value}")
    text = HEAD + "".join(f"    {line}\n" for line in writer.lines)
    length = pick((4, 4, 3, 5, 2, 0))
    return RandomProgram(text, length, length, trips=0, seed=pick(range(100)))
