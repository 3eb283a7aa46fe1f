"""Generated modules on disk: private, checked, safe under concurrency, debuggable."""

from __future__ import annotations

import inspect
import json
import os
import stat
import subprocess
import sys
import threading
import traceback
import types
from pathlib import Path

import numpy as np
import pytest

from s2s_ad.backend.cache import CacheError, cache_dir
from s2s_ad.backend.jit import compile_source, load_module
from s2s_ad.backend.module import emit_module
from s2s_ad.ir.text import parse
from s2s_ad.passes.inplace import inplace

from .emit_programs import PROGRAMS

SOURCE = """\
import math


def half(x):
    return x / 2.0  # {}


def bad(x):
    raise ValueError('no')
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("S2S_AD_CACHE_DIR", str(tmp_path / "cache"))


def test_the_cache_is_private_and_reused() -> None:
    text = SOURCE.format("reuse")
    half = compile_source(text, "half", jit=True)
    assert half(3.0) == 1.5
    (path,) = cache_dir().glob("*.py")
    assert path.read_text() == text
    if os.name == "posix":
        assert stat.S_IMODE(cache_dir().stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert compile_source(text, "half", jit=True) is half
    assert [p.name for p in cache_dir().iterdir() if not p.name.startswith("__")] == [path.name]


def test_tracebacks_and_inspect_show_the_text() -> None:
    text = SOURCE.format("traceback")
    bad = compile_source(text, "bad", jit=True)
    assert inspect.getsource(bad).startswith("def bad")
    with pytest.raises(ValueError) as info:
        bad(1.0)
    assert "raise ValueError('no')" in "".join(traceback.format_tb(info.value.__traceback__))


def test_a_tampered_file_is_replaced(monkeypatch) -> None:
    text = SOURCE.format("tampered")
    module = load_module(text)
    path = Path(module.__file__)
    path.write_text("def half(x):\n    return 'tampered'\n")
    monkeypatch.delitem(sys.modules, module.__name__)
    assert compile_source(text, "half", jit=True)(3.0) == 1.5
    assert path.read_text() == text


def test_threads_share_one_module() -> None:
    text, found = SOURCE.format("threads"), []
    threads = [
        threading.Thread(target=lambda: found.append(compile_source(text, "half", jit=True)))
        for _ in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_processes_may_write_at_the_same_time() -> None:
    code = (
        "from s2s_ad.backend.jit import compile_source\n"
        f"assert compile_source({SOURCE.format('processes')!r}, 'half', jit=True)(1.0) == 0.5\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [p.wait() for p in running] == [0, 0, 0]
    assert len(list(cache_dir().glob("*.py"))) == 1


def test_a_file_of_ones_own(tmp_path) -> None:
    path = tmp_path / "mine.py"
    text = SOURCE.format("own file")
    assert compile_source(text, "half", jit=True, filename=str(path))(1.0) == 0.5
    assert path.read_text() == text


def test_an_unusable_directory(tmp_path, monkeypatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("S2S_AD_CACHE_DIR", str(blocked / "inside"))
    with pytest.raises(CacheError, match="S2S_AD_CACHE_DIR"):
        compile_source(SOURCE.format("blocked"), "half", jit=True)


def test_default_directory(monkeypatch) -> None:
    monkeypatch.delenv("S2S_AD_CACHE_DIR")
    assert cache_dir().name == "s2s_ad" and cache_dir().is_absolute()


def test_uncompiled_arithmetic_is_ieee() -> None:
    text = "import numpy as np\n\n\ndef f(x, y):\n    return x / y, np.log(y), x**y\n"
    f = compile_source(text, "f", jit=False)
    assert f(1.0, 0.0) == (np.inf, -np.inf, 1.0)
    assert np.isnan(f(-8.0, 1 / 3)[2])


def test_compiled_and_uncompiled_agree() -> None:
    """One module for all programs: compiling is what takes time."""
    chosen = [p for p in PROGRAMS if p.name != "array_level"]
    funcs = []
    for p in chosen:
        func = inplace(parse(p.ir))
        funcs.append(func.with_(name=p.name))
    texts = {on: emit_module(funcs, jit=on) for on in (True, False)}
    for p in chosen:
        results = []
        for on, text in texts.items():
            args = [np.array(a) if isinstance(a, np.ndarray) else a for a in p.args]
            value = compile_source(text, p.name, jit=on)(*args)
            results.append([*(value if isinstance(value, tuple) else [value]), *args])
        for a, b in zip(*results, strict=True):
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-13, err_msg=p.name)


def test_loops_vectorise() -> None:
    """A stencil over slices of memory becomes vector instructions."""
    (p,) = [p for p in PROGRAMS if p.name == "double_buffer"]
    f = compile_source(emit_module([inplace(parse(p.ir))]), "jacobi", jit=True)
    f(*p.args)
    (text,) = f.inspect_llvm().values()
    assert " x double>" in text


def test_no_warnings_about_strided_products(recwarn) -> None:
    func = parse(
        "func f(A: f64[n, m], x: f64[n]) {\n B: f64[m, n] = transpose A {perm=(1, 0)}\n"
        " s: f64[n] = load A, 0: i64 {spec=':,i'}\n t: f64 = dot s, x\n return t }"
    )
    f = compile_source(emit_module([inplace(func)]), "f", jit=True)
    assert f(np.eye(3), np.ones(3)) == 1.0
    assert not [w for w in recwarn if "contiguous" in str(w.message)]


SECOND = """\
import json, sys
import numpy as np
from s2s_ad import grad, value_and_grad, vjp

def products(A, b):
    return (A @ A.T @ np.linalg.inv(A) @ b).sum() + np.linalg.cholesky(A)[2, 1] + np.exp(b).sum()

def grows(x, n):
    k = 0
    while x < n:
        x = x * np.sin(x) + 2.0
        k += 1
    return x * k

def picks(x, k):
    y = np.zeros(3)
    for i in range(k):
        y[i] = x[i] * x[i]
    return y

A, b = np.diag(np.arange(1.0, 4.0)) + 0.1, np.arange(3.0)
found = [grad(products)(A, b).tolist(), value_and_grad(grows)(0.5, 1.9)]
value, pullback = vjp(picks, wrt="x")(b, 3)
found += [value.tolist(), pullback(b).tolist(), grad(products)(A, b).tolist()]
try:
    grad(lambda x, k: picks(x, k).sum())(b, 4)
except IndexError as error:
    found.append(str(error))
loaded = "numba.np.random.generator_core" in sys.modules
print(json.dumps([found, loaded]))
"""


def test_a_second_process_loads_what_it_needs(tmp_path: Path) -> None:
    """It gives the same, and nothing of what numba needs to compile is loaded."""
    program = tmp_path / "program.py"
    program.write_text(SECOND)
    run = [sys.executable, str(program)]
    done = [subprocess.run(run, capture_output=True, text=True, check=True) for _ in range(2)]
    (first, compiles), (second, loads) = (json.loads(d.stdout) for d in done)
    assert first == second
    assert len(first) == 6
    assert (compiles, loads) == (True, False)


def test_the_import_is_light() -> None:
    """numba and SciPy take longer to import than the package itself."""
    code = "import sys, s2s_ad; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert not {"numba", "llvmlite", "scipy"} & loaded


def test_scipy_may_be_half_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """By another thread: what is not there yet is looked up again."""
    from scipy import special

    from s2s_ad.frontend import registry

    def handler() -> None: ...

    monkeypatch.setitem(registry.SPECIAL, "erf", handler)
    monkeypatch.setitem(registry.FUNCTIONS, special.erf, None)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "scipy.special", types.ModuleType("half"))
        assert registry.find(special.erf) is None and "erf" in registry.SPECIAL
    assert registry.find(special.erf) is handler and "erf" not in registry.SPECIAL
