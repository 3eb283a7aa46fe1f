"""Extents that are known to be the same: sound, and it ends, whatever has been learnt."""

from __future__ import annotations

import itertools
import random

import pytest

from s2s_ad.frontend.facts import Facts
from s2s_ad.ir.types import Dim

DIMS: list[Dim] = [s + t for s in "nml" for t in ("", "-1", "-2", "+1")] + [1, 2, 3]


def value(dim: Dim, sizes: dict[str, int]) -> int:
    return dim if isinstance(dim, int) else max(sizes[dim[0]] + int(dim[1:] or 0), 0)


@pytest.mark.parametrize("seed", range(200))
def test_what_is_equal_is_so_for_all_sizes(seed: int) -> None:
    rng, facts = random.Random(seed), Facts()
    pairs = [tuple(rng.choices(DIMS, k=2)) for _ in range(rng.randrange(1, 6))]
    for pair in pairs:
        facts.unite(*pair)
    every = (dict(zip("nml", sizes)) for sizes in itertools.product(range(5), repeat=3))
    possible = [s for s in every if all(value(a, s) == value(b, s) for a, b in pairs)]
    for a, b in itertools.combinations(DIMS, 2):
        if facts.equal(a, b):
            assert all(value(a, s) == value(b, s) for s in possible)


def test_a_shift_of_what_gets_a_name_later() -> None:
    facts = Facts()
    facts.unite("m-1", "n-1")
    facts.unite("n", "m")
    assert facts.equal("n-1", "m-1") and facts.equal("n-2", "m-2")
