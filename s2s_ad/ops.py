"""What derivative rules are written with: IR values that overload Python's operators.

A `Value` is an IR atom and the builder that new equations go to. Python numbers in an expression
take the dtype of the value they meet. An equation that reads a linear value (a tangent) is marked
as a TANGENT equation: only those are transposed.

    >>> from s2s_ad.ir.build import Builder
    >>> from s2s_ad.ir.core import Var
    >>> from s2s_ad.ir.types import F64
    >>> b = Builder()
    >>> x = Value(b, Var("x", F64))
    >>> y = 2.0 * cos(x) + 1.0
    >>> [e.prim for e in b.eqns]
    ['cos', 'mul', 'add']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from s2s_ad.ir.build import Builder, boolean, i64, number
from s2s_ad.ir.core import DISTINCT, FIRST_TOUCH, TANGENT, Atom, Lit, Var
from s2s_ad.ir.subscript import is_full, split_spec
from s2s_ad.ir.types import I64, Type, known_equal

#: What rules may use of the language; they import nothing else.
LANGUAGE = (
    DISTINCT, FIRST_TOUCH, I64, Builder, Lit, Var, i64, is_full, known_equal, number, split_spec,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Value:
    """An IR atom in the making of an expression."""

    b: Builder
    atom: Atom
    linear: bool = False

    @property
    def type(self) -> Type:
        return self.atom.type

    @property
    def shape(self) -> tuple:
        return self.atom.type.shape

    def is_number(self, value: float) -> bool:
        return isinstance(self.atom, Lit) and self.atom.value == value

    def __add__(self, other: Any) -> Value:
        return apply("add", self, other)

    def __radd__(self, other: Any) -> Value:
        return apply("add", other, self)

    def __sub__(self, other: Any) -> Value:
        return apply("sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return apply("sub", other, self)

    def __mul__(self, other: Any) -> Value:
        return apply("mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return apply("mul", other, self)

    def __truediv__(self, other: Any) -> Value:
        return apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return apply("div", other, self)

    def __floordiv__(self, other: Any) -> Value:
        return apply("floordiv", self, other)

    def __pow__(self, other: Any) -> Value:
        """A Python int stays an int, so that `x ** 2` is a product when compiled."""
        return apply("pow", self, i64(other) if isinstance(other, int) else other)

    def __neg__(self) -> Value:
        return apply("neg", self)

    def __gt__(self, other: Any) -> Value:
        return apply("gt", self, other)

    def __lt__(self, other: Any) -> Value:
        return apply("lt", self, other)

    def equals(self, other: Any) -> Value:
        return apply("eq", self, other)


def apply(prim: str, *operands: Any, **params: Any) -> Value:
    """Emit `prim`. Operands are Values, atoms, or Python numbers (which take the dtype of the first
    floating-point Value, else of the first Value)."""
    values = [o for o in operands if isinstance(o, Value)]
    b = values[0].b
    like = next((v for v in values if v.type.is_float), values[0])
    atoms = [_atom(o, like.type.dtype) for o in operands]
    linear = any(v.linear for v in values)
    with b.playing(TANGENT if linear else b.role):
        return Value(b, b.emit(prim, *atoms, **params), linear)


def _atom(operand: Any, dtype: str) -> Atom:
    if isinstance(operand, Value):
        return operand.atom
    if isinstance(operand, bool):
        return boolean(operand)
    if isinstance(operand, int | float):
        return number(operand, dtype)
    return operand


def _function(prim: str) -> Callable[..., Value]:
    def call(*operands: Any, **params: Any) -> Value:
        return apply(prim, *operands, **params)

    call.__name__ = prim
    call.__doc__ = f"Emit the primitive `{prim}`."
    return call


sqrt, exp, log, sin, cos, sinh, cosh = map(_function, "sqrt exp log sin cos sinh cosh".split())
sign, floor, trunc, select = map(_function, "sign floor trunc select".split())
copysign, isnan, tan = map(_function, "copysign isnan tan".split())
minimum, maximum = map(_function, "minimum maximum".split())


def extents(x: Value) -> tuple[Atom, ...]:
    """The extents of an array value: literals where they are known, else `dim` equations."""
    return tuple(
        i64(d) if isinstance(d, int) else x.b.emit("dim", x.atom, axis=axis, name="n")
        for axis, d in enumerate(x.shape)
    )


def zeros(b: Builder, kind: Type, shape: tuple[Atom, ...]) -> Value:
    """A zero of a type; `shape` gives its extents."""
    zero = number(0, kind.dtype)
    return Value(b, zero if not shape else b.emit("full", zero, *shape, type=kind))


def broadcast_to(x: Value, kind: Type, shape: Callable[[], tuple[Atom, ...]]) -> Value:
    """`x` broadcast to the shape of `kind` as NumPy would; the same value where it has it."""
    if same_shape(x.shape, kind.shape):
        return x
    axes = tuple(range(kind.ndim - len(x.shape), kind.ndim))
    return apply("broadcast", x, *shape(), axes=axes)


def same_shape(a: tuple, b: tuple) -> bool:
    """Equal ranks, and 1s in the same places."""
    return len(a) == len(b) and all((x == 1) == (y == 1) for x, y in zip(a, b))


def unbroadcast(x: Value, shape: tuple) -> Value:
    """The transpose of broadcasting from `shape` to the shape of `x`: sums over the axes that
    broadcasting added or stretched."""
    extra = len(x.shape) - len(shape)
    if extra > 0:
        x = apply("sum", x, axes=tuple(range(extra)), keepdims=False)
    axes = tuple(a for a, (have, want) in enumerate(zip(x.shape, shape)) if want == 1 != have)
    return apply("sum", x, axes=axes, keepdims=True) if axes else x
