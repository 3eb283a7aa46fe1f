"""Forward mode: every equation is followed by its tangent.

    func f(x: f64) {              func f_jvp(x: f64, x_dot: f64) {
      y: f64 = sin x                y: f64 = sin x
      return y                      t: f64 = cos x
    }                               y_dot: f64 = mul x_dot, t   tangent
                                    return y, y_dot
                                  }

Tangents that are zero do not exist: activity is decided first (analysis/activity.py). A loop or
branch gets its tangents as further carried values or results, after the primal ones; the parameter
`linear` counts them. What is marked `tangent` is linear in tangents; `transpose` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence

from s2s_ad.analysis.activity import loop_slots, varied
from s2s_ad.errors import Loc, S2SError
from s2s_ad.ir.build import Builder, number
from s2s_ad.ir.core import FIRST, TANGENT, Atom, Eqn, Func, Lit, Region, Var, forget_roles
from s2s_ad.ops import Value, apply, broadcast_to, extents, same_shape
from s2s_ad.rule import JVPS, LINEAR, PARTIALS, ZERO


def jvp(func: Func, wrt: Sequence[int]) -> Func:
    """`func` with one tangent parameter per index in `wrt` (after its own parameters), and one
    tangent result per floating-point result (after its own results). It never writes to its
    arguments."""
    return jvp_with_pairs(func, wrt)[0]


def jvp_with_pairs(func: Func, wrt: Sequence[int]) -> tuple[Func, dict[Var, Var]]:
    """`jvp(func, wrt)`, and for every tangent the primal variable that it belongs to."""
    func = func.with_(body=forget_roles(func.body))
    tangents: dict[Var, Var] = {}
    for index in wrt:
        param = func.params[index]
        tangents[param] = Var(tangent_name(param), param.type)
    inputs = tuple(tangents.values())
    walker = _Jvp(varied(func.body, tangents), tangents)
    b = Builder()
    walker.region(func.body, b)
    floats = [r for r in func.results if r.type.is_float]
    results = [walker.tangent(b, r) for r in floats]
    names = [n for n, r in zip(names_of(func), func.results) if r.type.is_float]
    derived = Func(
        func.name + "_jvp",
        b.region(func.params + inputs, (*func.results, *results)),
        names_of(func) + tuple(n + "_dot" for n in names),
    )
    return derived, {t: primal for primal, t in tangents.items()}


def names_of(func: Func) -> tuple[str, ...]:
    """The names of the results; `y` for those without."""
    return func.result_names or ("y",) * len(func.results)


def tangent_name(v: Var) -> str:
    return v.name.split(".")[0] + "_dot"


class ComplexDerivativeError(S2SError):
    """An active value is complex."""

    code = "S2S093"


class Context:
    """What a tangent rule may ask for."""

    def __init__(self, b: Builder, walker: _Jvp, loc: Loc | None) -> None:
        self.b, self.walker, self.loc = b, walker, loc

    def value(self, a: Atom) -> Value:
        """A primal operand or result."""
        return Value(self.b, a)

    def zero(self, like: Atom, undefined: bool = False) -> Value:
        """A zero tangent for `like`; `undefined` where it is going to be overwritten whole."""
        return Value(self.b, self.walker.zero(self.b, like, undefined), True)


class _Jvp:
    def __init__(self, active: set[Var], tangents: dict[Var, Var]) -> None:
        self.active, self.tangents = active, tangents

    def tangent(self, b: Builder, a: Atom) -> Atom:
        """The tangent of `a`, a zero of its type where it has none."""
        found = self.tangents.get(a) if isinstance(a, Var) else None
        return self.zero(b, a) if found is None else found

    def zero(self, b: Builder, like: Atom, undefined: bool = False) -> Atom:
        if not like.type.is_array:
            return number(0, like.type.dtype)
        shape = extents(Value(b, like))
        name = tangent_name(like)
        with b.playing(TANGENT):
            if undefined:
                return b.emit("empty", *shape, type=like.type, name=name, dtype=like.type.dtype)
            return b.emit("full", number(0, like.type.dtype), *shape, type=like.type, name=name)

    def region(self, region: Region, b: Builder) -> None:
        for eqn in region.eqns:
            with b.at(eqn.loc):
                if eqn.prim == "if":
                    self.branch(eqn, b)
                elif eqn.prim in ("for", "while"):
                    self.loop(eqn, b)
                else:
                    b.append(eqn)
                    self.equation(eqn, b)

    # -- one equation

    def equation(self, eqn: Eqn, b: Builder) -> None:
        if eqn.prim in ZERO or len(eqn.outs) != 1 or eqn.out not in self.active:
            return
        if eqn.out.type.dtype in ("c64", "c128"):
            raise ComplexDerivativeError(
                "derivatives of complex values are not supported",
                eqn.loc,
                "compute with the real and imaginary parts as two real variables",
            )
        context = Context(b, self, eqn.loc)
        tangents = [
            Value(b, self.tangents[a], True) if isinstance(a, Var) and a in self.tangents else None
            for a in eqn.ins
        ]
        out = eqn.out
        if eqn.prim in PARTIALS:
            result = _chain_rule(eqn, tangents, context)
        elif eqn.prim in LINEAR:
            result = _itself(eqn, tangents, context)
        else:
            result = JVPS[eqn.prim](context, eqn, tangents)
        if result is None:
            return
        if not same_shape(result.shape, out.type.shape):
            shape = Value(b, out)
            result = broadcast_to(result, out.type, lambda: extents(shape))
        self.tangents[out] = _named(b, result.atom, tangent_name(out), out)

    # -- branches

    def branch(self, eqn: Eqn, b: Builder) -> None:
        hot = [k for k, out in enumerate(eqn.outs) if out in self.active]
        regions = []
        for region in eqn.regions:
            inner = Builder(b.loc)
            self.region(region, inner)
            extra = tuple(self.tangent(inner, region.results[k]) for k in hot)
            regions.append(inner.region((), region.results + extra))
        b.append(self._with_tangents(eqn, eqn.ins, regions, [eqn.outs[k] for k in hot]))

    # -- loops

    def loop(self, eqn: Eqn, b: Builder) -> None:
        inits, body, results, outs = loop_slots(eqn)
        params = body.params[len(body.params) - len(inits) :]
        hot = [k for k, p in enumerate(params) if p in self.active]
        extra_ins = tuple(self.tangent(b, inits[k]) for k in hot)
        extra_params = tuple(self._define(params[k]) for k in hot)
        inner = Builder(b.loc)
        self.region(body, inner)
        extra = tuple(self.tangent(inner, results[k]) for k in hot)
        regions = [inner.region(body.params + extra_params, body.results + extra)]
        if eqn.prim == "while":
            cond = eqn.regions[0]
            unused = tuple(Var(v.name, v.type) for v in extra_params)
            regions.insert(0, Region(cond.params + unused, cond.eqns, cond.results))
        b.append(self._with_tangents(eqn, eqn.ins + extra_ins, regions, [outs[k] for k in hot]))

    def _define(self, primal: Var) -> Var:
        self.tangents[primal] = new = Var(tangent_name(primal), primal.type)
        return new

    def _with_tangents(
        self, eqn: Eqn, ins: tuple[Atom, ...], regions: list[Region], hot: list[Var]
    ) -> Eqn:
        outs = eqn.outs + tuple(map(self._define, hot))
        params = {**eqn.params, "linear": len(hot)} if hot else eqn.params
        return eqn.with_(outs=outs, ins=ins, regions=tuple(regions), params=params)


def _chain_rule(eqn: Eqn, tangents: list[Value | None], context: Context) -> Value | None:
    """The sum over operands of partial derivative times tangent. The partial derivatives of an
    operand that occurs twice are added first: x * x gives (x + x) * x_dot."""
    operands = [context.value(a) for a in (*eqn.ins, eqn.out)]
    factors: dict[Atom, Value | float] = {}
    values: dict[Atom, Value] = {}
    name = f"{FIRST} {eqn.prim}" if eqn.params.get(FIRST) else eqn.prim
    for tangent, partial in zip(tangents, PARTIALS[name]):
        if tangent is None or partial is None:
            continue
        factor = partial(*operands)
        known = factors.get(tangent.atom)
        factors[tangent.atom] = factor if known is None else known + factor
        values[tangent.atom] = tangent
    total = None
    for atom, factor in factors.items():
        if isinstance(factor, float) and factor in (0.0, 1.0):
            term = values[atom] if factor else None
        else:
            term = _times(values[atom], factor)
        if term is not None:
            total = term if total is None else total + term
    return total


def _times(tangent: Value, factor: Value | float) -> Value:
    """Their product; a quotient where the factor is a reciprocal that has just been written."""
    last = tangent.b.eqns[-1] if tangent.b.eqns else None
    if not isinstance(factor, Value) or last is None or last.outs != (factor.atom,):
        return tangent * factor
    over = last.ins[0].value if last.prim == "div" and isinstance(last.ins[0], Lit) else None
    if over not in (1.0, -1.0):
        return tangent * factor
    tangent.b.eqns.pop()
    quotient = tangent / Value(tangent.b, last.ins[1])
    return quotient if over == 1.0 else -quotient


def _itself(eqn: Eqn, tangents: list[Value | None], context: Context) -> Value | None:
    """A linear primitive applied to tangents."""
    where = LINEAR[eqn.prim] or tuple(range(len(eqn.ins)))
    if eqn.prim in ("add", "sub") and None in tangents:
        a, b = tangents
        return a if b is None else (b if eqn.prim == "add" else -b)
    ins: list[Value | Atom] = list(eqn.ins)
    for k in where:
        zero = context.zero(eqn.ins[k]) if tangents[k] is None else None
        ins[k] = tangents[k] if zero is None else zero
    return apply(eqn.prim, *ins, **eqn.params)


def _named(b: Builder, a: Atom, name: str, like: Var) -> Var:
    """Give the tangent just computed its name, and the extents that are known of its primal."""
    if b.eqns and b.eqns[-1].outs == (a,) and a.name == "t":
        new = Var(name, like.type)
        b.eqns[-1] = b.eqns[-1].with_(outs=(new,))
        return new
    if isinstance(a, Var):
        return a
    raise AssertionError(f"a tangent that is a literal: {a}")
