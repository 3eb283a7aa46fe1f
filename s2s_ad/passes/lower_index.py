"""Index arithmetic for `lower`: Python's meaning of negative indices, and slices as ranges.

A subscript is kept symbolic while views are composed, so that `A[1:-1][i - 1]` becomes `A[i]`, and
it turns into equations only where an element is read. See analysis/integers.py for the sums.
"""

from __future__ import annotations

from s2s_ad.analysis.integers import Facts, Lin, Op, lin
from s2s_ad.ir.subscript import Axis


def wrap(index: Lin, extent: Lin, facts: Facts) -> Lin:
    """`index` counted from the front: a negative one counts from the end."""
    if facts.at_least(index, 0):
        return index
    if index.is_const:
        return extent + index.const
    return lin(Op("wrap", index, extent))


def rolled(index: Lin, shift: Lin, extent: Lin) -> Lin:
    """Where element `index` of `np.roll(x, shift)` is in x. `i - 1` is wrapped, `i - 2` may be
    further away than the extent."""
    if not shift.is_const:
        shift = lin(Op("mod", shift, lin(Op("max", extent, lin(1)))))
    elif abs(shift.const) != 1:
        return lin(Op("mod", index - shift, extent)) if shift.const else index
    from_end = extent if shift.is_const and shift.const < 0 else lin(0)
    return lin(Op("wrap", index - shift - from_end, extent))


def at_most(value: Lin, bound: Lin, facts: Facts) -> Lin:
    return value if facts.at_least(bound - value, 0) else lin(Op("min", value, bound))


def not_below(value: Lin, bound: int, facts: Facts) -> Lin:
    return value if facts.at_least(value, bound) else lin(Op("max", value, lin(bound)))


def slice_range(axis: Axis, extent: Lin, facts: Facts) -> tuple[Lin, Lin, int]:
    """First index, count and step of a slice of an axis of this extent.

    The count may be negative where the slice is empty, and then the first index means nothing:
    neither matters to a loop, and it keeps `A[1:-1]` as simple as `range(1, n - 1)`.
    """
    step = 1 if axis.step is None else int(axis.step.value)
    start, stop = (None if a is None else lin(a) for a in (axis.start, axis.stop))
    if step > 0:
        first = lin(0) if start is None else not_below(wrap(start, extent, facts), 0, facts)
        end = extent if stop is None else wrap(stop, extent, facts)
        if stop is not None and not _from_end(stop):
            end = at_most(end, extent, facts)
        span = end - first
    else:
        first = extent - 1 if start is None else wrap(start, extent, facts)
        if start is not None and not _from_end(start):
            first = at_most(first, extent - 1, facts)
        end = lin(-1) if stop is None else not_below(wrap(stop, extent, facts), -1, facts)
        span = first - end
    size = abs(step)
    if size > 1:
        span = span + (size - 1)
        quotient = span.const // size if span.is_const else None
        count = lin(Op("floordiv", span, lin(size))) if quotient is None else lin(quotient)
        return first, count, step
    return first, span, step


def _from_end(bound: Lin) -> bool:
    return bound.is_const and bound.const < 0
