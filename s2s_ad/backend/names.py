"""Out of SSA: which variables share one Python name, and which name that is.

What a loop carries is one Python variable: its parameter, its result, and, where that loses no
name of the user's and no value that is still needed, its initial value and the body's result. So a
loop prints `x = x + h * k` and not `x_1 = x + h * k; x = x_1`. Variables of different dtype, rank
or layout never share a name: numba gives a name one type.
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from s2s_ad.analysis.liveness import Liveness
from s2s_ad.analysis.sharing import WRITES, C, Sharing, loop_inits
from s2s_ad.backend.expr import (
    ANY_ORDER_NAMES,
    BLAS_NAMES,
    COPY_NAMES,
    FREE_NAMES,
    MEMORY_NAMES,
    PRANGE,
    SOLVE_NAMES,
    THREADS,
    VECTOR_NAMES,
)
from s2s_ad.backend.fold import Plan, base_name, is_temporary
from s2s_ad.ir.core import PARALLEL, PROVED, Atom, Eqn, Func, Region, Var, walk

RESERVED = frozenset(
    {
        "np",
        "math",
        "numba",
        "compiled",
        "compiled_part",
        "threaded",
        PRANGE,
        THREADS,
        *BLAS_NAMES,
        *COPY_NAMES,
        *MEMORY_NAMES,
        *SOLVE_NAMES,
        *VECTOR_NAMES.values(),
        *ANY_ORDER_NAMES.values(),
        *FREE_NAMES.values(),
    }
    | {*keyword.kwlist, *dir(builtins)}
)

_VERSION = re.compile(r"_\d+$")


def identifier(hint: str, reserved: Iterable[str] = RESERVED) -> str:
    """`hint` as a Python name that hides nothing the generated code uses."""
    plain = unicodedata.normalize("NFKC", hint.split(".")[0])  # as Python reads names
    name = re.sub(r"\W", "_", plain) or "t"
    if not name.strip("_"):
        name = "i"  # `for _ in range(n)`, whose index the derivative does use
    if name[0].isdigit():
        name = f"_{name}"
    if name.startswith("__"):
        name = "v" + name
    return f"{name}_" if name in reserved else name


def _numbered_for_numba(hint: str, count: int) -> str:
    """In functions with parallel loops, numba itself calls the versions of `n` `n_1`, `n_2`, …, and
    fails where the function has such names of its own."""
    return f"{hint}_{count}_" if hint[-1].isdigit() else f"{hint}{count}"


def assign_names(func: Func, plan: Plan, sharing: Sharing) -> dict[Var, str]:
    """A Python name for every variable that is not folded into an expression."""
    live = Liveness(func, plan.reads, plan.result_reads, plan.skips)
    groups = _Groups(func, plan, sharing, live.bits)
    _interferences(func, plan, live, groups)
    for must, a, b in _affinities(func, plan):
        groups.merge(a, b, must)
    return groups.names()


def _eqns(region: Region, plan: Plan) -> Iterator[Eqn]:
    """The equations that are printed as statements, outer before inner."""
    for eqn in region.eqns:
        if plan.skips(eqn):
            continue
        yield eqn
        if eqn not in plan.conditional:
            for r in eqn.regions:
                yield from _eqns(r, plan)


class _Groups:
    """Sets of variables that share a name, and what each may not share it with. `bits` gives the
    bits of variables, one for each."""

    def __init__(
        self, func: Func, plan: Plan, sharing: Sharing, bits: Callable[[Iterable[Var]], int]
    ) -> None:
        self.func, self.sharing, self.bits = func, sharing, bits
        self.order: list[Var] = list(func.params)
        self.indices = {e.regions[0].params[0] for e in walk(func.body) if e.prim == "for"}
        for eqn in _eqns(func.body, plan):
            if eqn.regions and eqn not in plan.conditional:
                self.order += [p for r in eqn.regions for p in r.params]
            self.order += eqn.outs
        self.group = {v: v for v in self.order}
        self.members = {v: [v] for v in self.order}
        self.own = {v: bits((v,)) for v in self.order}
        self.enemies = dict.fromkeys(self.order, 0)  # one way is enough
        self.rank = {v: k for k, v in enumerate(self.order)}

    def separate(self, v: Var, others: int) -> None:
        self.enemies[v] |= others

    def are_apart(self, a: Var, b: Var) -> bool:
        """True where the groups of these leaders may not share a name."""
        return not (
            self.kind(a) == self.kind(b)
            and not self.enemies[a] & self.own[b]
            and not self.enemies[b] & self.own[a]
        )

    def kind(self, v: Var) -> tuple[object, ...]:
        layout = self.sharing.layout.get(v, C) == C
        return v.type.dtype, v.type.ndim, layout, v in self.indices

    def merge(self, a: Var, b: Var, must: bool = False) -> bool:
        a, b = self.group[a], self.group[b]
        if a is b:
            return True
        if not must and self.are_apart(a, b):
            return False
        if self.rank[b] < self.rank[a]:
            a, b = b, a
        self.members[a] += self.members.pop(b)
        self.own[a] |= self.own.pop(b)
        self.enemies[a] |= self.enemies.pop(b)
        for v in self.members[a]:
            self.group[v] = a
        return True

    def hint(self, leader: Var) -> str:
        if leader in self.func.params:
            return leader.name
        members = sorted(self.members[leader], key=self.rank.__getitem__)
        named = [v for v in members if not is_temporary(v)]
        return base_name((named or members)[0])

    def names(self) -> dict[Var, str]:
        """Names in order of definition; a taken name gets `_1`, `_2`, …"""
        taken: dict[str, list[Var]] = {}
        out: dict[Var, str] = {}
        used: dict[str, int] = {}  # all names with a hint and a smaller number are taken
        reserved = RESERVED | {self.func.name}
        parallel = any(e.params.get(PARALLEL) == PROVED for e in walk(self.func.body))
        numbered = _numbered_for_numba if parallel else "{}_{}".format
        for leader in (v for v in self.order if self.group[v] is v):
            hint = identifier(self.hint(leader), reserved)
            if parallel and _VERSION.search(hint):
                hint += "_"
            fresh = all(map(is_temporary, self.members[leader]))
            count = used.get(hint, 0) if fresh else 0
            name = numbered(hint, count) if count else hint
            while name in taken and (
                fresh or any(self.are_apart(leader, other) for other in taken[name])
            ):
                count += 1
                name = numbered(hint, count)
            taken.setdefault(name, []).append(leader)
            if fresh:
                used[hint] = count
            out.update(dict.fromkeys(self.members[leader], name))
        return out


def _interferences(func: Func, plan: Plan, live: Liveness, groups: _Groups) -> None:
    bits = live.bits
    for p in func.params:
        groups.separate(p, bits(func.params) | live.entry[func.body])
    for eqn in _eqns(func.body, plan):
        after, outs = live.after[eqn], bits(eqn.outs)
        for out in eqn.outs:
            groups.separate(out, outs | after)
        if eqn.prim not in ("for", "while"):
            continue
        if eqn.prim == "for":  # nobody gives the index of a loop another value inside it
            groups.separate(eqn.regions[0].params[0], bits(_defined(eqn, plan)))
        for r in eqn.regions:
            for p in r.params:
                groups.separate(p, bits(r.params) | live.entry[r] | (after & ~outs))
        if eqn.params.get("exit"):
            if live.is_read_after(eqn, eqn.outs[0]):
                groups.separate(eqn.outs[0], bits(_defined(eqn, plan)))
            _flag(eqn, plan, groups)


def _defined(eqn: Eqn, plan: Plan) -> Iterator[Var]:
    """Everything that a loop assigns."""
    yield from (p for r in eqn.regions for p in r.params)
    for r in eqn.regions:
        for e in _eqns(r, plan):
            yield from e.outs
            if e not in plan.conditional:
                yield from (p for inner in e.regions for p in inner.params)


def _flag(eqn: Eqn, plan: Plan, groups: _Groups) -> None:
    """The flag is tested when the carried variables have their new values."""
    body = eqn.regions[0]
    flag, *results = body.results
    for read in plan.atom_reads(flag):
        for param, result in zip(body.params[1:], results):
            if result is not read:
                groups.separate(param, groups.bits((read,)))


def _affinities(func: Func, plan: Plan) -> list[tuple[bool, Var, Var]]:
    """(must, a, b) for variables that should share a name, the most wanted first."""
    musts: list[tuple[bool, Var, Var]] = []
    writes: list[tuple[bool, Var, Var]] = []
    buffers: list[tuple[bool, Var, Var]] = []  # an array keeps the name that it comes with
    wishes: list[tuple[bool, Var, Var]] = []

    def wish(a: Atom, b: Var, to: list[tuple[bool, Var, Var]] = wishes) -> None:
        if not isinstance(a, Var) or a in plan.folded:
            return
        names = {base_name(a), base_name(b)}
        # The user's names are kept apart; those of temporaries and of adjoints are ours.
        ours = is_temporary(a) or is_temporary(b) or all(n.endswith("_bar") for n in names)
        if len(names) == 1 or ours:
            to.append((False, a, b))

    for eqn in _eqns(func.body, plan):
        if eqn.prim in WRITES or eqn.prim == "grow":
            writes.append((False, eqn.ins[0], eqn.out))
        elif eqn.prim == "if" and eqn not in plan.conditional:
            for r in eqn.regions:
                for a, out in zip(r.results, eqn.outs):
                    wish(a, out)
        elif eqn.prim in ("for", "while"):
            inits, body = loop_inits(eqn), eqn.regions[-1]
            n = len(inits)
            outs, results = eqn.outs[len(eqn.outs) - n :], body.results[len(body.results) - n :]
            for r in eqn.regions:
                for p, out in zip(r.params[len(r.params) - n :], outs):
                    musts.append((True, p, out))
            for out, result, init in zip(outs, results, inits):
                wish(result, out)
                wish(init, out, buffers if out.type.is_array else wishes)
    return musts + writes + buffers + wishes
