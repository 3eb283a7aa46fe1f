"""What the tool can evaluate: for each eval, functions from the input's JSON to `Prepared`.

A `Prepared` holds a call that is timed, and what turns its result into the output's JSON. All
derivatives are s2s_ad's; `wrap` compiles them once for the process.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.case import defined
from bench.gradbench.programs import ba, gmm, ht, lstm, nested, small
from s2s_ad import differentiate, grad, jvp

wrap = functools.cache(lambda transformation, *args: transformation(*args))


@dataclass(frozen=True)
class Prepared:
    run: Callable[[], Any]
    output: Callable[[Any], Any]


Eval = Callable[[dict[str, Any]], Prepared]


def _array(values: Any, dtype: type = float) -> np.ndarray:
    return np.ascontiguousarray(np.array(values, dtype=dtype))


def _listed(result: Any) -> Any:
    return result.tolist()


def _plain(make: Callable[[Any], tuple], fn: Callable, wrt: Any = None) -> Eval:
    """The value of a function, or its gradient with respect to `wrt`."""

    def prepare(given: Any) -> Prepared:
        args = make(given)
        call = differentiate(fn) if wrt is None else grad(fn, wrt)
        return Prepared(
            lambda: call(*args), lambda r: _listed(r) if isinstance(r, np.ndarray) else float(r)
        )

    return prepare


# --- one number ----------------------------------------------------------------------------------


def _llsq(given: dict) -> tuple:
    return _array(given["x"]), int(given["n"])


def _lse(given: dict) -> tuple:
    return (_array(given["x"]),)


def _ode(given: dict) -> tuple:
    return _array(given["x"]), int(given["s"])


def _det(given: dict) -> tuple:
    n = int(given["ell"])
    return (_array(given["A"]).reshape(n, n),)


def _det_gradient(given: dict) -> Prepared:
    prepared = _plain(_det, small.det, 0)(given)
    return Prepared(prepared.run, lambda r: r.ravel().tolist())


def _kmeans(given: dict) -> tuple:
    return _array(given["points"]), _array(given["centroids"])


def _kmeans_direction(given: dict) -> Prepared:
    """J over the diagonal of H. H is diagonal: its product with ones, forward over reverse."""
    points, centroids = _kmeans(given)
    second = jvp(grad(small.kmeans, 1), wrt=1)
    ones = np.ones_like(centroids)

    def run() -> np.ndarray:
        gradient, diagonal = second((points, centroids), ones)
        return gradient / diagonal

    return Prepared(run, _listed)


# --- gmm, lstm -----------------------------------------------------------------------------------


def _gmm(given: dict) -> tuple:
    names = ("alpha", "mu", "q", "l", "x")
    arrays = [_array(given[name]) for name in names]
    arrays[3] = arrays[3].reshape(arrays[0].shape[0], -1)
    return (*arrays, float(given["gamma"]), int(given["m"]))


def _gmm_constant(given: dict) -> float:
    """The terms that depend on no parameter."""
    d, k, n, m, gamma = (given[name] for name in ("d", "k", "n", "m", "gamma"))
    freedom = d + m + 1
    gamma_function = 0.25 * d * (d - 1) * math.log(math.pi)
    gamma_function += sum(math.lgamma(0.5 * freedom - 0.5 * j) for j in range(d))
    prior = freedom * d * (math.log(gamma) - 0.5 * math.log(2.0)) - gamma_function
    return k * prior - 0.5 * n * d * math.log(2.0 * math.pi)


def _gmm_objective(given: dict) -> Prepared:
    args, call = _gmm(given), wrap(differentiate, gmm.gmm)
    return Prepared(lambda: call(*args) + _gmm_constant(given), float)


def _gmm_gradient(given: dict) -> Prepared:
    args, call = _gmm(given), wrap(grad, gmm.gmm, (0, 1, 2, 3))
    names = ("alpha", "mu", "q", "l")
    return Prepared(lambda: call(*args), lambda r: {n: g.tolist() for n, g in zip(names, r)})


def _lstm(given: dict) -> tuple:
    names = ("main_params", "extra_params", "state", "sequence")
    return tuple(_array(given[name]) for name in names)


def _lstm_gradient(given: dict) -> Prepared:
    args, call = _lstm(given), wrap(grad, lstm.lstm, (0, 1))
    return Prepared(lambda: call(*args), lambda r: np.concatenate([g.ravel() for g in r]).tolist())


# --- ba, ht: Jacobians ---------------------------------------------------------------------------


def _ba(given: dict) -> tuple:
    n, m, p = given["n"], given["m"], given["p"]
    observed = np.stack((np.arange(p) % n, np.arange(p) % m), axis=1)
    return (
        np.tile(_array(given["cam"]), (n, 1)),
        np.tile(_array(given["x"]), (m, 1)),
        np.full(p, float(given["w"])),
        np.tile(_array(given["feat"]), (p, 1)),
        observed,
    )


def _ba_objective(given: dict) -> Prepared:
    args, call = _ba(given), wrap(differentiate, ba.errors)

    def output(result: tuple) -> dict:
        projection, weight = result
        return {
            "reproj_error": {"elements": projection[0].tolist(), "repeated": len(projection)},
            "w_err": {"element": float(weight[0]), "repeated": len(weight)},
        }

    return Prepared(lambda: call(*args), output)


def ba_jacobian(args: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The Jacobian as CSR. Each pair of rows has the columns of one camera, one point and one
    weight: two gradients, with each observation's camera and point gathered, give all rows."""
    cameras, points, weights, features, observed = args
    camera, point = observed.T
    own = (cameras[camera], points[point], weights, features)
    rows = wrap(grad, ba.seeded, (0, 1, 2))
    n, m, p = len(cameras), len(points), len(weights)
    values = np.empty((p, 2, 15))
    columns = np.empty((p, 2, 15), dtype=np.int64)
    for k in range(2):
        values[:, k, :11], values[:, k, 11:14], values[:, k, 14] = rows(*own, 1.0 - k, float(k))
    columns[:, :, :11] = 11 * camera[:, None, None] + np.arange(11)
    columns[:, :, 11:14] = 11 * n + 3 * point[:, None, None] + np.arange(3)
    columns[:, :, 14] = 11 * n + 3 * m + np.arange(p)[:, None]
    last = wrap(grad, ba.weight_errors, 0)(weights)
    starts = np.concatenate((15 * np.arange(2 * p), 30 * p + np.arange(p + 1)))
    ends = 11 * n + 3 * m + np.arange(p)
    return starts, np.concatenate((columns.ravel(), ends)), np.concatenate((values.ravel(), last))


def _ba_jacobian(given: dict) -> Prepared:
    args = _ba(given)

    def output(result: tuple) -> dict:
        """The first thirty entries and the last, as the eval wants them."""
        short = [np.append(part[:30], part[-1]).tolist() for part in result]
        return dict(zip(("rows", "cols", "vals"), short))

    return Prepared(lambda: ba_jacobian(args), output)


def _ht(given: dict) -> tuple[Callable, tuple, int]:
    """The function, its arguments, and how many of them are differentiated."""
    data, model = given["data"], given["data"]["model"]
    skin = (
        _array(model["parents"], int),
        _array(model["base_relatives"]),
        _array(model["inverse_base_absolutes"]),
        _array(model["base_positions"]),
        _array(model["weights"]),
        bool(model["is_mirrored"]),
    )
    theta = _array(given["theta"])
    measured = (_array(data["correspondences"], int), _array(data["points"]))
    if not given["us"]:
        return ht.simple, (theta, *skin, *measured), 1
    triangles = _array(model["triangles"], int)
    return ht.complicated, (theta, _array(given["us"]), *skin, triangles, *measured), 2


def _ht_objective(given: dict) -> Prepared:
    fn, args, _ = _ht(given)
    call = wrap(differentiate, fn)
    return Prepared(lambda: call(*args), lambda r: r.ravel().tolist())


def ht_jacobian(fn: Callable, args: tuple, count: int) -> np.ndarray:
    """Column by column, forward: each point depends on all of theta, and on its own `us` only,
    so that two columns hold all of their derivatives. Those come first, as in ADBench."""
    columns = wrap(jvp, fn, tuple(range(count)))
    theta = args[0]
    found = []
    if count == 2:
        for k in range(2):
            direction = np.zeros_like(args[1])
            direction[:, k] = 1.0
            found.append(columns(args, (None, direction))[1].ravel())
    for k in range(theta.size):
        direction = np.zeros_like(theta)
        direction[k] = 1.0
        found.append(columns(args, (direction, None)[:count])[1].ravel())
    return np.stack(found, axis=1)


def _ht_jacobian(given: dict) -> Prepared:
    fn, args, count = _ht(given)
    return Prepared(lambda: ht_jacobian(fn, args, count), _listed)


# --- particle, saddle: nested --------------------------------------------------------------------


def _as_function(derivative: Any, *args: float) -> Callable:
    """A derivative's generated source as a function that can be differentiated again."""
    name = derivative.__name__
    return defined(derivative.source(*args), name, {})


@functools.cache
def _field(mode: str) -> Callable:
    at = (1.0, 2.0, 3.0)
    if mode == "r":
        return _as_function(grad(nested.potential, (0, 1)), *at)
    along = _as_function(jvp(nested.potential, wrt=(0, 1)), *at)

    def field(x, y, w):
        return along(x, y, w, 1.0, 0.0)[1], along(x, y, w, 0.0, 1.0)[1]

    return field


@functools.cache
def _uphill(mode: str) -> Callable:
    at = (1.0, 2.0, 3.0, 4.0)
    if mode == "r":
        return _as_function(grad(nested.saddle, (2, 3)), *at)
    along = _as_function(jvp(nested.saddle, wrt=(2, 3)), *at)

    def uphill(a, b, c, d):
        return along(a, b, c, d, 1.0, 0.0)[1], along(a, b, c, d, 0.0, 1.0)[1]

    return uphill


def _particle(modes: str) -> Eval:
    """The outer derivative's mode, and the inner one's."""

    def prepare(given: dict) -> Prepared:
        fall = nested.landing(_field(modes[1]))
        value = differentiate(fall)
        if modes[0] == "r":
            slope = grad(fall)
            gradient = lambda w: (slope(w),)  # noqa: E731
        else:
            along = jvp(fall)
            gradient = lambda w: (along((w,), (1.0,))[1],)  # noqa: E731
        start = (float(given["w"]),)
        return Prepared(lambda: nested.descend(value, gradient, start)[0], float)

    return prepare


def _saddle(modes: str) -> Eval:
    def prepare(given: dict) -> Prepared:
        c, d = map(float, given["start"])
        climb = nested.highest(_uphill(modes[1]))
        climbed = differentiate(climb)
        value = lambda a, b: climbed(a, b, c, d)[0]  # noqa: E731

        def top(a, b, c, d):
            return climb(a, b, c, d)[0]

        if modes[0] == "r":
            slope = grad(top, (0, 1))
            gradient = lambda a, b: slope(a, b, c, d)  # noqa: E731
        else:
            along = jvp(top, wrt=(0, 1))

            def gradient(a, b):
                sides = ((1.0, 0.0), (0.0, 1.0))
                return tuple(along((a, b, c, d), side)[1] for side in sides)

        def run() -> tuple:
            a, b = nested.descend(value, gradient, (c, d))
            return (a, b, *climbed(a, b, c, d)[1:])

        return Prepared(run, list)

    return prepare


MODES = ("rr", "rf", "fr", "ff")
EVALS: dict[str, dict[str, Eval]] = {
    "hello": {
        "square": _plain(lambda x: (float(x),), small.square),
        "double": _plain(lambda x: (float(x),), small.square, 0),
    },
    "llsq": {"primal": _plain(_llsq, small.llsq), "gradient": _plain(_llsq, small.llsq, 0)},
    "lse": {"primal": _plain(_lse, small.lse), "gradient": _plain(_lse, small.lse, 0)},
    "ode": {"primal": _plain(_ode, small.ode), "gradient": _plain(_ode, small.ode_last, 0)},
    "det": {"primal": _plain(_det, small.det), "gradient": _det_gradient},
    "kmeans": {"cost": _plain(_kmeans, small.kmeans), "dir": _kmeans_direction},
    "gmm": {"objective": _gmm_objective, "jacobian": _gmm_gradient},
    "lstm": {"objective": _plain(_lstm, lstm.lstm), "jacobian": _lstm_gradient},
    "ba": {"objective": _ba_objective, "jacobian": _ba_jacobian},
    "ht": {"objective": _ht_objective, "jacobian": _ht_jacobian},
    "particle": {modes: _particle(modes) for modes in MODES},
    "saddle": {modes: _saddle(modes) for modes in MODES},
}
