"""lower: array equations become fused loop nests over scalar loads and stores.

    func f(u: f64[n]) {                         func f(u: f64[n]) {
      a: f64[n-2] = load u, 2 {spec='_:'}         n: i64 = dim u {axis=0}
      b: f64[n-2] = load u, -2 {spec=':_'}        stop: i64 = sub n, 1
      c: f64[n-2] = add a, b                      v = for 1, stop, 1, u { (i, u1)
      v: f64[n] = store u, c, 1, -1                 …  load u, i+1 … load u, i-1 … add …
      return v                                      …  store … yield … }
    }                                             return v }

What stays at array level: `dot` (of arrays and of contiguous views), `reshape`, `nonzero`, `dim`,
`empty`, `full`, `iota`, `copy` and `grow` of arrays in memory.
"""

from __future__ import annotations

from collections import Counter

from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import Eqn, Func, Region, Var, region_uses
from s2s_ad.ir.types import I64
from s2s_ad.passes.fuse import plan
from s2s_ad.passes.lower_expand import expand
from s2s_ad.passes.lower_gather import emit_gather
from s2s_ad.passes.lower_nest import emit_nest
from s2s_ad.passes.lower_scope import Scope
from s2s_ad.passes.lower_values import VIEWS, Values, is_lazy


def lower(func: Func) -> Func:
    """`func` with its array equations as loop nests; see the module's docstring.

    Example: `lower(parse(text))` gives a `Func` with the same results for the same arguments.
    """
    func = expand(func)
    values = Values()
    values.learn(func.body)
    return func.with_(body=_name_elements(values, _region(values, func.body)))


def _region(values: Values, region: Region) -> Region:
    b, learnt = Builder(), 0
    with values.region():
        values.names.update(v.name for v in region.params if v.type == I64)
        schedule = plan(values, region)
        for item in schedule.items:
            if item.roots or item.eqn.regions:  # come after the checks that were before them
                for eqn in region.eqns[learnt : item.position + 1]:
                    values.note(eqn)
                learnt = max(learnt, item.position + 1)
            if item.gathered:
                emit_gather(values, b, item.roots)
            elif item.roots:
                emit_nest(values, b, item.roots, schedule.dropped)
            else:
                _plain(values, b, item.eqn)
        return b.region(region.params, tuple(map(values.renamed, region.results)))


def _plain(values: Values, b: Builder, eqn: Eqn) -> None:
    """An equation that stays as it is, or reads a single element or extent."""
    if eqn.prim == "dim":
        _dim(values, b, eqn)
    elif _reads_element(values, eqn):
        scope = Scope(values, b)
        scope.at(eqn)
        values.rename[eqn.out] = scope.define(eqn, ())
    else:
        regions = tuple(_region(values, inner) for inner in eqn.regions)
        b.append(eqn.with_(ins=tuple(map(values.renamed, eqn.ins)), regions=regions))


def _dim(values: Values, b: Builder, eqn: Eqn) -> None:
    array, axis = eqn.ins[0], eqn.params["axis"]
    made = values.defs.get(array)
    if made is None or not is_lazy(made):
        b.append(eqn.with_(ins=(values.renamed(array),)))
        values.dims.setdefault(values.key(array, axis), eqn.out)
        return
    scope = Scope(values, b)
    scope.at(eqn)
    values.rename[eqn.out] = scope.size(values.extent(array, axis))


def _reads_element(values: Values, eqn: Eqn) -> bool:
    """True for a scalar that is one element of an array which is not in memory."""
    if eqn.prim not in VIEWS or eqn.out.type.is_array or not eqn.ins[0].type.is_array:
        return False
    return values.lazy(eqn.ins[0]) is not None or eqn.prim != "load"


def _name_elements(values: Values, region: Region) -> Region:
    """An element that is used once is a part of an expression: it needs no name."""
    uses = Counter(region_uses(region))
    unnamed = {v: Var("t", v.type) for v in values.loaded if uses[v] == 1}

    def rename(r: Region) -> Region:
        eqns = tuple(
            e.with_(
                outs=tuple(unnamed.get(v, v) for v in e.outs),
                ins=tuple(unnamed.get(a, a) for a in e.ins),
                regions=tuple(map(rename, e.regions)),
            )
            for e in r.eqns
        )
        return Region(r.params, eqns, tuple(unnamed.get(a, a) for a in r.results))

    return rename(region)
