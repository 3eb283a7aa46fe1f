"""`s2s-ad demo`: a predator-prey model fitted to the Hudson's Bay Company's pelt records.

The model is the Lotka-Volterra system, integrated by a plain RK4 loop. Its six unknowns, four rates
and both populations in 1900, are fitted by SciPy's L-BFGS with the gradient that s2s_ad generates.
"""

from __future__ import annotations

import time
from importlib import resources
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from s2s_ad.api import differentiate

NAMES = ("hare growth", "predation", "lynx death", "lynx growth", "hares in 1900", "lynx in 1900")
START = np.log([0.4, 0.02, 0.6, 0.02, 20.0, 5.0])
STEPS = 50


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


def trajectory(log_params: np.ndarray, years: int, per_year: int) -> np.ndarray:
    """Populations over time, shape (years * per_year + 1, 2), for the plot."""
    alpha, beta, gamma, delta, hare, lynx = np.exp(log_params)
    points = [(hare, lynx)]
    for _ in range(years * per_year):
        hare, lynx = rk4_step(hare, lynx, 1.0 / per_year, alpha, beta, gamma, delta)
        points.append((hare, lynx))
    return np.array(points)


def load_pelts() -> tuple[np.ndarray, np.ndarray]:
    """(years, pelts): pelts in thousands, shape (21, 2), hares and lynx."""
    text = resources.files("s2s_ad").joinpath("data/lynx_hare.csv").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line[:1].isdigit()]
    table = np.array([[float(x) for x in row.split(",")] for row in rows])
    return table[:, 0], np.ascontiguousarray(table[:, 1:])


def run(out: Path) -> None:
    """The whole demonstration; writes the generated source and the plot into `out`."""
    start = time.perf_counter()
    years, pelts = load_pelts()
    print(f"data      {len(years)} years of hare and lynx pelts, {years[0]:.0f} to {years[-1]:.0f}")
    print(f"model     Lotka-Volterra, RK4 with {STEPS} steps a year, 6 unknowns")
    print("compile   reading loss(), differentiating it, compiling with numba …", flush=True)
    loss.value_and_grad(START, pelts, STEPS)
    print(f"          {time.perf_counter() - start:.1f} s", flush=True)
    check_gradient(pelts)
    fit = fit_model(pelts)
    print(
        f"result    error {loss(START, pelts, STEPS):.4f} -> {fit.fun:.5f} ({fit.nfev} gradients)"
    )
    for name, value in zip(NAMES, np.exp(fit.x)):
        print(f"          {name:<14}{value:9.4f}")
    typical = 100 * (np.exp(np.sqrt(fit.fun)) - 1)
    print(f"          the fit is off by {typical:.0f} % in a typical year")
    out.mkdir(parents=True, exist_ok=True)
    source = out / "lotka_volterra_gradient.py"
    source.write_text(loss.value_and_grad.source(START, pelts, STEPS), encoding="utf-8")
    print(f"source    {source}")
    draw(years, pelts, fit.x, out / "lotka_volterra_fit.png")
    print(f"done      {time.perf_counter() - start:.1f} s in all")


def check_gradient(pelts: np.ndarray) -> None:
    """Print the gradient beside central differences."""
    gradient = loss.value_and_grad(START, pelts, STEPS)[1]
    step = 1e-5
    differences = [
        (loss(START + step * unit, pelts, STEPS) - loss(START - step * unit, pelts, STEPS))
        / (2 * step)
        for unit in np.eye(len(START))
    ]
    worst = np.max(np.abs(gradient - differences) / np.max(np.abs(gradient)))
    print(f"gradient  agrees with finite differences to {worst:.0e} of its largest entry")
    if worst > 1e-6:
        raise SystemExit("the gradient is wrong; please report this")


def fit_model(pelts: np.ndarray):
    """The fit, with a line of progress every ten iterations."""
    iteration = [0]

    def progress(intermediate_result) -> None:
        iteration[0] += 1
        if iteration[0] % 10 == 1:
            print(f"fit       iteration {iteration[0]:3d}  error {intermediate_result.fun:.5f}")

    return minimize(
        loss.value_and_grad,
        START,
        args=(pelts, STEPS),
        jac=True,
        method="L-BFGS-B",
        callback=progress,
    )


def draw(years: np.ndarray, pelts: np.ndarray, log_params: np.ndarray, path: Path) -> None:
    """A plot of data and fit, where matplotlib is installed."""
    try:
        import matplotlib
    except ImportError:
        print("plot      skipped: matplotlib is not installed (pip install 's2s_ad[demo]')")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    curve = trajectory(log_params, len(years) - 1, STEPS)
    time_axis = np.linspace(years[0], years[-1], len(curve))
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for k, (name, color) in enumerate((("hares", "tab:blue"), ("lynx", "tab:orange"))):
        axes.plot(time_axis, curve[:, k], color=color, label=f"{name}, fitted")
        axes.plot(years, pelts[:, k], "o", color=color, label=f"{name}, recorded")
    axes.set(xlabel="year", ylabel="pelts (thousands)", title="Hudson's Bay Company, 1900-1920")
    axes.set(xticks=years[::4], ylim=(0, 1.25 * pelts.max()))
    axes.legend(ncols=2, loc="upper center")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    print(f"plot      {path}")
