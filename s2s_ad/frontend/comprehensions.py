"""Comprehensions and generator expressions.

Over items that are known one by one they are evaluated now, item by item. Over what a loop counts
through they are that loop:

    [f(v) for v in x if v > 0.0]        out = []
                                        for v in x:
                                            if v > 0.0:
                                                out.append(f(v))
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gast

from s2s_ad.frontend import containers, iteration, statements
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.expressions import condition, evaluate
from s2s_ad.frontend.flow import conditional
from s2s_ad.frontend.heap import new_dict, new_list
from s2s_ad.frontend.liveness import assigned

#: A comprehension over a known range with at most this many items is evaluated now.
FEW = 32


def comprehension(cx: Context, node: gast.AST) -> Any:
    """The list (or dict) of a comprehension. Its variables are its own."""
    frame, outer = cx.frame, dict(cx.frame.locals)
    targets = frozenset().union(*(assigned(g.target) for g in node.generators))
    is_dict = isinstance(node, gast.DictComp)
    made = new_dict(cx, {}) if is_dict else new_list(cx, ())
    out = f".{node.lineno}_{node.col_offset}"
    frame.locals[out] = made

    def item() -> None:
        if is_dict:
            key, value = evaluate(cx, node.key), evaluate(cx, node.value)
            return containers.set_dict_item(cx, made, key, value)
        return containers.append(cx, made, evaluate(cx, node.elt))

    def run(k: int) -> None:
        if k == len(node.generators):
            return item()
        iterable = evaluate(cx, node.generators[k].iter)
        iteration.spend(cx, iterable)
        items = few(cx, iterable, is_dict)
        if items is None:
            loop = as_loop(node, k, out)
            over = iteration.counted(cx, iterable)
            after = frozenset(frame.locals)
            return statements.counted_loop(cx, loop, over, after, frozenset())
        for value in items:
            statements.bind_target(cx, node.generators[k].target, value)
            filtered(cx, node.generators[k].ifs, lambda: run(k + 1))
        return None

    run(0)
    for name in (*targets, out):
        frame.locals.pop(name, None)
    frame.locals.update({n: outer[n] for n in targets if n in outer})
    return made


def few(cx: Context, iterable: Any, all_of_them: bool) -> list[Any] | None:
    """The items of an iterable, where they are known one by one or few; None for another."""
    items = iteration.known_items(cx, iterable)
    if items is not None:
        return items
    if all_of_them or (isinstance(iterable, range) and len(iterable) <= FEW):
        return iteration.unrolled_items(cx, iterable)
    return None


def filtered(cx: Context, tests: list[gast.AST], rest: Callable[[], None]) -> None:
    """`rest()` where all of the tests hold."""
    if not tests:
        return rest()
    holds = condition(cx, tests[0])
    return conditional(cx, holds, lambda: filtered(cx, tests[1:], rest), lambda: None, None)


@functools.lru_cache(maxsize=1024)
def as_loop(node: gast.AST, k: int, out: str) -> gast.For:
    """The generators from `k` on as a loop that appends to `out`."""
    load = gast.Load()
    append = gast.Attribute(gast.Name(out, load, None, None), "append", load)
    body: gast.AST = gast.Expr(gast.Call(append, [node.elt], []))
    for generator in reversed(node.generators[k:]):
        for test in reversed(generator.ifs):
            body = gast.If(test, [body], [])
        body = gast.For(generator.target, generator.iter, [body], [], None)
    for inner in gast.walk(body):
        if not hasattr(inner, "lineno"):
            gast.copy_location(inner, node.elt)
    return body
