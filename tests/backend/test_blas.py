"""Products that compiled functions ask of BLAS, past numba."""

from __future__ import annotations

import itertools

import numba
import numpy as np
import pytest

import s2s_ad
from s2s_ad.backend.blas import matmul


@numba.njit
def product(a, b):
    return matmul(a, b)


def factors(m, k, n, left, right, dtype="f8"):
    rng = np.random.default_rng(0)
    return (rng.normal(size=shape).astype(dtype) for shape in ((m, k)[-left:], (k, n)[:right]))


@pytest.mark.parametrize("left, right", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_products(left, right) -> None:
    """Of every extent that BLAS does not take, or takes for a vector, in both orders of memory."""
    for m, k, n in itertools.product((0, 1, 3), repeat=3):
        a, b = factors(m, k, n, left, right)
        for order in itertools.product("CF", repeat=2):
            found = product(np.array(a, order=order[0]), np.array(b, order=order[1]))
            np.testing.assert_allclose(found, a @ b, rtol=1e-14, atol=1e-15)
            assert np.shape(found) == np.shape(a @ b)


@pytest.mark.parametrize("dtype", ["f4", "c16"])
def test_other_dtypes(dtype) -> None:
    a, b = factors(2, 3, 4, 2, 2, dtype)
    assert product(a, b).dtype == np.dtype(dtype)
    np.testing.assert_allclose(product(a, b), a @ b, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*faster on contiguous")
def test_strided_factors_are_copied() -> None:
    a, b = factors(4, 6, 4, 2, 2)
    np.testing.assert_allclose(product(a[:, ::2], b[::2]), a[:, ::2] @ b[::2])


def test_extents_that_differ_are_errors() -> None:
    with pytest.raises(ValueError, match="inner extents"):
        product(np.ones((2, 3)), np.ones((2, 3)))


def test_only_compiled_text_uses_it() -> None:
    def f(x, matmul):
        return np.sum((x @ matmul) ** 2)

    g = s2s_ad.grad(f, wrt=("x", "matmul"))
    x, y = np.eye(2), np.full((2, 2), 3.0)
    np.testing.assert_allclose(g(x, y), (2 * y @ y.T, 2 * y))
    assert "@" in g.source(x, y, level="kernel") and "blas" not in g.source(x, y, level="kernel")
