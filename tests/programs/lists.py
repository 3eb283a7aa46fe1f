"""Lists that loops append to, and comprehensions: arrays in the making."""

import numpy as np

from tests.programs import Program, normal, positive


def append_scalars(x):
    out = []
    for i in range(len(x)):
        out.append(np.sin(x[i]) * i)
    return np.sum(np.array(out) * x)


def append_recurrence(x0, n):
    """The list is read while it grows, and after."""
    trajectory = [x0]
    for k in range(n):
        trajectory.append(3.2 * trajectory[-1] * (1.0 - trajectory[k]))
    total = 0.0
    for value in trajectory:
        total += value * value
    return total + trajectory[-1] * len(trajectory) + trajectory[0]


def append_filtered(x, limit):
    kept = []
    for v in x:
        if v > limit:
            kept.append(v * v)
            if v > 1.0:
                kept.append(v)
    kept.append(limit)
    return sum(kept) * len(kept) + max(kept)


def append_two(x, n):
    ts, ys = [0.0], []
    for k in range(1, n, 2):
        ts.append(ts[-1] + x * k)
        ys.append(ts[-1] ** 2)
        ys.append(np.cos(ts[-1]))
    return np.sum(np.array(ys)) * sum(ts)


def append_rows(A, n):
    rows = []
    for i in range(n):
        rows.append(A[i % 2] * (i + 1.0))
    stacked = np.array(rows)
    return np.sum(stacked @ A[0]) + np.sum(np.stack(rows)[-1:] ** 2)


def append_nested(x):
    out = []
    for i in range(len(x)):
        for j in range(i):
            out.append(x[i] * x[j])
        if x[i] > 0.0:
            out.append(x[i])
    return np.sum(np.array(out) ** 2)


def rows_of_rows(x, n):
    table = []
    for i in range(n):
        row = []
        for v in x:
            row.append(v * i)
        table.append(np.array(row))
    return np.sum(np.array(table) ** 2) + np.array(table)[1, 2]


def append_until(x):
    out = []
    for v in x:
        if v < -1.0:
            break
        out.append(np.exp(v))
    return np.sum(np.array(out)) + 1.0


def append_and_pop(x):
    stack = [1.0]
    for v in x:
        stack.append(v)
        if v < 0.0:
            stack.append(stack.pop() * stack.pop())
    return sum(stack) * len(stack)


def in_branch(x, y):
    out = [x]
    if x > y:
        out.append(y * x)
    else:
        out.append(y)
        out.append(x * x)
    return sum(out) * len(out)


def extended(x, n):
    out = [x[0]]
    for i in range(n):
        out.extend([x[i] * i, x[i] ** 2])
        out += (1.0, x[0])
    out.extend(x)
    return sum(out) * out[3]


def preallocated(x, n):
    out = [0.0] * n
    for i in range(n):
        out[i] = x * i + (out[i - 1] if i > 0 else 0.0)
    return sum(out) * out[-1]


def comprehensions(x, n):
    squares = np.array([np.sin(v) * v for v in x])
    total = sum(v * k for k, v in enumerate(x)) + sum([x[i] ** 2 for i in range(n)])
    big = max(abs(v) for v in x) + min([v + 0.1 for v in x])
    return np.sum(squares) * total + big


def filtered_comprehension(x, A):
    kept = [v * row[0] for v, row in zip(x, A) if v > 0.0]
    pairs = np.array([a * b for a in x for b in x[:2]])
    weight = 2.0 if any(v > 1.0 for v in x) or all(v > 0 for v in x) else 0.5
    return sum(kept) * weight + np.sum(pairs) * len(kept)


def comprehension_of_rows(A, c):
    rows = np.array([np.tanh(row * c) for row in A])
    return np.sum(rows @ rows[0]) + sum(r.sum() for r in A)


class Recorder:
    def __init__(self, x):
        self.x = x
        self.log = []

    def step(self):
        self.x = np.sin(self.x) + 0.5
        self.log.append(self.x)


def recorded(x, n):
    r = Recorder(x)
    for _ in range(n):
        r.step()
    return np.mean(np.array(r.log)) * r.x


V = normal(7)
PROGRAMS = [
    Program(append_scalars, (("", (V,)), ("one", (normal(1),)))),
    Program(append_recurrence, (("6", (0.3, 6)), ("0", (0.3, 0)))),
    Program(append_filtered, (("", (V, -0.4)), ("none", (V, 9.0)))),
    Program(append_two, (("9", (0.2, 9)), ("2", (0.2, 2)))),
    Program(append_rows, (("5", (normal(3, 4), 5)),)),
    Program(append_nested, (("", (V,)), ("two", (normal(2),)))),
    Program(rows_of_rows, (("3", (normal(4), 3)),)),
    Program(append_until, (("", (V,)), ("all", (positive(5),)))),
    Program(append_and_pop, (("", (normal(9, seed=3),)),)),
    Program(in_branch, (("long", (0.5, 1.5)), ("short", (1.5, 0.5)))),
    Program(extended, (("2", (V, 2)), ("0", (V, 0)))[:1]),
    Program(preallocated, (("6", (0.7, 6)), ("1", (0.7, 1)))),
    Program(comprehensions, (("", (V, 4)),)),
    Program(filtered_comprehension, (("", (normal(5), normal(5, 2))),)),
    Program(comprehension_of_rows, (("", (normal(3, 4), 0.7)),)),
    Program(recorded, (("6", (0.3, 6)),)),
]
