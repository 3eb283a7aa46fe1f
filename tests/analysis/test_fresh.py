"""Writes that need not be undone: which these are, and that all derivatives are right."""

from __future__ import annotations

import random

import numpy as np
import pytest

from s2s_ad import grad, jvp, vjp
from s2s_ad.analysis.chains import chains
from s2s_ad.analysis.program import Program
from s2s_ad.ir.text import parse
from s2s_ad.specialise import Binder, program_of
from tests.derivative_checks import Derivatives
from tests.passes.cases import CASES
from tests.source_text import define

X = np.array([0.3, 0.7, -0.4, 0.9, 0.2, 0.5])
A = np.linspace(0.2, 0.9, 36).reshape(6, 6) + np.eye(6)

#: (parameters, body, arguments): the reverse sweep reads what the loop has left
STAYS = {
    "trajectory": (
        "y0, n",
        "ys = np.zeros((n + 1, 2))\nys[0] = y0\nfor i in range(n):\n"
        "    ys[i + 1] = ys[i] + 0.1 * np.array([ys[i, 1], -np.sin(ys[i, 0])])\nreturn ys * ys",
        (X[:2], 4),
    ),
    "recurrence": (
        "x",
        "y = x.copy()\nfor i in range(2, len(x)):\n    y[i] = np.sin(y[i - 1]) * y[i - 2] * x[i]\n"
        "return y",
        (X,),
    ),
    "backwards": (
        "x",
        "y = x * x\nfor i in range(len(x) - 2, -1, -1):\n    y[i] = np.exp(-y[i + 1]) * x[i]\n"
        "return y",
        (X,),
    ),
    "all before": (
        "x, k",
        "y = np.zeros(len(x))\nfor i in range(len(x)):\n    s = x[i]\n    for j in range(i):\n"
        "        s += k[j] * y[i - 1 - j] ** 2\n    y[i] = s\nreturn y",
        (X, X[::-1].copy()),
    ),
    "forward substitution": (
        "A, x",
        "y = np.empty(len(x))\nfor i in range(len(x)):\n"
        "    y[i] = (x[i] - A[i, :i] @ y[:i]) / A[i, i]\nreturn y",
        (A, X),
    ),
    "backward substitution": (
        "A, x",
        "n = len(x)\ny = np.zeros(n)\nfor i in range(n - 1, -1, -1):\n"
        "    y[i] = (x[i] - A[i, i + 1 :] @ y[i + 1 :]) / A[i, i]\nreturn y",
        (A, X),
    ),
    "read after the write": (
        "x",
        "y = np.zeros((len(x) + 1, 2))\ny[0, 0] = 0.5\nfor i in range(len(x)):\n"
        "    y[i + 1, 0] = np.sin(y[i, 0]) * x[i]\n    y[i + 1, 1] = y[i + 1, 0] ** 2 * y[i, 1]\n"
        "return y",
        (X,),
    ),
    "left early": (
        "x",
        "y = np.ones(len(x) + 1)\nfor i in range(len(x)):\n    y[i + 1] = y[i] * (0.5 + x[i])\n"
        "    if y[i + 1] > 1.1:\n        break\nreturn y * y",
        (X,),
    ),
    "changed afterwards": (
        "x",
        "y = x * 2\nfor i in range(1, len(x)):\n    y[i] = y[i - 1] ** 2 * x[i]\ny[2] *= y[3]\n"
        "y[1] = 0.0\nreturn y * y",
        (X,),
    ),
    "a number from before": (
        "x",
        "y = x * 2\na = y[3]\nfor i in range(1, len(x)):\n    y[i] = y[i - 1] ** 2 * a\n"
        "return y * a",
        (X,),
    ),
    "read before the loop": (
        "x",
        "y = x * x\ns = np.sum(y**3)\nfor i in range(1, len(x)):\n    y[i] = y[i - 1] ** 2 * s\n"
        "return y",
        (X,),
    ),
    "the beginning read meanwhile": (
        "x",
        "y = x.copy()\nfor i in range(1, len(x)):\n    y[i] = y[i - 1] ** 2 * x[i] * np.sum(x**2)\n"
        "return y * np.sum(x**3)",
        (X,),
    ),
    "a row from before": (
        "A",
        "B = A * A\nr = B[1:3]\nfor i in range(1, 6):\n    B[i] = B[i - 1] ** 2 * A[i]\n"
        "return B * np.sum(r**2)",
        (A,),
    ),
    "added to": (
        "x",
        "y = x * x\nfor i in range(1, len(x)):\n    y[i] += y[i - 1] ** 2\nreturn y * y",
        (X,),
    ),
    "factored in place": (
        "A",
        "L = A @ A.T\nfor i in range(6):\n    for j in range(i):\n"
        "        L[i, j] -= L[i, :j] @ L[j, :j]\n    L[i, i] -= L[i, :i] @ L[i, :i]\nreturn L * L",
        (A,),
    ),
    "rows from columns": (
        "A",
        "B = A * A\nfor i in range(1, 6):\n    for j in range(i, 6):\n"
        "        B[i, j] = B[:i, j] @ B[:i, i - 1] + A[i, j]\nreturn B",
        (A,),
    ),
}
#: … and where it must have what the loop has overwritten
UNDONE = {
    "the same element": (
        "x",
        "y = x * x\nfor i in range(len(x)):\n    y[i] = np.sin(y[i]) * x[i]\nreturn y",
        (X,),
    ),
    "ahead": (
        "x",
        "y = x * x\nfor i in range(len(x) - 1):\n    y[i] = y[i] * y[i + 1] ** 2\nreturn y",
        (X,),
    ),
    "behind in the other direction": (
        "x",
        "y = x * x\nfor i in range(len(x) - 1, 0, -1):\n    y[i] = y[i - 1] ** 2 * x[i]\nreturn y",
        (X,),
    ),
    "from the end": (
        "x",
        "y = x * x\nfor i in range(len(x)):\n    y[i] = y[i - 1] ** 2 * x[i]\nreturn y",
        (X,),
    ),
    "several sweeps": (
        "x",
        "y = x * x\nfor _ in range(2):\n    for i in range(1, len(x)):\n"
        "        y[i] = y[i - 1] ** 2 * x[i]\nreturn y",
        (X,),
    ),
    "all of it": (
        "x",
        "y = x * x\nfor i in range(1, len(x)):\n    y[i] = y[i - 1] ** 2 * np.sum(y**2)\nreturn y",
        (X,),
    ),
    "a moving place": (
        "x, k",
        "y = x * x\nfor i in range(3):\n    y[k[i]] = y[k[i + 1]] ** 2 * x[i]\nreturn y",
        (X, np.array([2, 1, 2, 3])),
    ),
    "a place that counts": (
        "x",
        "y, k = x * x, 1\nfor i in range(len(x) - 1):\n    y[k] = y[i] ** 2 * x[i]\n"
        "    k = 5 - k if i > 1 else k + 1\nreturn y",
        (X,),
    ),
    "rows that stay": (
        "A",
        "B = A * A\nfor i in range(1, 5):\n    B[2, i] = B[1, i - 1] ** 2 * B[2, 5 - i]\nreturn B",
        (A,),
    ),
    "in a branch": (
        "x",
        "y = x * x\nfor i in range(1, len(x)):\n    if x[i] > 0.3:\n        y[i] = y[i - 1] ** 2\n"
        "    y[0] = y[i] * y[0]\nreturn y",
        (X,),
    ),
    "read before the write": (
        "x",
        "y = x * x\nfor i in range(1, len(x)):\n    t = y[i] ** 2\n    y[i] = y[i - 1] ** 2 * t\n"
        "return y",
        (X,),
    ),
    "two that change places": (
        "x",
        "y, z = x * x, x * 2\nfor i in range(1, len(x)):\n    z[i] = y[i - 1] ** 2 * x[i]\n"
        "    y, z = z, y\nreturn y * z",
        (X,),
    ),
}
PROGRAMS = {**STAYS, **UNDONE}


def function(name: str):
    parameters, body, args = PROGRAMS[name]
    text = f"def program({parameters}):\n" + "".join(f"    {x}\n" for x in body.splitlines())
    return define(text, "program", f"fresh {name}"), args


def stay(name: str) -> int:
    """How many writes of a program need not be undone."""
    fn, args = function(name)
    binder = Binder(fn, (), None)
    func = program_of(fn, binder.describe(binder.bind(args, {}))).func
    return sum(len(chain.fresh) for chain in chains(Program(func)) if not chain.stale)


@pytest.mark.parametrize("name", STAYS)
def test_writes_that_stay(name: str) -> None:
    assert stay(name) > 0


@pytest.mark.parametrize("name", UNDONE)
def test_writes_that_are_undone(name: str) -> None:
    assert stay(name) == 0


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("level", ["array", "kernel"])
def test_derivatives(name: str, level: str) -> None:
    fn, args = function(name)
    Derivatives(fn, jit=False, level=level).check(args)


def test_an_element_that_has_been_overwritten() -> None:
    """Its write is undone if it is read afterwards, from the version before."""
    (text,) = (c.text for c in CASES if c.name == "an_element_that_has_been_overwritten")
    assert not any(chain.fresh for chain in chains(Program(parse(text))))
    in_line = text.replace("load y, i ", "load y1, i ")
    assert any(chain.fresh for chain in chains(Program(parse(in_line))))


def test_a_trajectory_is_its_own_tape() -> None:
    fn, args = function("trajectory")

    def total(y0, n):
        return np.sum(fn(y0, n))

    assert "_tape" not in grad(total).source(*args)


# --- random sweeps over an array -----------------------------------------------------------------

#: Ranges of which every place `i + c`, for -2 <= c <= 2, is in an array of 12 rows, and some that
#: count from the end.
RANGES = ("2, 10", "9, 1, -1", "2, 10, 2", "9, 1, -2", "2, n", "n - 1, 1, -1", "0, 4", "1, 7")


def sweep(pick: random.Random) -> str:
    """A function that sweeps over the rows of an array, reading and writing around the index."""

    way = pick.choice(RANGES)
    ahead = -1 if "-1" in way.split(",")[-1] or "-2" in way else 1

    def at(side: int) -> str:
        """A place on this side of the index, seen in the direction of the sweep; or on any."""
        shift = pick.choice((0, 1, 2)) * side * ahead
        shift = pick.choice((-1, 0, 1)) if pick.random() < 0.08 else shift
        return f"i + {shift}" if shift > 0 else f"i - {-shift}" if shift else "i"

    def read() -> str:
        where = at(-1)
        before = f"y[:{where}, 1]" if ahead > 0 else f"y[{where} + 1:, 1]"
        forms = (
            f"y[{where}, 0]",
            f"y[{where}, 1]",
            f"y[{where}] @ y[{at(-1)}]",
            f"np.sum({before})",
            f"np.sum(y[{where}:{at(-1)}] ** 2)",
            "x[i]",
        )
        return pick.choice(forms)

    def value() -> str:
        return f"np.sin({read()}) * {read()} + 0.3 * x[i]"

    lines = ["y = np.stack((x, x[::-1]), axis=1) * 0.7"]
    lines += ["y[2] = y[1] * 2.0"] * pick.choice((0, 0, 1))
    lines += ["s = np.sum(y[:, 0] ** 2)"] if pick.random() < 0.3 else ["s = 0.0"]
    lines.append(f"for i in range({way}):")
    if pick.random() < 0.2:
        lines += ["    for j in range(i):", f"        s += y[i - 1 - j, 1] * y[{at(-1)}, 0]"]
    for _ in range(pick.choice((1, 1, 2, 3))):
        forms = (
            "y[{}, 0] = {}",
            "y[{}, 1] = {}",
            "y[{}] = ({}) * y[{}]",
            "s += {1}",
            "y[{}, 0] -= {}",
        )
        form = pick.choice(forms)
        lines.append("    " + form.format(at(1), value(), at(-1)))
    if pick.random() < 0.2:
        lines += ["    if s > 1.5:", "        break"]
    lines += ["y[4] *= y[5]"] * pick.choice((0, 0, 1))
    return "def program(x, n):\n" + "".join(f"    {line}\n" for line in lines) + "    return y, s\n"


@pytest.mark.parametrize("number", range(60))
def test_random_sweeps(number: int) -> None:
    """Both modes agree, and values are Python's."""
    text = sweep(random.Random(number))
    fn = define(text, "program", f"sweep {number}")
    x = np.linspace(0.2, 0.8, 12) * np.cos(np.arange(12.0))
    v = np.sin(np.arange(12.0) + 1.0)
    (y, s), tangents = jvp(fn, wrt="x", jit=False)((x, 10), v)
    found, pullback = vjp(fn, wrt="x", jit=False)(x, 10)
    for one, other, plain in zip((y, s), found, fn(x, 10), strict=True):
        np.testing.assert_allclose(one, plain, rtol=1e-12)
        np.testing.assert_array_equal(one, other)
    seeds = np.cos(np.arange(24.0)).reshape(12, 2), 0.7
    forward = np.sum(seeds[0] * tangents[0]) + seeds[1] * tangents[1]
    np.testing.assert_allclose(v @ pullback(seeds), forward, rtol=1e-9, err_msg=text)


def test_random_sweeps_have_both_kinds() -> None:
    kinds = []
    for number in range(60):
        fn = define(sweep(random.Random(number)), "program", f"sweep {number}")
        binder = Binder(fn, (), None)
        func = program_of(fn, binder.describe(binder.bind((X, 3), {}))).func
        kinds.append(any(c.fresh and not c.stale for c in chains(Program(func))))
    assert kinds.count(True) >= 10 and kinds.count(False) >= 10


# --- random factorisations in place --------------------------------------------------------------


def factorisation(pick: random.Random) -> str:
    """A function that goes over a matrix in two or three loops, reading what it has written."""
    n = "A.shape[0]"
    outer = pick.choice((f"range({n})", f"range(1, {n})", f"range({n} - 1, -1, -1)"))
    lines = [f"for i in {outer}:"]

    def item(i: str, j: str) -> str:
        kinds = [f"A[{i}, {j}]", f"A[{j}, {i}]", f"A[{i}, {i}]", f"A[{j}, {j}]", f"B[{i}, {j}]"]
        return pick.choice(kinds)

    def products(i: str, j: str) -> str:
        k = pick.choice((i, j, f"{j} + 1", "2"))
        cut = pick.choice((f":{k}", f":{k}", f"{k}:"))
        rows = (
            f"A[{i}, {cut}]",
            f"A[{j}, {cut}]",
            f"A[{cut}, {j}]",
            f"A[{cut}, {i}]",
            f"B[{i}, {cut}]",
        )
        return f"0.3 * ({pick.choice(rows)} @ {pick.choice(rows)})"

    def value(i: str, j: str) -> str:
        form = pick.random()
        if form < 0.6:
            return products(i, j)
        return f"0.5 * {item(i, j)} * {item(i, j)}"

    def statement(i: str, j: str, pad: str) -> None:
        target = pick.choice((f"A[{i}, {j}]",) * 5 + (f"A[{j}, {i}]", f"A[{i}, {i}]"))
        lines.append(f"{pad}{target} {pick.choice(('-=', '-=', '=', '+='))} {value(i, j)}")
        if pick.random() < 0.3:
            lines.append(f"{pad}{target} /= 1.5 + {item(i, j)} ** 2")

    for _ in range(pick.choice((1, 1, 2))):
        if pick.random() < 0.2:
            statement("i", "i", "    ")
            continue
        bounds = "range(i)", f"range(i, {n})", f"range(i + 1, {n})", f"range({n} - 1, i, -1)"
        lines.append(
            f"    for j in {pick.choice((*bounds, 'range(i - 1, -1, -1)', f'range({n})'))}:"
        )
        for _ in range(pick.choice((1, 1, 2))):
            if pick.random() < 0.25:
                lines.append(
                    f"        for k in {pick.choice(('range(j)', 'range(i)', 'range(2)'))}:"
                )
                statement(pick.choice("ij"), "k", "            ")
            else:
                statement("i", "j", "        ")
    body = "".join(f"    {line}\n" for line in lines)
    return f"def program(A, B):\n    A = A.copy()\n{body}    return A\n"


def check_factorisation(number: int) -> bool:
    """Both modes agree, at both levels; False where the program leaves the matrix."""
    text = factorisation(random.Random(number))
    fn = define(text, "program", f"factorisation {number}")
    rng = np.random.default_rng(number)
    (x, y), v, w = (
        rng.normal(size=(2, 5, 5)) * 0.7,
        rng.normal(size=(2, 5, 5)),
        rng.normal(size=(5, 5)),
    )
    try:
        plain = fn(x, y)
    except (IndexError, ValueError):
        return False
    for level in ("array", "kernel"):
        found, tangent = jvp(fn, wrt=(0, 1), jit=False, level=level)((x, y), tuple(v))
        same, pullback = vjp(fn, wrt=(0, 1), jit=False, level=level)(x, y)
        np.testing.assert_allclose(found, plain, rtol=1e-9, err_msg=text)
        np.testing.assert_allclose(same, plain, rtol=1e-9, err_msg=text)
        back = sum(np.sum(a * b) for a, b in zip(pullback(w), v, strict=True))
        scale = np.sum(np.abs(w * tangent))
        np.testing.assert_allclose(
            back, np.sum(w * tangent), rtol=1e-8, atol=1e-9 * scale, err_msg=text
        )
    return True


def test_random_factorisations() -> None:
    assert sum(map(check_factorisation, range(80))) >= 40
