"""What tangents need of a value that is stored, they read from where it was stored.

    q = div p, d                                     q = div p, d
    t = mul e_dot, q {tangent}                       a1 = store a, q, i
    a1 = store a, q, i                        →      r = load a1, i
    a1_dot = store a_dot, t, i {tangent}             t = mul e_dot, r {tangent}
                                                     a1_dot = store a_dot, t, i {tangent}

What the reverse sweep asks for and cannot compute again goes to a tape. But where the program keeps
it itself, in an element that is not written again, that is the tape: the quotients of a factor in
place, the states of a network, `x[i] = np.exp(…)`. Whether the element stays the plan finds out, as
it does for all that is read of arrays. So this is tried for what would be on a tape otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import TANGENT, Atom, Eqn, Func, Region, Var, eqn_free_vars
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import is_element


def reread(func: Func, saved: Collection[Var]) -> Func:
    """`func`, a JVP, with loads in place of values that are `saved`, or that something saved is
    computed from for tangents alone.

    Example: `reread(jvp(func), saved)` gives the same results to the last bit.
    """
    body = _region(func.body, set(saved)) if saved else func.body
    return func if body is func.body else func.with_(body=body)


def _region(region: Region, saved: set[Var]) -> Region:
    """The region; the same one where nothing is read again."""
    eqns = [_inside(e, saved) for e in region.eqns]
    stores = [k for k, e in enumerate(eqns) if _keeps_a_number(e)]
    if stores:
        eqns = _Reader(eqns, region.results, saved).read(stores)
    same = len(eqns) == len(region.eqns) and all(a is b for a, b in zip(eqns, region.eqns))
    return region if same else Region(region.params, tuple(eqns), region.results)


def _inside(eqn: Eqn, saved: set[Var]) -> Eqn:
    regions = tuple(_region(r, saved) for r in eqn.regions)
    same = all(a is b for a, b in zip(regions, eqn.regions))
    return eqn if same else eqn.with_(regions=regions)


def _keeps_a_number(eqn: Eqn) -> bool:
    if eqn.prim != "store" or eqn.role == TANGENT or not is_element(eqn.params["spec"]):
        return False
    array, value = eqn.ins[:2]
    return isinstance(value, Var) and value.type.is_float and value.type == array.type.scalar


def _is_tangent(eqn: Eqn) -> bool:
    return eqn.role == TANGENT and not eqn.regions


class _Reader:
    """The equations of a region, and who takes what."""

    def __init__(self, eqns: list[Eqn], results: Sequence[Atom], saved: set[Var]) -> None:
        self.eqns, self.saved = eqns, saved
        self.users: dict[Var, list[int]] = {}
        for k, eqn in enumerate(eqns):
            for v in eqn_free_vars(eqn):
                self.users.setdefault(v, []).append(k)
        self.movable: set[int] = set()
        for k, eqn in reversed([*enumerate(eqns)]):
            if _is_tangent(eqn) or self._is_aside(eqn, results):
                self.movable.add(k)

    def _is_aside(self, eqn: Eqn, results: Sequence[Atom]) -> bool:
        """True for arithmetic that only tangents take, and such arithmetic."""
        if eqn.role == TANGENT or not PRIMS[eqn.prim].elementwise or eqn.out in results:
            return False
        return all(k in self.movable for k in self.users.get(eqn.out, ()))

    def read(self, stores: Sequence[int]) -> list[Eqn]:
        """With what `stores` keep read again after them, by tangents and for them."""
        places = {k: (k, 0, k) for k in range(len(self.eqns))}  # sorted, it is the new order
        names: dict[int, dict[Atom, Atom]] = {}
        found: list[tuple[tuple[int, int, int], Eqn]] = []
        for at in stores:
            takers = self._takers(at)
            if not takers:
                continue
            store = self.eqns[at]
            value, b = store.ins[1], Builder(store.loc)
            again = b.emit("load", store.out, *store.ins[2:], **store.params, name=value.name)
            found.append(((at, 1, 0), b.eqns[0]))
            for k in takers:
                places[k] = max(places[k], (at, 2, k))
                names.setdefault(k, {})[value] = again
        if not found:
            return self.eqns
        found += ((places[k], _with(e, names.get(k, {}))) for k, e in enumerate(self.eqns))
        return [e for _, e in sorted(found, key=lambda pair: pair[0])]

    def _takers(self, at: int) -> set[int]:
        """What takes the value that is stored at `at`, or what is made of it, and can come after;
        none where nothing of that is saved, or where something else would have to as well."""
        value = self.eqns[at].ins[1]
        taking: set[int] = set()
        made = [value]
        for v in made:
            for k in self.users.get(v, ()):
                if k in self.movable and k not in taking:
                    taking.add(k)
                    made += self.eqns[k].outs
                elif k not in self.movable and v is not value and k < at:
                    return set()
        return taking if not self.saved.isdisjoint(made) else set()


def _with(eqn: Eqn, names: Mapping[Atom, Atom]) -> Eqn:
    return eqn.with_(ins=tuple(names.get(a, a) for a in eqn.ins)) if names else eqn
