"""Random IR programs full of writes, views and carried arrays, for the buffer tests."""

from __future__ import annotations

import random

from s2s_ad.ir.build import Builder, boolean, i64, number
from s2s_ad.ir.core import Atom, Func, Var
from s2s_ad.ir.types import BOOL, F64, I64, Type
from s2s_ad.ir.verify import verify

LINE, PAIR, SQUARE = Type("f64", (4,)), Type("f64", (2,)), Type("f64", (2, 2))
ARRAYS = (LINE, PAIR, SQUARE)
HINTS = ("a", "b", "u", "v", "t", "t", "t")


class Generator:
    """`program()` is a random function of two arrays and two scalars."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def program(self) -> Func:
        params = (Var("a", LINE), Var("s", SQUARE), Var("x", F64), Var("k", I64))
        b = Builder()
        scope = list(params)
        self.block(b, scope, self.random.randint(4, 12), depth=0)
        results: list[Atom] = [self.pick(scope, kind) for kind in (LINE, F64, SQUARE, LINE, PAIR)]
        mutated = []
        if self.random.random() < 0.6:
            mutated.append((0, 0))
        if self.random.random() < 0.3:
            mutated.append((1, 2))
        return verify(Func("f", b.region(params, results), (), tuple(mutated)))

    # -- operands

    def pick(self, scope: list[Var], kind: Type) -> Atom:
        found = [v for v in scope if v.type == kind]
        if not found:
            if kind == F64:
                return number(0.5, "f64")
            return i64(1) if kind == I64 else self.fresh(scope, kind)
        recent = found[-4:]
        return self.random.choice(recent if self.random.random() < 0.7 else found)

    def fresh(self, scope: list[Var], kind: Type) -> Var:
        raise LookupError(kind)

    def array(self, scope: list[Var]) -> Var:
        return self.random.choice([v for v in scope if v.type.is_array])

    def hint(self) -> str:
        return self.random.choice(HINTS)

    # -- statements

    def block(self, b: Builder, scope: list[Var], count: int, depth: int) -> None:
        for kind in ARRAYS:
            if not any(v.type == kind for v in scope):
                value = number(0.25, "f64")
                sizes = [i64(d) for d in kind.shape]
                scope.append(b.emit("full", value, *sizes, name=self.hint()))
        for _ in range(count):
            choices = [self.element, self.write, self.write, self.view, self.arithmetic]
            choices += [self.slice_write, self.scalar]
            if depth < 3:
                choices += [self.loop, self.branch, self.loop]
            scope.extend(self.random.choice(choices)(b, scope, depth))

    def element(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        a = self.array(scope)
        spec = ",".join("i" * a.type.ndim)
        return [b.emit("load", a, *self.indices(scope, a), spec=spec, name=self.hint())]

    def indices(self, scope: list[Var], a: Var) -> list[Atom]:
        counters = [v for v in scope if v.name == "i" and v.type == I64]
        if counters and self.random.random() < 0.5 and a.type == LINE:
            return [self.random.choice(counters)]
        return [i64(self.random.randrange(d)) for d in a.type.shape]

    def write(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        a = self.array(scope)
        prim, value = self.random.choice(("store", "accum")), self.pick(scope, F64)
        spec, name = ",".join("i" * a.type.ndim), a.name
        name = name if self.random.random() < 0.7 else self.hint()
        return [b.emit(prim, a, value, *self.indices(scope, a), spec=spec, name=name)]

    def slice_write(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        prim, name = self.random.choice(("store", "accum")), self.hint()
        a, value = self.pick(scope, LINE), self.pick(scope, PAIR)
        start = self.random.randrange(3)
        if self.random.random() < 0.4:
            square = self.pick(scope, SQUARE)
            spec, k = self.random.choice(("i,:", ":,i")), i64(start % 2)
            return [b.emit(prim, square, value, k, spec=spec, name=name)]
        if self.random.random() < 0.3:
            whole = self.pick(scope, LINE)
            return [b.emit(prim, a, whole, spec=":", name=name)]
        return [b.emit(prim, a, value, i64(start), i64(start + 2), spec="_:_", name=name)]

    def view(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        name, line, square = self.hint(), self.pick(scope, LINE), self.pick(scope, SQUARE)
        pair, k = self.pick(scope, PAIR), self.random.randrange(2)
        two = i64(2)
        return [
            self.random.choice(
                [
                    lambda: b.emit("load", line, i64(k), i64(k + 2), spec="_:_", name=name),
                    lambda: b.emit("load", line, two, spec="::_", name=name, type=PAIR),
                    lambda: b.emit("load", square, i64(k), spec="i,:", name=name),
                    lambda: b.emit("load", square, i64(k), spec=":,i", name=name),
                    lambda: b.emit("transpose", square, perm=(1, 0), name=name),
                    lambda: b.emit("reshape", square, i64(4), name=name),
                    lambda: b.emit("reshape", line, two, two, name=name),
                    lambda: b.emit("broadcast", pair, two, two, axes=(k,), name=name),
                    lambda: b.emit("stop_gradient", line, name=name),
                    lambda: b.emit("copy", square, name=name),
                ]
            )()
        ]

    def arithmetic(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        a = self.array(scope)
        other = self.pick(scope, self.random.choice((a.type, F64)))
        prim = self.random.choice(("add", "sub", "maximum"))
        t = b.emit(prim, a, other)
        return [b.emit("mul", t, number(0.5, "f64"), name=self.hint())]

    def scalar(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        x, y = self.pick(scope, F64), self.pick(scope, F64)
        t = b.emit(self.random.choice(("add", "sub", "minimum")), x, y, name=self.hint())
        return [b.emit("mul", t, number(0.5, "f64"), name=self.random.choice(("x", "y", "t")))]

    def carried(self, scope: list[Var]) -> list[Atom]:
        kinds = self.random.choices((LINE, LINE, SQUARE, PAIR, F64), k=self.random.randint(0, 4))
        return [self.pick(scope, kind) for kind in kinds]

    def like(self, inits: list[Atom]) -> list[Var]:
        names = [a.name if isinstance(a, Var) else "x" for a in inits]
        return [
            Var(n if self.random.random() < 0.7 else self.hint(), a.type)
            for n, a in zip(names, inits)
        ]

    def loop(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        if self.random.random() < 0.2:
            return self.while_(b, scope, depth)
        inits = self.carried(scope)
        index, params = Var("i", I64), self.like(inits)
        leaving = self.random.random() < 0.3
        inner = Builder()
        local = [*scope, index, *params]
        self.block(inner, local, self.random.randint(1, 5), depth + 1)
        results = [self.pick(local[len(scope) :], p.type) for p in params]
        names = [p.name for p in params]
        if leaving:
            results.insert(0, self.flag(inner, local))
            names.insert(0, "count")
        bounds = [i64(0), i64(self.random.randint(0, 3)), i64(1)]
        if self.random.random() < 0.2:
            bounds = [i64(2), i64(-1), i64(-1)]
        region = inner.region((index, *params), results)
        extra = {"exit": True} if leaving else {}
        return list(b.equation("for", [*bounds, *inits], extra, [region], names))

    def flag(self, b: Builder, scope: list[Var]) -> Atom:
        if self.random.random() < 0.5:
            return b.emit("gt", self.pick(scope, F64), number(0.4, "f64"))
        test = b.emit("lt", self.pick(scope, F64), number(0.3, "f64"))
        regions = [Builder().region((), [boolean(k)]) for k in (True, False)]
        return b.equation("if", [test], {}, regions, ["stop"])[0]

    def while_(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        inits = [i64(0), *self.carried(scope)]
        first, second = self.like(inits), self.like(inits)
        cond = Builder()
        test = cond.emit("lt", first[0], i64(self.random.randint(0, 3)))
        body = Builder()
        local = [*scope, *second[1:]]
        self.block(body, local, self.random.randint(1, 4), depth + 1)
        results = [self.pick(local[len(scope) :], p.type) for p in second[1:]]
        step = body.emit("add", second[0], i64(1))
        regions = [cond.region(first, [test]), body.region(second, [step, *results])]
        return list(b.equation("while", inits, {}, regions, [p.name for p in second]))

    def branch(self, b: Builder, scope: list[Var], depth: int) -> list[Var]:
        test = b.emit("lt", self.pick(scope, F64), number(0.3, "f64"))
        kinds = self.random.choices((LINE, SQUARE, PAIR, F64), k=self.random.randint(1, 3))
        regions = []
        for _ in range(2):
            inner, local = Builder(), list(scope)
            self.block(inner, local, self.random.randint(0, 3), depth + 1)
            regions.append(inner.region((), [self.pick(local, kind) for kind in kinds]))
        return list(b.equation("if", [test], {}, regions, [self.hint() for _ in kinds]))


assert BOOL
