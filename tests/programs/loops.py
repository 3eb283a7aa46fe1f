"""Loops in every nesting: else, break with live values, early return, steps, zips, trip counts."""

import math

import numpy as np

from tests.programs import Program


def for_else(x, n, lim):
    s = 0.0
    for i in range(n):
        s = s * 0.9 + x * i
        for _ in range(i):
            s = s + np.sin(s) * 0.1
            if s > lim:
                break
        else:
            s = s * 1.1
            continue
        s = s - 0.5
        if s > 2 * lim:
            break
    else:
        return s * x
    return s + x


def while_else(x, n):
    k = 0
    s = x
    while k < n:
        k += 1
        j = 0
        while j < k:
            j += 1
            if j % 3 == 0:
                continue
            s = s * np.cos(s) + x
            if s < -0.5:
                break
        else:
            s = s + 0.25
        if k == 7:
            return s * s
    else:
        s = s * 2.0
    return s


def break_with_live_values(a, x):
    best = a[0, 0]
    w = x
    for i in range(a.shape[0]):
        row = a[i] * w
        t = 0.0
        for j in range(a.shape[1]):
            for _ in range(2):
                t = t * w + row[j]
                if t > 2.0:
                    break
                w = w * 0.99 + 0.01 * t
            if t > 1.5:
                best = t * w
                break
        else:
            best = best + t
        if best > 8.0:
            return best * w
    return best - w


def rows_and_zips(a, b):
    s = 0.0
    for r, (i, c) in zip(a, enumerate(b)):
        s += r[0] * c * i + np.sum(r)
    for i, (r, c) in enumerate(zip(a, b)):
        s = s * 0.5 + r[-1] * c + i
    for r in reversed(a):
        s = np.sin(s) + r[1]
    for r in a[::-1]:
        s = s + r[0] * s
    for i in reversed(range(1, a.shape[0], 2)):
        s = s * a[i, 0]
    for i in range(a.shape[0] - 1, -1, -2):
        s = s + a[i, 1] ** 2
    for i in range(a.shape[0])[::-1]:
        s = s * 0.9 + b[i] * i
    return s


def steps_at_run_time(x, lo, hi, st):
    s = x[0]
    for i in range(lo, hi, st):
        s = s * 0.7 + x[i] * x[i]
    for i in reversed(range(lo, hi)):
        s = s + np.sin(s) * x[i]
    return s


def trip_count_from_data(x):
    n = int(abs(x[0]) * 5.0)
    s = x[1]
    for _ in range(n):
        s = s * x[0] + x[1]
    m = math.floor(abs(s)) + 1
    for i in range(m):
        s = s * 0.9 + i * x[1]
    return s


def rebound_iterable(b):
    s = 0.0
    for v in b:
        s = s + v * v
        b = b * 0.5
    return s + np.sum(b)


def written_iterable(b):
    s = 0.0
    for v in b:
        s = s + v * v
        b[-1] = b[-1] * 0.5 + v
    return s + np.sum(b)


def index_iterators(a):
    s = 0.0
    for i, j in np.ndindex(a.shape):
        s = s * 0.9 + a[i, j] * (i + 2 * j)
    for (i, j), v in np.ndenumerate(a):
        s += v * v * i
        if j == 1:
            continue
        a[i, j] = s
    for i, j in np.ndindex(2, 2):
        s += a[i, j]
    return s + np.sum(a)


def columns(x, y):
    pts = ((x, y), (y, 2.0), (x * y, 1.0))
    us, vs = zip(*pts)
    s = 0.0
    for u, v in zip(us, vs):
        s = s + u * v
    for k, (u, v) in enumerate(pts, 1):
        s = s * u + v * k
    (a, *b), c = pts[0], pts[1]
    return s + a * sum(b) + c[0]


def return_from_nested_loops(x, n):
    for i in range(n):
        t = x * i
        k = 0
        while True:
            t = t * 0.8 + 0.3
            k += 1
            if t > 5.0:
                return t * x
            for j in range(k):
                if t * j > 3.0:
                    return t + j * x
                if j > 4:
                    break
            if k > i:
                break
        x = x + 0.1 * t
    return x


def neighbours(x):
    s = 0.0
    for i, (a, b) in enumerate(zip(x, x[1:]), 2):
        s += a * b * i
    for a, b, c in zip(x, x[1:], x[2:]):
        s += a * b * c
    for i, v in reversed(list(enumerate((x[0], x[1], 3.0)))):
        s = s * v + i
    return s


def chained_comparisons(x, y):
    s = 0.0
    for _ in range(5):
        if 0.0 < x < y <= 2.0 != x:
            s += x * y
            y = y * 1.3
        elif not (x > y) and (y > 3.0 or x is None):
            s -= y
            x = x * 2.0
        else:
            s = s + 1.0 if s < 2.0 else s * x
    return s


def generous_bound(x):
    for i in range(1000000000):
        x = x * 0.9 + 0.1
        if i * x > 5:
            break
    return x


def names_of_loops(x, n):
    i = -1
    for i in range(n):  # noqa: B007
        x = x * 1.1
    for j in range(3):
        v = x * j
    return x * i + v * j


def rebound_index(x, n):
    s = 0.0
    for i in range(n):
        s += x * i
        i = i * 2
        s += i
    return s


def continue_in_while(x, n):
    k = 0
    s = 0.0
    while k < n:
        k += 1
        if k % 2:
            if k == 5:
                s += 1.0
                continue
            s += x * k
        elif k == 8:
            break
        else:
            x = x * 0.9
            continue
        s = s * x
    return s


A = np.array([[0.5, -0.3, 0.8], [1.2, 0.4, -0.9], [0.7, 0.6, 0.2], [1.0, -0.5, 0.3]])
B = np.array([0.3, 0.2, -0.4, 0.9])
S = np.arange(9) * 0.1

PROGRAMS = (
    Program(
        for_else,
        (
            ("no break", (0.3, 6, 1e9)),
            ("inner", (0.3, 6, 0.8)),
            ("outer", (0.9, 9, 1.0)),
            ("zero", (0.3, 0, 1.0)),
        ),
        wrt=(0,),
    ),
    Program(
        while_else,
        (("5", (0.3, 5)), ("return", (0.3, 9)), ("0", (0.3, 0)), ("break", (-1.3, 9))),
    ),
    Program(
        break_with_live_values,
        (("none", (A, 0.8)), ("return", (A * 3, 1.1)), ("break", (A, 2.5))),
    ),
    Program(rows_and_zips, (("", (A, B)),)),
    Program(
        steps_at_run_time,
        (("3", (S, 1, 8, 3)), ("-2", (S, 8, 1, -2)), ("zero trips", (S, 3, 3, 1))),
    ),
    Program(
        trip_count_from_data,
        (("some", (np.array([0.77, 0.3]),)), ("none", (np.array([0.07, 0.3]),))),
    ),
    Program(rebound_iterable, (("", (B,)),)),
    Program(written_iterable, (("", (B,)),)),
    Program(index_iterators, (("4 by 3", (A,)), ("2 by 2", (A[:2, :2].copy(),)))),
    Program(columns, (("", (0.4, 0.7)),)),
    Program(
        return_from_nested_loops,
        (("7", (0.4, 7)), ("soon", (3.4, 7)), ("0", (0.4, 0)), ("30", (0.4, 30))),
    ),
    Program(neighbours, (("", (B,)),)),
    Program(
        chained_comparisons, (("less", (0.4, 0.7)), ("more", (0.7, 0.4)), ("else", (-1.0, 2.5)))
    ),
    Program(generous_bound, (("", (0.4,)),)),
    Program(names_of_loops, (("3", (0.4, 3)), ("0", (0.4, 0)))),
    Program(rebound_index, (("4", (0.4, 4)),)),
    Program(continue_in_while, (("10", (0.4, 10)), ("6", (0.4, 6)))),
)
