"""The short way of a call: which arguments it takes, and their leaves."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from s2s_ad.dispatch import matcher
from s2s_ad.trees import describe, leaves

Pair = namedtuple("Pair", "left right")


@dataclass
class Model:
    rate: float
    weights: np.ndarray


def given(*args: Any) -> tuple:
    return args


V, A = np.arange(3.0), np.ones((3, 4))
SAME = {
    "floats": (given(1.0, 2), given(np.float64(3.0), np.int64(5))),
    "arrays": (given(V, A), given(np.ones(7), np.zeros((2, 2)))),
    "extents of 1": (given(np.ones((1, 3))), given(np.zeros((1, 8)))),
    "containers": (
        given({"a": V, "b": (1.0, [A])}, Pair(1, 2.0)),
        given({"a": V + 1, "b": (2.0, [A * 2])}, Pair(3, 4.0)),
    ),
    "dataclass": (given(Model(1.0, V)), given(Model(2.0, np.ones(9)))),
    "constants": (given("mean", None, True, np.sin), given("mean", None, True, np.sin)),
}
OTHER = {
    "dtype": (given(V), given(V.astype(np.float32))),
    "rank": (given(V), given(A)),
    "strided": (given(V), given(np.arange(6.0)[::2])),
    "an extent of 1": (given(V), given(np.ones(1))),
    "no extent of 1": (given(np.ones(1)), given(V)),
    "not an array": (given(V), given([1.0])),
    "int for float": (given(1.0), given(1)),
    "a bool for an int": (given(1), given(True)),
    "65 bits": (given(1), given(2**63)),
    "keys": (given({"a": 1.0}), given({"b": 1.0})),
    "order of keys": (given({"a": 1.0, "b": 1.0}), given({"b": 1.0, "a": 1.0})),
    "length": (given([1.0, 2.0]), given([1.0])),
    "a tuple for a list": (given([1.0]), given((1.0,))),
    "a constant": (given("mean"), given("sum")),
    "number of arguments": (given(1.0), given(1.0, 2.0)),
    "another attribute": (given(Model(1.0, V)), None),
}
OTHER["another attribute"][0][0].extra = 1.0
OTHER["another attribute"] = (given(Model(1.0, V)), OTHER["another attribute"][0])


def match_of(args: tuple):
    return matcher([describe(a, "x") for a in args])


@pytest.mark.parametrize("first, second", SAME.values(), ids=SAME)
def test_same_types_match(first: tuple, second: tuple) -> None:
    found = match_of(first)(second)
    expected = [leaf for a in second for leaf in leaves(describe(a, "x"), a)]
    assert all(x is y for x, y in zip(found, expected))
    assert len(found) == len(expected)


@pytest.mark.parametrize("first, second", OTHER.values(), ids=OTHER)
def test_other_types_do_not(first: tuple, second: tuple) -> None:
    assert match_of(first)(first) is not None
    assert match_of(first)(second) is None


def test_what_has_no_short_way() -> None:
    assert match_of((1.0 + 2.0j,)) is None
