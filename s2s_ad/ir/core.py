"""The IR: a typed SSA program with structured control flow, as frozen data.

    Func   name, body, source       the body's params are the function's; its results are the values
    Region params, eqns, results    a block; it may use any variable defined before it outside
    Eqn    outs = prim ins {params} regions
    Var    a name hint and a type; identity is the object, not the name

Arrays are values: `A1 = store A0, v, i {spec='i'}` is a new version of `A0`. Three primitives have
regions:

    outs          = if cond               { () -> results }  { () -> results }
    outs          = for start, stop, step, *inits  { (i, *carried) -> results }
    count, *outs  = for … {exit=True}     { (i, *carried) -> (stop_now, *results) }
    outs          = while *inits          { (*carried) -> cond }  { (*carried) -> results }

A `for` with `exit=True` ends after the first iteration whose `stop_now` is True; `count` counts the
iterations that were executed, i64. `step` is a non-zero i64 (a literal wherever possible).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from s2s_ad.errors import Loc
from s2s_ad.ir.types import Type

#: What an equation is there for. TANGENT equations are linear in tangents: what is transposed.
#: ADJOINT ones are the reverse sweep's, but for what it computes of the primal: RECOMPUTED, which
#: comes to the same bits as the first time.
PRIMAL, TANGENT, ADJOINT, RECOMPUTED = "", "tangent", "adjoint", "recomputed"
REVERSE = (ADJOINT, RECOMPUTED)
#: A parameter of the additions and products that stand for NumPy's `sum` and `prod`: the order of
#: the terms is nobody's, other than that of a sum which the user writes as a loop.
ANY_ORDER = "any_order"
#: A parameter of `maximum` and `minimum` that are Python's: the first operand, unless the second is
#: more, or less. They part from NumPy's where one is nan.
FIRST = "first"
#: A parameter of a tangent's `store`: nothing has read or written the place before, and it is zero.
FIRST_TOUCH = "first_touch"
#: A parameter of sums at the places of index arrays, which name no place twice.
DISTINCT = "distinct"
#: A parameter of `for`: the user has WISHED for a loop whose iterations run at the same time
#: (prange), or it is PROVED that they may, or not proved (passes/parallel.py): the wish is DENIED.
PARALLEL, WISHED, PROVED, DENIED = "parallel", "wished", "proved", "denied"
#: A parameter of `for`: these are the few first or last iterations of a loop (passes/split.py).
EDGE = "edge"
NO_PARAMS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Var:
    """An SSA variable. `name` is a hint (the user's name); the printer makes it unique."""

    name: str
    type: Type

    def __repr__(self) -> str:
        return f"{self.name}: {self.type}"


@dataclass(frozen=True, eq=False)
class Lit:
    """A literal scalar of a known type. Two are equal where they are the same bits, other than
    Python's numbers: nan and nan are, 0.0 and -0.0 are not."""

    value: bool | int | float | complex
    type: Type

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Lit) or self.type != other.type:
            return False
        if self.value == 0 or self.value != self.value or isinstance(self.value, complex):
            return repr(self.value) == repr(other.value)
        return self.value == other.value

    def __hash__(self) -> int:
        return hash((0 if self.value != self.value else self.value, self.type))

    def __repr__(self) -> str:
        return f"{self.value}: {self.type}"


Atom = Var | Lit


@dataclass(frozen=True, eq=False)
class Region:
    params: tuple[Var, ...]
    eqns: tuple[Eqn, ...]
    results: tuple[Atom, ...]


@dataclass(frozen=True, eq=False)
class Eqn:
    outs: tuple[Var, ...]
    prim: str
    ins: tuple[Atom, ...] = ()
    params: Mapping[str, Any] = field(default_factory=lambda: NO_PARAMS)
    regions: tuple[Region, ...] = ()
    loc: Loc | None = None
    role: str = PRIMAL

    @property
    def out(self) -> Var:
        (only,) = self.outs
        return only

    def with_(self, **changes: Any) -> Eqn:
        return replace(self, **changes)


@dataclass(frozen=True, eq=False)
class Func:
    """A function. `result_names` label the results (`return` values, then the final versions of
    arguments it writes to); `mutated` lists (parameter index, result index) of those."""

    name: str
    body: Region
    result_names: tuple[str, ...] = ()
    mutated: tuple[tuple[int, int], ...] = ()

    @property
    def params(self) -> tuple[Var, ...]:
        return self.body.params

    @property
    def results(self) -> tuple[Atom, ...]:
        return self.body.results

    def with_(self, **changes: Any) -> Func:
        return replace(self, **changes)


def region_uses(region: Region) -> Iterator[Var]:
    """Every use of a variable in `region`, nested ones too (not only the free ones)."""
    for eqn in region.eqns:
        yield from eqn_uses(eqn)
    for atom in region.results:
        if isinstance(atom, Var):
            yield atom


def eqn_uses(eqn: Eqn) -> Iterator[Var]:
    """Every use of a variable by `eqn`, in its regions too."""
    for atom in eqn.ins:
        if isinstance(atom, Var):
            yield atom
    for region in eqn.regions:
        yield from region_uses(region)


def region_defs(region: Region) -> Iterator[Var]:
    """Every variable defined in `region`, nested ones too."""
    yield from region.params
    for eqn in region.eqns:
        yield from eqn.outs
        for inner in eqn.regions:
            yield from region_defs(inner)


def free_vars(region: Region) -> list[Var]:
    """Variables used in `region` and defined outside, in order of first use, each once."""
    defined = set(region_defs(region))
    return [v for v in dict.fromkeys(region_uses(region)) if v not in defined]


def eqn_free_vars(eqn: Eqn) -> list[Var]:
    """Variables that `eqn` reads from around it: its operands and what its regions capture."""
    names = dict.fromkeys(a for a in eqn.ins if isinstance(a, Var))
    for region in eqn.regions:
        names.update(dict.fromkeys(free_vars(region)))
    return list(names)


def walk(region: Region) -> Iterator[Eqn]:
    """All equations, outer before inner, in program order."""
    for eqn in region.eqns:
        yield eqn
        for inner in eqn.regions:
            yield from walk(inner)


def forget_roles(region: Region) -> Region:
    """All of `region` as primal code: a derivative that is going to be differentiated itself."""
    eqns = []
    for e in region.eqns:
        params = {k: v for k, v in e.params.items() if k != "linear"}
        regions = tuple(map(forget_roles, e.regions))
        eqns.append(e.with_(role=PRIMAL, params=params, regions=regions))
    return Region(region.params, tuple(eqns), region.results)


def substitute(region: Region, env: Mapping[Var, Atom]) -> Region:
    """`region` with its free variables renamed by `env`; what it defines keeps its identity."""
    if not env:
        return region

    def atom(a: Atom) -> Atom:
        return env.get(a, a) if isinstance(a, Var) else a

    eqns = tuple(
        e.with_(ins=tuple(map(atom, e.ins)), regions=tuple(substitute(r, env) for r in e.regions))
        for e in region.eqns
    )
    return Region(region.params, eqns, tuple(map(atom, region.results)))


def clone(region: Region, env: Mapping[Var, Atom] = MappingProxyType({})) -> Region:
    """A copy of `region` whose definitions are all new variables; `env` renames free ones."""
    names: dict[Var, Atom] = dict(env)

    def define(v: Var) -> Var:
        names[v] = new = Var(v.name, v.type)
        return new

    def atom(a: Atom) -> Atom:
        return names.get(a, a) if isinstance(a, Var) else a

    def copy(r: Region) -> Region:
        params = tuple(map(define, r.params))
        eqns = []
        for e in r.eqns:
            ins, regions = tuple(map(atom, e.ins)), tuple(map(copy, e.regions))
            eqns.append(e.with_(ins=ins, regions=regions, outs=tuple(map(define, e.outs))))
        return Region(params, tuple(eqns), tuple(map(atom, r.results)))

    return copy(region)
