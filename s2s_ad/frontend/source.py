"""From a Python function to its syntax tree: which file, which node, which names it closes over.

The text that is found is compiled and compared with the function's own code. A file that was edited
after it was imported, or text that happens to lie at the same line, is thus an error: what would be
differentiated is not what runs.
"""

from __future__ import annotations
import __future__

import ast
import functools
import linecache
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import machinery
from typing import Any

import gast

from s2s_ad.errors import Loc
from s2s_ad.frontend.errors import SourceError
from s2s_ad.frontend.matching import without_match

Lines = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """A function as text: its gast node, its file and the lines of the file."""

    name: str
    node: gast.AST
    file: str
    lines: Lines

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
    """The plain function inside an object that carries one: a numba dispatcher or ufunc, what
    `np.vectorize` and `functools.lru_cache` make. A plain function is itself, whatever it wraps:
    what runs is its own body, which calls the one inside."""
    for _ in range(100):
        if isinstance(fn, types.FunctionType):
            return fn
        for place in ("py_func", "_dispatcher", "pyfunc", "__wrapped__"):
            inner = getattr(fn, place, None)
            if inner is not None:
                break
        else:
            return fn
        fn = inner
    return fn


def source_of(fn: types.FunctionType) -> Source:
    """The source of `fn`. SourceError where there is none, or where it is not what runs."""
    if not isinstance(fn, types.FunctionType):
        name = getattr(fn, "__name__", type(fn).__name__)
        raise SourceError(f"{name!r} is not a Python function, so there is no source to read")
    if hasattr(fn, "registry") and hasattr(fn, "dispatch"):
        raise SourceError(
            f"{fn.__name__!r} is a singledispatch: it chooses by the type of its argument",
            advice="call the implementation that is meant, or test with isinstance",
        )
    file = fn.__code__.co_filename
    lines = tuple(linecache.getlines(file, fn.__globals__))
    found = _find(fn, lines) if lines else None
    if lines and found is None:
        # the module may have been edited and loaded again since its lines were read
        linecache.checkcache(file)
        lines = tuple(linecache.getlines(file, fn.__globals__))
        found = _find(fn, lines) if lines else None
    if not lines:
        _no_lines(fn)
    if found is None:
        _stale(fn)
    return Source(fn.__name__, found, file, lines)


def _no_lines(fn: types.FunctionType) -> None:
    """Say why there is no text, and what to do."""
    file = fn.__code__.co_filename
    if file.startswith("<stdin"):
        why = "it was typed at a prompt, or read from standard input, which keep no text"
        advice = "write the function in a file, or use IPython, a notebook or Python 3.13's prompt"
    elif file.startswith("<"):
        why = f"it was made by exec, eval or `python -c` ({file})"
        advice = "write the function in a file, or put its text into linecache.cache under its name"
    else:
        why = f"{file} cannot be read"
        advice = "install the file beside the compiled module"
    raise SourceError(f"the source of {fn.__name__!r} cannot be found: {why}", advice=advice)


def _stale(fn: types.FunctionType) -> None:
    code = fn.__code__
    raise SourceError(
        f"the text at line {code.co_firstlineno} of {code.co_filename} is not the code of "
        f"{fn.__name__!r} that runs",
        advice="the file has changed since it was imported, or the function was made elsewhere: "
        "import it again",
    )


# --- text ----------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _parse(file: str, lines: Lines) -> tuple[ast.AST, gast.AST]:
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise SourceError(f"{file} does not parse: {error}") from error
    return tree, without_match(gast.ast_to_gast(tree))


@functools.lru_cache(maxsize=256)
def _codes(file: str, lines: Lines, flags: int) -> dict[tuple[str, int], list[types.CodeType]]:
    """The code of every function in a file, by name and first line."""
    return _index(_compiled(_parse(file, lines)[0], file, flags))


def _compiled(tree: ast.AST, file: str, flags: int) -> types.CodeType:
    try:
        return compile(tree, file, "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise SourceError(f"{file} does not compile: {error}") from error


def _index(code: types.CodeType) -> dict[tuple[str, int], list[types.CodeType]]:
    found: dict[tuple[str, int], list[types.CodeType]] = {}
    for inner in _inside(code):
        found.setdefault((inner.co_name, inner.co_firstlineno), []).append(inner)
    return found


def _inside(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _inside(constant)


def _future(code: types.CodeType) -> int:
    """The `from __future__` features that the code was compiled with."""
    known = (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
    return code.co_flags & functools.reduce(int.__or__, known, 0)


# --- the function --------------------------------------------------------------------------------


def _find(fn: types.FunctionType, lines: Lines) -> gast.AST | None:
    """The node of `fn`; None where no function of the text compiles to its code."""
    code, file = fn.__code__, fn.__code__.co_filename
    key, flags = (code.co_name, code.co_firstlineno), _future(code)
    tree, nodes = _parse(file, lines)
    own = _codes(file, lines, flags).get(key, [])
    spots = [_spot(n) for n in ast.walk(tree) if _first_line(n) == key]
    if code not in own:
        added = len(spots) == len(own) == 1 and _rewritten(fn) and _almost(own[0], code)
        spots = spots if added else []
    if len(spots) > 1:
        # a lambda that holds the one that is meant passes, too: the innermost is meant
        spots = sorted(s for s in spots if _is_at(code, lines, s, spots))[-1:]
    for node in gast.walk(nodes):
        if spots and _first_line(node) == key and _spot(node) == spots[0]:
            return node
    return None


def _first_line(node: ast.AST | gast.AST) -> tuple[str, int] | None:
    """The name and first line that a function's code has."""
    kind = type(node).__name__
    if kind == "Lambda":
        return "<lambda>", node.lineno
    if kind in ("FunctionDef", "AsyncFunctionDef"):
        return node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return None


def _spot(node: ast.AST | gast.AST) -> tuple[int, ...]:
    return (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)


def _is_at(code: types.CodeType, lines: Lines, spot: tuple, spots: list[tuple]) -> bool:
    """True where `code` is still there when the other functions of its name and line are moved
    elsewhere: lambdas that share a line. (Before Python 3.11 code does not know its columns: two
    lambdas with the same code are then the same.)"""
    tree = ast.parse("".join(lines))
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda) and _spot(node) in spots and not _within(node, spot):
            node.lineno = node.end_lineno = len(lines) + 1
            node.col_offset = node.end_col_offset = 0
    found = _index(_compiled(tree, code.co_filename, _future(code)))
    return code in found.get((code.co_name, code.co_firstlineno), ())


def _within(node: ast.AST, spot: tuple) -> bool:
    line, column, end_line, end_column = _spot(node)
    return (line, column) >= spot[:2] and (end_line, end_column) <= spot[2:]


def _rewritten(fn: types.FunctionType) -> bool:
    """True for a module whose loader may change code on its way in, as pytest does with asserts."""
    loader = fn.__globals__.get("__loader__")
    plain = (machinery.SourceFileLoader, machinery.SourcelessFileLoader, type(None))
    return not isinstance(loader, plain) and loader is not machinery.BuiltinImporter


def _almost(own: types.CodeType, code: types.CodeType) -> bool:
    """True where `code` is `own` with additions: it has the same parameters, reads all its names,
    and has all its numbers."""
    numbers = [
        {repr(k) for k in c.co_consts if type(k) in (int, float, complex)} for c in (own, code)
    ]
    count = own.co_argcount + own.co_kwonlyargcount
    return (
        own.co_varnames[:count] == code.co_varnames[:count]
        and set(own.co_names) <= set(code.co_names)
        and set(own.co_varnames) <= set(code.co_varnames)
        and own.co_freevars == code.co_freevars
        and numbers[0] <= numbers[1]
    )


def closure_of(fn: types.FunctionType) -> Mapping[str, Callable[[], Any]]:
    """The variables `fn` closes over: name -> a function that reads the variable as it is now."""

    def reader(cell: types.CellType) -> Callable[[], Any]:
        return lambda: cell.cell_contents

    cells = fn.__closure__ or ()
    return {name: reader(cell) for name, cell in zip(fn.__code__.co_freevars, cells)}
