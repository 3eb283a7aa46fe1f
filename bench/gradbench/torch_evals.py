"""The evals as one writes them for PyTorch, eager, double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.gradbench import evals
from bench.gradbench.evals import Eval, Prepared

torch.set_default_dtype(torch.float64)


def _tensors(args: tuple) -> list[Any]:
    return [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in args]


def _primal(
    make: Callable[[Any], tuple], fn: Callable, output: Callable = torch.Tensor.tolist
) -> Eval:
    def prepare(given: Any) -> Prepared:
        args = _tensors(make(given))

        def run() -> Any:
            with torch.no_grad():
                return fn(*args)

        return Prepared(run, output)

    return prepare


def _slope(
    make: Callable[[Any], tuple],
    fn: Callable,
    wrt: tuple[int, ...] = (0,),
    output: Callable = lambda r: r[0].tolist(),
) -> Eval:
    def prepare(given: Any) -> Prepared:
        args = _tensors(make(given))
        active = [args[k].requires_grad_() for k in wrt]
        return Prepared(lambda: torch.autograd.grad(fn(*args), active), output)

    return prepare


def llsq(x, n):
    t = -1.0 + torch.arange(n) * 2.0 / (n - 1)
    return 0.5 * torch.sum((torch.sign(t) - torch.vander(t, len(x), increasing=True) @ x) ** 2)


def lse(x):
    top = torch.max(x)
    return top + torch.log(torch.sum(torch.exp(x - top)))


def ode(x, s):
    h = 2.0 / s
    one = torch.ones(1)

    def slope(y):
        return x * torch.cat((one, y[:-1]))

    y = torch.zeros_like(x)
    for _ in range(s):
        k1 = slope(y)
        k2 = slope(y + 0.5 * h * k1)
        k3 = slope(y + 0.5 * h * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return y


def kmeans(points, centroids):
    squares = torch.sum(centroids**2, 1)
    apart = torch.sum(points**2, 1)[:, None] + squares - 2.0 * points @ centroids.T
    return torch.sum(torch.min(apart, 1)[0])


def _kmeans_direction(given: dict) -> Prepared:
    points, centroids = _tensors(evals._kmeans(given))
    centroids.requires_grad_()

    def run() -> torch.Tensor:
        (gradient,) = torch.autograd.grad(kmeans(points, centroids), centroids, create_graph=True)
        (diagonal,) = torch.autograd.grad(torch.sum(gradient), centroids)
        return gradient / diagonal

    return Prepared(run, torch.Tensor.tolist)


def gmm(alpha, mu, q, l, x, gamma, m):  # noqa: E741
    n, d = x.shape
    diagonal = torch.exp(q)
    columns, rows = torch.triu_indices(d, d, 1)
    L = torch.zeros(*q.shape, d)
    L[:, rows, columns] = l
    centred = x[:, None, :] - mu
    product = diagonal * centred + torch.einsum("kij,nkj->nki", L, centred)
    terms = alpha + torch.sum(q, 1) - 0.5 * torch.sum(product**2, 2)
    frobenius = torch.sum(diagonal**2) + torch.sum(l**2)
    prior = m * torch.sum(q) - 0.5 * gamma**2 * frobenius
    total = torch.sum(torch.logsumexp(terms, 1))
    return total - n * torch.logsumexp(alpha, 0) + prior


def _gmm(given: dict) -> Prepared:
    made, constant = _primal(evals._gmm, gmm, float)(given), evals._gmm_constant(given)
    return Prepared(made.run, lambda r: float(r) + constant)


def lstm(main, extra, state, sequence):
    steps, b = sequence.shape
    weights = main.reshape(-1, 2, 4, b)
    now = list(state.reshape(-1, 2, b).unbind())
    total = 0.0
    for t in range(steps - 1):
        x = sequence[t] * extra[0]
        for i, (weight, bias) in enumerate(weights):
            hidden, cell = now[i]
            forget = torch.sigmoid(x * weight[0] + bias[0])
            into = torch.sigmoid(hidden * weight[1] + bias[1])
            out = torch.sigmoid(x * weight[2] + bias[2])
            cell = cell * forget + into * torch.tanh(hidden * weight[3] + bias[3])
            x = out * torch.tanh(cell)
            now[i] = x, cell
        y = x * extra[1] + extra[2]
        total += torch.sum(sequence[t + 1] * (y - torch.log(torch.sum(torch.exp(y)) + 2.0)))
    return -total / ((steps - 1) * b)


EVALS: dict[str, dict[str, Eval]] = {
    "hello": {
        "square": _primal(lambda x: (np.array(float(x)),), lambda x: x * x, float),
        "double": _slope(
            lambda x: (np.array(float(x)),), lambda x: x * x, (0,), lambda r: float(r[0])
        ),
    },
    "llsq": {
        "primal": _primal(evals._llsq, llsq, float),
        "gradient": _slope(evals._llsq, llsq),
    },
    "lse": {"primal": _primal(evals._lse, lse, float), "gradient": _slope(evals._lse, lse)},
    "ode": {
        "primal": _primal(evals._ode, ode),
        "gradient": _slope(evals._ode, lambda x, s: ode(x, s)[-1]),
    },
    "kmeans": {"cost": _primal(evals._kmeans, kmeans, float), "dir": _kmeans_direction},
    "gmm": {
        "objective": _gmm,
        "jacobian": _slope(
            evals._gmm,
            gmm,
            (0, 1, 2, 3),
            lambda r: {n: g.tolist() for n, g in zip(("alpha", "mu", "q", "l"), r)},
        ),
    },
    "lstm": {
        "objective": _primal(evals._lstm, lstm, float),
        "jacobian": _slope(
            evals._lstm, lstm, (0, 1), lambda r: torch.cat([g.ravel() for g in r]).tolist()
        ),
    },
}
