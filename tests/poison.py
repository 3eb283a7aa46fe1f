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


def poisoned_empty(shape: Any, dtype: Any = float) -> np.ndarray:
    """`np.empty`, full of numbers that show in a result: nan, or an index out of any range."""
    array = _EMPTY(shape, dtype)
    kind = array.dtype.kind
    array.fill(_POISON[kind] if kind in _POISON else np.iinfo(array.dtype).min // 2)
    return array


@contextmanager
def poisoned() -> Iterator[None]:
    """Inside, that is what `np.empty` gives, in generated code that is not compiled above all."""
    FUNCTIONS[poisoned_empty] = FUNCTIONS[_EMPTY]
    with patch.object(np, "empty", poisoned_empty):
        yield
