"""Is an output right? By a formula where there is one, else by the program in plain Python and its
finite differences along a random direction. All errors are relative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.check import apart
from bench.gradbench import evals
from bench.gradbench.programs import ba, gmm, lstm, nested, small

Input = dict[str, Any]
#: what differences of doubles can confirm
DIFFERENCES = 1e-6


def slope(curve: Callable[[float], np.ndarray], step: float = 1e-3) -> np.ndarray:
    """The derivative at 0: central differences at two steps, extrapolated."""
    wide = (curve(step) - curve(-step)) / (2.0 * step)
    near = (curve(step / 2) - curve(-step / 2)) / step
    return (4.0 * near - wide) / 3.0


def error(module: str, function: str, given: Input, output: Any) -> float:
    """The relative error of an output."""
    return CHECKS[module, function](given, output)


def tolerance(module: str, function: str) -> float:
    """Values and formulas agree to rounding, differences to less; descents stop somewhere."""
    if (module, function) in BY_DIFFERENCES:
        return DIFFERENCES
    return 1e-4 if module in ("particle", "saddle") else 1e-10


def _value(make: Callable[[Input], tuple], fn: Callable) -> Callable[[Input, Any], float]:
    def check(given: Input, output: Any) -> float:
        return apart([np.asarray(output)], [np.asarray(fn(*make(given)))])

    return check


def _gradient(
    make: Callable[[Input], tuple],
    fn: Callable,
    wrt: Sequence[int],
    parts: Callable[[Any], list] = lambda output: [output],
) -> Callable[[Input, Any], float]:
    """Against differences of the plain program."""

    def check(given: Input, output: Any) -> float:
        args, rng = list(make(given)), np.random.default_rng(0)
        found = parts(output)
        directions = [rng.standard_normal(np.shape(args[k])) for k in wrt]

        def curve(t: float) -> np.ndarray:
            moved = list(args)
            for k, v in zip(wrt, directions):
                moved[k] = args[k] + t * v
            return np.asarray(fn(*moved))

        pairs = [np.asarray(g).ravel() * v.ravel() for g, v in zip(found, directions)]
        size = sum(float(np.sum(np.abs(p))) for p in pairs)
        gap = abs(sum(float(np.sum(p)) for p in pairs) - float(slope(curve)))
        if size == 0.0:  # a derivative of exactly zero is right where differences are, too
            return 0.0 if gap == 0.0 else np.inf
        return gap / size

    return check


# --- formulas ------------------------------------------------------------------------------------


def _llsq(given: Input, output: Any) -> float:
    t = np.linspace(-1.0, 1.0, given["n"])
    powers = np.vander(t, len(given["x"]), increasing=True)
    return apart([output], [powers.T @ (powers @ np.array(given["x"]) - np.sign(t))])


def _lse(given: Input, output: Any) -> float:
    x = np.array(given["x"])
    powers = np.exp(x - x.max())
    return apart([output], [powers / powers.sum()])


def _det(given: Input, output: Any) -> float:
    A = np.array(given["A"]).reshape(given["ell"], -1)
    return apart([output], [(np.linalg.det(A) * np.linalg.inv(A).T).ravel()])


def _det_value(given: Input, output: Any) -> float:
    A = np.array(given["A"]).reshape(given["ell"], -1)
    return apart([output], [np.linalg.det(A)])


def _direction(given: Input, output: Any) -> float:
    """Each centroid's distance from the mean of its points."""
    points, centroids = np.array(given["points"]), np.array(given["centroids"])
    nearest = np.concatenate(
        [np.argmin(((part[:, None] - centroids) ** 2).sum(axis=2), axis=1)
         for part in np.array_split(points, len(points) // 100 + 1)]
    )  # fmt: skip
    means = [points[nearest == k].mean(axis=0) for k in range(len(centroids))]
    return apart([output], [centroids - np.array(means)])


def _gmm_value(given: Input, output: Any) -> float:
    return apart([output], [gmm.gmm(*evals._gmm(given)) + evals._gmm_constant(given)])


def _ba_value(given: Input, output: Any) -> float:
    projection, weight = ba.errors(*evals._ba(given))
    found = output["reproj_error"]["elements"], output["w_err"]["element"]
    return apart(found, (projection[0], weight[0]))


def _ba_jacobian(given: Input, output: Any) -> float:
    """Every row that was sent, against differences with respect to its columns; and, since the
    eval wants few rows only, the whole matrix times a vector."""
    args = evals._ba(given)
    starts, columns, values = evals.ba_jacobian(args)()
    short = [np.append(part[:30], part[-1]) for part in (starts, columns, values)]
    sent = apart([output[k] for k in ("rows", "cols", "vals")], short)
    x = np.concatenate([a.ravel() for a in args[:3]])
    v = np.random.default_rng(0).standard_normal(x.size) * np.maximum(np.abs(x), 1e-3)
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    product = np.bincount(rows, values * v[columns])
    ends = np.cumsum([a.size for a in args[:3]])[:2]

    def curve(t: float) -> np.ndarray:
        parts = np.split(x + t * v, ends)
        moved = [p.reshape(a.shape) for p, a in zip(parts, args)]
        return np.concatenate([e.ravel() for e in ba.errors(*moved, *args[3:])])

    return max(sent, apart([product], [slope(curve, 1e-4)]))


def _ht_value(given: Input, output: Any) -> float:
    fn, args, _ = evals._ht(given)
    return apart([output], [fn(*args).ravel()])


def _ht_jacobian(given: Input, output: Any) -> float:
    """J v, for v over theta and, where there are any, the `us` of all points."""
    fn, args, count = evals._ht(given)
    rng = np.random.default_rng(0)
    directions = [rng.standard_normal(a.shape) for a in args[:count]]
    J = np.asarray(output)
    product = J[:, -26:] @ directions[0]
    if count == 2:
        own = np.repeat(directions[1], 3, axis=0)
        product += np.sum(J[:, :2] * own, axis=1)

    def curve(t: float) -> np.ndarray:
        moved = [a + t * v for a, v in zip(args, directions)]
        return fn(*moved, *args[count:]).ravel()

    return apart([product], [slope(curve)])


def _particle(given: Input, output: Any) -> float:
    """The particle meets the origin."""

    def field(x: float, y: float, w: float) -> tuple[float, float]:
        near = (lambda t: nested.potential(x + t, y, w)), (lambda t: nested.potential(x, y + t, w))
        return tuple(float(slope(f)) for f in near)

    return float(np.sqrt(nested.landing(field)(output)))


def _saddle(given: Input, output: Any) -> float:
    return float(np.max(np.abs(output)))


def _lstm_flat(given: Input) -> tuple:
    main, extra, state, sequence = evals._lstm(given)
    return np.concatenate((main.ravel(), extra.ravel())), main.shape, state, sequence


def _lstm_of_flat(flat: np.ndarray, shape: tuple, state: np.ndarray, sequence: np.ndarray) -> float:
    size = shape[0] * shape[1]
    return lstm.lstm(flat[:size].reshape(shape), flat[size:].reshape(3, -1), state, sequence)


def _gmm_parts(output: Any) -> list:
    return [output[name] for name in ("alpha", "mu", "q", "l")]


CHECKS: dict[tuple[str, str], Callable[[Input, Any], float]] = {
    ("hello", "square"): lambda given, output: apart([output], [given**2]),
    ("hello", "double"): lambda given, output: apart([output], [2 * given]),
    ("llsq", "primal"): _value(evals._llsq, small.llsq),
    ("llsq", "gradient"): _llsq,
    ("lse", "primal"): _value(evals._lse, small.lse),
    ("lse", "gradient"): _lse,
    ("ode", "primal"): _value(evals._ode, small.ode),
    ("ode", "gradient"): _gradient(evals._ode, small.ode_last, (0,)),
    ("det", "primal"): _det_value,
    ("det", "gradient"): _det,
    ("kmeans", "cost"): _value(evals._kmeans, small.kmeans),
    ("kmeans", "dir"): _direction,
    ("gmm", "objective"): _gmm_value,
    ("gmm", "jacobian"): _gradient(evals._gmm, gmm.gmm, (0, 1, 2, 3), _gmm_parts),
    ("lstm", "objective"): _value(evals._lstm, lstm.lstm),
    ("lstm", "jacobian"): _gradient(_lstm_flat, _lstm_of_flat, (0,)),
    ("ba", "objective"): _ba_value,
    ("ba", "jacobian"): _ba_jacobian,
    ("ht", "objective"): _ht_value,
    ("ht", "jacobian"): _ht_jacobian,
    **{("particle", modes): _particle for modes in evals.MODES},
    **{("saddle", modes): _saddle for modes in evals.MODES},
}
BY_DIFFERENCES = {
    (m, "jacobian") for m in ("gmm", "lstm", "ba", "ht")
} | {("ode", "gradient")}  # fmt: skip
