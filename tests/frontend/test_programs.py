"""Small programs, each for one feature of the language: traced and evaluated as Python does."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import namedtuple

import numpy as np
import pytest

from s2s_ad.frontend import Static, trace
from s2s_ad.ir.core import walk
from s2s_ad.ir.text import show
from s2s_ad.ir.types import Type
from tests.frontend.checks import check
from tests.source_text import define

RNG = np.random.default_rng(0)
V, A = RNG.standard_normal(6), RNG.standard_normal((4, 6))
F32 = V.astype(np.float32)

#: name -> (parameters, body, argument tuples)
TEXTS: dict[str, tuple] = {
    # types
    "int_sum_widens": ("x", "s = 0\nfor i in range(len(x)): s += x[i]\nreturn s", (V,)),
    "weak_f32": ("x", "return 2.0 * x, x / 3, np.sin(x), x**2, x.sum(), np.float64(2) * x", (F32,)),
    "weak_carried": ("x", "s = 0.0\nfor i in range(6): s = s + 2.0 * x[i] * i\nreturn s", (F32,)),
    "integers": (
        "n",
        "return n // 2, n % 3, n / 2, n**2, -n // 2, divmod(n, 4), float(n)",
        (7,),
        (-7,),
    ),
    "int_array": ("x", "return x / 2, x * 2.5, x // 2, x.sum(), x.mean(), x**2", (np.arange(5),)),
    "bools": ("x", "return ((x > 0) & (x < 1) | ~(x > 2)).sum(), (x > 0) + (x > 1)", (V,)),
    "complex": ("z", "return z * 2 + 1j, z**2, z / (1 + z)", (1 + 2j,)),
    "carried_tuple": (
        "x, n",
        "s = (0, 1.0)\nfor i in range(n):\n    a, b = s\n    s = (b * x, a + b)\nreturn s",
        (1.5, 3),
        (1.5, 0),
    ),
    # names
    "after_loop": ("x, n", "for i in range(n): y = x * i\nreturn y + i", (2.0, 3)),
    "one_path": ("x, f", "if x > 0: z = x * 2\nif f > 0: return x\nreturn z", (2.0, -1), (-2.0, 1)),
    "static_loop": ("x", "for _ in range(0): y = 5\nfor _ in range(2): y = x\nreturn y", (2.0,)),
    "starred": ("x", "a, *b, c = x, x + 1, x + 2, x + 3\nreturn a, b, c", (2.0,)),
    # control flow
    "for_else": (
        "x, t",
        "for i in range(len(x)):\n    if x[i] > t: break\nelse:\n    return -1.0\nreturn x[i]",
        (V, 0.1),
        (V, 50.0),
    ),
    "while_else": (
        "x, n",
        "k = 0\nwhile k < n:\n    k += 1\n    if k * x > 3: break\nelse:\n    k = -1\nreturn k * x",
        (1.0, 9),
        (1.0, 2),
    ),
    "else_leaves_the_outer_loop": (
        "x, t",
        "z = x[0]\nfor a in x:\n    if a > t:\n        z = a * 2\n        for b in x:\n"
        "            if b > 5.0: break\n        else:\n            break\n    z = a * 3\nreturn z",
        (V, 0.1),
        (V + 6, 6.1),
        (V, 50.0),
    ),
    "choices_in_loops_that_end": (
        "x, n",
        "k = 0\nwhile k < n:\n    x = x * 0.5 if x > 0.3 else x + 1.0\n    k += 1\n"
        "for i in range(n):\n    x = x * 0.9 if i % 2 else x\n    if x > 5.0: break\n"
        "else:\n    x += 1.0\nreturn x",
        (1.0, 9),
        (0.1, 2),
        (500.0, 3),
    ),
    "while_true": (
        "x, n",
        "k = 0\nwhile True:\n    x = x * 0.5 + 1\n    k += 1\n    if k > n: break\n"
        "    if x > 100: return x\nreturn x * k",
        (3.0, 4),
        (1e5, 4),
    ),
    "returns_array": (
        "x",
        "for i in range(len(x)):\n    for j in range(len(x)):\n"
        "        if x[i] + x[j] > 2.0: return x * i + j\nreturn x",
        (V,),
        (V + 5,),
    ),
    "returns_nothing": (
        "x, n",
        "for i in range(n):\n    if i == 2: return\n    x[i] = 0",
        (V, 4),
        (V, 1),
    ),
    "continue_break": (
        "x",
        "s = 0.0\nfor i in range(len(x)):\n    if x[i] < 0: continue\n    if i == 4: break\n"
        "    s += x[i]\nreturn s",
        (V,),
    ),
    "unrolled_exits": (
        "x",
        "s = 0.0\nfor w in (1.0, 2.0, 3.0):\n    if x * w > 5: break\n    if x * w < 0: continue\n"
        "    s += x * w\nreturn s",
        *((x,) for x in (-1.0, 1.0, 2.0, 9.0)),
    ),
    "logic": (
        "x, y",
        "if 0 < x < 1 < y or x > 5: return 1.0\nif x and y: return x * y\nreturn 3.0",
        (0.5, 2.0),
        (3.0, 2.0),
        (0.0, 2.0),
        (6.0, 0.0),
    ),
    "raises_elsewhere": (
        "x",
        "if x < 0: raise ValueError('negative %s' % 'x')\nif x > 100:\n    y = x * 2\n"
        "    raise RuntimeError(f'big {y}')\nassert x != 5, 'five'\nreturn np.sqrt(x)",
        (4.0,),
    ),
    "index_known_by_unrolling": (
        "p",
        "s = 0.0\nfor i in range(3): s += p[i] ** i\nreturn s",
        ((1.0, 2.0, 3.0),),
    ),
    # iteration
    "iterables": (
        "x, y",
        "s = 0\nfor i, (a, b) in enumerate(zip(x, y)): s += a * b * i\n"
        "for a in reversed(x): s = s * 0.5 + a\nfor row in (x, y): s += row[0]\n"
        "for i in range(len(x) - 1, -1, -1): s += x[i] * i\n"
        "for i in range(0, len(x), 2): s += x[i] * i\n"
        "for i in reversed(range(1, len(x), 2)): s = 2 * s + x[i]\nreturn s",
        (V, V * 2),
    ),
    "rows": ("A", "s = 0.0\nfor row in A:\n    for v in row: s += v * row[0]\nreturn s", (A,)),
    "comprehension": ("x", "return sum([x[i] * i for i in range(3)]) + max(x[0], x[1], 0.5)", (V,)),
    "generator": ("x", "return sum(x[i] for i in (0, 1)) + max(t * t for t in (x[0], x[3]))", (V,)),
    # functions
    "nested_def": (
        "x",
        "o = np.zeros(3)\ndef add(i, v): o[i] += v\nfor i in range(3): add(i, x)\nreturn o",
        (2.0,),
    ),
    "lambda_default": ("x", "g = lambda t, s=2: t * s\nreturn g(x) + g(x, s=x)", (2.0,)),
    "closure_reads_later": (
        "x, c",
        "y = x\ndef g(): return y * 2\nif c > 0: y = x + 1\na = g()\n"
        "for i in range(3): y = y * x\nreturn a + g()",
        (2.0, 1),
        (2.0, -1),
    ),
    "function_in_itself": (
        "a, b",
        "def quad(f): return (f(0.0) + 2 * f(0.5) + f(1.0)) / 4\n"
        "return quad(lambda s: quad(lambda t: a * s * t + b))",
        (2.0, 3.0),
    ),
    "long_condition": (
        "x",
        "n = 0\nfor i in range(len(x)):\n    if (i > 0 and x[i] > 0 and x[i - 1] > -1\n"
        "            and x[i] < 9 and 1 / x[i] > 0 and x[i] * x[i] < 2\n"
        "            and x[i] > x[i - 1]):\n"
        "        n += 1\nreturn n",
        (V,),
    ),
    "extents_change": (
        "u, n",
        "w = u\nfor k in range(n):\n    w = np.zeros(len(u))\n    w[:] = u\n    u = u[1:] * 2.0\n"
        "return w[1:] + u, w.sum(), u.sum()",
        (V, 2),
    ),
    "returns_a_tuple": (
        "x, k",
        "if k > 0:\n    for i in range(k):\n        x = x * 2\n        if x[0] > 3:\n"
        "            return x[1], x + 1\nreturn x[2], x",
        *((np.abs(V), k) for k in (0, 1, 9)),
    ),
    "list_grows": (
        "x",
        "out = []\nfor i in range(3): out = out + [x * i]\nreturn out, np.array(out)",
        (2.0,),
    ),
    "composites": (
        "x, A",
        "return (np.roll(x, 2), np.roll(x, -7), np.roll(A, 1, axis=1), np.take(x, [0, 2]),\n"
        "    np.roll(A, 4), np.roll(A, (1, -1), axis=(0, 1)), np.roll(A, 2, (0, -1)),\n"
        "    np.roll(A, (1, 2)), np.roll(A, 1, axis=(0, 0)), np.roll(A, (), ()),\n"
        "    A.take([1, 0], axis=0), np.round(x), np.tril(A), np.triu(A, 1),\n"
        "    np.polyval([1.0, 2.0, 3.0], x), np.nan_to_num(1 / (x - x[0])))",
        (V, A),
    ),
    "walrus": ("x", "return (y := x * 2) + y", (2.0,)),
    # shapes
    "shapes": (
        "A",
        "n, m = A.shape\nB = np.zeros((m, n))\nB[:] = A.T\nC = np.empty(n - 1)\n"
        "C[:] = A[1:, 0] - A[:-1, 0]\nreturn B, C, A[:n - 1, 0] + A[1:n, 1], A.size, A.ndim",
        (A,),
    ),
    "masks": (
        "x, y",
        "x[x > 0] = 0.0\ny[y < 0] += 1\nx[y > 0] = y[y > 0]\nA = np.outer(x, y)\n"
        "A[A > 0] = 1.0\nreturn A, A[A < 0.5].sum()",
        (V, V[::-1].copy()),
    ),
    "in_place": (
        "A, i",
        "r = A[i]\nr += 1\nr[2] *= 3\nA.T[1] += 5\nA[:, 0] -= r[0]\nA[1:3][0, 1] = 7\n"
        "A[1:-1][:, 2:][0] = A[0, 2:]\nreturn A",
        (A, 2),
    ),
    "gather_update": ("x, i, v", "x[i] += v\nx[i] *= 2\nreturn x", (V, np.array([1, 3, 1]), V[:3])),
    "functions": (
        "x",
        "return (np.cumsum(x), x.argmax(), np.linspace(0, 1, 5), np.where(x > 0, x, 0),\n"
        "    np.clip(x, -0.5, 0.5), x[::-1], x[x > 0], np.concatenate([x, x]), np.diag(x),\n"
        "    np.diff(x), np.vstack([x, x]), np.hstack([x, x[:2]]), np.linalg.norm(x), np.var(x),\n"
        "    np.any(x > 0), np.all(x > -9), np.eye(3), np.arange(2, 9, 3), np.ptp(x), x.item(2)\n"
        "    if False else 0.0, np.logaddexp(x, 1.0), np.trace(np.outer(x, x)))",
        (V,),
    ),
    "ufunc_methods": (
        "x, A, n",
        "return (np.add.outer(x, A), np.subtract.outer(A[0], 2.0), np.less.outer(x[:2], x),\n"
        "    np.logaddexp.outer(x[:2], A[0]), np.multiply.outer(n, 0.5),\n"
        "    np.maximum.outer(2.0, x), np.add.outer(x, n * 0.5),\n"
        "    np.add.reduce(A), np.add.reduce(A, axis=None),\n"
        "    np.multiply.reduce(A, 1, keepdims=True),\n"
        "    np.maximum.reduce(A, axis=1), np.minimum.reduce(x), np.logical_and.reduce(A > 0),\n"
        "    np.logical_or.reduce(x > 0), np.add.accumulate(A), np.add.accumulate(x))",
        (V, A, 3),
        (F32, A, 3),
    ),
    "double_buffer_in_if": (
        "x, c",
        "y = np.zeros_like(x)\nif c > 0:\n    y[1:] = x[:-1]\n"
        "elif c < -1:\n    y = x * 2\nreturn y + x",
        *((V, c) for c in (1.0, 0.0, -2.0)),
    ),
}


def cases() -> list:
    return [
        pytest.param(name, args, id=f"{name}-{k}")
        for name, (_, _, *inputs) in TEXTS.items()
        for k, args in enumerate(inputs)
    ]


@pytest.mark.parametrize(("name", "args"), cases())
def test_text(name: str, args: tuple) -> None:
    parameters, body, *_ = TEXTS[name]
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    check(define(f"def {name}({parameters}):\n{lines}", name, f"frontend {name}"), *args)


Pair = namedtuple("Pair", "a b")


@dataclasses.dataclass
class Spring:
    mass: float
    k: object

    def energy(self, v):
        return 0.5 * self.mass * v**2 + (self.k * v).sum()

    @property
    def twice(self):
        return 2 * self.mass


def records(p, q, d):
    made = Spring(1.0, q.k)
    return q.energy(p.a) * q.twice + p.b * d["x"], Pair(p.a, 2.0), {"e": p[0]}, made


def test_records() -> None:
    traced = check(records, Pair(1.0, 2.0), Spring(2.0, V), {"x": 3.0, "name": "s"})
    assert traced.params == ("p.a", "p.b", "q.mass", "q.k", "d['x']")


def known_function(x, kind, power=2):
    f = {"sin": np.sin, "cos": np.cos}[kind]
    return functools.partial(math.pow, 2.0)(power) * f(x)


def test_static_arguments() -> None:
    check(known_function, V, "sin")
    check(known_function, V, "cos", 3)
    assert "sin" in show(trace(known_function, [Type("f64"), Static("sin")]).func)


SCALE = 3.0
CONFIG = Spring(2.0, np.arange(3.0))


def reads_globals(x):
    return SCALE * x + CONFIG.k[1] * CONFIG.mass


def test_guards_and_captures() -> None:
    traced = check(reads_globals, 2.0)
    assert [value for _, value in traced.guards] == [3.0, Spring, 2.0]
    assert [get() for get, _ in traced.guards] == [3.0, Spring, 2.0]
    assert traced.captures[0].get() is CONFIG.k
    assert traced.params[1:] == (traced.captures[0].name,)


def sums(x, y):
    z = x + y
    return z * x + y


def test_one_shape_check_per_pair() -> None:
    unknown = Type("f64", ("?",))
    func = trace(sums, [unknown, unknown]).func
    checks = [e for e in walk(func.body) if e.prim == "assert"]
    assert len(checks) == 1
    assert "axis 0 of x[x0] and axis 0 of y[y0]" in checks[0].params["message"]
    named = Type("f64", ("n",))
    assert not [e for e in walk(trace(sums, [named, named]).func.body) if e.prim == "assert"]


def names(x):
    scaled = 2.0 * x
    rows = scaled[1:] - scaled[:-1]
    rows *= 2.0
    return rows


def test_names_and_extents() -> None:
    func = trace(names, [Type("f64", ("n",))]).func
    assert [str(e.outs[0]) for e in func.body.eqns][-1] == "rows: f64[n-1]"
    assert func.result_names == ("rows",)
    assert func.body.eqns[0].loc.text.strip() == "scaled = 2.0 * x"


def test_same_source_same_text() -> None:
    specs = [Type("f64", ("?", "?")), Type("i64")]
    text = TEXTS["in_place"]
    fn = define(f"def f(A, i):\n    {text[1].splitlines()[0]}\n    return r", "f", "frontend twice")
    assert show(trace(fn, specs).func) == show(trace(fn, specs).func)


two = (lambda x: x + 1.0, lambda x: x * 2.0)


def test_lambdas_of_one_line() -> None:
    assert [trace(f, [Type("f64")]).func.body.eqns[0].prim for f in two] == ["add", "mul"]
