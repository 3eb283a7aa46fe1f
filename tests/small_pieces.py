"""Loops are taken apart although they are short, so that small programs show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from s2s_ad.analysis import ensembles
from s2s_ad.passes import lanes, lookahead, pieces, preaccumulate

_SMALL = {
    pieces: {"PIECE": 8},
    lookahead: {"PIECE": 8, "FEWEST": 2},
    preaccumulate: {"FEWEST": 4},
    lanes: {"LANES": 4, "FEWER": 2, "MANY": 8, "LINE": 2},
    ensembles: {"FEWEST": 2, "SHORTEST": 1, "FAR": 0.0, "TILE": 0.0, "LEAST": 0.0},
}


@contextmanager
def small_pieces() -> Iterator[None]:
    """Inside, pieces have 8 iterations, and loops of a few iterations are long."""
    with ExitStack() as stack:
        for module, values in _SMALL.items():
            for name, value in values.items():
                stack.enter_context(patch.object(module, name, value))
        yield
