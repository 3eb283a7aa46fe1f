"""Vector functions: accurate, right for special values, safe in caches; one value per argument."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest
from scipy import special

import s2s_ad
from s2s_ad.analysis.vectors import vectorised
from s2s_ad.api_errors import OptionError
from s2s_ad.backend import vecmath
from s2s_ad.backend.expr import VECTOR_NAMES
from s2s_ad.backend.jit import compile_source
from s2s_ad.backend.module import emit_module
from s2s_ad.ir.core import walk
from s2s_ad.ir.text import parse
from s2s_ad.passes.inplace import inplace
from tests.accuracy import DTYPES, WIDE, samples, specials, ulps

BINARY = ("power", "arctan2", "hypot", "maximum", "minimum")
UNARY = tuple(n for n in VECTOR_NAMES if n not in BINARY)
FOUND = {fn.name for fn in vecmath.FOUND}

_LOOP = """\
@compiled
def loop_{name}(x, y, out):
    for i in range(out.shape[0]):
        out[i] = v{name}({args})


@compiled
def one_{name}(x, y, out):
    out[0] = v{name}({first})
"""


@pytest.fixture(scope="module")
def kernels() -> Callable[..., np.ndarray]:
    """`run(name, x, y)`: a function over arrays, by a loop that is vectorised; `one=True` for the
    first element alone. All are in one module, and compiled when used."""
    texts = [
        _LOOP.format(
            name=n,
            args="x[i], y[i]" if n in BINARY else "x[i]",
            first="x[0], y[0]" if n in BINARY else "x[0]",
        )
        for n in VECTOR_NAMES
    ]
    head = emit_module(["def unused():\n    pass\n"]).split("@compiled")[0]
    head = f"from s2s_ad.backend.vecmath import {', '.join(VECTOR_NAMES.values())}\n" + head
    source = head + "\n\n".join(texts)

    def run(name: str, x: np.ndarray, y: np.ndarray, one: bool = False) -> np.ndarray:
        out = np.empty_like(x)
        compile_source(source, f"{'one' if one else 'loop'}_{name}", jit=True)(x, y, out)
        return out[:1] if one else out

    return run


def reference(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """In more digits than the result has."""
    if name in ("erf", "erfc"):
        return np.array([getattr(math, name)(float(v)) for v in x], np.longdouble)
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    with np.errstate(all="ignore"):
        operands = (x.astype(wide), y.astype(wide)) if name in BINARY else (x.astype(wide),)
        return getattr(np, name)(*operands)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", VECTOR_NAMES)
def test_accuracy_and_special_values(kernels, name: str, dtype: type) -> None:
    """4 ulp, the sign of zero included."""
    x, y = samples(dtype, 1), samples(dtype, 2)
    error = ulps(kernels(name, x, y), reference(name, x, y))
    slack = 0 if WIDE and name not in ("erf", "erfc") else 1  # what the reference itself is off by
    assert error.max() <= 4 + slack, (name, x[error.argmax()], y[error.argmax()])
    x = y = specials(dtype)
    if name in BINARY:
        x, y = (g.ravel() for g in np.meshgrid(x, y))
    found, exact = kernels(name, x, y), reference(name, x, y)
    wrong = ulps(found, exact) > 4 + slack
    if name not in ("maximum", "minimum"):
        wrong |= (exact == 0) & (np.signbit(found) != np.signbit(exact))
    assert not wrong.any(), (name, x[wrong], y[wrong], found[wrong], exact[wrong])


@pytest.mark.parametrize("name", sorted(VECTOR_NAMES))
def test_the_value_depends_on_the_argument_alone(kernels, name: str) -> None:
    """Not on the neighbours in a vector, on the place in the array, on being one of many."""
    x = np.concatenate((specials(np.float64), samples(np.float64, 3)[:300]))
    y = samples(np.float64, 4)[: x.size]
    order = np.random.default_rng(5).permutation(x.size)[:-3]
    whole = kernels(name, x, y)[order]
    np.testing.assert_array_equal(kernels(name, x[order], y[order]), whole)
    for k in range(0, order.size, 7):
        at = order[k : k + 1]
        one = kernels(name, x[at], y[at], one=True)
        np.testing.assert_array_equal(one, whole[k : k + 1])


def test_the_plain_functions() -> None:
    """Uncompiled, the names are NumPy's functions."""
    for name, own in VECTOR_NAMES.items():
        plain = getattr(np, name, None) or getattr(math, name)
        args = (0.5, 0.25) if name in BINARY else (0.5,) if name != "arccosh" else (1.5,)
        assert getattr(vecmath, own)(*args) == plain(*args)
    np.testing.assert_allclose(special.erf(0.5), vecmath.verf(0.5))


# --- which functions, in which programs ----------------------------------------------------------


def text_of(fn: Callable[..., float], *args: object, **options: object) -> str:
    """What is compiled for the value and the gradient."""
    made = s2s_ad.value_and_grad(fn, **options)
    return emit_module(made._derived_for(args, {}).funcs("kernel"), vector=True)


def total(x):
    return np.sum(np.sin(x) * np.exp(-(x**2)) + np.log(1.0 + x**2))


def orbit(x, n):
    for _ in range(n):
        x = x + 0.1 * np.cos(x)
    return x


def relu(x):
    s = 0.0
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            s += math.exp(x[i])
    return s


def scan(x):
    for i in range(1, x.shape[0]):
        x[i] = np.tanh(x[i - 1]) + x[i]
    return x[-1]


def test_loops_that_can_be_vectorised_have_vector_functions() -> None:
    x = np.ones(3)
    text = text_of(total, x)
    assert all(f"v{n}(" in text for n in ("sin", "cos", "exp", "log"))
    assert text.count("for i in range") == 1  # the value and the gradient share one loop
    assert "vexp(" in text_of(relu, x)


def test_recurrences_keep_scalar_functions() -> None:
    """But what only a derivative takes of them is computed beforehand, several at once."""
    assert not re.search(r"\bv[a-z]+\(", text_of(orbit, 1.0, 3))
    forward, reverse = text_of(scan, np.ones(4)).split("# reverse sweep")
    assert "np.tanh(" in forward and "vtanh(" in reverse


def test_one_way_throughout_a_module() -> None:
    """The scalar exp outside is the one in the loop."""
    func = parse(
        "func f(x: f64[n], y: f64) {\n a: f64 = exp y\n n: i64 = dim x {axis=0}\n"
        " s: f64 = for 0: i64, n, 1: i64, a { (i: i64, t: f64)\n"
        "  v: f64 = load x, i {spec='i'}\n  e: f64 = exp v\n"
        "  t1: f64 = add t, e {any_order=True}\n  yield t1 }\n"
        " return s }"
    )
    assert [e.prim for e in walk(func.body) if e in vectorised([func])].count("exp") == 2
    text = emit_module([inplace(func)], vector=True)
    assert text.count("vexp(") == 2 and "np.exp" not in text


def test_the_option() -> None:
    x = np.linspace(-3.0, 3.0, 1001)
    results = [s2s_ad.value_and_grad(total, math=m)(x) for m in ("vector", "scalar")]
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-13)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-13, atol=1e-15)
    assert "vecmath" not in s2s_ad.grad(total).source(x, level="kernel")  # it runs by itself
    with pytest.raises(OptionError, match="math='fast'"):
        s2s_ad.grad(total, math="fast")


@pytest.mark.skipif("exp" not in FOUND, reason="no vector functions here")
def test_the_machine_code_calls_them(tmp_path: Path) -> None:
    path = str(tmp_path / "fresh.py")  # code from numba's cache cannot be looked at
    kernel = compile_source(
        text_of(total, np.ones(8)), "total_value_and_grad", jit=True, filename=path
    )
    kernel(np.ones(8))
    (text,) = kernel.inspect_asm().values()
    for name in ("sin", "cos", "exp", "log"):
        assert f"s2s_ad_{name}_f64_" in text


# --- caches and standalone modules ---------------------------------------------------------------

PROGRAM = """\
import numpy as np


def total(x):
    return np.sum(np.sin(x) * np.exp(-(x**2)))
"""

RUN = """
import json, sys
for name in sys.argv[1:]:
    sys.modules[name] = None
import numpy as np
import out as module
g = module.total_grad(np.arange(9.0))
hits = sum(sum(f.stats.cache_hits.values()) for f in vars(module).values() if hasattr(f, "stats"))
print(json.dumps([list(g), hits]))
"""

CACHED = """
import json
import numpy as np
import s2s_ad
from program import total
f = s2s_ad.grad(total)
g = f(np.arange(9.0))
(entry,) = f._known.values()
print(json.dumps([list(g), sum(entry.kernel.stats.cache_hits.values())]))
"""

POOL = """
import multiprocessing, threading
import numpy as np
import s2s_ad
from program import total
gradient, x = s2s_ad.grad(total), np.arange(9.0)
def f(x): return gradient(x)
expected, found = f(x), []
threads = [threading.Thread(target=lambda: found.append(f(x))) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
with multiprocessing.get_context("fork").Pool(2) as pool:
    found += pool.map(f, [x, x])
print(all((g == expected).all() for g in found) and len(found) == 6)
"""


def python(code: str, *args: str, cwd: Path) -> str:
    env = {**os.environ, "S2S_AD_CACHE_DIR": str(cwd / "cache"), "NUMBA_CACHE_DIR": ""}
    env["PYTHONPATH"] = os.pathsep.join([str(cwd), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_second_process_finds_the_functions(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    first, second = (json.loads(python(CACHED, cwd=tmp_path)) for _ in range(2))
    assert first[0] == second[0] and (first[1], second[1]) == (0, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_threads_and_forks(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    assert python(POOL, cwd=tmp_path) == "True"


def test_a_standalone_module_outlives_s2s_ad(tmp_path: Path) -> None:
    """Its cached machine code is not used where the functions that it calls are not."""
    from s2s_ad import cli

    (tmp_path / "program.py").write_text(PROGRAM)
    out = tmp_path / "out.py"
    target = f"{tmp_path / 'program.py'}:total"
    assert cli.main(["grad", target, "--sig", "f8[:]", "-o", str(out)]) == 0
    with_it, again = (json.loads(python(RUN, cwd=tmp_path)) for _ in range(2))
    without = json.loads(python(RUN, "s2s_ad", cwd=tmp_path))
    uncompiled = json.loads(python(RUN, "s2s_ad", "numba", cwd=tmp_path))
    assert (with_it[1], again[1], without[1]) == (0, 1, 0)
    for other in (again, without, uncompiled):
        np.testing.assert_allclose(other[0], with_it[0], rtol=1e-13)
    assert cli.main(["grad", target, "--sig", "f8[:]", "--math", "scalar", "-o", str(out)]) == 0
    assert "s2s_ad.backend" not in out.read_text()


@numba.njit(error_model="numpy")
def quotients(x, d, out):
    for i in range(d.shape[0]):
        for j in range(x.shape[0]):
            out[i, j] = vecmath.fdiv(x[j], d[i])


@pytest.mark.parametrize("dtype", DTYPES)
def test_quotients_by_reciprocals(dtype: type) -> None:
    """Each is within an ulp or two of the quotient: zeros, subnormals, infinities and nan too."""
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    special_values = [0.0, 1.0, 3.0, info.tiny, info.smallest_subnormal, info.tiny / 3.0]
    special_values += [info.max, info.max / 3.0, np.inf, np.nan, info.eps]
    ordinary = np.exp(rng.uniform(np.log(info.tiny), np.log(info.max), 100))
    sizes = np.concatenate([special_values, ordinary]).astype(dtype)
    x = np.concatenate([sizes, -sizes])
    found = np.empty((x.size, x.size), dtype)
    quotients(x, x, found)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, x / x[:, None], rtol=2.0 * info.eps, atol=info.tiny)
