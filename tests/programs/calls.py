"""Helpers in another module, closures, lambdas, default and keyword arguments, njit callees."""

import functools

import numpy as np

from tests.programs import Program, helpers_elsewhere, normal
from tests.programs.helpers_elsewhere import compiled_norm, smooth


def helper_elsewhere(x, s):
    total = 0.0
    for i in range(x.shape[0]):
        total += smooth(x[i]) * helpers_elsewhere.smooth(s, width=x[i] * x[i] + 1.0)
    return total * helpers_elsewhere.GAIN


def helper_writes(x):
    helpers_elsewhere.normalise(x)
    y = x * 2.0
    helpers_elsewhere.normalise(y, eps=0.5)
    return x * y


def njit_callee(x):
    return compiled_norm(x) * compiled_norm(np.sin(x))


def make_closure(scale, weights):
    offset = {"value": 0.25}

    def closure(x):
        total = offset["value"]
        for i in range(x.shape[0]):
            total += scale * weights[i] * np.cos(x[i])
        return total

    return closure


def lambdas(x, a):
    twice = lambda f, v: f(f(v))  # noqa: E731 - a user's lambda
    shifted = functools.partial(smooth, width=a)
    return np.sum(twice(lambda t: t * a, x)) + shifted(x[0])


PROGRAMS = (
    Program(helper_elsewhere, (("6", (normal(6), 0.6)), ("none", (normal(0), 0.6)))),
    Program(helper_writes, (("5", (normal(5),)),)),
    Program(njit_callee, (("5", (normal(5),)),)),
    Program(make_closure(1.5, normal(6, seed=5)), (("6", (normal(6),)),)),
    Program(lambdas, (("5", (normal(5), 1.7)),)),
)
