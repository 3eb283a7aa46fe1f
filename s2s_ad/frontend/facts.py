"""What is known about extents at a point of the program: equalities, and what their atoms are.

Facts are scoped: a branch or a loop body works on a `fork`, which is dropped at its end.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

from s2s_ad.ir.core import Atom
from s2s_ad.ir.types import UNKNOWN, Dim

_SHIFTED = re.compile(r"^(.*?)([+-]\d+)?$")
_SHIFTS = re.compile(r"[+-]\d+")


def split_dim(dim: str) -> tuple[str, int]:
    """`n-2` as ("n", -2)."""
    base, shift = _SHIFTED.match(dim).groups()
    return base, int(shift or 0)


def shifted(dim: Dim, by: int) -> Dim:
    """`max(dim + by, 0)`, in canonical form."""
    if isinstance(dim, int):
        return max(dim + by, 0)
    if dim == UNKNOWN:
        return dim
    base, shift = split_dim(dim)
    if shift < 0 < by:  # max(n - 1, 0) + 1 is not n where n is 0
        return f"{dim}{by:+d}"
    total = shift + by
    return f"{base}{total:+d}" if total else base


@dataclass
class Facts:
    """`parent` is a union-find over extents' base symbols, `alike` says what a shifted extent such
    as `n-1` is the same as, both sides without a parent; `extents` gives a symbol's atom,
    `positive` the extents checked to be at least 1, `nonzero` the integers known not to be 0."""

    parent: dict[str, Dim] = field(default_factory=dict)
    alike: dict[str, Dim] = field(default_factory=dict)
    extents: dict[str, Atom] = field(default_factory=dict)
    positive: set[Dim] = field(default_factory=set)
    nonzero: set[Atom] = field(default_factory=set)

    def fork(self) -> Facts:
        known = (self.parent, self.alike, self.extents, self.positive, self.nonzero)
        return Facts(*(k.copy() for k in known))

    def find(self, dim: Dim) -> Dim:
        """The representative of an extent."""
        while isinstance(dim, str):
            if _symbol(dim) in self.parent:
                dim = functools.reduce(shifted, _shifts(dim), self.parent[_symbol(dim)])
            elif dim in self.alike:
                dim = self.alike[dim]
            else:
                return dim
        return dim

    def equal(self, a: Dim, b: Dim) -> bool:
        """True where two extents are provably the same."""
        return UNKNOWN not in (a, b) and self.find(a) == self.find(b)

    def unite(self, a: Dim, b: Dim) -> None:
        """Remember that two extents are the same, as has just been checked."""
        a, b = self.find(a), self.find(b)
        if a == b or (isinstance(a, int) and isinstance(b, int)):
            return  # known, or a check that is known to fail
        if isinstance(a, str) and isinstance(b, str) and _symbol(a) == _symbol(b):
            # n is max(n - 1, 0): a name must not stand for what is made of it
            a, b = sorted((a, b), key=lambda d: list(map(abs, _shifts(d))))
        elif isinstance(b, int) or (isinstance(a, str) and not _shifts(a) and _shifts(b)):
            a, b = b, a
        if _shifts(b):
            self.alike[b] = a
            return
        self.parent[b] = a
        again, self.alike = self.alike, {}  # they may be shifts of what has a parent now
        for pair in again.items():
            self.unite(*pair)


def _symbol(dim: str) -> str:
    """The name in `n-1+1`."""
    return _SHIFTS.sub("", dim)


def _shifts(dim: str) -> list[int]:
    """[-1, 1] of `n-1+1`, which is max(n - 1, 0) + 1."""
    return list(map(int, _SHIFTS.findall(dim)))
