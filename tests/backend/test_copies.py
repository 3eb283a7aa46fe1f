"""Arrays that compiled functions fill and copy whole: like NumPy's, whatever their layout."""

from __future__ import annotations

import ast

import numba
import numpy as np
import pytest

import s2s_ad
from s2s_ad.backend.copies import grown, new_copy, put
from s2s_ad.backend.module import emit_module

COMPILED = numba.njit(lambda a, value: put(a, value))
COPIED = numba.njit(lambda a: new_copy(a))
GROWN = numba.njit(lambda a, more: grown(a, more))

X = np.arange(24.0).reshape(2, 3, 4)
ARRAYS = {
    "vector": X[0, 0],
    "contiguous": X,
    "fortran": X.T,
    "strided": X[:, ::2, ::-1],
    "column": X[:, 1, 2],
    "empty": X[:0],
    "no rows": X[:, :0],
    "single": X.astype(np.float32),
    "integers": X.astype(np.int64)[::-1],
    "booleans": X[0] > 5.0,
    "complex": X[0] * 1j,
}


def spaced(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An array with the strides of `a`, and the memory that it is a part of, all sevens."""
    memory = np.full(200, 7).astype(a.dtype)
    size = a.itemsize
    first = -sum(min(0, s * (n - 1)) for s, n in zip(a.strides, a.shape))
    place = memory[first // size + 3 :]
    return np.lib.stride_tricks.as_strided(place, a.shape, a.strides), memory


@pytest.mark.parametrize("name", ARRAYS)
def test_put_array(name: str) -> None:
    source = ARRAYS[name]
    for like in (source, np.ascontiguousarray(source)):
        (found, memory), (expected, other) = spaced(like), spaced(like)
        COMPILED(found, source)
        expected[...] = source
        np.testing.assert_array_equal(memory, other)  # and nothing around it


@pytest.mark.parametrize(
    "name", ["contiguous", "fortran", "strided", "single", "integers", "empty"]
)
@pytest.mark.parametrize("value", [-0.0, 3])
def test_put_number(name: str, value: float) -> None:
    (found, memory), (expected, other) = spaced(ARRAYS[name]), spaced(ARRAYS[name])
    COMPILED(found, value)
    expected[...] = value
    assert memory.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", ARRAYS)
def test_new_copy(name: str) -> None:
    source = ARRAYS[name]
    made = COPIED(source)
    assert made.flags.c_contiguous and made.dtype == source.dtype
    np.testing.assert_array_equal(made, source)
    assert not np.shares_memory(made, source)


@pytest.mark.parametrize("name", ["vector", "contiguous", "empty", "no rows", "single", "booleans"])
def test_grown(name: str) -> None:
    source = ARRAYS[name]
    for more in (0, 1, 1000):
        made = GROWN(source, more)
        assert made.shape == (source.shape[0] + more, *source.shape[1:])
        assert made.dtype == source.dtype
        np.testing.assert_array_equal(made[: source.shape[0]], source)


def test_overlapping_memory_is_moved() -> None:
    @numba.njit
    def shifted(a):
        put(a[1:], a[:-1])
        return a

    np.testing.assert_array_equal(shifted(np.arange(50.0)), [0.0, *np.arange(49.0)])


def test_read_only_arrays_are_refused() -> None:
    frozen = X.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(COPIED(frozen), X)
    with pytest.raises(numba.TypingError):
        COMPILED(frozen, 0.0)


def rows(x, n):
    """Buffers that are copied, filled, and kept in a loop whose end is not known."""
    y, k = x.copy(), 0
    z = np.zeros_like(x)
    while np.sum(y) < n:
        z[:] = y
        y[:] = 0.5
        y += z * z * 0.6 + 0.3
        k += 1
    return np.sum(y * x) + k


def test_compiled_programs_use_them() -> None:
    x = np.array([0.4, 0.9, 0.2])
    compiled, plain = s2s_ad.value_and_grad(rows), s2s_ad.value_and_grad(rows, jit=False)
    for n in (0.0, 3.0, 9.0):
        np.testing.assert_allclose(compiled(x, n)[1], plain(x, n)[1], rtol=1e-12)
    funcs = compiled._derived_for((x, 1.0), {}).funcs("kernel")
    text = emit_module(funcs, vector=True)
    calls = [n.func for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    called = {f.id for f in calls if isinstance(f, ast.Name)}
    assert {"put", "new_copy", "grown"} <= called
    assert "concatenate" not in text and "[:] =" not in text
    assert "copies" not in compiled.source(x, 1.0, level="kernel")


def test_names_of_the_users_stay_theirs() -> None:
    def f(put, grown):
        new_copy = put.copy()
        new_copy[:] = grown
        return np.sum(new_copy * put)

    assert s2s_ad.grad(f)(np.ones(3), 2.0).tolist() == [2.0] * 3
