"""Prints a Func as Python that a person would write.

    func f(x: f64[n]) {                           def f(x):
      n: i64 = dim x {axis=0}                         n = x.shape[0]
      s: f64 = for 0, n, 1, 0.0 { (i, s)              s = 0.0
        t: f64 = load x, i {spec='i'}      ──▶        for i in range(n):
        t1: f64 = mul t, t                                t = x[i]
        s1: f64 = add s, t1                               s = s + t * t
        yield s1                                      return s
      }
      return s
    }

The same printer serves array programs (plain NumPy) and lowered ones (what numba compiles). It
expects what `passes.inplace` gives: writes may work on their operand's buffer.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from s2s_ad.analysis.liveness import Liveness
from s2s_ad.analysis.sharing import Sharing, loop_inits
from s2s_ad.backend import source as py
from s2s_ad.backend.expr import APART, BINARY, GROWN, PRANGE, PUT, Expressions, numpy_dtype
from s2s_ad.backend.fold import fold
from s2s_ad.backend.local import local
from s2s_ad.backend.names import assign_names, identifier
from s2s_ad.backend.outline import PART, outline
from s2s_ad.backend.scalars import numpy_scalars
from s2s_ad.backend.unaliased import names_alone
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import (
    DENIED,
    DISTINCT,
    NO_PARAMS,
    PARALLEL,
    PROVED,
    REVERSE,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    region_uses,
)
from s2s_ad.ir.subscript import is_element, split_spec

#: What a line assigns, or assigns an element of.
_ASSIGNED = re.compile(r"\s*(\w+)\s*(?:\[.*\])?\s*=")
#: The context, in compiled modules, of what the Python interpreter runs.
UNCOMPILED = "uncompiled"


def emit(
    func: Func,
    *,
    doc: str = "",
    jit: bool = True,
    vector: Collection[Eqn] = (),
    marked: Mapping[Eqn, str] = NO_PARAMS,
    native: bool = False,
) -> str:
    """The `def` statement of `func`, which must have gone through `inplace`.

    Results that `func.mutated` names are written into the arguments; the others are returned: one
    bare, several as a tuple. `doc` becomes the docstring. With `jit` what numba cannot compile
    stands in a block of its own, `with uncompiled():`. `vector` are the equations
    whose scalars are computed by the functions of `backend.vecmath`; `marked` has arithmetic whose
    order, or whose rounding, is free, and which others of these functions say so. With `native`,
    arrays are made, copied, told apart where they change places, and matrices multiplied, by
    functions that are made for compiled code: those of `backend.memory`, `copies` and `blas`.
    """
    printer = _Printer(func, jit, vector, marked, native)
    return printer.lines.printed(printer.function(doc))


def emit_parts(
    func: Func,
    *,
    jit: bool = True,
    vector: Collection[Eqn] = (),
    marked: Mapping[Eqn, str] = NO_PARAMS,
    native: bool = False,
    size: int = PART,
) -> list[str]:
    """What `emit` gives, with a long function in parts of about `size` nodes (`backend.outline`):
    the `def` statements of the parts, then of the function that calls them."""
    printer = _Printer(func, jit, vector, marked, native)
    function = printer.function("")
    ranks: dict[str, set[int]] = {}
    for v, name in printer.names.items() if native else ():
        ranks.setdefault(name, set()).update({v.type.ndim} if v.type.is_array else ())
    parts = outline(function, size, names_alone(function, ranks))
    return list(map(printer.lines.printed, map(local, parts) if native else parts))


class _Printer:
    def __init__(
        self,
        func: Func,
        jit: bool,
        vector: Collection[Eqn],
        marked: Mapping[Eqn, str],
        native: bool,
    ) -> None:
        self.func, self.jit = func, jit
        sharing = Sharing(func)
        self.plan = fold(func, sharing)
        self.names = assign_names(func, self.plan, sharing)
        self.taken = {*self.names.values()}
        self.live = Liveness(func, self.plan.reads, self.plan.result_reads, self.plan.skips)
        numpy = None if jit else numpy_scalars(func)
        self.ex = Expressions(self.plan, self.names, sharing, numpy, vector, marked, native)
        self.uses = Counter(region_uses(func.body))
        self.lines = py.Lines()
        self.commented: object = None  # the user's line that the last comment showed

    # -- functions and blocks

    def function(self, doc: str) -> ast.FunctionDef:
        func = self.func
        body = [self.lines.docstring(doc)] if doc.strip() else []
        body += self.top(func.body)
        written = {r for _, r in func.mutated}
        results = [self.ex.atom(a) for k, a in enumerate(func.results) if k not in written]
        if results:
            body.append(ast.Return(results[0] if len(results) == 1 else py.tuple_(results)))
        args = ast.arguments(
            posonlyargs=[],
            args=[ast.arg(self.names[p]) for p in func.params],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        name = identifier(func.name)
        return ast.FunctionDef(name, args, _or_pass(body), decorator_list=[])

    def top(self, region: Region) -> list[ast.stmt]:
        """The outermost block, with a heading where the reverse sweep starts."""
        out: list[ast.stmt] = []
        roles = [e.role in REVERSE for e in region.eqns if not self.plan.skips(e)]
        split = roles.index(True) if True in roles else 0
        for k, eqn in enumerate(e for e in region.eqns if not self.plan.skips(e)):
            if k == split > 0:
                out += [self.lines.statement(""), self.lines.statement("# reverse sweep")]
            out += self.statement(eqn)
        return out

    def block(self, eqns: Iterable[Eqn]) -> list[ast.stmt]:
        return [s for eqn in eqns for s in self.statement(eqn)]

    def printed_eqns(self, region: Region) -> list[Eqn]:
        return [e for e in region.eqns if not self.plan.skips(e)]

    def statement(self, eqn: Eqn) -> list[ast.stmt]:
        if self.plan.skips(eqn):
            return []
        comment = self.comment(eqn)
        rule = _STATEMENTS.get(eqn.prim, _Printer.assignment)
        if eqn in self.plan.conditional:
            rule = _Printer.assignment
        statements = rule(self, eqn)
        return [*comment, *statements] if statements else []

    def comment(self, eqn: Eqn) -> list[ast.stmt]:
        """The user's statement, before the first of its adjoint statements."""
        if eqn.role not in REVERSE or eqn.loc is None or not eqn.loc.text.strip():
            self.commented = None
            return []
        word = eqn.loc.text.split()[0]
        if word == "def" or (word in ("for", "while") and not eqn.regions):
            return []  # bookkeeping; a loop has its own comment
        line = (eqn.loc.file, eqn.loc.line)
        if line == self.commented:
            return []
        self.commented = line
        return [self.lines.comment(eqn.loc.text)]

    # -- assignments

    def name(self, v: Var) -> str:
        return self.names[v]

    def assignment(self, eqn: Eqn) -> list[ast.stmt]:
        if not any(self.live.is_read_after(eqn, out) for out in eqn.outs):
            return []
        value, target = self.ex.eqn(eqn), self.name(eqn.out)
        if isinstance(value, ast.Name) and value.id == target:
            return []
        augments = not eqn.out.type.is_array and self.augments(eqn, target) and eqn.prim in BINARY
        if augments and isinstance(value, ast.BinOp):
            if py.same(value.left, py.name(target)):
                return [py.augment(target, type(value.op), value.right)]
            if eqn.prim == "add" and py.same(value.right, py.name(target)):
                return [py.augment(target, ast.Add, value.left)]
        return [py.assign(target, value)]

    @staticmethod
    def augments(eqn: Eqn, target: str) -> bool:
        """True except where the user wrote `x = x + …` (or `x[i] = x[i] + …`) in full."""
        if eqn.role in REVERSE or eqn.loc is None:
            return eqn.role in REVERSE
        written = _ASSIGNED.match(eqn.loc.text)
        return written is None or written[1] != target

    def store(self, eqn: Eqn) -> list[ast.stmt]:
        place, value = self.ex.place(eqn), self.ex.broadcastable(eqn.ins[1], eqn)
        if self.ex.native and self.fills(eqn, value):
            return [ast.Expr(py.call(PUT, self.ex.atom(eqn.ins[0]), value)), *self.rename(eqn)]
        own = is_element(eqn.params["spec"]) and self.augments(eqn, self.name(eqn.ins[0]))
        if own and isinstance(value, ast.BinOp) and py.same(value.left, place):
            statement = py.augment(place, type(value.op), value.right)
        else:
            statement = py.assign(place, value)
        return [statement, *self.rename(eqn)]

    def fills(self, eqn: Eqn, value: ast.expr) -> bool:
        """True for a store to a whole array that broadcasts nothing but a number."""
        base, stored = eqn.ins[0].type, eqn.ins[1].type
        whole = all(py.same(i, ast.Slice()) for i in self.ex.index(eqn, eqn.ins[2:]))
        array = isinstance(value, ast.Name) and stored.same_kind(base)
        return whole and base.is_array and (array or not stored.is_array)

    def accum(self, eqn: Eqn) -> list[ast.stmt]:
        value = self.ex.broadcastable(eqn.ins[1], eqn)
        if "a" in split_spec(eqn.params["spec"]) and not eqn.params.get(DISTINCT):
            index = [_slice_call(i) for i in self.ex.index(eqn, eqn.ins[2:])]
            where = index[0] if len(index) == 1 else py.tuple_(index)
            add = py.call("np.add.at", self.ex.atom(eqn.ins[0]), where, value)
            return [ast.Expr(add), *self.rename(eqn)]
        place = self.ex.place(eqn)
        if set(split_spec(eqn.params["spec"])) == {":"}:
            place = py.name(self.name(eqn.ins[0]))  # y += x, not y[:] += x
        if eqn in self.ex.marked:
            added = py.assign(place, py.call(self.ex.marked[eqn], self.ex.place(eqn), value))
        else:
            added = py.augment(place, ast.Add, value)
        return [added, *self.rename(eqn)]

    def rename(self, eqn: Eqn) -> list[ast.stmt]:
        """The new version of an array under its own name, where the two could not share one."""
        base, out = self.name(eqn.ins[0]), self.name(eqn.out)
        dead = base == out or not self.live.is_read_after(eqn, eqn.out)
        return [] if dead else [py.assign(out, py.name(base))]

    def grow(self, eqn: Eqn) -> list[ast.stmt]:
        """Room for element `k`, and for twice what there was."""
        statements, target = self.rename(eqn), self.name(eqn.out)
        k, t = self.ex.atom(eqn.ins[1]), eqn.out.type
        more = py.binary(k, ast.Add, py.constant(1))
        if self.ex.native:
            larger = py.call(GROWN, py.name(target), more)
        else:
            if t.ndim > 1:
                more = py.tuple_([more, *(self.extent(target, axis) for axis in range(1, t.ndim))])
            dtype = {} if t.dtype == "f64" else {"dtype": numpy_dtype(t.dtype)}
            both = py.tuple_([py.name(target), py.call("np.empty", more, **dtype)])
            larger = py.call("np.concatenate", both)
        replaced = py.assign(target, larger)
        return [*statements, ast.If(py.compare(k, ast.GtE, self.extent(target, 0)), [replaced], [])]

    def check(self, eqn: Eqn) -> list[ast.stmt]:
        (condition,) = eqn.ins
        inner = self.plan.folded.get(condition)
        test = self.opposite(self.ex.atom(condition), inner)
        error = eqn.params["error"] if py.is_exception(eqn.params["error"]) else "ValueError"
        failure = py.call(error, py.constant(str(eqn.params["message"])))
        return [ast.If(test, [ast.Raise(failure, None)], [])]

    def perform(self, eqn: Eqn) -> list[ast.stmt]:
        """Python code that numba leaves to the interpreter."""
        operands = {f"_{k}": self.ex.atom(a) for k, a in enumerate(eqn.ins)}
        act = ast.Expr(_Operands(operands).visit(ast.parse(eqn.params["code"], mode="eval").body))
        if not self.jit:
            return [act]
        return [ast.With([ast.withitem(py.call(UNCOMPILED), None)], [act])]

    def opposite(self, test: ast.expr, eqn: Eqn | None) -> ast.expr:
        ints = eqn is not None and bool(eqn.ins) and eqn.ins[0].type.dtype in ("i32", "i64")
        return self.ex.opposite(test, ints)

    def moves(self, targets: Sequence[Var], sources: Sequence[Atom]) -> list[ast.stmt]:
        """All of `targets = sources` at once, as single assignments where an order allows it."""
        pending: list[tuple[str, Atom, set[str]]] = []
        for target, source in zip(targets, sources):
            reads = {self.name(v) for v in self.plan.atom_reads(source)}
            if not (isinstance(source, Var) and reads == {self.name(target)}):
                pending.append((self.name(target), source, reads))
        out: list[ast.stmt] = []
        while pending:
            free = [m for m in pending if not any(m[0] in o[2] for o in pending if o is not m)]
            if free:
                pending.remove(free[0])
                out.append(py.assign(free[0][0], self.ex.atom(free[0][1])))
                continue
            # Every one is read by another: a permutation, possibly with others that wait for it.
            cycle = [m for m in pending if _reaches(m, m, pending)]
            pending = [m for m in pending if m not in cycle]
            names = ast.Tuple([py.name(m[0]) for m in cycle], ast.Load())
            out.append(py.assign(names, py.tuple_([self.ex.atom(m[1]) for m in cycle])))
        return out

    # -- regions

    def branch(self, eqn: Eqn, leave: int | None = None) -> list[ast.stmt]:
        """An if; `leave` is the result that says whether to leave the loop, by a break."""
        read = self.live.is_read_after
        wanted = [k for k, o in enumerate(eqn.outs) if read(eqn, o) and k != leave]
        bodies = []
        for r in eqn.regions:
            targets, sources = [eqn.outs[k] for k in wanted], [r.results[k] for k in wanted]
            flag = None if leave is None else r.results[leave]
            bodies.append(self.ending(r, self.moves(targets, sources), flag))
        test = self.ex.atom(eqn.ins[0])
        then, other = bodies
        if not then and other:
            inner = self.plan.folded.get(eqn.ins[0])
            return [ast.If(self.opposite(test, inner), other, [])]
        if then and isinstance(then[-1], ast.Break):
            return [ast.If(test, then, []), *other]
        return [ast.If(test, then, other)] if then else []

    def ending(
        self, region: Region, moves: list[ast.stmt], flag: Atom | None = None
    ) -> list[ast.stmt]:
        """The statements of `region`, then `moves`, then `if flag: break`."""
        eqns = self.printed_eqns(region)
        if flag is not None and not moves and self.decides(region, flag):
            last = eqns[-1]
            head = self.block(eqns[:-1])
            return [*head, *self.comment(last), *self.branch(last, last.outs.index(flag))]
        out = [*self.block(eqns), *moves]
        if flag is not None and not (isinstance(flag, Lit) and not flag.value):
            exit_: ast.stmt = ast.Break()
            out.append(exit_ if isinstance(flag, Lit) else ast.If(self.ex.atom(flag), [exit_], []))
        return out

    def decides(self, region: Region, flag: Atom) -> bool:
        """True where the last statement of `region` is an if that knows `flag` in each branch."""
        eqns = self.printed_eqns(region)
        if not (isinstance(flag, Var) and eqns and self.uses[flag] == 1):
            return False
        last = eqns[-1]
        if last.prim != "if" or last in self.plan.conditional or flag not in last.outs:
            return False
        k = last.outs.index(flag)
        for r in last.regions:
            wanted = [(o, a) for j, (o, a) in enumerate(zip(last.outs, r.results)) if j != k]
            known = isinstance(r.results[k], Lit)
            moved = self.moves([o for o, _ in wanted], [a for _, a in wanted])
            if not known and (moved or not self.decides(r, r.results[k])):
                return False
        return True

    def carried(self, eqn: Eqn) -> list[int]:
        """The slots of a loop that something reads."""
        n = len(loop_inits(eqn))
        outs, used = eqn.outs[len(eqn.outs) - n :], []
        for k in range(n):
            params = [(r, r.params[k - n]) for r in eqn.regions]
            after = self.live.is_read_after(eqn, outs[k])
            if after or any(self.live.is_read_in(r, p) for r, p in params):
                used.append(k)
        return used

    def loop_moves(self, eqn: Eqn) -> tuple[list[ast.stmt], list[ast.stmt]]:
        """What sets the carried variables before a loop and at the end of an iteration."""
        inits, body, used = loop_inits(eqn), eqn.regions[-1], self.carried(eqn)
        params = body.params[len(body.params) - len(inits) :]
        results = body.results[len(body.results) - len(inits) :]
        targets, ends = [params[k] for k in used], [results[k] for k in used]
        before = self.moves(targets, [inits[k] for k in used])
        return before, [*self.moves(targets, ends), *self.apart(targets, ends)]

    def apart(self, params: Sequence[Var], results: Sequence[Atom]) -> list[ast.stmt]:
        """What tells apart the arrays of a loop that change places, at the end of an iteration."""
        shares = self.ex.sharing.may_share
        moved = [
            py.name(self.name(p))
            for p, r in zip(params, results)
            if self.ex.native
            and p.type.is_array
            and any(shares(r, q) for q in params if q is not p)
        ]
        return [py.assign(v.id, py.call(APART, v)) for v in moved]

    def for_(self, eqn: Eqn) -> list[ast.stmt]:
        (body,) = eqn.regions
        before, moves = self.loop_moves(eqn)
        start, stop, step = eqn.ins[:3]
        args = [self.ex.atom(a) for a in (start, stop, step)]
        if isinstance(step, Lit) and step.value == 1:
            args.pop()
            if isinstance(start, Lit) and start.value == 0:
                args.pop(0)
        flag = body.results[0] if eqn.params.get("exit") else None
        counting: list[ast.stmt] = []
        if flag is not None and self.live.is_read_after(eqn, eqn.outs[0]):
            count = self.name(eqn.outs[0])
            before.append(py.assign(count, py.constant(0)))
            counting = [py.augment(count, ast.Add, py.constant(1))]
        inner = [*counting, *self.ending(body, moves, flag)]
        index = py.name(self.index(body))
        if self.counts_down(eqn):
            inner.insert(0, py.assign(index.id, py.call("max", index, py.constant(0))))
        if eqn.params.get(PARALLEL) == DENIED:
            before.append(self.lines.comment("in order: its iterations may depend on each other"))
        counter = PRANGE if eqn.params.get(PARALLEL) == PROVED else "range"
        return [*before, ast.For(index, py.call(counter, *args), _or_pass(inner), [])]

    def counts_down(self, eqn: Eqn) -> bool:
        """True for a loop down to 0 around others. LLVM does not see that its index is never
        negative, and would not vectorise an inner loop that reads `x[i + j]`."""
        (body,) = eqn.regions
        one_by_one = eqn.params.get(PARALLEL) != PROVED  # numba's index stays as it is
        down = self.jit and one_by_one and eqn.ins[1:3] == (i64(-1), i64(-1))
        return down and any(e.regions for e in body.eqns) and body.params[0] in region_uses(body)

    def index(self, body: Region) -> str:
        """The name of a loop's index; `_` for one that the user called so and nobody reads."""
        own = body.params[0]
        unread = own.name == "_" and own not in set(region_uses(body))
        return "_" if unread else self.name(own)

    def while_(self, eqn: Eqn) -> list[ast.stmt]:
        before, moves = self.loop_moves(eqn)
        cond, body = eqn.regions
        growing = self.growing(body)
        inner = [*self.block(e for e in body.eqns if e not in growing), *moves]
        if growing:
            inner = self.by_pieces(cond, inner, growing)
        return [*before, self.repeat(cond, inner)]

    def repeat(
        self, cond: Region, inner: list[ast.stmt], also: ast.expr | None = None
    ) -> ast.While:
        """`inner` as long as `cond` gives True, and `also` is true."""
        head, test = self.block(cond.eqns), self.ex.atom(cond.results[0])
        if not head:
            both = test if also is None else py.boolean(ast.And, test, also)
            return ast.While(both, _or_pass(inner), [])
        leave = self.opposite(test, self.plan.folded.get(cond.results[0]))
        stop = ast.If(leave, [ast.Break()], [])
        return ast.While(also or py.constant(True), [*head, stop, *inner], [])

    def growing(self, body: Region) -> list[Eqn]:
        """In compiled text, the arrays of a while loop that get an element in each iteration."""
        made = {out: e for e in body.eqns for out in e.outs}
        counts = [
            p
            for p, r in zip(body.params, body.results)
            if r in made and made[r].prim == "add" and made[r].ins == (p, i64(1))
        ]
        grown = [e for e in body.eqns if e.prim == "grow" and e.ins[1] in counts]
        plain = all(not self.rename(e) and e.ins[1] == grown[0].ins[1] for e in grown)
        return grown if self.ex.native and plain else []

    def by_pieces(self, cond: Region, inner: list[ast.stmt], growing: list[Eqn]) -> list[ast.stmt]:
        """Room for several iterations, and as many of them: numba counts references where an array
        may be replaced, which takes longer than most iterations do."""
        room = "room"
        while room in self.taken:
            room += "_"
        self.taken.add(room)  # loops inside have rooms of their own
        count = self.ex.atom(growing[0].ins[1])
        sizes = [self.extent(self.name(e.out), 0) for e in growing]
        least = py.call("min", *sizes) if len(sizes) > 1 else sizes[0]
        piece = self.repeat(cond, inner, py.compare(count, ast.Lt, py.name(room)))
        grown = [s for e in growing for s in self.grow(e)]
        return [*grown, py.assign(room, least), piece]

    @staticmethod
    def extent(array: str, axis: int) -> ast.expr:
        shape = ast.Attribute(py.name(array), "shape", ast.Load())
        return py.subscript(shape, [py.constant(axis)])


class _Operands(ast.NodeTransformer):
    """Puts the operands of a `perform` in their places."""

    def __init__(self, operands: dict[str, ast.expr]) -> None:
        self.operands = operands

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.operands.get(node.id, node)


def _or_pass(body: list[ast.stmt]) -> list[ast.stmt]:
    return body or [ast.Pass()]


def _slice_call(index: ast.expr) -> ast.expr:
    """A slice as an object: `1:n` is `slice(1, n)` outside of brackets."""
    if not isinstance(index, ast.Slice):
        return index
    bounds = [b or py.constant(None) for b in (index.lower, index.upper)]
    return py.call("slice", *bounds, *([index.step] if index.step else []))


_Move = tuple[str, Atom, set[str]]


def _reaches(start: _Move, goal: _Move, moves: Sequence[_Move]) -> bool:
    """True where `goal` waits, directly or through others, for itself."""
    seen: set[str] = set()
    queue = [start]
    while queue:
        move = queue.pop()
        for other in moves:
            if other is not move and move[0] in other[2] and other[0] not in seen:
                if other is goal:
                    return True
                seen.add(other[0])
                queue.append(other)
    return False


_STATEMENTS = {
    "store": _Printer.store, "accum": _Printer.accum, "grow": _Printer.grow,
    "assert": _Printer.check, "perform": _Printer.perform, "if": _Printer.branch,
    "for": _Printer.for_, "while": _Printer.while_,
}  # fmt: skip
