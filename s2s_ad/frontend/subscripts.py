"""Subscripts as users write them, as the IR has them: ints, slices, None, `...`, arrays, masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import ShapeError, StaticValueError, SubscriptError
from s2s_ad.frontend.memory import FULL, contiguous, extent, read, subview, transposed, write
from s2s_ad.frontend.values import Reshape, Sub, View, describe, is_array, is_atom, is_scalar
from s2s_ad.ir.core import Atom, Lit, Var
from s2s_ad.ir.subscript import Axis
from s2s_ad.ir.types import BOOL, Type


@dataclass(frozen=True)
class Slice:
    """`start:stop:step` as evaluated."""

    start: Any
    stop: Any
    step: Any


# --- places --------------------------------------------------------------------------------------


def place(cx: Context, view: View, items: Sequence[Any]) -> View:
    """The place that a subscript names, as a view (with index arrays: only to read or write)."""
    items = _expand(cx, view, [part for i in items for part in _mask_to_index(cx, i)])
    view, items = _gathered_first(cx, view, items)
    axes: list[Axis] = []
    out: list[int | None] = []
    kept, gathered, basic = 0, False, not any(map(is_array, items))
    for item in items:
        if item is None:
            out.append(None)
            continue
        single = _single(cx, view, len(axes), item) if basic else None
        if single is not None:
            axes.append(Axis("index", single))
            _inside(cx, view, len(axes) - 1, axes[-1])
            out.append(None)
            continue
        axis = _axis(cx, view, len(axes), item)
        _inside(cx, view, len(axes), axis)
        axes.append(axis)
        if axis.kind == "index" or (axis.kind == "array" and gathered):
            continue
        width = 1
        if axis.kind == "array":
            gathered = True
            width = max(i.type.ndim for i in items if is_array(i))
        out.extend(range(kept, kept + width))
        kept += width
    _check_arrays(cx, items)
    return subview(cx, view, Sub(tuple(axes), tuple(out)))


def _inside(cx: Context, view: View, axis: int, subscript: Axis) -> None:
    """Emit the check that an index is one of this axis of the view, unless that is known now."""
    if subscript.kind not in ("index", "array"):
        return
    size, index = extent(cx, view, axis), subscript.start
    if isinstance(size, int) and isinstance(index, Lit) and -size <= index.value < size:
        return
    what = f"axis {axis} of {_named(view)}"
    cx.builder.equation("inside", [index, cx.index(size)], {"what": what})


def _named(view: View) -> str:
    name = view.cell.name
    if name in ("", "t"):
        return "an array"
    return f"a view of {name!r}" if view.steps else repr(name)


def _mask_to_index(cx: Context, item: Any) -> list[Any]:
    """A boolean mask as the arrays of its true positions, one for each axis."""
    if not _is_mask(item):
        return [item]
    rest: Any = nonzero(cx, flat(cx, item))
    found: list[Any] = []
    for axis in range(item.type.ndim - 1, 0, -1):
        n = extent(cx, item, axis)
        found.insert(0, ar.binary(cx, "mod", rest, n))
        rest = ar.binary(cx, "floordiv", rest, n)
    return [rest, *found]


def _gathered_first(cx: Context, view: View, items: list[Any]) -> tuple[View, list[Any]]:
    """Where index arrays (and numbers beside them) are not adjacent, NumPy moves their axes to the
    front: the subscript is one of the array with these axes first."""
    gathered = [k for k, i in enumerate(items) if is_array(i) or is_scalar(i)]
    apart = gathered and gathered[-1] - gathered[0] + 1 != len(gathered)
    if not apart or not any(map(is_array, items)):
        return view, items
    others = [k for k in range(len(items)) if k not in gathered]
    axis_at = {k: sum(i is not None for i in items[:k]) for k in range(len(items))}
    order = [axis_at[k] for k in (*gathered, *others) if items[k] is not None]
    return transposed(cx, view, tuple(order)), [items[k] for k in (*gathered, *others)]


def nonzero(cx: Context, mask: View) -> View:
    """The positions where a mask of rank 1 is True."""
    atom = read(cx, mask)
    dim = cx.derived(("nonzero", atom), "count")
    return cx.fresh(cx.emit("nonzero", atom, name="where", type=Type("i64", (dim,))))


def _expand(cx: Context, view: View, items: list[Any]) -> list[Any]:
    """Replace `...` and the missing axes at the end by full slices."""
    used = sum(
        i.type.ndim if _is_mask(i) else 1 for i in items if i is not None and i is not Ellipsis
    )
    missing = view.type.ndim - used
    if missing < 0:
        text = f"{used} indices for an array with {view.type.ndim} axes"
        cx.fail(ShapeError, f"too many indices: {text}")
    full = [Slice(None, None, None)] * missing
    if Ellipsis not in [i for i in items if i is Ellipsis]:
        return items + full
    at = next(k for k, i in enumerate(items) if i is Ellipsis)
    return items[:at] + full + items[at + 1 :]


def _axis(cx: Context, view: View, axis: int, item: Any) -> Axis:
    if isinstance(item, Slice):
        return _slice(cx, view, axis, item)
    if is_array(item):
        if item.type.dtype not in ("i64", "i32"):
            cx.fail(SubscriptError, f"an array of {item.type.dtype} cannot be an index")
        return Axis("array", ar.convert(cx, item, "i64"))
    if not is_scalar(item) or isinstance(item, bool) or (is_atom(item) and item.type == BOOL):
        cx.fail(SubscriptError, f"{describe(item)} cannot be an index")
    atom = cx.index(item)
    dim = cx.state.facts.find(view.type.shape[axis])
    if isinstance(atom, Lit) and isinstance(dim, int) and not -dim <= atom.value < dim:
        cx.fail(SubscriptError, f"index {atom.value} is out of bounds for an axis of extent {dim}")
    return Axis("index", atom)


def _single(cx: Context, view: View, axis: int, item: Any) -> Atom | None:
    """The index k of a slice `k:k+1` or `-1:`, of an axis whose extent is not known: it is taken
    for an index and a new axis, so that the slice is known to have one element and broadcasts.
    Where the axis is too short, NumPy gives an empty slice; here that is an IndexError."""
    dim = cx.state.facts.find(view.type.shape[axis])
    if not isinstance(item, Slice) or item.step not in (None, 1) or isinstance(dim, int):
        return None
    start, stop = (b.value if isinstance(b, Lit) else b for b in (item.start, item.stop))
    start = 0 if start is None else start
    if isinstance(start, Var) and cx.is_nonneg(start) and cx.after.get(stop) is start:
        return start
    known = type(start) is int and type(stop) is not bool and stop == (start + 1 or None)
    return cx.index(start) if known else None


def _slice(cx: Context, view: View, axis: int, item: Slice) -> Axis:
    step = item.step.value if isinstance(item.step, Lit) else item.step
    if step is not None and type(step) is not int:
        cx.fail(StaticValueError, "the step of a slice must be known when compiling")
    if step == 0:
        cx.fail(SubscriptError, "the step of a slice cannot be zero")
    start = None if item.start is None else cx.index(item.start)
    stop = None if item.stop is None else cx.index(item.stop)
    if step is None or step > 0:
        if isinstance(start, Lit) and start.value == 0:
            start = None
        stop = _from_the_end(cx, view, axis, stop)
    if start is None and stop is None and step in (None, 1):
        return FULL
    return Axis("slice", start, stop, None if step in (None, 1) else cx.index(step))


def _from_the_end(cx: Context, view: View, axis: int, stop: Atom | None) -> Atom | None:
    """`A.shape[0] - 1` as -1, and `A.shape[0]` as nothing. (Beyond -2 a short axis would differ: a
    negative bound counts from the end.)"""
    dim = cx.state.facts.find(view.type.shape[axis])
    if isinstance(dim, int):
        return None if isinstance(stop, Lit) and stop.value == dim else stop
    if stop not in cx.affine:
        return stop
    symbol, offset = cx.affine[stop]
    by = [k for k in (0, -1, -2) if cx.state.facts.find(_shift(dim, k)) == _shift(symbol, offset)]
    if not by or (by[0] < 0 and "-" in dim):
        return stop
    return cx.index(by[0]) if by[0] else None


def _shift(dim: Any, by: int) -> Any:
    from s2s_ad.frontend.facts import shifted

    return shifted(dim, by)


def _check_arrays(cx: Context, items: Sequence[Any]) -> None:
    arrays = [i for i in items if is_array(i)]
    if arrays:
        ar.broadcast(cx, arrays, "index arrays")


# --- reading -------------------------------------------------------------------------------------


def get(cx: Context, view: View, items: Sequence[Any]) -> Any:
    """`view[items]`: a number, a view, or (with index arrays and masks) a new array."""
    if _is_whole_mask(view, items) and view.type.ndim > 1:
        _mask_fits(cx, view, items[0])
        view, items = flat(cx, view), [flat(cx, items[0])]
    elif any(map(_is_mask, items)):
        _masks_fit(cx, view, items)
    found = place(cx, view, items)
    if not found.type.is_array:
        return read(cx, found)
    if any(map(is_array, items)):
        return cx.fresh(read(cx, found))
    return found


def flat(cx: Context, view: View) -> View:
    """`view.reshape(-1)`: a view where it is contiguous, else a copy that shares nothing."""
    if view.type.ndim == 1:
        return view
    if not contiguous(view):
        view = cx.fresh(read(cx, view))
    return subview(cx, view, flattening(cx, view))


def flattening(cx: Context, view: View) -> Reshape:
    """The step that makes an array one-dimensional."""
    size: Any = 1
    for a in range(view.type.ndim):
        size = ar.binary(cx, "mul", size, extent(cx, view, a))
    dims = view.type.shape
    if all(isinstance(d, int) for d in dims):
        dim = int(size)
    else:
        others = [cx.state.facts.find(d) for d in dims if d != 1]
        dim = others[0] if len(others) == 1 else cx.derived(("size", *others), "size")
    atom = cx.index(size)
    if isinstance(dim, str):
        cx.state.facts.extents.setdefault(dim, atom)
    return Reshape((atom,), (dim,))


def _is_mask(item: Any) -> bool:
    return is_array(item) and item.type.dtype == "bool"


def _is_whole_mask(view: View, items: Sequence[Any]) -> bool:
    """True for a mask of the array's own rank."""
    return len(items) == 1 and _is_mask(items[0]) and items[0].type.ndim == view.type.ndim


def _mask_fits(cx: Context, view: View, mask: View) -> None:
    for axis in range(mask.type.ndim):
        ar.match(cx, view, axis, mask, axis, "array and mask")


def _masks_fit(cx: Context, view: View, items: Sequence[Any]) -> None:
    axis = 0
    for item in _expand(cx, view, list(items)):
        for k in range(item.type.ndim if _is_mask(item) else 0):
            ar.match(cx, view, axis + k, item, k, "array and mask")
        axis += item.type.ndim if _is_mask(item) else item is not None


# --- writing -------------------------------------------------------------------------------------


def set_items(cx: Context, view: View, items: Sequence[Any], value: Any) -> None:
    """`view[items] = value`."""
    if _is_whole_mask(view, items):
        _mask_fits(cx, view, items[0])
        if is_scalar(value):
            return set_masked(cx, view, items[0], value)
        view, items = flat_place(cx, view), [flat(cx, items[0])]
    elif any(map(_is_mask, items)):
        _masks_fit(cx, view, items)
    return put(cx, place(cx, view, items), value)


def flat_place(cx: Context, view: View, what: str = "a mask") -> View:
    """A one-dimensional view to write through."""
    if view.type.ndim > 1 and not contiguous(view):
        cx.fail(
            SubscriptError,
            f"{what} on a view that is not contiguous",
            "use np.where, or index the axes one by one",
        )
    return flat(cx, view)


def set_masked(cx: Context, view: View, mask: View, value: Any) -> None:
    """`view[mask] = number`: a choice between the number and the old elements."""
    old = read(cx, view)
    new = ar.convert(cx, value, view.type.dtype)
    write(cx, view, cx.emit("select", read(cx, mask), new, old, type=old.type))


def put(cx: Context, target: View, value: Any, mode: str = "store") -> None:
    """Write `value` to a place, converted and checked to fit."""
    write(cx, target, fit(cx, target, value), mode)


def fit(cx: Context, target: View, value: Any) -> Atom:
    """`value` as an atom of the place's dtype whose shape broadcasts to the place's."""
    value = ar.as_array(cx, value)
    rank = target.type.ndim
    if is_array(value) and value.type.ndim > rank:
        extra = value.type.ndim - rank
        if rank == 0 or any(d != 1 for d in value.type.shape[:extra]):
            where = f"a place {target.type}" if rank else "one element"
            cx.fail(ShapeError, f"an array {value.type} does not fit into {where}")
        axes = tuple(range(extra))
        value = cx.fresh(cx.emit("squeeze", read(cx, value), axes=axes))
    if is_array(value):
        for k in range(1, value.type.ndim + 1):
            if value.type.shape[-k] != 1:
                ar.match(cx, target, rank - k, value, value.type.ndim - k, "target and value")
    return ar.convert(cx, value, target.type.dtype)


def augment(cx: Context, view: View, items: Sequence[Any], prim: str, value: Any) -> None:
    """`view[items] op= value`."""
    if _is_whole_mask(view, items):
        _mask_fits(cx, view, items[0])
        if is_scalar(value):
            changed = ar.binary(cx, prim, view, value)
            old, new = read(cx, view), ar.convert(cx, changed, view.type.dtype)
            mask = read(cx, items[0])
            return write(cx, view, cx.emit("select", mask, new, old, type=old.type))
        view, items = flat_place(cx, view), [flat(cx, items[0])]
    elif any(map(_is_mask, items)):
        _masks_fit(cx, view, items)
    return update(cx, place(cx, view, items), prim, value, any(map(is_array, items)))


def update(cx: Context, target: View, prim: str, value: Any, gathered: bool = False) -> None:
    """`place op= value`: an accumulation where it is a sum, else read, compute, store.

    With index arrays NumPy reads all elements before it writes any: duplicates do not add up."""
    value = ar.as_array(cx, value)
    dtype, _ = ar.result_dtype(cx, (target, value))
    same_dtype = dtype == target.type.dtype and dtype != "bool"
    if prim in ("add", "sub") and same_dtype and not gathered:
        change = ar.negate(cx, value) if prim == "sub" else value
        return put(cx, target, change, "accum")
    if target.type.is_array and ar.KIND[dtype] > ar.KIND[target.type.dtype]:
        cx.fail(
            SubscriptError,
            f"an in-place operation cannot put {dtype} into an array of {target.type.dtype}",
            "convert the array with .astype first",
        )
    old = read(cx, target)
    current = cx.fresh(old)
    return put(cx, target, ar.binary(cx, prim, current, value))
