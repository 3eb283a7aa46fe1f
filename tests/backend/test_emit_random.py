"""Printed programs compute what the reference interpreter computes."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.backend.emit import emit
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import show
from s2s_ad.passes.inplace import inplace

from .programs import Generator
from .test_inplace import arguments


def run_text(text: str, name: str, args: list) -> list:
    """What the emitted function returns, as a list."""
    import math

    namespace = {"np": np, "math": math}
    exec(compile(text, "<emitted>", "exec"), namespace)
    with np.errstate(all="ignore"):
        result = namespace[name](*args)
    return list(result) if isinstance(result, tuple) else [result]


def check(func) -> None:
    expected = evaluate(func, arguments())
    after = inplace(func)
    text = emit(after)
    args = arguments()
    args[2] = np.float64(args[2])
    try:
        found = run_text(text, func.name, args)
    except Exception as error:
        raise AssertionError(f"{error!r}\n{show(after)}\n{text}") from error
    written = dict(func.mutated)
    returned = [e for k, e in enumerate(expected) if k not in written.values()]
    assert len(found) == len(returned)
    for e, f in zip(returned, found):
        np.testing.assert_array_equal(f, e, err_msg=show(after) + text)
    for k, (arg, original) in enumerate(zip(args, arguments())):
        want = expected[written[k]] if k in written else original
        np.testing.assert_array_equal(arg, want, err_msg=show(after) + text)


@pytest.mark.parametrize("block", range(10))
def test_random_programs(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        check(Generator(seed).program())
