"""From array values to buffers: after this pass a write may overwrite what it is applied to.

    before                                    after
    A1 = store A, v, i {spec='i'}             A.1 = copy A
    s  = load A, i {spec='i'}                 A1 = store A.1, v, i {spec='i'}
                                              s  = load A, i {spec='i'}

A `copy` appears exactly where the old version, or something that may share its memory, is read
later; a program that was written imperatively gets none. The caller's arrays are overwritten only
where `Func.mutated` says so, and end up holding the result that it names, or where they are
donated, and end up holding anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from s2s_ad.analysis.liveness import Liveness
from s2s_ad.analysis.sharing import READONLY, WRITES, C, Sharing, is_view, loop_inits
from s2s_ad.ir.core import NO_PARAMS, Atom, Eqn, Func, Region, Var, walk
from s2s_ad.ir.subscript import split_spec


def inplace(func: Func, donated: Sequence[int] = ()) -> Func:
    """`func` with the copies that let every `store`, `accum` and `grow` work in place; the buffers
    of the parameters `donated` need no copy."""
    while True:
        edits = _Search(func, donated).run()
        if edits.empty:
            return _finish(func)
        func = func.with_(body=edits.apply(func.body, {}))


@dataclass
class _Edits:
    """Copies to insert: of an operand before its equation; of a view after its definition; of a
    region's result at its end; of the old version, for its later readers, before a write."""

    operands: set[tuple[Eqn, int]] = field(default_factory=set)
    views: set[Var] = field(default_factory=set)
    results: set[tuple[Region, int]] = field(default_factory=set)
    keeps: set[tuple[Eqn, int]] = field(default_factory=set)

    @property
    def empty(self) -> bool:
        return not (self.operands or self.views or self.results or self.keeps)

    def apply(self, region: Region, env: Mapping[Var, Atom]) -> Region:
        env, eqns = dict(env), []
        for eqn in region.eqns:
            ins = [env.get(a, a) for a in eqn.ins]
            for k, a in enumerate(eqn.ins):
                if (eqn, k) in self.operands:
                    eqns.append(_copy(ins[k], eqn, _named_for(eqn, k)))
                    ins[k] = eqns[-1].out
                elif (eqn, k) in self.keeps:
                    eqns.append(_copy(ins[k], eqn))
                    env[a] = eqns[-1].out
            regions = tuple(self.apply(r, env) for r in eqn.regions)
            new = eqn.with_(ins=tuple(ins), regions=regions)
            if any(out in self.views for out in eqn.outs):
                view = Var("t", eqn.out.type)
                eqns += [new.with_(outs=(view,)), _copy(view, eqn, eqn.out)]
            else:
                eqns.append(new)
        results = [env.get(a, a) for a in region.results]
        for k, a in enumerate(results):
            if (region, k) in self.results:
                eqns.append(_copy(a, eqns[-1] if eqns else None))
                results[k] = eqns[-1].out
        return Region(region.params, tuple(eqns), tuple(results))


def _copy(source: Atom, near: Eqn | None, out: Var | None = None) -> Eqn:
    out = out or Var(source.name, source.type)
    loc, role = (near.loc, near.role) if near else (None, "")
    return Eqn((out,), "copy", (source,), NO_PARAMS, (), loc, role)


def _named_for(eqn: Eqn, k: int) -> Var:
    """A variable for a copy of operand `k`, with the name of what it becomes there."""
    place = eqn.outs[0] if eqn.outs and k == 0 else eqn.ins[k]
    if eqn.prim in ("for", "while"):
        place = eqn.regions[-1].params[k - len(eqn.ins)]
    return Var(place.name, eqn.ins[k].type)


class _Search:
    """One round: the copies that are needed, outermost first. What a copy found in this round may
    make unnecessary is left for the next one. Of a copy outside of loops it is known what that is:
    what becomes of the copy no longer shares with anything else."""

    def __init__(self, func: Func, donated: Sequence[int]) -> None:
        self.func = func
        self.sharing, self.live = Sharing(func), Liveness(func)
        own = {func.params[p] for p, _ in func.mutated} | {func.params[p] for p in donated}
        self.foreign = {p for p in func.params if p.type.is_array and p not in own}
        self.homes, self.outermost = _homes(func), set(func.body.eqns)
        self.edits = _Edits()
        self.touched: set[Var] = set()
        self.copied: list[set[Var]] = []  # what becomes of each copy that is ordered outside loops
        self.heirs = _heirs(func.body)

    def run(self) -> _Edits:
        self._block(self.func.body)
        return self.edits

    def _block(self, region: Region) -> None:
        local = set(region.params)
        for eqn in region.eqns:
            if eqn.prim in WRITES or eqn.prim == "grow":
                self._write(eqn, local)
            elif eqn.prim in ("for", "while"):
                if not self._enter(eqn, local):
                    for r in eqn.regions:
                        self._block(r)
                skip = 1 if eqn.params.get("exit") else 0
                self._contiguous_results(eqn.regions[-1], skip)
            elif eqn.prim == "if":
                for r in eqn.regions:
                    self._block(r)
                    self._contiguous_results(r, 0)
            local.update(eqn.outs)

    def _contiguous_results(self, region: Region, skip: int) -> None:
        """What leaves a branch or an iteration has one layout, so that numba can type it."""
        for k, a in enumerate(region.results):
            if k >= skip and self.sharing.layout.get(a, C) != C:
                self.edits.results.add((region, k))

    def _write(self, eqn: Eqn, local: set[Var]) -> None:
        base, layout = eqn.ins[0], self.sharing.layout.get(eqn.ins[0], C)
        if eqn.prim == "grow":  # keeps the elements that are there
            if layout != C:
                self.edits.operands.add((eqn, 0))
            return
        # NumPy and numba read all of a stored view before they write; nothing else is that careful.
        careful = eqn.prim == "store" and "a" not in split_spec(eqn.params["spec"])
        for k in range(2 if careful else 1, len(eqn.ins)):
            if self.sharing.may_share(eqn.ins[k], base):
                self.edits.operands.add((eqn, k))
        self._resolve(eqn, 0, self._sharers_after(eqn, base), local, must=layout == READONLY)

    def _sharers_after(self, eqn: Eqn, base: Var) -> set[Var]:
        """What may share memory with `base` and is read after `eqn`, but for what that gives."""
        sharers = self.sharing.sharers(base) - set(eqn.outs)
        return {v for v in sharers if self.live.is_read_after(eqn, v)}

    def _enter(self, eqn: Eqn, local: set[Var]) -> bool:
        """Copies before a loop that overwrites a buffer which is read elsewhere."""
        inits, found = loop_inits(eqn), False
        offset = len(eqn.ins) - len(inits)
        written = [e.ins[0] for r in eqn.regions for e in walk(r) if e.prim in WRITES]
        captured = set(self.live.captured(eqn))
        for i, init in enumerate(inits):
            if not (isinstance(init, Var) and init.type.is_array):
                continue
            if self.sharing.layout[init] != C:
                self.edits.operands.add((eqn, offset + i))
                continue
            share = self.sharing.may_share
            if not any(share(w, init) for w in written):
                continue
            twin = any(
                share(init, other) and (eqn, offset + j) not in self.edits.operands
                for j, other in enumerate(inits)
                if j != i
            )
            others = self._sharers_after(eqn, init) | (captured & self.sharing.sharers(init))
            found |= self._resolve(eqn, offset + i, others, local, must=twin)
        return found

    def _resolve(self, eqn: Eqn, k: int, others: set[Var], local: set[Var], must: bool) -> bool:
        """Order what is needed for `eqn` to overwrite its operand `k` though `others` are live."""
        base = eqn.ins[k]
        sharers = self.sharing.sharers(base)
        foreign = bool(sharers & self.foreign)
        if not (must or foreign or others):
            return False
        if sharers & self.touched or (must and any(sharers & copy for copy in self.copied)):
            return True
        for copy in self.copied:  # as it will be after this round
            others = {w for w in others if (w in copy) == (base in copy)}
            foreign = foreign and base not in copy
        must = must or foreign
        if not (must or others):
            return True
        views = self.sharing.views
        if not must and all(w in views and views[w].prim == "load" for w in others):
            self.edits.views |= others
        elif not must and others == {base} and base in local and base in self.homes:
            self.edits.keeps.add((eqn, k))
        else:
            self.edits.operands.add((eqn, k))
            if eqn in self.outermost:
                self.copied.append(self._become(eqn, k))
                return True
        self.touched |= {base, *eqn.outs, *others}
        return True

    def _become(self, eqn: Eqn, k: int) -> set[Var]:
        """Every version of a copy of operand `k` of `eqn`, and every view of one."""
        inits = loop_inits(eqn) if eqn.prim in ("for", "while") else ()
        place = k - len(eqn.ins)
        queue = [eqn.outs[place], *(r.params[place] for r in eqn.regions)] if inits else [eqn.out]
        found: set[Var] = set()
        while queue:
            v = queue.pop()
            if v not in found:
                found.add(v)
                queue += self.heirs.get(v, ())
        return found


def _heirs(region: Region) -> dict[Atom, list[Var]]:
    """The variables that an array's buffer, or a part of it, goes on to be."""
    heirs: dict[Atom, list[Var]] = {}
    for eqn in walk(region):
        pairs: list[tuple[Atom, Var]] = []
        if eqn.prim in WRITES or eqn.prim == "grow" or is_view(eqn):
            pairs = [(eqn.ins[0], eqn.out)]
        elif eqn.prim == "if":
            pairs = [(a, out) for r in eqn.regions for a, out in zip(r.results, eqn.outs)]
        elif eqn.prim in ("for", "while"):
            inits = loop_inits(eqn)
            for k in range(-len(inits), 0):
                places = [eqn.outs[k], *(r.params[k] for r in eqn.regions)]
                ways = (inits[k], eqn.regions[-1].results[k])
                pairs += [(a, place) for a in ways for place in places]
        for a, heir in pairs:
            if heir.type.is_array:
                heirs.setdefault(a, []).append(heir)
    return heirs


def _homes(func: Func) -> dict[Var, Var]:
    """The mutated argument whose buffer a variable certainly is."""
    home: dict[Var, Var] = {func.params[p]: func.params[p] for p, _ in func.mutated}

    def agree(out: Var, ways: list[Atom]) -> None:
        home.pop(out, None)
        found = {home.get(a) for a in ways}
        if len(found) == 1 and None not in found:
            home[out] = found.pop()

    def block(region: Region) -> None:
        for eqn in region.eqns:
            if eqn.prim in WRITES:
                agree(eqn.out, [eqn.ins[0]])
            elif eqn.prim == "if":
                for r in eqn.regions:
                    block(r)
                for i, out in enumerate(eqn.outs):
                    agree(out, [r.results[i] for r in eqn.regions])
            elif eqn.prim in ("for", "while"):
                loop(eqn)

    def loop(eqn: Eqn) -> None:
        inits, body = loop_inits(eqn), eqn.regions[-1]
        outs = eqn.outs[len(eqn.outs) - len(inits) :]
        results = body.results[len(body.results) - len(inits) :]
        params = body.params[len(body.params) - len(inits) :]
        for p, a in zip(params, inits):
            agree(p, [a])
        while True:
            block(body)
            moved = [p for p, r in zip(params, results) if p in home and home.get(r) != home[p]]
            if not moved:
                break
            for p in moved:
                del home[p]
        for out, p in zip(outs, params):
            agree(out, [p])

    block(func.body)
    return home


def _finish(func: Func) -> Func:
    """Results of their own: no array that the caller has, none twice; mutated arguments hold the
    results that they are to hold."""
    sharing, homes = Sharing(func), _homes(func)
    mutated = {r: func.params[p] for p, r in func.mutated}
    results, copies, stores = list(func.results), [], []
    near = func.body.eqns[-1] if func.body.eqns else None
    given: list[Atom] = list(func.params)
    for r, a in enumerate(func.results):
        if not a.type.is_array or homes.get(a, sharing) is mutated.get(r):
            continue
        taken = mutated.values() if r in mutated else given
        readonly = sharing.layout[a] == READONLY
        if any(sharing.may_share(a, other) for other in taken) or (readonly and r not in mutated):
            name = "t" if a in func.params else a.name
            copies.append(_copy(a, near, Var(name, a.type)))
            results[r] = copies[-1].out
        elif r not in mutated:
            given.append(a)
    for r, param in mutated.items():
        a = results[r]
        if homes.get(a) is param:
            continue
        out, spec = Var(param.name, param.type), ",".join(":" * param.type.ndim)
        loc, role = (near.loc, near.role) if near else (None, "")
        stores.append(Eqn((out,), "store", (param, a), {"spec": spec}, (), loc, role))
        results[r] = out
    if not (copies or stores):
        return func
    body = Region(func.params, (*func.body.eqns, *copies, *stores), tuple(results))
    return func.with_(body=body)
