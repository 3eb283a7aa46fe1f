"""The programs of bench/: our gradients of them, and the tool that measures them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from bench import report
from bench.case import labels, load
from bench.check import apart, check, problem
from bench.measure import seconds
from bench.peers import PEERS
from bench.runner import Measured, Result

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
    assert len(list(labels("npbench"))) == 45


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


def test_peers_have_names() -> None:
    assert set(PEERS) >= {"ours", "numba", "looped", "jax-idiomatic", "autograd", "tangent"}
