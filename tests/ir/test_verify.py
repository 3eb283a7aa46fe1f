"""The verifier refuses what no pass may produce."""

from __future__ import annotations

import pytest

from s2s_ad.ir.core import Eqn, Func, Region, Var
from s2s_ad.ir.prims import IRTypeError
from s2s_ad.ir.text import parse
from s2s_ad.ir.types import F64, I64
from s2s_ad.ir.verify import verify

X, Y = Var("x", F64), Var("y", F64)


def sin(out: Var, arg: Var) -> Eqn:
    return Eqn((out,), "sin", (arg,))


@pytest.mark.parametrize(
    "region, message",
    [
        (Region((X,), (sin(Y, Y),), (Y,)), "out of scope"),
        (Region((X,), (sin(X, X),), (X,)), "twice"),
        (Region((X,), (sin(Var("k", I64), X),), ()), "gives f64"),
        (Region((X,), (Eqn((Y,), "sine", (X,)),), (Y,)), "no primitive"),
        (Region((X,), (Eqn((Y,), "add", (X, Var("z", F64))),), (Y,)), "out of scope"),
    ],
)
def test_bad_programs(region: Region, message: str) -> None:
    with pytest.raises(IRTypeError, match=message):
        verify(Func("f", region))


def test_a_branch_does_not_see_the_other() -> None:
    text = """
func f(x: f64, c: bool) {
  z: f64 = if c { ()
    y: f64 = sin x
    yield y
  } { ()
    yield x
  }
  return z
}
"""
    func = verify(parse(text))
    (branch,) = func.body.eqns
    inner = branch.regions[0].eqns[0].out
    other = Region((), (), (inner,))
    broken = branch.with_(regions=(branch.regions[0], other))
    with pytest.raises(IRTypeError, match="out of scope"):
        verify(func.with_(body=Region(func.params, (broken,), func.results)))


def test_loops_keep_the_types_of_what_they_carry() -> None:
    text = """
func f(x: f64, n: i64) {
  y: f64 = for 0: i64, n, 1: i64, x { (i: i64, y: f64)
    yield i
  }
  return y
}
"""
    with pytest.raises(IRTypeError, match="carried"):
        verify(parse(text))
