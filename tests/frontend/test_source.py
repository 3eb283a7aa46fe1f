"""Source wherever it is: modules, exec with linecache, prompts, notebooks, doctests, decorators.

Text that is not the code that runs is refused: a changed file must not be differentiated."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import linecache
import operator
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from s2s_ad import grad
from s2s_ad.errors import S2SError
from s2s_ad.frontend import trace
from s2s_ad.frontend.errors import SourceError
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.types import Type
from tests.source_text import define

F = Type("f64")


def value(fn: Callable, *args: float) -> float:
    """What the traced program gives."""
    return evaluate(trace(fn, [F for _ in args]).func, args)[0]


def refused(fn: Callable, words: str, args: int = 1) -> SourceError:
    with pytest.raises(SourceError, match=words) as caught:
        trace(fn, [F] * args)
    return caught.value


def agrees(fn: Callable, *args: float) -> None:
    assert value(fn, *args) == pytest.approx(fn(*args), rel=1e-14)


# --- functions as they are written ---------------------------------------------------------------


def plain(f: Callable) -> Callable:
    return f


def scaled(factor: float, *, shift: float = 0.0) -> Callable:
    def decorate(f: Callable) -> Callable:
        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            return factor * f(*args, **kwargs) + shift

        return wrapper

    return decorate


@plain
@scaled(
    2.0,
    shift=(1.0),
)
@plain
def decorated(x, y=3.0):
    return x * y


@scaled(5.0)
@scaled(7.0)
def twice_decorated(x):
    return x * x


class Model:
    gain = 3.0

    def method(self, x):
        return x * x * self.gain

    @staticmethod
    def static(x):
        return x + 4.0

    @classmethod
    def of_class(cls, x):
        return x * 5.0


def outer(k: float) -> tuple[Callable, Callable]:
    def inner(x):
        def innermost(y):
            return y * y

        return k * innermost(x)

    return inner, lambda x: k * x * x


if np.pi > 3.0:

    def chosen(x):
        return 2.0 * x

else:

    def chosen(x):
        return 3.0 * x


def redefined(x):
    return x


first_definition = redefined


def redefined(x):  # noqa: F811
    return 10.0 * x


pair = (lambda x: x * 2.0), (lambda x: x * 3.0)
same_code = (lambda x: x + 1.0), (lambda x: x + 1.0)
table = {
    "sin": lambda x: np.sin(x),
    "cos": lambda x: np.cos(x),
    "nested": lambda x: (lambda y: y * x)(x),
}  # noqa: E501
spread = plain(
    lambda x:
        x * 4.0
        + 1.0
)  # fmt: skip
defaults = [lambda x, k=k: x * k for k in (2.0, 5.0)]


nest = (lambda: (lambda x: (lambda x: x * 11.0)(x) + 1.0, lambda x: x * 12.0))()
in_place = (lambda x: (lambda y: lambda x: x * y)(x)(x))(3.0), (lambda x: lambda y: x - y)(5.0)


def with_lambda(x, f=lambda t: t * 6.0, g=lambda t: t * 7.0):
    return f(x) + 10.0 * g(x)


@functools.lru_cache(maxsize=4)
def cached(x):
    return x * 8.0


vectorised = np.vectorize(lambda x: x * 9.0 + 1.0)


@pytest.mark.parametrize(
    "fn",
    [
        decorated,
        twice_decorated,
        Model.static,
        Model.of_class,
        *outer(2.5),
        chosen,
        first_definition,
        redefined,
        *pair,
        *same_code,
        *table.values(),
        spread,
        *defaults,
        *nest,
        in_place[1],
        with_lambda,
        cached,
    ],
    ids=lambda f: getattr(f, "__name__", "object"),
)
def test_found(fn: Callable) -> None:
    agrees(fn, 1.5)


def test_bound_method_reads_its_object_as_it_is() -> None:
    model = Model()
    slope = grad(model.method, jit=False)
    assert slope(2.0) == 12.0
    model.gain = 5.0
    assert slope(2.0) == 20.0


def test_the_wrapper_is_what_runs() -> None:
    """Not what functools.wraps says it wraps."""
    assert decorated.__wrapped__(2.0) == 6.0
    assert grad(decorated, jit=False)(2.0) == 6.0 and value(decorated, 2.0) == 13.0
    assert grad(twice_decorated, jit=False)(2.0) == 140.0


def test_numba_dispatcher_and_ufunc() -> None:
    numba = pytest.importorskip("numba")
    agrees(numba.njit(lambda x: x * 2.0), 1.5)
    agrees(numba.vectorize(lambda x: x * 3.0), 1.5)


def test_singledispatch_is_refused() -> None:
    @functools.singledispatch
    def f(x):
        return x

    refused(f, "singledispatch")
    refused(lambda x: f(x), "singledispatch")


# --- where the text is ---------------------------------------------------------------------------


def run(code: str, *arguments: str, stdin: str | None = None, cwd: Path) -> str:
    """What Python prints for a program; errors fail."""
    command = [sys.executable, *arguments, *([] if stdin is not None else ["-c", code])]
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": root, "S2S_AD_CACHE_DIR": str(cwd / "cache")}
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=env, cwd=cwd, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


CALL = """
from s2s_ad import grad
try:
    print(grad(f, jit=False)(3.0))
except Exception as error:
    print(error)
"""
PROGRAM = "def f(x):\n    return x * x\n"


def test_exec_with_linecache() -> None:
    assert value(define("def f(x):\n    return x * 3.0\n", "f", "somewhere"), 2.0) == 6.0


def test_exec_without_text() -> None:
    names: dict = {}
    exec("def f(x):\n    return x\n", names)
    error = refused(names["f"], "made by exec")
    assert "linecache" in error.advice
    refused(eval("lambda x: x"), "made by exec")


def test_text_of_another_function_under_the_same_name() -> None:
    f = define("def f(x):\n    return x * 3.0\n", "f", "shared name")
    linecache.cache["<shared name>"] = (1, None, ["def f(x):\n", "    return x * 4.0\n"], "")
    refused(f, "is not the code of 'f' that runs")


@pytest.mark.parametrize("fn", [operator.neg, len, np.linalg.norm, print, np.sin])
def test_no_python_source(fn: Callable) -> None:
    with pytest.raises(S2SError):
        trace(fn, [F])


def test_command_line_program(tmp_path: Path) -> None:
    found = run(PROGRAM + CALL, cwd=tmp_path)
    assert "6.0" in found or ("S2S001" in found and "python -c" in found)


def test_standard_input(tmp_path: Path) -> None:
    found = run("", stdin=PROGRAM + CALL, cwd=tmp_path)
    assert "6.0" in found or ("S2S001" in found and "write the function in a file" in found)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the prompt keeps its text since 3.13")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a terminal")
def test_prompt(tmp_path: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-q"])
    lines = ["from s2s_ad import grad", "f = lambda x: x * x * x", "print('<', grad(f)(2.0), '>')"]
    for line in [*lines, "exit()"]:
        os.write(terminal, line.encode() + b"\n")
    found = b""
    try:
        while chunk := os.read(terminal, 4096):
            found += chunk
    except OSError:  # the other end is closed
        pass
    os.waitpid(pid, 0)
    assert b"< 12.0 >" in found


def test_ipython(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    code = textwrap.dedent(
        """
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        for cell in (
            "from s2s_ad import grad",
            "def f(x):\\n    return x * x",
            "g = lambda x: 2.0 * f(x)",
            "print(grad(f, jit=False)(3.0), grad(g, jit=False)(3.0))",
            "def f(x):\\n    return x * x * x",
            "print(grad(f, jit=False)(3.0), grad(g, jit=False)(3.0))",
        ):
            shell.run_cell(cell).raise_error()
        """
    )
    assert run(code, cwd=tmp_path).split() == ["6.0", "12.0", "27.0", "54.0"]


def test_doctest(tmp_path: Path) -> None:
    module = tmp_path / "documented.py"
    module.write_text(
        '"""\n>>> from s2s_ad import grad\n>>> def f(x):\n...     return x * x\n'
        '>>> grad(f, jit=False)(3.0)\n6.0\n"""\n'
    )
    assert run("", "-m", "doctest", str(module), stdin="", cwd=tmp_path) == ""


# --- files that change ---------------------------------------------------------------------------


def module(path: Path, text: str) -> ModuleType:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    "change",
    [
        "def f(x):\n    return x * 3.0\n",
        "def f(x):\n    return x * y\n",
        "def f(x):\n    return x + 2.0\n",
        "def f(y):\n    return y * 2.0\n",
        "def g(x):\n    return x * 2.0\n",
        "\ndef f(x):\n    return x * 2.0\n",
        "def f(x):\n",
        "",
    ],
)
def test_changed_file_is_refused(change: str, tmp_path: Path) -> None:
    path = tmp_path / "changes.py"
    f = module(path, "def f(x):\n    return x * 2.0\n").f
    path.write_text(change)
    linecache.checkcache(str(path))
    refused(f, "is not the code|does not parse|cannot be read")


def test_file_changed_after_its_lines_were_read(tmp_path: Path) -> None:
    """The lines at hand are those that run; another module from the new file is found as well."""
    path = tmp_path / "reloaded.py"
    old = module(path, "def f(x):\n    return x * 2.0\n").f
    assert value(old, 3.0) == 6.0
    new = module(path, "# a line more\ndef f(x):\n    return x * 5.0\n").f
    assert value(new, 3.0) == 15.0
    refused(old, "import it again")


def test_changed_callee_is_refused_with_the_calls(tmp_path: Path) -> None:
    path = tmp_path / "callee.py"
    helper = module(path, "def f(x):\n    return x * 2.0\n").f
    path.write_text("def f(x):\n    return x * 4.0\n")
    linecache.checkcache(str(path))
    error = refused(lambda x: helper(x) + 1.0, "is not the code")
    assert "helper(x)" in error.loc.text


def test_code_that_was_replaced() -> None:
    def f(x):
        return x * 2.0

    f.__code__ = f.__code__.replace(
        co_consts=tuple(3.0 if c == 2.0 else c for c in f.__code__.co_consts)
    )
    refused(f, "is not the code")


def test_functions_with_asserts_in_a_test_module() -> None:
    """pytest changes the code of asserts on its way in."""

    def f(x):
        assert x > 0.0, "positive"
        return x * 2.0

    agrees(f, 1.5)
