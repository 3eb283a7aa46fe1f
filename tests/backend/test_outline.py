"""Long functions in parts: the same results, whatever the parts are."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from bench.case import defined
from bench.generated import mixed, straight
from s2s_ad import grad, value_and_grad
from s2s_ad.backend import module, outline
from s2s_ad.backend.emit import emit, emit_parts
from s2s_ad.ir.core import Func
from s2s_ad.passes.inplace import inplace
from tests.backend.programs import Generator
from tests.backend.test_emit_random import arguments, run_text
from tests.derivative_checks import Derivatives
from tests.programs import Program
from tests.test_programs import NAMED


def in_parts(func: Func, size: int, **options: object) -> str:
    return "\n\n".join(emit_parts(func, size=size, **options))


@pytest.mark.parametrize("program", NAMED, ids=lambda program: program.name)
def test_derivatives(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is run is cut into parts of a statement or two."""
    monkeypatch.setattr(module, "emit", lambda func, **options: in_parts(func, 6, **options))
    checked = Derivatives(program.fn, program.outputs, program.wrt, jit=False, level="kernel")
    checked.check(program.inputs[0][1], gradients=False, fd_rtol=program.fd_rtol)


@pytest.mark.parametrize("size", [5, 25])
@pytest.mark.parametrize("many", [1, 8])
def test_random_programs(size: int, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With tuples for `many` values, which parts in loops and branches take apart."""
    monkeypatch.setattr(outline, "_MANY", many)
    monkeypatch.setattr(outline, "_MOST", many)
    for seed in range(200):
        func = inplace(Generator(seed).program())
        text, whole = in_parts(func, size, jit=False), emit(func, jit=False)
        args, same = arguments(), arguments()
        found, expected = run_text(text, func.name, args), run_text(whole, func.name, same)
        for a, b in zip([*found, *args], [*expected, *same]):
            np.testing.assert_array_equal(a, b, err_msg=text)


def test_many_values_go_in_a_tuple() -> None:
    fn = defined(straight(40), "program", {})
    func = value_and_grad(fn)._derived_for((0.3, 0.7), {}).funcs("kernel")[0]
    *parts, whole = emit_parts(func, size=120)
    assert len(parts) > 5
    assert "values_1 = program_value_and_grad_part_1(x, a)" in whole
    assert "[0]" not in whole and "values_1[0]" in "".join(parts[1:])
    assert len(whole.splitlines()) <= len(parts) + 3  # the value may be in a tuple, too


@pytest.mark.parametrize("most", [4, 64])
def test_tuples_in_loops(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a loop take them apart, the loop does not; unless there is little in them."""
    monkeypatch.setattr(outline, "_MOST", most)
    lines = "".join(f"    a{k} = np.sin(x * {k + 1}.0)\n" for k in range(12))
    more = "".join(f"        s = s * a{k} + np.cos(s * a{k})\n" for k in range(12))
    loop = f"    for i in range(n):\n{more}"
    text = f"import numpy as np\n\ndef program(x, n):\n    s = x\n{lines}{loop}    return s\n"
    func = grad(defined(text, "program", {}))._derived_for((0.3, 3), {}).funcs("kernel")[0]
    *parts, whole = emit_parts(func, size=150)
    inside = [line for line in whole.splitlines() if line.startswith("        ")]
    calls = [line for line in inside if "_part_" in line]
    assert len(calls) == 2 and not any("= values_1" in line for line in inside)
    assert ["values_1" in line for line in calls] == [most == 4] * 2
    expected = run_text(emit(func), func.name, (0.3, 3))
    assert run_text("\n\n".join([*parts, whole]), func.name, (0.3, 3)) == expected


def test_a_jump_stays() -> None:
    """What a `break` leaves behind is what is read after the loop."""

    def program(x, n):
        s, last = 0.0, 0.0
        for k in range(n):
            s = s + np.sin(x * k)
            last = s * x
            if s > 2.0:
                break
            s = s * 1.5
            last = s * s * x + last
            s = s + np.cos(last)
        return s * last + last

    func = value_and_grad(program)._derived_for((0.3, 9), {}).funcs("kernel")[0]
    for size in (4, 12, 30):
        for x in (0.3, 1.3, -2.0):
            whole = run_text(emit(func), func.name, (x, 9))
            assert run_text(in_parts(func, size), func.name, (x, 9)) == whole


def test_parts_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that works without numba has its parts uncompiled too."""
    func = value_and_grad(defined(mixed(18), "program", {}))
    func = func._derived_for((np.zeros(3), 0.3), {}).funcs("kernel")[0]
    monkeypatch.setitem(emit_parts.__kwdefaults__, "size", 70)
    text = module.emit_module([func], jit=True, optional=True)
    monkeypatch.setitem(sys.modules, "numba", None)
    x = np.linspace(0.0, 1.0, 9)
    found = run_text(text, func.name, (x, 0.7))
    for a, b in zip(found, run_text(emit(func, jit=False), func.name, (x, 0.7))):
        np.testing.assert_array_equal(a, b)
    assert "def compiled_part(function)" in text and text.count("@compiled_part") > 5


TRANSCRIPT = """
    import sys
    import numpy as np
    from bench.case import defined
    from bench.generated import mixed
    from s2s_ad import grad
    from s2s_ad.backend import emit

    emit.emit_parts.__kwdefaults__.update(size=70)
    text = mixed(18).replace("y = np.zeros(n)", "y = np.zeros(n)\\n    x[int(10.0 * a)]")
    g = grad(defined(text, "program", {}), wrt=(0, 1))
    x = np.linspace(0.0, 1.0, 9)
    print(g(x, 0.7)[1])
    try:
        g(x, 3.0)
    except IndexError as error:
        print(error)
    main = next(m for n, m in sys.modules.items() if n.startswith("s2s_ad_generated"))
    print(len([n for n in vars(main) if "_part_" in n]) > 2)
    print(sum(main.program_grad.stats.cache_hits.values()))
"""


def test_parts_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the cache as well, where the parts are in the machine code of what calls them."""
    monkeypatch.setenv("S2S_AD_CACHE_DIR", str(tmp_path))
    command = [sys.executable, "-c", textwrap.dedent(TRANSCRIPT)]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
        for _ in range(2)
    )
    plain = grad(defined(mixed(18), "program", {}), wrt=(0, 1), jit=False)
    expected = plain(np.linspace(0.0, 1.0, 9), 0.7)[1]
    np.testing.assert_allclose(float(first[0]), expected, rtol=1e-12)
    assert first[:3] == second[:3]
    assert "out of bounds" in first[1] or "range" in first[1]
    assert first[2] == "True" and (first[3], second[3]) == ("0", "1")
