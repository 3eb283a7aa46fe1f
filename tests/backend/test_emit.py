"""Emitted text, as a person would read it: tests/golden/emit/."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

import numpy as np
import pytest

from s2s_ad import differentiate
from s2s_ad.backend.emit import emit
from s2s_ad.backend.module import emit_module
from s2s_ad.backend.names import identifier
from s2s_ad.backend.source import Lines, constant, unparse
from s2s_ad.errors import Loc
from s2s_ad.ir.core import Func, Region
from s2s_ad.ir.interp import evaluate
from s2s_ad.ir.text import parse
from s2s_ad.passes.inplace import inplace
from tests.source_text import define

from .emit_programs import PROGRAMS
from .test_emit_random import run_text


def with_text(region: Region, lines: list[str]) -> Region:
    """`region` with the user's source lines in its locations."""
    eqns = []
    for e in region.eqns:
        loc = e.loc and replace(e.loc, text=lines[e.loc.line - 1])
        eqns.append(replace(e, loc=loc, regions=tuple(with_text(r, lines) for r in e.regions)))
    return Region(region.params, tuple(eqns), region.results)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_golden(program, golden) -> None:
    func = parse(program.ir)
    body = (
        with_text(func.body, program.user.strip("\n").splitlines()) if program.user else func.body
    )
    text = emit(inplace(func.with_(body=body)), doc=program.doc)
    golden("emit", f"{program.name}.py", text)
    assert max(map(len, text.splitlines())) < 100
    assert text == emit(inplace(func.with_(body=body)), doc=program.doc)
    args = [np.array(a) if isinstance(a, np.ndarray) else a for a in program.args]
    found = run_text(text, func.name, args)
    expected = evaluate(func, program.args)
    written = dict(func.mutated)
    returned = [e for k, e in enumerate(expected) if k not in written.values()]
    for e, f in zip(returned, found):
        np.testing.assert_allclose(f, e, rtol=1e-13)
    for k, arg in enumerate(program.args):
        want = expected[written[k]] if k in written else arg
        np.testing.assert_allclose(args[k], want, rtol=1e-13)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_no_copies_in_imperative_programs(program) -> None:
    func = parse(program.ir)
    assert emit(inplace(func)).count(".copy()") == program.copies


def test_user_text_is_data() -> None:
    """A line of the user's, or a message, never becomes code."""
    evil = "x = y\nimport os\u2028import sys\r\x0bfoo()"
    message = 'bad "quote" \' \n newline \\'
    func = parse(
        "func f(x: f64) {\n t: bool = gt x, 0.0: f64\n"
        " assert t {error='__import__', message='m'}\n y: f64 = add x, x @1:1 adjoint\n return y }"
    )
    check = replace(func.body.eqns[1], params={"error": "__import__", "message": message})
    add = replace(func.body.eqns[2], loc=Loc("f.py", 1, 0, evil))
    body = Region(func.params, (func.body.eqns[0], check, add), func.results)
    text = emit(func.with_(body=body), doc='doc """ with \\ quotes"')
    tree = ast.parse(text)
    assert (
        len(tree.body) == 1
        and ast.get_docstring(tree.body[0]).strip() == "doc ''' with \\ quotes\""
    )
    assert not [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
    messages = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    assert message in messages
    assert "raise ValueError(" in text
    module = emit_module([func.with_(body=body)], header="one\nimport os\rimport sys", jit=False)
    assert not [n for n in ast.walk(ast.parse(module)) if getattr(n, "names", [])[:1] and
                isinstance(n, ast.Import) and n.names[0].name in ("os", "sys")]  # fmt: skip


@pytest.mark.parametrize(
    ("hint", "name"),
    [("x", "x"), ("lambda", "lambda_"), ("np", "np_"), ("range", "range_"), ("a b", "a_b"),
     ("2x", "_2x"), ("__class", "v__class"), ("", "t"), ("λ", "λ"), ("_", "i"), ("x.3", "x")],
)  # fmt: skip
def test_identifiers(hint: str, name: str) -> None:
    assert identifier(hint) == name


def test_names_of_different_types_differ() -> None:
    text = emit(
        parse(
            "func f(x: f64, k: i64) {\n a: i64 = add k, k\n b: i64 = mul a, a\n"
            " a.1: f64 = convert b {dtype='f64'}\n y: f64 = mul a.1, x\n return y }"
        )
    )
    assert re.search(r"a_1 = float\(", text)


def test_printing() -> None:
    assert unparse(ast.Expr(constant(-0.0))).strip() == "-0.0"
    assert unparse(ast.Expr(constant(float("-inf")))).strip() == "-np.inf"
    assert Lines().comment("a\nb\tc").value.id.endswith("0")


def test_a_module_without_numba() -> None:
    func = parse("func f(x: f64) { y: f64 = sin x return y }")
    text = emit_module([func], header="made by a test", jit=True, optional=True)
    compile(text, "module", "exec")
    assert text.startswith("# made by a test\n\nimport numpy as np\n\ntry:\n    import numba\n")
    assert isinstance(func, Func)


def test_an_index_that_counts_down_is_not_negative():
    """Compiled code says so, for inner loops to be vectorised; what a person reads need not."""
    func = inplace(
        parse("""
func f(x: f64[n, n], n: i64) {
  m: i64 = sub n, 1: i64
  s: f64 = for m, -1: i64, -1: i64, 0.0: f64 { (i: i64, s: f64)
    k: i64 = sub n, i
    r: f64 = for 0: i64, k, 1: i64, s { (j: i64, r: f64)
      p: i64 = add i, j
      v: f64 = load x, i, p {spec='i,i'}
      w: f64 = add r, v
      yield w
    }
    yield r
  }
  return s
}
""")
    )
    assert "i = max(i, 0)" in emit(func) and "max" not in emit(func, jit=False)


def test_a_tuple_of_many_results_is_compiled() -> None:
    """With more than thirty items, numba follows no branch in it."""
    items = ", ".join(f"x * {k}.0" for k in range(40))
    text = f"def many(x, c):\n    return {items}, (x if c > 0.0 else 0.5) + 0.1 * x\n"
    fn = define(text, "many", "many results")
    made = differentiate(fn)
    for c in (1.0, -1.0):
        assert made(2.0, c) == fn(2.0, c)
