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

from bench.gradbench.programs import ba, gmm, ht, lstm, nested, small
from s2s_ad import differentiate, grad, jvp, value_and_grad

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
    return _array(given["A"]).reshape(n, n), n


def _det_primal(given: dict) -> Prepared:
    args, call = _det(given), differentiate(small.det, static=("n",))
    return Prepared(lambda: call(*args), float)


def _det_gradient(given: dict) -> Prepared:
    args, call = _det(given), grad(small.det, 0, static=("n",))
    return Prepared(lambda: call(*args), lambda r: r.ravel().tolist())


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


@functools.cache
def _ba_filled() -> Callable:
    """A loop of blocks does not vectorise, so that libm's functions are the faster ones."""
    return differentiate(ba.jacobian, math="scalar")


def ba_jacobian(args: tuple) -> Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Fills the Jacobian, CSR in the same memory each time."""
    p, fill = len(args[2]), _ba_filled()
    starts = np.empty(3 * p + 1, dtype=np.int64)
    columns = np.empty(31 * p, dtype=np.int64)
    found = starts, columns, np.empty(31 * p)

    def run() -> tuple:
        fill(*args, *found)
        return found

    return run


def _ba_jacobian(given: dict) -> Prepared:
    def output(result: tuple) -> dict:
        """The first thirty entries and the last, as the eval wants them."""
        short = [np.append(part[:30], part[-1]).tolist() for part in result]
        return dict(zip(("rows", "cols", "vals"), short))

    return Prepared(ba_jacobian(_ba(given)), output)


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


def ht_jacobian(args: tuple, count: int) -> np.ndarray:
    """The skin's derivatives block by block, then each point's rows. Where there are fewer points
    than vertices, only theirs are looked at. The columns of `us` come first, as in ADBench."""
    parents, relatives, inverses, base, weights, mirrored = args[count : count + 6]
    nearest = args[-2]
    corner = args[-3][nearest] if count == 2 else nearest
    if corner.size < len(base):
        base, weights = base[corner.ravel()], weights[corner.ravel()]
        corner = np.arange(corner.size).reshape(corner.shape)
    rest = base, weights, mirrored, ht.owners(parents)
    skin, slopes = wrap(differentiate, ht.jacobian)(args[0], parents, relatives, inverses, *rest)
    if count == 1:
        rows = wrap(differentiate, ht.simple_rows)(skin, slopes, corner)
    else:
        rows = wrap(differentiate, ht.complicated_rows)(skin, slopes, corner, args[1])
    return rows.reshape(3 * len(rows), -1)


def _ht_jacobian(given: dict) -> Prepared:
    _, args, count = _ht(given)
    return Prepared(lambda: ht_jacobian(args, count), _listed)


# --- particle, saddle: nested --------------------------------------------------------------------


def _partials(fn: Callable, mode: str, at: slice) -> Callable:
    """The values and the gradients of `fn` by the arguments `at`: reverse, or forward, each."""
    wrt = tuple(range(at.start, at.stop))
    if mode == "r":
        return value_and_grad(fn, wrt)

    def both(*args):
        pushed = [jvp(fn, wrt=k)(args, 1.0) for k in wrt]
        return pushed[0][0], tuple([tangent for _, tangent in pushed])

    return both


def _slopes(fn: Callable, mode: str, at: slice) -> Callable:
    both = _partials(fn, mode, at)
    return lambda *args: both(*args)[1]


def _particle(modes: str) -> Eval:
    """The outer derivative's mode, and the inner one's. The descent is compiled with both."""

    @functools.cache
    def descent() -> Callable:
        fall = nested.landing(_slopes(nested.potential, modes[1], slice(0, 2)))
        both = _partials(fall, modes[0], slice(0, 1))
        return differentiate(nested.descend(lambda x: both(*x)))

    def prepare(given: dict) -> Prepared:
        start, run = (float(given["w"]),), descent()
        return Prepared(lambda: run(start)[0], float)

    return prepare


def _saddle(modes: str) -> Eval:
    @functools.cache
    def descent() -> Callable:
        climb = nested.highest(_slopes(nested.saddle, modes[1], slice(2, 4)))
        both = _partials(lambda a, b, c, d: climb(a, b, c, d)[0], modes[0], slice(0, 2))

        def run(c, d):
            a, b = nested.descend(lambda x: both(x[0], x[1], c, d))((c, d))
            _, high_c, high_d = climb(a, b, c, d)
            return a, b, high_c, high_d

        return differentiate(run)

    def prepare(given: dict) -> Prepared:
        start, run = tuple(map(float, given["start"])), descent()
        return Prepared(lambda: run(*start), list)

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
    "det": {"primal": _det_primal, "gradient": _det_gradient},
    "kmeans": {"cost": _plain(_kmeans, small.kmeans), "dir": _kmeans_direction},
    "gmm": {"objective": _gmm_objective, "jacobian": _gmm_gradient},
    "lstm": {"objective": _plain(_lstm, lstm.lstm), "jacobian": _lstm_gradient},
    "ba": {"objective": _ba_objective, "jacobian": _ba_jacobian},
    "ht": {"objective": _ht_objective, "jacobian": _ht_jacobian},
    "particle": {modes: _particle(modes) for modes in MODES},
    "saddle": {modes: _saddle(modes) for modes in MODES},
}
