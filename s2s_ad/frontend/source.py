"""From a Python function to its syntax tree: which file, which node, which names it closes over."""

from __future__ import annotations

import ast
import functools
import linecache
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gast

from s2s_ad.errors import Loc
from s2s_ad.frontend.errors import SourceError
from s2s_ad.frontend.matching import without_match


@dataclass(frozen=True, eq=False)
class Source:
    """A function as text: its gast node, its file and the lines of the file."""

    name: str
    node: gast.AST
    file: str
    lines: tuple[str, ...]

    @property
    def body(self) -> list[gast.AST]:
        """The statements; a lambda's expression is returned."""
        if isinstance(self.node, gast.Lambda):
            return _lambda_body(self.node)
        return self.node.body

    def loc(self, node: gast.AST) -> Loc:
        line = getattr(node, "lineno", self.node.lineno)
        text = self.lines[line - 1].rstrip("\n") if line <= len(self.lines) else ""
        return Loc(self.file, line, getattr(node, "col_offset", 0), text)


@functools.cache
def _lambda_body(node: gast.Lambda) -> list[gast.AST]:
    return [gast.copy_location(gast.Return(value=node.body), node.body)]


def unwrap(fn: Any) -> Any:
    """The plain function inside a numba dispatcher or another object that carries one."""
    seen = 0
    while not isinstance(fn, types.FunctionType) and seen < 100:
        inner = getattr(fn, "py_func", None) or getattr(fn, "__wrapped__", None)
        if inner is None:
            return fn
        fn, seen = inner, seen + 1
    return fn


def source_of(fn: types.FunctionType) -> Source:
    """The source of `fn`. SourceError where there is none."""
    if not isinstance(fn, types.FunctionType):
        name = getattr(fn, "__name__", type(fn).__name__)
        raise SourceError(f"{name!r} is not a Python function, so there is no source to read")
    code = fn.__code__
    lines = tuple(linecache.getlines(code.co_filename, fn.__globals__))
    if not lines:
        raise SourceError(
            f"the source of {fn.__name__!r} cannot be found ({code.co_filename})",
            advice="write the function in a file; code made by exec or eval has no source",
        )
    found = _find(fn, _parse(code.co_filename, lines))
    return Source(fn.__name__, found, code.co_filename, lines)


@functools.lru_cache(maxsize=256)
def _parse(file: str, lines: tuple[str, ...]) -> gast.AST:
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError as error:
        raise SourceError(f"{file} does not parse: {error}") from error
    return without_match(gast.ast_to_gast(tree))


def _find(fn: types.FunctionType, tree: gast.AST) -> gast.AST:
    """The node of `fn`: the function of its name at its first line, or the lambda."""
    code = fn.__code__
    if code.co_name == "<lambda>":
        return _find_lambda(code, tree)
    for node in gast.walk(tree):
        if isinstance(node, gast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    raise SourceError(
        f"{fn.__name__!r} is not at line {code.co_firstlineno} of {code.co_filename} any more",
        advice="the file has changed since it was imported: import it again",
    )


def _find_lambda(code: types.CodeType, tree: gast.AST) -> gast.AST:
    nodes = [n for n in gast.walk(tree) if isinstance(n, gast.Lambda) and _starts(n, code)]
    names = code.co_varnames[: code.co_argcount]
    nodes = [n for n in nodes if tuple(a.id for a in n.args.args) == names]
    if len(nodes) > 1 and hasattr(code, "co_positions"):
        spots = {(p[0], p[2]) for p in code.co_positions() if p[0] is not None and p[2]}
        nodes = [n for n in nodes if (n.body.lineno, n.body.col_offset) in spots] or nodes
        # an inner lambda may start at a place that belongs to an outer one too: take the widest
        inside = [
            {(b.lineno, b.col_offset) for b in gast.walk(n) if hasattr(b, "lineno")} for n in nodes
        ]
        whole = [
            n for n, places in zip(nodes, inside) if spots <= places | {(n.lineno, n.col_offset)}
        ]
        nodes = whole or nodes
    if len(nodes) > 1:
        globals_read = set(code.co_names) | set(code.co_freevars)
        nodes = [n for n in nodes if _names_read(n) - set(names) <= globals_read] or nodes
        nodes = [n for n in nodes if _constants(n) <= set(map(repr, code.co_consts))] or nodes
    if len({gast.dump(n) for n in nodes}) == 1:
        return nodes[0]
    raise SourceError(
        f"which lambda of line {code.co_firstlineno} of {code.co_filename} is meant is not clear",
        advice="put each lambda on a line of its own, or use def",
    )


def _starts(node: gast.Lambda, code: types.CodeType) -> bool:
    return node.lineno == code.co_firstlineno


def _names_read(node: gast.AST) -> set[str]:
    return {n.id for n in gast.walk(node) if isinstance(n, gast.Name)}


def _constants(node: gast.AST) -> set[str]:
    return {repr(n.value) for n in gast.walk(node.body) if isinstance(n, gast.Constant)}


def closure_of(fn: types.FunctionType) -> Mapping[str, Callable[[], Any]]:
    """The variables `fn` closes over: name -> a function that reads the variable as it is now."""

    def reader(cell: types.CellType) -> Callable[[], Any]:
        return lambda: cell.cell_contents

    cells = fn.__closure__ or ()
    return {name: reader(cell) for name, cell in zip(fn.__code__.co_freevars, cells)}
