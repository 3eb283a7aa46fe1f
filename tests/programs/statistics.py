"""Likelihoods: logistic regression and a Gaussian mixture."""

import numpy as np

from tests.programs import Program, normal, rng


def logistic_regression(w, X, y, ridge):
    z = X @ w
    return np.mean(np.log1p(np.exp(-y * z))) + ridge * np.sum(w**2)


def logsumexp(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def gmm(alphas, means, icf, x):
    """The log-likelihood of points under a mixture; icf holds log-diagonals and lower triangles."""
    n, d = x.shape
    k = alphas.shape[0]
    sums = np.sum(icf[:, :d], axis=1)
    total = 0.0
    for i in range(n):
        terms = np.empty(k)
        for c in range(k):
            square = 0.0
            at = d
            centred = x[i] - means[c]
            for row in range(d):
                q = np.exp(icf[c, row]) * centred[row]
                for col in range(row):
                    q += icf[c, at] * centred[col]
                    at += 1
                square += q * q
            terms[c] = alphas[c] + sums[c] - 0.5 * square
        total += logsumexp(terms)
    return total - n * logsumexp(alphas)


def gmm_arrays(logits, means, logstd, x):
    """The diagonal mixture without a loop: broadcasting to [n, k, d] and logsumexp along k."""
    delta = (x[:, None, :] - means[None, :, :]) * np.exp(-logstd)
    terms = logits - np.sum(logstd, axis=1) - 0.5 * np.sum(delta * delta, axis=2)
    top = np.max(terms, axis=1, keepdims=True)
    lse = top[:, 0] + np.log(np.sum(np.exp(terms - top), axis=1))
    return np.sum(lse) - x.shape[0] * logsumexp(logits)


LABELS = np.where(rng(3).random(8) > 0.5, 1.0, -1.0)


def mixture(n: int, k: int, d: int) -> tuple:
    icf = 0.3 * normal(k, d + d * (d - 1) // 2, seed=2)
    return normal(k), normal(k, d, seed=1), icf, normal(n, d, seed=3)


PROGRAMS = (
    Program(logistic_regression, (("8x5", (normal(5), normal(8, 5, seed=1), LABELS, 0.1)),)),
    Program(gmm, (("n6 k5 d3", mixture(6, 5, 3)), ("n5 k1 d1", mixture(5, 1, 1)))),
    Program(
        gmm_arrays,
        (
            (
                "n6 k3 d2",
                (normal(3), normal(3, 2, seed=1), 0.2 * normal(3, 2), normal(6, 2, seed=2)),
            ),
            (
                "n1 k1 d1",
                (normal(1), normal(1, 1, seed=1), 0.2 * normal(1, 1), normal(1, 1, seed=2)),
            ),
        ),
    ),
)
