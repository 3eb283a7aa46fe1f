"""Whatever a program does, it is traced and agrees with NumPy, or it is an S2SError.

Every function of NumPy, math and builtins and every method of arrays is called with every kind of
argument; and valid programs are changed at random into ones that make no sense.
"""

from __future__ import annotations

import ast
import builtins
import copy
import math
import operator
import random
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from s2s_ad import differentiate
from s2s_ad.errors import S2SError
from s2s_ad.frontend import trace
from s2s_ad.frontend.registry import find
from s2s_ad.ir.interp import Failed
from tests.frontend.checks import check, spec_of
from tests.source_text import define

V, W = np.array([0.3, 0.7, 1.2, -0.4]), np.array([1.1, -0.2, 0.6, 2.5])
A, S = np.arange(6.0).reshape(2, 3) / 3.0 - 0.7, np.array([[2.0, 0.3], [0.1, 1.0]])
K, B = np.array([2, 0, 1]), np.array([True, False, True, True])
I4, F4, C = K.astype(np.int32), V.astype(np.float32), V + 1j * W

ONE = [0.7, 3, V, A, K, B, I4, F4, C, [0.3, 1.0], (2, 3), (V, W), "a", None]
TWO = [(V, W), (V, 0.5), (0.5, V), (3, 2), (A, 1), (V, 2), (S, S), (V, K), (K, K), (B, B), (I4, 2)]
TWO += [(F4, V), (F4, 0.5), (C, V), (V, B), (V, "a"), (V, None)]
THREE = [(V, 0.0, 1.0), (B, V, W), (A, 0, 1), (V, W, V)]
CALLS = [(), *((a,) for a in ONE), *TWO, *THREE]

#: What opens files, prints, ends the program, or gives what was in memory before.
NOT_CALLED = """
    test info lookfor source show_config show_runtime save savez savez_compressed savetxt fromfile
    load loadtxt genfromtxt memmap seterrcall setbufsize seterr set_printoptions get_include empty
    ndarray empty_like tofile dump input breakpoint exit quit open help exec eval compile print
""".split()


def outcome(fn: Callable, args: tuple) -> str:
    """ "ok", an error's code, or why it is neither. What fails when running may do so."""
    try:
        check(fn, *map(copy.deepcopy, args))  # an argument that is `out` is no other argument
        return "ok"
    except S2SError as error:
        assert str(error).startswith(f"{error.code}: ")
        return error.code
    except Failed:
        return "ok"
    except AssertionError as error:
        # NumPy gives float16 and int8 for booleans, dtypes that do not exist here
        boolean = any(getattr(a, "dtype", None) == np.bool_ for a in args)
        single = any(getattr(a, "dtype", None) == np.float32 for a in args)
        return "ok" if boolean or single else f"differs: {error}"
    except Exception as error:
        return "ok" if python_fails(fn, args) and traces(fn, args) else f"raw: {error!r}"


def traces(fn: Callable, args: tuple) -> bool:
    try:
        trace(fn, [spec_of(a) for a in args])
        return True
    except Exception:
        return False


def python_fails(fn: Callable, args: tuple) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fn(*copy.deepcopy(args))
        return False
    except Exception:
        return True


def called(expression: str, count: int, fn: Any = None) -> Callable:
    names = ", ".join(f"a{k}" for k in range(count))
    found = define(f"def f({names}):\n    return {expression}\n", "f", "misuse")
    found.__globals__["FN"] = fn
    return found


def names_of(module: Any) -> list[str]:
    return [n for n in dir(module) if not n.startswith("_") and n not in NOT_CALLED]


MODULES = {"np": np, "math": math, "linalg": np.linalg, "builtins": builtins, "operator": operator}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES.keys())
def test_every_function(module: ModuleType) -> None:
    wrong = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functions = {n: getattr(module, n) for n in names_of(module)}
        for name, fn in functions.items():
            if not callable(fn):
                continue
            for args in CALLS if find(fn) else CALLS[:4]:
                names = ", ".join(f"a{k}" for k in range(len(args)))
                found = outcome(called(f"FN({names})", len(args), fn), args)
                if ":" in found:
                    wrong.append((name, args, found))
    assert not wrong, wrong[:3]


def test_every_method_and_attribute() -> None:
    wrong = []
    for name in sorted({*names_of(np.ndarray), *names_of(np.float64), "nonsense"}):
        for x in (0.7, 3, V, A, K, B, C):
            for rest in ([], [0], [-1], [0.5], [(1, 3)], [V], ["a"], [None], [0, 1]):
                names = ", ".join(f"a{k + 1}" for k in range(len(rest)))
                fn = called(f"a0.{name}({names})", 1 + len(rest))
                wrong.append((name, x, rest, outcome(fn, (x, *rest))))
            wrong.append((name, x, "attribute", outcome(called(f"a0.{name}", 1), (x,))))
    wrong = [w for w in wrong if ":" in w[-1]]
    assert not wrong, wrong[:3]


def test_every_method_of_ufuncs() -> None:
    wrong = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names_of(np):
            for method in ("outer", "reduce", "accumulate", "reduceat", "at"):
                if not isinstance(getattr(np, name), np.ufunc):
                    continue
                for args in CALLS[1:] if find(getattr(getattr(np, name), method)) else CALLS[1:3]:
                    names = ", ".join(f"a{k}" for k in range(len(args)))
                    for more in ("", ", 0", ", 0, float"):  # NumPy's third argument is the dtype
                        call = f"FN.{method}({names}{more})"
                        fn = called(call, len(args), getattr(np, name))
                        wrong.append((name, method, args, more, outcome(fn, args)))
    assert {w[-1] for w in wrong} > {"ok"}
    wrong = [w for w in wrong if ":" in w[-1]]
    assert not wrong, wrong[:3]


def test_the_nearest_supported_function_is_suggested() -> None:
    for name, near in (("nansum", "sum"), ("nanmean", "mean"), ("log1pp", "log1p")):
        fn = called(f"np.{name}(a0)", 1)
        with pytest.raises(S2SError) as caught:
            trace(fn, [spec_of(V)])
        assert near in caught.value.advice or caught.value.code == "S2S008"


# --- programs that make no sense -----------------------------------------------------------------

PROGRAM = '''
def program(x, y, A, n, c, t):
    """Of most of the language."""
    total, out = 0.0, np.zeros(len(x))
    data = {"a": x, "b": (y, 2.0)}
    f = lambda u, v=1.0: u * v + total
    for i in range(1, n):
        if x[i] > y and not c:
            out[i] = x[i - 1] * y
            continue
        elif x[i] < -5.0:
            break
        out[i] += np.sin(x[i]) + A[i % 2, 0] - f(y, v=x[i])
        total += out[i] ** 2 / (1.0 + abs(y))
    k = 0
    while k < 3:
        total = total * 0.5 + data["b"][1]
        k += 1
    rows = [np.sum(row) for row in (A[0], A[1])]
    out[1:-1] = (out[2:] + out[:-2]) / 2.0
    best = max(rows[0], rows[1]) if c else min(rows)
    z = A.T @ A + np.outer(x[:3], data["a"][:3]).reshape(3, 3)
    for j, value in enumerate(out):
        total += j * value
    assert n > 0, f"n is {n}"
    return total + best, out, z.sum(axis=0), t[0] * t[1]
'''
PROGRAM_ARGS = (V, 0.4, A, 4, False, (1.5, 2))
NAMES = "x y A n c t total out data f i k rows best z j value np math len undefined".split()
VALUES = [0, 1, -1, 7, 0.5, "a", None, True, 1j, (), (1, 2), [], {}]
ATTRIBUTES = "T shape sum size dtype ndim copy real imag sin zeros nonsense fill reshape a".split()
OPERATORS = [ast.Add, ast.MatMult, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.BitAnd, ast.Div]
COMPARISONS = [ast.Eq, ast.Is, ast.In, ast.NotIn, ast.Lt, ast.IsNot]


def replacement(node: ast.expr, rng: random.Random, others: list[ast.expr]) -> ast.expr:
    """Another expression, of another kind, to put in place of `node`."""
    kind = rng.randrange(8)
    if kind == 0:
        return ast.Constant(rng.choice(VALUES[:9]))
    if kind == 1:
        return ast.Name(rng.choice(NAMES), ast.Load())
    if kind == 2:
        return copy.deepcopy(rng.choice(others))
    if kind == 3:
        return ast.Attribute(node, rng.choice(ATTRIBUTES), ast.Load())
    if kind == 4:
        index = rng.choice([ast.Constant(0), ast.Slice(), ast.Constant("a"), ast.Constant(None)])
        pair = ast.Tuple([index, ast.Constant(1)], ast.Load())
        return ast.Subscript(node, rng.choice([index, pair, node]), ast.Load())
    if kind == 5:
        return ast.Call(node, [copy.deepcopy(rng.choice(others))] * rng.randrange(3), [])
    if kind == 6:
        return ast.BinOp(node, rng.choice(OPERATORS)(), copy.deepcopy(rng.choice(others)))
    return ast.Compare(node, [rng.choice(COMPARISONS)()], [copy.deepcopy(rng.choice(others))])


def mutations(seed: int, count: int) -> Iterator[str]:
    """Programs with one to three expressions replaced, operators changed or statements dropped."""
    rng = random.Random(seed)
    for _ in range(count):
        tree = ast.parse(PROGRAM)
        for _ in range(rng.randrange(1, 4)):
            _mutate(tree, rng)
        try:
            text = ast.unparse(ast.fix_missing_locations(tree))
            compile(text, "mutation", "exec")
        except (SyntaxError, ValueError, TypeError, RecursionError):
            continue
        yield text


def _mutate(tree: ast.AST, rng: random.Random) -> None:
    places, others = [], []
    loops = {id(n) for w in ast.walk(tree) if isinstance(w, ast.While) for n in ast.walk(w)}
    for node in ast.walk(tree):
        if id(node) in loops:  # it has to end
            continue
        for name, value in ast.iter_fields(node):
            items = value if isinstance(value, list) else [value]
            for at, item in enumerate(items):
                load = isinstance(getattr(item, "ctx", ast.Load()), ast.Load)
                if isinstance(item, ast.expr) and not isinstance(item, ast.Slice) and load:
                    places.append((node, name, at if isinstance(value, list) else None, item))
                    others.append(item)
    if rng.random() < 0.1:
        body = rng.choice([n.body for n in ast.walk(tree) if isinstance(n, (ast.For, ast.If))])
        body.pop(rng.randrange(len(body))) if len(body) > 1 else body.append(ast.Pass())
        return
    node, name, at, item = rng.choice(places)
    new = replacement(copy.deepcopy(item), rng, others)
    if at is None:
        setattr(node, name, new)
    else:
        getattr(node, name)[at] = new


def test_the_program_is_valid() -> None:
    assert outcome(define(PROGRAM, "program", "valid program"), PROGRAM_ARGS) == "ok"


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(k, marks=pytest.mark.slow) for k in range(2, 6))]
)
def test_mutated_programs(seed: int) -> None:
    for k, text in enumerate(mutations(seed, 100)):
        found = outcome(define(text, "program", f"mutation {seed} {k}"), PROGRAM_ARGS)
        assert ":" not in found, f"{found}\n{text}"


# --- compiled ------------------------------------------------------------------------------------

#: Functions that numba is known to type differently from NumPy are where our code could fail.
SAMPLE = """
    np.sum(x) np.prod(x) np.max(x) np.argmin(x) np.mean(x) np.std(x) np.cumsum(x) np.ptp(x)
    np.any(x>0) np.all(x>0) np.count_nonzero(x) np.clip(x,0,1) np.where(x>0,x,1) np.flip(x)
    np.roll(x,1) np.take(x,[0,1]) np.tril(np.outer(x,x)) np.diag(x) np.cross(x[:3],x[1:])
    np.concatenate((x,x)) np.stack((x,x),axis=1) np.vstack((x,x)) np.hstack((x,1.0))
    np.linspace(0.0,1.0,5)*x[0] np.eye(3)*x[0] np.full(3,x[1]) np.arange(4)*x np.repeat_(x)
    np.sign(x) np.rint(x) np.hypot(x,1.0) np.logaddexp(x,x) np.nan_to_num(x) np.isnan(x)
    np.logical_not(x) np.float_power(x,2) np.divmod(x,0.3)[1] np.polyval([1.0,2.0],x)
    np.trace(np.outer(x,x)) np.linalg.norm(x) np.broadcast_to(x,(2,4)) np.expand_dims(x,0)
    np.linalg.solve(np.eye(4),x) x.reshape(2,2).T.ravel() x.astype(np.float32)
    math.gamma(x[0]) math.lgamma(x[1])
""".split()


def test_a_sample_compiles() -> None:
    """One program for all: an array for each, or its refusal."""
    kept = [e for e in SAMPLE if "repeat_" not in e]
    body = "".join(f"    v{k} = {e}\n" for k, e in enumerate(kept))
    values = ", ".join(f"v{k}" for k in range(len(kept)))
    fn = define(f"def sample(x):\n{body}    return {values}\n", "sample", "compiled sample")
    for found, expected, text in zip(differentiate(fn)(V), fn(V), kept, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=text)


ESCAPED = {
    "x + x[1:]": "ok",  # once without end: n equal to max(n - 1, 0)
    "x[2:] + (x + x[:-1])[2:]": "ok",
    "np.flipud(A)": "ok",
    "np.flip(A, 1) + np.fliplr(A)": "ok",
    "(x[0] > y and n) + 0.0": "ok",
    "(x[0] > y or n) * 2": "ok",
    "'%s' % (1, 2)": "S2S004",
    "1 if np in 'a' else 2": "S2S004",
    "np.array('a')": "S2S004",
    "np.sin(x > 0)": "S2S004",
    "(x > 0) @ (x > 0)": "S2S004",
    "np.reciprocal(n)": "S2S004",
    "np.take(x, x > 0)": "ok",
    "np.rint(n) + np.fabs(n)": "ok",
    "np.float_power(n, 2)": "ok",
    "np.floor(1j * x)": "S2S004",
}


@pytest.mark.parametrize("text, expected", ESCAPED.items())
def test_what_once_escaped(text: str, expected: str) -> None:
    fn = define(f"def f(x, y, A, n):\n    return {text}\n", "f", "escaped")
    assert outcome(fn, (V, 0.4, A, 4)) == expected
