"""Compiled functions and their parts: numba's passes, and machine code once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numba.core import untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import DefaultPassBuilder, StateDict

from bench.case import defined
from bench.generated import mixed
from s2s_ad import grad
from s2s_ad.backend import compiler, emit, module
from s2s_ad.backend.compiler import NEEDLESS, LoopCompiler, PartCompiler

X = np.linspace(0.0, 1.0, 9)


class _Flags:
    no_rewrites = False
    enable_ssa = True

    class auto_parallel:
        enabled = False


def passes(maker: type[LoopCompiler] | None) -> list[str]:
    state = StateDict()
    state.flags, state.func_ir = _Flags, None
    if maker is None:
        (whole,) = [DefaultPassBuilder.define_nopython_pipeline(state)]
    else:
        made = maker.__new__(maker)
        made.state = state
        (whole,) = made.define_pipelines()
    return [p.__name__ for p, _ in whole.passes]


def test_what_numba_does_less() -> None:
    """All that is left out is there, and the rest is as numba has it."""
    default = passes(None)
    assert set(default) > NEEDLESS and hasattr(untyped_passes, "ReconstructSSA")
    kept = [name for name in default if name not in NEEDLESS]
    assert passes(LoopCompiler) == kept
    assert passes(PartCompiler) == [
        "PartLowering" if name == "NativeLowering" else name for name in kept
    ]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions that become machine code, while a gradient is compiled in small parts."""
    monkeypatch.setenv("S2S_AD_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(emit.emit_parts.__kwdefaults__, "size", 70)
    finish, names = JITCodeLibrary._finalize_final_module, []

    def noted(library: JITCodeLibrary) -> None:
        names.append(library.name)
        finish(library)

    monkeypatch.setattr(JITCodeLibrary, "_finalize_final_module", noted)
    return names


def check(constant: float) -> None:
    """The gradient of a program that no other test compiles."""
    text = mixed(18).replace("y = np.zeros(n)", f"y = np.zeros(n) + {constant}")
    found = grad(defined(text, "program", {}), wrt=(0, 1))(X, 0.7)
    expected = grad(defined(text, "program", {}), wrt=(0, 1), jit=False)(X, 0.7)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_machine_code_once(made: list[str]) -> None:
    check(0.25)
    assert any("program_grad" in name for name in made)
    assert not any("program_grad_part" in name for name in made)


def test_with_another_numba(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose libraries have other parts: each function is compiled as numba does it."""
    monkeypatch.setattr(compiler, "_OWN", ("_nothing_of_the_kind",))
    check(0.75)
    assert any("program_grad_part" in name for name in made)


def test_modules_for_others() -> None:
    """What is written for the user hangs on nothing of ours."""
    func = grad(defined(mixed(18), "program", {}))._derived_for((X, 0.3), {}).funcs("kernel")[0]
    for optional in (False, True):
        text = module.emit_module([func], jit=True, optional=optional)
        assert ("pipeline_class=LoopCompiler" in text) == (not optional)
        assert ("from s2s_ad.backend.compiler import" in text) == (not optional)
