"""Python syntax trees: short constructors, and printing with comments."""

from __future__ import annotations

import ast
import functools
import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

with warnings.catch_warnings():  # astor names classes that newer Pythons deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import astor
    except Exception:  # a Python that astor does not know yet
        astor = None

_MARK = "__s2s_line_"
_RAISE = re.compile(r"(raise \w+)\((['\"].*['\"])\)")


def name(text: str) -> ast.expr:
    """`text` is an identifier, or several joined by dots: `np.sin`."""
    first, *rest = text.split(".")
    node: ast.expr = ast.Name(first, ast.Load())
    for part in rest:
        node = ast.Attribute(node, part, ast.Load())
    return node


def call(function: str | ast.expr, *args: ast.expr, **keywords: ast.expr) -> ast.expr:
    function = name(function) if isinstance(function, str) else function
    return ast.Call(function, list(args), [ast.keyword(k, v) for k, v in keywords.items()])


def method(x: ast.expr, attribute: str, *args: ast.expr) -> ast.expr:
    return call(ast.Attribute(x, attribute, ast.Load()), *args)


def constant(value: object) -> ast.expr:
    """A literal that numba and NumPy read alike; negative numbers as `-2.0`."""
    if isinstance(value, complex):
        return call("complex", constant(value.real), constant(value.imag))
    if isinstance(value, float) and math.isnan(value):
        return name("np.nan")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.copysign(1.0, value) < 0:
            return ast.UnaryOp(ast.USub(), constant(-value))
        if value == math.inf:
            return name("np.inf")
    return ast.Constant(value)


def tuple_(items: Sequence[ast.expr]) -> ast.expr:
    return ast.Tuple(list(items), ast.Load())


def subscript(base: ast.expr, index: Sequence[ast.expr]) -> ast.Subscript:
    inner = index[0] if len(index) == 1 else tuple_(index)
    return ast.Subscript(base, inner, ast.Load())


def binary(left: ast.expr, op: type[ast.operator], right: ast.expr) -> ast.expr:
    """`left op right`; adding a negated value or product is a subtraction."""
    if op in (ast.Add, ast.Sub) and (positive := _negated(right)) is not None:
        return ast.BinOp(left, ast.Sub() if op is ast.Add else ast.Add(), positive)
    return ast.BinOp(left, op(), right)


def _negated(node: ast.expr) -> ast.expr | None:
    """What `node` is the negative of, where that is plain to see: `x` for `-x`, `x * y` for
    `-x * y` and `x * -y`. Signs are exact, so nothing is rounded differently."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        if (left := _negated(node.left)) is not None:
            return ast.BinOp(left, node.op, node.right)
        if (right := _negated(node.right)) is not None:
            return ast.BinOp(node.left, node.op, right)
    return None


def compare(left: ast.expr, op: type[ast.cmpop], right: ast.expr) -> ast.expr:
    return ast.Compare(left, [op()], [right])


def boolean(op: type[ast.boolop], *values: ast.expr) -> ast.expr:
    """`a and b and c`, flat."""
    flat: list[ast.expr] = []
    for v in values:
        flat += v.values if isinstance(v, ast.BoolOp) and type(v.op) is op else [v]
    return ast.BoolOp(op(), flat)


def assign(target: ast.expr | str, value: ast.expr) -> ast.stmt:
    target = name(target) if isinstance(target, str) else target
    return ast.Assign([target], value)


def augment(target: ast.expr | str, op: type[ast.operator], value: ast.expr) -> ast.stmt:
    """`target op= value`; `+= -x` is `-= x`."""
    target = name(target) if isinstance(target, str) else target
    merged = binary(target, op, value)
    return ast.AugAssign(target, merged.op, merged.right)


def same(a: Any, b: Any) -> bool:
    """True for equal trees. 1, 1.0 and True are three constants."""
    if type(a) is not type(b):
        return False
    if isinstance(a, ast.AST):
        return all(same(getattr(a, f, None), getattr(b, f, None)) for f in a._fields)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def is_mark(statement: ast.stmt) -> bool:
    """True of a comment or a blank line, as `Lines` makes them."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Name) and value.id.startswith(_MARK)


class Lines:
    """Comments and blank lines, which a syntax tree cannot hold: each is a marker statement that
    `printed` replaces by its text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def statement(self, text: str) -> ast.stmt:
        self.texts.append(text)
        return ast.Expr(name(f"{_MARK}{len(self.texts) - 1}"))

    def comment(self, text: str) -> ast.stmt:
        """`# text`; whatever `text` holds, it stays one comment line."""
        flat = " ".join(text.split())
        return self.statement(f"# {''.join(c for c in flat if c.isprintable())}")

    def docstring(self, text: str) -> ast.stmt:
        safe = text.strip().replace("\\", "\\\\").replace('"""', "'''")
        safe += " " if safe.endswith('"') else ""
        closing = "\n" if "\n" in safe else ""
        return self.statement(f'"""{safe}{closing}"""')

    def printed(self, tree: ast.stmt) -> str:
        """The source text of `tree`, with the marked lines in place."""
        out: list[str] = []
        for line in unparse(tree).splitlines():
            word = line.strip()
            indent = line[: len(line) - len(line.lstrip())]
            if not word.startswith(_MARK):
                out += _wrapped(indent, word)
                continue
            text = self.texts[int(word.removeprefix(_MARK))]
            out += [f"{indent}{part}".rstrip() for part in text.split("\n")]
        return "\n".join(out) + "\n"


def _wrapped(indent: str, line: str) -> list[str]:
    """A long message goes on a line of its own."""
    match = _RAISE.fullmatch(line) if len(indent) + len(line) > 99 else None
    if match is None:
        return [indent + line]
    return [f"{indent}{match[1]}(", f"{indent}    {match[2]}", f"{indent})"]


def unparse(tree: ast.AST) -> str:
    """Printed by astor; by the standard library where astor fails or misprints on this Python."""
    tree = ast.fix_missing_locations(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            text = astor.to_source(tree, pretty_string=_plain_string, pretty_source="".join)
            if same(ast.parse(text).body[0], ast.parse(ast.unparse(tree)).body[0]):
                return text
        except Exception:  # whatever astor trips over, the text below is as good
            pass
    return ast.unparse(tree) + "\n"


def _plain_string(text: str, *args: object, **kwargs: object) -> str:
    return repr(text)


@functools.cache
def is_exception(text: str) -> bool:
    """True for the name of one of Python's own exceptions."""
    import builtins

    found = getattr(builtins, text, None)
    return isinstance(found, type) and issubclass(found, Exception)
