"""The programs of bench/: our gradients of them, and the tool that measures them."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest

from bench import calls, generated, report
from bench.case import labels, load
from bench.check import apart, check, problem
from bench.gradbench.evals import EVALS
from bench.gradbench.inputs import generate
from bench.gradbench.summary import Outcome, table
from bench.gradbench.tool import evals_of, evaluate, timed
from bench.gradbench.validate import error, tolerance
from bench.measure import seconds
from bench.peers import BEFORE, PEERS
from bench.runner import ROOT, Measured, Options, Result, run

QUICK = ("npbench/cholesky2", "npbench/doitgen", "npbench/nbody", "npbench/azimint_hist")


@pytest.mark.parametrize("label", QUICK)
def test_gradient_of_array_code(label: str) -> None:
    case = load(label)
    assert check(case, jit=False).wrong(case) is None


@pytest.mark.slow
@pytest.mark.parametrize("label", list(labels()))
def test_compiled_gradient(label: str) -> None:
    """Against finite differences of NumPy, and against forward mode of the array code."""
    case = load(label)
    assert check(case).wrong(case) is None


@pytest.mark.parametrize("label", list(labels()))
def test_looped_form_is_the_same_program(label: str) -> None:
    case = load(label)
    if case.looped is not None:
        at = problem(case, "check")
        arguments = {name: at.arguments[name] for name in case.parameters}
        assert apart(case.results(arguments, case.looped), at.results) < 1e-11


def test_all_kernels_of_npbench_are_there() -> None:
    assert len(list(labels("npbench"))) == 47


def test_a_run_compares_and_times(tmp_path) -> None:
    """Processes, protocol, comparison and report, with the peers that need no compilation."""
    command = [sys.executable, "-m", "bench", "npbench/softmax", "--preset", "check"]
    command += ["--peers", "ours,numpy", "--rounds", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "softmax" in done.stdout and "÷ primal" in (tmp_path / "results.md").read_text()
    (found,) = json.loads((tmp_path / "results.json").read_text())["cases"]
    assert found["results"]["ours"]["status"] == found["results"]["numpy"]["status"] == "ok"
    assert found["results"]["ours"]["error"] < 1e-8
    assert found["results"]["ours"]["seconds"] > 0.0


def test_what_a_call_costs_is_measured_on_the_same_numbers() -> None:
    assert all(isinstance(limit, float) for limit, *_ in calls._cases())
    for _, name, called, args in islice(calls._cases(), 1, 2):
        ours, bare = calls._bare(called, args)
        assert np.array_equal(ours(), bare()), name
    assert all(t < 1.0 for t in calls._least((ours, bare)))


def test_a_report_names_what_is_wrong() -> None:
    ours = Result("ours", True, "ok", seconds=1e-3, first=1.0)
    wrong = Result("tangent", True, "wrong", error=0.5)
    primal = Result("looped", False, "ok", seconds=5e-4)
    results = {r.peer: r for r in (ours, wrong, primal)}
    text = report.markdown([Measured("npbench/lu", "grad", "S", 1, results)])
    assert "tangent wrong by 5e-01" in text and "| 2.00 |" in text and "1 ms" in text


def test_distances() -> None:
    assert apart([np.array([1.0, 2.0])], [np.array([1.0, 2.2])]) == pytest.approx(0.2 / 2.2)
    assert apart([np.nan], [1.0]) == np.inf and apart([np.zeros(2)], [np.zeros(3)]) == np.inf


def test_seconds_are_those_of_one_call() -> None:
    calls = []
    assert 0.0 < seconds(lambda: calls.append(0), at_least=1e-3) < 1e-3
    assert len(calls) > 10


def converse(*messages: dict) -> list[dict]:
    """What the tool answers, in a process of its own."""
    text = "".join(json.dumps({"id": k, **m}) + "\n" for k, m in enumerate(messages))
    command = [sys.executable, "-m", "bench.gradbench.tool"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_tool_speaks_the_protocol() -> None:
    hello = {"kind": "evaluate", "module": "hello", "input": 3.0}
    answers = converse(
        {"kind": "start", "eval": "hello"},
        {"kind": "define", "module": "hello"},
        {"kind": "define", "module": "no such"},
        {**hello, "function": "square"},
        {"kind": "analysis", "of": 3, "valid": True},
        {**hello, "function": "no such"},
    )
    assert [a["id"] for a in answers] == list(range(6))
    assert answers[0]["tool"] == "s2s_ad"
    assert answers[1]["success"] and not answers[2]["success"]
    assert answers[3]["success"] and answers[3]["output"] == 9.0
    assert [t["name"] for t in answers[3]["timings"]] == ["evaluate"]
    assert answers[4] == {"id": 4}
    assert not answers[5]["success"] and "KeyError" in answers[5]["error"]


def test_runs_are_repeated_as_asked() -> None:
    calls = []
    result, timings = timed(lambda: calls.append(0) or len(calls), 5, 0.0)
    assert (result, len(timings), len(calls)) == (6, 5, 6)
    assert len(timed(lambda: None, 1, 0.001)[1]) > 10


@pytest.mark.slow
@pytest.mark.parametrize("module", EVALS)
def test_gradbench(module: str) -> None:
    """Every function of every eval, small, against formulas or finite differences."""
    for _, given in generate(module, "small"):
        for function in EVALS[module]:
            found = evaluate(EVALS, module, function, given)["output"]
            assert error(module, function, given, found) <= tolerance(module, function), function


@pytest.mark.slow
@pytest.mark.parametrize("peer", ("jax", "torch"))
@pytest.mark.parametrize("module", EVALS)
def test_gradbench_peers(module: str, peer: str) -> None:
    """What ours is compared with is right, too."""
    pytest.importorskip(peer)
    for function in (evals := evals_of(peer)).get(module, {}):
        for _, given in generate(module, "small"):
            found = evaluate(evals, module, function, given)["output"]
            assert error(module, function, given, found) <= tolerance(module, function), function


def test_the_table_has_ratios() -> None:
    place = "lse", "n=80000"
    times = (("s2s_ad", 1e-4, 2e-4), ("jax", 2e-4, 8e-4))
    found = [
        Outcome(tool, place[0], function, place[1], seconds, 0.0, "")
        for tool, primal, slope in times
        for function, seconds in (("primal", primal), ("gradient", slope))
    ]
    *_, row = table(found, ("s2s_ad", "jax")).splitlines()
    assert "200 µs ÷ 2.00" in row and "800 µs ÷ 4.00 × 4.0" in row and "Enzyme 630 µs" in row


def test_validation_sees_wrong_outputs() -> None:
    (_, given), *_ = generate("llsq", "small")
    x = np.array(given["x"])
    assert error("llsq", "gradient", given, x.tolist()) > 1e-3
    (_, given), *_ = generate("ode", "small")
    assert error("ode", "gradient", given, [0.0] * len(given["x"])) == np.inf


@pytest.mark.parametrize("make", (generated.straight, generated.mixed))
def test_generated_programs_have_their_length(make) -> None:
    for lines in (50, 300):
        text = make(lines)
        assert abs(len(text.splitlines()) - lines) < 16
        compile(text, "generated", "exec")


def test_peers_have_names() -> None:
    assert set(PEERS) >= {"ours", "numba", "looped", "jax-idiomatic", "autograd", "tangent"}


def test_slower_than_before() -> None:
    def measured(case: str, **seconds: float) -> Measured:
        results = {
            name: Result(name, True, "ok", seconds=s)
            for name, s in zip(("ours", "ours-before"), (seconds["now"], seconds["before"]))
        }
        return Measured(case, "grad", "S", 1, results)

    cases = [measured("a/slow", now=3.0, before=2.0), measured("a/same", now=2.1, before=2.0)]
    assert report.slower(cases, 1.25) == {("a/slow", 1): 1.5}
    assert "| a/same | 1 | 2 s | 2.1 s | 1.05 |" in report.markdown(cases)
    assert "other tree" not in report.markdown([Measured("a/b", "grad", "S", 1)])


@pytest.mark.slow
def test_against_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BEFORE, str(ROOT))
    options = Options("check", rounds=1, at_least=0.0)
    (found,) = run(["micro/scalar"], ["ours", "ours-before"], [options], lambda text: None)
    assert [r.status for r in found.results.values()] == ["ok", "ok"]
    assert report.slower([found], 0.0)
