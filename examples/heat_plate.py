"""Which temperatures along the edge of a plate give the wanted temperatures inside?

The plate's steady state is found by Gauss-Seidel sweeps, which update the grid in place: every
point is overwritten with the mean of its neighbours. The gradient runs back through all sweeps.
Run it with `python examples/heat_plate.py`.
"""

import numpy as np
from scipy.optimize import minimize

from s2s_ad import value_and_grad

SIZE, SWEEPS = 24, 200


def relax(plate, sweeps):
    """Gauss-Seidel for the Laplace equation; the edge stays as it is."""
    rows, columns = plate.shape
    for _ in range(sweeps):
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                around = plate[i - 1, j] + plate[i + 1, j] + plate[i, j - 1] + plate[i, j + 1]
                plate[i, j] = 0.25 * around


def mismatch(top, wanted, sweeps):
    """Mean squared difference along the middle row, for a plate that is heated along its top."""
    n = len(top)
    plate = np.zeros((n, n))
    plate[0] = top
    relax(plate, sweeps)
    return np.mean((plate[n // 2] - wanted) ** 2)


def main():
    wanted = np.sin(np.linspace(0.0, np.pi, SIZE)) * 5.0
    fit = minimize(
        value_and_grad(mismatch),
        np.full(SIZE, 20.0),
        args=(wanted, SWEEPS),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 100.0)] * SIZE,
        options={"maxiter": 100},
    )
    off = np.sqrt(fit.fun)
    print(f"middle row within {off:.3f} degrees of what is wanted, after {fit.nfev} gradients")
    print("edge:", " ".join(f"{t:.0f}" for t in fit.x))


if __name__ == "__main__":
    main()
