"""Lists and dicts in the frontend: what they hold, and the arrays that loops make of them."""

from __future__ import annotations

import numpy as np
import pytest

from s2s_ad.errors import S2SError
from s2s_ad.frontend import errors, trace
from s2s_ad.ir.text import show
from s2s_ad.ir.types import Type
from tests.frontend.checks import check

X, A, F, N = Type("f64", ("?",)), Type("f64", ("?", "?")), Type("f64"), Type("i64")
V = np.random.default_rng(2).standard_normal(6)
M = np.random.default_rng(3).standard_normal((4, 6))


def methods(x):
    a = [x, 2.0]
    b = a
    a.append(3.0 * x)
    b.insert(1, x * x)
    a.extend([1.0, x])
    del_ = a.pop(0)
    a[1:3] = [7.0, x, 8.0]
    c = a.copy()
    c.reverse()
    c[0] = 100.0
    d = a + c * 2
    d *= 1
    d += (x,)
    return tuple(a), tuple(b), tuple(c), tuple(d), del_, len(d), a == b, a == c


def items_of_items(x):
    grid = [[0.0] * 3 for _ in range(2)]
    grid[0][1] += x
    grid[1] = grid[0]
    grid[1][2] = 5.0 * x
    same = [[0.0]] * 2
    same[0][0] = x
    return grid, same, [row[:] for row in grid], list(zip(*grid))


def dicts(x):
    d = {"a": x, 1: 2.0}
    e = d
    e["b"] = d.pop("a") * 2.0
    d.setdefault("b", 0.0)
    d.setdefault("c", [])
    d["c"].append(x)
    f = {**d, "z": 1.0, **{"b": 5.0}}
    d.update({"q": 3.0}, r=4.0)
    d |= {"s": 6.0}
    names = [k for k in f if isinstance(k, str)]
    squares = {k: v * v for k, v in f.items() if k != "c"}
    return d, f, squares, len(names), "b" in e, e.get("w", x), list(d.values())[0]


def known_lengths(x):
    out = []
    for k in (1, 2, 3):
        out.append(x * k)
    a, b, c = out
    doubled = [2.0 * v for v in out]
    return out, a + b * c, doubled, sum(out), max(out), min(doubled), 2.0 * x in doubled


def run_time_index(x, k):
    weights = [0.5, 0.25, x]
    total = 0.0
    for i in range(len(weights)):
        total += weights[i] * i
    return total + weights[k], ["a", "b"][1]


def grows(x, n):
    out = []
    for i in range(n):
        out.append(x * i)
    first = np.array(out)
    out.append(7.0)
    return first, np.array(out), len(out), out[-1]


def grows_from_some(x, n):
    out = [1, x]
    for i in range(3, n):
        out.append(i)
        out.append(out[-1] + out[0])
    return np.array(out), sum(out), len(out)


def grows_in_steps(n):
    out = []
    for i in range(n, -n, -2):
        out.append(i)
    return np.array(out) * 1.0, len(out)


def filtered(x):
    out, where = [], []
    for i, v in enumerate(x):
        if v < 0.0:
            continue
        out.append(v)
        where.append(i)
        if v > 1.0:
            break
    return np.array(out), np.array(where) * 1.0, len(out)


def triangle(x):
    out = []
    for i in range(len(x)):
        for j in range(i, len(x)):
            if x[i] > x[j]:
                out.append(x[i] - x[j])
        out.append(0.0)
    return np.array(out)


def two_lists(x, n):
    a, b = [], [0.0]
    for i in range(n):
        a.append(b[-1] + x)
        if i % 2 == 0:
            b.append(a[i] * 2.0)
    return np.array(a), np.array(b)


def rows(A):
    out, firsts = [], []
    for row in A:
        scaled = row * 2.0
        scaled[0] = 1.0
        out.append(scaled)
        firsts.append(row[1:])
    return np.array(out), np.stack(firsts, axis=1), np.concatenate(out), np.vstack(out), out[1]


def rows_read_and_written(A):
    out = []
    for row in A:
        out.append(row.copy())
    out[0][1] = 9.0
    last = out[-1]
    last += 1.0
    return np.array(out), last


def lists_of_lists(x, n):
    table = []
    for i in range(n):
        line = []
        for v in x:
            line.append(v + i)
        table.append(line)
    return np.array([sum(line) for line in table])


def comprehensions(x, n):
    a = np.array([i * x[0] for i in range(n)])
    b = np.array([v for v in x if v > 0.0])
    c = np.array([[v * w for w in x] for v in x[:3]]) if False else np.array([v * 2 for v in x])
    i = 5
    total = sum(i * i for i in range(n)) + i
    big = max(v * v for v in x)
    few = any(v > 2.0 for v in x), all(v < 9.0 for v in x)
    return a, b, c, total, big, few


def pairs(x, y):
    out = [a * b for a, b in zip(x, y)]
    nested = [a + b for a in x for b in y if a > b]
    return np.array(out), np.array(nested), len(nested)


def repeated(x, n):
    out = [0.0] * n
    ones = [1] * n
    for i in range(n):
        out[i] = x + ones[i]
        ones[i] += i
    part = out[1:]
    part[0] = 50.0
    return np.array(out), np.array(ones), np.array(part), len(out + part)


def in_branches(x):
    out = [x]
    if x > 0.0:
        out.append(2.0)
    else:
        out.pop()
    return np.array(out), len(out)


def passed_on(x, n):
    out = []
    for i in range(n):
        record(out, x * i)
    return np.array(out)


def record(where, value):
    where.append(value)
    where.append(-value)


def stack_machine(x):
    stack = [0.0]
    for v in x:
        stack.append(v)
        if v > 0.0 and len(stack) > 1:
            b = stack.pop()
            stack.append(stack.pop() * 0.5 + b)
    return np.array(stack), stack[-1]


def while_pops(x, n):
    todo = []
    for i in range(n):
        todo.append(x + i)
    total = 0.0
    while todo:
        total = total * 0.5 + todo.pop()
    return total, len(todo)


def window(x, n):
    last = [0.0, 0.0, 1.0]
    for i in range(n):
        last.append(last.pop(0) * 0.5 + x * i)
    return last, last[0] - last[2]


def in_nested_branches(x, a, c):
    a = a.copy()
    if x > 0.0:
        y = x * x
        if y < 2.0:
            for _ in range(2):
                a[:] = np.sin(a * c)
            out = []
            for v in range(len(a)):  # no equation before the branches knows this extent
                out.append(y * a[v])
            return np.array(out)
    return c * x


PROGRAMS = [
    (window, (0.7, 5)),
    (methods, (0.7,)),
    (items_of_items, (0.7,)),
    (dicts, (0.7,)),
    (known_lengths, (0.7,)),
    (run_time_index, (0.7, 1)),
    (grows, (0.7, 5)),
    (grows, (0.7, -3)),
    (grows_from_some, (0.7, 6)),
    (grows_from_some, (0.7, 0)),
    (grows_in_steps, (5,)),
    (grows_in_steps, (0,)),
    (filtered, (V,)),
    (filtered, (-abs(V) - 0.1,)),
    (triangle, (V,)),
    (two_lists, (0.7, 5)),
    (rows, (M,)),
    (rows_read_and_written, (M,)),
    (comprehensions, (V, 4)),
    (pairs, (V, V[:4])),
    (repeated, (0.7, 5)),
    (in_branches, (0.7,)),
    (in_branches, (-0.7,)),
    (in_nested_branches, (0.7, V, V)),
    (in_nested_branches, (-0.7, V, V)),
    (passed_on, (0.7, 4)),
    (stack_machine, (V,)),
    (while_pops, (0.7, 4)),
]


@pytest.mark.parametrize("fn, args", PROGRAMS, ids=lambda p: getattr(p, "__name__", ""))
def test_program(fn, args) -> None:
    check(fn, *args)


def row_replaced(A):
    out = []
    for row in A:
        out.append(row)
    r = out[0]
    out[0] = A[1]
    return r


def changes_while_iterated(x):
    out = [x, x]
    for v in out:
        if len(out) < 9:
            out.append(v)
    return sum(out)


def float_into_ints(x, n):
    out = [0] * n
    for i in range(n):
        out[i] = x
    return sum(out)


def popped_in_branch_of_objects(x):
    out = [(x, x)]
    if x > 0.0:
        out.pop()
    return out[0]


def of_a_length_found_in_branches(x, a, n):
    out = []
    for i in range(n):
        if x > i:
            y = x * x
            if y < 2.0:
                for v in a[a > y]:
                    out.append(v)
    return np.array(out)


@pytest.mark.parametrize(
    "fn, kind, specs",
    [
        (of_a_length_found_in_branches, errors.GrowthError, [F, X, N]),
        (lists_of_lists, errors.GrowthError, [X, N]),
        (row_replaced, errors.MutationError, [A]),
        (changes_while_iterated, errors.MutationError, [F]),
        (float_into_ints, errors.GrowthError, [F, N]),
        (popped_in_branch_of_objects, errors.PathError, [F]),
    ],
)
def test_refused(fn, kind, specs) -> None:
    with pytest.raises(S2SError) as caught:
        trace(fn, specs)
    assert type(caught.value) is kind, str(caught.value)


def test_one_append_per_iteration_carries_no_length() -> None:
    text = show(trace(grows, [F, N]).func)
    loop = text[text.index("for") :].split("\n")[0]
    assert loop.count("=") <= 2, text
