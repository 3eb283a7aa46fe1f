"""Time stepping with scalars: van der Pol by RK4, the Lotka-Volterra fit, Newton's square root."""

import numpy as np

from tests.programs import Program, positive


def van_der_pol(x, v, mu, dt, n):
    for _ in range(n):
        k1x = v
        k1v = mu * (1.0 - x * x) * v - x
        x2 = x + 0.5 * dt * k1x
        v2 = v + 0.5 * dt * k1v
        k2x = v2
        k2v = mu * (1.0 - x2 * x2) * v2 - x2
        x3 = x + 0.5 * dt * k2x
        v3 = v + 0.5 * dt * k2v
        k3x = v3
        k3v = mu * (1.0 - x3 * x3) * v3 - x3
        x4 = x + dt * k3x
        v4 = v + dt * k3v
        k4x = v4
        k4v = mu * (1.0 - x4 * x4) * v4 - x4
        x = x + dt / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        v = v + dt / 6.0 * (k1v + 2.0 * k2v + 2.0 * k3v + k4v)
    return x * x + 0.5 * v


def rates(hare, lynx, p):
    return p[0] * hare - p[1] * hare * lynx, p[2] * hare * lynx - p[3] * lynx


def lotka_volterra(p, data, substeps):
    """Squared error in logarithms; p holds four rates and the two initial populations."""
    dt = 1.0 / substeps
    hare = p[4]
    lynx = p[5]
    loss = 0.0
    for year in range(data.shape[0]):
        loss += (np.log(hare) - np.log(data[year, 0])) ** 2
        loss += (np.log(lynx) - np.log(data[year, 1])) ** 2
        for _ in range(substeps):
            a1, b1 = rates(hare, lynx, p)
            a2, b2 = rates(hare + 0.5 * dt * a1, lynx + 0.5 * dt * b1, p)
            a3, b3 = rates(hare + 0.5 * dt * a2, lynx + 0.5 * dt * b2, p)
            a4, b4 = rates(hare + dt * a3, lynx + dt * b3, p)
            hare += dt / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
            lynx += dt / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
    return loss


def newton_sqrt(a, tol):
    x = 0.5 * (1.0 + a)
    while abs(x * x - a) > tol:
        x = 0.5 * (x + a / x)
    return x


def newton_steps(a, n):
    """The same with the data's dependence on the iterates kept visible: few, inexact steps."""
    x = a
    k = 0
    while k < n:
        x = 0.5 * (x + a / x)
        k += 1
    return x * k


START = np.array([0.55, 0.028, 0.024, 0.8, 3.0, 4.0])
PELTS = 3.0 + 10.0 * positive(6, 2, seed=1)

PROGRAMS = (
    Program(
        van_der_pol,
        (
            ("8 steps", (1.5, -0.3, 0.8, 0.1, 8)),
            ("no step", (1.5, -0.3, 0.8, 0.1, 0)),
            ("one step", (0.2, 0.7, 1.9, 0.2, 1)),
        ),
    ),
    Program(
        lotka_volterra,
        (("6 years", (START, PELTS, 5)), ("no year", (START, PELTS[:0], 5))),
    ),
    Program(newton_sqrt, (("7", (7.0, 1e-9)), ("no step", (1.0, 0.5))), wrt=(0,)),
    Program(newton_steps, (("5 steps", (7.0, 5)), ("no step", (7.0, 0)))),
)
