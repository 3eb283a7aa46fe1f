"""Small arrays that never leave a function live on its stack.

    k = new_empty(2)                            k = local_empty(2)
    for i in range(n):                          for i in range(n):
        k[0] = v                       ──▶          k[0] = v
        k[1] = x - v * v                            k[1] = x - v * v
        s += k[0] * k[1]                            s += k[0] * k[1]

LLVM sees all that happens to such memory: it unrolls loops over it, and keeps its elements in
registers. (The state of an ODE as an array of two: a gradient by RK4 takes two thirds of the time.)

An array leaves a function where a name of it may: where it is returned, assigned to another name,
sliced, or given to what might keep it.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from s2s_ad.backend.expr import PRANGE, SOLVE_NAMES

#: Elements of an array that is small, and of all those of a function: threads have small stacks.
SMALL, ALL = 128, 8192
_MADE = {"new_empty": "local_empty", "new_zeros": "local_zeros"}
#: Functions that do not keep the arrays that they are given.
_READ = ("put", "new_copy", "grown", "matmul", *SOLVE_NAMES)


def local(function: ast.FunctionDef) -> ast.FunctionDef:
    """`function`, with its small arrays on the stack."""
    nodes = list(ast.walk(function))
    if any(isinstance(n, ast.With) or isinstance(n, ast.Name) and n.id == PRANGE for n in nodes):
        return function  # iterations, and what is left to Python, run elsewhere
    made: dict[str, list[_Made]] = {}
    for name, one in _made(nodes):
        made.setdefault(name, []).append(one)
    names = Counter(node.id for node in nodes if isinstance(node, ast.Name))
    ranks = {name: {len(shape) for _, shape in every} for name, every in made.items()}
    axes = {name: rank.pop() for name, rank in ranks.items() if len(rank) == 1}
    stays = Counter(name for node in nodes for name in elements(node, axes))
    room = ALL
    for name, every in made.items():
        size = sum(math.prod(shape) for _, shape in every)
        if names[name] == stays[name] + len(every) and size <= room:
            room -= size
            for call, shape in every:
                call.func = ast.Name(_MADE[call.func.id], ast.Load())
                call.args = [ast.Constant(extent) for extent in shape]
    return function


#: The call that makes an array, and its extents.
_Made = tuple[ast.Call, Sequence[int]]


def _made(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, _Made]]:
    """The names that arrays of few numbers are assigned to, with the calls that make these."""
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, call = node.targets[0], node.value
            if not isinstance(target, ast.Name):
                continue
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                shape = _shape(call) if call.func.id in _MADE else None
                if shape is not None and len(shape) <= 2 and math.prod(shape) <= SMALL:
                    yield target.id, (call, shape)


def _shape(call: ast.Call) -> list[int] | None:
    """The extents of an array of doubles, where they are known."""
    if len(call.args) != 1 or call.keywords:
        return None
    sizes = call.args[0].elts if isinstance(call.args[0], ast.Tuple) else call.args
    found = [size.value for size in sizes if isinstance(size, ast.Constant)]
    known = len(found) == len(sizes) and all(type(size) is int and size > 0 for size in found)
    return found if known else None


def elements(node: ast.AST, axes: Mapping[str, int]) -> Iterator[str]:
    """The names in `axes` that `node` uses without letting their arrays, of so many axes, go: their
    elements, their extents."""
    used: Sequence[ast.AST] = ()
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        index = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(index) == axes.get(node.value.id) and not any(map(_makes_view, index)):
            used = [node.value]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _READ:
        used = node.args
    elif isinstance(node, ast.Attribute) and node.attr == "shape":
        used = [node.value]
    yield from (n.id for n in used if isinstance(n, ast.Name) and n.id in axes)


def _makes_view(index: ast.expr) -> bool:
    """True for what takes no place on an axis: a slice, None, or dots."""
    if isinstance(index, ast.Constant):
        return type(index.value) is not int
    return isinstance(index, (ast.Slice, ast.Starred))
