"""Objects, lists and dicts together with the rest of the language: match, `in`, `==`, map, del."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from s2s_ad.errors import S2SError
from s2s_ad.frontend import errors, trace
from s2s_ad.ir.types import Type
from tests.frontend.checks import check

F, N, X = Type("f64"), Type("i64"), Type("f64", ("?",))
V = np.array([1.0, 2.0, 3.0])


@dataclass
class Pair:
    x: Any
    y: Any = None


class Bag:
    def __init__(self, items):
        self.items = items

    def __bool__(self):
        return len(self.items) > 2

    def __contains__(self, value):
        return value in self.items

    def __iter__(self):
        return iter(self.items)


def members(x, v):
    items, names = [x[0], x[1]], {"a": x, "b": v}
    out = 1.0 * (v in items) + 2.0 * (3.0 in [1.0, 3.0]) + 4.0 * (x[0] not in items)
    return out + 8.0 * ("a" in names) + 16.0 * ("c" in names) + 32.0 * ((v, [v]) in [(v, [v])])


def appended_members(x, n):
    out = []
    for i in range(n):
        out.append(x[i] * 2)
    return 1.0 * (4.0 in out) + 2.0 * (5.0 in out) + 4.0 * bool(out)


def equal(x, v):
    items, s = [v, 1.0], 0.0
    tests = [
        items == [v, 1.0],
        (v, [v]) == (v, [v]),
        (1, [2]) == (1, [3]),
        items == None,  # noqa: E711
        items != "x",
        {"a": v} == {"a": 2.0},
        items == (v, 1.0),
        Pair(v) == Pair(2.0),
        (v, None) == (2.0, "a"),
    ]
    for k in range(len(tests)):
        if tests[k]:
            s += 2.0**k
    return s


def deleted(x, v):
    items, named, numbers = [v, x[0], x[1]], {"a": v, "b": 2 * v}, [1.0, 2.0, 3.0, 4.0]
    del items[0]
    del named["a"]
    del numbers[1:3]
    return items[0] + named["b"] + sum(numbers) + len(items) + len(named)


def mapped(x, v):
    items = [v, 2 * v, 3.0]
    s = sum(map(lambda t: t * t, items)) + functools.reduce(lambda a, b: a * b, items)  # noqa: C417
    kept = list(filter(lambda t: t > 2, [1.0, 3.0, 4.0]))
    kept.append(v)
    joined = {"a": v} | {"b": 3.0}
    return s + sum(kept) + len(kept) + joined["a"] * joined["b"]


def mapped_rows(x, n):
    out, s = [], 0.0
    for i in range(n):
        out.append(x[i])
    for v in map(lambda t: t * t, out):  # noqa: C417
        s += v
    for i, v in enumerate(out):
        s += i * v
    for v, w in zip(out, x):
        s += v * w
    return s


def matched(x, v):
    s = 0.0
    for thing in ([v, 1.0, 2.0], (v,), {"k": v, "z": 1.0}, Pair(v), 3.0):
        match thing:
            case [a, *rest]:
                s += a + len(rest)
            case {"k": a}:
                s += 10 * a
            case Pair(x=a):
                s += 100 * a
            case _:
                s += 1000
    return s


def bag(x, v):
    b = Bag([x[0], x[1]])
    s = 1.0 if b else 2.0
    s += 10 * bool(b) + 100 * (v in b)
    for item in b:
        s += item
    return s


def in_try(x, v):
    p = Pair(x[0])
    try:
        p.x = p.x * v
        items = [p.x]
        items.append(3.0)
    finally:
        p.x += 1
    return p.x + items[0]


def walrus(x, n):
    items, k = [x[0]], 0
    while (k := k + 1) < n:
        items[0] = items[0] * 2
    return items[0]


def condition_writes(x, n):
    p, s = Pair(0.0), 0.0

    def step():
        p.x = p.x + 1.0
        return p.x

    while step() < n:
        s += p.x
    return s


def rebound_list(x, v):
    items = [v]

    def add(t):
        nonlocal items
        items = items + [t]  # noqa: RUF005

    add(x[0])
    add(x[1])
    return sum(items) + len(items)


def mixed(x, v):
    items = []
    for k in (x, 1):
        items.append(k)
    return items[0][1] + items[1]


def classes(x, v):
    items = [v]
    tests = [type(items) is list, type(Pair(v)) is Pair, type(v) is float, type(x[0]) is float]
    return sum(tests) + 10 * isinstance(items, (list, tuple)) + 20 * (type({}) is dict)


def swapped_fields(x, n):
    u, w = x * 1.0, x * 2.0
    p, both = Pair(u, w), [u, w]
    for _ in range(n):
        p.x[0] = p.x[0] + p.y[0]
        p.x, p.y = p.y, p.x
        both[0][1] = both[0][1] + both[1][1]
        both.reverse()
    return u + 10 * w + 100 * p.x + 1000 * both[0]


def only_there(x, c):
    if c > 0:
        p, q = Pair(x), Pair(2.0)
    x[0] = 50.0
    return p.x[0] + q.x


def list_of_functions(x, v):
    return sum([f(v) for f in [np.sin, lambda t: t * v]])


PROGRAMS = [
    *((fn, (V, 2.0)) for fn in (members, equal, deleted, mapped, matched, bag, in_try, mixed)),
    *((fn, (V, 2.0)) for fn in (rebound_list, classes, list_of_functions, only_there)),
    *((fn, (V, n)) for fn in (appended_members, mapped_rows, swapped_fields) for n in (0, 2, 3)),
    *((fn, (V, n)) for fn in (walrus, condition_writes) for n in (1, 3)),
]


@pytest.mark.parametrize("fn, args", PROGRAMS, ids=lambda p: getattr(p, "__name__", ""))
def test_program(fn, args) -> None:
    check(fn, *args)


def joined_then_joined(x, c):
    a, b = Pair(1.0), Pair(2.0)
    p = a if c > 0 else b
    a.x = x
    q = p if c > 0.5 else b
    return q.x


def joined_in_loop(x, n):
    a, b = Pair(x), Pair(2.0)
    p = a
    for i in range(n):
        if i == 10:
            p = b
        a.x = a.x * 2
    return p.x


def appended_choice(x, n):
    z = x if n > 2 else x * 2
    out = []
    for _ in range(n):
        out.append(z)
    x[0] = 9.0
    return out[0][0]


def appended_in_branch(x, n):
    out, y = [], x * 1.0
    for i in range(n):
        if x[i] > 1:
            out.append(y)
    y[0] = 9.0
    return np.array(out)[0, 0]


def written_between_appends(x, n):
    out, y = [], x * 1.0
    for i in range(n):
        y[0] = i * 1.0
        out.append(y)
    return np.array(out)[0, 0]


def mapped_twice(x, v):
    m = map(lambda t: t * v, [1.0, 2.0])  # noqa: C417
    return sum(m) + sum(m)


def grows_while_enumerated(x, v):
    items = [1.0, 2.0]
    for i, _ in enumerate(items):
        if i < 2:
            items.append(v)
    return len(items)


def gives_an_exception(x, v):
    return ValueError("a")


def kinds_of_items(x, n):
    out = []
    for i in range(n):
        out.append(x if i == 0 else x[0])
    return np.array(out)


@pytest.mark.parametrize(
    "fn, kind, specs",
    [
        (joined_then_joined, errors.AliasError, [F, F]),
        (joined_in_loop, errors.AliasError, [F, N]),
        (appended_choice, errors.AliasError, [X, N]),
        (appended_in_branch, errors.AliasError, [X, N]),
        (written_between_appends, errors.AliasError, [X, N]),
        (mapped_twice, errors.UnsupportedTypeError, [X, F]),
        (grows_while_enumerated, errors.MutationError, [X, F]),
        (gives_an_exception, errors.UnsupportedTypeError, [X, F]),
        (kinds_of_items, errors.PathError, [X, N]),
    ],
)
def test_refused(fn, kind, specs) -> None:
    with pytest.raises(S2SError) as caught:
        trace(fn, specs)
    assert type(caught.value) is kind, str(caught.value)
