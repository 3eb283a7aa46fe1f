"""The demo: it fits, it says so, it writes what it promises, and its model is the example's."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import numpy as np
import pytest

from s2s_ad import cli, demo

EXAMPLE = Path(__file__).parent.parent / "examples" / "lotka_volterra.py"


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    start = time.perf_counter()
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    assert time.perf_counter() - start < 30.0
    printed = capsys.readouterr().out
    for word in ("21 years", "iteration", "agrees with finite differences", "hare growth", "done"):
        assert word in printed
    namespace: dict = {}
    exec((tmp_path / "lotka_volterra_gradient.py").read_text(), namespace)
    years, pelts = demo.load_pelts()
    value, gradient = namespace["loss_value_and_grad"](demo.START, pelts, demo.STEPS)
    compiled = demo.loss.value_and_grad(demo.START, pelts, demo.STEPS)
    assert value == pytest.approx(compiled[0], rel=1e-12)
    np.testing.assert_allclose(gradient, compiled[1], rtol=1e-9)


def test_the_fit_is_the_published_one() -> None:
    """The Stan case study on the same data finds 0.55, 0.028, 0.80, 0.024."""
    _, pelts = demo.load_pelts()
    fit = demo.fit_model(pelts)
    np.testing.assert_allclose(np.exp(fit.x[:4]), [0.545, 0.028, 0.80, 0.024], rtol=0.05)
    assert fit.fun < 0.05


def test_demo_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    years, pelts = demo.load_pelts()
    demo.draw(years, pelts, demo.START, tmp_path / "plot.png")
    assert "skipped" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_the_data_is_the_same_in_both_places() -> None:
    package = Path(demo.__file__).parent / "data" / "lynx_hare.csv"
    assert package.read_bytes() == EXAMPLE.with_name("lynx_hare.csv").read_bytes()


def test_the_example_has_the_same_model() -> None:
    def functions(path: Path) -> dict[str, str]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return {n.name: ast.dump(n) for n in tree.body if isinstance(n, ast.FunctionDef)}

    package, example = functions(Path(demo.__file__)), functions(EXAMPLE)
    for name in ("rates", "rk4_step", "loss"):
        assert package[name] == example[name]
