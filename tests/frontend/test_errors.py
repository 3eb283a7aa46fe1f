"""Every kind of error: its class, its code, the user's line and the caret; the table in docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from s2s_ad.errors import S2SError
from s2s_ad.frontend import Static, errors, trace
from s2s_ad.frontend.errors import ALL
from s2s_ad.ir.types import Type
from tests.source_text import define

F, N = Type("f64"), Type("i64")
X, A = Type("f64", ("?",)), Type("f64", ("?", "?"))

#: name -> (error, parameters, argument types, body, caret); the caret's text is marked by «».
CASES: dict[str, tuple] = {
    "caught division": (
        errors.UnsupportedSyntaxError,
        "x",
        [F],
        "try:\n    y = 1.0 / x\n«except ZeroDivisionError:\n    y = 1.0\nreturn y",
    ),
    "caught index": (
        errors.UnsupportedSyntaxError,
        "x, k",
        [X, N],
        "try:\n    y = x[k]\n«except (KeyError, IndexError):\n    y = 1.0\nreturn y",
    ),
    "caught domain": (
        errors.UnsupportedSyntaxError,
        "x",
        [F],
        "try:\n    y = math.log(x)\n«except ValueError:\n    raise TypeError('x')\nreturn y",
    ),
    "caught raise": (
        errors.UnsupportedSyntaxError,
        "x",
        [F],
        "try:\n    if x > 0.0:\n        raise KeyError\n«except KeyError:\n    x = 1.0\nreturn x",
    ),
    "return in finally": (
        errors.UnsupportedSyntaxError,
        "x",
        [F],
        "«try:\n    y = x\nfinally:\n    return x\nreturn y",
    ),
    "with a number": (
        errors.UnsupportedSyntaxError,
        "x",
        [F],
        "«with x:\n    return x",
    ),
    "errstate": (
        errors.UnsupportedCallError,
        "x",
        [F],
        "with «np.errstate(divide='raise'):\n    return x",
    ),
    "yield": (errors.UnsupportedSyntaxError, "x", [F], "«yield x"),
    "async": (errors.UnsupportedSyntaxError, "x", [F], "y = x\n«async def g(): return y\nreturn y"),
    "class": (errors.UnsupportedSyntaxError, "x", [F], "«class C: pass\nreturn x"),
    "del": (errors.UndefinedNameError, "x", [F], "y = x\ndel y\nreturn «y"),
    "del of an item": (errors.MutationError, "x", [F], "y = (x, x)\n«del y[0]\nreturn x"),
    "global": (errors.UnsupportedSyntaxError, "x", [F], "«global G\nG = x\nreturn x"),
    "nonlocal elsewhere": (
        errors.UnsupportedSyntaxError,
        "x",
        [F],
        "def g():\n    nonlocal x\n    x = x * 2.0\ndef h():\n    «g()\nh()\nreturn x",
    ),
    "set": (errors.StaticValueError, "x", [F], "return x * len(«{x, 2.0})"),
    "pattern": (
        errors.UnsupportedSyntaxError,
        "x",
        [F],
        "«match x:\n    case np.ndarray(y):\n        return y\nreturn x",
    ),
    "shift": (errors.UnsupportedTypeError, "n", [N], "return «n << 64"),
    "bits of a float": (errors.UnsupportedTypeError, "x", [F], "return «x & 1"),
    "cache": (
        errors.UnsupportedCallError,
        "x",
        [F],
        "import functools\n@«functools.lru_cache(None)\ndef g(t):\n    return t\nreturn g(x)",
    ),
    "comparison of a string": (
        errors.UnsupportedTypeError,
        "x",
        [F],
        "return 1.0 if «f'{x}' == '1.0' else x",
    ),
    "round": (errors.UnsupportedTypeError, "x", [F], "return «round(x, 2)"),
    "fsum": (errors.UnsupportedCallError, "x", [F], "return «math.fsum((x, x))"),
    "unknown function": (errors.UnsupportedCallError, "x", [X], "return «np.fft.fft(x)"),
    "unknown method": (errors.UnsupportedCallError, "x", [X], "return «x.argsort()"),
    "unknown option": (errors.UnsupportedCallError, "x", [X], "return «np.sum(x, where=True)"),
    "print to a file": (
        errors.UnsupportedCallError,
        "x",
        [F],
        "«print(x, file=open)\nreturn x",
    ),
    "print with a separator": (
        errors.StaticValueError,
        "x",
        [F],
        "«print(x, end=f'{x}')\nreturn x",
    ),
    "log option": (
        errors.UnsupportedCallError,
        "x",
        [F],
        "import logging\n«logging.info('x', exc_info=True)\nreturn x",
    ),
    "string": (errors.UnsupportedTypeError, "x", [F], "return «x + 'a'"),
    "array truth": (
        errors.UnsupportedTypeError,
        "x",
        [X],
        "«if x > 0.0:\n    return 1.0\nreturn 2.0",
    ),
    "float arange": (errors.UnsupportedTypeError, "x", [F], "return «np.arange(0.0, x, 0.1)"),
    "math of array": (errors.UnsupportedTypeError, "x", [X], "return «math.sin(x)"),
    "float index": (errors.SubscriptError, "x, t", [X, Type("bool")], "return «x[t]"),
    "dynamic axis": (errors.StaticValueError, "A, k", [A, N], "return «np.sum(A, axis=k)"),
    "dynamic item": (errors.StaticValueError, "p, k", [(F, F), N], "return «p[k]"),
    "dynamic step": (errors.StaticValueError, "x, k", [X, N], "return «x[::k]"),
    "dynamic items": (
        errors.StaticValueError,
        "x, n",
        [F, N],
        "return «{i: x for i in range(n)}",
    ),
    "extents": (errors.ShapeError, "x", [Type("f64", (3,))], "return «x + np.zeros(4)"),
    "too many indices": (errors.ShapeError, "x", [X], "return «x[0, 1]"),
    "array into element": (errors.ShapeError, "x, A", [X, A], "«x[0] = A\nreturn x"),
    "shifts": (errors.ShapeError, "A", [A], "return «np.roll(A, (1, 2, 3), axis=(0, 1))"),
    "rank of axis": (errors.ShapeError, "x", [X], "return «np.sum(x, axis=1)"),
    "alias of two": (
        errors.AliasError,
        "x, y, c",
        [X, X, F],
        "z = x[1:] if c > 0.0 else y[1:]\nx[1] = 1.0\nreturn «z[0]",
    ),
    "alias in loop": (
        errors.AliasError,
        "x, n",
        [X, N],
        "o = x\nfor t in range(n):\n    s = «o[0]\n    x[0] = s + 1.0\n    x = x[::-1]\nreturn x",
    ),
    "swapped argument": (
        errors.AliasError,
        "«u, n",
        [X, N],
        "v = np.zeros_like(u)\nfor t in range(n):\n    v[:] = u * 2.0\n    u, v = v[::-1], u",
    ),
    "reshaped copy": (
        errors.AliasError,
        "A",
        [A],
        "b = A.T.reshape(-1)\nA[0, 0] = 2.0\nreturn «b[0]",
    ),
    "undefined": (errors.UndefinedNameError, "x", [F], "return «nowhere * x"),
    "unbound": (errors.UndefinedNameError, "x", [F], "y = «z + x\nz = 1.0\nreturn y"),
    "no attribute": (errors.UndefinedNameError, "x", [F], "return «np.nowhere(x)"),
    "recursion": (
        errors.RecursiveCallError,
        "x",
        [F],
        "def g(t):\n    return «g(t - 1.0)\nreturn g(x)",
    ),
    "wide recursion": (
        errors.RecursiveCallError,
        "x",
        [F],
        "def g(t, n):\n    return t if n == 0 else «g(t, n - 1) + g(-t, n - 1)\nreturn g(x, 20)",
    ),
    "two kinds": (
        errors.PathError,
        "x, n",
        [X, N],
        "best = None\nfor i in range(n):\n    if «best is None:\n        best = x[i]\nreturn best",
    ),
    "two strings": (
        errors.PathError,
        "x",
        [F],
        "m = 'a'\nif x > 0.0:\n    m = 'b'\nreturn x if «m == 'a' else -x",
    ),
    "no return": (errors.MissingReturnError, "«x", [F], "if x > 0.0:\n    return x"),
    "arguments": (errors.ArgumentError, "x", [F], "def g(a, b):\n    return a\nreturn «g(x)"),
    "attribute write": (errors.MutationError, "x", [F], "«x.a = 1.0\nreturn x"),
    "tuple write": (errors.MutationError, "x", [F], "d = (1.0, x)\n«d[0] = x\nreturn x"),
    "append in while": (
        errors.GrowthError,
        "x",
        [F],
        "out = []\nwhile x > 1.0:\n    «out.append(x)\n    x = x / 2\nreturn sum(out)",
    ),
    "mixed items": (
        errors.GrowthError,
        "x",
        [X],
        "out = []\nfor v in x:\n    out.append(v)\n    «out.append(v > 0.0)\nreturn sum(out)",
    ),
    "objects in a list": (
        errors.GrowthError,
        "x",
        [X],
        "out = []\nfor v in x:\n    «out.append((v, v))\nreturn x",
    ),
    "generator": (errors.UnsupportedSyntaxError, "x", [X], "g = «(v for v in x)\nreturn sum(g)"),
    "spent": (
        errors.UnsupportedTypeError,
        "x",
        [X],
        "z = zip(x, x)\ns = 0.0\nfor a, b in z:\n    s += a\n«for a, b in z:\n    s += a\nreturn s",
    ),
    "appended array": (
        errors.AliasError,
        "A",
        [A],
        "rows = []\nfor r in A:\n    rows.append(r)\nA[0] = 1.0\nreturn «np.array(rows)",
    ),
    "two masks": (errors.ShapeError, "A", [A], "return «A[A > 0.0, 0]"),
    "out of bounds": (errors.SubscriptError, "x", [Type("f64", (3,))], "return «x[3]"),
}


def program(name: str, parameters: str, body: str) -> tuple:
    """The function, and the line and column of the mark «."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    text = f"def f({parameters}):\n{lines}"
    line, col = next((k, s.index("«")) for k, s in enumerate(text.splitlines(), 1) if "«" in s)
    if line == 1:
        col = 0
    return define(text.replace("«", ""), "f", f"error {name}"), line, col


@pytest.mark.parametrize("name", CASES)
def test_error(name: str) -> None:
    kind, parameters, specs, body = CASES[name]
    fn, line, col = program(name, parameters, body)
    with pytest.raises(S2SError) as caught:
        trace(fn, specs)
    error = caught.value
    assert type(error) is kind, str(error)
    assert (error.loc.line, error.loc.col) == (line, col), str(error)
    shown = str(error).splitlines()
    assert shown[0].startswith(f"{kind.code}: ")
    assert any(s.strip() == "^" for s in shown)


def test_source_error() -> None:
    namespace: dict = {}
    exec("def f(x): return x", namespace)
    for fn in (namespace["f"], abs, 3.0):
        with pytest.raises(errors.SourceError) as caught:
            trace(fn, [F])
        assert caught.value.code == "S2S001"


def test_argument_errors() -> None:
    fn, _, _ = program("arguments of trace", "x", "return «x")
    with pytest.raises(errors.ArgumentError):
        trace(fn, [])
    with pytest.raises(errors.ArgumentError):
        trace(fn, [F, F])
    with pytest.raises(errors.ArgumentError):
        trace(fn, ["a string is not a spec"])
    assert trace(fn, [Static("known")]).out_tree([]) == "known"


def test_calls_are_listed() -> None:
    text = "def f(x):\n    def g(t):\n        return np.fft.fft(t)\n    return g(x)\n"
    with pytest.raises(errors.UnsupportedCallError) as caught:
        trace(define(text, "f", "error chain"), [X])
    assert [loc.line for loc in caught.value.chain] == [4]
    assert "called from <error chain>, line 4: return g(x)" in str(caught.value)


def test_codes_are_unique_and_documented() -> None:
    codes = [kind.code for kind in ALL]
    assert codes == [f"S2S{k:03}" for k in range(1, len(ALL) + 1)]
    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    rows = dict(re.findall(r"^\| (S2S\d+) \| `(\w+)` \|", text, re.M))
    for kind in ALL:
        assert rows[kind.code] == kind.__name__
    covered = {case[0] for case in CASES.values()}
    assert covered == set(ALL) - {errors.SourceError}
