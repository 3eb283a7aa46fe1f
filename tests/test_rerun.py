"""Loops inside loops that are run again when the outer one is reversed (analysis/rerun.py). Their
derivatives are checked with those of all programs."""

from __future__ import annotations

import re

import pytest

from s2s_ad import grad, value_and_grad
from tests.programs import reruns

BY_NAME = {program.name: program for program in reruns.PROGRAMS}


def sweeps(make, name: str) -> tuple[str, str]:
    """The text of the forward sweep, and that of the reverse sweep."""
    program = BY_NAME[name]
    text = make(program.fn, program.wrt).source(*program.inputs[0][1])
    forward, reverse = text.split("# reverse sweep")
    return forward, reverse


@pytest.mark.parametrize("name", "polynomial logistic until_small three_deep left_early".split())
def test_nothing_is_computed_twice_where_only_the_gradient_is_wanted(name: str) -> None:
    forward, reverse = sweeps(grad, name)
    assert not re.search(r"^ *for ", forward, re.M)
    assert "_tape" in reverse


@pytest.mark.parametrize("name", ["polynomial", "logistic", "of_rows_that_change", "left_early"])
def test_the_value_costs_no_tape_of_every_run(name: str) -> None:
    forward, reverse = sweeps(value_and_grad, name)
    assert re.search(r"^ *for ", forward, re.M)
    assert not re.search(r"_tape\S*\[\w+, ", forward)
    assert "_tape" in reverse


def test_a_loop_that_is_run_again_is_reversed_as_often() -> None:
    """Of two runs, rounding may make one longer: the count goes with the tapes."""
    forward, reverse = sweeps(value_and_grad, "until_small")
    assert "count" not in forward.replace("count += 1", "").replace("count = 0", "")
    assert "count - 1" in reverse


def test_output_is_not_repeated() -> None:
    for make in (grad, value_and_grad):
        forward, reverse = sweeps(make, "shown")
        assert "print(" in forward
        assert "print(" not in reverse


@pytest.mark.parametrize("name", ["polynomial", "logistic", "three_deep"])
def test_the_value_and_the_gradient_share_one_loop(name: str) -> None:
    """Compiled, each item is computed once, with its gradient right after it."""
    program = BY_NAME[name]
    text = value_and_grad(program.fn, program.wrt).source(*program.inputs[0][1], level="kernel")
    loops = [len(found) // 4 for found in re.findall(r"^( *)for .*_tape|^( *)for ", text, re.M)]
    assert len(loops) == len(re.findall(r"^ *for ", text, re.M))
    assert len(re.findall(r"^    for ", text, re.M)) == 1
