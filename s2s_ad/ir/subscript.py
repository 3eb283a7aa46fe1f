"""Subscripts: the `spec` of `load`, `store` and `accum`.

A spec has one token per axis of the base array, separated by commas; `_` stands for an i64 operand.

    i            one index; the axis goes away. Negative indices count from the end
    :            the whole axis
    _:_  _:  :_  a slice, bounds as in Python (negative ones count from the end, all are clipped)
    ::_  _:_:_   a slice with a step (a literal)
    a            an i64 array of indices; all `a` and `i` axes are adjacent where there is an `a`
                 (else NumPy would move them to the front); the arrays broadcast, and their common
                 shape replaces them (negative indices count from the end)

`A[1:-1, j]` is `load A, 1, -1, j {spec='_:_,i'}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2s_ad.ir.core import Atom, Lit
from s2s_ad.ir.types import UNKNOWN, Dim, broadcast_shapes, shift_dim


@dataclass(frozen=True)
class Axis:
    """One axis of a subscript. `kind` is index, full, slice or array; a slice has `start`, `stop`
    and `step`, each None where absent; index and array have `start`."""

    kind: str
    start: Atom | None = None
    stop: Atom | None = None
    step: Atom | None = None


_SLICES = (":", "_:", ":_", "_:_")


def split_spec(spec: str) -> list[str]:
    return spec.split(",")


def operand_count(spec: str) -> int:
    return sum(t.count("_") if ":" in t else 1 for t in split_spec(spec))


def parse_subscript(spec: str, operands: Sequence[Atom]) -> list[Axis]:
    """The axes of a subscript, each with its operands."""
    rest = list(operands)
    axes = []
    for token in split_spec(spec):
        if token in ("i", "a"):
            axes.append(Axis("index" if token == "i" else "array", rest.pop(0)))
        elif token == ":":
            axes.append(Axis("full"))
        else:
            parts = [rest.pop(0) if p == "_" else None for p in token.split(":")]
            axes.append(Axis("slice", *parts))
    if rest:
        raise ValueError(f"spec {spec!r} takes {operand_count(spec)} operands")
    return axes


def make_spec(axes: Sequence[Axis]) -> tuple[str, tuple[Atom, ...]]:
    """The inverse of `parse_subscript`."""
    tokens, operands = [], []
    for axis in axes:
        if axis.kind in ("index", "array"):
            tokens.append("i" if axis.kind == "index" else "a")
            operands.append(axis.start)
            continue
        if axis.kind == "full":
            tokens.append(":")
            continue
        parts = [axis.start, axis.stop] + ([axis.step] if axis.step is not None else [])
        tokens.append(":".join("" if p is None else "_" for p in parts))
        operands += [p for p in parts if p is not None]
    return ",".join(tokens), tuple(operands)


def is_full(spec: str) -> bool:
    """True for a subscript that covers the whole array, in order."""
    return all(t == ":" for t in split_spec(spec))


def is_element(spec: str) -> bool:
    """True for a subscript that names one element."""
    return all(t == "i" for t in split_spec(spec))


def is_contiguous(spec: str) -> bool:
    """True for a subscript of which NumPy makes a contiguous view, if the array is contiguous:
    indices, then one slice, then whole axes."""
    tokens = split_spec(spec)
    while tokens and tokens[0] == "i":
        tokens.pop(0)
    return not tokens or (all(t == ":" for t in tokens[1:]) and tokens[0] in _SLICES)


def slice_dim(dim: Dim, axis: Axis) -> Dim:
    """The extent of a slice of an axis of extent `dim`; UNKNOWN unless literals decide it."""
    bounds = [axis.start, axis.stop, axis.step]
    if any(b is not None and not isinstance(b, Lit) for b in bounds):
        return UNKNOWN
    start, stop, step = (b.value if isinstance(b, Lit) else None for b in bounds)
    if isinstance(dim, int):
        return len(range(*slice(start, stop, step).indices(dim)))
    if step == -1 and start is None and stop is None:
        return dim
    from_front = start is None or start >= 0
    from_back = stop is None or stop < 0
    if step not in (None, 1) or not from_front or not from_back:
        return UNKNOWN
    return shift_dim(dim, (stop or 0) - (start or 0))


def load_shape(shape: tuple[Dim, ...], spec: str, operands: Sequence[Atom]) -> tuple[Dim, ...]:
    """The shape of `A[subscript]` for an `A` of this shape."""
    axes = parse_subscript(spec, operands)
    if len(axes) != len(shape):
        raise ValueError(f"spec {spec!r} for an array of rank {len(shape)}")
    arrays = [a.start.type.shape for a in axes if a.kind == "array"]
    gathered = [k for k, a in enumerate(axes) if a.kind in ("array", "index")]
    if arrays and gathered[-1] - gathered[0] + 1 != len(gathered):
        raise ValueError(f"spec {spec!r}: index arrays must be adjacent")
    out: list[Dim] = []
    for dim, axis in zip(shape, axes):
        if axis.kind == "full":
            out.append(dim)
        elif axis.kind == "slice":
            out.append(slice_dim(dim, axis))
        elif axis.kind == "array" and arrays:
            out.extend(broadcast_shapes(arrays))
            arrays = []
    return tuple(out)
