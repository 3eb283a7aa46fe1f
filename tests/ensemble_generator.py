"""Random ensembles: loops whose iterations each go through recurrences, as in generator.py signed.

An iteration starts from elements of its own row, carries numbers through inner loops up or down its
columns, or up the rows of another matrix, keeps what it computes in its row, in a column or in an
array of its own, and adds to totals and to what all share. Conditions stand within and between the
loops. This is what passes/lanes.py does several iterations of at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.generator import HEAD, LITERALS, MARK, RandomProgram

ARRAYS = ("C, D, z = 0.5 * B, 0.3 * B.T, 0.4 * b", "C, D, z = np.zeros((n, m)), B.T.copy(), a * b")
#: Columns in an iteration's row, by the loop that goes along them.
RANGES = ("range(m)", "range(m)", "range(m - 1, -1, -1)", "range(1, m)", "range(k)", "range(3)")


class _Writer:
    def __init__(self, pick: Callable[[Sequence], Any]) -> None:
        self.pick, self.keeps, self.within = pick, pick((False, True)), False
        self.lines = ["n, m = B.shape", pick(ARRAYS), "total, best, late = 0.1 * x, y, 0.0"]

    def write(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def ensemble(self) -> None:
        self.write(0, f"for i in range({self.pick(('n', 'n', 'n', '1, n', 'n - 1'))}):")
        self.write(1, f"s, t, u = {', '.join(self.start() for _ in range(3))}")
        if self.keeps:
            self.write(1, "h = np.zeros(m + 4)")
        for _ in range(self.pick((1, 1, 2))):
            self.between()
            self.recurrence(1, "j")
        self.between()
        self.end()

    def start(self) -> str:
        return self.pick(("a[i]", "b[i]", "x", "0.5 * y", "0.2", "B[i, 0]", "np.sin(a[i])", "z[i]"))

    def between(self) -> None:
        for _ in range(self.pick((0, 0, 1, 2))):
            value = self.value("")
            line = self.pick((
                f"{self.pick('stu')} = {value}",
                f"total += {value}",
                f"late -= 0.5 * {value}",
                f"best = max(best, {value})",
                f"z[i] {self.pick(('=', '+=', '*='))} {value}",
            ))  # fmt: skip
            self.write(1, self.guarded(1, line))

    def guarded(self, depth: int, line: str) -> str:
        """`line`, now and then under a condition."""
        if self.pick((True, True, True, False)):
            return line
        number = f"{MARK}{self.pick('stu')} > {self.pick(LITERALS)})"
        self.write(depth, f"if {self.pick((number, number, 'i % 2 == 1', 'k > 1'))}:")
        return "    " + line

    def recurrence(self, depth: int, j: str) -> None:
        along = self.pick(RANGES)
        self.within = j == "j" and along not in ("range(k)", "range(3)")
        self.write(depth, f"for {j} in {along}:")
        delayed = self.pick((False, False, False, True))
        if delayed:
            self.write(depth + 1, self.pick(("late += u", "total -= 0.5 * u", "z[i] += u")))
        for _ in range(self.pick((1, 2, 3))):
            self.write(depth + 1, self.guarded(depth + 1, self.step(j)))
        if delayed:
            self.write(depth + 1, self.pick(("u = s", "u = t", "s, u = u, s")))
        if self.pick((False, False, True)):
            moves = ("s, t = t, 0.5 * s", "u, s = s, t", "t = s", "s, t, u = t, u, s", "u = t")
            self.write(depth + 1, self.pick(moves))
        if depth == 1 and self.pick((False,) * 4 + (True,)):
            self.recurrence(2, "l")

    def step(self, j: str) -> str:
        value, row = self.value(j), f"C[i, {self.at(j)}]"
        name = self.pick("stu")
        texts = [
            f"{name} = 0.6 * {name} * np.sin({self.pick('stu')}) + {value}",
            f"{name} = 0.5 * {name} + {value}",
            f"{name} = np.sin({name} + {value})",
            f"{name} = {value} / (1.5 + {name} * {name})",
            f"total += {value}",
            f"total += {name}",
            f"late -= {self.pick('stu')}",
            f"total = max(total, {value})",
            f"late += np.sin({name}) * {value}",
            f"{row} {self.pick(('=', '+='))} {value}",
            f"z[i] += 0.3 * {value}",
        ]
        if self.keeps and j != "l":
            texts += [f"h[{j} + 1] = 0.5 * h[{j}] + {value}"] * 2
        return self.pick(texts)

    def at(self, j: str) -> str:
        return j if self.within else f"{j} % m"

    def end(self) -> None:
        line = self.pick((
            "z[i] = s",
            "total += s * t",
            "total += max(s - 0.2, 0.0)",
            "C[i, 0] += u",
            "late = late + t",
        ))  # fmt: skip
        self.write(1, self.guarded(1, line))

    def value(self, j: str) -> str:
        u, v = self.leaf(j), self.leaf(j)
        texts = (f"0.5 * {u} * np.cos({v})", f"0.4 * {u}", f"{u} - 0.3 * {v}", f"np.cos({u})")
        return self.pick((*texts, f"np.exp(-{u} * {u})"))

    def leaf(self, j: str) -> str:
        leaves = ["x", "y", *"stustu", "a[i]", "b[i]", "z[i]"]
        if j:
            place = f"{j} % m"
            leaves += [f"B[i, {place}]", f"C[i, {place}]", f"D[{place}, i]", f"a[{j} % n]"]
            leaves += [f"B[i, {place}]", "B[i, 0]", f"B[idx[i] % n, {place}]"]
            leaves += [f"B[i, {self.at(j)}]", f"D[{self.at(j)}, i]"] * 2
            leaves += [f"h[{j}]"] * self.keeps * (j != "l")
        return self.pick(leaves)


def random_ensemble(pick: Callable[[Sequence], Any]) -> RandomProgram:
    """A program, each of whose choices is `pick(options)`."""
    writer = _Writer(pick)
    for _ in range(pick((1, 1, 2))):
        writer.ensemble()
    value = "total + late + 0.5 * best + np.sum(z * b) + np.sum(C * B)"
    value = pick((value, "total", "total - late", "np.sum(z) + best", "np.sum(np.sin(C))"))
    writer.write(0, f"return {value}")
    text = HEAD + "".join(f"    {line}\n" for line in writer.lines)
    length = pick((5, 5, 3, 9, 1, 0))
    return RandomProgram(text, length, length, trips=pick((2, 0, 4)), seed=pick(range(100)))
