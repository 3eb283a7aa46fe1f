"""Which equations are printed inside the expression that uses them.

A temporary folds into its only use when that stands in the same block, when nothing written in
between changes what it reads, and when the line stays short. Variables that the user named keep
their own statement.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from s2s_ad.analysis.sharing import WRITES, Sharing
from s2s_ad.ir.core import Atom, Eqn, Func, Lit, Region, Var, eqn_free_vars, region_uses, walk
from s2s_ad.ir.prims import PRIMS

WIDTH = 84  # of a statement, indentation included, by estimate
_IFEXP_WIDTH = 56
#: Python makes a longer tuple from a list, which numba follows only where nothing in it branches.
_LONGEST = 30
_NEVER = WRITES | {"grow", "assert", "perform", "for", "while", "empty"}
#: The printed length of a statement without results, but for its expressions.
_HEAD = {"assert": -6}  # `_width` takes it for a call
#: What may stand before a subscript or `.copy()`: other views.
_PREFIXES = frozenset("load transpose reshape squeeze".split())


def base_name(v: Var) -> str:
    """The hint of `v` without a version number."""
    return v.name.split(".")[0]


def is_temporary(v: Var) -> bool:
    """True for a variable that has no name of the user's."""
    stem = base_name(v)
    for suffix in ("_bar", "_dot"):
        stem = stem.removesuffix(suffix)
    return stem in ("t", "")


@dataclass
class Plan:
    """`folded[v]` is the equation printed in place of `v`; `conditional` are the ifs printed as
    `a if c else b`."""

    folded: dict[Var, Eqn] = field(default_factory=dict)
    conditional: set[Eqn] = field(default_factory=set)

    def skips(self, eqn: Eqn) -> bool:
        """True where `eqn` needs no statement of its own."""
        return len(eqn.outs) == 1 and eqn.outs[0] in self.folded

    def atom_reads(self, a: Atom) -> Iterator[Var]:
        """The variables that the printed form of `a` reads."""
        if isinstance(a, Lit):
            return
        if a in self.folded:
            yield from self.reads(self.folded[a])
        else:
            yield a

    def reads(self, eqn: Eqn) -> Iterator[Var]:
        """The variables that the printed form of `eqn` reads, without its blocks."""
        for a in eqn.ins:
            yield from self.atom_reads(a)
        if eqn in self.conditional:
            for region in eqn.regions:
                yield from self.result_reads(region)

    def result_reads(self, region: Region) -> Iterator[Var]:
        for a in region.results:
            yield from self.atom_reads(a)


@dataclass
class _Root:
    """The statement that folded expressions end up in."""

    position: int
    room: int
    forbidden: frozenset[Var] = frozenset()


class _Places:
    """Where in a region variables of a name are defined, and (under no name) arrays overwritten."""

    def __init__(self, region: Region, written: Callable[[Eqn], list[Var]]) -> None:
        self.eqns = region.eqns
        self.found: dict[str, list[int]] = {}
        for k, eqn in enumerate(region.eqns):
            names = {base_name(o) for o in eqn.outs} | ({""} if written(eqn) else set())
            for name in names:
                self.found.setdefault(name, []).append(k)

    def between(self, name: str, start: int, end: int) -> Iterator[Eqn]:
        """The equations for `name` at positions after `start` and before `end`."""
        places = self.found.get(name, [])
        for k in range(bisect_right(places, start), bisect_left(places, end)):
            yield self.eqns[places[k]]


def fold(func: Func, sharing: Sharing) -> Plan:
    folder = _Folder(func, sharing)
    end, several = _Root(len(func.body.eqns), WIDTH), range(len(func.results))
    folder.block(func.body, 1, dict.fromkeys(several if len(several) <= _LONGEST else (), end))
    return folder.plan


class _Folder:
    def __init__(self, func: Func, sharing: Sharing) -> None:
        self.sharing, self.plan = sharing, Plan()
        self.uses = Counter(region_uses(func.body))
        self.writes: dict[Eqn, list[Var]] = {}
        self.makers: dict[Var, Eqn] = {}
        self.users: dict[Var, Eqn] = {}
        self.places: dict[Region, _Places] = {}

    def written(self, eqn: Eqn) -> list[Var]:
        """The buffers that `eqn` writes to, in its regions too."""
        if eqn not in self.writes:
            own = [eqn.ins[0]] if eqn.prim in WRITES else []
            inner = [e.ins[0] for r in eqn.regions for e in walk(r) if e.prim in WRITES]
            self.writes[eqn] = own + inner
        return self.writes[eqn]

    def block(self, region: Region, depth: int, result_roots: dict[int, _Root]) -> None:
        """Fold in `region`; `result_roots` are the results that stand in an expression."""
        self.places[region] = _Places(region, self.written)
        homes: dict[Var, _Root] = {}  # where the only use of a variable is evaluated
        for k, a in enumerate(region.results):
            if k in result_roots and isinstance(a, Var):
                homes[a] = result_roots[k]
        for position in reversed(range(len(region.eqns))):
            eqn = region.eqns[position]
            if eqn.prim == "if":
                self.conditional(eqn, depth)
            self.makers.update(dict.fromkeys(eqn.outs, eqn))
            root = homes.get(eqn.outs[0]) if len(eqn.outs) == 1 else None
            if root and self.folds(eqn, region, position, root):
                self.plan.folded[eqn.out] = eqn
                root.room -= _width(eqn, self.plan) - len(base_name(eqn.out))
            else:
                target = len(base_name(eqn.outs[0])) + 3 if eqn.outs else _HEAD.get(eqn.prim, 20)
                root = _Root(position, WIDTH - 4 * depth - target - _width(eqn, self.plan))
            for k, a in enumerate(eqn.ins):
                if isinstance(a, Var) and _takes_expression(eqn, k, self.sharing):
                    homes[a] = root
                    self.users[a] = eqn
            if eqn not in self.plan.conditional:
                self.inner_blocks(eqn, depth)

    def inner_blocks(self, eqn: Eqn, depth: int) -> None:
        for k, r in enumerate(eqn.regions):
            roots = {}
            if (eqn.prim == "while" and k == 0) or eqn.params.get("exit"):
                room = WIDTH - 4 * depth - 10
                # The flag of an exit is tested when the parameters have their new values.
                forbidden = frozenset(r.params if eqn.prim == "for" else ())
                roots[0] = _Root(len(r.eqns), room, forbidden)
            self.block(r, depth + 1, roots)

    def folds(self, eqn: Eqn, region: Region, position: int, root: _Root) -> bool:
        out = eqn.out
        if eqn.prim in _NEVER or self.uses[out] != 1:
            return False
        if not (is_temporary(out) or self.same_statement(out)):
            return False
        if eqn.prim == "if" and eqn not in self.plan.conditional:
            return False
        reads = eqn_free_vars(eqn)
        if root.forbidden.intersection(reads):
            return False
        if _width(eqn, self.plan) - len(base_name(out)) > root.room:
            return False
        arrays = [v for v in reads if v.type.is_array]
        scalars = {base_name(v) for v in reads if not v.type.is_array and not is_temporary(v)}
        places = self.places[region]
        overwritten = any(
            self.sharing.may_share(w, a)
            for other in places.between("", position, root.position)
            if arrays
            for w in self.written(other)
            for a in arrays
        )
        # A new version of an operand would need a second name.
        return not overwritten and not any(
            base_name(o) == name and o not in self.plan.folded
            for name in scalars
            for other in places.between(name, position, root.position)
            for o in other.outs
        )

    def same_statement(self, v: Var) -> bool:
        """True where `v` and the variable made from it have one name and come from one line, and
        for what is only asserted."""
        user, eqn = self.users.get(v), self.makers[v]
        if user is not None and user.prim == "assert":
            return True
        if user is None or len(user.outs) != 1 or base_name(user.out) != base_name(v):
            return False
        return user.role == eqn.role and _line(user) == _line(eqn)

    def conditional(self, eqn: Eqn, depth: int) -> None:
        """Fold the branches of `eqn` if each is one short scalar expression."""
        if len(eqn.outs) != 1 or eqn.outs[0].type.is_array:
            return
        total = 0
        for r in eqn.regions:
            (result,) = r.results
            if isinstance(result, Var) and base_name(result) == base_name(eqn.out):
                return  # `if c: x = …` reads better
            total += _atom_width(result)
            used = {result}
            for e in reversed(r.eqns):
                if e.prim in _NEVER or e.regions or len(e.outs) != 1 or e.out.type.is_array:
                    return
                if e.out not in used or self.uses[e.out] != 1:
                    return
                used.update(e.ins)
                total += _width(e, self.plan)
        if total > _IFEXP_WIDTH:
            return
        self.plan.conditional.add(eqn)
        for r in eqn.regions:
            self.plan.folded.update((e.out, e) for e in r.eqns)


def _line(eqn: Eqn) -> tuple[str, int] | None:
    return (eqn.loc.file, eqn.loc.line) if eqn.loc else None


def _takes_expression(eqn: Eqn, k: int, sharing: Sharing) -> bool:
    """True where operand `k` of `eqn` may be printed as an expression rather than a name."""
    prim = eqn.prim
    if prim in WRITES:
        return k != 0
    if prim in ("grow", "while", "dim", "perform"):  # what is performed is not compiled
        return False
    if prim == "for":
        return k < 3
    if prim in ("load", "squeeze", "copy") and k == 0:
        view = sharing.views.get(eqn.ins[0])
        return view is not None and view.prim in _PREFIXES
    return True


def _atom_width(a: Atom) -> int:
    if isinstance(a, Var):
        return len(base_name(a))
    return len(repr(a.value)) + (0 if a.type.dtype in ("f64", "i64", "bool") else 12)


_OPERATORS = frozenset(
    "add sub mul div floordiv mod pow eq ne lt le gt ge and or xor dot neg not bit_and bit_or "
    "bit_xor shift_left shift_right invert".split()
)


def _width(eqn: Eqn, plan: Plan) -> int:
    """An estimate of the printed length of `eqn` with names for operands."""
    atoms = sum(map(_atom_width, eqn.ins)) + 2 * len(eqn.ins)
    if eqn in plan.conditional:
        inner = sum(_width(e, plan) for r in eqn.regions for e in r.eqns)
        return atoms + 12 + inner + sum(_atom_width(r.results[0]) for r in eqn.regions)
    if eqn.prim in _OPERATORS:
        return atoms + 4
    if eqn.prim in ("load", "dim"):
        return atoms + (9 if eqn.prim == "dim" else 2)
    if eqn.prim in WRITES:
        return atoms + 4
    if eqn.prim in ("cholesky", "inv", "solve"):
        return atoms + 38  # np.ascontiguousarray(np.linalg.…)
    return atoms + len(eqn.prim) + (5 if PRIMS[eqn.prim].elementwise else 12)
