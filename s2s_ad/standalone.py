"""A derivative as a module of its own, which needs NumPy, and numba to be fast, but not s2s_ad.

The module holds the generated functions, named `…_compiled`, and one plain function with the user's
argument names, which converts its arguments to the types that the code was generated for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2s_ad.api_errors import CommandError
from s2s_ad.backend.module import emit_module
from s2s_ad.backend.names import identifier
from s2s_ad.compiled import Derived, result_items
from s2s_ad.ir.core import Func
from s2s_ad.ir.types import DTYPES, Type
from s2s_ad.trees import Leaf, Node, Spec, expression, leaf_specs

#: Captured arrays are written out as numbers, up to this many.
MAX_CONSTANTS = 10_000

_ARRAY = '''\
def _array(x, dtype, shape):
    """`x` as a C-contiguous array of `dtype`; in `shape`, None stands for any extent."""
    x = np.asarray(x)
    if x.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, x.shape)):
        raise TypeError(f"an array of shape {shape} is needed, not {x.shape}")
    return x.astype(dtype, order="C", casting="same_kind", copy=False)
'''


def standalone(
    derived: Derived,
    name: str,
    level: str,
    header: str,
    vector: bool = True,
    fastmath: bool = False,
) -> str:
    """The text of a module whose function `name` computes `derived`. With `vector`, its loops call
    the vector functions of s2s_ad where that is installed, and NumPy's where it is not; with
    `fastmath`, the compiler may compute what is equal but for rounding.

    CommandError where it would need s2s_ad or the user's own classes.
    """
    funcs = [f.with_(name=f"{f.name}_compiled") for f in derived.funcs(level, vector=vector)]
    constants = _constants(derived)
    wrapper = _Wrapper(derived, name, funcs, tuple(constants)).text()
    blocks = ["".join(f"{constant} = {text}\n" for constant, text in constants.items())]
    blocks += [_ARRAY if "_array(" in wrapper else "", wrapper]
    plain = "\n\n".join(filter(None, blocks))
    options = {"vector": vector, "fastmath": fastmath}
    return emit_module(funcs, header=header, jit=True, optional=True, plain=plain, **options)


def _constants(derived: Derived) -> dict[str, str]:
    """The captured arrays as text, by the names they get in the module."""
    captures = derived.program.captures
    params = derived.program.func.params
    found = {}
    for param, get in zip(params[len(params) - len(captures) :], captures):
        value = np.asarray(get())
        if value.size > MAX_CONSTANTS:
            raise CommandError(
                f"{param.name!r}, read from around the function, has {value.size} numbers",
                advice="make it an argument; only small arrays are written into a module",
            )
        numbers = ", ".join(map(_number, value.ravel().tolist()))
        shape = "" if value.ndim == 1 else f".reshape({value.shape})"
        found[f"_{identifier(param.name)}"] = (
            f"np.array([{numbers}], dtype=np.{value.dtype}){shape}"
        )
    return found


def _number(value: Any) -> str:
    text = repr(value)
    return f"np.{text}" if text in ("nan", "inf") else text.replace("-inf", "-np.inf")


@dataclass(frozen=True)
class _Wrapper:
    """The plain function around the compiled ones."""

    derived: Derived
    name: str
    funcs: Sequence[Func]
    constants: tuple[str, ...]

    def text(self) -> str:
        derived = self.derived
        arguments = [a for a in derived.program.arguments if isinstance(a.spec, Leaf)]
        names = [identifier(a.name) for a in arguments]
        lines = [_converted(n, a.spec.type) for n, a in zip(names, arguments)]
        for a in derived.wrt if derived.mode == "jvp" else ():
            name = identifier(f"{a.name}_dot")
            names.append(name)
            lines.append(_converted(name, a.spec.type, f"{identifier(a.name)}.shape"))
        body = self._vjp if derived.mode == "vjp" else self._direct
        lines = [self._doc(), *filter(None, lines), *body([*names, *self.constants])]
        return f"def {self.name}({', '.join(names)}):\n" + _indented(lines)

    def _doc(self) -> str:
        wrt = ", ".join(a.name for a in self.derived.wrt)
        what = {
            "grad": f"The gradient with respect to {wrt}.",
            "value_and_grad": f"(value, gradient) with respect to {wrt}.",
            "jvp": f"(value, tangent) along tangents of {wrt}.",
            "vjp": f"(value, pullback); pullback(cotangent) gives the gradients for {wrt}.",
        }[self.derived.mode]
        return f'"""{what}"""'

    def _direct(self, values: list[str]) -> Iterator[str]:
        (func,) = self.funcs
        types = [a.type for a in func.results]
        items = result_items(len(types))
        structure = _structure(self.derived.out, items, types)
        call = f"{identifier(func.name)}({', '.join(values)})"
        if structure in ("r", f"({', '.join(items)})"):
            yield f"return {call}"
        else:
            yield f"r = {call}"
            yield f"return {structure}"

    def _vjp(self, values: list[str]) -> Iterator[str]:
        ahead, back = self.funcs
        out = self.derived.program.out
        types = [a.type for a in ahead.results]
        items = result_items(len(types))
        count = sum(1 for _ in leaf_specs(out))
        floats = [k for k in range(count) if types[k].is_float]
        bars = [f"bar{n}" for n in range(len(floats))]
        seeds = [_converted(b, types[k], f"{items[k]}.shape") for b, k in zip(bars, floats)]
        saved = [_scalar(items[k], types[k]) for k in range(count, len(types))]
        gradients = [a.type for a in back.results]
        yield f"r = {identifier(ahead.name)}({', '.join(values)})"
        yield ""
        yield "def pullback(cotangent):"
        inner = [f"{b} = {path}" for b, path in zip(bars, _float_paths(out, "cotangent"))]
        inner += [line for line in seeds if line]
        inner.append(f"g = {identifier(back.name)}({', '.join(saved + bars)})")
        own = [item.replace("r", "g", 1) for item in result_items(len(gradients))]
        inner.append(f"return {_structure(self.derived.out, own, gradients)}")
        yield from _indented(inner).splitlines()
        yield ""
        yield f"return {_structure(out, items[:count], types)}, pullback"


def _indented(lines: Sequence[str]) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in lines)


def _float_paths(spec: Spec, path: str) -> Iterator[str]:
    """How to get at the floating-point leaves of a value."""
    if isinstance(spec, Leaf) and spec.type.is_float:
        yield path
    elif isinstance(spec, Node):
        for key, part in zip(spec.keys, spec.parts):
            yield from _float_paths(part, f"{path}[{_literal(key)}]")


def _structure(spec: Spec, items: Sequence[str], types: Sequence[Type]) -> str:
    pending = iter(zip(items, types))
    return expression(
        spec, lambda _: _scalar(*next(pending)), lambda k: _literal(k.value), _display
    )


def _scalar(item: str, kind: Type) -> str:
    """numba returns 64-bit numbers only."""
    narrow = not kind.is_array and kind.dtype in ("f32", "i32")
    return f"np.{DTYPES[kind.dtype][0]}({item})" if narrow else item


def _converted(name: str, kind: Type, shape: str = "") -> str:
    """The statement that makes `name` what the compiled function takes; "" where nothing is to be
    done. `shape` is the shape it has to have; by default what the type says."""
    dtype = f"np.{DTYPES[kind.dtype][0]}"
    if kind.is_array:
        pattern = tuple(n if isinstance(n, int) else None for n in kind.shape)
        return f"{name} = _array({name}, {dtype}, {shape or pattern})"
    if kind.dtype == "i64":
        return ""
    return f"{name} = {'float' if kind.dtype == 'f64' else dtype}({name})"


def _literal(value: Any) -> str:
    if value is None or type(value) in (bool, int, str):
        return repr(value)
    raise CommandError(f"the value holds {value!r}, which a standalone module cannot write down")


def _display(node: Node, parts: list[str]) -> str:
    if node.cls is list:
        return f"[{', '.join(parts)}]"
    if node.cls is dict:
        pairs = (f"{_literal(key)}: {part}" for key, part in zip(node.keys, parts))
        return f"{{{', '.join(pairs)}}}"
    raise CommandError(
        f"the value is a {node.cls.__name__}, which a standalone module cannot make",
        advice="return numbers, arrays, and tuples, lists or dicts of them",
    )
