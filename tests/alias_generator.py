"""Random programs that rebind, swap and write arrays under branches and in loops.

Every program takes three arrays (parameters `a`, `b`, `c` of one length), four numbers that decide
branches (`p`, a tuple) and a trip count, binds the names `u`, `v`, `w` to them in all ways, writes
through whatever a name stands for, and returns what the names hold in the end.
"""

from __future__ import annotations

import random

NAMES = ("u", "v", "w", "a", "b")
LENGTH = 4


class Generator:
    def __init__(self, seed: int, views: bool = False) -> None:
        self.rng = random.Random(seed)
        self.views = views
        self.loops = 0

    def program(self) -> str:
        """The text of a function `f(a, b, c, p, n)`."""
        lines = ["def f(a, b, c, p, n):", "    u, v, w = a, b, c"]
        if self.views:
            lines.append("    r = a[1:3]" if self.rng.random() < 0.5 else "    r = b[::-1]")
        lines += self.block(1, 0, self.rng.randint(3, 6))
        kind = self.rng.randrange(4)
        if kind == 0:
            return "\n".join([*lines, ""])
        names = ["u", "v", "w"][:kind]
        return "\n".join([*lines, f"    return {', '.join(names)}, u[0] * 2.0 + v[1]", ""])

    def block(self, indent: int, depth: int, count: int) -> list[str]:
        pad, lines = "    " * indent, []
        for _ in range(count):
            kind = self.rng.random()
            if depth < 3 and kind < 0.18:
                lines.append(f"{pad}if {self.condition()}:")
                lines += self.block(indent + 1, depth + 1, self.rng.randint(1, 3))
                if self.rng.random() < 0.6:
                    lines.append(f"{pad}else:")
                    lines += self.block(indent + 1, depth + 1, self.rng.randint(1, 3))
            elif depth < 2 and self.loops < 2 and kind < 0.32:
                self.loops += 1
                lines.append(f"{pad}for i in range(n):")
                lines += self.block(indent + 1, depth + 1, self.rng.randint(1, 4))
                if self.rng.random() < 0.15:
                    lines.append(f"{pad}    if p[3] < i:\n{pad}        break")
            else:
                lines.append(pad + self.statement())
        return lines

    def condition(self) -> str:
        choices = [f"p[{k}] > 0" for k in range(4)]
        if self.loops:
            choices.append("n > 1")
        return self.rng.choice([*choices, f"{self.name()}[0] > 0.0"])

    def name(self) -> str:
        return self.rng.choice(NAMES)

    def index(self) -> str:
        return str(self.rng.randrange(-1, LENGTH - 1))

    def statement(self) -> str:
        x, y, z = self.name(), self.name(), self.name()
        kind = self.rng.random()
        if self.views and kind < 0.2:
            return self.rng.choice(
                [f"r = {x}[1:3]", f"r = {x}[::-1]", "r[0] = u[1] + 0.5", f"{x}[2] = r[1] * 0.5"]
            )
        if kind < 0.12:
            return f"{x} = {y}"
        if kind < 0.32 and x != y:
            return f"{x}, {y} = {y}, {x}"
        if kind < 0.38:
            return f"{x} = {y} if {self.condition()} else {z}"
        if kind < 0.43:
            return f"{x} = {y}.copy()" if self.rng.random() < 0.5 else f"{x} = {y} + 1.0"
        if kind < 0.5:
            return f"{x}[:] = {y} * 0.5 - 0.1"
        if kind < 0.7:
            return f"{x}[{self.index()}] = {y}[{self.index()}] * 0.5 + {self.rng.randint(1, 9)}.0"
        if kind < 0.85:
            return f"{x}[{self.index()}] += {y}[{self.index()}]"
        return f"{x} *= 0.75" if kind < 0.92 else f"{x}[1:] -= {y}[:-1]"
