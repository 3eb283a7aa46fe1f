"""Loops are taken apart although they are short, so that small programs show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from s2s_ad.passes import lookahead, pieces, preaccumulate

_SMALL = {pieces: {"PIECE": 8}, lookahead: {"PIECE": 8, "FEWEST": 2}, preaccumulate: {"FEWEST": 4}}


@contextmanager
def small_pieces() -> Iterator[None]:
    """Inside, pieces have 8 iterations, and loops of a few iterations are long."""
    with ExitStack() as stack:
        for module, values in _SMALL.items():
            for name, value in values.items():
                stack.enter_context(patch.object(module, name, value))
        yield
