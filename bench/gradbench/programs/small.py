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


def slope(x, y):
    """y' of the chain y0' = x0, yi' = xi y(i-1)."""
    out = np.empty_like(y)
    out[0] = x[0]
    out[1:] = x[1:] * y[:-1]
    return out


def ode(x, s):
    """The chain from 0 to 2 by s steps of Runge–Kutta."""
    h = 2.0 / s
    y = np.zeros(x.shape[0])
    for _ in range(s):
        k1 = slope(x, y)
        k2 = slope(x, y + 0.5 * h * k1)
        k3 = slope(x, y + 0.5 * h * k2)
        k4 = slope(x, y + h * k3)
        y = y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return y


def ode_last(x, s):
    return ode(x, s)[-1]


def kmeans(points, centroids):
    """The sum of squared distances to the nearest centroid. What is nearest needs no square of the
    point, which is the same for all."""
    squares = np.sum(centroids * centroids, axis=1)
    nearest = np.argmin(squares - 2.0 * (points @ centroids.T), axis=1)
    return np.sum((points - centroids[nearest]) ** 2)


def minor(A, k, n, left):
    """The determinant of the rows from k on and of the columns `left`, expanded along row k."""
    if k == n - 1:
        return A[k, left[0]]
    total = 0.0
    rest = left[1:].copy()
    for j in range(n - k):
        sign = 1.0 - 2.0 * (j % 2)
        total += sign * A[k, left[j]] * minor(A, k + 1, n, rest)
        if j < n - k - 1:
            rest[j] = left[j]
    return total


def det(A, n):
    """The determinant by expansion by minors: n! products. `n` is static, so that the recursion
    becomes n loops, one in the other."""
    return minor(A, 0, n, np.arange(n))
