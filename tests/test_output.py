"""print, logging and warnings: once, in order, with Python's own text, in every mode."""

from __future__ import annotations

import dataclasses
import logging
import sys
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from s2s_ad import differentiate, grad, jvp, value_and_grad, vjp

log = logging.getLogger("s2s_ad.tests.output")


@pytest.fixture(autouse=True)
def verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2S_AD_VERIFY", "1")


def many_forms(x, s, n):
    """Values are exact in every order of operations, so that no digit may differ."""
    total = 0.0
    print("start", x, s, (s, x[0], [n]), sep="|")
    for i in range(n):
        total = total + x[i] * s
        if total > 0.5:
            print(f"step {i}: {total:.3f} {x[i]!r:>12} {s}", end="!\n")
        x[i] = total
    y = x * 2.0
    print(y, np.sum(y), "%.2f%% of %s" % (s, y), "{:>8.2f}|{!r}".format(s, n))  # noqa: UP030, UP031, UP032
    print({"a": s}, None, 3, np.float32(2.5), np.inf, "{braces}", -0.0, (True, n > 1), str(s) + "?")
    print(f"{np.float32(x[0])} {n:03d} {n * 2} {s == s}", flush=True)
    print()
    return np.sum(y * y)


def in_while(x, n):
    k = 0
    while k < n:
        print("k =", k)
        x = np.sin(x) + 0.5 * x * x
        for _ in range(k):
            if x > 100.0:
                print("far", x)
                break
            x = x * np.cos(x)
        else:
            print("else", k, end=";")
        k += 1
    return x


def only_printed(x):
    """What is only shown is not differentiated, nor dropped."""
    y = np.exp(x)
    print("exp", y.shape, y[0] > 1.0)
    print(overwritten(x), x)
    return 2.0 * x[0]


def overwritten(x):
    x[1] = 4.0
    before = x * 2.0
    x[1] = 8.0
    return before


def shown_if_first(x):
    return loud(1.0) < x < loud(4.0) or loud(0.5) * x > 10.0


def loud(value):
    print("evaluated", value)
    return value


def short_circuits(x):
    y = x * x if shown_if_first(x) else x
    while loud(y) < 20.0:
        y = y * 2.0
    return y * x


def views_and_versions(A, x, n):
    """Arrays are shown as they are at that point, whatever is written to them later."""
    print(x[1:3], A.T, A[0], A[:, 1], x[::-1], x * 2.0, x > 0.5, np.zeros(0), A.reshape(-1))
    y = x.copy()
    for i in range(n):
        z = x * y
        w = z + 1.0
        print(z, w[1:], i)
        y = (z if z[0] > 0.1 else w).copy()
        y[0] = 0.25
        print("y", y, x)
        x[1] = 2.0
        print("z", z, w)
    row = A[1]
    row[0] = 4.0
    print(A, row, np.arange(3), np.array([1, 2], np.int32), A.shape, len(x), A[1, 1], A[0, 0] > 1)
    print(A.sum(axis=0), np.where(x > 0, x, 0.0), [v for v in (x, 1)], A @ x[:2])  # noqa: C416
    return np.sum(y * x) + A[1, 0]


@dataclasses.dataclass
class Shown:
    x: object
    items: object = None


class Named:
    def __init__(self, x):
        self.x = x

    def __repr__(self):
        return f"Named<{self.x}>"


def objects_and_lists(x, s, n):
    items, out, doubled = [s, 1, x[0]], [], []
    for i in range(n):
        out.append(x[i])
        doubled.append(2 * i)
    print(items, {"a": s, "b": [1.0, x]}, (items, s), Shown(s), Shown(1.0, [s]), Named(s))
    print([Named(s)], {"q": Named(1)}, str(items), f"{items} {Shown(s)!r} {Named(s)}", out, doubled)
    print("%s %s" % (items, Named(s)), "{}".format(items), [], {}, [[s], []], "%s" % {"a": 1})  # noqa: UP030, UP031, UP032
    before = f"{items} {x}"
    items.append(5.0)
    x[0] = 100.0
    print(before, items)
    for v in map(loud, x):
        s = s + v
    return x[1] * s


X = np.array([0.5, 0.25, -1.0])
CASES = {
    "objects and lists": (objects_and_lists, (X, 0.5, 3)),
    "many forms": (many_forms, (X, 0.5, 3)),
    "no iteration": (many_forms, (X, 0.5, 0)),
    "views": (
        views_and_versions,
        (np.array([[0.5, 1.5], [2.0, -1.0]]), np.array([0.5, 0.25, 4]), 3),
    ),
    "in while": (in_while, (0.5, 3)),
    "only printed": (only_printed, (X,)),
    "short circuits": (short_circuits, (2.0,)),
    "other branch": (short_circuits, (0.25,)),
}


def shown(capfd: pytest.CaptureFixture, act: Callable[[], object]) -> str:
    capfd.readouterr()
    act()
    sys.stdout.flush()
    return capfd.readouterr().out


def copied(args: tuple) -> tuple:
    return tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_every_mode_shows_what_python_shows(capfd, name: str, jit: bool) -> None:
    fn, args = CASES[name]
    expected = shown(capfd, lambda: fn(*copied(args)))
    assert expected
    tangents = tuple(np.ones_like(a) if np.asarray(a).dtype == float else None for a in args)
    tangents = tuple(t for t in tangents if t is not None)
    tangents = tuple(t if t.shape else float(t) for t in tangents)
    modes = {
        "primal": lambda: differentiate(fn, jit=jit)(*copied(args)),
        "grad": lambda: grad(fn, jit=jit)(*args),
        "value_and_grad": lambda: value_and_grad(fn, jit=jit)(*args),
        "jvp": lambda: jvp(fn, jit=jit)(args, tangents),
        "second order": lambda: jvp(grad(fn), wrt=0, jit=jit)(args, tangents[0]),
    }
    for mode, act in modes.items():
        assert shown(capfd, act) == expected, mode


def test_compiled(capfd) -> None:
    fn, args = CASES["many forms"]
    expected = shown(capfd, lambda: fn(*copied(args)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numba's own included
        assert shown(capfd, lambda: grad(fn)(*args)) == expected


@pytest.mark.parametrize("jit", [False, True])
def test_a_pullback_is_silent(capfd, jit: bool) -> None:
    value = []
    out = shown(capfd, lambda: value.append(vjp(in_while, jit=jit)(0.5, 3)))
    assert out == shown(capfd, lambda: in_while(0.5, 3))
    _, pullback = value[0]
    assert shown(capfd, lambda: (pullback(1.0), pullback(2.0))) == ""


def shows_until_it_fails(x, n):
    for i in range(n):
        print(i, x[i])
    return x[0]


@pytest.mark.parametrize("jit", [False, True])
def test_output_comes_before_the_error(capfd, jit: bool) -> None:
    """No check of a subscript is made before what the program shows first."""
    capfd.readouterr()
    with pytest.raises(IndexError):
        grad(shows_until_it_fails, jit=jit)(X, 4)
    assert capfd.readouterr().out == "0 0.5\n1 0.25\n2 -1.0\n"


def logs(x, n):
    for i in range(n):
        log.info("step %d: %s", i, x)
        log.debug("hidden %s", x)
        if x > 2.0:
            logging.getLogger("s2s_ad.tests").warning(f"{x} is large")
        x = x * 2.0
    log.log(logging.ERROR, "done")
    return x * x


@pytest.mark.parametrize("jit", [False, True])
def test_logging(caplog, jit: bool) -> None:
    with caplog.at_level(logging.INFO):
        logs(1.5, 3)
        expected = [(r.name, r.levelname, r.getMessage()) for r in caplog.records]
        caplog.clear()
        assert grad(logs, jit=jit)(1.5, 3) == 2 * 64 * 1.5
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == expected


def warns(x):
    if x > 1.0:
        warnings.warn("large", RuntimeWarning, stacklevel=2)
        print("to stderr", x, file=sys.stderr)
    return x * x


@pytest.mark.parametrize("jit", [False, True])
def test_warnings_and_stderr(capfd, jit: bool) -> None:
    with pytest.warns(RuntimeWarning, match="large"):
        assert grad(warns, jit=jit)(2.0) == 4.0
    assert capfd.readouterr().err == "to stderr 2.0\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert grad(warns, jit=jit)(0.5) == 1.0
    assert capfd.readouterr().err == ""


def test_the_source_shows_it() -> None:
    text = grad(warns).source(2.0)
    assert "import sys\nimport warnings\n" in text
    assert "    warnings.warn('large', RuntimeWarning)" in text
    assert "    print('to stderr', float(x), file=sys.stderr)" in text
