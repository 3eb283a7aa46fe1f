"""Tangents that an iteration stores for the next one are handed over, their places not cleared."""

from __future__ import annotations

import re
from textwrap import indent

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.core import FIRST_TOUCH, walk
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.handover import handover
from s2s_ad.passes.untouched import untouched
from tests.derivative_checks import Derivatives
from tests.source_text import define


def program(name: str):
    params, body = PROGRAMS[name][:2]
    return define(f"def f({params}):\n{indent(body, '    ')}\n", "f", f"handover {name}")


BEFORE = """
func f(x: f64[n], a: f64, x_dot: f64[n], a_dot: f64) {
  n: i64 = dim x {axis=0}
  w_dot: f64[n] = full 0.0: f64, n tangent
  w_dot: f64[n] = store w_dot, a_dot, 0: i64 {spec='i'} tangent
  y_dot: f64[n], z_dot: f64[n] = for 2: i64, n, 1: i64, x_dot, w_dot {linear=2} {
    (i: i64, y_dot: f64[n], z_dot: f64[n])
    j: i64 = sub i, 1: i64
    k: i64 = sub i, 2: i64
    s_dot: f64 = load y_dot, j {spec='i'} tangent
    t_dot: f64 = load y_dot, k {spec='i'} tangent
    u_dot: f64 = load z_dot, k {spec='i'} tangent
    p: f64 = load x, i {spec='i'}
    s_dot: f64 = mul s_dot, p tangent
    t_dot: f64 = mul t_dot, a tangent
    t_dot: f64 = add s_dot, t_dot tangent
    u_dot: f64 = mul u_dot, a tangent
    y_dot: f64[n] = accum y_dot, t_dot, i {spec='i'} tangent
    z_dot: f64[n] = store z_dot, u_dot, j {spec='i'} tangent
    yield y_dot, z_dot
  }
  return y_dot, z_dot
}
results y_dot, z_dot
"""

#: What is changed so that y_dot, z_dot, or none of them is handed over.
STAYS = {
    "written at an unknown place": (
        "p: f64 = load x, i {spec='i'}",
        "p: f64 = load x, i {spec='i'}\n    q: i64 = convert p {dtype='i64'}\n"
        "    y_dot: f64[n] = store y_dot, p, q {spec='i'} tangent",
        {"y_last_dot", "z_last_dot"},
    ),
    "counted from the end": ("for 2: i64, n", "for -2: i64, n", {"y_last_dot", "z_last_dot"}),
    "of any step": ("n, 1: i64, x_dot", "n, n, x_dot", set()),
    "too far": ("sub i, 2: i64", "sub i, 9: i64", {"y_last_dot"}),
    "one of a branch": (
        "z_dot: f64[n] = store z_dot, u_dot, j {spec='i'} tangent",
        "c: bool = lt p, a\n    z_dot: f64[n] = if c {linear=1} { ()\n"
        "      z_dot: f64[n] = store z_dot, u_dot, j {spec='i'} tangent\n      yield z_dot\n"
        "    } { ()\n      yield z_dot\n    }",
        {"y_last_dot", "y_last2_dot"},
    ),
    "another array": (
        "yield y_dot, z_dot",
        "r_dot: f64[n] = mul z_dot, a tangent\n    yield y_dot, r_dot",
        {"y_last_dot", "y_last2_dot"},
    ),
    "one that is overwritten": (
        "y_dot: f64[n] = accum y_dot, t_dot, i {spec='i'} tangent\n"
        "    z_dot: f64[n] = store z_dot, u_dot, j {spec='i'} tangent\n    yield y_dot, z_dot",
        "r_dot: f64[n] = accum y_dot, t_dot, i {spec='i'} tangent\n"
        "    q_dot: f64[n] = store z_dot, u_dot, j {spec='i'} tangent\n"
        "    u_dot: f64 = load y_dot, i {spec='i'} tangent\n"
        "    q_dot: f64[n] = store q_dot, u_dot, j {spec='i'} tangent\n    yield r_dot, q_dot",
        {"q_last_dot"},
    ),
    "not the first before": ("load y_dot, j", "load y_dot, i", {"z_last_dot"}),
}


def handed(func) -> set[str]:
    return {
        p.name for e in walk(func.body) for r in e.regions for p in r.params if "_last" in p.name
    }


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_golden(golden, n: int) -> None:
    func, rng = parse(BEFORE), np.random.default_rng(n)
    after = verify(untouched(handover(func)))
    golden("ir", "handover.txt", BEFORE.lstrip() + "\n=== after handover\n\n" + show(after))
    assert handed(after) == {"y_last_dot", "y_last2_dot", "z_last_dot"}
    for _ in range(3):
        args = rng.random(n), 0.3, rng.random(n), 0.7
        expected = evaluate(func, [a.copy() if np.ndim(a) else a for a in args])
        for a, b in zip(evaluate(after, args), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("why", STAYS)
def test_stays(why: str) -> None:
    old, new, names = STAYS[why]
    before = BEFORE.replace(old, new)
    assert before != BEFORE
    assert handed(verify(handover(parse(before)))) == names


def test_without_conditions() -> None:
    """What the first iteration finds in an argument needs one; what was stored before does not."""
    assert handed(handover(parse(BEFORE), guarded=False)) == {"z_last_dot"}


#: (parameters, body, arguments, what the gradient's kernel hands over, whether it still clears)
N = np.array([0.3, 0.7, -0.4, 0.9, 0.2, 0.5, -0.8])
M = np.linspace(-0.6, 0.9, 20).reshape(4, 5)
PROGRAMS = {
    "volatility": (
        "omega, alpha, beta, r",
        "s2 = np.empty(len(r))\ns2[0] = omega / (1 - alpha - beta)\nfor t in range(1, len(r)):\n"
        "    s2[t] = omega + alpha * r[t - 1] ** 2 + beta * s2[t - 1]\n"
        "return np.sum(np.log(s2) + r * r / s2)",
        lambda n: (0.1, 0.2, 0.3, N[:n]),
        {"s2_last_bar"},
        False,
    ),
    "two lags": (
        "a, b, e",
        "x = np.zeros(len(e))\nfor t in range(2, len(e)):\n"
        "    x[t] = a * x[t - 1] + b * x[t - 2] * e[t] + np.sin(e[t])\nreturn x @ x",
        lambda n: (0.4, -0.3, N[:n]),
        {"x_last_bar", "x_last2_bar"},
        False,
    ),
    "thomas": (
        "a, b, c, d",
        "b, d, n = b.copy(), d.copy(), len(b)\nfor i in range(1, n):\n    w = a[i] / b[i - 1]\n"
        "    b[i] -= w * c[i - 1]\n    d[i] -= w * d[i - 1]\n"
        "for i in range(n - 1, -1, -1):\n    if i < n - 1:\n        d[i] -= c[i] * d[i + 1]\n"
        "    d[i] /= b[i]\nreturn np.sum(d * d)",
        lambda n: (N[:n], 3.0 + N[:n], N[::-1][:n].copy(), N[:n] ** 2),
        {"b_last_bar", "d_last_bar"},
        True,
    ),
    "gauss_seidel": (
        "u, c, sweeps",
        "u = u.copy()\nfor k in range(sweeps):\n    for i in range(1, u.shape[0] - 1):\n"
        "        for j in range(1, u.shape[1] - 1):\n"
        "            u[i, j] = c * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] * u[i, j + 1])\n"
        "return np.sum(u * u)",
        lambda n: (M[: max(n, 1), :n], 0.3, 2),
        {"u_last_bar"},
        True,
    ),
    "trajectory": (
        "y0, n",
        "ys = np.zeros((n + 1, 2))\nys[0] = y0\nfor i in range(n):\n"
        "    ys[i + 1] = ys[i] + 0.1 * np.array([ys[i, 1], -np.sin(ys[i, 0])])\n"
        "return np.sum(ys * ys)",
        lambda n: (N[:2], n),
        {"ys_last_bar"},
        False,
    ),
    "backwards": (
        "p, r",
        "v = np.zeros(len(r) + 1)\nv[len(r)] = p\nfor i in range(len(r) - 1, -1, -1):\n"
        "    v[i] = (v[i + 1] + np.sin(v[i + 1])) * r[i]\nreturn v[0] + v @ v",
        lambda n: (0.7, N[:n]),
        {"v_last_bar"},
        False,
    ),
    "twice": (
        "x",
        "y = np.zeros(len(x))\nfor i in range(1, len(x)):\n    y[i] = y[i - 1] * x[i] + x[i - 1]\n"
        "for i in range(1, len(x)):\n    y[i] = np.sin(y[i]) * y[i - 1]\nreturn y @ y",
        lambda n: (N[:n],),
        {"y_last_bar"},
        True,
    ),
    "read whole": (
        "x, a",
        "y = x * a\ns = 0.0\nfor i in range(1, len(x)):\n    y[i] *= y[i - 1]\n"
        "    s += np.sum(y) ** 2\n    for j in range(i):\n        s += y[j] * y[i]\nreturn s",
        lambda n: (N[:n], 0.6),
        {"y_last_bar"},
        True,
    ),
    "each in its own row": (
        "x, a",
        "s = 0.0\nfor k in range(3):\n    y = np.zeros(len(x))\n    for i in range(1, len(x)):\n"
        "        y[i] = a * y[i - 1] * x[i] + x[k % len(x)] ** k\n    s += y @ y\nreturn s",
        lambda n: (N[:n], 0.6),
        {"y_last_bar"},
        False,
    ),
}


@pytest.fixture(scope="module", params=PROGRAMS)
def checked(request):
    _, _, inputs, names, clears = PROGRAMS[request.param]
    return Derivatives(program(request.param)), inputs, names, clears


@pytest.mark.parametrize("n", [2, 3, 4])
def test_derivatives(checked, n: int) -> None:
    derivatives, inputs, names, clears = checked
    derivatives.check(inputs(n), fd_rtol=1e-5)
    text = derivatives.grad.source(*inputs(n), level="kernel")
    found = {w for w in names if f"{w} = " in text}
    assert found == names
    arrays = "|".join(w.removesuffix("_bar").partition("_last")[0] for w in names)
    plain = derivatives.grad.source(*inputs(n))
    assert bool(re.search(rf"\b({arrays})_bar\w*\[[^]]*\] =", plain)) == clears, plain


@pytest.mark.parametrize("n", [1, 4])
def test_second_order(n: int) -> None:
    f = program("two lags")
    Derivatives(s2s_ad.grad(f, wrt=(0, 2)), wrt=(0, 1, 2)).check(
        (0.4, -0.3, N[:n]), gradients=False
    )


UNTOUCHED = """
func f(v: f64, w_dot: f64, n: i64) {
  x_dot: f64[n] = full 0.0: f64, n tangent
  y_dot: f64[n] = for 0: i64, n, 1: i64, x_dot {linear=1} { (i: i64, y_dot: f64[n])
    t_dot: f64 = mul w_dot, v tangent
    y_dot: f64[n] = store y_dot, t_dot, i {spec='i'} tangent
    yield y_dot
  }
  return y_dot
}
results y_dot
"""
STORE = "y_dot: f64[n] = store y_dot, t_dot, i {spec='i'} tangent\n"
TOUCHED = {
    "an argument": ("f(v: f64, w_dot: f64, n: i64)", "f(v: f64, w_dot: f64, n: i64, z_dot: f64[n])",
                    "n, 1: i64, x_dot", "n, 1: i64, z_dot"),
    "not zero": ("full 0.0", "full 1.0"),
    "stored before": ("y_dot: f64[n] = for",
                      "x_dot: f64[n] = store x_dot, w_dot, 3: i64 {spec='i'} tangent\n"
                      "  y_dot: f64[n] = for"),
    "read before": ("t_dot: f64 = mul w_dot, v tangent",
                    "k: i64 = add i, 1: i64\n    r_dot: f64 = load y_dot, k {spec='i'} tangent\n"
                    "    t_dot: f64 = mul r_dot, v tangent"),
    "stored twice": (STORE, STORE + "    " + STORE),
    "one place": ("t_dot, i {spec", "t_dot, 0: i64 {spec"),
    "used whole": ("t_dot: f64 = mul w_dot, v tangent",
                   "t_dot: f64 = sum y_dot {axes=(0,), keepdims=False} tangent"),
    "from the end": ("for 0: i64, n", "for -2: i64, n"),
}  # fmt: skip


def marks(text: str) -> list[bool]:
    eqns = walk(untouched(parse(text)).body)
    return [bool(e.params.get(FIRST_TOUCH)) for e in eqns if e.prim == "store"]


def test_untouched() -> None:
    assert marks(UNTOUCHED) == [True]
    before = UNTOUCHED.replace(
        "y_dot: f64[n] = for 0",
        "x_dot: f64[n] = store x_dot, w_dot, 0: i64 {spec='i'} tangent\n  y_dot: f64[n] = for 1",
    )
    assert marks(before) == [True, True]


@pytest.mark.parametrize("why", TOUCHED)
def test_touched(why: str) -> None:
    text = UNTOUCHED
    changes = TOUCHED[why]
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    assert marks(text)[-1] is False
