"""Which names may be read later: it decides what leaves a branch or goes round a loop."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import gast

Names = frozenset[str]
NONE: Names = frozenset()
SCOPES = (gast.FunctionDef, gast.Lambda)


@functools.lru_cache(maxsize=4096)
def reads(node: gast.AST) -> Names:
    """Names that are read anywhere in `node`, in nested functions too."""
    found = {
        n.id for n in gast.walk(node) if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Load)
    }
    targets = (n.target for n in gast.walk(node) if isinstance(n, gast.AugAssign))
    return frozenset(found | {t.id for t in targets if isinstance(t, gast.Name)})


@functools.lru_cache(maxsize=4096)
def assigned(node: gast.AST) -> Names:
    """Names that `node` binds in its own scope."""
    found: set[str] = set()
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, SCOPES) and item is not node:
            if isinstance(item, gast.FunctionDef):
                found.add(item.name)
            continue
        if isinstance(item, gast.Name) and isinstance(item.ctx, (gast.Store, gast.Del)):
            found.add(item.id)
        if isinstance(item, gast.ExceptHandler) and item.name is not None:
            found.add(getattr(item.name, "id", item.name))
        if isinstance(item, (gast.Import, gast.ImportFrom)):
            found.update((a.asname or a.name.split(".")[0]) for a in item.names)
        if isinstance(item, (gast.ListComp, gast.GeneratorExp, gast.DictComp, gast.SetComp)):
            continue
        stack.extend(gast.iter_child_nodes(item))
    return frozenset(found)


@functools.lru_cache(maxsize=1024)
def captured(node: gast.AST) -> Names:
    """Names that functions nested in `node` read; they may be read whenever these are called."""
    nested = [n for n in gast.walk(node) if isinstance(n, SCOPES) and n is not node]
    return NONE.union(*map(reads, nested), *map(rebinds, nested))


@functools.lru_cache(maxsize=1024)
def rebinds(node: gast.AST) -> Names:
    """The names that a function declares `nonlocal`."""
    found: set[str] = set()
    for stmt in getattr(node, "body", ()) if isinstance(node, gast.FunctionDef) else ():
        for inner in _own_nodes(stmt):
            if isinstance(inner, gast.Nonlocal):
                found.update(inner.names)
    return frozenset(found)


def _own_nodes(node: gast.AST) -> Iterator[gast.AST]:
    """`node` and what is in it, without nested functions."""
    if isinstance(node, SCOPES):
        return
    yield node
    for child in gast.iter_child_nodes(node):
        yield from _own_nodes(child)


def live_before(stmts: Sequence[gast.AST], after: Names, exits: Names) -> Names:
    """The names that may be read from the start of `stmts` on, when `after` may be read after them
    and `exits` after a `break` or `continue`."""
    live = after
    for stmt in reversed(stmts):
        live = _statement(stmt, live, exits)
    return live


def live_after_each(stmts: Sequence[gast.AST], after: Names, exits: Names) -> list[Names]:
    """What `live_before` gives for that which follows each of `stmts`."""
    lives = [after]
    for stmt in reversed(stmts[1:]):
        lives.append(_statement(stmt, lives[-1], exits))
    return lives[::-1]


def _statement(stmt: gast.AST, live: Names, exits: Names) -> Names:
    if isinstance(stmt, gast.If):
        body = live_before(stmt.body, live, exits)
        return reads(stmt.test) | body | live_before(stmt.orelse, live, exits)
    if isinstance(stmt, (gast.For, gast.While)):
        return live_in_loop(stmt, live, exits)
    if isinstance(stmt, (gast.Break, gast.Continue)):
        return exits
    if isinstance(stmt, (gast.Return, gast.Raise)):
        return reads(stmt)
    if isinstance(stmt, gast.With):
        first = NONE.union(*(reads(item) for item in stmt.items))
        return first | live_before(stmt.body, live, exits)
    if isinstance(stmt, (gast.Assign, gast.AnnAssign)):
        targets = stmt.targets if isinstance(stmt, gast.Assign) else [stmt.target]
        plain = set().union(*map(_plain_targets, targets))
        return (live - plain) | reads(stmt)
    return live | reads(stmt)


def _plain_targets(target: gast.AST) -> set[str]:
    if isinstance(target, gast.Name):
        return {target.id}
    if isinstance(target, (gast.Tuple, gast.List)):
        return set().union(*map(_plain_targets, target.elts))
    if isinstance(target, gast.Starred):
        return _plain_targets(target.value)
    return set()


def live_at_head(stmt: gast.AST, after: Names, exits: Names) -> Names:
    """The names that may be read from the head of a loop's body on, in this iteration or later."""
    out = live_before(stmt.orelse, after, exits) | after
    head = NONE
    for _ in range(2):  # a second round sees what the next iteration reads
        around = out | head
        body = live_before(stmt.body, around, around)
        head = head | (body - _loop_targets(stmt)) | _loop_test(stmt)
    return head


def live_in_loop(stmt: gast.AST, after: Names, exits: Names) -> Names:
    head = live_at_head(stmt, after, exits)
    first = reads(stmt.iter) if isinstance(stmt, gast.For) else NONE
    return head | first | after


def _loop_targets(stmt: gast.AST) -> set[str]:
    return _plain_targets(stmt.target) if isinstance(stmt, gast.For) else set()


def _loop_test(stmt: gast.AST) -> Names:
    return reads(stmt.test) if isinstance(stmt, gast.While) else NONE


# --- leaving -------------------------------------------------------------------------------------


def leaves_always(stmts: Sequence[gast.AST]) -> bool:
    """True where the end of `stmts` is never reached: they return, raise, break or continue."""
    for stmt in stmts:
        if isinstance(stmt, (gast.Return, gast.Raise, gast.Break, gast.Continue)):
            return True
        if isinstance(stmt, gast.If) and leaves_always(stmt.body) and leaves_always(stmt.orelse):
            return True
        if isinstance(stmt, gast.With) and leaves_always(stmt.body):
            return True
    return False


def may_leave(stmts: Sequence[gast.AST]) -> bool:
    """True where `stmts` hold a return, break or continue that ends the block they stand in."""
    return any(_leaves(s, in_loop=False) for s in stmts)


def _leaves(node: gast.AST, in_loop: bool) -> bool:
    if isinstance(node, gast.Return):
        return True
    if isinstance(node, (gast.Break, gast.Continue)):
        return not in_loop
    if isinstance(node, (*SCOPES, gast.expr)):
        return False
    if isinstance(node, (gast.For, gast.While)):
        return any(_leaves(s, True) for s in node.body) or any(
            _leaves(s, in_loop) for s in node.orelse
        )
    return any(_leaves(child, in_loop) for child in gast.iter_child_nodes(node))


def has_break(loop: gast.AST) -> bool:
    """True where the loop holds a `break` of its own."""
    return any(_breaks(s) for s in loop.body)


def _breaks(node: gast.AST) -> bool:
    if isinstance(node, gast.Break):
        return True
    if isinstance(node, (*SCOPES, gast.expr)):
        return False
    if isinstance(node, (gast.For, gast.While)):
        return any(map(_breaks, node.orelse))
    return any(_breaks(child) for child in gast.iter_child_nodes(node))
