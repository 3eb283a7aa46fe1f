"""Sums of integer symbols, and a small prover of inequalities between them.

A symbol is an i64 variable (of an array: any one of its elements), the extent of an array, or
`min`, `max`, `floordiv`, `mod` or `wrap` (Python's meaning of a negative index) of two sums. A fact
is a sum that is known not to be negative: that a loop's index is below its bound, that a condition
holds in the branch that it guards. The prover looks for a combination of facts that leaves only
extents.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import gcd

from s2s_ad.ir.core import Atom, Eqn, Lit, Region, Var
from s2s_ad.ir.types import BOOL, I64


@dataclass(frozen=True)
class Extent:
    """The extent of an axis of an array. Equal keys are equal extents; `var` is one that has it."""

    key: Hashable
    var: Var = field(compare=False)
    axis: int = field(compare=False)


@dataclass(frozen=True)
class Op:
    name: str
    left: Lin
    right: Lin


Symbol = Var | Extent | Op


@dataclass(frozen=True, eq=False)
class Lin:
    """`const + sum(coefficient * symbol)`. Terms are kept in the order in which they were made, so
    that the same program gives the same text; equality ignores the order."""

    terms: tuple[tuple[Symbol, int], ...] = ()
    const: int = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Lin) or self.const != other.const:
            return False
        return frozenset(self.terms) == frozenset(other.terms)

    def __hash__(self) -> int:
        return hash((self.const, frozenset(self.terms)))

    def __add__(self, other: Lin | int) -> Lin:
        if isinstance(other, int):
            return Lin(self.terms, self.const + other)
        terms = dict(self.terms)
        for symbol, coefficient in other.terms:
            terms[symbol] = terms.get(symbol, 0) + coefficient
        kept = tuple((s, c) for s, c in terms.items() if c)
        return Lin(kept, self.const + other.const)

    def __mul__(self, factor: int) -> Lin:
        if factor == 0:
            return Lin()
        return Lin(tuple((s, c * factor) for s, c in self.terms), self.const * factor)

    def __sub__(self, other: Lin | int) -> Lin:
        return self + (-other if isinstance(other, int) else other * -1)

    @property
    def is_const(self) -> bool:
        return not self.terms


def lin(value: Atom | Symbol | int) -> Lin:
    """A literal, a variable or a symbol as a sum."""
    if isinstance(value, int):
        return Lin((), value)
    if isinstance(value, Lit):
        return Lin((), int(value.value))
    return Lin(((value, 1),))


#: How many goals one proof may look at, and how many facts it may combine.
EFFORT, DEPTH = 300, 14

#: Every element of the result is an element of the first operand.
_SAME_ELEMENTS = frozenset("load transpose expand squeeze reshape broadcast copy roll".split())
_NEGATED = {"lt": "ge", "ge": "lt", "le": "gt", "gt": "le"}


class Facts:
    """What is known about integers: how scalars are defined, and sums that are not negative.

    `extent_of(var, axis)` gives the extent behind a `dim` equation."""

    def __init__(self, extent_of: Callable[[Var, int], Lin]) -> None:
        self.extent_of = extent_of
        self.defs: dict[Var, Eqn] = {}
        self.same_as: dict[Var, Lin] = {}  # variables that stand for a sum, for now
        self._size = 0
        self._of: dict[Symbol, list[tuple[int, Lin]]] = {}  # facts by symbol, numbered

    # -- facts

    def learn(self, fact: Lin, about: Var | None = None) -> None:
        """`fact` is not negative. Where it holds only as long as `about` exists, as a loop's index
        does, it is used for goals that mention `about`."""
        fact = self.expand(fact)
        for symbol in [about] if about else [s for s, _ in fact.terms]:
            self._add(symbol, fact)

    def _add(self, symbol: Symbol, fact: Lin) -> None:
        self._of.setdefault(symbol, []).append((self._size, fact))
        self._size += 1

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is learnt inside is forgotten at the end."""
        size, same = self._size, dict(self.same_as)
        try:
            yield
        finally:
            self._size = size
            self.same_as = same
            for symbol, facts in list(self._of.items()):
                while facts and facts[-1][0] >= size:
                    facts.pop()
                if not facts:
                    del self._of[symbol]

    def bound(self, index: Var, low: Lin, high: Lin) -> None:
        """`index` is at least `low` and at most `high`, as long as it exists. What these are may
        become known later."""
        self._add(index, lin(index) - low)
        self._add(index, high - lin(index))

    def bound_index(self, index: Var, start: Atom, stop: Atom, step: Atom) -> None:
        """Record that `index` runs over range(start, stop, step), if the step's sign is known."""
        if self.at_least(lin(step), 1):
            self.bound(index, lin(start), lin(stop) - 1)
        elif isinstance(step, Lit):
            self.bound(index, lin(stop) + 1, lin(start))

    def assume(self, condition: Atom, holds: bool = True) -> None:
        """Learn what follows from a condition that holds, or does not."""
        for fact in self.implied(condition, holds, search=True):
            self.learn(fact)

    def implied(self, condition: Atom, holds: bool = True, search: bool = False) -> list[Lin]:
        """Sums that are not negative where `condition` is True (or False). With `search`, proofs
        are tried: what is not above a limit, and not at it, is below."""
        eqn = self.defs.get(condition) if isinstance(condition, Var) else None
        if eqn is None or eqn.outs[0].type != BOOL:
            return []
        if eqn.prim == "not":
            return self.implied(eqn.ins[0], not holds, search)
        if eqn.prim == ("and" if holds else "or"):
            return [f for a in eqn.ins for f in self.implied(a, holds, search)]
        if eqn.prim == "if":
            return self._implied_by_if(eqn, condition, holds, search)
        if not eqn.ins or any(a.type != I64 for a in eqn.ins):
            return []
        if eqn.prim in ("eq", "ne"):
            difference = lin(eqn.ins[0]) - lin(eqn.ins[1])
            ways = [difference, difference * -1]
            if holds == (eqn.prim == "eq"):
                return ways
            return [d - 1 for d in ways if search and self.at_least(d)]
        if eqn.prim not in _NEGATED:
            return []
        prim = eqn.prim if holds else _NEGATED[eqn.prim]
        a, b = map(lin, eqn.ins)
        return [{"lt": b - a - 1, "le": b - a, "gt": a - b - 1, "ge": a - b}[prim]]

    def _implied_by_if(self, eqn: Eqn, out: Atom, holds: bool, search: bool) -> list[Lin]:
        """`a and b` where `b` is evaluated only if it must be: a branch that gives the opposite
        was not taken."""
        results = [r.results[eqn.outs.index(out)] for r in eqn.regions]
        for k, taken in enumerate((True, False)):
            other = results[1 - k]
            if isinstance(other, Lit) and other.value != holds:
                found = self.implied(eqn.ins[0], taken, search)
                return found + self.implied(results[k], holds, search)
        return []

    # -- definitions

    def expand(self, value: Lin) -> Lin:
        """`value` with scalars replaced by their definitions, where those are sums."""
        meanings = [self._definition(s) if isinstance(s, Var) else None for s, _ in value.terms]
        if not any(meanings):
            return value
        out = Lin((), value.const)
        for (symbol, coefficient), meaning in zip(value.terms, meanings):
            out = out + (lin(symbol) if meaning is None else self.expand(meaning)) * coefficient
        return out

    def _definition(self, var: Var) -> Lin | None:
        if var in self.same_as:
            return self.same_as[var]
        eqn = self.defs.get(var)
        if eqn is None or len(eqn.outs) != 1:
            return None
        if eqn.prim == "dim":
            return self.extent_of(eqn.ins[0], eqn.params["axis"])
        if eqn.prim == "add":
            return lin(eqn.ins[0]) + lin(eqn.ins[1])
        if eqn.prim == "sub":
            return lin(eqn.ins[0]) - lin(eqn.ins[1])
        if eqn.prim == "neg":
            return lin(eqn.ins[0]) * -1
        if eqn.prim == "mul" and any(isinstance(a, Lit) for a in eqn.ins):
            a, b = eqn.ins if isinstance(eqn.ins[1], Lit) else eqn.ins[::-1]
            return lin(a) * int(b.value)
        if eqn.prim in ("minimum", "maximum"):
            return lin(Op(eqn.prim[:3], *map(self.expand, map(lin, eqn.ins))))
        if eqn.prim == "abs":
            value = self.expand(lin(eqn.ins[0]))
            return lin(Op("max", value, value * -1))
        if eqn.prim == "mod" or (eqn.prim == "floordiv" and isinstance(eqn.ins[1], Lit)):
            return lin(Op(eqn.prim, *map(self.expand, map(lin, eqn.ins))))
        if eqn.prim == "convert" and eqn.ins[0].type.dtype in ("i32", "i64"):
            return lin(eqn.ins[0])
        return None

    def _range(self, var: Var) -> tuple[Lin, Lin] | None:
        """The least and the largest value of a variable (of any element of an array)."""
        eqn = self.defs.get(var)
        if eqn is None:
            return None
        if eqn.prim == "convert" and eqn.ins[0].type.dtype == "bool":
            return lin(0), lin(1)
        if eqn.prim == "iota":
            return lin(0), lin(eqn.ins[0]) - 1
        if eqn.prim == "nonzero":
            return lin(0), self.extent_of(eqn.ins[0], 0) - 1
        if eqn.prim in ("argmax", "argmin"):
            return lin(0), self.extent_of(eqn.ins[0], eqn.params["axes"][0]) - 1
        return None

    def _cases(self, var: Var) -> list[tuple[Atom, list[Lin]]]:
        """The values that a variable may stand for, each with what is known where it does."""
        eqn = self.defs.get(var)
        if eqn is None:
            return []
        if eqn.prim == "if":
            at = eqn.outs.index(var)
            values = [r.results[at] for r in eqn.regions]
        elif eqn.prim == "select" and not eqn.ins[0].type.is_array:
            values = list(eqn.ins[1:])
        else:
            same = eqn.prim in _SAME_ELEMENTS and eqn.ins[0].type.dtype in ("i32", "i64")
            return [(eqn.ins[0], [])] if same else []
        return [(v, self.implied(eqn.ins[0], k == 0)) for k, v in enumerate(values)]

    # -- proofs

    def at_least(self, value: Lin, least: int = 0) -> bool:
        """True where `value >= least` is proved."""
        return _Proof(self).holds(self.expand(value) - least, DEPTH)

    def about(self, symbol: Symbol) -> Iterator[Lin]:
        """The facts about a symbol, the latest first."""
        for _, fact in reversed(self._of.get(symbol, ())):
            yield self.expand(fact)

    def age(self, symbol: Symbol) -> int:
        """The number of the latest fact about a symbol; -1 where there is none."""
        facts = self._of.get(symbol)
        return facts[-1][0] if facts else -1

    def same(self, a: Lin, b: Lin) -> bool:
        return self.expand(a) == self.expand(b)

    def distinct(self, a: Lin, b: Lin) -> bool:
        """True where two subscripts are proved to name different places of an axis."""
        if not (self.at_least(a, 0) and self.at_least(b, 0)):
            return False  # a negative one counts from the end
        return self.at_least(a - b, 1) or self.at_least(b - a, 1)


class _Proof:
    """The search for one proof: every step replaces a symbol of the goal by a bound on it."""

    def __init__(self, facts: Facts) -> None:
        self.facts, self.effort = facts, EFFORT
        self.tried: dict[Lin, bool] = {}

    def holds(self, goal: Lin, depth: int) -> bool:
        """True where `goal >= 0` is proved. All of `goal` is expanded."""
        goal = _smaller(goal)
        bad = [s for s, c in goal.terms if c < 0 or not isinstance(s, Extent)]
        if not bad and goal.const >= 0:
            return True
        if depth == 0 or self.effort == 0 or goal in self.tried:
            return self.tried.get(goal, False)
        self.effort -= 1
        self.tried[goal] = False
        # the innermost index first: its bounds may mention the others; or what is an operation of
        # these, before they are gone
        first = [max(bad, key=self.facts.age)] if bad else []
        symbols = [*first, *(s for s, _ in goal.terms if not bad or isinstance(s, Op))]
        self.tried[goal] = any(self._without(goal, s, depth - 1) for s in symbols)
        return self.tried[goal]

    def _without(self, goal: Lin, symbol: Symbol, depth: int) -> bool:
        """Try every way to be rid of `symbol`."""
        coefficient = dict(goal.terms)[symbol]
        for fact in self.facts.about(symbol):
            own = dict(fact.terms).get(symbol, 0)
            if own * coefficient > 0:
                # k * goal is a multiple of k: it is not negative if it is above -k
                rest = goal * abs(own) - fact * abs(coefficient) + (abs(own) - 1)
                if self.holds(self.facts.expand(rest), depth):
                    return True
        if isinstance(symbol, Op):
            return self._operation(goal, symbol, coefficient, depth)
        if isinstance(symbol, Var):
            return self._variable(goal, symbol, coefficient, depth)
        return False

    def _put(self, goal: Lin, symbol: Symbol, value: Lin, depth: int) -> bool:
        """The goal with `value` in place of `symbol`."""
        changed = goal + (self.facts.expand(value) - lin(symbol)) * dict(goal.terms)[symbol]
        return self.holds(changed, depth)

    def _operation(self, goal: Lin, op: Op, coefficient: int, depth: int) -> bool:
        if op.name in ("min", "max"):
            # max is at least either of its operands; min must be bounded through both
            enough = any if (op.name == "max") == (coefficient > 0) else all
            return enough(self._put(goal, op, side, depth) for side in (op.left, op.right))
        if op.name == "mod":
            if not self.holds(self.facts.expand(op.right) - 1, depth):
                return False
            return self._put(goal, op, lin(0) if coefficient > 0 else op.right - 1, depth)
        if op.name == "floordiv" and op.right.is_const and op.right.const > 0:
            size = op.right.const  # left - (size - 1) <= size * op <= left
            rest = goal - lin(op) * coefficient
            bound = op.left - (size - 1) if coefficient > 0 else op.left
            bound = self.facts.expand(bound) * coefficient
            return self.holds(rest * size + bound + (size - 1), depth)
        return False

    def _variable(self, goal: Lin, var: Var, coefficient: int, depth: int) -> bool:
        ends = self.facts._range(var)
        if ends is not None:
            return self._put(goal, var, ends[0 if coefficient > 0 else 1], depth)
        cases = self.facts._cases(var)
        rest = {s for s, _ in (goal - lin(var) * coefficient).terms}
        for value, known in cases:
            # an element of the same array elsewhere in the goal may be another element
            if value.type.is_array and rest & {s for s, _ in self.facts.expand(lin(value)).terms}:
                return False
            with self.facts.scope():
                for fact in known:
                    self.facts.learn(fact)
                proof = _Proof(self.facts) if known else self
                proof.effort = self.effort
                if not proof._put(goal, var, lin(value), depth):
                    return False
                self.effort = proof.effort
        return bool(cases)


def _smaller(goal: Lin) -> Lin:
    """An equivalent goal with coefficients that have no common divisor."""
    divisor = 0
    for _, coefficient in goal.terms:
        divisor = gcd(divisor, coefficient)
    if divisor < 2:
        return goal
    terms = tuple((s, c // divisor) for s, c in goal.terms)
    return Lin(terms, goal.const // divisor)


def steps(facts: Facts, after: Atom, before: Var) -> tuple[int | None, int | None]:
    """The least and the most that a carried integer changes by in one iteration; None where that
    is not known."""
    change = facts.expand(lin(after)) - lin(before)
    if change.is_const:
        return change.const, change.const
    eqn = facts.defs.get(after) if isinstance(after, Var) else None
    if eqn is None:
        return None, None
    if eqn.prim == "if":
        at = eqn.outs.index(after)
        ways = [steps(facts, r.results[at], before) for r in eqn.regions]
    elif eqn.prim == "select":
        ways = [steps(facts, a, before) for a in eqn.ins[1:]]
    elif eqn.prim in ("for", "while"):
        return _steps_of_loop(facts, eqn, after, before)
    else:
        return None, None
    lows, highs = zip(*ways)
    return (
        None if None in lows else min(lows),
        None if None in highs else max(highs),
    )


def _steps_of_loop(
    facts: Facts, eqn: Eqn, after: Var, before: Var
) -> tuple[int | None, int | None]:
    for init, param, result, out in slots(eqn):
        if out is after:
            inner = steps(facts, result, param)
            low, high = steps(facts, init, before)
            down = inner[0] is None or inner[0] < 0
            up = inner[1] is None or inner[1] > 0
            return None if down else low, None if up else high
    return None, None


def slots(eqn: Eqn) -> Iterable[tuple[Atom, Var, Atom, Var]]:
    """(initial value, parameter, result, what comes out) of everything that a loop carries."""
    body: Region = eqn.regions[-1]
    inits = eqn.ins if eqn.prim == "while" else eqn.ins[3:]
    size = len(inits)
    if not size:
        return ()
    return zip(inits, body.params[-size:], body.results[-size:], eqn.outs[-size:])
