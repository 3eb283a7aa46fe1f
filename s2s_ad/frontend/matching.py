"""`match` as the chain of `if`s that it stands for, before anything else sees the syntax tree.

    match p:                              _match_1_0 = p
        case (0, y) if y > 0.0:           if (isinstance(_match_1_0, (tuple, list)) and
            a = y                  →              len(_match_1_0) == 2 and _match_1_0[0] == 0 and
        case _:                                   (y := _match_1_0[1], True)[1] and y > 0.0):
            a = 1.0                           a = y
                                          else:
                                              a = 1.0

A pattern that has no such form stays a `match`, which the fence refuses at the user's line.
"""

from __future__ import annotations

from collections.abc import Iterator

import gast

#: Classes whose only positional pattern is the subject itself.
_WHOLE = frozenset("bool int float str tuple list dict".split())


class Unsupported(Exception):
    """A pattern without an equivalent condition."""


def without_match(tree: gast.AST) -> gast.AST:
    """`tree` with every `match` that can be rewritten as an `if`."""
    return _Rewriter().visit(tree)


class _Rewriter(gast.NodeTransformer):
    def visit_Match(self, node: gast.AST) -> gast.AST | list[gast.AST]:
        self.generic_visit(node)
        subject = f"_match_{node.lineno}_{node.col_offset}"
        try:
            tests = [list(_tests(case.pattern, _name(subject))) for case in node.cases]
        except Unsupported:
            return node
        chain: list[gast.AST] = []
        for case, conditions in reversed(list(zip(node.cases, tests))):
            conditions += [case.guard] if case.guard is not None else []
            test = _all(conditions)
            if isinstance(test, gast.Constant):
                chain = case.body
            else:
                chain = [gast.copy_location(gast.If(test, case.body, chain), case.body[0])]
        first = gast.Assign([_name(subject, gast.Store())], node.subject, None)
        made = [first, *chain]
        for statement in made:
            _locate(statement, node)
        return made


def _locate(statement: gast.AST, node: gast.AST) -> None:
    """New nodes stand where the `match` stands."""
    for inner in gast.walk(statement):
        if not hasattr(inner, "lineno") and "lineno" in getattr(inner, "_attributes", ()):
            gast.copy_location(inner, node)


def _name(name: str, context: gast.AST | None = None) -> gast.AST:
    return gast.Name(name, context or gast.Load(), None, None)


def _constant(value: object) -> gast.AST:
    return gast.Constant(value, None)


def _call(function: str, *args: gast.AST) -> gast.AST:
    return gast.Call(_name(function), list(args), [])


def _compare(left: gast.AST, op: gast.AST, right: gast.AST) -> gast.AST:
    return gast.Compare(left, [op], [right])


def _item(subject: gast.AST, index: gast.AST) -> gast.AST:
    return gast.Subscript(subject, index, gast.Load())


def _bind(name: str, value: gast.AST) -> gast.AST:
    """`(name := value, True)[1]`."""
    walrus = gast.NamedExpr(_name(name, gast.Store()), value)
    return _item(gast.Tuple([walrus, _constant(True)], gast.Load()), _constant(1))


def _all(conditions: list[gast.AST]) -> gast.AST:
    if not conditions:
        return _constant(True)
    return conditions[0] if len(conditions) == 1 else gast.BoolOp(gast.And(), conditions)


def _tests(pattern: gast.AST, subject: gast.AST) -> Iterator[gast.AST]:
    """The conditions, in order, under which `subject` fits; they bind what the pattern names."""
    kind = type(pattern).__name__
    if kind == "MatchValue":
        yield _compare(subject, gast.Eq(), pattern.value)
    elif kind == "MatchSingleton":
        yield _compare(subject, gast.Is(), _constant(pattern.value))
    elif kind == "MatchAs":
        if pattern.pattern is not None:
            yield from _tests(pattern.pattern, subject)
        if pattern.name is not None:
            yield _bind(pattern.name, subject)
    elif kind == "MatchOr":
        yield gast.BoolOp(gast.Or(), [_all(list(_tests(p, subject))) for p in pattern.patterns])
    elif kind == "MatchSequence":
        yield from _sequence(pattern.patterns, subject)
    elif kind == "MatchMapping" and pattern.rest is None:
        yield from _mapping(pattern, subject)
    elif kind == "MatchClass":
        yield from _class(pattern, subject)
    else:
        raise Unsupported


def _sequence(patterns: list[gast.AST], subject: gast.AST) -> Iterator[gast.AST]:
    stars = [k for k, p in enumerate(patterns) if type(p).__name__ == "MatchStar"]
    kinds = gast.Tuple([_name("tuple"), _name("list")], gast.Load())
    yield _call("isinstance", subject, kinds)
    need = _constant(len(patterns) - len(stars))
    yield _compare(_call("len", subject), gast.GtE() if stars else gast.Eq(), need)
    for k, pattern in enumerate(patterns):
        after = len(patterns) - 1 - k
        if k in stars:
            if pattern.name is not None:
                stop = _constant(-after) if after else None
                rest = gast.Slice(_constant(k), stop, None)
                yield _bind(pattern.name, _call("list", _item(subject, rest)))
            continue
        past = bool(stars) and k > stars[0]
        yield from _tests(pattern, _item(subject, _constant(-1 - after if past else k)))


def _mapping(pattern: gast.AST, subject: gast.AST) -> Iterator[gast.AST]:
    yield _call("isinstance", subject, _name("dict"))
    for key, inner in zip(pattern.keys, pattern.patterns):
        yield _compare(key, gast.In(), subject)
        yield from _tests(inner, _item(subject, key))


def _class(pattern: gast.AST, subject: gast.AST) -> Iterator[gast.AST]:
    yield _call("isinstance", subject, pattern.cls)
    positional = getattr(pattern, "patterns", None) or []
    if positional:
        if len(positional) != 1 or getattr(pattern.cls, "id", "") not in _WHOLE:
            raise Unsupported
        yield from _tests(positional[0], subject)
    names = getattr(pattern, "kwd_attrs", None) or []
    for name, inner in zip(names, getattr(pattern, "kwd_patterns", None) or []):
        yield from _tests(inner, gast.Attribute(subject, name, gast.Load()))
