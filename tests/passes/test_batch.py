"""Products that a loop computes row by row are computed at once; only rounding differs."""

from __future__ import annotations

import numpy as np
import pytest

import s2s_ad
from s2s_ad.ir.text import parse, show
from s2s_ad.ir.verify import verify
from s2s_ad.passes.batch import batch
from tests.derivative_checks import Derivatives

COVARIANCE = """
func f(x: f64[m, n], k: i64) {
  c: f64[k, k] = full 0.0: f64, k, k
  c1: f64[k, k] = for 0: i64, k, 1: i64, c { (i: i64, c: f64[k, k])
    u: f64[m] = load x, i {spec=':,i'}
    v: f64[m, r] = load x, i, k {spec=':,_:_'}
    t: f64[r] = dot u, v
    c: f64[k, k] = store c, t, i, i {spec='i,_:'}
    yield c
  }
  return c1
}
"""


def test_golden(golden) -> None:
    before = parse(COVARIANCE)
    after = verify(batch(before))
    golden("ir", "batch.txt", f"{show(before)}\n=== after batch\n\n{show(after)}")


def covariance(x, y, k):
    c = np.zeros((k, k))
    for i in range(k):
        c[i:k, i] = c[i, i:k] = x[:, i] @ x[:, i:k] / 3.0
    return c


def correlation(x, y, k):
    c = np.eye(k)
    for i in range(k - 1):
        c[i + 1 : k, i] = c[i, i + 1 : k] = x[:, i] @ x[:, i + 1 : k]
    return c


def rows(x, y, k):
    """The rows up to the index times one row, as a part of a sum."""
    c = np.zeros((x.shape[0], x.shape[0] + 1))
    for i in range(x.shape[0]):
        c[i, : i + 1] += np.exp(0.1 * (x[: i + 1] @ x[i])) * y[i, 0]
    return c


def everything(x, y, k):
    c = np.zeros((x.shape[0], x.shape[0]))
    for i in range(x.shape[0]):
        c[i] = x @ x[i]
    return c


def unlike(x, y, k):
    """Of two matrices it is not known that they fit, until the loop finds out."""
    c = np.zeros((x.shape[0], y.shape[1]))
    for i in range(x.shape[0]):
        c[i] = x[i, : y.shape[0]] @ y
    return c


def later(x, y, k):
    """From the second column on, and some of the rows."""
    c = np.zeros((k, x.shape[1]))
    for i in range(1, k):
        c[i, i - 1 :] = x[1:, i] @ x[1:, i - 1 :]
    return c


BATCHED = (covariance, correlation, rows, everything, later)


def arguments(n: int = 5, m: int = 4) -> tuple[np.ndarray, np.ndarray, int]:
    rng = np.random.default_rng(n + m)
    return rng.uniform(0.3, 1.2, (n, m)), rng.uniform(0.3, 1.2, (n, m)), m


@pytest.mark.parametrize("fn", BATCHED, ids=lambda fn: fn.__name__)
def test_derivatives(fn) -> None:
    assert "products = " in s2s_ad.differentiate(fn).source(*arguments())
    derivatives = Derivatives(fn, wrt=(0, 1), jit=False)
    for size in ((5, 4), (2, 3), (4, 1)):
        derivatives.check(arguments(*size))


@pytest.mark.parametrize("fn", (correlation,), ids=lambda fn: fn.__name__)
def test_compiled(fn) -> None:
    derivatives = Derivatives(fn, wrt=(0, 1))
    for size in ((5, 4), (3, 9)):
        derivatives.check(arguments(*size))


def weighted(x, y, k):
    return np.sum(correlation(x, y, k) * y[:k, :k])


def test_the_gradient_of_a_covariance_is_one_product() -> None:
    """Both factors are the same slice, so the gradient is one product of a sum."""
    text = s2s_ad.grad(weighted, wrt=(0,)).source(*arguments())
    lines = text.split("# reverse sweep")[-1].splitlines()
    backward = "\n".join(line for line in lines if "#" not in line)
    assert backward.count(" @ ") == 1
    assert "products_bar + " in backward


def test_no_iteration_no_error() -> None:
    """Neither what is out of range nor shapes that do not fit matter where nothing is computed."""
    for k in (0, -1):
        run = s2s_ad.differentiate(later, jit=False)
        x, y, _ = arguments()
        np.testing.assert_array_equal(run(x, y, max(k, 0)), later(x, y, max(k, 0)))
    for fn in (s2s_ad.differentiate(covariance, jit=False), covariance):
        with pytest.raises((IndexError, ValueError)):
            fn(*arguments()[:2], 6)


def changing(x, y, k):
    """The matrix changes as the loop goes on."""
    x = x.copy()
    for i in range(k):
        x[:k, i] = x[i] @ y
    return x


def summed(x, y, k):
    """The products are not kept: all of them at once might not fit into memory."""
    total = 0.0
    for i in range(k):
        total += np.sum(np.exp(x[:, i] @ x))
    return total


def banded(x, y, k):
    """Of all products, only those near the diagonal are computed."""
    c = np.zeros((x.shape[1], x.shape[1]))
    for i in range(x.shape[1]):
        c[i, i : i + 2] = x[:, i] @ x[:, i : i + 2]
    return c


def sometimes(x, y, k):
    c = np.zeros((k, x.shape[1]))
    for i in range(k):
        if x[0, i] > 0.7:
            c[i] = x[:, i] @ x
    return c


def stopping(x, y, k):
    c = np.zeros((k, x.shape[1]))
    for i in range(k):
        c[i] = x[:, i] @ x
        if c[i, 0] > 1.5:
            break
    return c


def far(x, y, k):
    c = np.zeros((k, x.shape[1]))
    for i in range(3, k):
        c[i] = x[:, i] @ x
    return c


STAYS = (unlike, changing, summed, banded, sometimes, stopping, far)


@pytest.mark.parametrize("fn", STAYS, ids=lambda fn: fn.__name__)
def test_stays(fn) -> None:
    assert "products = " not in s2s_ad.differentiate(fn).source(*arguments(4, 4))
    Derivatives(fn, wrt=(0, 1), jit=False).check(arguments(4, 4))
