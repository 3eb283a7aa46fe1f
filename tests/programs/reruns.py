"""Loops inside loops, which the reverse sweep runs again instead of keeping every run's numbers."""

import numpy as np

from tests.programs import Program, normal


def polynomial(c, n):
    """A fit: the inner loop's powers depend on the outer index only."""
    total = 0.0
    for i in range(n):
        t = -1.0 + 0.3 * i
        power = 1.0
        value = 0.0
        for j in range(c.shape[0]):
            value += c[j] * power
            power *= t * c[0]
        total += (value - 0.5) ** 2
    return total


def logistic(r, x0, n):
    """The inner loop carries what is active, and its result counts twice."""
    s = 0.0
    for i in range(n):
        x = x0[i]
        for _ in range(i % 3 + 2):
            x = r * x - r * x * x
        s += x * x0[i] * x
    return s


def until_small(a, tol):
    """A while loop in a loop, with a branch: its trip count is found again as well."""
    s = 0.0
    for i in range(a.shape[0]):
        x = a[i]
        while x * x > tol:
            if x > 0.5:
                x = x * 0.5 - 0.01 * x * x
                s += 0.1
            else:
                x = x * x * 0.9
        s += x * a[i] * a[i]
    return s


def three_deep(a, m):
    s = 0.0
    for i in range(a.shape[0]):
        y = a[i]
        for _ in range(m):
            z = y
            for k in range(i + 1):
                z = z * (1.0 - 0.1 * z) + a[k] * 0.01
            y = y * 0.9 + z * z * 0.1
        s += y * y
    return s


def within_a_branch(a, m):
    s = 0.0
    for i in range(a.shape[0]):
        y = a[i]
        if y > 0.0:
            for _ in range(m):
                y = y * (1.0 - 0.2 * y)
        else:
            y = y * y
        s += y * y * a[i]
    return s


def of_rows_that_change(A, m):
    """What the inner loop reads is overwritten afterwards, and the next iteration reads that."""
    s = 0.0
    for i in range(1, A.shape[0]):
        y = 0.3
        for j in range(m):
            y = y * A[i - 1, j] + 0.1 * y * y
        A[i, 0] = A[i, 0] * y
        s += y * y * A[i, 0]
    return s


def across(c, x, y, C):
    """The second inner loop reads a column of a matrix whose rows are written one after the other:
    after the whole loop the column is another one, so the inner loop cannot be run again on it."""
    total = 0.0
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[i, j] = c[j] * x
        for j in range(C.shape[1]):
            total += np.sin(y + C[j, i])
    return total


def as_it_was(y, z, C):
    """The same for a vector, of which an iteration writes an element and then reads all."""
    for i in range(z.shape[0]):
        for _ in range(2):
            z[i] = y
        for j in range(z.shape[0]):
            C[j, i] += z[j] / (1.5 + y**2)
    return np.sum(C)


def left_early(a, m, limit):
    s = 0.0
    for i in range(a.shape[0]):
        y = 1.0
        for _ in range(m):
            y = y * a[i] + 0.1 * y * y
            if y > limit:
                break
        s += y * y
    return s


def shown(a, m):
    """Output is not repeated: such a loop is not run again."""
    s = 0.0
    for i in range(a.shape[0]):
        y = 1.0
        for j in range(m):
            if j == 7:
                print(i)
            y = y * a[i] + 0.1 * y * y
        s += y * y
    return s


A = np.abs(normal(5)) * 0.5 + 0.1
MIXED = normal(6, seed=3) * 0.5
SQUARE = normal(4, 4, seed=4) * 0.5

PROGRAMS = (
    Program(polynomial, (("3 by 4", (A[:3], 4)), ("no points", (A[:3], 0))), wrt=(0,)),
    Program(logistic, (("5", (0.9, A, 5)), ("0", (0.9, A, 0)))),
    Program(until_small, (("some", (A * 3.0, 0.01)),), wrt=(0,)),
    Program(three_deep, (("3", (A, 3)), ("0", (A, 0)))),
    Program(within_a_branch, (("both", (MIXED, 3)),)),
    Program(of_rows_that_change, (("4", (SQUARE, 4)),)),
    Program(across, (("4x4", (normal(4, seed=5), 0.7, 0.3, SQUARE)),)),
    Program(as_it_was, (("4x4", (0.3, normal(4, seed=6), SQUARE)),)),
    Program(left_early, (("some", (A * 4.0, 5, 2.0)), ("none", (A, 5, 9.0))), wrt=(0,)),
    Program(shown, (("", (A, 4)),)),
)
