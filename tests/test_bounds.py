"""A subscript out of range raises IndexError, where NumPy does, in compiled code too."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from s2s_ad import differentiate, grad, jvp, value_and_grad, vjp
from tests.bounds_programs import IndexProgram, index_programs

OURS = "index out of range for axis"
X = np.arange(1.0, 6.0)
A = np.arange(1.0, 13.0).reshape(3, 4)


def reads(x, k, n):
    """A run of reads at an offset: one check before the loop."""
    s = 0.0
    for i in range(n):
        s += x[i + k] ** 2
    return s


def guarded(x, k, n):
    s = 0.0
    for i in range(n):
        if i > 0:
            s += x[i - 1]
        if 0 <= k < len(x):
            s += x[k]
    return s


def between(x, k, n):
    """What is not at an end has neighbours."""
    m = len(x)
    s = 0.0
    for i in range(m):
        if i == 0 or i == m - 1:
            s += x[i]
        elif i != k:
            s += x[i - 1] * x[i + 1]
    return s


def beyond(x, k, n):
    """That an index is not the last but one says nothing of the last."""
    s = 0.0
    for i in range(len(x)):
        if i != len(x) - 2:
            s += x[i + n] if n < 1 or i != k else x[i + 2]
    return s


def negative(x, k, n):
    """Both ends of a range that counts down over zero."""
    s = 0.0
    for i in range(k, k - n, -1):
        s += x[i] ** 3
    return s


def until(x, k, n):
    i = k
    s = 0.0
    while i < n:
        s += np.sin(x[i])
        i += 2
    return s


def prefix(x, k, n):
    """A subscript in the condition of a while."""
    i = k
    while i < n and x[i] > 0.5:
        i += 1
    return x[i - 1] * 2.0 if x[i - 1] > 0.0 or x[i] > 0.0 else x[n]


def leaves(x, k, n):
    """The loop may end before it goes out of range."""
    s = 0.0
    for i in range(n):
        if x[i] > 3.5:
            break
        s += x[i] * k
    return s


def callee(v, i):
    return v[i] * v[i]


def calls(x, k, n):
    return callee(x, k) + callee(x[n:], 0)


def views(x, k, n):
    """What is beyond the view, and still in its base."""
    y = x[1:4]
    z = x[k:n]
    return y[k] * 2.0 + z[0]


def writes(x, k, n):
    y = np.zeros(n)
    y[k] = x[0] * x[0]
    y[0] += x[1]
    return np.sum(y)


def unused(x, k, n):
    """The element is read, and nobody needs it."""
    t = x[k]
    del_me = t * 2.0
    del_me = 1.0
    for _ in range(n):
        x[k + 1]
    return np.sum(x) * del_me


def raises_first(x, k, n):
    """Another error comes before the subscript is out of range."""
    s = 0.0
    for i in range(n):
        if i == k:
            raise ValueError("stop")
        s += x[i]
    return s


VECTOR = (
    reads,
    guarded,
    between,
    beyond,
    negative,
    until,
    prefix,
    leaves,
    calls,
    views,
    writes,
    unused,
    raises_first,
)
#: (k, n), chosen so that every program meets both of its sides.
CASES = [(0, 5), (0, 6), (2, 3), (2, 4), (-5, 3), (-6, 1), (-6, 0), (9, 0), (4, 5), (4, 0), (3, 7)]
CASES += [(-1, 2), (5, 5), (1, 3)]


def rows(B, i, j):
    row = B[i]
    s = 0.0
    for value in row:
        s += value * value
    for r in B:
        s += r[j]
    return s


def both_axes(B, i, j):
    B[i, j] = B[j, i] * 2.0
    return np.sum(B) + B[i][j] + B.T[i, 0] + B[:, j][0] + B[::-1][i, 0] + B[1:, 1:][0, j]


def columns(B, i, j):
    s = 0.0
    for r in range(i):
        for c in range(r, j):
            s += B[r, c] ** 2
    return s


MATRIX = (rows, both_axes, columns)
PLACES = [
    (0, 0),
    (2, 3),
    (3, 0),
    (0, 4),
    (-3, -4),
    (-4, 0),
    (0, -5),
    (2, 2),
    (3, 4),
    (4, 0),
    (1, 2),
]


def gathers(x, idx, k):
    return np.sum(x[idx] ** 2) + np.sum(np.take(x, idx + k)) + x[idx[0]]


def scatters(x, idx, k):
    y = x * 1.0
    y[idx] = x[0]
    np.add.at(y, idx + k, x[1])
    for j in range(len(idx)):
        y[idx[j] + k] *= x[2]
    return np.sum(y)


GATHERING = (gathers, scatters)
INDICES = [([0, 1, 4], 0), ([0, 1, 4], 1), ([-5, 2, 0], 0), ([-5, 2, 0], -1), ([1, 5, 0], 0)]


def outcome(fn: Callable, args: tuple) -> tuple[str, Any]:
    try:
        return "value", fn(*copy.deepcopy(args))
    except (IndexError, ValueError) as error:
        return type(error).__name__, str(error)


def check(fn: Callable, made: Callable, args: tuple, text: str = OURS) -> None:
    """`made` gives what `fn` gives, or raises what it raises; the message is ours where `text`."""
    expected, found = outcome(fn, args), outcome(made, args)
    assert found[0] == expected[0], (args, found, expected)
    if found[0] == "value":
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)
    elif found[0] == "IndexError":
        assert text in found[1] and (not text or "(line " in found[1])


def calls_of(programs: tuple, arguments: list[tuple]) -> list:
    return [pytest.param(f, arguments, id=f.__name__) for f in programs]


ALL = [
    *calls_of(VECTOR, [(X, k, n) for k, n in CASES]),
    *calls_of(MATRIX, [(A, i, j) for i, j in PLACES]),
    *calls_of(GATHERING, [(X, np.array(idx), k) for idx, k in INDICES]),
]


@pytest.mark.parametrize("fn, arguments", ALL)
def test_uncompiled_loops(fn: Callable, arguments: list) -> None:
    made = differentiate(fn, jit=False, level="kernel")
    for args in arguments:
        check(fn, made, args)


@pytest.mark.parametrize("fn, arguments", ALL)
def test_array_code(fn: Callable, arguments: list) -> None:
    """NumPy checks what it is given; the text checks the rest."""
    made, derived = differentiate(fn, jit=False), value_and_grad(fn, jit=False)
    for args in arguments:
        check(fn, made, args, "")
        check(fn, lambda *a: derived(*a)[0], args, "")


@pytest.mark.parametrize("fn, arguments", ALL)
def test_compiled(fn: Callable, arguments: list) -> None:
    made = differentiate(fn)
    for args in arguments:
        check(fn, made, args)


@pytest.mark.parametrize("fn, arguments", ALL)
def test_gradients_check_what_values_check(fn: Callable, arguments: list) -> None:
    """Both modes, also where the derivative needs no value of the function."""
    options = {"jit": False, "level": "kernel"}
    backward, forward = value_and_grad(fn, **options), jvp(fn, wrt=0, **options)
    both, twice = vjp(fn, wrt=0, **options), grad(grad(scalar_of(fn)), **options)
    for args in arguments:
        check(fn, lambda *a: backward(*a)[0], args)
        check(fn, lambda *a: forward(a, np.ones_like(a[0]))[0], args)
        check(fn, lambda *a: both(*a)[0], args)
        if args[0].ndim == 1:
            expected = outcome(fn, args)[0]
            assert outcome(twice, (1.0, *args))[0] == expected


def scalar_of(fn: Callable) -> Callable:
    """`fn` of a scaled array, as a function of the scale."""

    def scaled(t, x, k, n):
        return fn(t * x, k, n)

    return scaled


def test_compiled_gradient() -> None:
    made = grad(reads)
    np.testing.assert_allclose(made(X, 1, 3), [0, 4, 6, 8, 0])
    np.testing.assert_allclose(made(X, -2, 4), [2, 4, 0, 8, 10])
    assert not made(X, 99, 0).any()
    for args in ((X, 1, 5), (X, -6, 1)):
        with pytest.raises(IndexError, match=r"axis 0 of 'x' \(line \d+: s \+= x\[i \+ k\]"):
            made(*args)


def test_without_checks() -> None:
    """`boundscheck=False` leaves nothing behind, at any depth of differentiation."""
    for made in (grad(reads, boundscheck=False), differentiate(reads, boundscheck=False)):
        assert "IndexError" not in made.source(X, 0, 5, level="kernel")
        assert "IndexError" not in made.source(X, 0, 5)
    inner = grad(scalar_of(reads), boundscheck=False)
    assert "IndexError" in jvp(inner).source(1.0, X, 0, 5, level="kernel")
    outer = jvp(grad(scalar_of(reads)), boundscheck=False)
    assert "IndexError" not in outer.source(1.0, X, 0, 5, level="kernel")


def test_what_has_neighbours_is_not_checked() -> None:
    assert "IndexError" not in grad(between).source(X, 0, 5, level="kernel")
    assert "IndexError" in grad(beyond).source(X, 0, 5, level="kernel")


def test_checks_are_made_once() -> None:
    text = grad(reads).source(X, 0, 5, level="kernel")
    assert text.count("IndexError") == 1
    assert text.index("IndexError") < text.index("for i in")
    assert "IndexError" not in grad(reads).source(X, 0, 5).split("# reverse sweep")[1]
    assert "IndexError" not in differentiate(reads).source(X, 0, 5)
    twice = jvp(grad(scalar_of(reads))).source(1.0, X, 0, 5, level="kernel")
    assert twice.count("IndexError") == 1


def search(x, v):
    low, high = 0, len(x)
    while low < high:
        middle = (low + high) // 2
        if x[middle] < v:
            low = middle + 1
        else:
            high = middle
    return low * v


def compact(x, v):
    y, count = np.zeros(len(x)), 0
    for i in range(len(x)):
        if x[i] > v:
            y[count] = x[i] * x[i - 1]
            count += 1
    s = 0.0
    for j in range(count):
        s += y[j] * x[(j + 1) % len(x)]
    return s


def strided(x, v):
    s = v
    for i in range(0, len(x) - 1, 2):
        s += x[i] * x[i + 1]
    for i in range(len(x) - 1, 0, -3):
        s += x[i - 1]
    for i in range(len(x) // 2):
        s += x[2 * i + 1] * x[len(x) - 1 - i]
    return s + x[x > v].sum() + np.sum(x[np.arange(len(x))[::-1]])


def clamped(x, v):
    s = 0.0
    for i in range(len(x)):
        s += x[min(i + 1, len(x) - 1)] * x[max(i - 1, 0)] * v
    return s


@pytest.mark.parametrize("fn", [search, compact, strided, clamped])
def test_what_is_proved_costs_nothing(fn: Callable) -> None:
    assert "IndexError" not in grad(fn, wrt="v").source(X, 2.5, level="kernel")
    options = {"jit": False, "level": "kernel"}
    for x in (X, X[:0], X[:2]):
        check(fn, differentiate(fn, **options), (x, 2.5))


def mismatched(x, y):
    s = 0.0
    for i in range(len(x)):
        s += x[i]
    return s + np.sum(x * y)


def test_mismatches_are_found_at_entry() -> None:
    """Extents of parameters are compared first, and the message names both arrays and axes."""
    text = grad(mismatched).source(X, X, level="kernel")
    assert text.index("ValueError") < text.index("for ")
    with pytest.raises(ValueError, match=r"axis 0 of x\[x0\] and axis 0 of y\[y0\]"):
        grad(mismatched, jit=False, level="kernel")(X, X[:3])


EXAMPLES = int(os.environ.get("S2S_FUZZ_EXAMPLES", "60"))


@settings(
    max_examples=2 * EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(index_programs())
def test_random_programs(program: IndexProgram) -> None:
    """The check in loops is ours: it comes before NumPy sees the subscript."""
    fn, args = program.function(), program.args()
    check(fn, differentiate(fn, jit=False, level="kernel"), args)
    check(fn, differentiate(fn, jit=False), args, "")


@settings(
    max_examples=max(EXAMPLES // 12, 1),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(index_programs())
def test_random_programs_compiled(program: IndexProgram) -> None:
    fn, args = program.function(), program.args()
    check(fn, differentiate(fn), args)
