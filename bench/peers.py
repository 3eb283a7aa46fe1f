"""The peers: how each runs a case. A peer is prepared in a process of its own (bench/worker.py).

Each is a function from a problem to `run()`. A gradient's `run` gives the gradients, in the order
of `wrt`, and returns only when they are there; a primal's gives the outputs. `Absent` is raised
where there is no form of the program for the peer; any other exception is its own refusal.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.case import Case
from bench.check import Problem

#: the fastest that keeps nan and inf; s2s_ad itself is measured without, and with (ours-fastmath)
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
#: the variable that names the folder of the other s2s_ad
BEFORE = "S2S_AD_BENCH_AGAINST"
Run = Callable[[], Any]


class Absent(Exception):
    """There is no form of this program for the peer."""


@dataclass(frozen=True)
class Peer:
    name: str
    prepare: Callable[[Problem], Run]
    gradient: bool = True


def _ours(at: Problem, **options: bool) -> Run:
    import s2s_ad

    several = os.environ.get("NUMBA_NUM_THREADS", "1") != "1"  # as --threads says
    make = getattr(s2s_ad, at.case.quantity)
    derivative = make(at.case.objective(), wrt=at.wrt, parallel=several, **options)
    values, both = at.values, at.case.quantity == "value_and_grad"
    return (lambda: derivative(*values)[1]) if both else (lambda: derivative(*values))


def _ours_before(at: Problem) -> Run:
    """What is in the folder that --against names, under this tree's benchmark."""
    folder = os.environ[BEFORE]
    sys.path.insert(0, folder)
    import s2s_ad

    s2s_ad.__path__.append(folder)  # its rules lie beside it, where it is not installed
    return _ours(at)


def _arguments(at: Problem) -> Callable[[], list]:
    """The program's arguments: copies of what it writes to, as a gradient makes them."""
    names = at.case.parameters
    given = [at.arguments[n] for n in names]
    places = [k for k, n in enumerate(names) if n in at.written]

    def fresh() -> list:
        args = list(given)
        for k in places:
            args[k] = args[k].copy()
        return args

    return fresh


def _primal(at: Problem, kernel: Callable) -> Run:
    """Runs a program in place, and gives its outputs."""
    fresh, names, outputs = _arguments(at), at.case.parameters, at.case.outputs
    returns = at.case.returns

    def run() -> tuple:
        args = fresh()
        value = kernel(*args)
        if not outputs:
            return (value,)
        found = dict(zip(names, args))
        found.update(zip(returns, value if len(returns) > 1 else (value,)))
        return tuple(found[name] for name in outputs)

    return run


def _our_primal(at: Problem) -> Run:
    from s2s_ad import differentiate

    return _primal(at, differentiate(at.case.kernel))


def _numpy(at: Problem) -> Run:
    return _primal(at, at.case.kernel)


def _compiled(case: Case, kernel: Callable) -> Callable:
    """`kernel` under numba, and every other function of its module that it may call."""
    from numba import njit

    module = case.module
    compile_ = njit(error_model="numpy", fastmath=FASTMATH)
    for name, value in list(vars(module).items()):
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            setattr(module, name, compile_(value))
    return getattr(module, kernel.__name__)


def _numba(at: Problem) -> Run:
    return _primal(at, _compiled(at.case, at.case.kernel))


def _looped(at: Problem) -> Run:
    if at.case.looped is None:
        raise Absent("no looped form")
    return _primal(at, _compiled(at.case, at.case.looped))


def _by_hand(at: Problem) -> Run:
    derivative = at.case.by_hand
    if derivative is None:
        raise Absent("no gradient by hand")
    values = at.values
    return lambda: derivative(*values)[1]


def _jax_objective(case: Case, form: str) -> Callable:
    import jax.numpy as jnp

    twin = case.twin(form)
    if twin is None:
        raise Absent(f"no {form} form")
    count = len(case.parameters)

    def objective(*values: Any) -> Any:
        results = twin(*values[:count])
        if not case.outputs:
            return results
        results = results if len(case.outputs) > 1 else (results,)
        return sum(jnp.sum(w * r) for w, r in zip(values[count:], results))

    return objective


def _jax(form: str, wrap: Callable[[Callable], Callable] = lambda f: f) -> Callable[[Problem], Run]:
    def prepare(at: Problem) -> Run:
        import jax

        jax.config.update("jax_enable_x64", True)
        objective = wrap(_jax_objective(at.case, form))
        values = at.values
        static = tuple(k for k, v in enumerate(values) if isinstance(v, int))
        transformed = getattr(jax, at.case.quantity)(objective, argnums=at.positions)
        compiled = jax.jit(transformed, static_argnums=static)
        placed = [v if k in static else jax.device_put(v) for k, v in enumerate(values)]
        both = at.case.quantity == "value_and_grad"

        def run() -> Any:
            found = jax.block_until_ready(compiled(*placed))
            return found[1] if both else found

        return run

    return prepare


def _enzyme(at: Problem) -> Run:
    from enzyme_ad.jax import enzyme_jax_ir

    form = "idiomatic" if at.case.twin("idiomatic") else "transliterated"
    return _jax(form, enzyme_jax_ir())(at)


def _torch(at: Problem) -> Run:
    import torch

    twin = getattr(at.case.module, "torch_idiomatic", None)
    if twin is None:
        raise Absent("no torch form")
    count = len(at.case.parameters)
    values = [torch.as_tensor(v) if _is_float(v) else v for v in at.values]

    def run() -> tuple:
        leaves = [values[k].detach().requires_grad_() for k in at.positions]
        args = list(values)
        for k, leaf in zip(at.positions, leaves):
            args[k] = leaf
        results = twin(*args[:count])
        if at.case.outputs:
            results = results if len(at.case.outputs) > 1 else (results,)
            results = sum((w * r).sum() for w, r in zip(args[count:], results))
        return tuple(g.numpy() for g in torch.autograd.grad(results, leaves))

    return run


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"


def _autograd(at: Problem) -> Run:
    import autograd
    import autograd.numpy

    module = at.case.module
    if hasattr(module, "np"):
        module.np = autograd.numpy
    objective = at.case.objective()
    if at.case.outputs:
        objective.__globals__["np"] = autograd.numpy
    transformed = getattr(autograd, at.case.quantity)(objective, at.positions)
    both = at.case.quantity == "value_and_grad"
    return lambda: transformed(*at.fresh())[1] if both else transformed(*at.fresh())


def _tangent(at: Problem) -> Run:
    import tangent

    gradient = tangent.grad(at.case.objective(), wrt=at.positions)

    def run() -> tuple:
        found = gradient(*at.fresh())
        return found if len(at.positions) > 1 else (found,)

    return run


PEERS = {
    peer.name: peer
    for peer in (
        Peer("ours", _ours),
        Peer("ours-fastmath", partial(_ours, fastmath=True)),
        Peer("ours-before", _ours_before),
        Peer("ours-primal", _our_primal, gradient=False),
        Peer("numpy", _numpy, gradient=False),
        Peer("numba", _numba, gradient=False),
        Peer("looped", _looped, gradient=False),
        Peer("by-hand", _by_hand),
        Peer("jax-transliterated", _jax("transliterated")),
        Peer("jax-idiomatic", _jax("idiomatic")),
        Peer("enzyme", _enzyme),
        Peer("torch", _torch),
        Peer("autograd", _autograd),
        Peer("tangent", _tangent),
    )
}
#: shorter names on the command line
GROUPS = {"jax": ("jax-transliterated", "jax-idiomatic"), "primal": ("numba", "looped")}
