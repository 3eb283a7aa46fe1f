"""A long function in parts that are compiled one by one.

    def f(x, a):                                def f_part_1(x, a):
        n = x.shape[0]                              n = x.shape[0]
        y = np.zeros(n)                             y = np.zeros(n)
        for i in range(n):                          for i in range(n):
            y[i] = np.sin(x[i])                         y[i] = np.sin(x[i])
        s = 0.0                                     return n, y
        for i in range(n):            ──▶
            s += a * y[i]                       def f_part_2(a, n, y):
        return s                                    s = 0.0
                                                    for i in range(n):
                                                        s += a * y[i]
                                                    return s

                                                def f(x, a):
                                                    n, y = f_part_1(x, a)
                                                    s = f_part_2(a, n, y)
                                                    return s

numba goes through a whole function for each variable that is assigned twice, and LLVM through all
blocks for each that lives in several: both are quadratic in the length of a function. In parts of
bounded length they are linear in the length of the program. What is written for users to compile by
numba alone pays for that, since LLVM then sees a part twice, alone and with its caller; what is
compiled here does not (compiler.py). Parts pay only where a function is long.

Functions are cut between statements, and so are loops and branches that are as long themselves;
loops of ordinary length stay whole, and with them what LLVM makes of them. A part with many results
gives them as one tuple, which the parts after it take apart: what calls them all does not grow with
what goes from one to the other. A function with parallel loops stays whole, since each part with
such a loop would need numba's parallel compiler of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from s2s_ad.backend import source as py
from s2s_ad.backend.expr import PRANGE, UNALIASED

#: Nodes of the syntax tree in a part, about five to a line.
PART = 1000
#: Functions, and loops in them, stay whole if they would have no more parts than this.
_FEW = 4
#: A part with more results than this gives a tuple.
_MANY = 8
#: More values than this are not taken out of a tuple for a loop.
_MOST = 64
_JUMPS = (ast.Return, ast.Break, ast.Continue)


def outline(
    function: ast.FunctionDef, size: int = PART, unaliased: Set[str] = frozenset()
) -> list[ast.stmt]:
    """`function`, if it has no more than four times `size` nodes; else its parts, of about `size`
    nodes each, and after them the function that calls them. Arrays whose names are `unaliased` have
    no other name, and parts that are given such arrays say so."""
    if _weight([function]) <= _FEW * size or _is_parallel(function):
        return [function]
    outliner = _Outliner(function, size, unaliased)
    *body, end = function.body
    if not isinstance(end, ast.Return):
        body, end = function.body, ast.Pass()
    after = outliner.ordered(_flow([end]).reads)
    kept: dict[str, _Place] = {}
    given = {a.arg for a in function.args.args}
    calls = outliner.block(body, set(after), given, kept, top=True)
    calls += [*_opened(after, kept), end]
    return [
        *outliner.parts,
        ast.FunctionDef(function.name, function.args, calls, decorator_list=[]),
    ]


# --- what statements do to names -----------------------------------------------------------------


@dataclass
class _Flow:
    """What a block of statements does to names: which it may read before it assigns them, which it
    may assign, and which it certainly has assigned when it is through."""

    reads: set[str] = field(default_factory=set)
    writes: dict[str, None] = field(default_factory=dict)
    sure: set[str] = field(default_factory=set)
    leaves: bool = False  # its end is never reached


def _flow(block: Sequence[ast.stmt], given: Set[str] = frozenset()) -> _Flow:
    """The flow of `block`, where the names `given` have been assigned just before."""
    out = _Flow(sure=set(given))
    for statement in block:
        _step(statement, out)
        if out.leaves:
            break
    return out


def _step(statement: ast.stmt, out: _Flow) -> None:
    """Goes on by one statement."""

    def inner(block: Sequence[ast.stmt], given: Set[str] = frozenset()) -> _Flow:
        found = _flow(block, out.sure | given)
        out.reads |= found.reads
        out.writes |= found.writes
        return found

    if isinstance(statement, ast.If):
        _read(statement.test, out)
        ways = [way for way in map(inner, (statement.body, statement.orelse)) if not way.leaves]
        out.leaves = not ways
        out.sure |= set.intersection(*(way.sure for way in ways)) if ways else set()
    elif isinstance(statement, ast.For):
        _read(statement.iter, out)
        targets = _names(statement.target)
        out.writes |= dict.fromkeys(targets)
        inner(statement.body, set(targets))
    elif isinstance(statement, ast.While):
        _read(statement.test, out)
        inner(statement.body)
    elif isinstance(statement, ast.With):
        out.sure |= inner(statement.body).sure
    else:
        _simple(statement, out)


def _simple(statement: ast.stmt, out: _Flow) -> None:
    targets: list[str] = []
    if isinstance(statement, ast.Assign):
        targets = [name for target in statement.targets for name in _names(target)]
        _read(statement.value, out)
        for target in statement.targets:
            _read(target, out, targets)
    else:
        targets = _names(statement.target) if isinstance(statement, ast.AugAssign) else []
        _read(statement, out)
    out.writes |= dict.fromkeys(targets)
    out.sure |= set(targets)
    out.leaves = isinstance(statement, (ast.Raise, *_JUMPS))


def _read(node: ast.AST, out: _Flow, but: Iterable[str] = ()) -> None:
    found = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    out.reads |= found - out.sure - set(but)


def _names(target: ast.expr) -> list[str]:
    """The names that are assigned: of `a, b = …` both, of `x[i] = …` none."""
    if isinstance(target, ast.Tuple):
        return [name for item in target.elts for name in _names(item)]
    return [target.id] if isinstance(target, ast.Name) else []


def _weight(block: Sequence[ast.AST]) -> int:
    nodes = (inner for statement in block for inner in ast.walk(statement))
    return sum(isinstance(node, (ast.expr, ast.stmt)) for node in nodes)


def _is_parallel(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Name) and node.id == PRANGE for node in ast.walk(function))


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    return [block for name in ("body", "orelse") if (block := getattr(statement, name, []))]


def _is_bound(statement: ast.stmt, inside: bool = False) -> bool:
    """True of what cannot move to a function of its own: it jumps out, or is not compiled."""
    if isinstance(statement, (ast.With, ast.Return)):
        return True
    if isinstance(statement, _JUMPS):
        return not inside
    inside = inside or isinstance(statement, (ast.For, ast.While))
    return any(_is_bound(s, inside) for block in _blocks(statement) for s in block)


# --- parts ---------------------------------------------------------------------------------------

#: The tuple that holds a value, and the value's place in it.
_Place = tuple[str, int]


class _Outliner:
    def __init__(self, function: ast.FunctionDef, size: int, unaliased: Set[str]) -> None:
        self.name, self.size, self.unaliased = function.name, size, unaliased
        names = [*(a.arg for a in function.args.args), *_flow(function.body).writes]
        self.rank = {name: k for k, name in enumerate(dict.fromkeys(names))}
        self.parts: list[ast.stmt] = []
        self.lengths: dict[str, int] = {}  # of the tuples

    def ordered(self, names: Iterable[str]) -> list[str]:
        """The local ones of `names`, in the order in which the function meets them."""
        return sorted(filter(self.rank.__contains__, names), key=self.rank.__getitem__)

    def fresh(self, name: str) -> str:
        while name in self.rank:
            name += "_"
        return name

    def block(
        self,
        block: Sequence[ast.stmt],
        after: Set[str],
        given: Set[str],
        kept: dict[str, _Place],
        top: bool = False,
    ) -> list[ast.stmt]:
        """`block` with calls in place of its statements. `after` are the names that are read after
        it, `given` those that certainly have a value before it. `kept` says which values are in
        tuples; more become so at the `top`."""
        groups = list(self.groups(block))
        flows = list(map(_flow, groups))
        live, lives = set(after), []
        for group, flow in zip(reversed(groups), reversed(flows)):
            lives.append(live)
            live = flow.reads | (live - flow.sure)
            live |= after if any(map(_is_bound, group)) else set()  # it may jump there
        given, out = set(given), []
        for group, flow, live in zip(groups, flows, reversed(lives)):
            written = live & flow.writes.keys()
            needs = self.ordered(flow.reads | (written - flow.sure))  # or it stays as it was
            if self.moves(group) and given.issuperset(needs):
                out += self.part(group, needs, self.ordered(written), kept, top)
            else:
                out += _opened([n for n in needs if n in flow.writes], kept)
                for name in flow.writes:
                    kept.pop(name, None)
                for s in group:
                    out += self.statement(s, live | flow.reads, given, kept)
            given |= flow.sure
        return out

    def groups(self, block: Sequence[ast.stmt]) -> Iterator[list[ast.stmt]]:
        """Consecutive statements that may become a part, with the comments before them. What
        cannot, and what has a part or more to itself, stands alone."""
        group: list[ast.stmt] = []
        comments: list[ast.stmt] = []
        room = self.size
        for statement in block:
            if py.is_mark(statement):
                comments.append(statement)
                continue
            weight = _weight([statement])
            alone = weight > self.size or _is_bound(statement)
            if group and (alone or weight > room):
                yield group
                group, room = [], self.size
            group += [*comments, statement]
            comments, room = [], 0 if alone else room - weight
        yield [*group, *comments]

    def moves(self, group: Sequence[ast.stmt]) -> bool:
        """True of what is worth a part, and can become one."""
        fits = self.size / _FEW < _weight(group) <= _FEW * self.size
        return fits and not any(map(_is_bound, group))

    def statement(
        self, statement: ast.stmt, after: Set[str], given: Set[str], kept: dict[str, _Place]
    ) -> list[ast.stmt]:
        """A statement that stays; if it is long, with parts inside, which take apart themselves
        what is in tuples."""
        if _weight([statement]) <= self.size or isinstance(statement, ast.With):
            return [*_opened(self.ordered(_flow([statement]).reads), kept), statement]
        head = _Flow()
        _read(statement.iter if isinstance(statement, ast.For) else statement.test, head)
        reads = self.ordered(_flow([statement]).reads)
        out = head.reads | self.taken_out(statement, reads, kept)
        opened = _opened([n for n in reads if n in out], kept)
        if isinstance(statement, ast.For):
            given = given | set(_names(statement.target))
        for block in _blocks(statement):
            block[:] = self.block(block, after, given, dict(kept))
        return [*opened, statement]

    def taken_out(
        self, statement: ast.stmt, reads: Iterable[str], kept: Mapping[str, _Place]
    ) -> set[str]:
        """Those of `reads` that are better taken out of their tuples before a long statement: there
        is not much to take out, and all parts in it would get a tuple of which they need little."""
        parts = _weight([statement]) // self.size + 1
        wanted: dict[str, list[str]] = {}  # by the tuples
        for name in reads:
            if name in kept:
                wanted.setdefault(kept[name][0], []).append(name)
        few = (
            names
            for whole, names in wanted.items()
            if len(names) <= _MOST and parts * self.lengths[whole] > _FEW * len(names)
        )
        return set().union(*few)

    def part(
        self,
        group: list[ast.stmt],
        needs: list[str],
        results: list[str],
        kept: dict[str, _Place],
        top: bool,
    ) -> list[ast.stmt]:
        """The call of a new part."""
        number = len(self.parts) + 1
        name = self.fresh(f"{self.name}_part_{number}")
        opened = {n: kept[n] for n in needs if n in kept}
        args = list(dict.fromkeys(opened[n][0] if n in opened else n for n in needs))
        ours = [n for n in needs if n in self.unaliased]
        said = [".".join(map(str, opened[n])) if n in opened else n for n in ours]
        body = [ast.Expr(py.call(UNALIASED, py.constant(" ".join(said))))] if said else []
        body += [*_opened(needs, dict(opened)), *group]
        body += [ast.Return(_tuple(results))] if results else []
        arguments = ast.arguments(
            posonlyargs=[],
            args=list(map(ast.arg, args)),
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        self.parts.append(ast.FunctionDef(name, arguments, body, decorator_list=[]))
        call = py.call(name, *map(py.name, args))
        for n in results:
            kept.pop(n, None)
        if not results:
            return [ast.Expr(call)]
        if not top or len(results) <= _MANY:
            return [py.assign(_tuple(results), call)]
        whole = self.fresh(f"values_{number}")
        self.lengths[whole] = len(results)
        kept.update((n, (whole, k)) for k, n in enumerate(results))
        return [py.assign(whole, call)]


def _tuple(names: Sequence[str]) -> ast.expr:
    return py.name(names[0]) if len(names) == 1 else py.tuple_(list(map(py.name, names)))


def _opened(names: Iterable[str], kept: dict[str, _Place]) -> list[ast.stmt]:
    """What takes `names` out of the tuples that hold them, where `kept` says so; no longer then."""
    out: list[ast.stmt] = []
    for name in names:
        if name in kept:
            whole, k = kept.pop(name)
            out.append(py.assign(name, py.subscript(py.name(whole), [py.constant(k)])))
    return out
