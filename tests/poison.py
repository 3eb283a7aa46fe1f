"""Memory that nobody has written to holds what nobody can compute with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from s2s_ad.frontend.registry import FUNCTIONS

_EMPTY = np.empty
_POISON = {"f": np.nan, "c": np.nan, "b": True}
_NO_INDEX = -(2**30)


def poisoned_empty(shape: Any, dtype: Any = float) -> np.ndarray:
    """`np.empty`, full of numbers that show in a result: nan, or an index out of any range."""
    array = _EMPTY(shape, dtype)
    array.fill(_POISON.get(array.dtype.kind, _NO_INDEX % 128 if array.itemsize == 1 else _NO_INDEX))
    return array


@contextmanager
def poisoned() -> Iterator[None]:
    """Inside, that is what `np.empty` gives, in generated code that is not compiled above all."""
    FUNCTIONS[poisoned_empty] = FUNCTIONS[_EMPTY]
    with patch.object(np, "empty", poisoned_empty):
        yield
