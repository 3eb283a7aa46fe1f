"""Buffers: programs keep their meaning when every write really overwrites."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.inplace import inplace

from .destructive import run
from .programs import Generator


def arguments() -> list:
    return [
        np.array([0.1, -0.7, 0.4, 0.9]),
        np.array([[0.3, 0.2], [-0.5, 0.8]]),
        0.35,
        2,
    ]


def check(func) -> None:
    expected = evaluate(func, arguments())
    after = verify(inplace(func))
    args = arguments()
    found = run(after, args)
    for e, f in zip(expected, found):
        np.testing.assert_array_equal(f, e, err_msg=show(func) + show(after))
    written = dict(func.mutated)
    for k, (arg, original) in enumerate(zip(args, arguments())):
        want = expected[written[k]] if k in written else original
        np.testing.assert_array_equal(arg, want, err_msg=show(func) + show(after))
    own = [r for k, r in enumerate(found) if np.ndim(r) and k not in written.values()]
    arrays = [a for a in args if np.ndim(a)]
    for k, r in enumerate(own):
        assert not any(np.shares_memory(r, o) for o in own[:k] + arrays), show(func) + show(after)


@pytest.mark.parametrize("block", range(10))
def test_random_programs(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        check(Generator(seed).program())
