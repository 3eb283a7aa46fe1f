"""Which arrays may share memory once the program is printed as NumPy code.

    store, accum, grow       share with their operand: they overwrite it
    views                    share with their operand
    a loop's parameter       shares with what its initial value or its body's result shares with
    an if's result           shares with what either branch's result shares with

The relation is pairwise, not a partition, and starts from "nothing is shared" in loops: after
`yield v1, u` with separate `u` and `v`, the two buffers swap places and still do not share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from s2s_ad.ir.core import Atom, Eqn, Func, Region, Var
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import split_spec

#: Primitives that print as a NumPy view of their first operand (`load` with basic indices too).
VIEWS = frozenset("transpose reshape expand squeeze broadcast stop_gradient".split())
#: Primitives that overwrite elements of their first operand's buffer.
WRITES = frozenset(("store", "accum"))
#: Memory layout, as far as it is certain: C order, any strides, or not writable (broadcast).
C, STRIDED, READONLY = "C", "strided", "read-only"


def is_view(eqn: Eqn) -> bool:
    """True where the result is a view of the first operand."""
    if not (eqn.outs and eqn.outs[0].type.is_array and eqn.ins and eqn.ins[0].type.is_array):
        return False
    if eqn.prim == "load":
        return "a" not in split_spec(eqn.params["spec"])
    return eqn.prim in VIEWS


class Sharing:
    """`may_share(a, b)` for two variables that are alive together; `layout[v]` of each array."""

    def __init__(self, func: Func) -> None:
        self.peers: dict[Var, set[Var]] = {}
        self.layout: dict[Var, str] = {}
        self.views: dict[Var, Eqn] = {}  # results that are views
        arrays = {p for p in func.params if p.type.is_array}
        for p in arrays:
            self._define(p, ())
            self.layout[p] = C
        self._block(func.body, arrays)

    def may_share(self, a: Atom, b: Atom) -> bool:
        return a is b or (isinstance(a, Var) and b in self.peers.get(a, ()))

    def sharers(self, a: Atom) -> set[Var]:
        """`a` and everything that may share with it."""
        return {a, *self.peers.get(a, ())} if isinstance(a, Var) else set()

    def _define(self, v: Var, peers: Iterable[Var]) -> None:
        """(Re)define `v`: what an earlier iteration's `v` shared with is forgotten."""
        for other in self.peers.get(v, ()):
            self.peers[other].discard(v)
        self.peers[v] = {p for p in peers if p is not v}
        for other in self.peers[v]:
            self.peers[other].add(v)

    def _block(self, region: Region, scope: set[Var]) -> None:
        scope = set(scope)
        for eqn in region.eqns:
            if eqn.prim == "if":
                for r in eqn.regions:
                    self._block(r, scope)
                ways = [r.results for r in eqn.regions]
                self._define_all(self._joined(eqn.outs, ways, scope))
            elif eqn.prim in ("for", "while"):
                self._loop(eqn, scope)
            else:
                self._simple(eqn)
            scope.update(o for o in eqn.outs if o.type.is_array)

    def _simple(self, eqn: Eqn) -> None:
        view = is_view(eqn)
        for out in eqn.outs:
            if out.type.is_array:
                shared = view or eqn.prim in WRITES or eqn.prim == "grow"
                self._define(out, self.sharers(eqn.ins[0]) if shared else ())
                self.layout[out] = self._layout_of(eqn)
                if view:
                    self.views[out] = eqn

    def _loop(self, eqn: Eqn, scope: set[Var]) -> None:
        inits, skip = loop_inits(eqn), 1 if eqn.params.get("exit") else 0
        body = eqn.regions[-1]
        # A while has its carried parameters twice: in the condition and in the body.
        params = [p for r in eqn.regions for p in r.params[len(r.params) - len(inits) :]]
        times = len(eqn.regions)
        ways = [list(inits) * times]
        before = None
        while (now := self._joined(params, ways, scope)) != before:
            before = now
            self._define_all(now)
            for r in eqn.regions:
                self._block(r, scope | {p for p in r.params if p.type.is_array})
            ways = [list(inits) * times, list(body.results[skip:]) * times]
        outs = self._joined(eqn.outs[skip:], [inits, body.results[skip:]], scope)
        self._define_all(outs)

    def _joined(
        self, outs: Sequence[Var], ways: Sequence[Sequence[Atom]], scope: set[Var]
    ) -> dict[Var, set[Var]]:
        """What each of `outs` shares with, which is the same-placed value of one of `ways`."""
        found: dict[Var, set[Var]] = {}
        for i, out in enumerate(outs):
            if not out.type.is_array:
                continue
            found[out] = {v for way in ways for v in self.sharers(way[i]) if v in scope}
            for j in range(i):
                if any(self.may_share(way[i], way[j]) for way in ways):
                    found[out].add(outs[j])
                    found[outs[j]].add(out)
        return found

    def _define_all(self, found: dict[Var, set[Var]]) -> None:
        for out in found:
            self._define(out, ())
        for out, peers in found.items():
            self._define(out, peers)
            self.layout[out] = C  # `inplace` sees to it

    def _layout_of(self, eqn: Eqn) -> str:
        prim, first = eqn.prim, self.layout.get(eqn.ins[0], C) if eqn.ins else C
        if prim in WRITES or prim == "stop_gradient":
            return first
        if prim == "load":
            return _slice_layout(first, split_spec(eqn.params["spec"]))
        if prim == "squeeze":
            axes = range(eqn.ins[0].type.ndim)
            return _slice_layout(first, ["i" if a in eqn.params["axes"] else ":" for a in axes])
        if prim in ("transpose", "expand"):
            return C if not eqn.ins[0].type.is_array else STRIDED if first == C else first
        if prim == "broadcast":
            return READONLY if eqn.ins[0].type.is_array else C
        if prim == "cumsum" and eqn.params.get("reverse"):
            return STRIDED
        if prim in ("copy", "reshape", "grow", "empty", "full", "iota", "nonzero"):
            return C
        if PRIMS[prim].kind == "contract":
            return C
        arrays = [a for a in eqn.ins if a.type.is_array and a.type.ndim == eqn.outs[0].type.ndim]
        rank_one = eqn.outs[0].type.ndim == 1
        # NumPy's results follow the order of their operands.
        return C if rank_one or any(self.layout.get(a) == C for a in arrays) else STRIDED


def _slice_layout(base: str, tokens: list[str]) -> str:
    """Layout of a basic subscript, by numba's rule: leading indices, then at most one slice."""
    if "a" in tokens:
        return C if tokens[0] == "a" and set(tokens[1:]) <= {":"} else STRIDED
    while tokens and tokens[-1] == ":":
        tokens = tokens[:-1]
    leading = all(t == "i" for t in tokens[:-1])
    if base == C and leading and (not tokens or tokens[-1].count(":") <= 1):
        return C
    return STRIDED if base == C else base


def loop_inits(eqn: Eqn) -> tuple[Atom, ...]:
    """The initial values of what a loop carries."""
    return eqn.ins[3:] if eqn.prim == "for" else eqn.ins
