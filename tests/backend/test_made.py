"""What a process made of a program is taken up by the next one, and by that program alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2s_ad import rule
from s2s_ad.backend.made import Made, Signature, made_once
from s2s_ad.ir.core import Func, Lit, Region
from s2s_ad.ir.text import parse
from s2s_ad.ir.types import F64, Type

PROGRAM = """\
import json
import numpy as np
from s2s_ad import grad, jvp, pipeline, source, value_and_grad, vjp
from settings import SCALE

def energy(x, k):
    y = np.zeros(3)
    for i in range(k):
        y[i] = SCALE * x[i] * x[i]
    return y.sum()

def moves(x, v):
    x[:] = x + v
    return np.sin(x), v[0]

X, V = np.arange(3.0), np.ones(3)
runs = []
with pipeline.observing(lambda name, funcs, seconds: runs.append(name)):
    options = {"jit": False}
    found = [grad(energy, **options)(X, k).tolist() for k in (2, 3)]
    found += [grad(energy, boundscheck=False, **options)(X, 3).tolist()]
    found += [grad(energy, level="kernel", **options)(X, 3).tolist()]
    value, (gradient,) = value_and_grad(energy, wrt=("x",), **options)(X, 3)
    found += [float(value), gradient.tolist()]
    (sines, first), pullback = vjp(moves, wrt=("x", "v"), **options)(X.copy(), V)
    found += [sines.tolist(), float(first), [g.tolist() for g in pullback((V, 1.0))]]
    (sines, first), dots = jvp(moves, wrt=("x", "v"), **options)((X.copy(), V), (V, V))
    found += [sines.tolist(), dots[0].tolist(), float(dots[1])]
    try:
        grad(energy, **options)(X, 4)
    except IndexError as error:
        found.append(str(error))
print(json.dumps([found, len(runs)]))
"""


def run(folder: Path, scale: float) -> tuple[list, int]:
    """The derivatives of PROGRAM in a process of its own, and how many stages were run for them."""
    (folder / "program.py").write_text(PROGRAM)
    (folder / "settings.py").write_text(f"SCALE = {scale!r}\n")
    env = {**os.environ, "S2S_AD_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    del env["S2S_AD_VERIFY"]
    command = [sys.executable, str(folder / "program.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found, stages = json.loads(done.stdout)
    return found, stages


def test_a_second_process_runs_no_pass(tmp_path: Path) -> None:
    first, stages = run(tmp_path, 1.0)
    assert stages > 50 and first[:2] == [[0.0, 2.0, 0.0], [0.0, 2.0, 4.0]]
    assert "line 9: y[i] = SCALE * x[i] * x[i]" in first[-1]
    assert run(tmp_path, 1.0) == (first, 0)


def test_what_the_function_reads_counts(tmp_path: Path) -> None:
    run(tmp_path, 1.0)
    other, stages = run(tmp_path, 3.0)
    assert other[0] == [0.0, 6.0, 0.0] and stages > 0


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    first, stages = run(tmp_path, 1.0)
    files = sorted((tmp_path / "cache").glob("s2s_ad_made_*.json"))
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes().replace(b"return", b"raise "))
    files[2].write_bytes(b"\xff\xfe")
    again, some = run(tmp_path, 1.0)
    assert again == first and 0 < some < stages
    assert run(tmp_path, 1.0) == (first, 0)


# --- what tells programs apart -------------------------------------------------------------------

TEXT = "func f(x: f64) {\n y: f64 = mul x, 2.0: f64 @3:4\n return y\n}"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`made(func, *options)` is True where the text had to be made."""
    monkeypatch.setenv("S2S_AD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("S2S_AD_VERIFY")

    def ask(func: Func, *options: object) -> bool:
        asked = []

        def make() -> Made:
            asked.append(func)
            signature = Signature(func.name, (F64, Type("f64", (3, "n"))), (F64,), ((1, 0),))
            return Made("text \u03c0 \\ '\n", (signature, signature))

        assert made_once(func, options, make) == make()
        return len(asked) == 2

    return ask


def changed(**changes: object) -> Func:
    """The program of TEXT with another equation."""
    func = parse(TEXT)
    (eqn,) = func.body.eqns
    return func.with_(body=Region(func.params, (eqn.with_(**changes),), func.results))


def test_programs_are_told_apart(made) -> None:
    func = parse(TEXT)
    assert made(func, "grad", (0,)) and not made(parse(TEXT), "grad", (0,))
    assert made(func, "grad", (1,)) and made(func, "jvp", (0,)) and made(func, "grad", (0,), True)
    loc = func.body.eqns[0].loc
    x = func.params[0]
    others = [
        changed(role="adjoint"),
        changed(loc=None),
        changed(loc=type(loc)("other.py", loc.line, loc.col)),
        changed(loc=type(loc)("", loc.line, loc.col, "y = x * 2")),
        changed(ins=(x, Lit(-0.0, F64))),
        changed(ins=(x, Lit(0.0, F64))),
        changed(params={"any_order": True}),
        parse(TEXT.replace("f(", "g(")),
        parse(TEXT + "\nresults value"),
        parse(TEXT.replace("x: f64", "x: f32")),
    ]
    assert [made(other, "grad", (0,)) for other in others] == [True] * len(others)
    assert [made(other, "grad", (0,)) for other in others] == [False] * len(others)


def test_what_cannot_be_told_is_made_always(made, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = changed(params={"what": object()})
    assert made(odd) and made(odd)
    func = parse(TEXT)
    made(func)
    assert not made(func)
    monkeypatch.setattr(rule, "DECLARED_BY_OTHERS", rule.DECLARED_BY_OTHERS)
    for table in (rule.PARTIALS, rule.LINEAR):
        monkeypatch.setitem(table, "of_a_user", ())
    try:
        rule.partials("of_a_user", lambda x, y: x)
        assert made(func) and made(func)
    finally:
        rule.DECLARED_BY_OTHERS.clear()
    assert not made(func)
    monkeypatch.setenv("S2S_AD_VERIFY", "1")
    assert made(func)


def test_rules_of_the_package_are_its_own() -> None:
    code = (
        "import s2s_ad.rule as rule, s2s_ad.rules\n"
        "assert rule.PARTIALS and not rule.DECLARED_BY_OTHERS\n"
        "rule.zero('mine yours')\nrule.jvp('theirs')(print)\n"
        "assert rule.DECLARED_BY_OTHERS == {'mine', 'yours', 'theirs'}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
