"""The command line: what it writes works without s2s_ad, and what it cannot use it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s2s_ad import cli

PROGRAM = '''\
"""Functions to differentiate."""
import math
import numpy as np

TABLE = np.array([1.0, 2.0, np.inf])


def energy(x, scale, n):
    total = 0.0
    for i in range(n):
        total += math.sin(scale * x[i]) * x[i - 1]
    return total


def parts(x, y):
    return {"product": x * y, "sum": (np.sum(x), None)}


def smooth(out, x):
    out[1:-1] = x[2:] * x[:-2]


def tabled(x):
    return x * TABLE[1]


def either(x, how):
    return np.mean(x) if how == "mean" else np.sum(x)


def column(a):
    return np.sum(a * a)


def refused(x):
    try:
        return 1.0 / x
    except ZeroDivisionError:
        return 0.0
'''

#: Runs a generated module where s2s_ad (and, if asked, numba) cannot be imported.
ISOLATED = """
import importlib.util, json, sys
path, expression, *blocked = sys.argv[1:]
for name in ("s2s_ad", *blocked):
    sys.modules[name] = None
import numpy as np
spec = importlib.util.spec_from_file_location("generated", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
result = eval(expression, {"np": np, "m": module})
print(json.dumps(result, default=lambda a: a.tolist()))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def generate(program: Path, mode: str, function: str, signature: str, *options: str) -> Path:
    out = program.parent / f"{function}_{mode}.py"
    target = f"{program}:{function}"
    assert cli.main([mode, target, "--sig", signature, *options, "-o", str(out)]) == 0
    return out


def isolated(path: Path, expression: str, *blocked: str):
    command = [sys.executable, "-c", ISOLATED, str(path), expression, *blocked]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def plainly(path: Path) -> dict:
    """The generated module with numba left out."""
    namespace: dict = {"__name__": "generated"}
    text = path.read_text()
    exec(text.replace("import numba", "raise ImportError"), namespace)
    return namespace


X, SCALE = [0.1, 0.2, 0.3], 2.0
CALL = f"m.energy_grad(np.array({X}), {SCALE}, 3)"


def expected_gradient() -> np.ndarray:
    x = np.array(X)
    before = np.roll(x, 1)
    return SCALE * np.cos(SCALE * x) * before + np.roll(np.sin(SCALE * x), -1)


@pytest.mark.parametrize("level", ["array", "kernel"])
def test_gradient_without_s2s_ad(program: Path, level: str) -> None:
    out = generate(program, "grad", "energy", "f8[:], f8, i8", "--wrt", "x", "--level", level)
    np.testing.assert_allclose(isolated(out, CALL, "numba"), expected_gradient(), rtol=1e-14)
    imports = {line.split()[1] for line in out.read_text().splitlines() if "import " in line[:11]}
    assert imports <= {"math", "numpy", "numba"}


def test_gradient_compiled_without_s2s_ad(program: Path) -> None:
    out = generate(program, "grad", "energy", "f8[:], f8, i8", "--wrt", "x,scale")
    gradient, by_scale = isolated(out, CALL)
    np.testing.assert_allclose(gradient, expected_gradient(), rtol=1e-12)
    x = np.array(X)
    assert by_scale == pytest.approx(np.sum(np.cos(SCALE * x) * x * np.roll(x, 1)), rel=1e-12)


def test_value_and_gradient_module(program: Path) -> None:
    out = generate(program, "value_and_grad", "energy", "f8[:], f8, i8")
    module, x = plainly(out), np.array(X)
    value, gradient = module["energy_value_and_grad"](x, SCALE, 3)
    assert value == pytest.approx(np.sum(np.sin(SCALE * x) * np.roll(x, 1)), rel=1e-14)
    np.testing.assert_allclose(gradient, expected_gradient(), rtol=1e-14)


def test_header(program: Path) -> None:
    out = generate(program, "grad", "energy", "f8[:], f8, i8", "--wrt", "x")
    head = out.read_text().split("\n\n")[0]
    for word in (
        "s2s_ad 0.1.0",
        "f8[:], f8, i8",
        "wrt=x",
        "level=kernel",
        "sha256:",
        "s2s-ad grad",
    ):
        assert word in head
    assert all(line.startswith("# ") for line in head.splitlines())


def test_subscripts_are_checked_unless_asked_not_to(program: Path) -> None:
    def text(*options: str) -> str:
        command = ["grad", f"{program}:energy", "--sig", "f8[:], f8, i8", *options]
        assert cli.main([*command, "-o", str(program.parent / "checked.py")]) == 0
        return (program.parent / "checked.py").read_text()

    for level in ("array", "kernel"):
        assert "IndexError" in text("--level", level)
        plain = text("--level", level, "--no-boundscheck")
        assert "IndexError" not in plain and "--no-boundscheck" in plain


def test_the_same_input_gives_the_same_file(program: Path) -> None:
    first = generate(program, "vjp", "parts", "f8[:], f8").read_text()
    assert generate(program, "vjp", "parts", "f8[:], f8").read_text() == first


def test_vjp_module(program: Path) -> None:
    module = plainly(generate(program, "vjp", "parts", "f8[:], f8"))
    x = np.array([1.0, 2.0])
    value, pullback = module["parts_vjp"](x, 3.0)
    assert value["product"].tolist() == [3.0, 6.0] and value["sum"] == (3.0, None)
    for _ in range(2):
        by_x, by_y = pullback({"product": [1.0, 10.0], "sum": (1.0, None)})
        assert by_x.tolist() == [4.0, 31.0] and by_y == 21.0
    with pytest.raises(TypeError):
        pullback({"product": [1.0], "sum": (1.0, None)})


def test_jvp_module_of_an_output_argument(program: Path) -> None:
    out = generate(program, "jvp", "smooth", "f8[:], f8[:]", "--wrt", "x", "--outputs", "out")
    target, x, x_dot = np.zeros(4), np.arange(1.0, 5.0), np.ones(4)
    value, tangent = plainly(out)["smooth_jvp"](target, x, x_dot)
    assert value.tolist() == [0.0, 3.0, 8.0, 0.0] and tangent.tolist() == [0.0, 4.0, 6.0, 0.0]
    assert target.tolist() == [0.0] * 4


def test_captured_arrays_are_written_out(program: Path) -> None:
    module = plainly(generate(program, "grad", "tabled", "f8"))
    assert module["tabled_grad"](3.0) == 2.0


def test_static_values_in_a_signature(program: Path) -> None:
    out = generate(program, "grad", "either", "f8[:], 'mean'")
    assert plainly(out)["either_grad"](np.ones(4)).tolist() == [0.25] * 4


def test_arguments_are_converted_or_refused(program: Path) -> None:
    gradient = plainly(generate(program, "grad", "column", "f8[:, 1]"))["column_grad"]
    assert gradient(np.ones((3, 1), dtype=np.int64)).tolist() == [[2.0]] * 3
    for wrong in (np.ones(3), np.ones((3, 2)), np.ones((3, 1), dtype=complex)):
        with pytest.raises(TypeError):
            gradient(wrong)


def test_standard_output(program: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["grad", f"{program}:tabled", "--sig", "f8"]) == 0
    assert "def tabled_grad(x):" in capsys.readouterr().out


def test_show(program: Path, capsys: pytest.CaptureFixture) -> None:
    signature = ["--sig", "f8[:], f8, i8"]
    assert cli.main(["show", f"{program}:energy", *signature]) == 0
    assert capsys.readouterr().out.startswith("func energy(x: f64[")
    assert cli.main(["show", f"{program}:energy", *signature, "--after", "transpose"]) == 0
    assert "adjoint" in capsys.readouterr().out
    assert cli.main(["show", f"{program}:parts", "--sig", "f8[:], f8", "--after", "jvp"]) == 0
    assert "x_dot" in capsys.readouterr().out


@pytest.mark.parametrize(
    "target, options, words",
    [
        ("absent.py:f", ["--sig", "f8"], "no file"),
        ("program.py:absent", ["--sig", "f8"], "no function 'absent'"),
        ("program.py:TABLE", ["--sig", "f8"], "no function 'TABLE'"),
        ("program.py", ["--sig", "f8"], "FILE.py:FUNC"),
        ("broken.py:f", ["--sig", "f8"], "SyntaxError"),
        ("text.txt:f", ["--sig", "f8"], "not a Python file"),
        ("program.py:energy", ["--sig", "f8[:], f9, i8"], "'f9' is not a type"),
        ("program.py:energy", ["--sig", "f8[:], f8[, i8"], "is not a type"),
        ("program.py:energy", ["--sig", "f8[:],, i8"], "is not a type"),
        ("program.py:energy", ["--sig", "f8[x], f8, i8"], "is not a type"),
        ("program.py:energy", ["--sig", "f8[:]"], "does not fit energy"),
        ("program.py:energy", ["--sig", "f8[:], f8, i8", "--wrt", "n"], "S2S101"),
        ("program.py:energy", ["--sig", "f8[:], f8, i8", "--wrt", "q"], "S2S100"),
        ("program.py:parts", ["--sig", "f8[:], f8"], "S2S102"),
        ("program.py:refused", ["--sig", "f8"], "S2S002"),
    ],
)
def test_bad_input(
    program: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    target: str,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(program.parent)
    Path("broken.py").write_text("def f(:\n")
    Path("text.txt").write_text("f")
    before = set(Path().iterdir())
    assert cli.main(["grad", target, *options, "-o", "out.py"]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.out == ""
    assert printed.err.startswith("s2s-ad: ") and "Traceback" not in printed.err
    assert {p for p in Path().iterdir() if p.name != "__pycache__"} == before


def test_an_existing_file_survives_failure(program: Path) -> None:
    out = program.parent / "out.py"
    out.write_text("keep")
    assert cli.main(["grad", f"{program}:refused", "--sig", "f8", "-o", str(out)]) == 2
    assert out.read_text() == "keep"


def test_unwritable_output(program: Path, capsys: pytest.CaptureFixture) -> None:
    out = program.parent / "absent" / "out.py"
    assert cli.main(["grad", f"{program}:tabled", "--sig", "f8", "-o", str(out)]) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["grad"], ["grad", "f.py:f"], ["polish"]])
def test_usage(argv: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
