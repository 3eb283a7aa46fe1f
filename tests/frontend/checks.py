"""Tracing a program and evaluating it must do what running the Python function does."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from s2s_ad.frontend import OutTree, Static, Traced, trace
from s2s_ad.instances import attributes, is_instance, make
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.types import Type, from_numpy
from s2s_ad.ir.verify import verify

SCALARS = {int: "i64", float: "f64", complex: "c128"}


def spec_of(value: Any) -> Any:
    """The spec of an example argument."""
    if isinstance(value, np.ndarray):
        dims = tuple(1 if n == 1 else "?" for n in value.shape)
        return Type(from_numpy(value.dtype), dims)
    if type(value) in SCALARS:
        return Type(SCALARS[type(value)])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(spec_of, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(spec_of, value))
    if isinstance(value, dict):
        return {k: spec_of(v) for k, v in value.items()}
    if is_instance(value):
        return make(type(value), {n: spec_of(v) for n, v in attributes(value).items()})
    return Static(value)


def leaves_of(value: Any) -> list[Any]:
    """The numbers and arrays in a value, in order."""
    if isinstance(value, (np.ndarray, np.generic)) or type(value) in SCALARS:
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    elif is_instance(value):
        value = list(attributes(value).values())
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in leaves_of(item)]
    return []


def check(fn: Callable[..., Any], *args: Any) -> Traced:
    """Trace `fn` for these arguments, and compare with running it: value, dtypes, and effects."""
    traced = trace(fn, [spec_of(a) for a in args])
    verify(traced.func)
    text = show(traced.func)
    assert show(parse(text)) == text
    captured = [capture.get() for capture in traced.captures]
    inputs = [*leaves_of(args), *(np.array(c) for c in captured)]
    results = evaluate(traced.func, copy.deepcopy(inputs))
    before = [np.array(c) for c in captured]
    own = copy.deepcopy(args)
    own_leaves = leaves_of(own)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = fn(*own)
    assert_like(traced.out_tree(results), expected)
    for update in traced.updates:
        assert_like(OutTree(update.tree, 0)(results), at_route(own, update.route, update.field))
    finals = [*own_leaves, *(np.array(c) for c in captured)]
    for live, old in zip(captured, before):
        live[...] = old
    written = dict(traced.func.mutated)
    for k, final in enumerate(finals):
        if traced.params[k] not in traced.undecided:
            got = results[written[k]] if k in written else inputs[k]
            np.testing.assert_allclose(got, final, rtol=1e-12, atol=1e-13)
    return traced


def at_route(args: tuple, route: tuple, field: str) -> Any:
    """What the field of an argument's object holds."""
    value: Any = args
    for key in route:
        named = isinstance(key, str) and not isinstance(value, dict)
        value = getattr(value, key) if named else value[key]
    return value if field == "items" else getattr(value, field)


def assert_like(got: Any, expected: Any) -> None:
    """The same structure, shapes and numbers; the dtypes that NumPy gives."""
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        got, expected = list(got.values()), list(expected.values())
    elif is_instance(expected):
        assert type(got) is type(expected)
        assert_like(attributes(got), attributes(expected))
        return
    if isinstance(expected, (tuple, list)):
        assert type(got) is type(expected) and len(got) == len(expected)
        for a, b in zip(got, expected):
            assert_like(a, b)
    elif type(expected) is object:
        assert type(got) is object
    elif expected is None or isinstance(expected, (str, type, np.dtype)):
        assert got == expected
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)
        assert np.shape(got) == np.shape(expected)
        if isinstance(expected, (np.ndarray, np.generic)):
            assert np.asarray(got).dtype == expected.dtype
