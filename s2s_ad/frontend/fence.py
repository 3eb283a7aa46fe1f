"""The fence: constructs outside the language are refused before any work is done."""

from __future__ import annotations

import functools

import gast

from s2s_ad.errors import Loc
from s2s_ad.frontend.errors import UnsupportedSyntaxError
from s2s_ad.frontend.source import Source

#: node type -> (what it is, what to write instead)
REFUSED: dict[str, tuple[str, str]] = {
    "TryStar": ("try/except*", "test for the condition with `if` instead"),
    "AsyncWith": ("an async with block", "use ordinary functions"),
    "AsyncFor": ("an async for loop", "use ordinary functions"),
    "AsyncFunctionDef": ("an async function", "use ordinary functions"),
    "Await": ("await", "use ordinary functions"),
    "Yield": ("a generator function", "fill an array in a loop and return it"),
    "YieldFrom": ("a generator function", "fill an array in a loop and return it"),
    "ClassDef": ("a class inside a function", "define the class at module level"),
    "Match": ("this pattern of a match statement", "use if/elif"),
    "SetComp": ("a set comprehension", "use a list comprehension"),
}


def fence(source: Source, chain: tuple[Loc, ...] = ()) -> None:
    """Raise UnsupportedSyntaxError at the first construct that is outside the language."""
    found = _first_refused(source.node)
    if found is None:
        return
    node, what, advice = found
    raise UnsupportedSyntaxError(f"{what} is not supported", source.loc(node), advice, chain)


@functools.lru_cache(maxsize=1024)
def _first_refused(function: gast.AST) -> tuple[gast.AST, str, str] | None:
    found = []
    for node in _inside(function):
        reason = _reason(node, function)
        if reason is not None:
            found.append((node.lineno, node.col_offset, node, *reason))
    if not found:
        return None
    _, _, node, what, advice = min(found, key=lambda f: f[:2])
    return node, what, advice


def _inside(function: gast.AST) -> list[gast.AST]:
    """The nodes of a function, without its decorators and annotations."""
    if isinstance(function, gast.Lambda):
        return list(gast.walk(function.body))
    return [n for stmt in function.body for n in gast.walk(stmt)]


def _reason(node: gast.AST, function: gast.AST) -> tuple[str, str] | None:
    known = REFUSED.get(type(node).__name__)
    if known is not None:
        return known
    if isinstance(node, gast.Global):
        written = set(node.names) & _assigned_names(function)
        if written:
            name = sorted(written)[0]
            return f"assigning the global {name!r}", "return the new value instead"
    if isinstance(node, gast.ImportFrom) and (node.level or node.names[0].name == "*"):
        return "a relative or star import inside a function", "import at module level"
    return None


def _assigned_names(function: gast.AST) -> set[str]:
    return {
        n.id
        for n in gast.walk(function)
        if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Store)
    }
