"""The log-posterior of a Gaussian mixture with a Wishart prior, up to a constant."""

import numpy as np

from s2s_ad import stop_gradient


def logsumexp(x):
    """Over the first axis. What the largest is makes no difference to the result."""
    top = stop_gradient(np.max(x, axis=0))
    return top + np.log(np.sum(np.exp(x - top), axis=0))


def gmm(alpha, mu, q, l, x, gamma, m):  # noqa: E741
    """`q` are the logarithms of the diagonals, `l` the lower triangles column by column."""
    n, d = x.shape
    k = alpha.shape[0]
    diagonal = np.exp(q)
    heights = alpha + np.sum(q, axis=1)
    terms = np.empty((k, n))
    for c in range(k):
        L = np.diag(diagonal[c])
        at = 0
        for s in range(d - 1):
            L[s + 1 :, s] = l[c, at : at + d - 1 - s]
            at += d - 1 - s
        centred = L @ x.T - (L @ mu[c])[:, None]
        terms[c] = heights[c] - 0.5 * np.sum(centred * centred, axis=0)
    frobenius = np.sum(diagonal * diagonal) + np.sum(l * l)
    prior = m * np.sum(q) - 0.5 * gamma * gamma * frobenius
    return np.sum(logsumexp(terms)) - n * logsumexp(alpha) + prior
