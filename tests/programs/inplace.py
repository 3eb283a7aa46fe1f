"""Arrays written in place: recurrences, overwritten values, views, caches, duplicate indices."""

import numpy as np

from tests.programs import Program, normal, positive

x = np.zeros(6)


def running_product(a):
    for i in range(1, a.shape[0]):
        a[i] *= a[i - 1]
    return np.sum(a)


def recurrence(a, x):
    for i in range(1, a.shape[0]):
        a[i] = a[i] + x[i] * x[i - 1]


def coupled_recurrence(a, x):
    for i in range(1, len(a)):
        a[i] = a[i] + x[i] * x[i - 1]
        x[i] = np.sin(a[i]) * x[i]
    return a[-1] * x[-1]


def cache_challenge(z, y):
    x[:] = 2 * y
    z[:] = np.sin(x)


def read_overwrite_read(a, s):
    before = a[2] * a[2]
    a[2] = before * s + a[1]
    a[1] = a[2] * a[2]
    total = before
    for i in range(len(a)):
        old = a[i]
        a[i] = np.cos(old) * s
        total += old * a[i]
        a[i] = 0.0
    return total


def row_view(A, s):
    for i in range(1, A.shape[0]):
        row = A[i]
        above = A[i - 1]
        for j in range(A.shape[1]):
            row[j] = row[j] * s + above[j] * row[j]
        row[0] += s
    return np.sum(A * A)


def slice_view(v, s):
    tail = v[1:]
    tail *= s
    tail[0] = v[0] * tail[0]
    middle = tail[1:-1]
    middle[:] = middle * middle + v[0]
    return np.sum(v * v)


def scatter(h, idx, w, x):
    for k in range(idx.shape[0]):
        h[idx[k]] += w[k] * x[k]


def scatter_nonlinear(h, idx, w):
    for k in range(idx.shape[0]):
        j = idx[k]
        h[j] = h[j] * w[k] + np.sin(h[j])
    return np.sum(h * h)


def work_array(u, n):
    """A local buffer that is written, read and fully overwritten in every iteration."""
    buffer = np.empty(u.shape[0])
    for _ in range(n):
        for i in range(u.shape[0]):
            buffer[i] = u[i] * u[i - 1]
        for i in range(u.shape[0]):
            u[i] = np.sin(buffer[i]) + 0.5 * u[i]
    return u


IDX = np.array([0, 2, 2, 1, 2, 0, 3])


def overlapping_views(x):
    """Two views that overlap, each read while the other is written."""
    a = x[:-1]
    b = x[1:]
    a += b * b
    b *= a
    a[:] = b[::-1]
    return x


def pivoted_lu(A):
    """Rows are swapped in place, as the data have it."""
    n = A.shape[0]
    for k in range(n - 1):
        p = k
        for i in range(k + 1, n):
            if abs(A[i, k]) > abs(A[p, k]):
                p = i
        if p != k:
            row = A[k].copy()
            A[k] = A[p]
            A[p] = row
        for i in range(k + 1, n):
            A[i, k] /= A[k, k]
            A[i, k + 1 :] -= A[i, k] * A[k, k + 1 :]
    return A


def branch_on_an_array(a, n):
    """The condition reads what both sides write."""
    total = 0.0
    for i in range(n):
        k = i % a.shape[0]
        if np.sum(a) < 2.5:
            a[k] = a[k] * a[k] + 0.5
        else:
            a[k] = np.sin(a[k])
        total += a[k]
    return total


def written_in_branches(a, b, n):
    """Neighbours are read, and elements written in different ways, on two sides."""
    for _ in range(n):
        for i in range(1, len(a) - 1):
            if b[i] > 0.0:
                a[i] = a[i - 1] * a[i] * a[i + 1]
            elif b[i] > -1.0:
                a[i] *= a[i + 1]
    return np.sum(a)


def read_before_a_branch(x, a, B, n):
    """What one side needs is computed before the branch from rows that the other side writes."""
    for i in range(n):
        a = np.sin(0.2 * np.sum(B[i]) * a + a[::-1])
        if i % 2 == 0:
            for _ in range(2):
                B[0, i] = np.tanh(x + B[0, i])
                a = np.sin(0.2 * np.sum(B[0]) * a)
        else:
            x = x + 0.1 * np.sum(np.sin(a))
    return x * np.sum(a)


def scaled_columns(s, a, B):
    """The values of `a` after the loop, and in its iterations, are needed by nobody: only their
    tangents are."""
    C = 0.5 * B.T
    for j in range(B.shape[0]):
        a[j] *= s
        C[:j, j] += 0.3 * a[j] * B[j, :j]
    return np.sum(np.sin(C))


PROGRAMS = (
    Program(scaled_columns, (("3x3", (0.7, normal(3), normal(3, 3))),)),
    Program(overlapping_views, (("5", (normal(5),)), ("1", (normal(1),)))),
    Program(pivoted_lu, (("4x4", (normal(4, 4),)),)),
    Program(
        running_product,
        (("7", (positive(7),)), ("1", (positive(1),)), ("zero inside", (np.arange(-2.0, 4.0),))),
    ),
    Program(
        recurrence,
        (("7", (normal(7), normal(7, seed=1))), ("1", (normal(1), normal(1, seed=1)))),
        outputs="a",
    ),
    Program(coupled_recurrence, (("7", (normal(7), normal(7, seed=1))),)),
    Program(cache_challenge, (("6", (normal(6), normal(6, seed=1))),), outputs="z", wrt=(1,)),
    Program(read_overwrite_read, (("6", (normal(6), 0.7)),)),
    Program(row_view, (("5x3", (normal(5, 3), 0.7)), ("1x3", (normal(1, 3), 0.7)))),
    Program(slice_view, (("7", (normal(7), 0.7)),)),
    Program(
        scatter,
        (
            ("duplicates", (normal(4), IDX, normal(7, seed=1), normal(7, seed=2))),
            ("nothing", (normal(4), IDX[:0], normal(0), normal(0))),
        ),
        outputs="h",
    ),
    Program(scatter_nonlinear, (("duplicates", (normal(4), IDX, normal(7, seed=1))),)),
    Program(work_array, (("5 times", (normal(4), 5)), ("never", (normal(4), 0)))),
    Program(branch_on_an_array, (("some", (positive(3), 7)), ("none", (positive(3), 0)))),
    Program(written_in_branches, (("some", (positive(7), normal(7), 4)),)),
    Program(read_before_a_branch, (("some", (0.3, normal(3), normal(4, 4), 4)),)),
)
