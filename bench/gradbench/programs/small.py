"""hello, llsq, lse, ode, kmeans, det."""

import numpy as np


def square(x):
    return x * x


def llsq(x, n):
    """Half the squared distance of a polynomial from sign(t), at n points in [-1, 1]."""
    total = 0.0
    for i in range(n):
        t = -1.0 + i * 2.0 / (n - 1)
        power, value = 1.0, 0.0
        for j in range(x.shape[0]):
            value += x[j] * power
            power *= t
        total += (np.sign(t) - value) ** 2
    return 0.5 * total


def lse(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def slope(x, y, out):
    """y' of the chain y0' = x0, yi' = xi y(i-1)."""
    out[0] = x[0]
    out[1:] = x[1:] * y[:-1]


def ode(x, s):
    """The chain from 0 to 2 by s steps of Runge–Kutta."""
    n = x.shape[0]
    h = 2.0 / s
    y = np.zeros(n)
    k1, k2, k3, k4 = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for _ in range(s):
        slope(x, y, k1)
        slope(x, y + 0.5 * h * k1, k2)
        slope(x, y + 0.5 * h * k2, k3)
        slope(x, y + h * k3, k4)
        y += h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return y


def ode_last(x, s):
    return ode(x, s)[-1]


def kmeans(points, centroids):
    """The sum of squared distances to the nearest centroid."""
    total = 0.0
    for i in range(points.shape[0]):
        closest = np.inf
        for j in range(centroids.shape[0]):
            distance = 0.0
            for c in range(points.shape[1]):
                distance += (points[i, c] - centroids[j, c]) ** 2
            closest = min(closest, distance)
        total += closest
    return total


def det(A):
    """The determinant by expansion along the first row, of every minor likewise: what a recursion
    does, with its stack in arrays. At depth `k` the minor is of the rows from k on and of the
    columns not in use; `column[k]` is where its expansion has got to."""
    n = A.shape[0]
    total = np.zeros(n)
    sign = np.ones(n)
    column = np.zeros(n, dtype=np.int64)
    used = np.zeros(n, dtype=np.int64)
    k = 0
    minor = 0.0
    while k >= 0:
        j = column[k]
        while j < n and used[j] == 1:
            j += 1
        if j == n:
            minor = total[k]
            k -= 1
            if k >= 0:
                j = column[k]
                used[j] = 0
                total[k] += sign[k] * A[k, j] * minor
                sign[k] = -sign[k]
                column[k] = j + 1
        elif k == n - 1:
            total[k] = A[k, j]
            column[k] = n
        else:
            column[k] = j
            used[j] = 1
            k += 1
            total[k], sign[k], column[k] = 0.0, 1.0, 0
    return minor
