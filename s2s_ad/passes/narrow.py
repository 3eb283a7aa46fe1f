"""What a loop carries has the extents that the loop checks.

    n = dim y0                            n = dim y0
    same = eq n, 2                        same = eq n, 2
    y: f64[n] = for 0, steps, 1, y0 {     y1: f64[2] = if same { y0[0], y0[1] } { 0.0, 0.0 }
      (i, y: f64[n])                      y2: f64[2] = for 0, steps, 1, y1 {
      u = load y, 0                         (i, y: f64[2])
      k: f64[2] = …                  →      u = load y, 0
      assert same                           k: f64[2] = …
      z: f64[2] = add y, k                  assert same
      yield z                               z: f64[2] = add y, k
    }                                       yield z }
                                          y: f64[n] = if same { y2 } { y0 }

A state that comes as an argument has any extent, but a step that adds an array of two to it fails
in its first iteration for all but two. Where the extent is another one, the loop has no iterations,
or ends in its check. Before that, an iteration takes no more of the state than elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import Atom, Eqn, Func, Lit, Region, Var, eqn_free_vars, substitute, walk
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import is_element
from s2s_ad.ir.types import UNKNOWN, Type
from s2s_ad.passes.elements import is_small


@dataclass(frozen=True)
class _Check:
    """`same` is True where what types call `dim` is `extent`."""

    same: Atom
    dim: str
    extent: int

    def known(self, kind: Type) -> Type:
        return kind.with_shape(tuple(self.extent if n == self.dim else n for n in kind.shape))

    def changes(self, kind: Type) -> bool:
        return self.dim in kind.shape


def narrow(func: Func) -> Func:
    """`func` with known extents in loops, as in the module's docstring.

    Example: `narrow(func)` gives the same results, and fails where `func` does.
    """
    checks = _checks(func)
    return func.with_(body=_region(func.body, checks)) if checks else func


def _checks(func: Func) -> dict[Atom, _Check]:
    """What the conditions of the function say about extents."""
    dims: dict[Atom, str] = {}
    found: dict[Atom, _Check] = {}
    for eqn in walk(func.body):
        if eqn.prim == "dim":
            name = eqn.ins[0].type.shape[eqn.params["axis"]]
            if isinstance(name, str) and name != UNKNOWN:
                dims[eqn.out] = name
        elif eqn.prim == "eq":
            for a, b in (eqn.ins, eqn.ins[::-1]):
                if a in dims and isinstance(b, Lit) and b.value > 1:
                    found[eqn.out] = _Check(eqn.out, dims[a], b.value)
    return found


def _region(region: Region, checks: Mapping[Atom, _Check]) -> Region:
    b = Builder()
    for eqn in region.eqns:
        eqn = eqn.with_(regions=tuple(_region(r, checks) for r in eqn.regions))
        narrowed = eqn.prim == "for" and any(_narrowed(b, eqn, c) for c in _asserted(eqn, checks))
        if not narrowed:
            b.append(eqn)
    return b.region(region.params, region.results)


def _asserted(loop: Eqn, checks: Mapping[Atom, _Check]) -> list[_Check]:
    """What each iteration checks that the loop does not compute."""
    (body,) = loop.regions
    own = {out for e in body.eqns for out in e.outs}
    tests = [e.ins[0] for e in body.eqns if e.prim == "assert"]
    return [checks[a] for a in dict.fromkeys(tests) if a in checks and a not in own]


def _narrowed(b: Builder, loop: Eqn, check: _Check) -> bool:
    """True where `loop` has been appended, with the extents that `check` checks."""
    (body,) = loop.regions
    params = body.params[1:]
    extra = len(loop.outs) - len(params)
    places = {
        k for k, p in enumerate(params)
        if check.changes(p.type) and is_small(check.known(p.type))
        and check.changes(loop.ins[3 + k].type)
    }  # fmt: skip
    if not places or not _waits(body, {params[k] for k in places}, check):
        return False
    b.loc, b.role = loop.loc, loop.role
    ins, outs, again = list(loop.ins), list(loop.outs), []
    for k in places:
        ins[3 + k] = _taken(b, loop.ins[3 + k], params[k], check)
        out = loop.outs[extra + k]
        outs[extra + k] = Var(out.name, check.known(out.type))
        again.append((out, outs[extra + k], loop.ins[3 + k]))
    made = _known(body, {params[k] for k in places}, check)
    b.append(loop.with_(ins=tuple(ins), outs=tuple(outs), regions=(made,)))
    for out, found, init in again:
        cases = (Region((), (), (found,)), Region((), (), (init,)))
        b.append(Eqn((out,), "if", (check.same,), regions=cases, loc=loop.loc, role=loop.role))
    return True


def _waits(body: Region, carried: set[Var], check: _Check) -> bool:
    """True where an iteration, before it checks, takes only elements of what is carried."""
    for eqn in body.eqns:
        if eqn.prim == "assert" and eqn.ins[0] is check.same:
            return True
        if PRIMS[eqn.prim].kind == "effect" and eqn.prim not in ("assert", "inside"):
            return False
        if carried.isdisjoint(eqn_free_vars(eqn)):
            continue
        if eqn.prim != "load" or not is_element(eqn.params["spec"]):
            return False
        extents = check.known(eqn.ins[0].type).shape
        if not all(_is_within(a, n) for a, n in zip(eqn.ins[1:], extents)):
            return False
    return False


def _is_within(place: Atom, extent: int | str) -> bool:
    known = isinstance(place, Lit) and isinstance(extent, int)
    return known and -extent <= place.value < extent


def _taken(b: Builder, init: Atom, param: Var, check: _Check) -> Var:
    """What the loop starts with, where it has the extent; else it is not looked at."""
    kind = check.known(param.type)
    inside, zeros = Builder(b.loc, b.role), Builder(b.loc, b.role)
    count = kind.shape[0]
    loads = [
        inside.emit("load", init, i64(k), spec=",".join("i" + ":" * (kind.ndim - 1)))
        for k in range(count)  # type: ignore[arg-type]
    ]
    whole = inside.emit("stack", *loads, axis=0, type=kind)
    extents = [i64(n) for n in kind.shape]  # type: ignore[arg-type]
    none = zeros.emit("full", number(0, kind.dtype), *extents, type=kind)
    regions = (inside.region((), (whole,)), zeros.region((), (none,)))
    (out,) = b.equation("if", (check.same,), regions=regions, names=(param.name,), types=(kind,))
    return out


def _known(body: Region, carried: set[Var], check: _Check) -> Region:
    """The body, with the extent in the types of what is carried, and of all after the check."""
    names: dict[Var, Var] = {p: Var(p.name, check.known(p.type)) for p in carried}

    def changed(region: Region, after: bool) -> Region:
        eqns = []
        for eqn in region.eqns:
            regions = tuple(changed(r, after) for r in eqn.regions)
            if after:
                new = {v: Var(v.name, check.known(v.type)) for v in eqn.outs}
                names.update((v, w) for v, w in new.items() if v.type != w.type)
            outs = tuple(names.get(v, v) for v in eqn.outs)
            eqns.append(eqn.with_(outs=outs, regions=regions))
            after = after or (eqn.prim == "assert" and eqn.ins[0] is check.same)
        if after:
            names.update(
                (p, Var(p.name, check.known(p.type)))
                for p in region.params
                if check.changes(p.type) and p not in names
            )
        params = tuple(names.get(p, p) for p in region.params)
        return Region(params, tuple(eqns), region.results)

    inner = changed(body, False)
    whole = substitute(Region((), inner.eqns, inner.results), names)
    return Region(inner.params, whole.eqns, whole.results)
