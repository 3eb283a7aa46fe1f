"""A recurrence whose coefficients do not change is followed four iterations at a time.

    g, x = for k, n, 1, g0, x0 { (i, g, x)      c4 = mul c, c …
      p = load g, i                             for low = k, n, 128, g0, x0, t { (low, g, x, t)
      y = add x, p                                t, x = for 0, m, 4, t, x { (at, t, x)
      x1 = mul y, c                                 p, …, p3 = load g, low + at, …
      j = sub i, 1                        →         y, …, y3 = as above, for t
      g1 = store g, y, i                            x4 = add (mul x, c4), alone }
      g2 = accum g1, x1, j                        g = for 0, m, 1, g { store g, t[at], low + at }
      yield g2, x1                                g = for 0, m, 1, g { accum g, …, … } }
    }

The cotangents of a recursive filter, an exponential mean, a Gauss-Seidel sweep are recurrences of a
number or two, `x1 = c x + …`, that cost what their chain takes: each iteration waits for the one
before. But four of them are another one, `x4 = c⁴ x + alone`, and `alone` does not wait. Only that
is chained (the look-ahead of recursive filters: Parhi and Messerschmitt, IEEE Trans. ASSP 37, 1989,
§III). The three between are computed as they were, beside the chain.

What the iterations leave in arrays, and the sums that they add to, follow for a piece of the loop
at a time (pieces.py), in loops of their own that compute several iterations at once. For that,
nothing that is left there may be read again by the chain, or be met by anything that now comes
before it; index arithmetic proves it (analysis/instances.py).

The coefficients of four iterations are products. Where these leave the range in which they have all
digits, or are large, the chain goes step by step.

The adjoint of a stencil, which adds to several places of an array, leaves things behind and has no
chain: no number goes from one iteration to the next. What it reads of arrays that it writes comes
first, and functions that several of the loops need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.instances import Instances
from s2s_ad.analysis.powers import parts
from s2s_ad.analysis.sharing import WRITES
from s2s_ad.analysis.totals import Total
from s2s_ad.analysis.vectors import is_function, is_simple, is_vector
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import (
    ADJOINT,
    NO_PARAMS,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    clone,
    region_uses,
    substitute,
    walk,
)
from s2s_ad.ir.types import I64, Type
from s2s_ad.passes.pieces import (
    PIECE,
    Piece,
    is_plain,
    is_short,
    iteration,
    piece_at,
    shifted_back,
    trips,
)
from s2s_ad.passes.steps import RANGE, STEPS, Steps, index_of, several_steps

#: How many numbers may be carried; a loop that is known to have fewer iterations stays; so does one
#: that leaves more things behind.
MOST, FEWEST, LEFT = 2, 32, 16
#: How long it may take what is computed in several loops.
_LONG = 5


def lookahead(func: Func) -> Func:
    """`func` with the loops of the module's docstring taken apart.

    Example: `lookahead(func)` gives the same results, but for rounding.
    """
    return func.with_(body=_Lookahead(func).region(func.body))


def taken_apart(func: Func) -> frozenset[Eqn]:
    """The loops that `lookahead` takes apart, and that have no chain: adjoints of stencils."""
    found = _Lookahead(func)
    plans = ((e, found.plan(e)) for e in walk(func.body))
    return frozenset(e for e, plan in plans if plan is not None and not plan.seeds)


class _Lookahead:
    def __init__(self, func: Func) -> None:
        self.func = func

    @cached_property
    def instances(self) -> Instances:
        return Instances(self.func)

    def plan(self, eqn: Eqn) -> _Plan | None:
        plan = _plan(eqn) if eqn.prim == "for" else None
        return plan if plan is not None and _in_order(plan, self.instances) else None

    def region(self, region: Region) -> Region:
        b = Builder()
        for eqn in region.eqns:
            plan = self.plan(eqn)
            if plan is not None:
                b.loc, b.role = eqn.loc, eqn.role
                _Emitter(plan).emit(b)
            else:
                b.append(eqn.with_(regions=tuple(map(self.region, eqn.regions))))
        return b.region(region.params, region.results)


# --- what a loop consists of ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Group:
    """What a loop of its own leaves behind: `ends`, writes to arrays and additions to totals, with
    the places where the loop carries these; one element of each array, by its `indices`. `eqns` are
    all that it computes, from what it is `passed`."""

    ends: dict[Eqn, int] = field(default_factory=dict)
    indices: dict[int, object] = field(default_factory=dict)
    eqns: list[Eqn] = field(default_factory=list)
    passed: list[Var] = field(default_factory=list)

    @property
    def slots(self) -> list[int]:
        return list(dict.fromkeys(self.ends.values()))


@dataclass(frozen=True, eq=False)
class _Plan:
    """A loop's `chain`, which makes the next values of the `seeds`, by place, and reads whatever of
    the `arrays` that are written; the groups of what is left behind; and four iterations, or one
    where there are no seeds."""

    loop: Eqn
    seeds: dict[int, Var]
    arrays: dict[int, BufferAccesses]
    chain: list[Eqn]
    groups: list[_Group]
    steps: Steps

    @property
    def passed(self) -> list[Var]:
        return list(dict.fromkeys(v for g in self.groups for v in g.passed))


def _plan(loop: Eqn) -> _Plan | None:
    """How `loop` comes apart; None where it does not, or where that is of no use."""
    if loop.role != ADJOINT or not is_plain(loop) or is_short(loop, FEWEST):
        return None
    (body,) = loop.regions
    if any(e.regions or not is_simple(e) for e in body.eqns):
        return None
    if any(e.prim == "dim" for e in body.eqns):  # of a version: extents stand before loops
        return None
    carried = _carried(body)
    if carried is None:
        return None
    seeds, arrays, totals = carried
    if any(map(is_function, body.eqns)) if seeds else not _is_stencil(body, arrays):
        return None
    chain = _chain(body, seeds, arrays)
    groups = _groups(body, chain, arrays, totals)
    if groups is not None and not seeds:
        chain = _chain(body, seeds, arrays, _shared(groups, body))
        groups = _groups(body, chain, arrays, totals)
    if groups is None or not all(is_vector(_as_region(g, body)) for g in groups):
        return None
    passed = list(dict.fromkeys(v for g in groups for v in g.passed))
    if not seeds:
        return _Plan(loop, seeds, arrays, chain, groups, _one_step(chain, passed))
    steps = several_steps(loop, seeds, chain, passed)
    return None if steps is None else _Plan(loop, seeds, arrays, chain, groups, steps)


def _one_step(
    chain: Sequence[Eqn], passed: Sequence[Var], results: Mapping[int, Atom] = MappingProxyType({})
) -> Steps:
    return Steps([], [], [*chain], [{v: v for v in passed}], {**results})


def _shared(groups: Sequence[_Group], body: Region) -> list[Eqn]:
    """What takes long to compute, and what more than one group would: it is kept instead."""
    often = Counter(e for g in groups for e in g.eqns if e.outs[0].type.is_float)
    made = _numbers(body)
    inside: dict[Eqn, set[Eqn]] = {}  # of each, all that computes it
    for eqn in often:  # what an equation takes comes before it
        known = (inside.get(made.get(a), set()) for a in eqn.ins)  # type: ignore[arg-type]
        inside[eqn] = {eqn}.union(*known)
    return [e for e, n in often.items() if n > 1 and sum(map(_time, inside[e])) > _LONG]


def _time(eqn: Eqn) -> int:
    """How long a number takes, a sum or a load being 1."""
    return 20 if is_function(eqn) else 5 if {eqn.prim, *parts(eqn)} & {"div", "sqrt"} else 1


def _is_stencil(body: Region, arrays: Mapping[int, BufferAccesses]) -> bool:
    """True where an array is written at places that follow one another in the loop. Whether rows
    that differ otherwise are the same ones LLVM asks before the loop."""
    varying = {body.params[0]}
    for eqn in body.eqns:
        if not varying.isdisjoint(eqn.ins):
            varying.update(eqn.outs)
    for accesses in arrays.values():
        writes = [e for e in accesses.eqns if e.prim in WRITES]
        places = {tuple(a for a in e.ins[2:] if a in varying) for e in writes}
        if len(places) > 1:
            return True
    return False


_Carried = tuple[dict[int, Var], dict[int, BufferAccesses], dict[int, list[Eqn]]]


def _carried(body: Region) -> _Carried | None:
    """What the loop carries, by place: the numbers of the recurrence, the arrays that are written,
    and what is added to totals; None where there is anything else."""
    uses = Counter(region_uses(body))
    made = {out: e for e in body.eqns for out in e.outs}
    seeds: dict[int, Var] = {}
    arrays: dict[int, BufferAccesses] = {}
    totals: dict[int, list[Eqn]] = {}
    for k, (param, result) in enumerate(zip(body.params[1:], body.results)):
        if result is param:
            continue
        if param.type.is_array:
            arrays[k] = accesses = BufferAccesses(param)
            accesses.block(body)
            if accesses.escapes or not accesses.in_line or result is not accesses.latest:
                return None
        elif path := _total(param, result, uses, made):
            totals[k] = path
        else:
            seeds[k] = param
    kinds = {p.type.dtype for p in seeds.values()}
    fits = len(seeds) <= MOST and len(kinds) <= 1 and kinds <= {*RANGE}
    return (seeds, arrays, totals) if fits else None


def _total(param: Var, result: Atom, uses: Counter[Var], made: dict[Var, Eqn]) -> list[Eqn]:
    """The additions that make a total, in any order; none where it is something else."""
    total = Total(param, uses, made)
    if not uses[param] or total.uses(result) != uses[param] or param.type.dtype not in RANGE:
        return []
    free = all(e.role == ADJOINT and e.prim in ("add", "sub") for e in total.path)
    return total.path if free else []


def _chain(
    body: Region,
    seeds: Iterable[int],
    arrays: Mapping[int, BufferAccesses],
    shared: Iterable[Eqn] = (),
) -> list[Eqn]:
    """What makes the next seeds, what is shared, and all that is read of arrays written here."""
    made = _numbers(body)
    found = {e for a in arrays.values() for e in a.eqns if e.prim == "load"} | {*shared}
    wanted = [body.results[k] for k in seeds] + [a for e in found for a in e.ins]
    while wanted:
        eqn = made.get(wanted.pop())
        if eqn is not None and eqn not in found:
            found.add(eqn)
            wanted += eqn.ins
    return [e for e in body.eqns if e in found]


def _numbers(body: Region) -> dict[Atom, Eqn]:
    return {e.out: e for e in body.eqns if e.outs and not e.out.type.is_array}


# --- what is left behind -------------------------------------------------------------------------


def _groups(
    body: Region,
    chain: Sequence[Eqn],
    arrays: Mapping[int, BufferAccesses],
    totals: Mapping[int, list[Eqn]],
) -> list[_Group] | None:
    """Loops for all that is left behind: in each, an element of each array, and the totals in the
    first. None where one needs something that cannot be passed on."""
    groups = [_Group({e: k for k, path in totals.items() for e in path})]
    for k, accesses in arrays.items():
        for write in (e for e in accesses.eqns if e.prim in WRITES):
            index = tuple(a.value if isinstance(a, Lit) else a for a in write.ins[2:])
            if all(g.indices.get(k, index) != index for g in groups):
                groups.append(_Group())
            group = next(g for g in groups if g.indices.get(k, index) == index)
            group.indices[k] = index
            group.ends[write] = k
    if sum(len(g.ends) for g in groups) > LEFT:
        return None
    written = {v for a in arrays.values() for v in a.versions}
    filled = [_filled(g, body, {*chain}, written) for g in groups if g.ends]
    return None if None in filled else filled  # type: ignore[return-value]


def _filled(group: _Group, body: Region, chain: set[Eqn], written: set[Atom]) -> _Group | None:
    """With what the loop computes, and what it is passed: numbers of the chain, but for what can be
    read again."""
    made = _numbers(body)
    carried = {p for p, r in zip(body.params[1:], body.results) if p is not r}
    totals = {body.params[1 + k] for k in group.slots} | {e.out for e in group.ends}
    own = set(group.ends)
    passed: dict[Var, None] = {}
    wanted = [a for e in group.ends for a in e.ins if a not in totals and a not in written]
    while wanted:
        a = wanted.pop()
        eqn = made.get(a)
        if isinstance(a, Var) and (a in carried or (eqn and _is_passed(eqn, chain, written))):
            passed[a] = None
        elif eqn is not None and eqn not in own:
            own.add(eqn)
            wanted += eqn.ins
    if any(v.type.dtype not in RANGE for v in passed):
        return None
    return _Group(group.ends, group.indices, [e for e in body.eqns if e in own], [*passed])


def _is_passed(eqn: Eqn, chain: set[Eqn], written: set[Atom]) -> bool:
    """True for what is read before it is overwritten, and for numbers of the chain; what it reads
    elsewhere, and its index arithmetic, are there again."""
    if eqn.prim == "load":
        return eqn.ins[0] in written
    return eqn in chain and eqn.out.type.is_float


def _as_region(group: _Group, body: Region) -> Region:
    """An iteration of a group's loop: what it is passed is free in it."""
    slots = group.slots
    now: dict[int, Atom] = {k: body.params[1 + k] for k in slots}
    eqns = []
    for eqn in group.eqns:
        if eqn.prim in WRITES:
            k = group.ends[eqn]
            eqn = eqn.with_(ins=(now[k], *eqn.ins[1:]))
            now[k] = eqn.out
        eqns.append(eqn)
    arrays = {k for k in slots if body.params[1 + k].type.is_array}
    results = (now[k] if k in arrays else body.results[k] for k in slots)
    return Region((body.params[0], *(body.params[1 + k] for k in slots)), tuple(eqns), (*results,))


# --- in what order -------------------------------------------------------------------------------


def _in_order(plan: _Plan, instances: Instances) -> bool:
    """True where everything is found as the loop would have left it, although all of the chain
    comes first, and one group after the other."""
    outside = len(instances.loops[plan.loop])
    for k, accesses in plan.arrays.items():
        turns = [[e for e in plan.chain if e in accesses.eqns]]
        turns += ([e for e, slot in g.ends.items() if slot == k] for g in plan.groups)
        for n, one in enumerate(turns):
            for later in (e for turn in turns[n + 1 :] for e in turn):
                for eqn in one:
                    free = _is_sum(eqn) and _is_sum(later)
                    if not free and instances.met_before(eqn, later, outside):
                        return False
    return True


def _is_sum(write: Eqn) -> bool:
    """True for an addition that may come in any order among its like."""
    return write.prim == "accum" and write.role == ADJOINT


# --- the loops -----------------------------------------------------------------------------------

#: What a place holds.
_State = dict[int, Atom]


class _Emitter:
    """The loops of a plan, in pieces."""

    def __init__(self, plan: _Plan) -> None:
        self.plan, self.loop = plan, plan.loop
        (self.body,) = plan.loop.regions
        self.up = plan.loop.ins[2] == i64(1)

    def emit(self, b: Builder) -> None:
        """Append all that stands for the loop."""
        b.eqns += self.plan.steps.before
        chosen = self._chosen(b)
        passed = [(v, Type(v.type.dtype, (PIECE,))) for v in self.plan.passed]
        rooms = [b.emit("empty", i64(PIECE), name=v.name, type=t, dtype=t.dtype) for v, t in passed]
        if chosen is None:
            self._pieces(b, rooms, self.loop.outs)
            return
        then, outs = Builder(b.loc, b.role), tuple(Var(v.name, v.type) for v in self.loop.outs)
        self._pieces(then, rooms, outs)
        plain = clone(Region((), (self.loop,), self.loop.outs))
        regions = then.region((), outs), plain
        b.append(Eqn(self.loop.outs, "if", (chosen,), NO_PARAMS, regions, b.loc, b.role))

    def _chosen(self, b: Builder) -> Atom | None:
        """Whether the loop is a long one, and the coefficients are in range; None where both are
        known."""
        found = self.plan.steps.coefficients
        tests: list[Atom] = []
        if not all(isinstance(a, Lit) for a in self.loop.ins[:2]):
            tests.append(b.emit("ge", trips(b, self.loop), i64(FEWEST)))
        if not all(isinstance(c, Lit) for c in found):
            low, high = (number(x, found[0].type.dtype) for x in RANGE[found[0].type.dtype])
            size: Atom = b.emit("abs", found[0])
            for c in found[1:]:
                size = b.emit("add", size, b.emit("abs", c), name="size")
            tests += (b.emit("ge", size, low), b.emit("le", size, high))
        chosen: Atom | None = None
        for test in tests:
            chosen = test if chosen is None else b.emit("and", chosen, test, name="ahead")
        return chosen

    def _pieces(self, b: Builder, rooms: Sequence[Var], outs: Sequence[Var]) -> None:
        """Append the loop in pieces, with its results in `outs`."""
        start, stop, _, *inits = self.loop.ins
        low = Var("low", I64)
        params = [Var(p.name, p.type) for p in self.body.params[1:]]
        temps, unread = ([Var(r.name, r.type) for r in rooms] for _ in range(2))
        inner = Builder(b.loc, b.role)
        piece = piece_at(inner, low, start, stop, self.up)
        state, filled = self._chain(inner, piece, dict(enumerate(params)), temps)
        for group in self.plan.groups:
            state |= self._group(inner, piece, group, state, filled)
        region = inner.region((low, *params, *temps), (*(state[k] for k in sorted(state)), *filled))
        ins = (start, stop, i64(PIECE if self.up else -PIECE), *inits, *rooms)
        b.append(self.loop.with_(outs=(*outs, *unread), ins=ins, regions=(region,)))

    def _chain(
        self, b: Builder, piece: Piece, state: _State, rooms: Sequence[Var]
    ) -> tuple[_State, Sequence[Var]]:
        """The loop that takes STEPS iterations at once, and the one that takes those that are left:
        what they make of the state, and of the rooms."""
        plan = self.plan
        single = _one_step(plan.chain, plan.passed, {k: self.body.results[k] for k in plan.seeds})
        if not plan.seeds:
            bounds = i64(0), piece.count, i64(1)
            return self._turn(b, piece, bounds, single, state, rooms) if rooms else (state, rooms)
        rest = b.emit("mod", piece.count, i64(STEPS), name="rest")
        if self.up:
            whole = b.emit("sub", piece.count, rest, name="whole")
            turns = (i64(0), whole, i64(STEPS)), (whole, piece.count, i64(1))
        else:
            top, left = b.emit("sub", piece.count, i64(STEPS)), b.emit("sub", rest, i64(1))
            turns = (top, left, i64(-STEPS)), (left, i64(-1), i64(-1))
        for bounds, steps in zip(turns, (plan.steps, single)):
            state, rooms = self._turn(b, piece, bounds, steps, state, rooms)
        return state, rooms

    def _turn(
        self, b: Builder, piece: Piece, bounds: Sequence[Atom], steps: Steps,
        state: _State, rooms: Sequence[Var],
    ) -> tuple[_State, Sequence[Var]]:  # fmt: skip
        """One of these loops. LLVM does not see of indices that count down in steps that they are
        not negative; it is told."""
        inside, at = iteration(b, self.body, piece)
        counter = at
        if steps.several and not self.up:
            counter = Var(at.name, at.type)
            inside.eqns.insert(
                0, Eqn((at,), "maximum", (counter, i64(0)), NO_PARAMS, (), b.loc, b.role)
            )
        inside.eqns += shifted_back(b, self.loop, piece, steps.eqns, at)
        own = [Var(r.name, r.type) for r in rooms]
        kept: list[Atom] = list(own)
        for n, values in enumerate(steps.kept):
            here = index_of(inside, self.loop, at, n) if steps.several else at
            for i, room in enumerate(kept):
                value = values[self.plan.passed[i]]
                kept[i] = inside.emit("store", room, value, here, spec="i", name=own[i].name)
        seeds = self.plan.seeds
        ins = (*bounds, *(state[k] for k in seeds), *rooms)
        results = (*(steps.results[k] for k in seeds), *kept)
        region = Region((counter, *seeds.values(), *own), tuple(inside.eqns), results)
        outs = self._loop(b, ins, region, state)
        return {**state, **dict(zip(seeds, outs))}, outs[len(seeds) :]

    def _group(
        self, b: Builder, piece: Piece, group: _Group, state: _State, rooms: Sequence[Var]
    ) -> _State:
        """The loop of a group: what it makes of the state."""
        inside, at = iteration(b, self.body, piece)
        values = dict(zip(self.plan.passed, rooms))
        loaded = {
            v: inside.emit("load", values[v], at, spec="i", name=v.name) for v in group.passed
        }
        made = _as_region(group, self.body)
        eqns = shifted_back(b, self.loop, piece, made.eqns, at)
        inside.eqns += substitute(Region((), eqns, ()), loaded).eqns
        results = [loaded.get(r, r) for r in made.results]
        ins = (i64(0), piece.count, i64(1), *(state[k] for k in group.slots))
        region = Region((at, *made.params[1:]), tuple(inside.eqns), tuple(results))
        return dict(zip(group.slots, self._loop(b, ins, region, state)))

    def _loop(
        self, b: Builder, ins: Sequence[Atom], region: Region, state: _State
    ) -> tuple[Var, ...]:
        """Append a loop, to which all that it does not carry is as the state has it. Any version of
        an array that the chain reads is that: where it is read, no iteration has written."""
        slots = [(k, p) for k, p in enumerate(self.body.params[1:]) if p not in region.params]
        names = {p: state[k] for k, p in slots}
        for k, _ in slots:
            if k in self.plan.arrays:
                names.update(dict.fromkeys(self.plan.arrays[k].versions, state[k]))
        outs = tuple(Var(p.name, p.type) for p in region.params[1:])
        b.append(Eqn(outs, "for", tuple(ins), NO_PARAMS, (clone(region, names),), b.loc, b.role))
        return outs
