"""A reference interpreter: the meaning of the IR, in NumPy, with arrays as values.

It is slow and obvious. Tests hold every pass and the compiled code against it.
"""

from __future__ import annotations

import functools
import logging
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from s2s_ad.ir.core import FIRST, PARALLEL, PROVED, Atom, Eqn, Func, Lit, Region, Var
from s2s_ad.ir.subscript import parse_subscript
from s2s_ad.ir.types import DTYPES, Type

#: The modules that the code of a `perform` equation may name.
PERFORM = {"np": np, "logging": logging, "sys": sys, "warnings": warnings}


class Failed(Exception):
    """An `assert` equation failed; `error` is the name of the exception it stands for."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error


def evaluate(func: Func, args: Sequence[Any]) -> list[Any]:
    """The results of `func` for `args` (scalars or arrays). The arguments are not modified.

    Raises Failed where an `assert` equation does not hold, IndexError for a bad subscript.
    """
    env: dict[Var, Any] = {}
    values = [np.array(a) if p.type.is_array else a for p, a in zip(func.params, args)]
    with np.errstate(all="ignore"):
        return _region(func.body, values, env)


def np_dtype(dtype: str) -> np.dtype:
    return np.dtype(DTYPES[dtype][0].rstrip("_"))


def _cast(value: Any, kind: Type) -> Any:
    """`value` in the dtype of `kind`; scalars as NumPy scalars, so that x / 0 is inf."""
    if kind.is_array:
        return np.asarray(value, dtype=np_dtype(kind.dtype))
    return np_dtype(kind.dtype).type(value)


def _read(env: dict[Var, Any], a: Atom) -> Any:
    return _cast(a.value, a.type) if isinstance(a, Lit) else env[a]


def _region(region: Region, args: Sequence[Any], env: dict[Var, Any]) -> list[Any]:
    for param, arg in zip(region.params, args):
        env[param] = _cast(arg, param.type)
    for eqn in region.eqns:
        outs = _eqn(eqn, env)
        for out, value in zip(eqn.outs, outs):
            env[out] = _cast(value, out.type)
    return [_read(env, a) for a in region.results]


def _eqn(eqn: Eqn, env: dict[Var, Any]) -> Sequence[Any]:
    ins = [_read(env, a) for a in eqn.ins]
    if eqn.prim == "if":
        return _region(eqn.regions[0 if ins[0] else 1], (), env)
    if eqn.prim == "for":
        return _for(eqn, ins, env)
    if eqn.prim == "while":
        cond, body = eqn.regions
        while _region(cond, ins, env)[0]:
            ins = _region(body, ins, env)
        return ins
    if eqn.prim == "inside":
        if not np.all((ins[0] >= -ins[1]) & (ins[0] < ins[1])):
            raise Failed("IndexError", eqn.params["what"])
        return ()
    if eqn.prim == "assert":
        if not ins[0]:
            raise Failed(eqn.params["error"], eqn.params["message"])
        return ()
    if eqn.prim == "perform":
        names = {f"_{k}": value for k, value in enumerate(ins)}
        eval(eqn.params["code"], {**PERFORM, **names})
        return ()
    return (_RULES[eqn.prim](eqn, *ins),)


def _solve(eqn: Eqn, a: Any, b: Any) -> Any:
    a = np.tril(a) if eqn.params["lower"] else a
    return np.linalg.solve(a.T if eqn.params["transposed"] else a, b)


def _for(eqn: Eqn, ins: list[Any], env: dict[Var, Any]) -> list[Any]:
    (start, stop, step), carried = ins[:3], ins[3:]
    early, count = eqn.params.get("exit", False), 0
    iterations = range(start, stop, step)
    if eqn.params.get(PARALLEL) == PROVED:  # any order will do
        iterations = iterations[::-1]
    for i in iterations:
        results = _region(eqn.regions[0], [i, *carried], env)
        count += 1
        carried = results[1:] if early else results
        if early and results[0]:
            break
    return [count, *carried] if early else carried


def _index(eqn: Eqn, operands: Sequence[Any]) -> tuple[Any, ...]:
    values = dict(enumerate(operands))
    marked = [Lit(k, Type("i64")) for k in values]  # positions stand for operands

    def value(mark: Lit | None) -> Any:
        return None if mark is None else values[mark.value]

    index = []
    for axis in parse_subscript(eqn.params["spec"], marked):
        if axis.kind == "full":
            index.append(slice(None))
        elif axis.kind == "slice":
            index.append(slice(value(axis.start), value(axis.stop), value(axis.step)))
        else:
            index.append(value(axis.start))
    return tuple(index)


def _load(eqn: Eqn, base: Any, *operands: Any) -> Any:
    return np.array(base[_index(eqn, operands)])


def _store(eqn: Eqn, base: Any, value: Any, *operands: Any) -> Any:
    new = base.copy()
    new[_index(eqn, operands)] = value
    return new


def _accum(eqn: Eqn, base: Any, value: Any, *operands: Any) -> Any:
    new = base.copy()
    np.add.at(new, _index(eqn, operands), value)
    return new


def _grow(eqn: Eqn, base: Any, k: int) -> Any:
    if k < len(base):
        return base
    new = np.zeros((max(2 * len(base), int(k) + 1), *base.shape[1:]), base.dtype)
    new[: len(base)] = base
    return new


def _full(eqn: Eqn, value: Any, *extents: Any) -> Any:
    return np.full(tuple(map(int, extents)), value)


def _empty(eqn: Eqn, *extents: Any) -> Any:
    """Filled with NaN (or a large number), so that reading it shows."""
    dtype = np_dtype(eqn.params["dtype"])
    poison = np.nan if dtype.kind in "fc" else (True if dtype.kind == "b" else 2**30 + 7)
    return np.full(tuple(map(int, extents)), poison, dtype)


def _broadcast(eqn: Eqn, x: Any, *extents: Any) -> Any:
    shape = [1] * len(extents)
    for axis, size in zip(eqn.params["axes"], np.shape(x)):
        shape[axis] = size
    return np.broadcast_to(np.reshape(x, shape), tuple(map(int, extents))).copy()


def _cumsum(eqn: Eqn, x: Any) -> Any:
    axis = eqn.params["axis"]
    if eqn.params.get("reverse"):
        return np.flip(np.cumsum(np.flip(x, axis), axis, dtype=x.dtype), axis)
    return np.cumsum(x, axis, dtype=x.dtype)


def _reducer(f: Callable[..., Any]) -> Callable[..., Any]:
    def rule(eqn: Eqn, x: Any) -> Any:
        return f(x, axis=tuple(eqn.params["axes"]), keepdims=eqn.params.get("keepdims", False))

    return rule


def _arg(f: Callable[..., Any]) -> Callable[..., Any]:
    def rule(eqn: Eqn, x: Any) -> Any:
        (axis,) = eqn.params["axes"]
        return f(x, axis=axis, keepdims=eqn.params.get("keepdims", False))

    return rule


def _special(name: str, x: Any) -> Any:
    from scipy import special  # takes longer to import than all of this package

    return getattr(special, name)(x)


_UFUNCS = {
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "add": np.add, "sub": np.subtract,
    "mul": np.multiply, "div": np.divide, "floordiv": np.floor_divide, "mod": np.mod,
    "pow": np.power, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "and": np.logical_and, "or": np.logical_or,
    "bit_and": np.bitwise_and, "bit_or": np.bitwise_or, "bit_xor": np.bitwise_xor,
    "shift_left": np.left_shift, "shift_right": np.right_shift, "invert": np.invert,
    "not": np.logical_not, "xor": np.logical_xor, "select": np.where,
    "stop_gradient": np.positive,
    "fmod": np.fmod,
    "gamma": functools.partial(_special, "gamma"), "lgamma": functools.partial(_special, "gammaln"),
}  # fmt: skip
for _name in ("erf", "erfc"):
    _UFUNCS[_name] = np.vectorize(getattr(math, _name), otypes=["d"])
for _name in (
    "sqrt cbrt exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arccosh arctanh floor ceil trunc rint maximum minimum arctan2 hypot copysign isnan "
    "isinf isfinite"
).split():
    _UFUNCS[_name] = getattr(np, _name)


def _elementwise(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda eqn, *xs: f(*xs)


def _extreme(f: Callable[..., Any], more: Callable[..., Any]) -> Callable[..., Any]:
    def rule(eqn: Eqn, x: Any, y: Any) -> Any:
        return np.where(more(y, x), y, x)[()] if eqn.params.get(FIRST) else f(x, y)

    return rule


_RULES: dict[str, Callable[..., Any]] = {name: _elementwise(f) for name, f in _UFUNCS.items()}
_RULES |= {
    "maximum": _extreme(np.maximum, np.greater), "minimum": _extreme(np.minimum, np.less),
    "convert": lambda eqn, x: _cast(x, eqn.out.type),
    "full": _full,
    "empty": _empty,
    "iota": lambda eqn, n: np.arange(n),
    "copy": lambda eqn, x: x.copy(),
    "threads": lambda eqn: 2,
    "dim": lambda eqn, x: x.shape[eqn.params["axis"]],
    "transpose": lambda eqn, x: np.transpose(x, eqn.params["perm"]),
    "reshape": lambda eqn, x, *extents: np.reshape(x, tuple(map(int, extents))),
    "expand": lambda eqn, x: np.expand_dims(x, tuple(eqn.params["axes"])),
    "squeeze": lambda eqn, x: np.squeeze(x, tuple(eqn.params["axes"])),
    "broadcast": _broadcast,
    "concatenate": lambda eqn, *xs: np.concatenate(xs, eqn.params["axis"]),
    "stack": lambda eqn, *xs: np.stack(xs, eqn.params["axis"]),
    "roll": lambda eqn, x, shift: np.roll(x, shift, eqn.params["axis"]),
    "sum": _reducer(np.sum), "prod": _reducer(np.prod),
    "reduce_max": _reducer(np.max), "reduce_min": _reducer(np.min),
    "any": _reducer(np.any), "all": _reducer(np.all),
    "argmax": _arg(np.argmax), "argmin": _arg(np.argmin),
    "cumsum": _cumsum,
    "dot": lambda eqn, a, b: a @ b,
    "cholesky": lambda eqn, a: np.linalg.cholesky(a),
    "inv": lambda eqn, a: np.linalg.inv(a),
    "solve": _solve,
    "load": _load, "store": _store, "accum": _accum, "grow": _grow,
    "nonzero": lambda eqn, mask: np.nonzero(mask)[0],
}  # fmt: skip
