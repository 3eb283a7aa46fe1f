"""Logistic regression as it is written in NumPy, with the derivative's source printed.

Run it with `python examples/logistic_regression.py`.
"""

import numpy as np
from scipy.optimize import minimize

from s2s_ad import differentiate


@differentiate
def loss(w, X, y):
    """Mean negative log-likelihood of labels y in {-1, 1}, with a little ridge."""
    margins = y * (X @ w)
    return np.mean(np.logaddexp(0.0, -margins)) + 1e-4 * np.sum(w * w)


def main():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 5))
    truth = np.array([2.0, -1.0, 0.5, 0.0, 1.0])
    y = np.where(X @ truth + rng.logistic(size=500) > 0, 1.0, -1.0)
    print(loss.value_and_grad.source(truth, X, y))
    fit = minimize(loss.value_and_grad, np.zeros(5), args=(X, y), jac=True, method="L-BFGS-B")
    print(f"loss {fit.fun:.4f} after {fit.nfev} gradients")
    print("truth ", np.round(truth, 2))
    print("fitted", np.round(fit.x, 2))


if __name__ == "__main__":
    main()
