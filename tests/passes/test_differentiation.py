"""JVP and VJP of IR programs, against finite differences and against each other."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.ir.core import Func
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse
from s2s_ad.ir.verify import verify
from s2s_ad.passes.cse import cse
from s2s_ad.passes.dce import dce
from s2s_ad.passes.hoist import hoist
from s2s_ad.passes.jvp import jvp
from s2s_ad.passes.simplify import simplify
from s2s_ad.passes.transpose import grad, vjp
from tests.passes.cases import CASES, Case

IDS = [c.name for c in CASES]
SCALAR = [c for c in CASES if not parse(c.text).results[0].type.is_array]


def optimise(func: Func) -> Func:
    for step in (dce, simplify, cse, hoist, simplify, dce):
        func = verify(step(func))
    return func


def directions(case: Case, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=np.shape(case.args[k])) for k in case.wrt]


def shifted(case: Case, tangents: list, step: float) -> list:
    args = list(case.args)
    for k, t in zip(case.wrt, tangents):
        args[k] = args[k] + step * t
    return args


def derivative(func: Func, case: Case, tangents: list) -> list:
    """Central differences with one Richardson step: fourth order."""

    def central(h: float) -> list:
        plus, minus = (evaluate(func, shifted(case, tangents, s)) for s in (h, -h))
        return [(p - m) / (2 * h) for p, m in zip(plus, minus)]

    coarse, fine = central(2e-3), central(1e-3)
    return [(4 * f - c) / 3 for f, c in zip(fine, coarse)]


def inner(xs: list, ys: list) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(xs, ys)))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_forward_mode_is_the_derivative(case: Case) -> None:
    func = optimise(verify(parse(case.text)))
    tangents = directions(case)
    both = evaluate(optimise(jvp(func, case.wrt)), [*case.args, *tangents])
    count = len(func.results)
    for value, expected in zip(both[:count], evaluate(func, case.args)):
        np.testing.assert_array_equal(value, expected)
    for got, expected in zip(both[count:], derivative(func, case, tangents)):
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_reverse_mode_is_the_transpose(case: Case) -> None:
    func = optimise(verify(parse(case.text)))
    tangents = directions(case)
    dots = evaluate(jvp(func, case.wrt), [*case.args, *tangents])[len(func.results) :]
    ahead, back = (optimise(verify(f)) for f in vjp(func, case.wrt))
    results = evaluate(ahead, case.args)
    rng = np.random.default_rng(1)
    cotangents = [rng.normal(size=np.shape(d)) for d in dots]
    bars = evaluate(back, [*results[len(func.results) :], *cotangents])
    np.testing.assert_allclose(inner(dots, cotangents), inner(tangents, bars), rtol=1e-12)
    for bar, k in zip(bars, case.wrt):
        assert np.shape(bar) == np.shape(case.args[k])


@pytest.mark.parametrize("case", SCALAR, ids=[c.name for c in SCALAR])
def test_gradient_of_gradient(case: Case) -> None:
    """Forward over reverse: the derivative of the pullback, by finite differences of it."""
    func = optimise(verify(parse(case.text)))
    first = optimise(grad(func, case.wrt))
    tangents = directions(case, 2)
    second = evaluate(optimise(jvp(first, case.wrt)), [*case.args, *tangents])
    expected = derivative(first, case, tangents)
    for got, want in zip(second[len(first.results) :], expected):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_residuals_have_the_extents_that_their_types_promise(case: Case) -> None:
    """Equal symbols are equal extents: later passes read sizes from any array with the symbol."""
    ahead, _ = vjp(optimise(verify(parse(case.text))), case.wrt)
    extents: dict[str, int] = {}
    named = [*zip(ahead.params, case.args), *zip(ahead.results, evaluate(ahead, case.args))]
    for atom, value in named:
        for size, found in zip(atom.type.shape, np.shape(value)):
            if size != "?":
                expected = size if isinstance(size, int) else extents.setdefault(size, found)
                assert found == expected, f"{atom} has shape {np.shape(value)}"
