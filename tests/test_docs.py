"""The documentation says what is true: examples run, tables are complete, generated text is so."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import linecache
import os
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import s2s_ad
from s2s_ad import cli, grad
from s2s_ad.errors import S2SError
from tests.source_text import define

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = r"<!-- {} -->\n```python\n(.*?)```"


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def every_module() -> list[str]:
    found = pkgutil.walk_packages(s2s_ad.__path__, "s2s_ad.")
    return ["s2s_ad", *(module.name for module in found)]


def test_readme_example(request: pytest.FixtureRequest) -> None:
    """The example prints the generated source that the README shows after it."""
    text = README.read_text(encoding="utf-8")
    code = re.search(BLOCK.format("example"), text, re.S).group(1)
    linecache.cache["README"] = (len(code), None, code.splitlines(keepends=True), "README")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README", "exec"), {"__name__": "readme"})
    value, array, *source = printed.getvalue().split("\n")
    assert f"# {value}" in code and f"# {array}: gradients" in code
    shown = "\n".join(source).strip() + "\n"
    if request.config.getoption("--update-golden"):
        block = f"<!-- generated -->\n```python\n{shown}```"
        text = re.sub(BLOCK.format("generated"), lambda _: block, text, flags=re.S)
        README.write_text(text, encoding="utf-8")
    assert re.search(BLOCK.format("generated"), text, re.S).group(1) == shown


def test_readme_first_screen_has_the_two_commands() -> None:
    head = "\n".join(README.read_text(encoding="utf-8").splitlines()[:25])
    assert "pip install -e '.[demo]' && s2s-ad demo" in head
    assert "pip install -e '.[test]' && pytest" in head


def test_every_error_has_a_code_of_its_own_and_a_row() -> None:
    for name in every_module():
        importlib.import_module(name)
    kinds = {k for k in subclasses(S2SError) if k.__module__.startswith("s2s_ad.")} - {S2SError}
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (S2S\d{3}) \| `(\w+)`", text, re.M))
    assert rows == {kind.code: kind.__name__ for kind in kinds}


EXAMPLE = r"### (S2S\d{3})\n\n```python\n(.*?)```\n\n```text\n(.*?)\n```"
ERRORS = ROOT / "docs" / "errors.md"


def error_examples() -> list[tuple[str, str, str]]:
    return re.findall(EXAMPLE, ERRORS.read_text(encoding="utf-8"), re.S)


def test_every_error_has_an_example() -> None:
    """Except those that a rule of one's own gives, or no known program."""
    rows = re.findall(r"^\| (S2S\d{3}) \|", ERRORS.read_text(encoding="utf-8"), re.M)
    assert {code for code, _, _ in error_examples()} == set(rows) - {"S2S090", "S2S092"}


@pytest.mark.parametrize("code, text, shown", error_examples(), ids=lambda p: p[:7].strip())
def test_error_example(
    code: str, text: str, shown: str, request: pytest.FixtureRequest, monkeypatch
) -> None:
    """The example raises the error, and its message is the one that is shown."""
    monkeypatch.setenv("S2S_AD_CACHE_DIR", os.environ.get("S2S_AD_CACHE_DIR", ""))
    lines = text.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "example.py", (len(text), None, lines, "example.py"))
    # Python 3.13 keeps the text of `python -c` there, by which pytest-xdist starts its workers
    monkeypatch.delitem(linecache.cache, "<string>", raising=False)
    names = {n: getattr(s2s_ad, n) for n in ("grad", "vjp", "jvp", "differentiate")}
    with pytest.raises(S2SError) as caught:
        exec(compile(text, "example.py", "exec"), {"np": np, **names})
    assert caught.value.code == code
    message = str(caught.value)
    if request.config.getoption("--update-golden"):
        page = ERRORS.read_text(encoding="utf-8")
        block = f"### {code}\n\n```python\n{text}```\n\n```text\n"
        page = page.replace(f"{block}{shown}\n```", f"{block}{message}\n```")
        ERRORS.write_text(page, encoding="utf-8")
        return
    assert message == shown


def kinks() -> list[tuple[str, str, str]]:
    text = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    table = text.split("<!-- kinks -->")[1].split("\n\n")[0]
    return re.findall(r"^\| `(.+?)` \| `x = (.+?)` \| `(.+?)` \|$", table, re.M)


def test_the_kink_table_was_read() -> None:
    assert len(kinks()) >= 12


@pytest.mark.parametrize("expression, at, derivative", kinks())
def test_kink(expression: str, at: str, derivative: str) -> None:
    fn = define(f"def kink(x):\n    return {expression}\n", "kink", f"kink table {expression}")
    found = grad(fn, jit=False)(float(at))
    assert found == pytest.approx(eval(derivative, {"np": np}), rel=1e-15)


def test_every_option_of_the_command_line_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    commands = cli._parser()._subparsers._group_actions[0].choices
    for name, command in commands.items():
        assert f"s2s-ad {name}" in text
        for action in command._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or option in text, f"{name} {option}"


def test_links_lead_somewhere() -> None:
    for page in (README, *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("name", ["s2s_ad.api", "s2s_ad.cli", "s2s_ad.testing"])
def test_docstring_examples(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0 and result.failed == 0
