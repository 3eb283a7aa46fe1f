"""Control flow on data: branches, break, continue, early return, nested loops."""

import math

import numpy as np

from tests.programs import Program, normal


def safe_sqrt(x):
    """The branch that is not taken gives NaN."""
    y = 0.5 * x if x < 0.0 else np.sqrt(x)
    return y * x


def safe_sum(x):
    total = 0.0
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            total += math.log(x[i]) * x[i]
        elif x[i] < -1.0:
            total += math.sqrt(-1.0 - x[i])
        else:
            total -= x[i] ** 2
    return total


def nested_exits(x, limit):
    total = 0.0
    for i in range(x.shape[0]):
        if i % 3 == 2:
            continue
        partial = 1.0
        for j in range(x.shape[1]):
            if x[i, j] < -1.5:
                break
            if j == 1:
                continue
            partial *= x[i, j]
            if total * total > limit:
                return total * partial
        total += np.sin(partial)
    return total


def first_above(x, threshold, s):
    for i in range(x.shape[0]):
        if x[i] > threshold:
            return x[i] * s
        s = s * np.cos(x[i])
    return s


def bisect(a, target):
    """A while loop left by break, whose iterates depend on the data only through the residual."""
    x = 1.0
    k = 0
    while True:
        step = (x * x * x + a * x - target) / (3.0 * x * x + a)
        x = x - step
        k += 1
        if abs(step) < 1e-12 or k > 40:
            break
    return x


def collatz_like(x, n):
    while n > 1:
        if n % 2 == 0:
            n = n // 2
            x = np.sin(x) + 0.1 * n
        else:
            n = 3 * n + 1
            x = 0.5 * x * x
    return x


def early_return(x, flag):
    if flag > 0:
        return np.sum(x * x)
    y = np.exp(x)
    if x[0] > 5.0:
        return y[0] * x[1]
    return np.sum(y)


def writes_in_branches(B, x, k):
    """What each branch saves for the reverse sweep has no size where it was not taken."""
    if k > 2:
        B[0, k] = x
        return np.sin(B)
    B[0, 0] *= x
    return np.sin(B)


def loop_in_branch(x, a, b, k):
    """The reverse sweep of the last statement needs what the loop before it left in b."""
    if k > 3:
        for _ in range(k - 2):
            b[:] = np.sin(b)
            if k > 1:
                a[0] -= x
        a[:-1] = np.sin(b[1:])
    return np.sum(a)


def break_before_rebinding(b, c, n):
    for i in range(n):
        if i > 2:
            break
        b = np.sin(b + c * b[::-1])
    return b


def growing_pieces(x, n):
    """Work arrays whose size is another one in every iteration."""
    s = 0.0
    for i in range(1, n):
        t = np.empty(i)
        for j in range(i):
            t[j] = x[j] * x[j] * s + x[j]
        if i != 2:
            u = np.sin(t) * t
            s += np.sum(u * u) * 0.1
    return s


def recurrent(W, x, n):
    for _ in range(n):
        x = np.tanh(W @ x)
    return x


def shrinking(u):
    while u.shape[0] > 1:
        u = np.sin(u[1:]) * u[:-1]
    return u[0]


WORK = np.linspace(0.1, 0.9, 4)


def placeholders(x, a, B, k):
    """A value that is missing on some paths has the extent of a captured array."""
    row = B[k % B.shape[0]]
    total = x
    for i in range(k + 1):
        total = total + 0.1 * np.sum(WORK * row)
        if i > 2:
            return total, a * 1.2, np.sin(B)
    return np.cos(total), a * x, np.cos(B)


def masked_on_one_path(x, a, k):
    """The extent of what one path returns is not known on the other."""
    for i in range(k):
        if i > 1:
            return x * a[a > 0.0]
    return np.sin(x * a[1:])


PROGRAMS = (
    Program(growing_pieces, (("6", (normal(6), 6)), ("none", (normal(6), 1)))),
    Program(recurrent, (("5", (normal(3, 3), normal(3), 5)), ("0", (normal(3, 3), normal(3), 0)))),
    Program(shrinking, (("5", (normal(5),)), ("2", (normal(2),)))),
    Program(safe_sqrt, (("then", (-0.7,)), ("else", (0.7,)))),
    Program(safe_sum, (("all branches", (np.array([-2.0, -0.5, 0.3, 1.7, -1.2, 2.0, -0.1]),)),)),
    Program(
        nested_exits,
        (
            ("break", (normal(7, 5, seed=4), 1e9)),
            ("return", (normal(7, 5, seed=1), 0.2)),
            ("no row", (normal(0, 5), 1.0)),
            ("no column", (normal(6, 0), 1e9)),
        ),
        wrt=(0,),
    ),
    Program(
        first_above,
        (
            ("found", (np.array([0.1, 0.2, 0.3, 0.9, 0.4, 2.0]), 0.8, 1.3)),
            ("first", (np.array([1.1, 0.2, 0.3]), 0.8, 1.3)),
            ("never", (np.array([0.1, 0.2, 0.3, 0.4, 0.5]), 0.8, 1.3)),
        ),
        wrt=(0, 2),
    ),
    Program(bisect, (("cubic", (2.0, 9.0)),)),
    Program(collatz_like, (("7", (0.4, 7)), ("1", (0.4, 1)))),
    Program(
        early_return,
        (
            ("flag", (normal(5), 1)),
            ("sum", (normal(5), 0)),
            ("big", (np.array([5.5, 0.3, 0.1]), 0)),
        ),
    ),
    Program(
        writes_in_branches,
        (("else", (normal(1, 4), 0.5, 0)), ("then", (normal(1, 4), 0.5, 3))),
    ),
    Program(
        loop_in_branch,
        (
            ("then", (0.5, normal(4), normal(4, seed=1), 7)),
            ("else", (0.5, normal(4), normal(4), 0)),
        ),
    ),
    Program(
        break_before_rebinding,
        (
            ("break", (normal(4), normal(4, seed=1), 7)),
            ("no break", (normal(4), normal(4, seed=1), 2)),
        ),
    ),
    Program(
        placeholders,
        (
            ("end", (0.3, normal(3), normal(1, 4), 1)),
            ("left", (0.3, normal(3), normal(1, 4), 5)),
        ),
    ),
    Program(masked_on_one_path, (("end", (0.3, normal(6), 1)), ("left", (0.3, normal(6), 4)))),
)
