"""Fusion: which array equations of a region get memory, which share a loop nest, in which order.

Arrays are values, so only dataflow limits what may move. Two things are weighed besides: an
expensive value is computed once, and a value is read before its array is overwritten in place
(else `inplace` would have to copy the whole array).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from s2s_ad.ir.core import Atom, Eqn, Region, Var, eqn_free_vars, free_vars, region_uses, walk
from s2s_ad.ir.prims import PRIMS, has_effect
from s2s_ad.ir.subscript import is_contiguous, split_spec
from s2s_ad.passes.lower_gather import can_gather, is_shifted, reads_gathered_safely
from s2s_ad.passes.lower_roots import Root, make_root, root_kind
from s2s_ad.passes.lower_values import FILLS, Values, is_gather, is_lazy

#: Operations that are cheaper than writing their result to memory and reading it again.
LIGHT = frozenset(
    "neg abs sign add sub mul maximum minimum convert select stop_gradient and or not xor "
    "eq ne lt le gt ge isnan isinf isfinite".split()
)
_MEMORY_COST = 2  # values up to this many light operations are computed wherever they are used


@dataclass(eq=False)
class Item:
    """Something to emit: a nest of `roots`, or one equation as it is. The roots of one that is
    `gathered` are a chain, each of which writes what the one before has written."""

    position: int
    eqn: Eqn
    roots: list[Root]
    reads: set[Var]
    defs: set[Var]
    kills: dict[Var, None]  # arrays that are overwritten in place, in order
    next: set[Item] = field(default_factory=set)  # what must come later
    gathered: bool = False


@dataclass(frozen=True)
class Plan:
    """The items of a region in order; `dropped` are results that only their own nest needs."""

    items: tuple[Item, ...]
    dropped: set[Var]


def plan(values: Values, region: Region) -> Plan:
    """How to lower the equations of `region`. Marks what needs memory in `values.stored`."""
    storage = _Storage(values, region)
    while True:
        with values.region():
            items = _items(values, region, storage)
        _order(items)
        with values.region():
            items = _share_nests(values, region, _gather_chains(values, region, items))
        more = _conflicts(values, items)
        if not more:
            return Plan(tuple(_schedule(items)), _dropped(values, storage, items))
        values.stored |= more
        storage.kept -= more


# --- what gets memory ----------------------------------------------------------------------------


class _Storage:
    """Walks a region backwards: uses are known before definitions. `kept` are views that stay
    array equations, `made` are fills that do, `needed` must be arrays."""

    def __init__(self, values: Values, region: Region) -> None:
        self.values = values
        self.needed = {a for a in region.results if isinstance(a, Var) and a.type.is_array}
        self.local = {v for eqn in region.eqns for v in eqn.outs}
        self.kept: set[Var] = set()
        self.made: set[Var] = set()
        self.captured: set[Var] = set()
        self.repeated: set[Var] = set()  # evaluated several times per element
        self.scattered: set[Var] = set()  # their elements come from a column, one from each row
        self.expensive: set[Var] = set()  # not to be computed twice, whatever `cost` says
        self.weight: Counter[Var] = Counter()
        self.cost: dict[Var, int] = {}
        uses = Counter(v for eqn in region.eqns for v in set(eqn.ins) if isinstance(v, Var))
        for eqn in region.eqns:
            self._price(eqn, uses)
        for eqn in reversed(region.eqns):
            self._visit(eqn)

    def _price(self, eqn: Eqn, uses: Counter[Var]) -> None:
        """The operations to evaluate an element of the result, from what will be in memory."""
        if not eqn.outs or not is_lazy(eqn):
            return
        tokens = split_spec(eqn.params["spec"]) if eqn.prim == "load" else []
        if (tokens and tokens[-1] == "i") or any(v in self.scattered for v in eqn.ins):
            self.scattered.add(eqn.out)
        cost = sum(self.cost.get(v, 0) for v in dict.fromkeys(eqn.ins) if isinstance(v, Var))
        if PRIMS[eqn.prim].elementwise:
            cost += 1 if eqn.prim in LIGHT else 10
            if cost > _MEMORY_COST and uses[eqn.out] > 1:
                self.expensive.add(eqn.out)
                cost = 0
        self.cost[eqn.out] = cost

    def _visit(self, eqn: Eqn) -> None:
        copies = 1
        if eqn.outs and is_lazy(eqn):
            out = eqn.out
            if self._is_stored(eqn):
                self.values.stored.add(out)
                self.kept.discard(out)
            else:
                if eqn.prim in FILLS and out in self.needed:
                    self.made.add(out)
                copies = self.weight[out]
                self._pass_on(eqn)
        for v in dict.fromkeys(array_vars(eqn.ins)):
            self.weight[v] += copies
            if copies and self._is_stretched(eqn, v):
                self.repeated.add(v)
        for v in demanded_by(self.values, eqn):
            if eqn.prim in ("dot", "nonzero") and self._is_plain_view(v):
                self._keep(v)
            elif eqn.prim == "dot" and self._is_turned(v):
                self.kept.add(v)
                self.needed.add(self.values.defs[v].ins[0])
            else:
                self.needed.add(v)
        for inner in eqn.regions:
            captured = _captured_elements(inner)
            self.captured.update(captured)
            self.weight.update(captured)
            self.needed.update(v for v in demanded(self.values, inner) if v in captured)

    def _is_stored(self, eqn: Eqn) -> bool:
        out = eqn.out
        if eqn.prim in FILLS:
            return False
        if out in self.needed:
            return True
        if out in self.repeated and out in self.scattered:
            return PRIMS[eqn.prim].elementwise or eqn.prim == "load"
        if not PRIMS[eqn.prim].elementwise:
            return False
        often = self.weight[out] > 1 or out in self.repeated
        expensive = out in self.expensive or self.cost[out] > _MEMORY_COST
        return out in self.captured or (often and expensive)

    def _pass_on(self, eqn: Eqn) -> None:
        """What holds for a value that is not in memory holds for what it is computed from."""
        for marks in (self.captured, self.repeated):
            if eqn.out in marks:
                marks.update(array_vars(eqn.ins))

    def _is_stretched(self, eqn: Eqn, v: Var) -> bool:
        """True where `eqn` evaluates elements of `v` again and again: `v` is broadcast over an
        outer axis, or picked by an array of indices."""
        if eqn.prim == "load":
            return is_gather(eqn) and v is eqn.ins[0]
        if eqn.prim == "broadcast":
            axes = eqn.params["axes"]
        elif eqn.outs and PRIMS[eqn.prim].elementwise:
            axes = range(eqn.out.type.ndim - v.type.ndim, eqn.out.type.ndim)
        else:
            return False
        present = [a for a, d in zip(axes, v.type.shape) if d != 1]
        absent = [a for a, d in enumerate(eqn.out.type.shape) if d != 1 and a not in present]
        return bool(present and absent) and min(absent) < max(present)

    def _is_plain_view(self, v: Var) -> bool:
        """True for what NumPy gives as a contiguous view (or the transpose of one)."""
        eqn = self.values.lazy(v)
        if eqn is None or v not in self.local:
            return False
        if eqn.prim == "transpose":
            return self._is_plain_view(eqn.ins[0]) or self.values.lazy(eqn.ins[0]) is None
        if eqn.prim != "load" or self.values.lazy(eqn.ins[0]) is not None:
            return False
        return is_contiguous(eqn.params["spec"])

    def _is_turned(self, v: Var) -> bool:
        """True for the transpose of what is computed here: BLAS reads that as it is computed."""
        eqn = self.values.lazy(v)
        if eqn is None or eqn.prim != "transpose" or v not in self.local:
            return False
        return eqn.ins[0] in self.local

    def _keep(self, v: Var) -> None:
        eqn = self.values.lazy(v)
        if eqn is None:
            self.needed.add(v)
        else:
            self.kept.add(v)
            self._keep(eqn.ins[0])


def _captured_elements(region: Region) -> set[Var]:
    """The arrays from around `region` that it reads more of than the shape."""
    read = {v for e in walk(region) if e.prim != "dim" for v in array_vars(e.ins)}
    read.update(v for e in walk(region) for r in e.regions for v in array_vars(r.results))
    read.update(array_vars(region.results))
    return read & set(free_vars(region))


def array_vars(atoms: Iterable[Atom]) -> list[Var]:
    return [a for a in atoms if isinstance(a, Var) and a.type.is_array]


def demanded_by(values: Values, eqn: Eqn) -> list[Var]:
    """The operands of `eqn` that must be in memory."""
    whole = "dot cholesky inv solve nonzero reshape grow for while perform".split()
    if eqn.prim in whole:
        return array_vars(eqn.ins)
    return array_vars(eqn.ins[:1]) if eqn.prim in ("store", "accum") else []


def demanded(values: Values, region: Region) -> Iterator[Var]:
    """Everything that must be in memory for `region`, nested ones too."""
    yield from array_vars(region.results)
    for eqn in region.eqns:
        yield from demanded_by(values, eqn)
        for inner in eqn.regions:
            yield from demanded(values, inner)


# --- order ---------------------------------------------------------------------------------------


def _items(values: Values, region: Region, storage: _Storage) -> list[Item]:
    """One item for each equation that is emitted, and what it reads, defines and overwrites."""
    items = []
    for position, eqn in enumerate(region.eqns):
        values.note(eqn)
        kind = root_kind(values, eqn)
        lazy = kind is None and eqn.outs and values.lazy(eqn.outs[0]) is not None
        if lazy and eqn.out not in storage.kept | storage.made:
            continue
        used = eqn.ins if kind else eqn_free_vars(eqn)
        leaves = values.shape_leaves if eqn.prim == "dim" else values.leaves
        reads = set().union(*map(leaves, used))
        roots = [make_root(values, eqn, kind)] if kind else []
        items.append(Item(position, eqn, roots, reads, set(eqn.outs), kills(eqn)))
    return items


def kills(eqn: Eqn) -> dict[Var, None]:
    """The arrays from around `eqn` that it overwrites in place."""
    if eqn.prim in ("store", "accum", "grow"):
        return {eqn.ins[0]: None}
    found = dict.fromkeys(array_vars(eqn.ins)) if eqn.prim in ("for", "while") else {}
    for region in eqn.regions:
        outside = set(free_vars(region))
        for inner in walk(region):
            if inner.prim in ("store", "accum", "grow", "for", "while"):
                found |= {v: None for v in kills(inner) if v in outside}
    return found


def _order(items: Sequence[Item]) -> None:
    """The edges of the order: data first; then effects, which stay in order and before what
    relies on them; then readers of an array before what overwrites it, where possible."""
    maker = {v: item for item in items for v in item.defs}
    effect: Item | None = None
    for item in items:
        for v in item.reads & maker.keys():
            if maker[v] is not item:
                maker[v].next.add(item)
        acts = has_effect(item.eqn)
        if effect and (acts or _reads_memory(item)):
            effect.next.add(item)
        effect = item if acts else effect
    for killer, reader in _pairs(items):
        both = reader.kills.keys() & killer.kills.keys()
        if not (both and reader.position > killer.position) and not _reaches(killer, reader):
            reader.next.add(killer)


def _reads_memory(item: Item) -> bool:
    """True for what a subscript out of range, or extents that differ, would lead astray."""
    if item.roots or item.eqn.regions:
        return True
    return PRIMS[item.eqn.prim].kind in ("index", "contract", "shape") and item.eqn.prim != "dim"


def _pairs(items: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    """(what overwrites an array, what reads it), without pure questions for its shape."""
    readers: dict[Var, list[Item]] = {}
    for item in items:
        for v in item.reads if item.eqn.prim != "dim" else ():
            readers.setdefault(v, []).append(item)
    for killer in items:
        for array in killer.kills:
            for reader in readers.get(array, ()):
                if reader is not killer:
                    yield killer, reader


def _reaches(start: Item, goal: Item, without: Item | None = None) -> bool:
    """True where `goal` must come after `start`; `without` leaves out the direct edge to it."""
    todo = [n for n in start.next if n is not without]
    seen = set(todo)
    while todo:
        item = todo.pop()
        if item is goal:
            return True
        for following in item.next - seen:
            seen.add(following)
            todo.append(following)
    return False


def _conflicts(values: Values, items: Sequence[Item]) -> set[Var]:
    """Values to be given memory of their own because what they read is overwritten before they
    are used."""
    maker = {v: item for item in items for v in item.defs}
    found: set[Var] = set()

    def cut(v: Atom, killer: Item, arrays: set[Var]) -> None:
        """Store the largest values behind `v` that exist before `killer`."""
        eqn = values.lazy(v)
        leaves = values.leaves(v)
        if eqn is None or not leaves & arrays:
            return
        makers = [maker[u] for u in leaves if u in maker]
        if any(m is killer or _reaches(killer, m) for m in makers):
            for source in eqn.ins:
                cut(source, killer, arrays)
        elif eqn.prim not in FILLS:
            found.add(v)

    for killer, reader in _pairs(items):
        if _reaches(killer, reader):
            for v in _operands(reader):
                cut(v, killer, set(killer.kills))
    for item in items:
        if item.gathered and reads_gathered_safely(values, item.roots):
            continue
        safe = (r.reads_carried_safely(values, item.roots) for r in item.roots)
        if item.roots and not item.gathered and all(safe):
            continue
        for v in _operands(item):
            cut(v, item, set(item.kills))
    return found


def _operands(item: Item) -> list[Atom]:
    """What is evaluated for `item`; the arrays that it overwrites are needed as they are."""
    if not item.roots:
        return eqn_free_vars(item.eqn)
    return [v for r in item.roots for v in r.eqn.ins if v is not r.base]


# --- chains --------------------------------------------------------------------------------------


def _gather_chains(values: Values, region: Region, items: list[Item]) -> list[Item]:
    """Merge the items of every chain of stores and accums on one array, at places that are shifted
    (see lower_gather.py), if nothing reads what the array is in between."""
    uses = Counter(region_uses(region))
    chains: list[list[Item]] = []
    ends: dict[Var, list[Item]] = {}  # a chain by the version of the array that it gives
    for item in items:
        if not item.roots or item.roots[0].base is None:
            continue
        base = item.roots[0].base
        chain = ends.get(base, []) if uses[base] == 1 else []
        if not chain or not can_gather(values, [i.roots[0] for i in (*chain, item)]):
            chain = []
            chains.append(chain)
        chain.append(item)
        ends[item.eqn.out] = chain
    for host, *rest in chains:
        if is_shifted([i.roots[0] for i in (host, *rest)]):
            for item in rest:
                if _reaches(host, item, without=item):
                    break
                _merge(items, host, item)
                items.remove(item)
                host.gathered = True
    return items


# --- sharing nests -------------------------------------------------------------------------------


class _Order:
    """What must come after each item, as bits of an integer: asked for every pair of nests."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.bit = {item: 1 << k for k, item in enumerate(items)}
        self.after = dict(self.bit)  # with the item itself
        changed = True
        while changed:  # a few times: most edges go forward
            changed = False
            for item in reversed(items):
                found = self.after[item]
                for following in item.next:
                    found |= self.after[following]
                changed = changed or found != self.after[item]
                self.after[item] = found

    def between(self, start: Item, goal: Item) -> bool:
        """True where something must come after `start` and before `goal`."""
        bit = self.bit[goal]
        return any(self.after[n] & bit for n in start.next if n is not goal)

    def merge(self, host: Item, item: Item) -> None:
        """`item` has been merged into `host`."""
        self.bit[host] |= self.bit.pop(item)
        both = self.after[host] | self.after.pop(item)
        for other, found in self.after.items():
            if found & self.bit[host]:
                self.after[other] = found | both


def _share_nests(values: Values, region: Region, items: list[Item]) -> list[Item]:
    """Merge items whose roots can be computed by one nest. Extents that are known to be equal when
    an equation is reached decide, so an item that has grown is tried with the others again: it may
    read what two of them compute."""
    by_eqn = {id(item.eqn): item for item in items}
    order = _Order(items)
    nests: list[Item] = []
    rest: list[Item] = []
    for eqn in region.eqns:
        values.note(eqn)
        item = by_eqn.get(id(eqn))
        if item is None:
            continue
        rest.append(item)
        while item.roots:
            host = next((n for n in reversed(nests) if _can_share(values, order, n, item)), None)
            if host is None:
                nests.append(item)
                break
            _merge(items, host, item)
            order.merge(host, item)
            items.remove(item)
            rest.remove(item)
            nests.remove(host)
            item = host
    return rest


def _merge(items: Sequence[Item], host: Item, item: Item) -> None:
    host.roots += item.roots
    host.position = item.position
    for mine, other in (
        (host.reads, item.reads),
        (host.defs, item.defs),
        (host.kills, item.kills),
        (host.next, item.next),
    ):
        mine |= other
    host.next -= {host, item}
    for other in items:
        if item in other.next:
            other.next.remove(item)
            if other is not host:
                other.next.add(host)


def _can_share(values: Values, order: _Order, host: Item, item: Item) -> bool:
    first, root = host.roots[0], item.roots[0]
    if host.gathered or item.gathered:
        return False
    if not (root.in_order and first.in_order and root.loops):
        return False
    keys = [[values.find(axis.key) for axis in r.loops] for r in (first, root)]
    if keys[0] != keys[1]:
        return False
    if not (item.reads & host.defs or any(_is_related(host, r) for r in item.roots)):
        return False
    if host.reads & item.defs:  # the host's elements are computed first
        return False
    if order.between(item, host) or order.between(host, item):
        return False
    made = item.reads & host.defs
    if not all(_by_element(values, host, r, v) for r in item.roots for v in made):
        return False
    together = [*host.roots, *item.roots]
    bases = [r.base for r in together if r.base is not None]
    if len(set(bases)) < len(bases) or any(b in host.defs | item.defs for b in bases):
        return False
    return all(r.reads_carried_safely(values, together) for r in together)


def _is_related(host: Item, root: Root) -> bool:
    """True where a shared nest saves a pass over an array."""
    touched = {v for r in host.roots for v, _ in r.reads} | host.kills.keys()
    return root.base in touched or any(v in touched for v, _ in root.reads)


def _by_element(values: Values, host: Item, root: Root, made: Var) -> bool:
    """True where `root` reads `made`, a result of `host`, only at the element just computed."""
    maker = next(r for r in host.roots if made in r.eqn.outs)
    if maker.kind not in ("array", "store") or not made.type.is_array:
        return False
    if maker.kind == "store" and is_gather(maker.eqn):
        return False
    reads = [index for array, index in root.reads if array is made]
    return all(all(values.facts.same(a, b) for a, b in zip(index, maker.write)) for index in reads)


def _dropped(values: Values, storage: _Storage, items: Sequence[Item]) -> set[Var]:
    """Values with memory that only the nest which computes them reads."""
    users: dict[Var, set[int]] = {}
    for item in items:
        for v in item.reads:
            users.setdefault(v, set()).add(id(item))
    keep = storage.needed | storage.captured
    return {
        root.eqn.outs[0]
        for item in items
        for root in item.roots
        if root.kind == "array"
        and root.eqn.prim != "copy"
        and root.eqn.outs[0] not in keep
        and users.get(root.eqn.outs[0], set()) <= {id(item)}
    }


def _schedule(items: Sequence[Item]) -> Iterator[Item]:
    """The items in an order that respects `next`, as close to the program's as possible."""
    waiting = Counter(n for item in items for n in item.next)
    ready = [(item.position, n, item) for n, item in enumerate(items) if not waiting[item]]
    heapq.heapify(ready)
    place = {item: n for n, item in enumerate(items)}
    while ready:
        _, _, item = heapq.heappop(ready)
        yield item
        for following in item.next:
            waiting[following] -= 1
            if not waiting[following]:
                heapq.heappush(ready, (following.position, place[following], following))
