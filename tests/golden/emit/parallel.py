import numpy as np

try:
    from numba import get_num_threads, prange
except ImportError:  # one iteration after the other
    prange = range

    def get_num_threads():
        return 1


def total_value_and_grad(x):
    n = x.shape[0]
    parts = get_num_threads()
    s_parts = np.empty(parts)
    for part in prange(parts):
        first = max(part * n // parts, 0)
        last = (part + 1) * n // parts
        s = 0.0
        for k in range(last - first):
            i = first + k
            t = x[i]
            s += np.sin(t) * t
        s_parts[part] = s
    s = 0.0
    for part in range(parts):
        s += s_parts[part]
    t1 = s + s

    # reverse sweep
    x_bar = np.zeros(n)
    # for i in prange(len(x)):
    for i1 in prange(n):
        # s += np.sin(x[i]) * x[i]
        t2 = x[i1]
        t3 = np.sin(t2)
        x_bar[i1] += t1 * t3 + t1 * t2 * np.cos(t2)
    return s * s, x_bar


import numpy as np

try:
    from numba import get_num_threads, prange
except ImportError:  # one iteration after the other
    prange = range

    def get_num_threads():
        return 1


def stencil_value_and_grad(x):
    n = x.shape[0]
    y = np.zeros(n)
    trips = n - 2
    parts = get_num_threads()
    for part in prange(parts):
        first = max(part * trips // parts, 0)
        last = (part + 1) * trips // parts
        for k in range(last - first):
            i = first + k + 1
            t1 = x[i - 1]
            y[i] = t1 ** 2 + x[i + 1] * x[i]
    y_bar = np.empty(n)
    t2 = 0.0
    for i1 in range(n):
        y1 = y[i1]
        y_bar[i1] = y1 + y1
        t2 += y1 * y1

    # reverse sweep
    x_bar = np.zeros(n)
    trips = n - 2
    t3 = get_num_threads()
    parts = max(min(t3 * 2, trips // 3), 1)
    # for i in prange(1, len(x) - 1):
    for turn in range(2):
        half = (parts + 1 - turn) // 2
        for pair in prange(half):
            part1 = pair * 2 + turn
            first = max(part1 * trips // parts, 0)
            last = (part1 + 1) * trips // parts
            for k in range(last - first):
                i = first + k + 1
                # y[i] = x[i - 1] ** 2 + x[i + 1] * x[i]
                t_bar = y_bar[i]
                t4 = i + 1
                x_bar[i] += t_bar * x[t4]
                x_bar[t4] += t_bar * x[i]
                t5 = i - 1
                x_bar[t5] += t_bar * (2.0 * x[t5])
    return t2, x_bar


import numpy as np

try:
    from numba import get_num_threads, prange
except ImportError:  # one iteration after the other
    prange = range

    def get_num_threads():
        return 1


def matvec_value_and_grad(A, x):
    n = A.shape[0]
    n1 = A.shape[1]
    n2 = x.shape[0]
    y = np.empty(n)
    if not (n <= 0 or n1 <= n2):
        raise IndexError("index out of range for axis 0 of 'x' (line 74: s += A[i, j] * x[j])")
    for i in prange(n):
        s = 0.0
        for j in range(n1):
            s += A[i, j] * x[j]
        y[i] = s
    y_bar = np.empty(n)
    t = 0.0
    for i in range(n):
        y1 = y[i]
        y_bar[i] = y1 + y1
        t += y1 * y1

    # reverse sweep
    A_bar = np.empty((n, n1))
    x_bar = np.zeros(n2)
    work = n * n1
    n2 = x_bar.shape[0]
    size = max(4 * n2, 1)
    parts = max(min(get_num_threads(), work // size), 1)
    x_bar_parts = np.empty((parts, n2))
    # for i in prange(A.shape[0]):
    for part in prange(parts):
        first = max(part * n // parts, 0)
        last = (part + 1) * n // parts
        x_bar1 = np.zeros(n2)
        for i in range(first, last):
            for j in range(n1):
                A_bar[i, j] = 0.0
            # y[i] = s
            s_bar = y_bar[i]
            # for j in range(A.shape[1]):
            for j in range(n1):
                # s += A[i, j] * x[j]
                x_bar1[j] += s_bar * A[i, j]
                A_bar[i, j] += s_bar * x[j]
        x_bar_parts[part] = x_bar1
    # for i in prange(A.shape[0]):
    for part in range(parts):
        for i in range(n2):
            x_bar[i] += x_bar_parts[part, i]
    return t, A_bar, x_bar


import numpy as np

try:
    from numba import get_num_threads, prange
except ImportError:  # one iteration after the other
    prange = range

    def get_num_threads():
        return 1


def chain_grad(x):
    n = x.shape[0]

    # reverse sweep
    # return np.sum(np.sin(x) * np.exp(-x * x))
    x_bar = np.empty(n)
    if n > 7211:
        for i in prange(n):
            x1 = x[i]
            t = -x1
            t1 = np.exp(t * x1)
            t2 = np.sin(x1) * t1
            # return np.sum(np.sin(x) * np.exp(-x * x))
            x_bar1 = t2 * t
            t_bar = t2 * x1
            x_bar[i] = x_bar1 - t_bar + t1 * np.cos(x1)
    else:
        for i in range(n):
            x1 = x[i]
            t3 = -x1
            t4 = np.exp(t3 * x1)
            t5 = np.sin(x1) * t4
            # return np.sum(np.sin(x) * np.exp(-x * x))
            x_bar1 = t5 * t3
            t_bar1 = t5 * x1
            x_bar[i] = x_bar1 - t_bar1 + t4 * np.cos(x1)
    return x_bar
