"""lower: the same values as the interpreter gives, no array equations left, and the golden nests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2s_ad.ir.core import walk
from s2s_ad.ir.interp import Failed, evaluate
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.lower import lower

from tests.passes.lower_cases import CASES, GOLDEN, draw

#: Array primitives that may be left; `load`, `store` and `accum` only on single elements.
ARRAY_LEVEL = set("dot reshape nonzero dim empty full iota copy grow for while if".split())


def array_equations(func):
    """The array equations that are not scalar code or allowed at array level."""
    views_for_dot = {
        v for e in walk(func.body) if e.prim in ("dot", "nonzero", "transpose") for v in e.ins
    }
    for eqn in walk(func.body):
        arrays = [a for a in (*eqn.ins, *eqn.outs) if a.type.is_array]
        if not arrays or eqn.prim in ARRAY_LEVEL:
            continue
        if eqn.prim in ("load", "store", "accum") and set(eqn.params["spec"]) <= set("i,"):
            continue
        if eqn.prim in ("load", "transpose") and eqn.out in views_for_dot:
            continue
        yield eqn


def check(text, *args):
    """`lower` of the program in `text` agrees with the interpreter for `args`."""
    before = parse(text)
    after = verify(lower(before))
    assert not list(array_equations(after)), show(after)
    try:
        expected = evaluate(before, args)
    except (Failed, ValueError):
        with pytest.raises(Failed):
            evaluate(after, args)
        return after
    found = evaluate(after, args)
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-300, err_msg=show(after))
    return after


@pytest.mark.parametrize("name", CASES)
def test_same_values(name):
    text = CASES[name]
    for seed, (n, m) in enumerate([(5, 3), (2, 2), (1, 4), (0, 3), (3, 0), (6, 6)]):
        check(text, *draw(parse(text), n, m, seed))
