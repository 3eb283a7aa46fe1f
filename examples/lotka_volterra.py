"""Fit the Lotka-Volterra model to the Hudson's Bay lynx and hare pelts, 1900-1920.

The model is a plain RK4 loop; SciPy's L-BFGS gets its exact gradient from s2s_ad.
Run it with `python examples/lotka_volterra.py`; `s2s-ad demo` is the longer version, with a plot.
"""

from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from s2s_ad import differentiate

DATA = Path(__file__).with_name("lynx_hare.csv")
START = np.log([0.4, 0.02, 0.6, 0.02, 20.0, 5.0])


def rates(hare, lynx, alpha, beta, gamma, delta):
    """Time derivatives of both populations."""
    return alpha * hare - beta * hare * lynx, delta * hare * lynx - gamma * lynx


def rk4_step(hare, lynx, dt, alpha, beta, gamma, delta):
    """The populations `dt` years later, by one classical Runge-Kutta step."""
    h1, l1 = rates(hare, lynx, alpha, beta, gamma, delta)
    h2, l2 = rates(hare + dt / 2 * h1, lynx + dt / 2 * l1, alpha, beta, gamma, delta)
    h3, l3 = rates(hare + dt / 2 * h2, lynx + dt / 2 * l2, alpha, beta, gamma, delta)
    h4, l4 = rates(hare + dt * h3, lynx + dt * l3, alpha, beta, gamma, delta)
    hare = hare + dt / 6 * (h1 + 2 * h2 + 2 * h3 + h4)
    lynx = lynx + dt / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
    return hare, lynx


@differentiate
def loss(log_params, pelts, substeps):
    """Mean squared error of the logarithms of the populations, one observation a year."""
    alpha = np.exp(log_params[0])
    beta = np.exp(log_params[1])
    gamma = np.exp(log_params[2])
    delta = np.exp(log_params[3])
    hare = np.exp(log_params[4])
    lynx = np.exp(log_params[5])
    dt = 1.0 / substeps
    error = 0.0
    for year in range(len(pelts)):
        error += np.log(hare / pelts[year, 0]) ** 2 + np.log(lynx / pelts[year, 1]) ** 2
        for _ in range(substeps):
            hare, lynx = rk4_step(hare, lynx, dt, alpha, beta, gamma, delta)
    return error / (2 * len(pelts))


def main():
    pelts = np.loadtxt(DATA, delimiter=",", skiprows=2)[:, 1:].copy()
    fit = minimize(loss.value_and_grad, START, args=(pelts, 50), jac=True, method="L-BFGS-B")
    names = ("alpha", "beta", "gamma", "delta", "hare in 1900", "lynx in 1900")
    print(f"error {loss(START, pelts, 50):.4f} -> {fit.fun:.4f} in {fit.nfev} gradients")
    for name, value in zip(names, np.exp(fit.x)):
        print(f"{name:>13}  {value:8.4f}")


if __name__ == "__main__":
    main()
