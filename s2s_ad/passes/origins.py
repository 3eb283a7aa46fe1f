"""What an iteration reads before it is written is read from where it was before the loop.

    c1 = for 0, n, 1, c { (i, c1)               c1 = for 0, n, 1, c { (i, c1)
      t = load c1, i {spec='i,:'}                 t = load c, i {spec='i,:'}
      u = mul t, beta                      →      u = mul t, beta
      c2 = store c1, u, i {spec='i,:'}            c2 = store c1, u, i {spec='i,:'}
      yield c2 }                                  yield c2 }

Iterations that write only rows of their own find in these what was there at first. Of a parameter
a derivative has that until the end, since it never writes to its arguments: nothing need be saved,
and often nothing but the tape needed the rows that were written. So this is done before a reverse
sweep is made, for parameters only (of anything else it would keep a copy) and not for tangents, of
which nothing is saved.
"""

from __future__ import annotations

from collections.abc import Sequence

from s2s_ad.analysis.accesses import is_counted
from s2s_ad.analysis.independence import BufferAccesses
from s2s_ad.analysis.sharing import WRITES
from s2s_ad.ir.core import TANGENT, Eqn, Func, Region, Var
from s2s_ad.ir.subscript import parse_subscript


def origins(func: Func, donated: Sequence[int] = ()) -> Func:
    """`func` with the loads of the module's docstring from its parameters, but not from those at
    `donated`: their buffers may be written to."""
    given = {p for k, p in enumerate(func.params) if k not in donated}
    eqns = tuple(_loop(e, given) if e.prim == "for" else e for e in func.body.eqns)
    return func.with_(body=Region(func.params, eqns, func.results))


def _loop(loop: Eqn, given: set[Var]) -> Eqn:
    if loop.params.get("exit") or not is_counted(*loop.ins[:3]):
        return loop
    (body,) = loop.regions
    eqns = list(body.eqns)
    for init, param in zip(loop.ins[3:], body.params[1:]):
        axes = _own_axes(body, param) if init in given and param.type.is_array else set()
        for k, eqn in enumerate(eqns):
            if eqn.prim != "load" or eqn.ins[0] is not param or eqn.role == TANGENT:
                continue
            if axes & _rows(body, eqn):
                eqns[k] = eqn.with_(ins=(init, *eqn.ins[1:]))
    return loop.with_(regions=(Region(body.params, tuple(eqns), body.results),))


def _own_axes(body: Region, param: Var) -> set[int]:
    """The axes at which everything that is written has the index of the loop."""
    found = BufferAccesses(param)
    found.block(body)
    if found.escapes or not any(found.versions & {r} for r in body.results if isinstance(r, Var)):
        return set()
    axes = set(range(param.type.ndim))
    for eqn in found.eqns:
        if eqn.prim in WRITES:
            axes &= _rows(body, eqn)
    return axes


def _rows(body: Region, eqn: Eqn) -> set[int]:
    place = parse_subscript(eqn.params["spec"], eqn.ins[1 if eqn.prim == "load" else 2 :])
    index = body.params[0]
    return {k for k, a in enumerate(place) if a.kind == "index" and a.start is index}
