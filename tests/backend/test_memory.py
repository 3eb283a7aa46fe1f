"""Memory that a compiled function has freed serves its next call, and large arrays have large
pages."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest

import s2s_ad
from s2s_ad.backend.emit import emit
from s2s_ad.backend.memory import (
    LARGE,
    apart,
    keep_freed_memory,
    local_empty,
    new_empty,
    new_full,
    new_zeros,
    unaliased,
)
from s2s_ad.ir.text import parse
from s2s_ad.passes.inplace import inplace

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")


@numba.njit
def empty(n, m):
    a = new_empty((n, m))
    for i in range(n):
        for j in range(m):
            a[i, j] = i + j
    return a


@numba.njit
def zeros(n, like):
    return new_zeros(n, dtype=like.dtype)


@numba.njit(error_model="numpy")
def averaged(x, steps):
    n, m = x.shape
    a, b = np.zeros((n, m)), x.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(m):
                a[i, j] = 0.5 * (b[i - 1, j] + b[i + 1, j])
        a, b = b, a
        a = apart(a)
        b = apart(b)
    return b


SEVERAL = """
def new(x, y):
    n = x.shape[0]
    a, b, c = new_empty(n), new_empty(n), new_zeros(n)
    {loop}

def told(x, y, a, others):
    unaliased("a others.0 others.1")
    b, c = others
    {loop}

def unknown(x, y, a, others):
    b, c = others
    {loop}
"""
LOOP = """
    for i in range(x.shape[0]):
        a[i] = x[i] + y[i]
        b[i] = x[i] * y[i]
        c[i] += a[i]
    return a, b, c
"""


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


@glibc
def test_nor_do_those_with_many_arrays() -> None:
    """All that a gradient makes comes to more than an array does."""
    keep_freed_memory()

    def run() -> list[np.ndarray]:
        return [np.ones(LARGE // 16) for _ in range(10)]  # 160 MB

    assert faults(run) < 100


@glibc
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_user_says_about_memory_holds(name: str) -> None:
    value = "glibc.malloc.trim_threshold=131072" if name == "GLIBC_TUNABLES" else "131072"
    program = """
        import resource
        import numpy as np
        from s2s_ad.backend.memory import keep_freed_memory

        keep_freed_memory()
        def met():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            np.ones(10**6)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        met()
        print(met())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    own = {**os.environ, name: value}
    met = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
    assert int(met.stdout) > 100  # pages of 4 KB, around those of 2 MB


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
def test_zeros(dtype, n) -> None:
    a = zeros(n, np.ones(1, dtype))
    assert a.shape == (n,) and a.dtype == np.dtype(dtype) and not a.any()
    assert np.array_equal(zeros.py_func(n, a), a)  # uncompiled


def test_arrays_begin_with_a_line_of_the_cache() -> None:
    """On the heap and on the stack: vectors that are read in their order cross no line."""

    @numba.njit
    def addresses(sizes):
        found = np.zeros(sizes.size + 1, np.int64)
        for k, n in enumerate(sizes):
            found[k] = new_empty(n).ctypes.data
        found[-1] = local_empty(20).ctypes.data
        return found

    assert not np.any(addresses(np.array([1, 3, 64, 1000, 10**6])) % 64)


@pytest.mark.parametrize("value", [2, 0.5, True, np.float32(1.5), 1j])
def test_full(value) -> None:
    full = numba.njit(lambda n: (new_full((n, 2), value), new_full(3, value)))
    for made, shape in zip(full(4), ((4, 2), (3,))):
        assert np.array_equal(made, np.full(shape, value)) and made.dtype == np.array(value).dtype


def test_extents_that_are_no_extents_are_errors() -> None:
    with pytest.raises(ValueError, match="negative"):
        empty(-1, 2)
    for shape in ((2**40, 2**40), (2**40, 2**10)):  # more than can be counted, than there is
        with pytest.raises(MemoryError):
            empty(*shape)


def test_only_compiled_text_uses_it() -> None:
    def f(x, n):
        new_zeros = np.zeros(n)
        new_zeros[0] = x * x
        return np.sum(new_zeros)

    assert s2s_ad.grad(f)(3.0, 4) == 6.0
    assert "memory" not in s2s_ad.grad(f).source(3.0, 4, level="kernel")


def test_arrays_that_change_places_are_vectorised() -> None:
    x = np.random.default_rng(0).standard_normal((5, 30))
    assert np.array_equal(averaged(x, 3), averaged.py_func(x, 3))
    (text,) = averaged.inspect_llvm().values()
    assert "fadd <" in text or "fmul <" in text


@pytest.mark.parametrize("name, asks", [("new", False), ("told", False), ("unknown", True)])
def test_of_what_has_no_other_name_nothing_is_asked(name: str, asks: bool) -> None:
    """LLVM vectorises a loop that writes to several arrays, and compares no addresses first."""
    functions = {"new_empty": new_empty, "new_zeros": new_zeros, "unaliased": unaliased}
    exec(SEVERAL.format(loop=LOOP.strip()), functions)
    compiled = numba.njit(functions[name], error_model="numpy")
    x, y = np.random.default_rng(0).standard_normal((2, 30))
    a, *others = np.zeros((3, 30))
    given = (x, y) if name == "new" else (x, y, a, tuple(others))
    for found, expected in zip(compiled(*given), (x + y, x * y, x + y)):
        np.testing.assert_array_equal(found, expected)
    (text,) = compiled.inspect_llvm().values()
    assert "fadd <" in text and ("vector.memcheck" in text) == asks


def test_which_arrays_change_places() -> None:
    func = parse("""
func f(x: f64[n], y: f64[n], z: f64[n], k: i64) {
  a: f64[n], b: f64[n], c: f64[n], d: f64[n] = for 0: i64, k, 1: i64, x, y, z, z {
    (i: i64, a1: f64[n], b1: f64[n], c1: f64[n], d1: f64[n])
    c2: f64[n] = store c1, 1.0: f64, i {spec='i'}
    d2: f64[n] = mul d1, 2.0: f64
    yield b1, a1, c2, d2
  }
  return a, b, c, d
}
""")
    func = inplace(func)
    found = re.findall(r"(\w+) = apart\((\w+)\)", emit(func, native=True))
    assert found == [("a1", "a1"), ("b1", "b1")]
    assert "apart" not in emit(func)


@pytest.mark.parametrize("shape", [2**58, (0, 2**60), (2**62, 0), (3, 2**58)])
def test_what_fits_nowhere_is_refused(shape) -> None:
    """Even with no elements, as in NumPy."""

    @numba.njit
    def made(shape):
        return new_empty(shape)

    with pytest.raises(MemoryError):
        made(shape)


def test_negative_extents_stay_an_error() -> None:
    @numba.njit
    def made(n):
        return new_zeros((2, n))

    with pytest.raises(ValueError, match="negative dimensions"):
        made(-1)
    with pytest.raises(ValueError, match="negative dimensions"):
        made(-(2**62))
    assert made(0).shape == (2, 0)
