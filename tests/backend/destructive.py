"""An evaluator that treats the IR as NumPy code does: writes overwrite, views are views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np

from s2s_ad.ir import interp
from s2s_ad.ir.core import Eqn, Func


def _load(eqn: Eqn, base: Any, *operands: Any) -> Any:
    return base[interp._index(eqn, operands)]


def _store(eqn: Eqn, base: Any, value: Any, *operands: Any) -> Any:
    base[interp._index(eqn, operands)] = value
    return base


def _accum(eqn: Eqn, base: Any, value: Any, *operands: Any) -> Any:
    place = base[interp._index(eqn, operands)]
    if np.ndim(place) == 0:
        base[interp._index(eqn, operands)] += value
    else:
        for k in np.ndindex(place.shape):  # one element after the other, as a loop would
            place[k] += np.broadcast_to(value, place.shape)[k]
    return base


def _broadcast(eqn: Eqn, x: Any, *extents: Any) -> Any:
    shape = [1] * len(extents)
    for axis, size in zip(eqn.params["axes"], np.shape(x)):
        shape[axis] = size
    return np.broadcast_to(np.reshape(x, shape), tuple(map(int, extents)))  # not writable


_RULES = {
    "load": _load, "store": _store, "accum": _accum, "broadcast": _broadcast,
    "stop_gradient": lambda eqn, x: x,
}  # fmt: skip


def run(func: Func, args: Sequence[Any]) -> list[Any]:
    """The results of `func`, whose array arguments it may overwrite."""
    with mock.patch.dict(interp._RULES, _RULES), np.errstate(all="ignore"):
        return interp._region(func.body, args, {})
