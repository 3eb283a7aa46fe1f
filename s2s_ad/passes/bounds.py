"""Subscripts stay in range: `inside` equations are proved away, or become assertions.

    for 0, n, 1, s0 { (i, s)                 c = le n, m
      inside i, m {what="axis 0 of 'x'"}     assert c {error='IndexError', …}
      v = load x, i                     →    for 0, n, 1, s0 { (i, s)
      …                                        v = load x, i
    }                                          … }

The frontend has marked every subscript. What loop bounds, extents, conditions and earlier checks
decide (analysis/integers.py) needs no check. Where a subscript is affine in a loop's index, and
every iteration reaches it, the first and the last iteration decide: one check before the loop, and
so on outwards. What is left is checked where it stands. A loop that may end early, or may raise
another error first, keeps its checks: a program raises IndexError if and only if Python would.

Checks of the parameters' extents, where they are always reached, go to the start of the function.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from s2s_ad.analysis.integers import Extent, Facts, Lin, Op, Symbol, lin, slots, steps
from s2s_ad.errors import Loc
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import REVERSE, Atom, Eqn, Func, Lit, Region, Var, walk
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import parse_subscript
from s2s_ad.ir.types import I64, UNKNOWN
from s2s_ad.passes.dce import dce

#: Which subscripts are checked: all that are not proved; those that NumPy will not check by itself,
#: as no access has them (subscripts of composed views, reads whose value is not needed); none.
CHECKS = ("all", "unseen", "none")

_SHIFTED = re.compile(r"(.+)([+-]\d+)$")
_EXACT = ("eq", "lt", "le", "gt", "ge")


def bounds(func: Func, checks: str = "all") -> Func:
    """`func` with its `inside` equations proved, moved and turned into assertions; `checks` is one
    of CHECKS. The function has been simplified: extents are read from parameters where they are
    known to be theirs."""
    return func.with_(body=_Bounds(func, checks).body())


@dataclass(frozen=True)
class _Check:
    """`goals` must not be negative where all `guards` are positive; with `equal` the first goal is
    zero."""

    goals: tuple[Lin, ...]
    error: str
    message: str
    loc: Loc | None
    role: str
    equal: bool = False
    guards: tuple[Lin, ...] = ()


@dataclass(frozen=True)
class _Loop:
    """A loop that checks may move out of: its index, the values of it in the first and the last
    iteration, and a sum that is positive if there is an iteration."""

    index: Var
    first: Lin
    last: Lin
    rises: bool
    trips: Lin


@dataclass(eq=False)
class _Frame:
    """A region in the making. `pending` are checks to be made before the loop that it is the body
    of."""

    depth: int
    loop: _Loop | None = None
    builder: Builder = field(default_factory=Builder)
    pending: list[_Check] = field(default_factory=list)


class _Bounds:
    def __init__(self, func: Func, checks: str) -> None:
        self.func, self.checks = func, checks
        self.later = _later_accesses(func) if checks == "unseen" else {}
        self.facts = Facts(self._extent)
        self.depth: dict[Var, int] = {}  # of the region that defines a variable
        self.dims: dict[object, Var] = {}  # extents at hand
        self.sizes: dict[str, Lin] = {}  # what extents of arrays made here were made from
        self.own: dict[object, tuple[Var, int]] = {}  # the parameter that has an extent
        for param in func.params:
            for axis, size in enumerate(param.type.shape):
                self.own.setdefault(size, (param, axis))
        self.root = _Frame(0)
        self.entry = 0  # where checks of parameters go
        for eqn in walk(func.body):
            self.facts.defs.update(dict.fromkeys(eqn.outs, eqn))

    def body(self) -> Region:
        return self._region(self.func.body, None, 0)[0]

    # -- the walk

    def _region(self, region: Region, loop: _Loop | None, depth: int) -> tuple[Region, list]:
        """The region with its checks, and those that are to be made before it."""
        frame = _Frame(depth, loop) if depth else self.root
        with self._scope():
            self.depth.update(dict.fromkeys(region.params, depth))
            for eqn in region.eqns:
                self._eqn(eqn, frame)
                self.depth.update(dict.fromkeys(eqn.outs, depth))
                self._learn_sizes(eqn)
        return frame.builder.region(region.params, region.results), frame.pending

    def _eqn(self, eqn: Eqn, frame: _Frame) -> None:
        if eqn.prim == "inside":
            self._inside(eqn, frame)
        elif eqn.prim == "assert":
            self._assert(eqn, frame)
        elif not eqn.regions or not self._matters(eqn):
            frame.builder.append(eqn)
        elif eqn.prim == "for":
            self._for(eqn, frame)
        elif eqn.prim == "while":
            self._while(eqn, frame)
        else:
            regions = []
            for k, region in enumerate(eqn.regions):
                with self._scope():
                    self.facts.assume(eqn.ins[0], k == 0)
                    regions.append(self._region(region, None, frame.depth + 1)[0])
            frame.builder.append(eqn.with_(regions=tuple(regions)))

    def _matters(self, eqn: Eqn) -> bool:
        """True for a loop or branch that holds a check, or gives an integer."""
        if any(PRIMS[e.prim].kind == "effect" for r in eqn.regions for e in walk(r)):
            return True
        return eqn.role not in REVERSE and any(out.type == I64 for out in eqn.outs)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        before = dict(self.dims), dict(self.sizes)
        with self.facts.scope():
            yield
        self.dims, self.sizes = before

    def _for(self, eqn: Eqn, frame: _Frame) -> None:
        (body,) = eqn.regions
        index, (start, stop, step) = body.params[0], eqn.ins[:3]
        loop = None if eqn.params.get("exit") or self._may_raise(body) else _loop(index, eqn)
        with self._scope():
            if isinstance(step, Lit):
                first, last = (start, stop) if step.value > 0 else (stop, start)
                self.facts.learn(lin(index) - lin(first) - (step.value < 0))
                self.facts.learn(lin(last) - lin(index) - (step.value > 0))
            for init, param, result, _ in slots(eqn):
                self._learn_carried(init, param, steps(self.facts, result, param), index, eqn)
            kept = self._invariants(eqn)
            for fact in kept:
                self.facts.learn(fact)
            region, pending = self._region(body, loop, frame.depth + 1)
        for check in pending:
            self._place(check, frame)
        frame.builder.append(eqn.with_(regions=(region,)))
        self._after_loop(eqn, kept)

    def _while(self, eqn: Eqn, frame: _Frame) -> None:
        cond, body = eqn.regions
        with self._scope():
            for (init, param, result, _), again in zip(slots(eqn), cond.params):
                changes = steps(self.facts, result, param)
                self._learn_carried(init, param, changes)
                self._learn_carried(init, again, changes)
            with self._scope():
                self.facts.same_as.update(zip(cond.params, map(lin, body.params)))
                self.facts.assume(cond.results[0])
                kept = self._invariants(eqn)
            for fact in kept:
                self.facts.learn(fact)
                self.facts.learn(_renamed(fact, dict(zip(body.params, cond.params))))
            new_cond, _ = self._region(cond, None, frame.depth + 1)
            self.facts.same_as.update(zip(cond.params, map(lin, body.params)))
            self.facts.assume(cond.results[0])
            new_body, _ = self._region(body, None, frame.depth + 1)
        frame.builder.append(eqn.with_(regions=(new_cond, new_body)))
        self._after_loop(eqn, kept)

    # -- facts

    def _learn_carried(
        self,
        init: Atom,
        param: Var,
        changes: tuple[int | None, int | None],
        index: Var | None = None,
        eqn: Eqn | None = None,
    ) -> None:
        """What follows for a carried integer from how much it changes in an iteration."""
        if param.type != I64:
            return
        low, high = changes
        grown = lin(param) - lin(init)
        if low is not None and low >= 0:
            self.facts.learn(grown)
        if high is not None and high <= 0:
            self.facts.learn(grown * -1)
        if eqn is None or eqn.ins[2] not in (i64(1), i64(-1)):
            return
        turns = (lin(index) - lin(eqn.ins[0])) * eqn.ins[2].value
        if low is not None:
            self.facts.learn(grown - turns * low)
        if high is not None:
            self.facts.learn(turns * high - grown)

    def _invariants(self, eqn: Eqn) -> list[Lin]:
        """Bounds of carried integers that hold at first, and after an iteration if before it: by 0,
        by their first value, by the bounds of the loop's index."""
        found: list[Lin] = []
        ends = [] if eqn.prim == "while" else [lin(eqn.ins[0]), lin(eqn.ins[1]) - 1]
        for init, param, result, _ in slots(eqn):
            if param.type != I64 or _changes_evenly(steps(self.facts, result, param)):
                continue
            p, first = lin(param), lin(init)
            for fact in (p, p - first, first - p, *(p - e for e in ends), *(e - p for e in ends)):
                at_first = self.facts.at_least(_renamed(fact, {param: init}))
                with self.facts.scope():
                    self.facts.learn(fact)
                    if at_first and self.facts.at_least(_renamed(fact, {param: result})):
                        found.append(fact)
        return found

    def _after_loop(self, eqn: Eqn, kept: Sequence[Lin]) -> None:
        after = {param: out for _, param, _, out in slots(eqn)}
        for fact in kept:
            self.facts.learn(_renamed(fact, after))
        for init, param, result, out in slots(eqn):
            changes = steps(self.facts, result, param)
            self._learn_carried(init, out, changes)
            if eqn.prim == "for" and out.type == I64 and eqn.ins[2] == i64(1) and changes[1]:
                turns = lin(eqn.ins[1]) - lin(eqn.ins[0])
                if not self.facts.at_least(turns):
                    turns = lin(Op("max", self.facts.expand(turns), lin(0)))
                if changes[1] > 0:
                    self.facts.learn(lin(init) + turns * changes[1] - lin(out))

    def _learn_sizes(self, eqn: Eqn) -> None:
        """The extents of an array that is made here are what it is made with."""
        if eqn.prim == "dim":
            extent = self._extent(eqn.ins[0], eqn.params["axis"])
            for symbol, _ in extent.terms if len(extent.terms) == 1 and not extent.const else ():
                if isinstance(symbol, Extent):
                    self.dims.setdefault(symbol.key, eqn.out)
        if eqn.prim not in ("full", "reshape", "empty", "iota"):
            return
        operands = eqn.ins[1:] if eqn.prim in ("full", "reshape") else eqn.ins
        for size, atom in zip(eqn.out.type.shape, operands):
            value = self.facts.expand(lin(atom))
            made = isinstance(size, str) and size not in (UNKNOWN, *self.own, *self.sizes)
            if made and all(e.key != size for e in _extents(value)):
                self.sizes[size] = value
                self.facts.learn(value)

    def _extent(self, v: Var, axis: int) -> Lin:
        size = v.type.shape[axis]
        if isinstance(size, int):
            return lin(size)
        if size == UNKNOWN:
            return lin(Extent(("axis", v, axis), v, axis))
        return self._named_extent(size) or lin(Extent(size, v, axis))

    def _named_extent(self, size: str) -> Lin | None:
        """The extent that a symbol stands for, where it is a parameter's, that of an array made
        here, or one of these shortened."""
        if size in self.own:
            return lin(Extent(size, *self.own[size]))
        if size in self.sizes:
            return self.sizes[size]
        shifted = _SHIFTED.match(size)
        whole = self._named_extent(shifted[1]) if shifted else None
        return None if whole is None else lin(Op("max", whole + int(shifted[2]), lin(0)))

    # -- checks

    def _inside(self, eqn: Eqn, frame: _Frame) -> None:
        if self.checks == "none" or any(self._sees(e, eqn) for e in self.later.get(eqn, ())):
            return
        index, size = map(lin, eqn.ins)
        message = f"index out of range for {eqn.params['what']}{_where(eqn.loc)}"
        goals = (index + size, size - index - 1)
        self._place(_Check(goals, "IndexError", message, eqn.loc, eqn.role), frame)

    def _sees(self, access: Eqn, mark: Eqn) -> bool:
        """True where an access has the very subscript that is marked: NumPy will check it."""
        operands = access.ins[1:] if access.prim == "load" else access.ins[2:]
        for axis, token in enumerate(parse_subscript(access.params["spec"], operands)):
            if token.kind in ("index", "array") and token.start == mark.ins[0]:
                more = self._extent(access.ins[0], axis) - lin(mark.ins[1])
                if self.facts.at_least(more) and self.facts.at_least(more * -1):
                    return True
        return False

    def _assert(self, eqn: Eqn, frame: _Frame) -> None:
        """A check of extents moves as those of subscripts do; another stays, and is a fact."""
        goals = self._about_extents(eqn)
        if not goals:
            frame.builder.append(eqn)
            self.facts.assume(eqn.ins[0])
            return
        equal = self.facts.defs[eqn.ins[0]].prim == "eq"
        error, message = eqn.params["error"], eqn.params["message"]
        self._place(_Check(goals, error, message, eqn.loc, eqn.role, equal), frame)

    def _about_extents(self, eqn: Eqn) -> tuple[Lin, ...]:
        """The goals of an assertion that only compares extents."""
        made = self.facts.defs.get(eqn.ins[0]) if isinstance(eqn.ins[0], Var) else None
        if made is None or made.prim not in _EXACT:
            return ()
        goals = tuple(self.facts.implied(eqn.ins[0]))
        return goals if all(_of_extents(self.facts.expand(g)) for g in goals) else ()

    def _may_raise(self, body: Region) -> bool:
        """True where an iteration may raise another error than IndexError, or show something."""
        return any(
            e.prim == "perform"
            or (
                e.prim == "assert"
                and e.params["error"] != "IndexError"
                and not self._about_extents(e)
            )
            for e in walk(body)
        )

    def _place(self, check: _Check, frame: _Frame) -> None:
        """Make a check in front of what follows in `frame`, or before its loop, unless it is known
        to hold."""
        check = self._needed(check)
        if not check.goals:
            return
        moved = None if frame.loop is None else self._moved(check, frame)
        if moved is not None:
            frame.pending.append(moved)
        else:
            self._emit(check, frame)
        if not check.guards:
            for goal in check.goals:
                self._learn(goal)

    def _learn(self, goal: Lin) -> None:
        arrays = [s for s, _ in self.facts.expand(goal).terms if _is_array(s)]
        for symbol in arrays or [None]:  # an array may be empty, and then nothing follows
            self.facts.learn(goal, symbol)

    def _needed(self, check: _Check) -> _Check:
        """Without the goals that are proved, and the guards without which they hold as well."""
        guards = [g for g in check.guards if not self.facts.at_least(g, 1)]
        with self.facts.scope():
            for guard in guards:
                self.facts.learn(guard - 1)
            goals = tuple(g for g in check.goals if not self.facts.at_least(g))
        if check.equal and goals:
            goals = check.goals
        for guard in list(guards):
            with self.facts.scope():
                self.facts.learn(guard * -1)
                if all(self.facts.at_least(g) for g in goals):
                    guards.remove(guard)
        return replace(check, goals=goals, guards=tuple(guards))

    def _moved(self, check: _Check, frame: _Frame) -> _Check | None:
        """The check for all iterations of the loop that `frame` is the body of; None where that
        cannot be told before it."""
        loop, goals = frame.loop, []
        guards = tuple(map(self.facts.expand, check.guards))
        for goal in map(self.facts.expand, check.goals):
            by = dict(goal.terms).get(loop.index, 0)
            rest = goal - lin(loop.index) * by
            end = loop.first if (by > 0) == loop.rises else loop.last
            goals.append(rest + end * by)
            if not self._outside(rest, frame) or (check.equal and by):
                return None
        if not all(self._outside(g, frame) for g in guards):
            return None
        return replace(check, goals=tuple(goals), guards=(*guards, loop.trips))

    def _outside(self, value: Lin, frame: _Frame) -> bool:
        """True where everything that a sum mentions exists before the loop around `frame`."""
        return all(self._exists(s, frame.depth) for s, _ in value.terms)

    def _exists(self, symbol: Symbol, depth: int) -> bool:
        if isinstance(symbol, Op):
            return all(self._exists(s, depth) for v in (symbol.left, symbol.right)
                       for s, _ in v.terms)  # fmt: skip
        if isinstance(symbol, Extent):
            known = self.dims.get(symbol.key, symbol.var)
            return min(self.depth[known], self.depth[symbol.var]) < depth
        return self.depth[symbol] < depth

    # -- emission

    def _emit(self, check: _Check, frame: _Frame) -> None:
        goals = tuple(map(self.facts.expand, check.goals))
        always = frame is self.root and not check.guards
        if always and check.error == "ValueError" and all(map(self._is_given, goals)):
            b = Builder(check.loc, check.role)
            _assertion(_Writer(b, {}), replace(check, goals=goals))
            frame.builder.eqns[self.entry : self.entry] = b.eqns
            self.entry += len(b.eqns)
        else:
            frame.builder.loc, frame.builder.role = check.loc, check.role
            _assertion(_Writer(frame.builder, self.dims), check)

    def _is_given(self, value: Lin) -> bool:
        """True for what only extents of parameters decide."""
        return all(e.var in self.func.params for e in _extents(value)) and _of_extents(value)


class _Writer:
    """Equations for sums and comparisons of sums. `dims` are extents at hand."""

    def __init__(self, b: Builder, dims: Mapping[object, Var]) -> None:
        self.b, self.dims = b, dims

    def compare(self, goal: Lin, equal: bool = False) -> Var:
        """`goal >= 0` (or `== 0`), with what is subtracted on the other side."""
        more = [(s, c) for s, c in goal.terms if c > 0]
        less = [(s, -c) for s, c in goal.terms if c < 0]
        if not equal and not less and len(more) == 2 and not goal.const:
            size = self.sum(more[1:], 0)
            return self.b.emit("ge", self.sum(more[:1], 0), self.b.emit("neg", size))
        if equal:
            return self.b.emit("eq", self.sum(more, max(goal.const, 0)),
                               self.sum(less, max(-goal.const, 0)))  # fmt: skip
        if not less:
            return self.b.emit("ge", self.sum(more, 0), i64(-goal.const))
        if goal.const < 0:
            strict = "lt" if goal.const == -1 else "le"
            left = self.sum(less, 0 if goal.const == -1 else -goal.const)
            return self.b.emit(strict, left, self.sum(more, 0))
        return self.b.emit("le", self.sum(less, 0), self.sum(more, goal.const))

    def sum(self, terms: Sequence[tuple[Symbol, int]], const: int) -> Atom:
        total: Atom | None = None
        for symbol, coefficient in terms:
            term = self.symbol(symbol)
            if abs(coefficient) != 1:
                term = self.b.emit("mul", i64(abs(coefficient)), term)
            if total is None:
                total = term if coefficient > 0 else self.b.emit("neg", term)
            else:
                total = self.b.emit("add" if coefficient > 0 else "sub", total, term)
        if total is None or not const:
            return i64(const) if total is None else total
        return self.b.emit("add" if const > 0 else "sub", total, i64(abs(const)))

    def symbol(self, symbol: Symbol) -> Atom:
        if isinstance(symbol, Var):
            return symbol
        if isinstance(symbol, Extent):
            at_hand = self.dims.get(symbol.key)
            return at_hand or self.b.emit("dim", symbol.var, name="n", axis=symbol.axis)
        prim = {"min": "minimum", "max": "maximum"}.get(symbol.name, symbol.name)
        sides = [self.sum(side.terms, side.const) for side in (symbol.left, symbol.right)]
        return self.b.emit(prim, *sides)


def _assertion(write: _Writer, check: _Check) -> None:
    b = write.b
    goals = check.goals[:1] if check.equal else check.goals
    total = write.compare(goals[0], check.equal)
    for goal in goals[1:]:
        total = b.emit("and", total, write.compare(goal))
    if total.type.is_array:
        total = b.emit("all", total, axes=tuple(range(total.type.ndim)), keepdims=False)
    for guard in check.guards:
        total = b.emit("or", write.compare(guard * -1), total)
    b.equation("assert", (total,), {"error": check.error, "message": check.message})


def _later_accesses(func: Func) -> dict[Eqn, list[Eqn]]:
    """For every mark, the accesses after it in its region that are needed."""
    needed = {e for e in walk(dce(_unmarked(func)).body) if e.prim in ("load", "store", "accum")}
    found: dict[Eqn, list[Eqn]] = {}

    def visit(region: Region) -> None:
        seen: list[Eqn] = []
        for eqn in reversed(region.eqns):
            if eqn.prim == "inside":
                found[eqn] = list(seen)
            elif eqn in needed:
                seen.append(eqn)
            for inner in eqn.regions:
                visit(inner)

    visit(func.body)
    return found


def _unmarked(func: Func) -> Func:
    def strip(region: Region) -> Region:
        eqns = (e.with_(regions=tuple(map(strip, e.regions))) if e.regions else e
                for e in region.eqns if e.prim != "inside")  # fmt: skip
        return Region(region.params, tuple(eqns), region.results)

    return func.with_(body=strip(func.body))


def _loop(index: Var, eqn: Eqn) -> _Loop | None:
    """The loop of a `for`; None where its step is not known."""
    start, stop, step = map(lin, eqn.ins[:3])
    if not step.is_const:
        return None
    span, size = stop - start if step.const > 0 else start - stop, abs(step.const)
    turns = span + (size - 1)
    if size > 1 and turns.is_const:
        turns = lin(turns.const // size)
    elif size > 1:
        turns = lin(Op("floordiv", turns, lin(size)))
    last = start + (turns - 1) * step.const
    return _Loop(index, start, last, step.const > 0, span)


def _renamed(value: Lin, names: Mapping[Var, Atom]) -> Lin:
    """`value` with other variables, or literals, in place of its own."""
    out = Lin((), value.const)
    for symbol, coefficient in value.terms:
        out = out + lin(names.get(symbol, symbol)) * coefficient
    return out


def _changes_evenly(changes: tuple[int | None, int | None]) -> bool:
    return None not in changes


def _extents(value: Lin) -> Iterator[Extent]:
    for symbol, _ in value.terms:
        if isinstance(symbol, Extent):
            yield symbol
        elif isinstance(symbol, Op):
            yield from _extents(symbol.left)
            yield from _extents(symbol.right)


def _of_extents(value: Lin) -> bool:
    """True for a sum of nothing but extents."""
    return all(
        isinstance(s, Extent) or isinstance(s, Op) and _of_extents(s.left) and _of_extents(s.right)
        for s, _ in value.terms
    )


def _is_array(symbol: Symbol) -> bool:
    return isinstance(symbol, Var) and symbol.type.is_array


def _where(loc: Loc | None) -> str:
    """The user's line, for a message."""
    if loc is None:
        return ""
    text = loc.text.strip()
    text = text if len(text) <= 60 else text[:57] + "..."
    return f" (line {loc.line}: {text})" if text else f" (line {loc.line})"
