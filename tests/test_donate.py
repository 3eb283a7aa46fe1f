"""`donate=`, and arguments that share memory: no needless copy, and no silent damage."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad import differentiate, grad, jvp, value_and_grad, vjp
from s2s_ad.api_errors import OverlapError, ReadOnlyError, WrtError
from tests.numerics import assert_same
from tests.programs import inplace, mutation, normal, stencils

A, V, W = normal(4, 6), normal(6), normal(6, seed=1)


@pytest.fixture(autouse=True)
def verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2S_AD_VERIFY", "1")


CASES = {
    "product": (inplace.running_product, (V,), "a"),
    "rows": (inplace.row_view, (A, 0.7), 0),
    "read": (inplace.read_overwrite_read, (V, 0.7), ("a",)),
    "two": (inplace.coupled_recurrence, (V, W), ("a", "x")),
}


@pytest.mark.parametrize("level", ["array", "kernel"])
@pytest.mark.parametrize("name", CASES)
def test_no_copy_of_what_is_donated(name: str, level: str) -> None:
    fn, args, donate = CASES[name]
    given, plain = grad(fn, jit=False, donate=donate), grad(fn, jit=False)
    count = len(donate) if isinstance(donate, tuple) else 1
    copies = [d.source(*args, level=level).count(".copy()") for d in (plain, given)]
    assert copies[0] - copies[1] == count


@pytest.mark.parametrize("name", CASES)
def test_the_same_results(name: str) -> None:
    fn, args, donate = CASES[name]
    fresh = [tuple(np.copy(a) if np.ndim(a) else a for a in args) for _ in range(4)]
    options = {"jit": False, "level": "kernel"}
    expected = value_and_grad(fn, None, **options)(*args)
    assert_same(value_and_grad(fn, None, donate=donate, **options)(*fresh[0]), expected)
    value, pullback = vjp(fn, donate=donate, **options)(*fresh[1])
    assert_same((value, pullback(1.0)), expected, 1e-15)
    fresh[1][0][...] = np.nan
    assert_same(pullback(1.0), expected[1], 1e-15)
    dots = tuple(np.ones_like(a) if np.ndim(a) else 1.0 for a in args)
    assert_same(jvp(fn, donate=donate, **options)(fresh[2], dots), jvp(fn, **options)(args, dots))


def test_compiled() -> None:
    given = grad(inplace.running_product, donate=0)
    expected = grad(inplace.running_product, jit=False)(V)
    buffer = V.copy()
    assert_same(given(buffer), expected, 1e-12)
    assert_same(given(V[::-1].copy()[::-1]), expected, 1e-12)


def test_results_never_are_the_donated_buffer() -> None:
    def scaled(x):
        x *= 2.0
        return x

    x = V.copy()
    value, _ = vjp(scaled, jit=False, donate="x")(x)
    assert not np.shares_memory(value, x)


def test_what_is_donated_must_be_an_array_argument() -> None:
    for donate in ("nothing", 5, "s"):
        with pytest.raises(WrtError, match="donate"):
            grad(inplace.row_view, jit=False, donate=donate)(A, 0.7)


def two(x, y):
    return np.sum(x * y)


def writes(x, y):
    x[1:] = y[:-1] * x[1:]
    return np.sum(x)


def test_donated_arrays_are_exclusive() -> None:
    x = V.copy()
    given = grad(two, jit=False, donate="x")
    given(x, W)
    for other in (x, x[::-1], x[:], np.asarray(x)):
        with pytest.raises(OverlapError, match="donated"):
            given(x, other)
    with pytest.raises(OverlapError, match="donated"):
        jvp(two, jit=False, donate=0)((x, W), (x, W))
    with pytest.raises(ReadOnlyError, match="donated"):
        fixed = V.copy()
        fixed.flags.writeable = False
        given(fixed, W)


@pytest.mark.parametrize("make", [grad, value_and_grad, vjp, differentiate])
def test_written_arguments_must_not_overlap(make) -> None:
    base = normal(12)
    fn = make(writes, jit=False)
    for x, y in ((base, base), (base[:6], base[3:9]), (base[::2], base[::-2])):
        if np.shares_memory(x, y):
            with pytest.raises(OverlapError, match="written"):
                fn(x, y)
    fn(base[::2], base[1::2])
    fn(base[:6], base[6:])
    read_only = make(two, jit=False)
    read_only(base, base)
    read_only(base[1:], base[:-1])


def test_elements_that_share_memory() -> None:
    windows = np.lib.stride_tricks.as_strided(V.copy(), (4, 3), (8, 8))
    with pytest.raises(OverlapError, match="elements"):
        grad(inplace.row_view, jit=False)(windows, 0.7)
    for view in (A.T, A[::2, ::-1], A[:, 1:3], A[:, :1]):
        differentiate(inplace.row_view, jit=False)(view.copy(), 0.7)
        found = grad(inplace.row_view, jit=False)(view, 0.7)
        assert_same(found, grad(inplace.row_view, jit=False)(view.copy(), 0.7))


def test_a_captured_work_array_is_no_argument() -> None:
    with pytest.raises(OverlapError, match="WORK"):
        vjp(mutation.captured_twice, outputs="z", jit=False)(mutation.WORK, V)


@pytest.mark.parametrize("make", [differentiate, value_and_grad, jvp])
def test_double_buffers_are_swapped_not_copied(make) -> None:
    """No loop copies a buffer. A gradient copies the caller's array once, before the loop."""
    cases = (
        (stencils.swapped_buffers, (V, 5)),
        (mutation.leapfrog, (V, W, 0.3, 5)),
        (stencils.nonlinear_jacobi, (V, 5)),
    )
    for fn, args in cases:
        derivative = make(fn, jit=False)
        text = derivative.source(*args, level="kernel")
        inside = [line for line in text.splitlines() if line.startswith(" " * 8)]
        assert not any("copy" in line for line in inside), text
        assert text.count(".copy()") <= (3 if make is differentiate else 4)


def test_captured_work_arrays_second_order_and_effects() -> None:
    fn = mutation.captured_swap
    mutation.WORK[:], mutation.OTHER[:] = 0.0, 1.0
    first = grad(fn, jit=False)
    before = mutation.WORK.copy(), mutation.OTHER.copy()
    dot = W
    _, second = jvp(first, wrt=0, jit=False)((V, 3), (dot,))
    h = 1e-6
    differences = (first(V + h * dot, 3) - first(V - h * dot, 3)) / (2 * h)
    np.testing.assert_allclose(second, differences, rtol=1e-6, atol=1e-8)
    assert_same((mutation.WORK, mutation.OTHER), before)
    expected = fn(V, 3)
    after = mutation.WORK.copy(), mutation.OTHER.copy()
    mutation.WORK[:], mutation.OTHER[:] = before
    assert_same(differentiate(fn, jit=False)(V, 3), expected, 1e-14)
    assert_same((mutation.WORK, mutation.OTHER), after, 1e-14)


def test_captured_work_arrays_come_after_the_tangents() -> None:
    """The overlap check of a jvp looks at the work array, not at a tangent in its place."""
    work = np.zeros(3)

    def f(x):
        work[:] = np.sin(x)
        return np.sum(work * x)

    x = np.arange(3.0)
    _, tangent = jvp(f, jit=False)((x,), (np.ones(3),))
    assert tangent == pytest.approx(np.sum(np.sin(x) + x * np.cos(x)))
    with pytest.raises(OverlapError):
        jvp(f, jit=False)((work,), (np.ones(3),))
