"""Powers with known exponents become products, roots and quotients.

    y = pow x, 3.0                 y = pow x, 3: i64
    z = pow x, -1.0           →    z = div 1.0, x
    u = pow x, -1.5                r = sqrt x
                                   p = mul x, r
                                   u = div 1.0, p

A power is a call of libm that takes as long as ten roots, and no loop is vectorised around it.
"""

from __future__ import annotations

from s2s_ad.analysis.powers import halves
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import Atom, Func, Region


def powers(func: Func) -> Func:
    """`func` without those powers of numbers that the module's docstring means.

    What takes their place is accurate to 4 ulp, where neither it nor its reciprocal is subnormal.
    Of inf, nan and zeros it is the same, but `(-0.0) ** 0.5` is -0.0, and `(-np.inf) ** 0.5` and
    the like are nan, as NumPy has it for arrays.
    """
    return func.with_(body=_region(func.body))


def _region(region: Region) -> Region:
    b = Builder()
    for eqn in region.eqns:
        twice = halves(eqn)
        if twice is None or eqn.out.type.is_array:
            b.append(eqn.with_(regions=tuple(map(_region, eqn.regions))))
            continue
        with b.at(eqn.loc), b.playing(eqn.role):
            power = _positive(b, eqn.ins[0], abs(twice))
            if abs(twice) % 4 == 1 and twice != 1:
                power = b.emit("abs", power)  # of -0.0: its root has the sign, its square has not
            if twice < 0:
                b.emit("div", number(1.0, power.type.dtype), power)
        b.eqns[-1] = b.eqns[-1].with_(outs=eqn.outs)
    return b.region(region.params, region.results)


def _positive(b: Builder, x: Atom, twice: int) -> Atom:
    """x to the power of a positive number of halves."""
    whole, half = divmod(twice, 2)
    if not half:
        return x if whole == 1 else b.emit("pow", x, i64(whole))
    root = b.emit("sqrt", x)
    if not whole:
        return root
    return b.emit("mul", x if whole == 1 else b.emit("pow", x, i64(whole)), root)
