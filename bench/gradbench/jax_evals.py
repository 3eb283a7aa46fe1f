"""The evals as one writes them for JAX, double precision, everything under `jit`.

What JAX refuses (a reverse sweep through `while_loop`) is not there.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.gradbench import evals
from bench.gradbench.evals import Eval, Prepared

jax.config.update("jax_enable_x64", True)


def _eval(make: Callable[[Any], tuple], fn: Callable, output: Callable = np.ndarray.tolist) -> Eval:
    """A jitted function of arrays; a call counts until its result is there."""
    call = jax.jit(fn)

    def prepare(given: Any) -> Prepared:
        args = jax.device_put(make(given))
        return Prepared(
            lambda: jax.block_until_ready(call(*args)),
            lambda result: output(jax.tree.map(np.asarray, result)),
        )

    return prepare


def _static(
    make: Callable[[Any], tuple], fn: Callable, output: Callable = np.ndarray.tolist
) -> Eval:
    """The same for a function whose last argument is a static number."""
    call = jax.jit(fn, static_argnums=1)

    def prepare(given: Any) -> Prepared:
        x, number = make(given)
        x = jax.device_put(x)
        return Prepared(
            lambda: jax.block_until_ready(call(x, number)), lambda r: output(np.asarray(r))
        )

    return prepare


def llsq(x, n):
    t = -1.0 + jnp.arange(n) * 2.0 / (n - 1)
    powers = jnp.cumprod(jnp.ones((n, x.shape[0])).at[:, 1:].set(t[:, None]), axis=1)
    return 0.5 * jnp.sum((jnp.sign(t) - powers @ x) ** 2)


def lse(x):
    top = jnp.max(x)
    return top + jnp.log(jnp.sum(jnp.exp(x - top)))


def ode(x, s):
    h = 2.0 / s

    def slope(y):
        return x * jnp.concatenate((jnp.ones(1), y[:-1]))

    def step(y, _):
        k1 = slope(y)
        k2 = slope(y + 0.5 * h * k1)
        k3 = slope(y + 0.5 * h * k2)
        k4 = slope(y + h * k3)
        return y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4), None

    return lax.scan(step, jnp.zeros_like(x), None, length=s)[0]


@functools.cache
def _permutations(n: int) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(list(itertools.permutations(range(n))))
    inversions = sum(
        (table[:, i] > table[:, j]).astype(int) for i in range(n) for j in range(i + 1, n)
    )
    return table, 1.0 - 2.0 * (inversions % 2)


def det(A, n):
    """All products at once: a recursion, unrolled, takes minutes to compile."""
    table, signs = _permutations(n)
    return jnp.sum(signs * jnp.prod(A[np.arange(n), table], axis=1))


def kmeans(points, centroids):
    squares = jnp.sum(centroids**2, axis=1)
    apart = jnp.sum(points**2, axis=1)[:, None] + squares - 2.0 * points @ centroids.T
    return jnp.sum(jnp.min(apart, axis=1))


def kmeans_direction(points, centroids):
    slope = jax.grad(lambda c: kmeans(points, c))
    gradient, diagonal = jax.jvp(slope, (centroids,), (jnp.ones_like(centroids),))
    return gradient / diagonal


def gmm(alpha, mu, q, l, x, gamma, m):  # noqa: E741
    n, d = x.shape
    diagonal = jnp.exp(q)
    columns = np.repeat(np.arange(d), np.arange(d)[::-1])
    rows = np.concatenate([np.arange(c + 1, d) for c in range(d)])
    L = jnp.zeros((*q.shape, d)).at[:, rows, columns].set(l)
    centred = x[:, None, :] - mu
    product = diagonal * centred + jnp.einsum("kij,nkj->nki", L, centred)
    terms = alpha + jnp.sum(q, axis=1) - 0.5 * jnp.sum(product**2, axis=2)
    total = jnp.sum(jax.scipy.special.logsumexp(terms, axis=1))
    frobenius = jnp.sum(diagonal**2) + jnp.sum(l**2)
    prior = m * jnp.sum(q) - 0.5 * gamma**2 * frobenius
    return total - n * jax.scipy.special.logsumexp(alpha) + prior


def lstm(main, extra, state, sequence):
    steps, b = sequence.shape
    weights = main.reshape(-1, 2, 4, b)

    def step(now, pair):
        given, wanted = pair
        x, new = given * extra[0], []
        for (weight, bias), (hidden, cell) in zip(weights, now.reshape(-1, 2, b)):
            forget = jax.nn.sigmoid(x * weight[0] + bias[0])
            into = jax.nn.sigmoid(hidden * weight[1] + bias[1])
            out = jax.nn.sigmoid(x * weight[2] + bias[2])
            cell = cell * forget + into * jnp.tanh(hidden * weight[3] + bias[3])
            x = out * jnp.tanh(cell)
            new += [x, cell]
        y = x * extra[1] + extra[2]
        loss = jnp.sum(wanted * (y - jnp.log(jnp.sum(jnp.exp(y)) + 2.0)))
        return jnp.stack(new), loss

    _, losses = lax.scan(step, state, (sequence[:-1], sequence[1:]))
    return -jnp.sum(losses) / ((steps - 1) * b)


# --- ba, ht --------------------------------------------------------------------------------------


def rotated(r, x):
    square = r @ r
    safe = jnp.where(square == 0.0, 1.0, square)
    angle = jnp.sqrt(safe)
    axis = r / angle
    turned = x * jnp.cos(angle) + jnp.cross(axis, x) * jnp.sin(angle)
    turned += axis * (axis @ x) * (1.0 - jnp.cos(angle))
    return jnp.where(square == 0.0, x + jnp.cross(r, x), turned)


def observation(camera, point, weight, feature):
    at = rotated(camera[:3], point - camera[3:6])
    flat = at[:2] / at[2]
    square = flat @ flat
    scale = camera[6] * (1.0 + camera[9] * square + camera[10] * square**2)
    return weight * (flat * scale + camera[7:9] - feature), 1.0 - weight**2


def ba(cameras, points, weights, features, observed):
    own = cameras[observed[:, 0]], points[observed[:, 1]], weights, features
    return jax.vmap(observation)(*own)


def ba_jacobian(cameras, points, weights, features, observed):
    """The blocks; where they are in the matrix is known beforehand."""
    own = cameras[observed[:, 0]], points[observed[:, 1]], weights, features
    rows, last = jax.vmap(jax.jacrev(observation, (0, 1, 2)))(*own)
    blocks = jnp.concatenate((rows[0], rows[1], rows[2][:, :, None]), axis=2)
    return jnp.concatenate((blocks.ravel(), last[2]))


def _ba_jacobian(given: dict) -> Prepared:
    starts, columns, _ = evals.ba_jacobian(evals._ba(given))()
    values = _eval(evals._ba, ba_jacobian, lambda r: r)(given)

    def output(result: Any) -> dict:
        short = [
            np.append(p[:30], p[-1]).tolist() for p in (starts, columns, values.output(result))
        ]
        return dict(zip(("rows", "cols", "vals"), short))

    return Prepared(values.run, output)


def _ba_output(result: tuple) -> dict:
    projection, weight = result
    return {
        "reproj_error": {"elements": projection[0].tolist(), "repeated": len(projection)},
        "w_err": {"element": float(weight[0]), "repeated": len(weight)},
    }


# --- particle, saddle ----------------------------------------------------------------------------


def potential(at, w):
    first = jnp.sqrt((at[0] - 10.0) ** 2 + (at[1] - 10.0 + w) ** 2)
    return 1.0 / first + 1.0 / jnp.sqrt((at[0] - 10.0) ** 2 + at[1] ** 2)


def landing(gradient):
    def fall(x):
        w = x[0]

        def step(now):
            at, speed = now
            return at + 0.1 * speed, speed - 0.1 * gradient(lambda p: potential(p, w))(at)

        start = jnp.array([0.0, 8.0]), jnp.array([0.75, 0.0])
        # the last step moves without a push, and lands with the speed that it had before
        at, speed = lax.while_loop(lambda now: now[0][1] + 0.1 * now[1][1] > 0.0, step, start)
        at = at + 0.1 * speed
        return (at[0] - at[1] / speed[1] * speed[0]) ** 2

    return fall


def descend(value_and_gradient, start):
    """Steps of GradBench's length."""

    def going(now):
        return ~now[-1] & (jnp.linalg.norm(now[2]) > 1e-5)

    def step(now):
        x, value, gradient, size, count, _ = now
        wider = count == 10
        new = x - size * gradient
        near = jnp.linalg.norm(x - new) <= 1e-5
        new_value, new_gradient = value_and_gradient(new)
        down = new_value < value
        moved = lax.cond(
            ~wider & ~near & down,
            lambda: (new, new_value, new_gradient),
            lambda: (x, value, gradient),
        )
        size = jnp.where(wider, 2.0 * size, jnp.where(down | near, size, 0.5 * size))
        count = jnp.where(wider | ~down, 0, count + 1)
        return (*moved, size, count, ~wider & near)

    first = (start, *value_and_gradient(start), 1e-5, 0, False)
    return lax.while_loop(going, step, first)[0]


def _gradient(mode: str) -> Callable:
    return jax.grad if mode == "r" else jax.jacfwd


def _both(mode: str, fn: Callable) -> Callable:
    if mode == "r":
        return jax.value_and_grad(fn)
    forward = jax.jacfwd(lambda x: (fn(x),) * 2, has_aux=True)
    return lambda x: forward(x)[::-1]


def _particle(modes: str) -> Eval:
    fall = landing(_gradient(modes[1]))
    run = functools.partial(descend, _both(modes[0], fall))
    return _eval(lambda given: (np.array([given["w"]]),), run, lambda r: float(r[0]))


def saddle(x, y):
    return jnp.sum(x**2) - jnp.sum(y**2)


def _saddle(modes: str) -> Eval:
    def run(start):
        def highest(x):
            def low(y):
                return -saddle(x, y)

            return descend(_both(modes[1], low), start)

        def top(x):
            return saddle(x, highest(x))

        x = descend(_both(modes[0], top), start)
        return jnp.concatenate((x, highest(x)))

    return _eval(lambda given: (np.array(given["start"]),), run)


def _gmm_eval(fn: Callable, output: Callable) -> Eval:
    def prepare(given: dict) -> Prepared:
        constant = evals._gmm_constant(given)
        made = _GMM[fn](given)
        return Prepared(made.run, lambda r: output(made.output(r), constant))

    return prepare


_GMM = {
    fn: _eval(evals._gmm, fn, lambda r: r)
    for fn in (gmm, jax.grad(gmm, (0, 1, 2, 3)))
}  # fmt: skip
_gmm_value, _gmm_slope = _GMM


def _named(gradient: tuple, _: float) -> dict:
    return {n: g.tolist() for n, g in zip(("alpha", "mu", "q", "l"), gradient)}


EVALS: dict[str, dict[str, Eval]] = {
    "hello": {
        "square": _eval(lambda x: (float(x),), lambda x: x * x, float),
        "double": _eval(lambda x: (float(x),), jax.grad(lambda x: x * x), float),
    },
    "llsq": {
        "primal": _static(evals._llsq, llsq, float),
        "gradient": _static(evals._llsq, jax.grad(llsq)),
    },
    "lse": {"primal": _eval(evals._lse, lse, float), "gradient": _eval(evals._lse, jax.grad(lse))},
    "ode": {
        "primal": _static(evals._ode, ode),
        "gradient": _static(evals._ode, jax.grad(lambda x, s: ode(x, s)[-1])),
    },
    "det": {
        "primal": _static(evals._det, det, float),
        "gradient": _static(evals._det, jax.grad(det), lambda r: r.ravel().tolist()),
    },
    "kmeans": {
        "cost": _eval(evals._kmeans, kmeans, float),
        "dir": _eval(evals._kmeans, kmeans_direction),
    },
    "gmm": {
        "objective": _gmm_eval(_gmm_value, lambda value, constant: float(value) + constant),
        "jacobian": _gmm_eval(_gmm_slope, _named),
    },
    "lstm": {
        "objective": _eval(evals._lstm, lstm, float),
        "jacobian": _eval(
            evals._lstm,
            jax.grad(lstm, (0, 1)),
            lambda r: np.concatenate([g.ravel() for g in r]).tolist(),
        ),
    },
    "ba": {"objective": _eval(evals._ba, ba, _ba_output), "jacobian": _ba_jacobian},
    "particle": {modes: _particle(modes) for modes in ("fr", "ff")},
    "saddle": {modes: _saddle(modes) for modes in ("fr", "ff")},
}
