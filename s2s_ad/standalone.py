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
from s2s_ad.trees import Known, Leaf, Node, Spec, expression, leaf_specs

#: Captured arrays are written out as numbers, up to this many.
MAX_CONSTANTS = 10_000

_ARRAY = '''
def _array(x, dtype, shape):
    """`x` as a C-contiguous array of `dtype`; in `shape`, None stands for any extent."""
    x = np.asarray(x)
    if x.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, x.shape)):
        raise TypeError(f"an array of shape {shape} is needed, not {x.shape}")
    return x.astype(dtype, order="C", casting="same_kind", copy=False)
'''


def standalone(derived: Derived, name: str, level: str, header: str) -> str:
    """The text of a module whose function `name` computes `derived`.

    CommandError where it would need s2s_ad or the user's own classes.
    """
    funcs = [f.with_(name=f"{f.name}_compiled") for f in derived.funcs(level)]
    constants = _constants(derived)
    wrapper = _Wrapper(derived, name, funcs, tuple(constants)).text()
    blocks = [f"{constant} = {text}" for constant, text in constants.items()]
    plain = "\n".join([*blocks, *([_ARRAY] if "_array(" in wrapper else []), "", wrapper])
    return emit_module(funcs, header=header, jit=True, optional=True, plain=plain)


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
        derived, program = self.derived, self.derived.program
        arguments = [a for a in program.arguments if isinstance(a.spec, Leaf)]
        names = [identifier(a.name) for a in arguments]
        values = [self._converted(n, a.spec.type) for n, a in zip(names, arguments)]
        if derived.mode == "jvp":
            tangents = [identifier(f"{a.name}_dot") for a in derived.wrt]
            names += tangents
            kinds = [a.spec.type for a in derived.wrt]
            values += [self._converted(n, t) for n, t in zip(tangents, kinds)]
        lines = [f"def {self.name}({', '.join(names)}):", f'    """{self._doc()}"""']
        body = self._vjp if derived.mode == "vjp" else self._direct
        return (
            "\n".join(lines + [f"    {line}" for line in body([*values, *self.constants])]) + "\n"
        )

    def _doc(self) -> str:
        wrt = ", ".join(a.name for a in self.derived.wrt)
        what = {
            "grad": f"The gradient with respect to {wrt}.",
            "jvp": f"(value, tangent) along tangents of {wrt}.",
            "vjp": f"(value, pullback); pullback(cotangent) gives the gradients for {wrt}.",
        }[self.derived.mode]
        return f"{what} `{self.funcs[0].name}` can be called from numba code."

    def _direct(self, values: list[str]) -> Iterator[str]:
        (func,) = self.funcs
        yield f"r = {identifier(func.name)}({', '.join(values)})"
        types = [a.type for a in func.results]
        yield f"return {self._structure(self.derived.out, result_items(len(types)), types)}"

    def _vjp(self, values: list[str]) -> Iterator[str]:
        ahead, back = self.funcs
        out = self.derived.program.out
        types = [a.type for a in ahead.results]
        items = result_items(len(types))
        count = sum(1 for _ in leaf_specs(out))
        floats = [k for k in range(count) if types[k].is_float]
        seeds = [self._converted(f"bar[{n}]", types[k]) for n, k in enumerate(floats)]
        saved = [self._scalar(items[k], types[k]) for k in range(count, len(types))]
        gradients = [a.type for a in back.results]
        yield f"r = {identifier(ahead.name)}({', '.join(values)})"
        yield ""
        yield "def pullback(cotangent):"
        if seeds:
            yield f"    bar = {self._flattened(out, 'cotangent')}"
        yield f"    g = {identifier(back.name)}({', '.join(saved + seeds)})"
        own = [item.replace("r", "g", 1) for item in result_items(len(gradients))]
        yield f"    return {self._structure(self.derived.out, own, gradients)}"
        yield ""
        yield f"return {self._structure(out, items[:count], types)}, pullback"

    def _flattened(self, spec: Spec, name: str) -> str:
        """The floating-point leaves of a cotangent, as a tuple."""
        found = []

        def visit(part: Spec, path: str) -> None:
            if isinstance(part, Leaf) and part.type.is_float:
                found.append(path)
            elif isinstance(part, Node):
                for key, inner in zip(part.keys, part.parts):
                    visit(inner, f"{path}[{_literal(key)}]")

        visit(spec, name)
        return f"({', '.join(found)},)"

    def _structure(self, spec: Spec, items: Sequence[str], types: Sequence[Type]) -> str:
        pending = iter(zip(items, types))

        def leaf(_: Leaf) -> str:
            return self._scalar(*next(pending))

        return expression(spec, leaf, _known, _display)

    @staticmethod
    def _scalar(item: str, kind: Type) -> str:
        """numba returns 64-bit numbers only."""
        narrow = not kind.is_array and kind.dtype in ("f32", "i32")
        return f"np.{DTYPES[kind.dtype][0]}({item})" if narrow else item

    @staticmethod
    def _converted(name: str, kind: Type) -> str:
        dtype = f"np.{DTYPES[kind.dtype][0]}"
        if kind.is_array:
            shape = "".join(f"{n if isinstance(n, int) else None}, " for n in kind.shape)
            return f"_array({name}, {dtype}, ({shape.strip()}))"
        return (
            f"float({name})"
            if kind.dtype == "f64"
            else name
            if kind.dtype == "i64"
            else (f"{dtype}({name})")
        )


def _known(known: Known) -> str:
    return _literal(known.value)


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
