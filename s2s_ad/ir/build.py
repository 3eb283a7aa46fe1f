"""Building IR: a `Builder` collects the equations of one region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from s2s_ad.errors import Loc
from s2s_ad.ir.core import PRIMAL, Atom, Eqn, Lit, Region, Var
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.types import BOOL, I64, Type


def i64(value: int) -> Lit:
    return Lit(int(value), I64)


def boolean(value: bool) -> Lit:
    return Lit(bool(value), BOOL)


def number(value: float, dtype: str) -> Lit:
    """`value` as a literal of `dtype`, converted as Python would."""
    kinds = {"bool": bool, "i32": int, "i64": int, "f32": float, "f64": float}
    return Lit(kinds.get(dtype, complex)(value), Type(dtype))


class Builder:
    """The equations of one region, in the making. New equations get `loc` and `role`."""

    def __init__(self, loc: Loc | None = None, role: str = PRIMAL) -> None:
        self.eqns: list[Eqn] = []
        self.loc, self.role = loc, role

    def append(self, eqn: Eqn) -> None:
        self.eqns.append(eqn)

    def equation(
        self,
        prim: str,
        ins: Sequence[Atom],
        params: dict[str, Any] | None = None,
        regions: Sequence[Region] = (),
        names: Sequence[str] = (),
        types: Sequence[Type] | None = None,
    ) -> tuple[Var, ...]:
        """Append `prim` and return its results. `names` are hints; `types` replaces the inferred
        types where the caller knows more about extents."""
        params = params or {}
        inferred = PRIMS[prim].infer(ins, params, regions)
        types = inferred if types is None else types
        names = list(names) + ["t"] * (len(types) - len(names))
        outs = tuple(Var(n, t) for n, t in zip(names, types))
        frozen = MappingProxyType(dict(params))
        self.append(Eqn(outs, prim, tuple(ins), frozen, tuple(regions), self.loc, self.role))
        return outs

    def emit(
        self, prim: str, *ins: Atom, name: str = "t", type: Type | None = None, **params: Any
    ) -> Var:
        """Append a primitive with one result: `b.emit("add", x, y, name="z")`."""
        types = None if type is None else (type,)
        (out,) = self.equation(prim, ins, params, names=(name,), types=types)
        return out

    def region(self, params: Sequence[Var], results: Sequence[Atom]) -> Region:
        return Region(tuple(params), tuple(self.eqns), tuple(results))

    @contextmanager
    def at(self, loc: Loc | None) -> Iterator[None]:
        """Equations made inside carry `loc`."""
        before, self.loc = self.loc, loc
        try:
            yield
        finally:
            self.loc = before

    @contextmanager
    def playing(self, role: str) -> Iterator[None]:
        """Equations made inside have `role`."""
        before, self.role = self.role, role
        try:
            yield
        finally:
            self.role = before
