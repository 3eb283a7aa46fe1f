"""Random time steppers over vectors and matrices, with the signature of generator.py.

Slices that are shifted against each other, or rolled, are read and written, whole, in place and
row by row; buffers are swapped, boundaries set, sums taken along axes and of everything, rows and
columns stretched over matrices. This is what passes that fuse slices into loops work on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.generator import HEAD, LITERALS, MARK, RandomProgram

MATRICES = ("C, D = 0.5 * B, B.copy()", "C, D = np.zeros((m, n)), 0.5 * B")
VECTORS = ("u, v, w = a.copy(), 0.5 * b, 0.3 * B[:, :1].sum(axis=1)",)
VECTORS += ("u, v, w = a.copy(), np.zeros(n), np.zeros(m)",)
#: Slices of an axis, by how much shorter than the axis they are.
SHIFTED = ((":", ":", "::-1"), ("1:", ":-1"), ("1:-1", "2:", ":-2"))
OPERATIONS = ("=", "=", "+=", "-=", "*=")


class _Writer:
    def __init__(self, pick: Callable[[Sequence], Any]) -> None:
        self.pick = pick
        self.lines = ["m, n = B.shape", pick((MATRICES[0], *MATRICES))]
        self.lines += [pick((VECTORS[0], *VECTORS)), "p, q, total = x, 0.3 * y, 0.1"]

    def write(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def stepper(self) -> None:
        self.write(0, f"for t in range({self.pick(('k', 'k', 'k', '1, k', '3, 0, -1'))}):")
        for _ in range(self.pick((2, 3, 4, 5))):
            self.statement(1)

    def statement(self, depth: int) -> None:
        kinds = [self.vector, self.vector, self.matrix, self.matrix, self.matrix, self.swap]
        kinds += [self.edge, self.number, self.whole, self.rows, self.rows, self.branch]
        self.pick(kinds)(depth)

    # --- statements ----------------------------------------------------------------------------

    def vector(self, depth: int) -> None:
        size = self.pick((0, 1, 2, 2))
        target = f"{self.pick('uva')}[{self.pick(SHIFTED[size])}]"
        self.write(depth, f"{target} {self.pick(OPERATIONS)} {self.value((size,))}")

    def matrix(self, depth: int) -> None:
        sizes = self.pick(((2, 2), (2, 2), (1, 0), (0, 1), (0, 0), (1, 2)))
        target = f"{self.pick('CDB')}[{', '.join(self.pick(SHIFTED[s]) for s in sizes)}]"
        self.write(depth, f"{target} {self.pick(OPERATIONS)} {self.value(sizes)}")

    def swap(self, depth: int) -> None:
        self.write(depth, self.pick(("C, D = D, C", "u, v = v, u", "C, B = B, C")))

    def edge(self, depth: int) -> None:
        first, last = self.pick(((":1", "-1:"), ("-1:", ":1")))
        self.write(
            depth,
            self.pick((
                f"u[{first}] = 0.0",
                f"u[{first}] = v[{last}] * {self.scalar()}",
                f"C[{first}] = D[{last}]",
                f"C[{first}] = 0.5 * u",
                f"C[:, {first}] = 0.0",
                f"D[:, {first}] += 0.2 * C[:, {last}] * {self.scalar()}",
            )),
        )  # fmt: skip

    def number(self, depth: int) -> None:
        sizes = self.pick(((0,), (2,), (0, 0), (2, 2)))
        term = f"0.1 * np.sum({self.value(sizes)})"
        name = self.pick(("p", "q"))
        texts = (f"total += {term}", f"{name} = np.sin({term})", f"{name} = 0.5 * {name} + {term}")
        self.write(depth, self.pick(texts))

    def whole(self, depth: int) -> None:
        texts = (
            f"C = {self.value((0, 0))}",
            f"u = {self.value((0,))}",
            "v = 0.3 * C.sum(axis=0)",
            "w = np.tanh(D.sum(axis=1))",
            "v = 0.2 * (w @ C)",
            "w = 0.2 * (D @ u)",
            "D = C + np.outer(w, v)",
            "D = C.copy()",
        )
        self.write(depth, self.pick(texts))

    def rows(self, depth: int) -> None:
        """A loop over rows, which may meet the rows of other iterations."""
        header = self.pick(("range(1, m)", "range(m)", "range(m - 1)", "range(m - 2, -1, -1)"))
        self.write(depth, f"for i in {header}:")
        for _ in range(self.pick((1, 2))):
            size = self.pick((0, 1, 2))
            row = f"{self.pick('CD')}[{self.pick(('i', 'i', 'i', 'i - 1', '-1'))}, {{}}]"
            row = self.pick((row, row, row, "u[{}]", "v[{}]")).format(self.pick(SHIFTED[size]))
            self.write(depth + 1, f"{row} {self.pick(OPERATIONS)} {self.value((size,), row=True)}")

    def branch(self, depth: int) -> None:
        condition = self.pick(("t % 2 == 0", "t > 1", f"{MARK}p < {self.pick(LITERALS)})"))
        self.write(depth, f"if {condition}:")
        self.pick((self.vector, self.matrix, self.swap, self.whole))(depth + 1)

    # --- expressions ---------------------------------------------------------------------------

    def scalar(self) -> str:
        return self.pick((*LITERALS, "p", "q", "x", "y"))

    def value(self, sizes: Sequence[int], depth: int = 1, row: bool = False) -> str:
        first, second, third = (self.leaf(sizes, row) for _ in range(3))
        if len(sizes) == 2:  # one has two axes, at least
            first = self.rolled(
                f"{self.pick('CDB')}[{', '.join(self.pick(SHIFTED[s]) for s in sizes)}]", (0, 1)
            )
        if depth:
            second = f"({self.value(sizes, 0, row)})"
        texts = (
            f"np.sin({first} + {second})",
            f"0.3 * ({first} + {second} - 2.0 * {third})",
            f"{first} / (1.5 + {second} ** 2)",
            f"{self.scalar()} * {first} - 0.4 * {second}",
            f"0.5 * {first} * {second}",
            f"np.where({MARK}{first} > {self.pick(LITERALS)}), {second}, {third})",
        )
        return self.pick(texts)

    def leaf(self, sizes: Sequence[int], row: bool) -> str:
        slices = [self.pick(SHIFTED[s]) for s in sizes]
        if len(sizes) == 2:
            stretched = (f"{self.pick('uvb')}[{slices[1]}]", f"w[{slices[0]}][:, None]")
            matrix = self.rolled(f"{self.pick('CDB')}[{', '.join(slices)}]", (0, 1))
            return self.pick((matrix,) * 4 + stretched)
        options = [self.rolled(f"{self.pick('uvab')}[{slices[0]}]", (0,))] * 2
        if row:
            near = self.pick(("i", "i", "i - 1", "(i + 1) % m", "0"))
            options += [f"{self.pick('CDB')}[{near}, {slices[0]}]"] * 3
        return self.pick(options)

    def rolled(self, leaf: str, axes: Sequence[int]) -> str:
        if self.pick(range(5)):
            return leaf
        shift = self.pick((1, -1, 1, -1, 2, -3, "k", "t"))
        return f"np.roll({leaf}, {shift}, axis={self.pick(axes)})"


def random_stepper(pick: Callable[[Sequence], Any]) -> RandomProgram:
    """A program, each of whose choices is `pick(options)`."""
    writer = _Writer(pick)
    for _ in range(pick((1, 1, 2))):
        writer.stepper()
    values = ("p + q + total + np.sum(C * D) + np.sum(u * v) + np.sum(w)", "total", "np.sum(C)")
    values += ("np.sum(u) * p", "np.sum(D) + np.sum(B * C)", "np.sum(np.sin(a)) + q")
    writer.write(0, f"return {pick((*values[:1] * 3, *values))}")
    text = HEAD + "".join(f"    {line}\n" for line in writer.lines)
    length, rows = pick((5, 4, 6, 3, 2, 1)), pick((4, 3, 5, 2, 1))
    return RandomProgram(text, length, rows, trips=pick(range(5)), seed=pick(range(100)))
