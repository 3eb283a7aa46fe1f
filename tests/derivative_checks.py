"""The properties every program's derivatives must have, checked through the public API."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from s2s_ad import grad, jvp, value_and_grad, vjp
from tests.numerics import (
    DOT_RTOL,
    FD_RTOL,
    assert_jvp,
    assert_like,
    assert_same,
    assert_transposed,
    call,
    finite_difference,
    flat,
    float_arguments,
    leaves,
    noise,
)


class Derivatives:
    """All derivatives of one function under one set of options; specialisations are shared by the
    inputs that it is checked on."""

    def __init__(self, fn, outputs=None, wrt=None, **options: Any) -> None:
        self.fn, self.outputs, self.wrt = fn, outputs, wrt
        self.precise = 1e-12 if options.get("jit", True) else 1e-14
        extra = {} if outputs is None else {"outputs": outputs}
        self.jvp = jvp(fn, wrt=wrt, **extra, **options)
        self.vjp = vjp(fn, wrt=wrt, **extra, **options)
        self.grad = grad(fn, wrt=wrt, **extra, **options)
        self.value_and_grad = value_and_grad(fn, wrt=wrt, **extra, **options)

    def check(self, args: tuple, gradients: bool = True, fd_rtol: float = FD_RTOL) -> None:
        """Forward mode against differences, reverse mode against forward mode, values against
        plain Python, and that no argument changes. `gradients`: grad and value_and_grad too."""
        before = copy.deepcopy(args)
        wrt = float_arguments(args) if self.wrt is None else self.wrt
        value = call(self.fn, args, self.outputs)
        rng = np.random.default_rng(7)
        single = all(np.asarray(leaf).dtype != np.float32 for leaf in leaves(args))
        dot_rtol = DOT_RTOL if single else 1e-5

        v = tuple(noise(args[i], rng) for i in wrt)
        primal, tangent = self.jvp(args, v)
        self._same_value(primal, value)
        assert_like(tangent, primal)
        assert_jvp(tangent, finite_difference(self.fn, args, wrt, v, self.outputs), value, fd_rtol)

        primal, pullback = self.vjp(*args)
        self._same_value(primal, value)
        w = noise(primal, rng)
        first = pullback(w)
        assert_like(first, v)
        assert_transposed(tangent, w, first, v, dot_rtol)
        assert_same(pullback(w), first, self.precise)  # where arrays lie decides the order of sums

        if gradients and flat(value).size == 1 and np.ndim(value) == 0:
            primal, found = self.value_and_grad(*args)
            self._same_value(primal, value)
            assert_transposed(tangent, 1.0, found, v, dot_rtol)
            assert_same(self.grad(*args), found, self.precise)
        assert_same(args, before)

    def _same_value(self, found: Any, expected: Any) -> None:
        assert_same(found, expected, self.precise)
