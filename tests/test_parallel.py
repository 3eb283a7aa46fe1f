"""Loops on several threads: which ones, what they give, and that no order matters to them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import numba
import numpy as np
import pytest

from s2s_ad import grad, jvp, value_and_grad, vjp
from s2s_ad.cli import main
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse
from s2s_ad.passes import parallel as parallel_pass
from tests import parallel_programs as programs
from tests.derivative_checks import Derivatives
from tests.numerics import assert_same, call, flat, leaves, noise
from tests.programs import Program
from tests.test_programs import BROAD, NAMED, cases

PROGRAMS = programs.PROGRAMS
_LOOP = re.compile(r"^ +for (\w+) in prange\(", re.MULTILINE)

#: What becomes of the loop of each program, and of its reverse: p(range) over iterations, over
#: parts, over pairs of parts that take turns, or in order.
FORMS = {
    "elementwise": ("iterations", "iterations"),
    "total": ("parts", "iterations"),
    "product": ("order", "order"),  # the tape has the product so far
    "largest": ("order", "order"),
    "stencil": ("parts", "pairs"),
    "far_stencil": ("parts", "pairs"),
    "rows": ("iterations", "iterations"),
    "matvec": ("iterations", "parts"),
    "pairs": ("parts", "parts"),
    "scatter": ("order", "iterations"),
    "gathered": ("order", "parts"),  # it may raise IndexError
    "prefix": ("order", "order"),
    "running": ("order", "order"),
    "wraps": ("order", "order"),
    "nested": ("iterations", "iterations"),
    "blocks": ("parts", "parts"),
    "strided": ("parts", "parts"),
    "branches": ("parts", "iterations"),
    "steps": ("parts", "parts"),
    "known_bounds": ("parts", "iterations"),
    "doubling": ("order", "order"),
}


def form(text: str) -> str:
    found = _LOOP.search(text)
    if found is None:
        return "order" if "# in order:" in text else ""
    return {"part": "parts", "pair": "pairs"}.get(found[1], "iterations")


def positions(wrt) -> tuple:
    return wrt if isinstance(wrt, tuple) else (wrt,)


@contextmanager
def backwards():
    """Uncompiled code runs parallel loops backwards, in three parts, however short they are."""
    modules = [m for m in sys.modules if m.startswith("s2s_ad_generated_")]
    with pytest.MonkeyPatch.context() as patch:
        for m in modules:
            patch.delitem(sys.modules, m)
        reverse = lambda *bounds: range(*bounds)[::-1]  # noqa: E731
        patch.setattr(numba, "prange", reverse)
        patch.setattr(programs, "prange", reverse)
        patch.setattr(numba, "get_num_threads", lambda: 3)
        patch.setattr(parallel_pass, "WORTH", 1)
        yield
        for m in {m for m in sys.modules if m.startswith("s2s_ad_generated_")}:
            del sys.modules[m]


@pytest.mark.parametrize("name", PROGRAMS)
def test_forms(name: str) -> None:
    fn, args, wrt = PROGRAMS[name]
    text = grad(fn, wrt=wrt).source(*args, level="kernel")
    primal = vjp(fn, wrt=wrt).source(*args, level="kernel").split("def ")[-2]
    _, _, reverse = text.partition("# reverse sweep")
    assert (form(primal), form(reverse)) == FORMS[name]


@pytest.mark.parametrize("level", ["array", "kernel"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives(name: str, level: str) -> None:
    fn, args, wrt = PROGRAMS[name]
    Derivatives(fn, wrt=positions(wrt), jit=False, level=level).check(args)


@pytest.mark.parametrize("level", ["array", "kernel"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_another_order(name: str, level: str) -> None:
    fn, args, wrt = PROGRAMS[name]
    in_another_order(Program(fn, (("", args),), wrt=positions(wrt)), 0, level)


def in_another_order(program: Program, index: int, level: str) -> None:
    args = program.inputs[index][1]
    options = {"outputs": program.outputs, "wrt": program.wrt, "jit": False, "level": level}
    value = call(program.fn, args, program.outputs)
    weights = noise(value, np.random.default_rng(5))
    primal, pullback = vjp(program.fn, **options)(*args)
    expected = primal, pullback(weights)
    with backwards():
        primal, pullback = vjp(program.fn, parallel=True, **options)(*args)
        found = primal, pullback(weights)
    single = any(np.asarray(leaf).dtype == np.float32 for leaf in leaves(args))
    scale = max(1.0, np.max(np.abs(flat(expected)), initial=0.0))
    close = 1e-5 if single else 1e-11
    np.testing.assert_allclose(flat(found), flat(expected), rtol=close, atol=close * scale)


def quick(case) -> bool:
    program, index = case.values
    return program in NAMED and index == 0


@pytest.mark.parametrize(
    "program, index",
    [
        pytest.param(*c.values, id=c.id, marks=() if quick(c) else pytest.mark.slow)
        for c in cases(NAMED + BROAD)
    ],
)
def test_all_programs_in_another_order(program: Program, index: int) -> None:
    """Every loop that is taken for independent is."""
    in_another_order(program, index, "kernel")


def test_another_order_for_the_interpreter() -> None:
    """The pass keeps the meaning of programs, where parts are values and not buffers."""
    for fn, args, wrt in PROGRAMS.values():
        with backwards():
            made = value_and_grad(fn, wrt=wrt, parallel=True)
            before, after = (made.ir(*args, after=stage) for stage in ("inplace", "parallel"))
        for a, b in zip(evaluate(parse(before), args), evaluate(parse(after), args)):
            np.testing.assert_allclose(a, b, rtol=1e-12, err_msg=fn.__name__)


def test_golden(golden) -> None:
    parts = []
    for name in ("total", "stencil", "matvec"):
        fn, args, wrt = PROGRAMS[name]
        parts.append(value_and_grad(fn, wrt=wrt).source(*args, level="kernel"))
    parts.append(grad(programs.chain, parallel=True).source(programs.X, level="kernel"))
    golden("emit", "parallel.py", "\n\n".join(parts))


def test_nothing_is_parallel_unless_asked_for() -> None:
    text = grad(programs.jacobi).source(np.ones((4, 4)), 2, level="kernel")
    assert "prange" not in text and "numba" not in text
    text = grad(programs.jacobi, parallel=True).source(np.ones((4, 4)), 2)
    assert "prange" not in text  # array code is NumPy's


def test_inner_loops_end_where_they_begin_at_least() -> None:
    """In a prange LLVM knows nothing of what was checked before it."""
    text = grad(programs.jacobi, parallel=True).source(np.ones((4, 4)), 2, level="kernel")
    threads, _, alone = text.partition("for i1 in prange(2, ")[2].partition("else:")
    (end,) = re.findall(r"stop = max\((\w+), 2\)", threads)
    assert "for j in range(2, stop):" in threads and f"for j in range(2, {end}):" in alone


def compiled(fn, wrt, args, runs: int, **options) -> None:
    """Compiled gradients are those of one thread, and the same bits in every run."""
    expected = value_and_grad(fn, wrt=wrt, jit=False)(*args)
    made = value_and_grad(fn, wrt=wrt, **options)
    first = made(*args)
    assert_same(first, expected, 1e-12)
    for _ in range(runs):
        assert_same(made(*args), first)


SMALL = ("matvec", "stencil")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in SMALL else pytest.mark.slow) for n in PROGRAMS]
)
def test_compiled(name: str) -> None:
    fn, args, wrt = PROGRAMS[name]
    compiled(fn, wrt, args, 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stencil", "far_stencil", "total", "gathered", "steps"])
def test_races(name: str) -> None:
    """Long enough for threads to meet."""
    fn, args, wrt = PROGRAMS[name]
    x, *rest = args
    rest = [np.arange(50_000) % 97 if isinstance(a, np.ndarray) else a for a in rest]
    compiled(fn, wrt, (programs.numbers(50_000), *rest), 200)


@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 400])
def test_long_loops(size: int) -> None:
    """On both sides of the threshold."""
    A = programs.numbers(size, size)
    compiled(programs.jacobi, 0, (A, 3), 20, parallel=True)
    compiled(programs.chain, 0, (A.ravel(),), 20, parallel=True)


@pytest.mark.slow
def test_forward_mode_is_parallel_too() -> None:
    fn, args, _ = PROGRAMS["rows"]
    assert form(jvp(fn).source(*args, level="kernel")) == "iterations"
    expected = jvp(fn, jit=False)(args, args)
    assert_same(jvp(fn)(args, args), expected, 1e-12)


@pytest.mark.slow
def test_machine_code_is_cached(tmp_path) -> None:
    """A second process compiles nothing, and numba has nothing to complain about."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""\
        import numpy as np, numba.core.event as event
        from s2s_ad import grad
        from tests.parallel_programs import PROGRAMS

        fn, args, wrt = PROGRAMS["total"]
        with event.install_recorder("numba:compile") as seen:
            print(float(np.sum(grad(fn)(*args))), len(seen.buffer) > 0)
        """)
    )
    env = {**os.environ, "S2S_AD_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-W", "error", str(script)]
    runs = [subprocess.run(command, env=env, capture_output=True, text=True) for _ in range(2)]
    assert [r.stderr for r in runs] == ["", ""]
    first, second = (r.stdout.split() for r in runs)
    assert first[0] == second[0]
    assert (first[1], second[1]) == ("True", "False")


def test_a_module_of_its_own(tmp_path, monkeypatch) -> None:
    """It is parallel with numba, and runs without."""
    source = tmp_path / "model.py"
    source.write_text(
        "import numpy as np\n\ndef loss(x):\n    return np.sum(np.sin(x) * x)\n", encoding="utf-8"
    )
    out = tmp_path / "loss_grad.py"
    assert main(["grad", f"{source}:loss", "--sig", "f8[:]", "--parallel", "-o", str(out)]) == 0
    text = out.read_text()
    assert form(text) == "iterations" and "--parallel" in text
    monkeypatch.setitem(sys.modules, "numba", None)
    names: dict = {}
    exec(compile(text, str(out), "exec"), names)
    x = programs.X
    np.testing.assert_allclose(names["loss_grad"](x), np.sin(x) + x * np.cos(x), rtol=1e-13)


def torus(u, k):
    """Neighbours by remainders, whose loops are done in pieces and with their ends apart."""
    n, m = u.shape
    v = np.empty((n, m))
    for i in range(n):
        for j in range(m):
            v[i, j] = u[i, j] + k * u[(i - 1) % n, j] * u[i, (j + 1) % m]
    return np.sum(v * v) + np.sum(np.roll(u, 1, axis=1) * v)


def test_ends_and_pieces_do_not_hide_the_work() -> None:
    """That an inner loop goes over a row is seen before the outer one."""
    u = np.random.default_rng(3).uniform(0.5, 1.5, (40, 50))
    text = grad(torus, parallel=True).source(u, 0.1, level="kernel")
    assert "low in range" in text and "min(1, " in text
    thresholds = re.findall(r"^ +if (\w+) > \d+:", text, re.MULTILINE)
    assert set(thresholds) == {"work"} and len(thresholds) >= 2
    with backwards():
        found = grad(torus, parallel=True, jit=False, level="kernel")(u, 0.1)
    np.testing.assert_allclose(found, grad(torus, jit=False)(u, 0.1), rtol=1e-12)
