"""The log-posterior of a Gaussian mixture with a Wishart prior, up to a constant."""

import numpy as np


def logsumexp(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def gmm(alpha, mu, q, l, x, gamma, m):  # noqa: E741
    """`q` are the logarithms of the diagonals, `l` the lower triangles column by column."""
    n, d = x.shape
    k = alpha.shape[0]
    diagonal = np.exp(q)
    heights = alpha + np.sum(q, axis=1)
    term = np.empty(k)
    product = np.empty(d)
    total = 0.0
    for i in range(n):
        for c in range(k):
            for r in range(d):
                product[r] = diagonal[c, r] * (x[i, r] - mu[c, r])
            at = 0
            for s in range(d):
                centred = x[i, s] - mu[c, s]
                for r in range(s + 1, d):
                    product[r] += l[c, at] * centred
                    at += 1
            square = 0.0
            for r in range(d):
                square += product[r] * product[r]
            term[c] = heights[c] - 0.5 * square
        total += logsumexp(term)
    frobenius = np.sum(diagonal * diagonal) + np.sum(l * l)
    prior = m * np.sum(q) - 0.5 * gamma * gamma * frobenius
    return total - n * logsumexp(alpha) + prior
