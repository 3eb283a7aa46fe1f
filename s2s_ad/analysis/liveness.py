"""Liveness: which variables a program still reads after each equation.

Loops are accounted for: what a loop's body reads from around it is live during all of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from s2s_ad.ir.core import Eqn, Func, Region, Var, free_vars

Reads = Callable[[Eqn], Iterable[Var]]


class Liveness:
    """`after[eqn]` is what is read after `eqn`, `entry[region]` what is live where it starts: bits
    of an integer, one for each variable, since a reverse sweep has thousands that live long.

    `reads` says which variables an equation reads itself (not in its regions), `results` which ones
    the end of a region reads; an equation for which `skip` is true does not exist. The defaults are
    those of the IR; the printer has its own, because it evaluates folded expressions later."""

    def __init__(
        self,
        func: Func,
        reads: Reads = lambda eqn: (a for a in eqn.ins if isinstance(a, Var)),
        results: Callable[[Region], Iterable[Var]] = lambda r: (
            a for a in r.results if isinstance(a, Var)
        ),
        skip: Callable[[Eqn], bool] = lambda eqn: False,
    ) -> None:
        self.after: dict[Eqn, int] = {}
        self.entry: dict[Region, int] = {}
        self._numbers: dict[Var, int] = {}
        self._reads, self._results, self._skip = reads, results, skip
        self._free: dict[Region, list[Var]] = {}
        self._block(func.body, 0)

    def bits(self, variables: Iterable[Var]) -> int:
        """The bits of some variables."""
        found = 0
        for v in variables:
            found |= 1 << self._numbers.setdefault(v, len(self._numbers))
        return found

    def is_read_after(self, eqn: Eqn, v: Var) -> bool:
        return bool(self.after[eqn] >> self._numbers.get(v, len(self._numbers)) & 1)

    def is_read_in(self, region: Region, v: Var) -> bool:
        return bool(self.entry[region] >> self._numbers.get(v, len(self._numbers)) & 1)

    def captured(self, eqn: Eqn) -> list[Var]:
        """What the regions of `eqn` read from around them."""
        found: dict[Var, None] = {}
        for region in eqn.regions:
            if region not in self._free:
                self._free[region] = free_vars(region)
            found.update(dict.fromkeys(self._free[region]))
        return list(found)

    def _block(self, region: Region, after: int) -> None:
        live = after | self.bits(self._results(region))
        for eqn in reversed(region.eqns):
            if self._skip(eqn):
                continue
            self.after[eqn] = inner = live
            outs, captured = self.bits(eqn.outs), self.bits(self.captured(eqn))
            if eqn.prim in ("for", "while"):
                # An iteration may follow: everything captured is read again. The count of a loop
                # with an exit is kept while it runs; its other results do not exist yet.
                count = self.bits(eqn.outs[:1]) if eqn.params.get("exit") else 0
                inner = (live & ~(outs & ~count)) | captured
            elif eqn.prim == "if":
                inner = live & ~outs
            if eqn.prim == "while":
                # The body, or what follows the loop, gets what the condition saw.
                self._block(eqn.regions[0], inner | self.bits(eqn.regions[1].params))
                self._block(eqn.regions[1], inner)
            else:
                for r in eqn.regions:
                    self._block(r, inner)
            live = (live & ~outs) | self.bits(self._reads(eqn)) | captured
        self.entry[region] = live
