"""The text form of the IR, printed and parsed: `show(parse(show(f))) == show(f)`.

    func f(x: f64[n], k: i64) {
      s: f64 = for 0: i64, k, 1: i64, 0.0: f64 { (i: i64, acc: f64)
        t: f64 = load x, i {spec='i'} @3:8
        acc.1: f64 = add acc, t @3:4 tangent
        yield acc.1
      } @2:0
      return s
    }

A name is the variable's hint, made unique by `.1`, `.2`, …; a literal is `value: type`.
Locations keep line and column only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from s2s_ad.errors import Loc
from s2s_ad.ir.core import REVERSE, TANGENT, Atom, Eqn, Func, Lit, Region, Var
from s2s_ad.ir.types import Type

_NAN_INF = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def show(func: Func) -> str:
    """`func` as text, byte for byte the same for the same program."""
    return _Printer().func(func)


def parse(text: str) -> Func:
    """The function that `text` describes. ValueError with the place where it is malformed."""
    parser = _Parser(text)
    func = parser.func()
    parser.end()
    return func


class _Printer:
    def __init__(self) -> None:
        self.names: dict[Var, str] = {}
        self.counts: dict[str, int] = {}

    def name(self, v: Var) -> str:
        if v not in self.names:
            hint = v.name.split(".")[0]
            count = self.counts.get(hint, 0)
            self.counts[hint] = count + 1
            self.names[v] = f"{hint}.{count}" if count else hint
        return self.names[v]

    def atom(self, a: Atom) -> str:
        return self.name(a) if isinstance(a, Var) else f"{a.value!r}: {a.type}"

    def typed(self, vs: Iterable[Var]) -> str:
        return ", ".join(f"{self.name(v)}: {v.type}" for v in vs)

    def func(self, f: Func) -> str:
        lines = [f"func {f.name}({self.typed(f.params)}) {{"]
        for eqn in f.body.eqns:
            lines += self.eqn(eqn, "  ")
        lines.append(self.results("return", f.results, "  "))
        lines.append("}")
        if f.result_names:
            lines.append(f"results {', '.join(f.result_names)}")
        if f.mutated:
            lines.append("mutated " + ", ".join(f"{p}->{r}" for p, r in f.mutated))
        return "\n".join(lines) + "\n"

    def results(self, word: str, results: tuple[Atom, ...], indent: str) -> str:
        return f"{indent}{word} {', '.join(map(self.atom, results))}".rstrip()

    def eqn(self, e: Eqn, indent: str) -> list[str]:
        ins = [self.atom(a) for a in e.ins]
        head = f"{e.prim} {', '.join(ins)}".rstrip()
        if e.params:
            head += " {" + ", ".join(f"{k}={v!r}" for k, v in sorted(e.params.items())) + "}"
        tail = (f" @{e.loc.line}:{e.loc.col}" if e.loc else "") + (f" {e.role}" if e.role else "")
        blocks = [self.region(r, indent) for r in e.regions]
        left = f"{self.typed(e.outs)} = " if e.outs else ""
        if not blocks:
            return [f"{indent}{left}{head}{tail}"]
        lines = [f"{indent}{left}{head} {blocks[0][0]}", *blocks[0][1:]]
        for block in blocks[1:]:
            lines[-1] += f" {block[0]}"
            lines += block[1:]
        lines[-1] += tail
        return lines

    def region(self, r: Region, indent: str) -> list[str]:
        inner = indent + "  "
        lines = [f"{{ ({self.typed(r.params)})"]
        for eqn in r.eqns:
            lines += self.eqn(eqn, inner)
        lines += [self.results("yield", r.results, inner), f"{indent}}}"]
        return lines


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<loc>@\d+:\d+)
    | (?P<number>-?(?:inf|nan)\b|\(?-?[\d.][\w.+-]*j\)?|-?\d[\d.]*(?:e[+-]?\d+)?)
    | (?P<name>[A-Za-z_][\w.]*)
    | (?P<op>->|[-{}()\[\],:=?])
    )""",
    re.X,
)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0
        self.env: dict[str, Var] = {}

    # -- tokens
    def peek(self) -> str:
        match = _TOKEN.match(self.text, self.position)
        return match.group().strip() if match else ""

    def next(self, expected: str | None = None) -> str:
        match = _TOKEN.match(self.text, self.position)
        token = match.group().strip() if match else ""
        if not token or (expected is not None and token != expected):
            line = self.text.count("\n", 0, self.position) + 1
            raise ValueError(
                f"IR text, line {line}: expected {expected or 'a token'}, found {token!r}"
            )
        self.position = match.end()
        return token

    def accept(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.next()
        return True

    def end(self) -> None:
        if self.text[self.position :].strip():
            raise ValueError(f"IR text: unexpected {self.text[self.position :].strip()[:40]!r}")

    # -- grammar
    def func(self) -> Func:
        self.next("func")
        name = self.next()
        self.next("(")
        params = self.typed(")")
        self.next(")")
        self.next("{")
        eqns = self.eqns("return")
        results = self.atoms("}")
        self.next("}")
        names, mutated = [], []
        if self.accept("results"):
            names.append(self.next())
            while self.accept(","):
                names.append(self.next())
        if self.accept("mutated"):
            mutated.append(self.arrow())
            while self.accept(","):
                mutated.append(self.arrow())
        return Func(name, Region(params, eqns, results), tuple(names), tuple(mutated))

    def arrow(self) -> tuple[int, int]:
        left = int(self.next())
        self.next("->")
        return left, int(self.next())

    def type(self) -> Type:
        dtype, shape = self.next(), []
        if self.accept("["):
            while not self.accept("]"):
                shape.append(self.dim())
                self.accept(",")
        return Type(dtype, tuple(shape))

    def dim(self) -> int | str:
        """Everything up to the next comma or bracket: `n`, `3`, `n-2`, `?`."""
        match = re.compile(r"\s*([^,\]]+)").match(self.text, self.position)
        self.position = match.end()
        text = match.group(1).strip()
        return int(text) if text.isdigit() else text

    def typed(self, stop: str) -> tuple[Var, ...]:
        out = []
        while self.peek() != stop:
            name = self.next()
            self.next(":")
            self.env[name] = var = Var(name.split(".")[0], self.type())
            out.append(var)
            if not self.accept(","):
                break
        return tuple(out)

    def atoms(self, *stops: str) -> tuple[Atom, ...]:
        out: list[Atom] = []
        while self.peek() and self.peek() not in stops and not self.peek().startswith("@"):
            out.append(self.atom())
            if not self.accept(","):
                break
        return tuple(out)

    def atom(self) -> Atom:
        token = self.next()
        if token in self.env and self.peek() != ":":
            return self.env[token]
        self.next(":")
        kind = self.type()
        value = _NAN_INF[token] if token in _NAN_INF else ast.literal_eval(token)
        return Lit(value, kind)

    def eqns(self, stop: str) -> tuple[Eqn, ...]:
        out = []
        while not self.accept(stop):
            out.append(self.eqn())
        return tuple(out)

    def eqn(self) -> Eqn:
        start = self.position
        first = self.next()
        outs_follow = self.peek() == ":" and first not in _literal_words
        self.position = start
        names: list[tuple[str, Type]] = []
        if outs_follow:
            while True:
                name = self.next()
                self.next(":")
                names.append((name, self.type()))
                if not self.accept(","):
                    break
            self.next("=")
        prim = self.next()
        ins = () if self._statement_over() else self.atoms("{", TANGENT, *REVERSE)
        params: Mapping[str, object] = MappingProxyType({})
        if self.peek() == "{" and not self._region_follows():
            params = self.params()
        regions = []
        while self.peek() == "{":
            regions.append(self.region())
        loc = None
        if self.peek().startswith("@"):
            line, col = self.next()[1:].split(":")
            loc = Loc("", int(line), int(col))
        role = self.next() if self.peek() in (TANGENT, *REVERSE) else ""
        outs = []
        for name, kind in names:
            self.env[name] = var = Var(name.split(".")[0], kind)
            outs.append(var)
        return Eqn(tuple(outs), prim, ins, params, tuple(regions), loc, role)

    def _statement_over(self) -> bool:
        """True where the line ends: a primitive without operands."""
        return re.compile(r"[ \t]*(\n|$)").match(self.text, self.position) is not None

    def _region_follows(self) -> bool:
        return re.compile(r"\s*\{\s*\(").match(self.text, self.position) is not None

    def params(self) -> Mapping[str, object]:
        self.next("{")
        match = re.compile(r"((?:[^{}'\"]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")*)\}").match(
            self.text, self.position
        )
        self.position = match.end()
        call = ast.parse(f"f({match.group(1)})", mode="eval").body
        return MappingProxyType({k.arg: ast.literal_eval(k.value) for k in call.keywords})

    def region(self) -> Region:
        outside = dict(self.env)
        self.next("{")
        self.next("(")
        params = self.typed(")")
        self.next(")")
        eqns = self.eqns("yield")
        results = self.atoms("}")
        self.next("}")
        self.env = outside
        return Region(params, eqns, results)


_literal_words = {"True", "False", "nan", "inf"}
