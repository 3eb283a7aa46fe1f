"""Small arrays of known extents become numbers.

    k: f64[2] = stack v, a                k0, k1 = v, a
    s: f64[2] = mul h, k                  s0 = mul h, v;  s1 = mul h, a
    y: f64[2] = add x, s         →        y0 = add x0, s0;  y1 = add x1, s1
    u: f64 = load y, 1                    u = y1
    A1 = store A, y, i {'i,:'}            A1 = store (store A, y0, i, 0), y1, i, 1

The state of an ODE is written as an array of two, a position as one of three. In numbers, a loop
carries it in registers, what the reverse sweep keeps of it is kept once, and passes that look at
numbers (preaccumulate.py) see it.

An array stays one where something takes the whole of it: a subscript that is not known, a product
with a matrix. So does then what it is carried as, and what it is written to in place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import (
    ANY_ORDER,
    Atom,
    Eqn,
    Func,
    Lit,
    Region,
    Var,
    region_defs,
    walk,
)
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import load_shape, parse_subscript
from s2s_ad.ir.types import Type

#: The most elements of an array that is small.
MOST = 4

_WRITES = ("store", "accum")
#: What keeps the elements in their order.
_SAME = ("copy", "reshape", "expand", "squeeze")


def elements(func: Func) -> Func:
    """`func` with numbers in place of small arrays, as in the module's docstring.

    Example: `elements(func)` gives the same results to the last bit.
    """
    if not any(is_small(out.type) for e in walk(func.body) for out in e.outs):
        return func
    return func.with_(body=_Writer(_kept(func)).region(func.body))


def is_small(kind: Type) -> bool:
    """True for arrays of few elements and known extents."""
    known = kind.is_array and all(isinstance(n, int) for n in kind.shape)
    return known and 1 <= math.prod(kind.shape) <= MOST  # type: ignore[arg-type]


def _indices(kind: Type) -> list[tuple[int, ...]]:
    """The indices of all elements, in their order."""
    return list(itertools.product(*(range(n) for n in kind.shape)))  # type: ignore[arg-type]


# --- which stay arrays ---------------------------------------------------------------------------


def _kept(func: Func) -> set[Atom]:
    """The small arrays that are taken as a whole, and those that share their memory."""
    leader: dict[Atom, Atom] = {}

    def find(a: Atom) -> Atom:
        while a in leader:
            a = leader[a]
        return a

    whole: set[Atom] = set()
    eqns = list(walk(func.body))
    for eqn in eqns:
        whole.update(a for k, a in enumerate(eqn.ins) if not _takes_elements(eqn, k))
        for a, b in _shared(eqn):
            if a.type.is_array and find(a) is not find(b):
                leader[find(a)] = find(b)
    before = -1
    while len(whole) > before:  # what an array is computed from that is computed as one
        before = len(whole)
        roots = {find(a) for a in whole if a.type.is_array}
        for eqn in eqns:
            if not eqn.regions and any(
                out.type.is_array and find(out) in roots for out in eqn.outs
            ):
                whole.update(a for a in eqn.ins if a.type.is_array)
    return {a for a in region_defs(func.body) if find(a) in roots}


def _shared(eqn: Eqn) -> Iterator[tuple[Atom, Atom]]:
    """Pairs of arrays that one memory is for; what comes out of a loop may be taken apart."""
    if eqn.prim in _WRITES:
        yield eqn.ins[0], eqn.out
    elif eqn.prim == "if":
        for region in eqn.regions:
            yield from zip(eqn.outs, region.results)
    elif eqn.regions:
        body = eqn.regions[-1]
        count = len(body.results) - bool(eqn.params.get("exit"))
        if count:
            yield from zip(body.params[-count:], body.results[-count:])
            yield from zip(body.params[-count:], eqn.ins[-count:])


def _takes_elements(eqn: Eqn, position: int) -> bool:
    """True where `eqn` can do with the elements of the operand at `position`."""
    if eqn.regions or eqn.prim in ("stack", "dim", *_SAME):
        return True
    if eqn.prim in _WRITES and position == 1:
        return not eqn.ins[1].type.is_array or _places(eqn) is not None
    if eqn.prim in ("load", *_WRITES):
        return position > 0 or not is_small(eqn.ins[0].type) or _places(eqn) is not None
    if PRIMS[eqn.prim].elementwise:
        return not eqn.out.type.is_array or is_small(eqn.out.type)
    return eqn.prim in ("sum", "dot", "transpose") and _is_all_small(eqn)


def _is_all_small(eqn: Eqn) -> bool:
    """True for a sum of all elements, a product of small matrices, and the like."""
    number = not eqn.out.type.is_array
    whole = number or (eqn.prim != "sum" and is_small(eqn.out.type))
    return whole and all(is_small(a.type) for a in eqn.ins)


def _places(eqn: Eqn) -> list[tuple[Atom, ...]] | None:
    """The elements that a load or a write of numbers and whole axes means, in their order, where
    that is known of a small array: in a larger one, of few of its elements."""
    base, start = eqn.ins[0].type, 1 if eqn.prim == "load" else 2
    axes = parse_subscript(eqn.params["spec"], eqn.ins[start:])
    choices: list[Sequence[Atom]] = []
    for axis, extent in zip(axes, base.shape):
        if axis.kind == "index" and axis.start.type.ndim == 0:  # type: ignore[union-attr]
            choices.append([axis.start])  # type: ignore[list-item]
        elif axis.kind in ("full", "slice") and isinstance(extent, int):
            bounds = (axis.start, axis.stop, axis.step)
            if not all(a is None or isinstance(a, Lit) for a in bounds):
                return None
            part = slice(*(a and a.value for a in bounds))  # type: ignore[union-attr]
            choices.append([i64(k) for k in range(extent)[part]])
        else:
            return None
    if math.prod(map(len, choices)) > MOST:
        return None
    if is_small(base) and not all(
        isinstance(a, Lit) and -n <= a.value < n  # type: ignore[operator]
        for one, n in zip(choices, base.shape)
        for a in one
    ):
        return None
    return list(itertools.product(*choices))


# --- writing them out ----------------------------------------------------------------------------


class _Writer:
    """Rewrites regions. Of every small array the elements are known once it is defined."""

    def __init__(self, kept: set[Atom]) -> None:
        self.kept = kept
        self.parts: dict[Atom, list[Atom]] = {}
        self.names: dict[Atom, Atom] = {}

    def region(self, region: Region) -> Region:
        b = Builder()
        self._params(b, region.params)
        self._block(b, region)
        return b.region(region.params, [self.names.get(a, a) for a in region.results])

    def _block(self, b: Builder, region: Region) -> None:
        for eqn in region.eqns:
            b.loc, b.role = eqn.loc, eqn.role
            eqn = eqn.with_(ins=tuple(self.names.get(a, a) for a in eqn.ins))
            if eqn.regions:
                self._structured(b, eqn)
                continue
            found = self._elements(b, eqn)
            if found is not None and not eqn.out.type.is_array:
                (self.names[eqn.out],) = found
            elif found is not None:
                self._define(b, eqn.out, found)
            elif not self._written(b, eqn):
                b.append(eqn)
                self._params(b, eqn.outs)

    def _define(self, b: Builder, array: Var, found: Sequence[Atom]) -> None:
        """`array`, of the elements that have been found; to be left out if nobody takes it."""
        self.parts[array] = list(found)
        if array.type.ndim == 1:
            b.append(Eqn((array,), "stack", tuple(found), _STACKED, (), b.loc, b.role))
            return
        extents = map(i64, array.type.shape)  # type: ignore[arg-type]
        last: Atom = b.emit("empty", *extents, dtype=array.type.dtype)
        params = {"spec": ",".join("i" * array.type.ndim)}
        for n, (place, one) in enumerate(zip(_indices(array.type), found), 1):
            out = array if n == len(found) else Var(array.name, array.type)
            ins = (last, one, *map(i64, place))
            b.append(Eqn((out,), "store", ins, params, (), b.loc, b.role))
            last = out

    def _params(self, b: Builder, arrays: Sequence[Var]) -> None:
        """What is an array already has its elements loaded; to be left out if nobody takes them."""
        for array in arrays:
            if is_small(array.type):
                self.parts[array] = [_loaded(b, array, k) for k in _indices(array.type)]

    # -- equations

    def _elements(self, b: Builder, eqn: Eqn) -> list[Atom] | None:
        """The elements of what `eqn` gives, or the number; None where it stays as it is."""
        if len(eqn.outs) != 1 or eqn.out in self.kept:
            return None
        kind, prim = eqn.out.type, PRIMS[eqn.prim]
        if eqn.prim in ("sum", "dot", "transpose") and _is_all_small(eqn):
            return self._contracted(b, eqn)
        if eqn.prim == "load" and not kind.is_array and eqn.ins[0] in self.parts:
            return self._picked(eqn)
        if not is_small(kind):
            return None
        if eqn.prim == "load":
            places = _places(eqn) if eqn.ins[0] not in self.parts else None
            spec = ",".join("i" * eqn.ins[0].type.ndim)
            loads = (b.emit("load", eqn.ins[0], *p, spec=spec) for p in places or ())
            return self._picked(eqn) if eqn.ins[0] in self.parts else places and list(loads)
        if eqn.prim in _WRITES:
            return self._replaced(b, eqn)
        if eqn.prim == "stack" and eqn.params["axis"] == 0:
            return [one for a in eqn.ins for one in self._broadcast(b, a, a.type)]
        if eqn.prim == "full":
            return [eqn.ins[0]] * len(_indices(kind))
        if eqn.prim in _SAME and eqn.ins[0] in self.parts:
            return self.parts[eqn.ins[0]]
        if prim.elementwise:
            operands = [self._broadcast(b, a, kind) for a in eqn.ins]
            scalar = kind.with_shape(())
            return [
                b.emit(eqn.prim, *each, name=eqn.out.name, type=scalar, **eqn.params)
                for each in zip(*operands)
            ]
        return None

    def _broadcast(self, b: Builder, a: Atom, kind: Type) -> list[Atom]:
        """An element of `a` for each of `kind`."""
        if not a.type.is_array:
            return [a] * len(_indices(kind))
        shape = a.type.shape
        places = [
            tuple(0 if n == 1 else k for k, n in zip(index[len(index) - len(shape) :], shape))
            for index in _indices(kind)
        ]
        if a in self.parts:
            known = dict(zip(_indices(a.type), self.parts[a]))
            return [known[p] for p in places]
        return [_loaded(b, a, p) for p in places]

    def _contracted(self, b: Builder, eqn: Eqn) -> list[Atom]:
        """The elements of a sum, a product or a transpose of small arrays."""
        name, first = eqn.out.name, dict(zip(_indices(eqn.ins[0].type), self.parts[eqn.ins[0]]))
        if eqn.prim == "sum":
            return [_sum(b, list(first.values()), name)]
        if eqn.prim == "transpose":
            perm = eqn.params["perm"]
            turned = (dict(zip(perm, index)) for index in _indices(eqn.out.type))
            return [first[tuple(t[axis] for axis in range(len(perm)))] for t in turned]
        second = dict(zip(_indices(eqn.ins[1].type), self.parts[eqn.ins[1]]))
        rows, columns = eqn.ins[0].type.ndim - 1, eqn.ins[1].type.ndim - 1
        length = eqn.ins[0].type.shape[-1]
        found = []
        for index in _indices(eqn.out.type):
            pairs = (
                (first[(*index[:rows], k)], second[(k, *index[len(index) - columns :])])
                for k in range(length)  # type: ignore[arg-type]
            )
            found.append(_sum(b, [b.emit("mul", *pair) for pair in pairs], name))
        return found

    def _picked(self, eqn: Eqn) -> list[Atom] | None:
        """The elements that a load takes of a small array."""
        places = _places(eqn)
        return None if places is None else [self._place(eqn.ins[0], p) for p in places]

    def _place(self, array: Atom, place: Sequence[Atom]) -> Atom:
        return self.parts[array][_position(array.type, place)]

    def _replaced(self, b: Builder, eqn: Eqn) -> list[Atom] | None:
        """The elements of a small array after a write."""
        places = _places(eqn)
        if places is None:
            return None
        base, value = eqn.ins[:2]
        shape = load_shape(base.type.shape, eqn.params["spec"], eqn.ins[2:])
        values = self._broadcast(b, value, base.type.with_shape(shape)) if shape else [value]
        found = list(self.parts[base])
        for place, one in zip(places, values):
            k = _position(base.type, place)
            found[k] = one if eqn.prim == "store" else b.emit("add", found[k], one)
        return found

    def _written(self, b: Builder, eqn: Eqn) -> bool:
        """True where the elements of a small array have been written to a larger one."""
        if eqn.prim not in _WRITES or eqn.ins[1] not in self.parts or eqn.ins[1] in self.kept:
            return False
        places = _places(eqn)
        if places is None or len(places) != len(self.parts[eqn.ins[1]]):
            return False
        array, value = eqn.ins[:2]
        params = {**eqn.params, "spec": ",".join("i" * array.type.ndim)}
        for n, (place, one) in enumerate(zip(places, self.parts[value]), 1):
            out = eqn.out if n == len(places) else Var(eqn.out.name, eqn.out.type)
            b.append(eqn.with_(outs=(out,), ins=(array, one, *place), params=params))
            array = out
        return True

    # -- loops and branches

    def _structured(self, b: Builder, eqn: Eqn) -> None:
        """An equation with regions: what it carries, or gives, is taken apart."""
        first = {"for": 3, "while": 0}.get(eqn.prim, 1)
        carried = eqn.ins[first:]
        extra = len(eqn.outs) - len(carried) if eqn.prim != "if" else 0  # the count of a for
        taken = self._taken(eqn, extra)
        regions = tuple(self._inner(eqn, r, taken, k) for k, r in enumerate(eqn.regions))
        ins = [*eqn.ins[:first]]
        for k, a in enumerate(carried):
            ins += self._broadcast(b, a, eqn.outs[extra + k].type) if k in taken else [a]
        outs: list[Var] = list(eqn.outs[:extra])
        split: list[tuple[Var, list[Var]]] = []
        for k, out in enumerate(eqn.outs[extra:]):
            own = _numbers(out) if k in taken else [out]
            outs += own
            split += [(out, own)] if k in taken else []
        b.append(eqn.with_(outs=tuple(outs), ins=tuple(ins), regions=regions))
        b.loc, b.role = eqn.loc, eqn.role
        for out, own in split:
            self._define(b, out, own)
        whole = {out for out, _ in split}
        self._params(b, [out for out in eqn.outs if out not in whole])

    def _taken(self, eqn: Eqn, extra: int) -> set[int]:
        """The places of the small arrays that `eqn` carries, or gives, as numbers."""
        outs = eqn.outs[extra:]
        if eqn.prim == "if":
            return {k for k, o in enumerate(outs) if is_small(o.type) and o not in self.kept}
        params = eqn.regions[-1].params[-len(outs) :] if outs else ()
        pairs = zip(params, outs, eqn.ins[-len(outs) :] if outs else ())
        return {
            k
            for k, (p, o, init) in enumerate(pairs)
            if is_small(p.type) and p not in self.kept and o.type == p.type == init.type
        }

    def _inner(self, eqn: Eqn, region: Region, taken: set[int], number: int) -> Region:
        b = Builder(eqn.loc, eqn.role)
        index = region.params[:1] if eqn.prim == "for" else ()
        params: list[Var] = list(index)
        for k, p in enumerate(region.params[len(index) :]):
            own = _numbers(p) if k in taken else [p]
            params += own
            if k in taken:
                self._define(b, p, own)
            else:
                self._params(b, [p])
        self._block(b, region)
        found = [self.names.get(a, a) for a in region.results]
        if eqn.prim == "while" and number == 0:
            return b.region(params, found)
        results: list[Atom] = []
        flag = 1 if eqn.prim == "for" and eqn.params.get("exit") else 0
        b.loc, b.role = eqn.loc, eqn.role
        for k, a in enumerate(found, -flag):
            kind = eqn.outs[k + flag].type
            results += self._broadcast(b, a, kind) if k in taken else [a]
        return b.region(params, results)


_STACKED = {"axis": 0}


def _numbers(array: Var) -> list[Var]:
    kind = array.type.with_shape(())
    return [Var(f"{array.name}_{k}", kind) for k in range(len(_indices(array.type)))]


def _sum(b: Builder, terms: Sequence[Atom], name: str) -> Atom:
    total = terms[0]
    for one in terms[1:]:
        total = b.emit("add", total, one, name=name, **{ANY_ORDER: True})
    return total


def _loaded(b: Builder, array: Atom, place: Sequence[int]) -> Var:
    return b.emit("load", array, *map(i64, place), spec=",".join("i" * len(place)))


def _position(kind: Type, place: Sequence[Atom]) -> int:
    """Where an element stands among all; indices that are negative count from the end."""
    position = 0
    for n, a in zip(kind.shape, place):
        position = position * n + (a.value + n if a.value < 0 else a.value)  # type: ignore
    return position
