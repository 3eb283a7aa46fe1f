"""Loops whose iterations each go through a recurrence of their own: ensembles.

    for i in range(paths):              s: VARYING, a number of each iteration's own
        s = s0                          s0, vol: SAME in all of them
        for j in range(steps):          tape: OWN, an array of each iteration's own
            tape[j] = s                 out: SHARED, of which iteration i has row i
            s *= 1 + vol * z[j, i]      vol_bar: ADDED, to which all only add
        out[i] = s                      total: TOTAL, a number whose operations have an order
        total += s

The inner loop has an order, and waits for each of its results. Iterations of the outer one do not
depend on each other: several of them can be done at a time (passes/lanes.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from s2s_ad.analysis.accesses import Accesses
from s2s_ad.analysis.activity import loop_slots
from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.integers import Facts, lin
from s2s_ad.analysis.plan import DEAR
from s2s_ad.analysis.rerun import EFFORT
from s2s_ad.analysis.sharing import WRITES
from s2s_ad.analysis.totals import Total, is_free
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import (
    ADJOINT,
    EDGE,
    PARALLEL,
    Atom,
    Eqn,
    Lit,
    Region,
    Var,
    eqn_uses,
    region_defs,
    region_uses,
    walk,
)
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import is_element

SAME, VARYING, OWN, SHARED, ADDED, TOTAL = "same", "varying", "own", "shared", "added", "total"
ARRAYS = (OWN, SHARED, ADDED)
#: Loops that are known to have fewer iterations are no ensembles, and recurrences no reason.
FEWEST, SHORTEST = 16, 4
#: What is done to a total may be done later, in order.
_REPLAYED = ("add", "sub", "mul", "maximum", "minimum")
#: Cycles, roughly, until a result is there.
_SUM, _QUOTIENT, _FUNCTION = 4.0, 14.0, 40.0
#: The part of that which a function takes at least where it is not one of a vector.
_ONE_BY_ONE = 0.25
#: Cycles to read an element where those of other lanes are apart (to write it, twice that), and to
#: copy it into a tile or back; what recurrences have to wait for longer than twice that together.
FAR, TILE, LEAST = 6.0, 3.0, 4.0


@dataclass(frozen=True)
class Tile:
    """A matrix of which iteration i has row i, and an inner loop goes along it: then lanes are far
    apart in memory. Its columns from `low` to below `high`, each an integer from around the loop
    and what is added to it, are read, and `written` back, in one go; `eqns` access them, if these
    are more columns than `margin`: else the inner loops have no iteration. Where it is `made`
    before the loop, by `empty` or `full`, it need not be read."""

    array: Var
    low: tuple[Atom, int]
    high: tuple[Atom, int]
    margin: int
    eqns: tuple[Eqn, ...]
    written: bool
    made: Eqn | None

    @property
    def copies(self) -> int:
        return self.written + (self.made is None)


@dataclass
class Ensemble:
    """`kinds` says of every variable of the loop what it is, SAME where it is silent; `roots` are
    the first versions of arrays and totals; `steps` are the operations on totals, each with the
    place of the total among its operands. They are done in order after everything else for the
    totals `late`; of the numbers `parts` each lane may have its own sum; of the arrays `tiles` a
    block has a copy."""

    loop: Eqn
    kinds: dict[Var, str] = field(default_factory=dict)
    roots: dict[Var, Var] = field(default_factory=dict)
    steps: dict[Eqn, int] = field(default_factory=dict)
    late: set[Var] = field(default_factory=set)
    parts: set[Var] = field(default_factory=set)
    tiles: dict[Var, Tile] = field(default_factory=dict)

    def kind(self, a: Atom) -> str:
        return self.kinds.get(a, SAME) if isinstance(a, Var) else SAME

    def root(self, a: Atom) -> Atom:
        return self.roots.get(a, a) if isinstance(a, Var) else a

    def is_same(self, eqn: Eqn) -> bool:
        """True for what is done once for all iterations, and not for each."""
        seen = (*eqn.ins, *eqn.outs)
        seen += tuple(v for r in eqn.regions for v in (*region_defs(r), *region_uses(r)))
        return eqn.prim == "dim" or all(self.kind(a) == SAME for a in seen)

    def is_late(self, eqn: Eqn) -> bool:
        """True for an operation on a total that is done after everything else."""
        return eqn in self.steps and self.root(eqn.ins[self.steps[eqn]]) in self.late


class _No(Exception):
    """The loop is none of those that are looked for."""


def ensemble(loop: Eqn, facts: Facts) -> Ensemble | None:
    """What is what in `loop`, if it is an ensemble."""
    if loop.prim != "for" or loop.params.keys() & {"exit", EDGE}:
        return None
    if loop.ins[2] != i64(1) or _trips(loop, FEWEST) < FEWEST:
        return None
    if not any(e.prim == "for" for e in loop.regions[0].eqns):
        return None
    if not facts.at_least(lin(loop.regions[0].params[0])):
        return None  # row -1 may be the row of another iteration
    try:
        return _Study(loop, facts).ensemble()
    except _No:
        return None


def _trips(loop: Eqn, unknown: int) -> int:
    """The number of iterations, or `unknown`."""
    if not all(isinstance(a, Lit) for a in loop.ins[:3]):
        return unknown
    return len(range(*(a.value for a in loop.ins[:3])))  # type: ignore[union-attr]


class _Study:
    def __init__(self, loop: Eqn, facts: Facts) -> None:
        self.found, self.facts = Ensemble(loop), facts
        self.kinds, self.roots = self.found.kinds, self.found.roots
        self.loop, (self.body,) = loop, loop.regions
        self.uses = Counter(region_uses(self.body))
        self.made = {out: e for e in walk(self.body) for out in e.outs}
        self.inside = set(region_defs(self.body))

    def ensemble(self) -> Ensemble:
        self.kinds[self.body.params[0]] = VARYING
        self._carried()
        before = None
        while before != (before := Counter(self.kinds.values())):
            self._region(self.body, looping=True)
        for param, result in zip(self.body.params[1:], self.body.results):
            same = self.found.root(param) is self.found.root(result)
            if not same and param not in self.found.parts:
                raise _No
        self.found.tiles.update(self._tiles())
        if not self._pays():
            raise _No
        return self.found

    def _kind(self, a: Atom) -> str:
        return self.found.kind(a)

    # -- what the outer loop carries

    def _carried(self) -> None:
        at = Accesses(self.loop)
        for param, result in zip(self.body.params[1:], self.body.results):
            if result is param:
                continue
            if not param.type.is_array:
                self._number(param, result)
                continue
            if at.rows(param):
                self._is(param, SHARED, param)
            elif self._is_only_added_to(param, at):
                self._is(param, ADDED, param)
            else:
                raise _No
            self._check_line(param, self.body)

    def _check_line(self, array: Var, region: Region) -> None:
        """No version is read after the next one was made, so that one buffer will do."""
        accesses = BufferAccesses(array)
        accesses.block(region)
        if accesses.escapes or not accesses.in_line:
            raise _No

    def _is_only_added_to(self, param: Var, at: Accesses) -> bool:
        """True where no order was asked of what is added to an array, and nobody reads it."""
        for eqn in walk(self.body):
            if any(isinstance(a, Var) and at.of(a) is param for a in eqn.ins):
                added = eqn.prim == "accum" and eqn.role == ADJOINT
                if not (added or eqn.regions or eqn.prim == "dim"):
                    return False
        return True

    def _number(self, param: Var, result: Atom) -> None:
        """A carried number: a sum without an order, of which lanes have parts where inner loops add
        to it, or a total."""
        total = Total(param, self.uses, self.made)
        whole = self.uses[param] and total.uses(result) == self.uses[param]
        free = whole and total.kind == "add" and all(map(is_free, total.path))
        if free and not all(e in self.body.eqns for e in total.path):
            self.kinds[param] = VARYING
            self.found.parts.add(param)
            return
        passed = self._follow(self.body.eqns, param, result, param)
        loops = [k for k, e in enumerate(self.body.eqns) if e.prim == "for"]
        between = {bisect_left(loops, self.body.eqns.index(e)) for e in passed}
        if not free and (len(between) > 1 or any(e.prim == "for" for e in passed)):
            self.found.late.add(param)
            if any(e.prim == "if" for e in passed):
                raise _No

    def _follow(self, eqns: Sequence[Eqn], at: Atom, end: Atom, root: Var) -> list[Eqn]:
        """The equations, and nothing else, that make `end` of the total `at`."""
        passed = []
        for eqn in eqns:
            count = sum(v is at for v in eqn_uses(eqn))
            if count:
                if count != self.uses[at]:
                    raise _No
                self._is(at, TOTAL, root)  # type: ignore[arg-type]
                at = self._after(eqn, at, root)
                passed.append(eqn)
        self._is(at, TOTAL, root)  # type: ignore[arg-type]
        if at is not end:
            raise _No
        return passed

    def _after(self, eqn: Eqn, at: Atom, root: Var) -> Var:
        """The total after `eqn`, which takes it."""
        if eqn.prim in _REPLAYED:
            place = eqn.ins.index(at)
            if eqn.ins.count(at) > 1 or (eqn.prim == "sub" and place == 1):
                raise _No
            self.found.steps[eqn] = place
            return eqn.out
        if eqn not in self.body.eqns:
            raise _No
        if eqn.prim == "if":
            return self._after_branch(eqn, at, root)
        if eqn.prim != "for" or at not in eqn.ins[3:] or eqn.ins[2] != i64(1):
            raise _No
        inits, body, results, outs = loop_slots(eqn)
        k = inits.index(at)
        self._follow(body.eqns, body.params[1 + k], results[k], root)
        return outs[k]

    def _after_branch(self, eqn: Eqn, at: Atom, root: Var) -> Var:
        found = []
        for region in eqn.regions:
            end = at
            for inner in region.eqns:
                if end in eqn_uses(inner):
                    if inner.prim not in _REPLAYED:
                        raise _No
                    self.found.steps[inner] = inner.ins.index(end)
                    end = inner.out
                    self._is(end, TOTAL, root)
            found.append({k for k, a in enumerate(region.results) if a is end})
        both = found[0] & found[1]
        if len(both) != 1 or any(len(f) != 1 for f in found):
            raise _No
        return eqn.outs[both.pop()]

    # -- what an iteration computes

    def _is(self, v: Var, kind: str, root: Var) -> None:
        if self.roots.get(v, root) is not root:
            raise _No
        self.kinds[v], self.roots[v] = kind, root

    def _region(self, region: Region, looping: bool) -> None:
        """`looping` is false in branches, where there are no loops."""
        for eqn in region.eqns:
            if eqn not in self.found.steps:
                self._eqn(eqn, looping, region)

    def _eqn(self, eqn: Eqn, looping: bool, region: Region) -> None:
        kind = PRIMS[eqn.prim].kind
        if eqn.prim == "if":
            self._branch(eqn)
        elif eqn.prim == "for" and looping:
            self._loop(eqn)
        elif kind in ("effect", "region"):
            raise _No
        elif eqn.prim in ("load", *WRITES):
            self._access(eqn)
        elif eqn.prim in ("empty", "full") and looping:
            if any(self._kind(a) != SAME for a in eqn.ins):
                raise _No
            self._is(eqn.out, OWN, eqn.out)
            self._check_line(eqn.out, region)
        elif eqn.prim != "dim" and any(self._kind(a) != SAME for a in eqn.ins):
            if kind != "elementwise" or any(self._kind(a) not in (SAME, VARYING) for a in eqn.ins):
                raise _No
            if any(a.type.is_array for a in (*eqn.ins, eqn.out)):
                raise _No
            self.kinds[eqn.out] = VARYING

    def _access(self, eqn: Eqn) -> None:
        """A load or a write of one element."""
        base = self._kind(eqn.ins[0])
        if base == SAME and all(self._kind(a) == SAME for a in eqn.ins) and eqn.prim == "load":
            return
        if not is_element(eqn.params["spec"]) or any(a.type.is_array for a in eqn.ins[1:]):
            raise _No
        if any(self._kind(a) not in (SAME, VARYING) for a in eqn.ins[1:]):
            raise _No
        if eqn.prim != "load":
            if base not in ARRAYS:
                raise _No
            self._is(eqn.out, base, self.found.root(eqn.ins[0]))  # type: ignore[arg-type]
        elif base == ADDED:
            raise _No
        else:
            self.kinds[eqn.out] = VARYING

    def _loop(self, eqn: Eqn) -> None:
        if eqn.params.keys() & {"exit", PARALLEL} or any(
            self._kind(a) != SAME for a in eqn.ins[:3]
        ):
            raise _No
        inits, body, results, outs = loop_slots(eqn)
        for init, param in zip(inits, body.params[1:]):
            self._becomes(param, (init,))
        self._region(body, looping=True)
        for init, param, result, out in zip(inits, body.params[1:], results, outs):
            self._becomes(param, (init, result))
            self._becomes(out, (init, result))

    def _becomes(self, v: Var, ways: Iterable[Atom]) -> None:
        """`v` is one of `ways`: of arrays, a version of the same one in each."""
        kinds = {self._kind(a) for a in ways}
        if self._kind(v) == TOTAL or kinds == {SAME}:
            return
        if not v.type.is_array:
            if not kinds <= {SAME, VARYING}:
                raise _No
            self.kinds[v] = VARYING
            return
        roots = {self.found.root(a) for a in ways}
        if len(roots) != 1 or len(kinds) != 1:
            raise _No
        self._is(v, kinds.pop(), roots.pop())  # type: ignore[arg-type]

    def _branch(self, eqn: Eqn) -> None:
        for region in eqn.regions:
            self._region(region, looping=False)
        for out, *ways in zip(eqn.outs, *(r.results for r in eqn.regions)):
            self._becomes(out, ways)
            if self._kind(out) == SAME and not self.found.is_same(eqn):
                if out.type.is_array:
                    raise _No
                self.kinds[out] = VARYING

    # -- what is copied

    def _tiles(self) -> Iterator[tuple[Var, Tile]]:
        """Matrices that are accessed at the index and that of an inner loop, in each iteration of
        it. Not in loops within: these may have none, and then the row need not be there."""
        found: dict[Var, list[Eqn]] = {}
        inner = {e: f for f in self.body.eqns if f.prim == "for" for e in f.regions[0].eqns}
        others: set[Var] = set()
        for eqn in walk(self.body):
            if eqn.prim not in ("load", "dim", *WRITES):
                continue
            array, kind = self.found.root(eqn.ins[0]), self._kind(eqn.ins[0])
            along = eqn in inner and eqn.prim != "dim" and self._along(eqn, inner[eqn]) is not None
            if kind in (SAME, SHARED) and along and self._is_there(array):
                found.setdefault(array, []).append(eqn)  # type: ignore[arg-type]
            elif kind == SHARED:
                others.add(array)  # type: ignore[arg-type]
        for array, eqns in found.items():
            written = self._kind(array) == SHARED
            columns = None if array in others else self._columns(eqns, inner)
            if columns is not None:
                made = self._made(array) if written else None
                yield array, Tile(array, *columns, tuple(eqns), written, made)

    def _is_there(self, array: Atom) -> bool:
        """True for what is not made in the loop."""
        return array in self.body.params or array not in self.inside

    def _made(self, array: Var) -> Eqn | None:
        """What makes an array right before the loop, all of whose elements are alike then."""
        eqn = self.facts.defs.get(self.loop.ins[2 + self.body.params.index(array)])  # type: ignore
        return eqn if eqn is not None and eqn.prim in ("empty", "full") else None

    def _along(self, eqn: Eqn, loop: Eqn) -> int | None:
        """What is added to the index of an inner loop to have the column of an access."""
        operands = eqn.ins[1 if eqn.prim == "load" else 2 :]
        if len(operands) != 2 or operands[0] is not self.body.params[0]:
            return None
        if loop.ins[2] not in (i64(1), i64(-1)) or not self.inside.isdisjoint(loop.ins[:2]):
            return None
        shift = self.facts.expand(lin(operands[1])) - lin(loop.regions[0].params[0])
        return shift.const if shift.is_const else None

    def _columns(
        self, eqns: Sequence[Eqn], inner: Mapping[Eqn, Eqn]
    ) -> tuple[tuple[Atom, int], tuple[Atom, int], int] | None:
        """The first column, the one after the last, and how many more these are than the loops have
        iterations, if all loops go along the same ones."""
        ends, shifts = [], [self._along(e, inner[e]) or 0 for e in eqns]
        for eqn in eqns:
            loop = inner[eqn]
            up = loop.ins[2] == i64(1)
            low, high = (loop.ins[:2], (0, 0)) if up else (loop.ins[1::-1], (1, 1))
            ends.append([self.facts.expand(lin(a)) + c for a, c in zip(low, high)])
            first = (low, high)
        (low, high), (c, d) = first
        c, d = c + min(shifts), d + max(shifts)
        if any(end != ends[0] for end in ends) or not self.facts.at_least(ends[0][0] + min(shifts)):
            return None
        return (low, c), (high, d), max(shifts) - min(shifts)

    # -- is it worth it?

    def _pays(self) -> bool:
        """True where the recurrences wait for longer than it takes to read elements that lanes have
        far apart, one by one."""
        loops = [e for e in walk(self.body) if e.prim == "for"]
        waits = [w for e in loops if (w := self._wait(e))]
        return bool(waits) and sum(waits) > 2 * sum(map(self._far, loops)) + LEAST

    def _wait(self, loop: Eqn) -> float:
        """How many cycles an iteration of an inner loop waits for the one before, and for functions
        that are computed one by one for it: the longest way to a number that it hands on, other
        than a sum, if there is one."""
        if _trips(loop, SHORTEST) < SHORTEST:
            return 0
        _, body, results, _ = loop_slots(loop)
        state = self._state(body)
        after: dict[Atom, float] = {
            p: 0.0 for p in body.params[1:] if self._kind(p) == VARYING and p.type.is_float
        }
        handed = [r for p, r in zip(body.params[1:], results)
                  if p in after and r is not p and not self._is_sum(p, r)]  # fmt: skip
        self._measure(body, after, state)
        eqns = list(walk(body))
        handed += [e.ins[1] for e in eqns if e.prim in WRITES and e.outs[0] in state]
        ways = [after[a] for a in handed if a in after]
        if not ways:
            return 0
        cost = [_latency(e) for e in eqns if e.outs and e.outs[0] in after]
        return max(ways) + _ONE_BY_ONE * sum(c for c in cost if c > _SUM)

    def _state(self, body: Region) -> set[Atom]:
        """All versions of the arrays that an iteration finds numbers in, and leaves others."""
        eqns = [e for e in walk(body) if e.prim in ("load", *WRITES) and e.ins[0].type.is_float]
        read = {self.found.root(e.ins[0]) for e in eqns if e.prim == "load"}
        written = {self.found.root(e.ins[0]) for e in eqns if e.prim != "load"}
        return {v for v, root in self.roots.items() if root in read & written}

    def _measure(self, region: Region, after: dict[Atom, float], state: set[Atom]) -> None:
        """Note how long after the start of an iteration a number is known that depends on the one
        before."""
        for eqn in region.eqns:
            for inner in eqn.regions:
                self._measure(inner, after, state)
            ins = (*eqn.ins, *(a for r in eqn.regions for a in r.results))
            known = [after[a] for a in ins if a in after]
            if eqn.prim == "load" and eqn.ins[0] in state:
                known.append(0.0)
            if known:
                after.update(dict.fromkeys(eqn.outs, max(known) + _latency(eqn)))

    def _is_sum(self, param: Var, result: Atom) -> bool:
        total = Total(param, self.uses, self.made)
        whole = self.uses[param] and total.uses(result) == self.uses[param]
        return bool(whole) and total.kind == "add"

    def _far(self, loop: Eqn) -> float:
        """How many cycles an iteration takes for elements that lanes have far apart."""
        tiled = {e for t in self.found.tiles.values() for e in t.eqns}
        first = {t.eqns[0]: t for t in self.found.tiles.values()}
        cost = 0.0
        for eqn in walk(loop.regions[0]):
            if eqn in tiled:
                cost += TILE * first[eqn].copies if eqn in first else 0.0
            elif eqn.prim in ("load", *WRITES) and self._kind(eqn.ins[0]) in (SAME, SHARED):
                cost += FAR * (1 + (eqn.prim != "load")) * self._is_far(eqn)
        return cost

    def _is_far(self, eqn: Eqn) -> bool:
        *others, last = eqn.ins[1 if eqn.prim == "load" else 2 :] or (i64(0),)
        if any(self._kind(a) == VARYING for a in others):
            return True
        while self._kind(last) == VARYING and last is not self.body.params[0]:
            made = self.made.get(last)
            if made is None or made.prim not in ("add", "sub"):
                return True
            last = next(a for a in made.ins if self._kind(a) == VARYING)
        return False


def _latency(eqn: Eqn) -> float:
    cost = EFFORT.get(eqn.prim, 0.0)
    return _FUNCTION if cost >= DEAR else _QUOTIENT if cost > 1 else _SUM if cost else 0.0
