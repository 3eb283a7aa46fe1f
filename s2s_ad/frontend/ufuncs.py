"""Methods of ufuncs: np.minimum.outer, np.add.reduce, np.add.accumulate. (For `at`, which writes
into an array, see `inplace`.)"""

from __future__ import annotations

from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend import composite, elementary, reductions
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.memory import expanded
from s2s_ad.frontend.registry import FUNCTIONS, Handler, as_numpy, handles
from s2s_ad.frontend.values import is_array

#: Tables are complete where these have been imported.
_KNOWN = (composite, elementary, reductions)


def _outer(ufunc: np.ufunc, pairwise: Handler) -> None:
    def handler(cx: Context, A: Any, B: Any) -> Any:  # as NumPy calls them
        a, b = (as_numpy(cx, ar.as_array(cx, x)) for x in (A, B))  # no Python number is weak here
        if is_array(a) and is_array(b):
            rank = a.type.ndim
            a = expanded(cx, a, tuple(range(rank, rank + b.type.ndim)))
        return pairwise(cx, a, b)

    handles(ufunc.outer)(handler)


for _ufunc in [f for f in FUNCTIONS if isinstance(f, np.ufunc) and f.signature is None]:
    if (_ufunc.nin, _ufunc.nout) == (2, 1):
        _outer(_ufunc, FUNCTIONS[_ufunc])


def _reduce(ufunc: np.ufunc, whole: Handler) -> None:
    def handler(cx: Context, array: Any, axis: Any = 0, *, keepdims: Any = False) -> Any:
        return whole(cx, ar.as_array(cx, array), axis, keepdims)

    handles(ufunc.reduce)(handler)


for _ufunc, _function in (
    (np.add, np.sum),
    (np.multiply, np.prod),
    (np.maximum, np.max),
    (np.minimum, np.min),
    (np.logical_and, np.all),
    (np.logical_or, np.any),
):
    _reduce(_ufunc, FUNCTIONS[_function])


@handles(np.add.accumulate)
def running_sum(cx: Context, array: Any, axis: Any = 0) -> Any:
    return reductions.cumsum(cx, ar.as_array(cx, array), axis)
