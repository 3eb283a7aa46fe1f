"""How the tests know a derivative: central differences extrapolated to a step of zero, and
⟨Jv, w⟩ = ⟨v, Jᵀw⟩. Independent of `s2s_ad.testing`; trees are tuples, dicts and objects."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace as Mirror
from typing import Any

import numpy as np

FD_RTOL, DOT_RTOL = 1e-6, 1e-10


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of a tree, in order; None has none."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    elif is_object(tree):
        tree = tuple(attributes(tree).values())
    if isinstance(tree, (tuple, list)):
        for item in tree:
            yield from leaves(item)
    elif isinstance(tree, (int, float, complex, np.ndarray, np.generic)):
        yield tree


def is_object(tree: Any) -> bool:
    """An instance that is a tree of its attributes."""
    return hasattr(tree, "__dict__") or bool(getattr(type(tree), "__slots__", ()))


def attributes(tree: Any) -> dict[str, Any]:
    slots = [n for n in getattr(type(tree), "__slots__", ()) if hasattr(tree, n)]
    return {n: getattr(tree, n) for n in slots} | getattr(tree, "__dict__", {})


def tree_map(change: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`change` applied to the leaves of trees of one structure."""
    if isinstance(tree, dict):
        return {k: tree_map(change, v, *(o[k] for o in others)) for k, v in tree.items()}
    if is_object(tree):
        made = object.__new__(type(tree)) if type(tree) is not Mirror else Mirror()
        for n in attributes(tree):
            new = tree_map(change, *(getattr(t, n) for t in (tree, *others)))
            object.__setattr__(made, n, new)
        return made
    if isinstance(tree, (tuple, list)):
        items = [tree_map(change, *group) for group in zip(tree, *others)]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    numeric = isinstance(tree, (int, float, complex, np.ndarray, np.generic))
    return change(tree, *others) if numeric else tree


def is_float(leaf: Any) -> bool:
    return np.asarray(leaf).dtype.kind == "f"


def flat(tree: Any) -> np.ndarray:
    """Every number of a tree as one float64 vector."""
    parts = [np.asarray(leaf, dtype=np.float64).ravel() for leaf in leaves(tree)]
    return np.concatenate(parts) if parts else np.zeros(0)


def noise(tree: Any, rng: np.random.Generator) -> Any:
    """Random numbers shaped and typed as the tree; None in place of integers."""

    def draw(leaf):
        a = np.asarray(leaf)
        if a.dtype.kind not in "fc":
            return None
        value = rng.standard_normal(a.shape)
        if a.ndim:
            return value.astype(a.dtype)
        return float(value) if isinstance(leaf, float) else a.dtype.type(value)

    return tree_map(draw, tree)


def float_arguments(args: tuple) -> tuple[int, ...]:
    """What wrt=None stands for: the arguments that consist of floats."""
    return tuple(i for i, a in enumerate(args) if list(leaves(a)) and all(map(is_float, leaves(a))))


def call(fn: Callable, args: tuple, outputs: str | tuple[str, ...] | None) -> Any:
    """What plain Python gives: the value, or the final values of the arguments in `outputs`."""
    value, after = call_with_effects(fn, args)
    if outputs is None:
        return value
    names = list(inspect.signature(fn).parameters)
    final = [after[names.index(n)] for n in ((outputs,) if isinstance(outputs, str) else outputs)]
    return final[0] if isinstance(outputs, str) else tuple(final)


def call_with_effects(fn: Callable, args: tuple) -> tuple[Any, tuple]:
    """The value, and the arguments as the call leaves them."""
    args = copy.deepcopy(args)
    return fn(*args), args


def along(args: tuple, wrt: tuple[int, ...], tangents: tuple, t: float) -> tuple:
    """The arguments moved by `t` along the tangents, in float64."""
    moved = list(args)
    for i, v in zip(wrt, tangents):
        moved[i] = tree_map(lambda a, d: a if d is None else _widen(a) + t * _widen(d), args[i], v)
    return tuple(moved)


def _widen(leaf: Any) -> Any:
    return leaf if isinstance(leaf, float) else np.asarray(leaf, dtype=np.float64)[()]


def extrapolated(curve: Callable[[float], np.ndarray], h: float = 0.02) -> np.ndarray:
    """The derivative of `curve` at 0 by Ridders' method, each entry with its own best step."""
    rows: list[list[np.ndarray]] = []
    best = error = None
    for step in range(10):
        at = h / 2.0**step
        row = [(curve(at) - curve(-at)) / (2.0 * at)]
        for order, above in enumerate(rows[-1] if rows else ()):
            factor = 4.0 ** (order + 1)
            row.append((factor * row[order] - above) / (factor - 1.0))
            gap = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - above))
            if best is None:
                best, error = row[-1].copy(), gap
            better = gap < error
            best[better], error[better] = row[-1][better], gap[better]
        rows.append(row)
    return best


def finite_difference(fn, args, wrt, tangents, outputs=None) -> np.ndarray:
    """Jv of plain Python's `fn`, flattened."""

    def curve(t: float) -> np.ndarray:
        return flat(call(fn, along(args, wrt, tangents, t), outputs))

    with np.errstate(all="ignore"):
        return extrapolated(curve)


def assert_jvp(tangent: Any, expected: np.ndarray, value: Any, rtol: float = FD_RTOL) -> None:
    """The tangent equals the finite difference, up to noise in proportion to the value."""
    size = np.max(np.abs(flat(value)), initial=1.0)
    np.testing.assert_allclose(flat(tangent), expected, rtol=rtol, atol=0.01 * rtol * size)


def assert_transposed(tangent, w, gradients, tangents, rtol: float = DOT_RTOL) -> None:
    """⟨Jv, w⟩ = ⟨v, Jᵀw⟩ relative to the sizes of the terms."""
    forward, backward = flat(tangent) * flat(w), flat(gradients) * flat(tangents)
    scale = np.sum(np.abs(forward)) + np.sum(np.abs(backward))
    gap = abs(np.sum(forward) - np.sum(backward))
    assert gap <= rtol * scale, f"⟨Jv,w⟩={np.sum(forward)!r} ⟨v,Jᵀw⟩={np.sum(backward)!r}"


def assert_same(a: Any, b: Any, rtol: float = 0.0, terms: float = 0.0) -> None:
    """The same leaves in the same order, within `rtol` of the largest entry of each leaf, or of the
    `terms` that may have cancelled in it."""
    left, right = list(leaves(a)), list(leaves(b))
    assert len(left) == len(right), f"{len(left)} leaves, not {len(right)}"
    for x, y in zip(left, right):
        assert np.shape(x) == np.shape(y), f"shape {np.shape(x)}, not {np.shape(y)}"
        size = np.max(np.abs(np.asarray(y, dtype=np.float64)), initial=terms)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * size)


def assert_like(a: Any, b: Any) -> None:
    """The same leaves as to dtype and shape."""

    def key(tree: Any) -> list:
        return [(np.shape(x), np.asarray(x).dtype) for x in leaves(tree)]

    assert key(a) == key(b)


def same_signature(a: Any, b: Any) -> bool:
    """True where two argument tuples share a specialisation: dtypes, ranks, which extents are 1."""

    def key(leaf: Any) -> tuple:
        array = np.asarray(leaf)
        return array.dtype.str, tuple(d == 1 for d in array.shape)

    return [key(x) for x in leaves(a)] == [key(y) for y in leaves(b)]
