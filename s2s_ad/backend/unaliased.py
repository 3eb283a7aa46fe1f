"""Arrays that have one name.

    y = new_zeros(n)                # y: only this name leads to its elements
    for i in range(n):
        y[i] = x[i]
    z = y.reshape((m, k))           # with this line, z does as well

Where LLVM knows it, it moves reads of other arrays over writes to this one, and vectorises loops
that write to many arrays. It does not know it of what a function is given: that the parts of a long
function (`backend.outline`) are told.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from s2s_ad.backend.local import elements

#: Calls that make an array that nothing else has.
_MAKES = frozenset({"new_empty", "new_zeros", "new_full", "new_copy", "matmul", "grown"})


def names_alone(function: ast.FunctionDef, ranks: Mapping[str, Collection[int]]) -> frozenset[str]:
    """The names of arrays that `function` makes and that have no other name in it. `ranks` are the
    numbers of axes that the arrays of a name have; of several, no use is known to be an element.

    >>> body = "a = new_empty(n); b = new_empty(n); c = b[1:]; a[0] = b[0]; return a"
    >>> text = f"def f(n):\\n    {body}\\n"
    >>> sorted(names_alone(ast.parse(text).body[0], {"a": {1}, "b": {1}, "c": {1}}))
    ['a']
    """
    axes = {name: next(iter(every)) for name, every in ranks.items() if len(every) == 1}
    nodes = list(ast.walk(function))
    uses = Counter(node.id for node in nodes if isinstance(node, ast.Name))
    plain = Counter(name for node in nodes for name in elements(node, axes))
    plain.update(name for node in nodes for name in _made_or_returned(node))
    given = {arg.arg for arg in function.args.args}
    return frozenset(name for name in axes.keys() - given if 0 < uses[name] == plain[name])


def _made_or_returned(node: ast.AST) -> Iterator[str]:
    """The names that `node` gives new arrays, and those that a function returns."""
    if isinstance(node, ast.Return):
        value = node.value
        items = value.elts if isinstance(value, ast.Tuple) else [value]
        yield from (item.id for item in items if isinstance(item, ast.Name))
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        made = isinstance(node.value.func, ast.Name) and node.value.func.id in _MAKES
        if made and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id
