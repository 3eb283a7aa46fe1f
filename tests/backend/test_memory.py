"""Memory that a compiled function has freed serves its next call, and large arrays have large
pages."""

from __future__ import annotations

import platform
import resource
import sys

import numba
import numpy as np
import pytest

import s2s_ad
from s2s_ad.backend.memory import LARGE, cleared, keep_freed_memory, paged

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other rules elsewhere")


@numba.njit
def empty(n, m):
    a = paged(np.empty((n, m)))
    for i in range(n):
        for j in range(m):
            a[i, j] = i + j
    return a


@numba.njit
def zeros(n, like):
    return cleared(np.empty(n, dtype=like.dtype))


def faults(run) -> int:
    """The pages that a call meets for the first time; the least of several."""
    found = []
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        run()
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(found)


@glibc
def test_calls_do_not_meet_new_pages() -> None:
    keep_freed_memory()
    x = np.ones(80_000)
    assert faults(lambda: (x * 2.0, x * 3.0)) < 100  # 313 pages are written


@pytest.mark.skipif(sys.platform != "linux", reason="madvise is Linux's")
def test_large_arrays_have_large_pages() -> None:
    n = LARGE // 8 // 1024 + 1
    assert np.array_equal(empty(3, 1024), np.add.outer(np.arange(3.0), np.arange(1024.0)))
    assert empty(n, 1024)[-1, -1] == n + 1022
    with open("/sys/kernel/mm/transparent_hugepage/enabled") as setting:
        if "[never]" not in setting.read():
            assert faults(lambda: empty(n, 1024)) < 2000  # of 8200 small ones


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "?", "c16"])
@pytest.mark.parametrize("n", [0, 1, 1000, LARGE // 4 + 1])
def test_cleared(dtype, n) -> None:
    a = zeros(n, np.ones(1, dtype))
    assert a.shape == (n,) and a.dtype == np.dtype(dtype) and not a.any()
    assert not cleared(np.ones(3, dtype)).any()  # uncompiled


def test_negative_extents_are_errors() -> None:
    with pytest.raises(ValueError, match="negative"):
        empty(-1, 2)


def test_only_compiled_text_uses_it() -> None:
    def f(paged, n):
        cleared = np.zeros(n)
        cleared[0] = paged * paged
        return np.sum(cleared)

    assert s2s_ad.grad(f)(3.0, 4) == 6.0
    assert "memory" not in s2s_ad.grad(f).source(3.0, 4, level="kernel")
