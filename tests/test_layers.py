"""Imports point one way: from what is built on to what it is built from."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import s2s_ad

PACKAGE = Path(s2s_ad.__file__).parent
RULES = PACKAGE.parent / "rules"

#: What each part may import, besides itself. `rule` loads the rules when they are first asked for.
ALLOWED = {
    "errors": "",
    "instances": "",
    "ir": "errors",
    "ops": "ir",
    "rule": "ir errors rules",
    "rules": "rule ops",
    "frontend": "ir instances errors",
    "analysis": "ir rule",
    "passes": "analysis rule ops ir errors",
    "backend": "passes analysis rule ir errors",
    "api_errors": "errors",
    "trees": "api_errors instances ir",
    "pipeline": "passes api_errors ir",
    "specialise": "frontend trees api_errors ir",
    "updates": "specialise trees api_errors instances",
    "matching": "trees instances ir",
    "compiled": "pipeline backend matching specialise trees api_errors ir",
    "dispatch": "compiled backend matching specialise trees",
    "standalone": "compiled backend specialise trees api_errors ir",
    "api": "updates compiled dispatch backend pipeline specialise trees frontend api_errors ir",
    "testing": "api specialise trees",
    "demo": "api",
    "cli": "api standalone compiled pipeline specialise trees demo api_errors errors ir",
    "__init__": "api",
}


def parts() -> list[tuple[str, Path]]:
    found = [("rules", path) for path in sorted(RULES.glob("*.py"))]
    for path in sorted(PACKAGE.rglob("*.py")):
        found.append((path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path))
    return found


def imported(path: Path) -> set[str]:
    """The parts of s2s_ad that a file imports anywhere."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what they import"
            module = node.module or ""
            whole = module == "s2s_ad"
            names += [f"s2s_ad.{alias.name}" for alias in node.names] if whole else [module]
    inside = [name.split(".") for name in names if name.split(".")[0] == "s2s_ad"]
    return {name[1] if len(name) > 1 else "__init__" for name in inside}


@pytest.mark.parametrize("part, path", parts(), ids=lambda x: getattr(x, "name", x))
def test_imports_point_one_way(part: str, path: Path) -> None:
    allowed = {part, *ALLOWED[part].split()}
    found = {name for name in imported(path) if name != "__version__"}
    assert found <= allowed, f"{path.name} ({part}) imports {sorted(found - allowed)}"


def test_the_arrows_make_no_circle() -> None:
    """Every part comes after what it imports, in the order of the table."""
    seen = {"rules"}
    for part, allowed in ALLOWED.items():
        assert set(allowed.split()) <= seen | {part}, part
        seen.add(part)
