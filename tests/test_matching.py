"""What a short way takes, and its leaves; everything else it leaves."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from s2s_ad.matching import Unsupported, Writer
from s2s_ad.trees import describe, known, leaves

Pair = namedtuple("Pair", "left right")


@dataclass
class Model:
    rate: float
    weights: np.ndarray


@dataclass(slots=True)
class Slim:
    rate: float
    weights: np.ndarray


def given(*args: Any) -> tuple:
    return args


V, A = np.arange(3.0), np.ones((3, 4))
READ_ONLY = np.arange(3.0)
READ_ONLY.setflags(write=False)
MATRIX = A.view(np.matrix)
UNALIGNED = np.frombuffer(bytearray(25), dtype=np.uint8)[1:].view(np.float64)
WITH_METADATA = np.arange(3.0).astype(np.dtype("f8", metadata={"unit": "m"}))
SAME = {
    "floats": (given(1.0, 2), given(np.float64(3.0), np.int64(5))),
    "single and complex": (
        given(np.float32(1.0), np.int32(1), 1j, np.complex64(1)),
        given(np.float32(2.0), np.int32(7), np.complex128(2), np.complex64(2)),
    ),
    "arrays": (given(V, A), given(np.ones(7), np.zeros((2, 2)))),
    "empty arrays": (given(V, A), given(np.ones(0), np.zeros((0, 2)))),
    "extents of 1": (given(np.ones((1, 3))), given(np.zeros((1, 8)))),
    "containers": (
        given({"a": V, "b": (1.0, [A])}, Pair(1, 2.0)),
        given({"a": V + 1, "b": (2.0, [A * 2])}, Pair(3, 4.0)),
    ),
    "empty containers": (given((), [], {}), given((), [], {})),
    "dataclass": (given(Model(1.0, V)), given(Model(2.0, np.ones(9)))),
    "slots": (given(Slim(1.0, V)), given(Slim(2.0, np.ones(9)))),
    "constants": (given("mean", None, True, np.sin), given("mean", None, True, np.sin)),
}
OTHER = {
    "dtype": (given(V), given(V.astype(np.float32))),
    "rank": (given(V), given(A)),
    "rank with ones": (given(np.ones((2, 1))), given(np.ones((2, 1, 1)))),
    "strided": (given(V), given(np.arange(6.0)[::2])),
    "backwards": (given(V), given(np.arange(3.0)[::-1])),
    "columns first": (given(A), given(np.asfortranarray(A))),
    "read-only": (given(V), given(READ_ONLY)),
    "unaligned": (given(V), given(UNALIGNED)),
    "other byte order": (given(V), given(V.astype(V.dtype.newbyteorder()))),
    "a dtype of its own": (given(V), given(WITH_METADATA)),
    "a subclass": (given(A), given(MATRIX)),
    "masked": (given(V), given(np.ma.array(V))),
    "without axes": (given(V), given(np.array(1.0))),
    "without axes for a float": (given(1.0), given(np.array(1.0))),
    "an extent of 1": (given(V), given(np.ones(1))),
    "an extent of 1 among two": (given(A), given(np.ones((1, 4)))),
    "no extent of 1": (given(np.ones(1)), given(V)),
    "not an array": (given(V), given([1.0])),
    "None": (given(V), given(None)),
    "int for float": (given(1.0), given(1)),
    "single for double": (given(1.0), given(np.float32(1.0))),
    "a bool for an int": (given(1), given(True)),
    "a bool of NumPy for an int": (given(1), given(np.bool_(True))),
    "unsigned for signed": (given(1), given(np.uint64(1))),
    "65 bits": (given(1), given(2**63)),
    "65 bits below": (given(1), given(-(2**63) - 1)),
    "keys": (given({"a": 1.0}), given({"b": 1.0})),
    "more keys": (given({"a": 1.0}), given({"a": 1.0, "b": 1.0})),
    "order of keys": (given({"a": 1.0, "b": 1.0}), given({"b": 1.0, "a": 1.0})),
    "length": (given([1.0, 2.0]), given([1.0])),
    "a tuple for a list": (given([1.0]), given((1.0,))),
    "a tuple for a named one": (given(Pair(1, 2.0)), given((1, 2.0))),
    "a constant": (given("mean"), given("sum")),
    "another class": (given(Model(1.0, V)), given(Slim(1.0, V))),
    "another attribute": (given(Model(1.0, V)), given(Model(1.0, V))),
    "a lost attribute": (given(Model(1.0, V)), given(Model(1.0, V))),
    "a lost slot": (given(Slim(1.0, V)), given(Slim(1.0, V))),
}
OTHER["another attribute"][1][0].extra = 1.0
del OTHER["a lost attribute"][1][0].rate
del OTHER["a lost slot"][1][0].rate


def match_of(args: tuple) -> Callable[..., tuple | None]:
    """What the short way finds: the leaves of arguments, or None where it leaves."""
    names = [f"a{k}" for k in range(len(args))]
    writer = Writer(names)
    for name, arg in zip(names, args):
        writer.value(describe(arg, "x"), name)
    writer.line(f"return ({''.join(f'{leaf}, ' for leaf in writer.leaves)})")
    return writer.function("match", ", ".join(names))


@pytest.mark.parametrize("first, second", SAME.values(), ids=SAME)
def test_same_types_match(first: tuple, second: tuple) -> None:
    found = match_of(first)(*second)
    expected = [leaf for a in second for leaf in leaves(describe(a, "x"), a)]
    assert all(x is y for x, y in zip(found, expected))
    assert len(found) == len(expected)


@pytest.mark.parametrize("first, second", OTHER.values(), ids=OTHER)
def test_other_types_do_not(first: tuple, second: tuple) -> None:
    assert match_of(first)(*first) is not None
    assert match_of(first)(*second) is None


def test_constants_that_may_change_have_no_short_way() -> None:
    class Key:
        def __init__(self, value: int) -> None:
            self.value = value

        def __hash__(self) -> int:
            return self.value

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key) and other.value == self.value

    with pytest.raises(Unsupported):
        Writer().value(known(Key(1), "x"), "x")
    with pytest.raises(Unsupported):
        Writer().value(known((1, Key(1)), "x"), "x")
