"""What is known about extents at a point of the program: equalities, and what their atoms are.

Facts are scoped: a branch or a loop body works on a `fork`, which is dropped at its end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from s2s_ad.ir.core import Atom
from s2s_ad.ir.types import UNKNOWN, Dim

_SHIFTED = re.compile(r"^(.*?)([+-]\d+)?$")


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
    """`parent` is a union-find over extents' base symbols, `extents` gives a symbol's atom,
    `positive` the extents checked to be at least 1, `nonzero` the integers known not to be 0."""

    parent: dict[str, Dim] = field(default_factory=dict)
    extents: dict[str, Atom] = field(default_factory=dict)
    positive: set[Dim] = field(default_factory=set)
    nonzero: set[Atom] = field(default_factory=set)

    def fork(self) -> Facts:
        return Facts(dict(self.parent), dict(self.extents), set(self.positive), set(self.nonzero))

    def find(self, dim: Dim) -> Dim:
        """The representative of an extent."""
        while isinstance(dim, str):
            if dim in self.parent:
                dim = self.parent[dim]
                continue
            base, shift = split_dim(dim)
            if shift and base in self.parent:
                dim = shifted(self.parent[base], shift)
                continue
            return dim
        return dim

    def equal(self, a: Dim, b: Dim) -> bool:
        """True where two extents are provably the same."""
        return UNKNOWN not in (a, b) and self.find(a) == self.find(b)

    def unite(self, a: Dim, b: Dim) -> None:
        """Remember that two extents are the same, as has just been checked."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return
        if isinstance(a, str) and isinstance(b, str) and split_dim(a)[0] == split_dim(b)[0]:
            # n is max(n - 1, 0): a name must not stand for what is made of it
            a, b = sorted((a, b), key=lambda d: abs(split_dim(d)[1]))
            self.parent[b] = a
        elif isinstance(b, str) and (isinstance(a, int) or split_dim(b)[1] == 0 or split_dim(a)[1]):
            self.parent[b] = a
        else:
            self.parent[a] = b
