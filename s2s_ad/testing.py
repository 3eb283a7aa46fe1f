"""`check_grads`: are the derivatives of a function right? For tests, the user's and our own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from s2s_ad import api
from s2s_ad.specialise import Outputs, Wrt
from s2s_ad.trees import Leaf, Node, Spec, build, children, leaf_paths, leaf_specs, leaves


def check_grads(
    fn: Callable[..., Any],
    args: Sequence[Any],
    wrt: Wrt = None,
    order: int = 1,
    modes: Sequence[str] = ("fwd", "rev"),
    *,
    rtol: float | None = None,
    atol: float | None = None,
    eps: float | None = None,
    outputs: Outputs = None,
    jit: bool = True,
    static: str | Sequence[str] = (),
    level: str | None = None,
    seed: int = 0,
) -> None:
    """Check the derivatives of `fn` at `args`; AssertionError names the entry that is wrong.

    Forward mode is held against central differences of the plain Python function, extrapolated to
    a step of zero, along a random direction; reverse mode against forward mode, by
    ⟨Jv, w⟩ = ⟨v, Jᵀw⟩. `order=2` checks the derivative of the gradient too, for a function with
    one number as its value. `eps` is the first step, relative to the size of the arguments.

    >>> check_grads(lambda x: x * x * x, (2.0,), jit=False)
    """
    unknown = set(modes) - {"fwd", "rev"}
    if unknown or order not in (1, 2):
        raise ValueError("modes are 'fwd' and 'rev'; order is 1 or 2")
    options = {"jit": jit, "static": static, "level": level}
    _Check(fn, tuple(args), wrt, outputs, options, seed).run(modes, rtol, atol, eps)
    if order == 2:
        gradient = api.grad(fn, wrt=wrt, outputs=outputs, **options)
        _Check(gradient, tuple(args), wrt, None, options, seed).run(("fwd",), rtol, atol, eps)


class _Check:
    """One function at one point. Inputs (the floating-point leaves of the arguments in `wrt`) and
    values are handled as flat vectors."""

    def __init__(
        self, fn: Callable, args: tuple, wrt: Wrt, outputs: Outputs, options: dict, seed: int
    ) -> None:
        self.fn = getattr(fn, "__wrapped__", fn)
        self.args, self.random = args, np.random.default_rng(seed)
        self.jvp = api.jvp(fn, wrt=wrt, outputs=outputs, **options)
        self.vjp = api.vjp(fn, wrt=wrt, outputs=outputs, **options)
        bound = self.jvp.binder.bind(args, {})
        derived = self.jvp.derived(self.jvp.binder.describe(bound))
        self.program, self.wrt, self.bare = (
            derived.program,
            derived.wrt,
            isinstance(wrt, (int, str)),
        )
        self.x = np.concatenate([_vector(a.spec, args[a.position]) for a in self.wrt])
        self.names = [n for a in self.wrt for n in _entries(a.spec, args[a.position], a.name)]
        self.value = self.jvp(args, (None,) * len(self.wrt))[0]
        self.outputs = _entries(self.program.out, self.value, "value")

    def run(
        self, modes: Sequence[str], rtol: float | None, atol: float | None, eps: float | None
    ) -> None:
        single = any(t.type.dtype == "f32" for a in self.wrt for t in leaf_specs(a.spec))
        rtol = (1e-3 if single else 1e-6) if rtol is None else rtol
        size = np.max(np.abs(_vector(self.program.out, self.value)), initial=1.0)
        atol = 0.01 * rtol * float(size) if atol is None else atol
        v = self.random.standard_normal(self.x.size)
        if "fwd" in modes:
            self.forward_mode(v, rtol, atol, eps)
        if "rev" in modes:
            self.reverse_mode(v, rtol, atol)

    def forward(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The value, and the tangent along `v`, as vectors."""
        value, tangent = self.jvp(self.args, self.structured(v))
        return _vector(self.program.out, value), _vector(self.program.out, tangent)

    def structured(self, v: np.ndarray) -> tuple:
        """A vector over the inputs, as one tangent per argument."""
        take = _taker(v)
        return tuple(_filled(a.spec, self.args[a.position], take, False) for a in self.wrt)

    def plain(self, x: np.ndarray) -> np.ndarray:
        """What plain Python gives where the inputs are `x`, in double precision."""
        args, take = copy.deepcopy(list(self.args)), _taker(x)
        for a in self.wrt:
            args[a.position] = _filled(a.spec, args[a.position], take, True)
        given = {a.name: args[a.position] for a in self.program.arguments}
        given["return"] = self.fn(*args)
        chosen = self.program.selected
        value = given[chosen] if isinstance(chosen, str) else tuple(given[name] for name in chosen)
        return _vector(self.program.out, value)

    def difference(self, v: np.ndarray, eps: float | None) -> np.ndarray:
        """The derivative of plain Python along `v`: Ridders' extrapolation of central differences,
        each entry of the value at its own best step."""
        step = (0.02 if eps is None else eps) * max(1.0, float(np.max(np.abs(self.x), initial=0.0)))
        step /= max(1.0, float(np.max(np.abs(v), initial=0.0)))
        above: list[np.ndarray] = []
        best = error = None
        with np.errstate(all="ignore"):
            for halvings in range(10):
                t = step / 2.0**halvings
                row = [(self.plain(self.x + t * v) - self.plain(self.x - t * v)) / (2.0 * t)]
                for order, previous in enumerate(above):
                    factor = 4.0 ** (order + 1)
                    row.append((factor * row[order] - previous) / (factor - 1.0))
                    gap = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - previous))
                    best = row[-1].copy() if best is None else best
                    error = np.full(gap.shape, np.inf) if error is None else error
                    better = gap < error
                    best[better], error[better] = row[-1][better], gap[better]
                above = row
        return best

    def forward_mode(self, v: np.ndarray, rtol: float, atol: float, eps: float | None) -> None:
        """AssertionError where the tangent along `v` is not the slope."""
        _, tangent = self.forward(v)
        slope = self.difference(v, eps)
        if np.allclose(tangent, slope, rtol, atol):
            return
        lines = []
        for k in self.inputs():
            unit = np.eye(1, self.x.size, k)[0]
            _, found = self.forward(unit)
            expected = self.difference(unit, eps)
            for j in np.flatnonzero(~np.isclose(found, expected, rtol, atol)):
                what = f"d {self.outputs[j]} / d {self.names[k]}"
                lines.append(
                    f"{what}: forward mode {found[j]:.10g}, finite difference {expected[j]:.10g}"
                )
        gap = float(np.max(np.abs(tangent - slope)))
        self.fail(f"forward mode differs from finite differences by up to {gap:.3g}", lines)

    def reverse_mode(self, v: np.ndarray, rtol: float, atol: float) -> None:
        """AssertionError where ⟨Jv, w⟩ is not ⟨v, Jᵀw⟩."""
        value, tangent = self.forward(v)
        w = self.random.standard_normal(value.size)
        result, pullback = self.vjp(*self.args)
        gradients = pullback(_filled(self.program.out, result, _taker(w), False))
        g = np.concatenate(
            [
                _vector(a.spec, part)
                for a, part in zip(self.wrt, (gradients,) if self.bare else gradients)
            ]
        )
        terms = np.sum(np.abs(tangent * w)) + np.sum(np.abs(v * g))
        if abs(tangent @ w - v @ g) <= atol + rtol * terms:
            return
        lines = []
        for k in self.inputs():
            _, column = self.forward(np.eye(1, self.x.size, k)[0])
            if not np.isclose(column @ w, g[k], rtol, atol):
                lines.append(
                    f"{self.names[k]}: reverse mode {g[k]:.10g}, forward mode {column @ w:.10g}"
                )
        text = f"⟨Jv, w⟩ = {tangent @ w:.15g}, but ⟨v, Jᵀw⟩ = {v @ g:.15g}"
        self.fail(f"reverse mode differs from forward mode: {text}", lines)

    def inputs(self) -> range:
        """The entries that an explanation looks at."""
        return range(min(self.x.size, 200))

    def fail(self, message: str, lines: list[str]) -> None:
        shown = lines[:8] + ([f"… and {len(lines) - 8} more"] if len(lines) > 8 else [])
        name = getattr(self.fn, "__name__", "the function")
        raise AssertionError("\n  ".join([f"{name}: {message}", *shown]))


def _taker(vector: np.ndarray) -> Callable[[tuple[int, ...]], Any]:
    """A function that takes the next numbers off a vector, in a given shape."""
    position = [0]

    def take(shape: tuple[int, ...]) -> Any:
        start = position[0]
        position[0] += int(np.prod(shape, dtype=int))
        part = vector[start : position[0]]
        return part.reshape(shape).copy() if shape else float(part[0])

    return take


def _filled(spec: Spec, value: Any, take: Callable[[tuple[int, ...]], Any], keep: bool) -> Any:
    """`value` with other floating-point numbers; the rest is kept, or None."""
    if isinstance(spec, Leaf) and spec.type.is_float:
        return take(np.shape(value))
    if not isinstance(spec, Node):
        return value if keep else None
    parts = zip(spec.parts, children(value)[1])
    return build(spec.cls, spec.keys, [_filled(s, part, take, keep) for s, part in parts])


def _floats(spec: Spec, value: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """The floating-point leaves of a value, with their paths."""
    for leaf, name, item in zip(leaf_specs(spec), leaf_paths(spec, path), leaves(spec, value)):
        if leaf.type.is_float:
            yield name, np.asarray(item, dtype=np.float64)


def _vector(spec: Spec, value: Any) -> np.ndarray:
    """Every floating-point number of a value."""
    return np.concatenate([np.zeros(0), *(item.ravel() for _, item in _floats(spec, value, ""))])


def _entries(spec: Spec, value: Any, path: str) -> list[str]:
    """A name for each of these numbers: `p.rate`, `x[2, 0]`."""
    names = []
    for name, item in _floats(spec, value, path):
        names += [
            f"{name}[{', '.join(map(str, i))}]" if i else name for i in np.ndindex(item.shape)
        ]
    return names
