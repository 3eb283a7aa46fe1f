"""Every primitive, printed, gives what the reference interpreter gives."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.backend.emit import emit
from s2s_ad.backend.jit import compile_source
from s2s_ad.backend.module import emit_module
from s2s_ad.ir.build import Builder, i64, number
from s2s_ad.ir.core import Func, Var
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.text import parse
from s2s_ad.ir.types import I64, Type
from s2s_ad.passes.inplace import inplace

UNARY = (
    "neg abs sign sqrt cbrt exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan "
    "sinh cosh tanh arcsinh arccosh arctanh erf erfc floor ceil trunc rint stop_gradient isnan "
    "isinf isfinite"
).split()
BINARY = (
    "add sub mul div pow maximum minimum floordiv mod fmod arctan2 hypot copysign eq ne lt le gt ge"
).split()
INTEGER = "add sub mul floordiv mod maximum minimum eq lt bit_and bit_or bit_xor".split()


def scalar_function(dtype: str = "f64") -> Func:
    """Applies every scalar primitive."""
    kind = Type(dtype)
    x, y, m, n = Var("x", kind), Var("y", kind), Var("m", I64), Var("n", I64)
    b, out = Builder(), []
    out += [b.emit(prim, x, name=prim) for prim in UNARY]
    out += [b.emit(prim, b.emit("exp", x), name=prim) for prim in ("lgamma", "gamma")]
    out += [b.emit(prim, x, y, name=prim) for prim in BINARY]
    out += [b.emit(prim, m, n, name=f"{prim}_int") for prim in INTEGER]
    out += [b.emit(prim, m, i64(3), name=prim) for prim in ("shift_left", "shift_right")]
    out += [b.emit("invert", m)]
    less, more = b.emit("lt", x, y), b.emit("gt", x, y)
    out += [b.emit(prim, less, more, name=prim) for prim in ("and", "or", "xor")]
    out += [b.emit("not", less), b.emit("select", less, x, y, name="select")]
    out += [b.emit("pow", x, i64(k), name="pow") for k in (2, 3, -1)]
    out += [b.emit("pow", x, n, name="pow"), b.emit("pow", x, number(0.5, dtype), name="pow")]
    out += [b.emit("convert", n, dtype=d) for d in ("f64", "f32", "bool", "i32")]
    out += [b.emit("convert", less, dtype=d) for d in ("f64", "i64")]
    out += [b.emit("convert", x, dtype=d, name="convert") for d in ("f32", "f64")]
    out += [b.emit("mul", x, number(v, dtype)) for v in (2.0, -0.5, np.inf, np.nan, -0.0)]
    return Func("f", b.region((x, y, m, n), out))


POINTS = [(0.3, -0.7, 7, -3), (-2.0, 0.5, -7, 3), (0.0, np.inf, 5, 5), (np.nan, 1.0, 1, 2)]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_scalars(jit: bool, dtype: str) -> None:
    func = scalar_function(dtype)
    f = compile_source(emit_module([func], jit=jit), "f", jit=jit)
    kind = np.float32 if dtype == "f32" else float
    for x, y, m, n in POINTS:
        args = [kind(x), kind(y), m, n]
        rtol = 1e-5 if dtype == "f32" else 1e-14
        for var, e, a in zip(func.results, evaluate(func, args), f(*args), strict=True):
            np.testing.assert_allclose(a, e, rtol=rtol, atol=0, err_msg=f"{var} at {args}")


def test_integer_literals_stay_integers() -> None:
    text = emit(parse("func f(k: i64) { t: i64 = floordiv k, -2: i64 return t }"))
    assert text == "def f(k):\n    return k // -2\n"


def test_gamma_function() -> None:
    text = "func f(x: f64, a: f32[n]) { y: f64 = gamma x z: f32[n] = lgamma a return y, z }"
    f = compile_source(emit_module([parse(text)], jit=False), "f", jit=False)
    args = (2.5, np.array([0.5, 3.5], np.float32))
    for e, a in zip(evaluate(parse(text), args), f(*args)):
        np.testing.assert_allclose(a, e, rtol=1e-6)
        assert np.asarray(a).dtype == np.asarray(e).dtype


@pytest.mark.parametrize("jit", [False, True])
def test_int32_wraps_around(jit: bool) -> None:
    """numba computes with 64 bits."""
    b, m = Builder(), Var("m", Type("i32"))
    out = [b.emit(prim, m, m, name=prim) for prim in ("add", "mul", "bit_xor")]
    out = [b.emit("floordiv", o, number(3, "i32")) for o in (*out, b.emit("neg", m))]
    func = Func("f", b.region((m,), out))
    f = compile_source(emit_module([func], jit=jit), "f", jit=jit)
    for k in (2**31 - 5, -(2**31), 7):
        np.testing.assert_array_equal(f(np.int32(k)), evaluate(func, [np.int32(k)]))


ARRAY_PROGRAM = """
func f(x: f64[n], A: f64[n, m], k: i64[p], c: bool[n]) {
  n: i64 = dim A {axis=0}
  m: i64 = dim A {axis=1}
  o1: f64[m, n] = transpose A {perm=(1, 0)}
  n1: i64 = mul n, m
  o2: f64[?] = reshape A, n1
  o3: f64[?] = reshape o1, n1
  o4: f64[n, 1] = expand x {axes=(1,)}
  o5: f64[1, n] = expand x {axes=(0,)}
  o6: f64[n] = squeeze o4 {axes=(1,)}
  o7: f64[n, m] = broadcast x, n, m {axes=(0,)}
  o8: f64[n] = broadcast 2.0: f64, n {axes=()}
  o9: f64[?] = concatenate x, x, o6 {axis=0}
  o10: f64[n, ?] = concatenate A, o7 {axis=1}
  o11: f64[2, n] = stack x, x {axis=0}
  x0: f64 = load x, 0: i64 {spec='i'}
  o12: f64[2] = stack x0, 3.0: f64 {axis=0}
  o13: f64 = sum A {axes=(0, 1)}
  o14: f64[n] = sum A {axes=(1,)}
  o15: f64[1, m] = sum A {axes=(0,), keepdims=True}
  o16: f64[n] = prod A {axes=(1,)}
  o17: f64 = reduce_max x {axes=(0,)}
  o18: f64[m] = reduce_min A {axes=(0,)}
  o19: i64 = argmax x {axes=(0,)}
  o20: i64[n] = argmin A {axes=(1,)}
  o21: bool = any c {axes=(0,)}
  o22: f64[n] = cumsum x {axis=0}
  o23: f64[n, m] = cumsum A {axis=1, reverse=True}
  o24: f64[n] = dot A, o18
  o25: f64 = dot x, x
  o26: f64[p] = load x, k {spec='a'}
  o27: f64[p, m] = load A, k {spec='a,:'}
  o28: f64[n, p] = load A, k {spec=':,a'}
  o29: i64[?] = nonzero c
  o30: f64[n] = erf x
  o31: f64[n] = select c, x, o14
  t: bool[n] = not c
  t.1: bool[n] = gt x, 0.0: f64
  o32: bool[n] = and t, t.1
  o33: f32[n] = convert x {dtype='f32'}
  o34: i64[n] = iota n
  o35: f64[n, m] = full 0.0: f64, n, m
  o36: i64[n] = full 1: i64, n
  z: f64[n] = full 0.0: f64, n
  o37: f64[n] = accum z, 1.5: f64, k {spec='a'}
  z.1: f64[n, m] = full 1.0: f64, n, m
  o38: f64[n, m] = accum z.1, o14, k {spec=':,a'}
  o39: f64[n, m] = add o7, A
  o40: f64[n] = maximum x, 0.25: f64
  o41: f64[n, m] = full -0.0: f64, n, m
  o42: f64[n] = neg x
  o43: f64[n] = load x, -1: i64 {spec='::_'}
  o44: f64[1] = expand x0 {axes=(0,)}
  t.2: f64[n, m] = broadcast o14, n, m {axes=(0,)}
  o45: f64[n, m] = mul A, t.2
  o46: f64[n, m] = stop_gradient A
  o47: f64[n, m] = inv A
  s: f64[n, n] = dot A, o1
  i1: i64[n, 1] = expand o34 {axes=(1,)}
  i2: i64[1, n] = expand o34 {axes=(0,)}
  i3: bool[n, n] = eq i1, i2
  i4: f64[n, n] = convert i3 {dtype='f64'}
  s1: f64[n, n] = add s, i4
  o48: f64[n, n] = cholesky s1
  o49: f64[n, n] = solve o48, A {lower=True, transposed=True}
  o50: f64[n] = solve s1, x {lower=False, transposed=False}
  o51: f64[n, m] = roll A, -2: i64 {axis=1}
  o52: f64[n] = roll x, 1: i64 {axis=0}
  return o1, o2, o3, o4, o5, o6, o7, o8, o9, o10, o11, o12, o13, o14, o15, o16, o17, o18, o19, o20, o21, o22, o23, o24, o25, o26, o27, o28, o29, o30, o31, o32, o33, o34, o35, o36, o37, o38, o39, o40, o41, o42, o43, o44, o45, o46, o47, o48, o49, o50, o51, o52
}
"""  # noqa: E501


def test_arrays() -> None:
    func = parse(ARRAY_PROGRAM)
    rng = np.random.default_rng(0)
    args = [
        rng.normal(size=3),
        rng.normal(size=(3, 3)),
        np.array([2, 0, 2]),
        np.array([True, False, True]),
    ]
    f = compile_source(emit_module([inplace(func)], jit=False), "f", jit=False)
    for var, e, a in zip(func.results, evaluate(func, args), f(*args), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-14, err_msg=str(var))
        assert np.asarray(a).dtype == np.asarray(e).dtype, var


def test_every_primitive_is_printed() -> None:
    tested = {e.prim for e in parse(ARRAY_PROGRAM).body.eqns}
    tested |= {e.prim for e in scalar_function().body.eqns}
    elsewhere = "inside if for while assert perform grow copy store empty all gamma lgamma threads"
    assert set(PRIMS) <= tested | set(elsewhere.split())
