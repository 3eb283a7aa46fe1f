"""Random programs as source text, and the Hypothesis strategy for them.

Every program is `f(x, y, k, a, b, B, idx, c)`: two floats, an int, two vectors of one length (which
may be 0), a matrix with rows of that length, an index vector, and a vector in single precision that
is not differentiated. A global vector `W` is a work array. Values stay small and divisors away from
zero; conditions that depend on the floats are written `COND(…)`, so that a run can record them and
a finite difference that flips one is recognised. `a` and `B` are written in place, `b` may be
rebound, local buffers are swapped, objects with
fields and methods and lists that loops append to come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.source_text import define

HEAD = "def f(x, y, k, a, b, B, idx, c):\n"
MARK = "COND("
LITERALS = ("0.3", "-0.7", "1.2", "0.05")


@dataclass(frozen=True)
class RandomProgram:
    """`text` with its conditions marked, and a seed and sizes for the arguments."""

    text: str
    length: int
    rows: int
    trips: int
    seed: int

    def plain(self) -> Callable:
        fn = define(self.text.replace(MARK, "("), "f", f"random program {hash(self.text)}")
        return self._with_work(fn)

    def _with_work(self, fn: Callable) -> Callable:
        fn.__globals__["W"] = np.zeros(self.length)
        return fn

    def recording(self) -> tuple[Callable, list[bytes]]:
        """The function with its conditions recorded in the list."""
        log: list[bytes] = []

        def record(condition: Any) -> Any:
            log.append(np.asarray(condition).tobytes())
            return condition

        fn = define(self.text, "f", f"recorded program {hash(self.text)}")
        fn.__globals__["COND"] = record
        return self._with_work(fn), log

    def args(self) -> tuple:
        rng = np.random.default_rng(self.seed)
        x, y = (float(v) for v in rng.uniform(-1.0, 1.0, 2))
        a, b = rng.uniform(-1.0, 1.0, (2, self.length))
        B = rng.uniform(-1.0, 1.0, (self.rows, self.length))
        idx = rng.integers(0, max(self.length, 1), self.length)
        c = rng.uniform(-1.0, 1.0, self.length).astype(np.float32)
        return x, y, self.trips, a.copy(), b.copy(), B, idx, c


@dataclass(frozen=True)
class Scope:
    """Names that may be read. `ints` are any integers; `places` are indices of a vector, `after`
    those that are at least 1. `views` are vectors of the full length that alias `a` or `B`,
    `buffers` local vectors, `objects` have the fields `u`, `v` (numbers) and `w` (a vector)."""

    scalars: tuple[str, ...] = ("x", "y")
    vectors: tuple[str, ...] = ("a", "b")
    ints: tuple[str, ...] = ("k",)
    places: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    in_loop: bool = False
    depth: int = 0

    def deeper(self, **more: Any) -> Scope:
        return replace(self, depth=self.depth + 1, **more)


@dataclass
class Writer:
    """Writes one program; `pick` chooses among options, and `budget` bounds the statements."""

    pick: Callable
    length: int
    rows: int
    helpers: tuple[str, ...]
    tuple_value: bool
    budget: int = 12
    fresh: int = 0
    lines: list[str] = field(default_factory=list)

    def name(self, stem: str) -> str:
        self.fresh += 1
        return f"{stem}{self.fresh}"

    def write(self, scope: Scope, text: str) -> None:
        self.lines.append("    " * (scope.depth + 1) + text)

    # --- expressions ---------------------------------------------------------------------------

    def index(self, s: Scope, rows: bool = False) -> str:
        size = self.rows if rows else self.length
        if size == 0:  # there is an element in loops over the elements only, and these do not run
            return self.pick(s.places) if s.places else ""
        options = [str(self.pick(range(-size, size)))]
        options += [f"{i} % {'B.shape[0]' if rows else 'a.shape[0]'}" for i in s.ints + s.places]
        if not rows:
            options += [*s.places, *(f"{i} - 1" for i in s.after)]
            options += [f"idx[{i}]" for i in s.places]
        return self.pick(options)

    def element(self, s: Scope) -> str:
        if self.length == 0 and not s.places:
            return ""
        if self.pick((True, True, False)):
            return f"{self.pick(s.vectors)}[{self.index(s)}]"
        return f"B[{self.index(s, rows=True)}, {self.index(s)}]"

    def scalar(self, s: Scope, depth: int = 2) -> str:
        leaf = self.pick((self.element, lambda s: self.pick(s.scalars)))
        if self.length == 0:
            leaf = lambda s: self.pick(s.scalars)  # noqa: E731
        if depth == 0:
            return self.pick((leaf(s), leaf(s), self.pick(LITERALS)))
        u, v = self.scalar(s, depth - 1), self.scalar(s, depth - 1)
        kind = self.pick(range(10 if HELPERS[0] in self.helpers else 9))
        if kind == 6:
            return f"0.2 * np.sum({self.vector(s, depth - 1)})"
        if kind == 7:
            return f"0.2 * ({self.vector(s, depth - 1)} @ {self.pick(s.vectors)})"
        if kind == 8:
            return f"({u} if {self.condition(s)} else {v})"
        texts = (
            f"np.sin({u} + {v})",
            f"({u} * {v})",
            f"(0.6 * {u} - {v})",
            f"{u} / (1.5 + {v} ** 2)",
            f"np.exp(-({u}) ** 2)",
            f"math.sqrt(1.0 + {u} * {u})",
        )
        return texts[kind] if kind < 6 else f"h0({u}, {v})"

    def vector(self, s: Scope, depth: int = 1, short: bool = False) -> str:
        """A vector of the full length, or one element shorter."""
        base = self.pick(s.vectors)
        if depth == 0:
            if short:
                return base + self.pick(("[1:]", "[:-1]"))
            return self.pick((base, base, f"{base}[::-1]", f"{base}[idx]", self.row(s)))
        u, v = (self.vector(s, depth - 1, short) for _ in range(2))
        texts = (
            u,
            f"np.sin({u})",
            f"0.5 * ({u} + {v})",
            f"{u} * {v}",
            f"np.tanh({u} * {self.scalar(s, 0)})",
            f"np.where({MARK}{u} > {self.pick(LITERALS)}), {u}, {v})",
            f"{self.scalar(s, 0)} / (2.0 + ({u}) ** 2)",
            f"0.3 * np.cumsum({u})",
            f"{u} * c" if not short else u,
        )
        return self.pick(texts)

    def row(self, s: Scope) -> str:
        return f"B[{self.index(s, rows=True)}]"

    def condition(self, s: Scope) -> str:
        i = self.pick(s.ints + s.places)
        active = f"{MARK}{self.scalar(s, 1)} < {self.pick(LITERALS)})"
        options = (
            f"{i} % 2 == 0",
            f"{i} > {self.pick(range(4))}",
            active,
            f"{active} and {i} != 1",
            f"(not {active} or {i} == 2)",
            f"{MARK}-0.4 < {self.scalar(s, 0)} <= 0.6)",
        )
        return self.pick(options)

    def bounded(self, s: Scope) -> str:
        return f"{self.pick(('np.sin', 'np.tanh', '0.5 * '))}({self.scalar(s)})"

    # --- statements ----------------------------------------------------------------------------

    def block(self, s: Scope) -> Scope:
        """One to three statements; the scope as they leave it."""
        for _ in range(self.pick((1, 2, 3))):
            self.budget -= 1
            s = self.statement(s)
        return s

    def statement(self, s: Scope) -> Scope:
        simple = [self.assign, self.augment, self.store, self.store, self.store_slice]
        simple += [self.view, self.rebind, self.local, self.work, self.buffer]
        if len(s.buffers) > 1:
            simple += [self.swap, self.swap]
        if OBJECT in self.helpers:
            simple += [self.make_object]
            simple += [self.field, self.field, self.method] if s.objects else []
            simple += [self.append] if s.depth < 3 else []
        if HELPERS[0] in self.helpers:
            simple.append(self.call)
        if self.budget > 0 and s.depth < 3:
            return self.pick((*simple, self.loop, self.loop, self.loop, self.branch, self.branch))(
                s
            )
        return self.pick(simple)(s)

    def assign(self, s: Scope) -> Scope:
        name = self.pick((*s.scalars, self.name("s")))
        self.write(s, f"{name} = {self.bounded(s)}")
        return s if name in s.scalars else replace(s, scalars=(*s.scalars, name))

    def augment(self, s: Scope) -> Scope:
        text = self.pick(("+= 0.4 * ", "-= 0.3 * ", "*= ", "/= 1.5 + np.cos"))
        self.write(s, f"{self.pick(s.scalars)} {text}({self.bounded(s)})")
        return s

    def store(self, s: Scope) -> Scope:
        if self.length == 0 and not s.places:
            return self.store_slice(s)
        text = self.pick(("= ", "= ", "+= 0.4 * ", "*= ", "-= "))
        self.write(s, f"{self.element(s)} {text}{self.bounded(s)}")
        return s

    def store_slice(self, s: Scope) -> Scope:
        short = self.pick((False, True))
        options = [*s.vectors, self.row(s)]
        places = ("[1:]", "[:-1]") if short else ("[:]", "[::-1]")
        text = self.pick(("= ", "= ", "+= 0.4 * ", "*= "))
        value = f"np.sin({self.vector(s, 1, short)})"
        self.write(s, f"{self.pick(options)}{self.pick(places)} {text}{value}")
        return s

    def view(self, s: Scope) -> Scope:
        name = self.name("v")
        base = self.pick((self.row(s), self.row(s), "a", "a[::-1]", "B[:, :][0]"))
        self.write(s, f"{name} = {base}")
        s = replace(s, vectors=(*s.vectors, name), views=(*s.views, name))
        at = self.index(s) or ":"
        self.write(s, f"{name}[{at}] {self.pick(('=', '+=', '*='))} {self.bounded(s)}")
        return s

    def work(self, s: Scope) -> Scope:
        """A captured work array: written whole, then read."""
        self.write(s, f"W[:] = np.sin({self.vector(s)})")
        if self.length and self.pick((True, False)):
            self.write(s, f"W[{self.index(s)}] += {self.bounded(s)}")
        self.write(s, f"{self.pick(s.scalars)} = 0.1 * np.sum(W * {self.pick(s.vectors)})")
        return s

    def buffer(self, s: Scope) -> Scope:
        """A local vector; two of them may be swapped."""
        name = self.name("u")
        self.write(s, f"{name} = {self.pick(('a.copy()', 'np.zeros(a.shape[0])', 'np.sin(b)'))}")
        return replace(s, vectors=(*s.vectors, name), buffers=(*s.buffers, name))

    def swap(self, s: Scope) -> Scope:
        """Double buffering: fill one from the other, exchange them; sometimes on one path only."""
        u, v = self.pick(s.buffers), self.pick(s.buffers)
        fill = f"{v}[1:] = np.sin({u}[:-1] * {self.scalar(s, 0)})"
        if self.pick((True, False)):
            self.write(s, fill)
        inner = s
        if self.pick((True, False, False)):
            self.write(s, f"if {self.condition(s)}:")
            inner = s.deeper()
        self.write(inner, f"{u}, {v} = {v}, {u}")
        return s

    def rebind(self, s: Scope) -> Scope:
        self.write(s, f"b = np.sin({self.scalar(s, 1)} * b + b[::-1])")
        return s

    def local(self, s: Scope) -> Scope:
        name = self.name("w")
        vector = self.pick(s.vectors)
        options = (f"np.zeros({vector}.shape[0])", f"{vector}.copy()", f"np.tanh({self.vector(s)})")
        self.write(s, f"{name} = {self.pick(options)}")
        return replace(s, vectors=(*s.vectors, name))

    def call(self, s: Scope) -> Scope:
        target = self.pick(s.vectors)
        scalar = self.pick(s.scalars)
        self.write(s, f"{scalar} = h1({target}, {self.scalar(s, 1)}, {self.pick(s.ints)})")
        return s

    def make_object(self, s: Scope) -> Scope:
        name = self.name("o")
        alias = self.pick(("", *s.objects))
        made = f"Particle({self.scalar(s, 0)}, {self.bounded(s)}, {self.pick(s.vectors)})"
        self.write(s, f"{name} = {alias or made}")
        return replace(s, objects=(*s.objects, name), vectors=(*s.vectors, f"{name}.w"))

    def field(self, s: Scope) -> Scope:
        """A field is assigned; what it holds can be read wherever a number can."""
        name = f"{self.pick(s.objects)}.{self.pick('uv')}"
        self.write(s, f"{name} {self.pick(('=', '+= 0.3 *', '*='))} ({self.bounded(s)})")
        return s if name in s.scalars else replace(s, scalars=(*s.scalars, name))

    def method(self, s: Scope) -> Scope:
        self.write(s, f"{self.pick(s.objects)}.push({self.scalar(s, 1)})")
        return s

    def append(self, s: Scope) -> Scope:
        """A list that grows in a loop, perhaps not in every iteration, and becomes an array."""
        items, i, inner = self.name("l"), self.name("i"), s.deeper(in_loop=True)
        self.write(s, f"{items} = []")
        self.write(s, f"for {i} in range({self.pick(('k', '3', 'len(a)'))}):")
        inner = replace(inner, ints=(*s.ints, i))
        if self.pick((True, False)):
            self.write(inner, f"if {self.condition(inner)}:")
            inner = inner.deeper()
        self.write(inner, f"{items}.append({self.bounded(inner)})")
        self.write(s, f"{self.pick(s.scalars)} = 0.1 * np.sum(np.array({items}))")
        return s

    def loop(self, s: Scope) -> Scope:
        i, inner = self.name("i"), s.deeper(in_loop=True)
        kind = self.pick(("range", "places", "after", "down", "values", "while", "while"))
        if kind == "while":
            return self.while_loop(s, i)
        if kind == "range":
            bounds = self.pick(("k", "1, k", "k, 0, -1", "0, 5, 2", "k + 1", "k - 2"))
            header, inner = f"range({bounds})", replace(inner, ints=(*s.ints, i))
        elif kind == "values":
            header, inner = self.pick(s.vectors), replace(inner, scalars=(*s.scalars, i))
            if header in ("a", "b", *s.views, *s.buffers):
                header = f"{header}.copy()"
        else:
            texts = {"places": "", "after": "1, ", "down": None}
            prefix = texts[kind]
            header = "range(a.shape[0] - 1, -1, -1)" if prefix is None else f"range({prefix}len(a))"
            inner = replace(inner, places=(*s.places, i))
            if kind == "after":
                inner = replace(inner, after=(*s.after, i))
        self.write(s, f"for {i} in {header}:")
        self.body(inner)
        return s

    def while_loop(self, s: Scope, i: str) -> Scope:
        self.write(s, f"{i} = 0")
        extra = self.pick(("", f" and {self.condition(replace(s, ints=(*s.ints, i)))}"))
        self.write(s, f"while {i} < {self.pick(('k', '3', 'len(a)'))}{extra}:")
        inner = s.deeper(in_loop=True, ints=(*s.ints, i))
        self.write(inner, f"{i} += 1")
        self.body(inner)
        return s

    def body(self, s: Scope) -> None:
        """A loop's block, perhaps with a way out somewhere in it."""
        s = self.block(s)
        way = self.pick(("", "", "break", "continue", "return"))
        if way:
            self.write(s, f"if {self.condition(s)}:")
            self.write(s.deeper(), self.value(s) if way == "return" else way)
            self.block(s)

    def branch(self, s: Scope) -> Scope:
        self.write(s, f"if {self.condition(s)}:")
        self.block(s.deeper())
        shape = self.pick(("", "else", "elif", "return"))
        if shape == "return":
            self.write(s.deeper(), self.value(s))
        if shape == "elif":
            self.write(s, f"elif {self.condition(s)}:")
            self.block(s.deeper())
        if shape in ("elif", "else"):
            self.write(s, "else:")
            self.block(s.deeper())
        return s

    def value(self, s: Scope) -> str:
        scalar = self.scalar(s, 1)
        if not self.tuple_value:
            return f"return {scalar} + 0.1 * np.sum(a) + 0.1 * np.sum(B)"
        return f"return {scalar}, a * {self.pick(LITERALS)} + b, np.sin(B)"


HELPERS = (
    "def h0(u, v):\n"
    f"    if {MARK}u < 0.1):\n"
    "        return np.tanh(u * v)\n"
    "    w = np.cos(u) * 0.5\n"
    "    return w + v * 0.3\n\n",
    "def h1(v, s, n):\n"
    "    total = 0.0\n"
    "    for j in range(1, len(v)):\n"
    f"        if {MARK}v[j] > 0.8) or j > n + 1:\n"
    "            return total\n"
    "        v[j] = np.sin(v[j - 1] + s)\n"
    "        total += 0.3 * v[j] * s\n"
    "    return total\n\n",
)

OBJECT = (
    "class Particle:\n"
    "    def __init__(self, u, v, w):\n"
    "        self.u = u\n"
    "        self.v = v\n"
    "        self.w = w\n\n"
    "    def push(self, h):\n"
    "        self.v -= 0.2 * np.sin(self.u) * h\n"
    "        self.u += 0.3 * self.v\n\n"
)


def random_program(pick: Callable[[Sequence], Any]) -> RandomProgram:
    """A program, each of whose choices is `pick(options)`."""
    length, rows = pick((3, 4, 2, 1, 3, 4, 2, 0)), pick((2, 3, 1))
    helpers = HELPERS if pick((False, True)) else ()
    helpers += (OBJECT,) if pick((True, False, False)) else ()
    writer = Writer(pick, length, rows, helpers, tuple_value=pick((False, True)))
    scope = Scope()
    writer.write(scope, "b = b.copy()")
    writer.write(scope, "W[:] = 0.3")
    for _ in range(pick((1, 2, 3))):
        scope = writer.block(scope)
    writer.write(scope, writer.value(scope))
    text = "".join(helpers) + HEAD + "\n".join(writer.lines) + "\n"
    return RandomProgram(text, length, rows, trips=pick(range(6)), seed=pick(range(100)))


@st.composite
def programs(draw: Callable, make: Callable = random_program) -> RandomProgram:
    """What `make` writes for Hypothesis, which can make a program that fails smaller."""
    return make(lambda options: draw(st.sampled_from(list(options))))
