"""Reading and writing arrays through views.

A view is a cell and a chain of steps. Subscripts of subscripts are composed into one wherever that
is exact; what cannot be composed is read by loading step by step and written by reading, changing
and storing back the outer place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from s2s_ad.frontend.aliasing import bring_up_to_date, written
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.facts import shifted
from s2s_ad.frontend.values import Reshape, Sub, View
from s2s_ad.ir.build import i64
from s2s_ad.ir.core import Atom, Lit, Var
from s2s_ad.ir.subscript import Axis, make_spec, slice_dim
from s2s_ad.ir.types import UNKNOWN, Dim, Type, broadcast_shapes

FULL = Axis("full")


# --- reading -------------------------------------------------------------------------------------


def read(cx: Context, view: View, name: str = "t") -> Atom:
    """The array in a view, as an atom."""
    bring_up_to_date(cx, view.cell)
    atom = cx.version(view.cell)
    for k, step in enumerate(view.steps):
        hint = name if k == len(view.steps) - 1 else "t"
        atom = step_in(cx, atom, step, hint)
    return atom


def step_in(cx: Context, atom: Atom, step: Sub | Reshape, name: str = "t") -> Atom:
    """The part of the array `atom` that `step` selects."""
    if isinstance(step, Reshape):
        kind = Type(atom.type.dtype, step.shape)
        return cx.emit("reshape", atom, *step.extents, name=name, type=kind)
    moved = not step.plain
    if any(a.kind != "full" for a in step.axes):
        kind = Type(atom.type.dtype, kept_shape(cx, atom.type.shape, step))
        spec, operands = make_spec(step.axes)
        atom = cx.emit("load", atom, *operands, name="t" if moved else name, type=kind, spec=spec)
    if not moved:
        return atom
    perm = tuple(o for o in step.out if o is not None)
    new = tuple(d for d, o in enumerate(step.out) if o is None)
    if perm != tuple(sorted(perm)):
        atom = cx.emit("transpose", atom, name="t" if new else name, perm=perm)
    return cx.emit("expand", atom, name=name, axes=new) if new else atom


def kept_shape(cx: Context, shape: tuple[Dim, ...], step: Sub) -> tuple[Dim, ...]:
    """The shape after the subscript, before axes are moved."""
    out: list[Dim] = []
    arrays = [a.start.type.shape for a in step.axes if a.kind == "array"]
    for dim, axis in zip(shape, step.axes):
        if axis.kind == "full":
            out.append(dim)
        elif axis.kind == "slice":
            out.append(extent_of_slice(cx, dim, axis))
        elif axis.kind == "array" and arrays:
            out.extend(broadcast_shapes(arrays))
            arrays = []
    return tuple(out)


def step_shape(cx: Context, shape: tuple[Dim, ...], step: Sub) -> tuple[Dim, ...]:
    kept = kept_shape(cx, shape, step)
    return tuple(1 if o is None else kept[o] for o in step.out)


def extent_of_slice(cx: Context, dim: Dim, axis: Axis) -> Dim:
    """The extent of a slice: decided by literals, or a symbol that its operands determine."""
    dim = cx.state.facts.find(dim)
    decided = slice_dim(dim, axis)
    if decided != UNKNOWN:
        if isinstance(decided, str) and axis.step is None:
            start = axis.start.value if axis.start is not None else 0
            stop = axis.stop.value if axis.stop is not None else 0
            return shifted(dim, stop - start)
        return decided
    key = ("slice", dim, axis.start, axis.stop, axis.step)
    return cx.derived(key, axis.stop.name if isinstance(axis.stop, Var) else "m")


# --- composing -----------------------------------------------------------------------------------


def subview(cx: Context, view: View, step: Sub | Reshape) -> View:
    """`view[step]`, composed with the last step where that is exact."""
    shape = step.shape if isinstance(step, Reshape) else step_shape(cx, view.type.shape, step)
    kind = Type(view.type.dtype, shape)
    if isinstance(step, Sub) and view.steps and isinstance(view.steps[-1], Sub):
        joined = compose(cx, view.steps[-1], step)
        if joined is not None:
            identity = joined.plain and all(a.kind == "full" for a in joined.axes)
            last = () if identity else (joined,)
            return View(view.cell, view.steps[:-1] + last, kind)
    return View(view.cell, (*view.steps, step), kind)


def compose(cx: Context, first: Sub, second: Sub) -> Sub | None:
    """One subscript that does `first`, then `second`; None where there is none."""
    axes, kept = list(first.axes), first.kept
    if first.arrays or len(second.arrays) > 1 or any(a.type.ndim > 1 for a in second.arrays):
        return None
    for position, axis in zip(first.out, second.axes):
        if position is None:
            if axis.kind == "full" or (axis.kind == "index" and _zero(axis.start)):
                continue
            return None
        base = kept[position]
        joined = _compose_axis(cx, first.axes[base], axis)
        if joined is None:
            return None
        axes[base] = joined
    gathered = [k for k, axis in enumerate(axes) if axis.kind in ("index", "array")]
    if second.arrays and gathered[-1] - gathered[0] + 1 != len(gathered):
        return None  # NumPy would move the axes of index arrays to the front
    return _outer_axes(first, second, axes)


def _outer_axes(first: Sub, second: Sub, axes: list[Axis]) -> Sub:
    """The output axes of a composition: those of `second`, in terms of the base's kept axes."""
    kept_after = [a for a, axis in enumerate(axes) if axis.kind != "index"]
    out: list[int | None] = []
    for o in second.out:
        position = None if o is None else first.out[second.kept[o]]
        out.append(None if position is None else kept_after.index(first.kept[position]))
    return Sub(tuple(axes), tuple(out))


def _zero(atom: Atom) -> bool:
    return isinstance(atom, Lit) and atom.value in (0, -1)


def _lit(atom: Atom | None) -> int | None:
    return atom.value if isinstance(atom, Lit) else None


def _compose_axis(cx: Context, outer: Axis, inner: Axis) -> Axis | None:
    """`inner` applied to the axis that `outer` leaves (a full axis or a slice)."""
    if outer.kind == "full" or inner.kind == "full":
        return inner if outer.kind == "full" else outer
    if _lit(outer.step) not in (None, 1) or (outer.step is not None and _lit(outer.step) is None):
        return None
    start = outer.start if outer.start is not None else i64(0)
    if not cx.is_nonneg(start):
        return None
    if inner.kind == "index":
        if not cx.is_nonneg(inner.start):
            return None
        return Axis("index", _plus(cx, start, inner.start))
    if inner.kind != "slice" or inner.step is not None:
        return None
    return _compose_slices(cx, start, outer.stop, inner)


def _compose_slices(cx: Context, start: Atom, stop: Atom | None, inner: Axis) -> Axis | None:
    begin = inner.start if inner.start is not None else i64(0)
    if not cx.is_nonneg(begin):
        return None
    if inner.stop is None:
        end = stop
    elif stop is None and cx.is_nonneg(inner.stop):
        end = _plus(cx, start, inner.stop)
    elif (_lit(inner.stop) or 0) < 0 and (stop is None or (_lit(stop) or 0) < 0):
        end = i64(inner.stop.value + (0 if stop is None else stop.value))
    else:
        return None
    total = _plus(cx, start, begin)
    return Axis("slice", None if _lit(total) == 0 else total, end)


def _plus(cx: Context, a: Atom, b: Atom) -> Atom:
    if isinstance(a, Lit) and isinstance(b, Lit):
        return i64(a.value + b.value)
    if _lit(a) == 0 or _lit(b) == 0:
        return b if _lit(a) == 0 else a
    out = cx.emit("add", a, b)
    cx.nonneg.add(out)
    return out


# --- writing -------------------------------------------------------------------------------------


def write(cx: Context, view: View, value: Atom, mode: str = "store", name: str = "") -> None:
    """`view[...] = value` (or += with mode "accum"); `value` has the dtype and fits the shape."""
    cell = view.cell
    whole = mode == "store" and not view.steps
    if not whole:
        bring_up_to_date(cx, cell)
    version = _write_steps(cx, cx.version(cell), view.steps, value, mode, name or cell.name)
    cx.state.memory[cell] = version
    written(cx, cell)


def _write_steps(
    cx: Context, base: Atom, steps: tuple[Any, ...], value: Atom, mode: str, name: str
) -> Atom:
    if not steps:
        spec = ",".join(":" for _ in base.type.shape)
        return cx.emit(mode, base, value, name=name, type=base.type, spec=spec)
    step, rest = steps[0], steps[1:]
    if rest or isinstance(step, Reshape):
        inner = _write_steps(cx, step_in(cx, base, step), rest, value, mode, "t")
        value, mode = inner, "store"
    if isinstance(step, Reshape):
        extents = [cx.index(cx.extent(base, a)) for a in range(base.type.ndim)]
        return cx.emit("reshape", value, *extents, name=name, type=base.type)
    value = step_back(cx, value, step)
    spec, operands = make_spec(step.axes)
    return cx.emit(mode, base, value, *operands, name=name, type=base.type, spec=spec)


def step_back(cx: Context, value: Atom, step: Sub) -> Atom:
    """`value`, which has the axes of the view, with the axes of the base."""
    if step.plain or not value.type.is_array:
        return value
    rank = len(step.out)
    if value.type.ndim < rank:
        value = cx.emit("expand", value, axes=tuple(range(rank - value.type.ndim)))
    new = tuple(d for d, o in enumerate(step.out) if o is None)
    if new and all(value.type.shape[d] == 1 for d in new):
        value = cx.emit("squeeze", value, axes=new)
    elif new:  # extents that have been checked to be 1
        spec = ",".join("i" if d in new else ":" for d in range(rank))
        value = cx.emit("load", value, *(i64(0) for _ in new), spec=spec)
        if not value.type.is_array:
            return value
    order = [o for o in step.out if o is not None]
    perm = tuple(order.index(k) for k in range(len(order)))
    return value if perm == tuple(range(len(perm))) else cx.emit("transpose", value, perm=perm)


# --- whole views ---------------------------------------------------------------------------------


def transposed(cx: Context, view: View, perm: tuple[int, ...]) -> View:
    if perm == tuple(range(view.type.ndim)):
        return view
    return subview(cx, view, Sub((FULL,) * view.type.ndim, perm))


def expanded(cx: Context, view: View, axes: tuple[int, ...]) -> View:
    """`view` with new axes of extent 1 at `axes` of the result."""
    out: list[int | None] = list(range(view.type.ndim))
    for axis in sorted(axes):
        out.insert(axis, None)
    return subview(cx, view, Sub((FULL,) * view.type.ndim, tuple(out)))


def element(cx: Context, view: View, index: Atom) -> Any:
    """`view[index]` along the first axis: a scalar atom or a view."""
    axes = (Axis("index", index),) + (FULL,) * (view.type.ndim - 1)
    place = subview(cx, view, Sub(axes, tuple(range(view.type.ndim - 1))))
    return place if place.type.is_array else read(cx, place)


def extent(cx: Context, view: View, axis: int) -> Any:
    """`view.shape[axis]`, from the base array where the view keeps its axis whole."""
    dim = cx.state.facts.find(view.type.shape[axis])
    if isinstance(dim, int):
        return dim
    if dim in cx.state.facts.extents:
        return cx.state.facts.extents[dim]
    step = view.steps[0] if len(view.steps) == 1 else None
    if step is None and not view.steps:
        return cx.extent(cx.version(view.cell), axis)
    if isinstance(step, Sub) and step.out[axis] is not None:
        base = step.sources[step.out[axis]]
        if not isinstance(base, int):
            return _extent_of_index(cx, step.arrays, base.place)
        if step.axes[base].kind == "full":
            return cx.extent(cx.version(view.cell), base)
        short = _shortened(cx, view, step.axes[base], base, dim)
        if short is not None:
            return short
    return cx.extent(read(cx, view), axis)


def _extent_of_index(cx: Context, arrays: Sequence[Atom], place: int) -> Any:
    """The extent, `place` axes before the last, of index arrays after broadcasting."""
    found = [a for a in arrays if a.type.ndim >= place and a.type.shape[-place] != 1]
    return cx.extent(found[0], found[0].type.ndim - place) if found else 1


def _shortened(cx: Context, view: View, axis: Axis, base: int, dim: str) -> Any:
    """The extent of `A[1:-1]`, as max(A.shape[0] - 2, 0)."""
    if axis.step is not None or slice_dim("n", axis) == UNKNOWN:
        return None
    shift = (_lit(axis.stop) or 0) - (_lit(axis.start) or 0)
    whole = cx.extent(cx.version(view.cell), base)
    if isinstance(whole, int) or shift >= 0:
        return None
    less = cx.emit("add", whole, i64(shift))
    out = cx.emit("maximum", less, i64(0), name="m")
    cx.mark_extent(out, dim)
    cx.state.facts.extents[dim] = out
    return out


def contiguous(view: View) -> bool:
    """True where the view's elements are one block of a contiguous array, in order."""
    for step in view.steps:
        if isinstance(step, Reshape):
            continue
        if not step.plain:
            return False
        kinds = ["index" if a.kind == "index" else a.kind for a in step.axes]
        rest = kinds[next((k for k, kind in enumerate(kinds) if kind != "index"), len(kinds)) :]
        if rest and any(kind != "full" for kind in rest[1:]):
            return False
        if rest and rest[0] == "slice" and step.axes[len(kinds) - len(rest)].step is not None:
            return False
    return True
