"""The primitive table: every operation of the IR, with its type rule.

Elementwise primitives broadcast as NumPy does, over extents that are statically 1. Their operands
share one dtype (`convert` makes it so), except where a rule below says otherwise. There are no
implicit conversions in the IR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s2s_ad.ir.core import Atom, Eqn, Lit, Region
from s2s_ad.ir.subscript import load_shape
from s2s_ad.ir.types import BOOL, I64, UNKNOWN, Dim, Type, broadcast_shapes, join_dim

Infer = Callable[[Sequence[Atom], Mapping[str, Any], Sequence[Region]], tuple[Type, ...]]


@dataclass(frozen=True)
class Prim:
    """`kind` is elementwise, reduce, index, shape, create, contract, region or effect.

    `cheap` primitives may be evaluated again in the reverse sweep instead of being saved."""

    name: str
    kind: str
    infer: Infer
    cheap: bool = True

    @property
    def elementwise(self) -> bool:
        return self.kind == "elementwise"


PRIMS: dict[str, Prim] = {}


class IRTypeError(TypeError):
    """An equation whose operands have the wrong types: a bug in a pass, never the user's."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise IRTypeError(message)


def _register(names: str, kind: str, infer: Infer, cheap: bool = True) -> None:
    for name in names.split():
        PRIMS[name] = Prim(name, kind, infer, cheap)


# --- elementwise -------------------------------------------------------------------------------


def _elementwise(out: Callable[[list[str]], str]) -> Infer:
    def infer(ins: Sequence[Atom], params: Mapping[str, Any], regions: Sequence[Region]):
        shape = broadcast_shapes([a.type.shape for a in ins])
        return (Type(out([a.type.dtype for a in ins]), shape),)

    return infer


def _same(dtypes: list[str]) -> str:
    _require(len(set(dtypes)) == 1, f"operands of different dtypes {dtypes}")
    return dtypes[0]


def _float(dtypes: list[str]) -> str:
    _require(dtypes[0] in ("f32", "f64", "c64", "c128"), f"a float is needed, not {dtypes[0]}")
    return _same(dtypes)


def _compare(dtypes: list[str]) -> str:
    _same(dtypes)
    return "bool"


def _logical(dtypes: list[str]) -> str:
    _require(set(dtypes) == {"bool"}, f"bools are needed, not {dtypes}")
    return "bool"


def _integer(dtypes: list[str]) -> str:
    _require(dtypes[0] in ("i32", "i64"), f"an integer is needed, not {dtypes[0]}")
    return _same(dtypes)


def _pow(dtypes: list[str]) -> str:
    _require(dtypes[1] in (dtypes[0], "i64"), f"pow of {dtypes}")
    return dtypes[0]


def _select(dtypes: list[str]) -> str:
    _require(dtypes[0] == "bool", "select needs a bool condition")
    return _same(dtypes[1:])


_register("neg abs sign", "elementwise", _elementwise(_same))
_register(
    "sqrt cbrt exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arccosh arctanh erf erfc gamma lgamma floor ceil trunc rint",
    "elementwise",
    _elementwise(_float),
)
_register("add sub mul maximum minimum floordiv mod", "elementwise", _elementwise(_same))
_register("div arctan2 hypot copysign fmod", "elementwise", _elementwise(_float))
_register("pow", "elementwise", _elementwise(_pow))  # base ** exponent; the exponent may be i64
_register("eq ne lt le gt ge isnan isinf isfinite", "elementwise", _elementwise(_compare))
_register("and or not xor", "elementwise", _elementwise(_logical))
_register(
    "bit_and bit_or bit_xor shift_left shift_right invert", "elementwise", _elementwise(_integer)
)
_register("select", "elementwise", _elementwise(_select))  # np.where(c, a, b)
_register("stop_gradient", "elementwise", _elementwise(_same))  # the identity, with derivative 0


def _convert(ins, params, regions):
    return (ins[0].type.with_dtype(params["dtype"]),)


_register("convert", "elementwise", _convert)  # x.astype(dtype), {dtype}


# --- creation ----------------------------------------------------------------------------------


def extents(atoms: Sequence[Atom]) -> tuple[Dim, ...]:
    """The shape that i64 extent operands give: literals are known, variables are not."""
    return tuple(a.value if isinstance(a, Lit) else UNKNOWN for a in atoms)


def _full(ins, params, regions):
    return (Type(ins[0].type.dtype, extents(ins[1:])),)


def _empty(ins, params, regions):
    return (Type(params["dtype"], extents(ins)),)


_register("full", "create", _full)  # value, *extents: np.full (zeros and ones too)
_register("empty", "create", _empty)  # *extents {dtype}: np.empty
_register("iota", "create", lambda ins, p, r: (Type("i64", extents(ins)),))  # n: np.arange(n)
_register("copy", "create", lambda ins, p, r: (ins[0].type,), cheap=False)


# --- shapes ------------------------------------------------------------------------------------


def _transpose(ins, params, regions):
    shape = ins[0].type.shape
    _require(sorted(params["perm"]) == list(range(len(shape))), "transpose: bad permutation")
    return (ins[0].type.with_shape(tuple(shape[p] for p in params["perm"])),)


def _reshape(ins, params, regions):
    return (ins[0].type.with_shape(extents(ins[1:])),)


def _expand(ins, params, regions):
    shape = list(ins[0].type.shape)
    for axis in sorted(params["axes"]):
        shape.insert(axis, 1)
    return (ins[0].type.with_shape(tuple(shape)),)


def _squeeze(ins, params, regions):
    shape = ins[0].type.shape
    _require(all(shape[a] == 1 for a in params["axes"]), "squeeze of an extent that is not 1")
    kept = tuple(d for a, d in enumerate(shape) if a not in params["axes"])
    return (ins[0].type.with_shape(kept),)


def _broadcast(ins, params, regions):
    """The result has the operand's axes at `axes` (increasing); extents give the whole shape."""
    shape = list(extents(ins[1:]))
    for position, dim in zip(params["axes"], ins[0].type.shape):
        if dim != 1 and shape[position] == UNKNOWN:
            shape[position] = dim
    return (ins[0].type.with_shape(tuple(shape)),)


def _concatenate(ins, params, regions):
    axis, first = params["axis"], ins[0].type
    dtype = _same([a.type.dtype for a in ins])
    sizes = [a.type.shape[axis] for a in ins]
    total: Dim = sum(sizes) if all(isinstance(s, int) for s in sizes) else UNKNOWN
    shape = list(first.shape)
    shape[axis] = total
    return (Type(dtype, tuple(shape)),)


def _stack(ins, params, regions):
    shape = list(ins[0].type.shape)
    shape.insert(params["axis"], len(ins))
    return (Type(_same([a.type.dtype for a in ins]), tuple(shape)),)


_register("threads", "shape", lambda ins, p, r: (I64,))  # how many threads a loop may use
_register("dim", "shape", lambda ins, p, r: (I64,))  # x {axis}: x.shape[axis]
_register("transpose", "shape", _transpose)  # x {perm}
_register("reshape", "shape", _reshape)  # x, *extents (all of them; no -1)
_register("expand", "shape", _expand)  # x {axes}: new extents 1 at these axes of the result
_register("squeeze", "shape", _squeeze)  # x {axes}
_register("broadcast", "shape", _broadcast)  # x, *extents {axes}
_register("concatenate", "shape", _concatenate)  # *xs {axis}
_register("roll", "shape", lambda ins, p, r: (ins[0].type,))  # x, shift {axis}: np.roll
_register("stack", "shape", _stack)  # *xs {axis}; scalars stack to a vector with axis=0


# --- reductions, scans, contractions -----------------------------------------------------------


def _reduce(dtype: Callable[[str], str]) -> Infer:
    def infer(ins, params, regions):
        t, axes, keep = ins[0].type, params["axes"], params.get("keepdims", False)
        shape = tuple(1 if a in axes else d for a, d in enumerate(t.shape) if keep or a not in axes)
        return (Type(dtype(t.dtype), shape),)

    return infer


_register("sum prod reduce_max reduce_min", "reduce", _reduce(lambda d: d))  # x {axes, keepdims}
_register("any all", "reduce", _reduce(lambda d: "bool"))
_register("argmax argmin", "reduce", _reduce(lambda d: "i64"))  # x {axes} with a single axis
_register("cumsum", "scan", lambda ins, p, r: (ins[0].type,))  # x {axis, reverse}


def _dot(ins, params, regions):
    """a @ b for ranks 1 and 2."""
    a, b = ins[0].type, ins[1].type
    dtype = _same([a.dtype, b.dtype])
    _require(a.ndim in (1, 2) and b.ndim in (1, 2), "dot takes ranks 1 and 2")
    return (Type(dtype, a.shape[:-1] + (b.shape[1:] if b.ndim == 2 else ())),)


def _square(ins, params, regions):
    (a,) = ins
    _require(a.type.ndim == 2 and a.type.dtype in ("f32", "f64"), "a real square matrix is needed")
    return (a.type,)


_register("dot", "contract", _dot, cheap=False)


def _solution(ins, params, regions):
    """The x of a x = b, or of aᵀ x = b; with `lower`, a is zero above its diagonal."""
    a, b = ins[0].type, ins[1].type
    _square(ins[:1], params, regions)
    _require(b.ndim in (1, 2) and b.dtype == a.dtype, f"no right-hand side: {b}")
    return (b,)


_register("solve", "contract", _solution, cheap=False)  # a, b {lower, transposed}
_register("cholesky inv", "contract", _square, cheap=False)  # A: np.linalg; A's lower triangle, A


# --- indexing (see subscript.py for the spec) ----------------------------------------------------


def _load(ins, params, regions):
    base = ins[0].type
    return (base.with_shape(load_shape(base.shape, params["spec"], ins[1:])),)


def _store(ins, params, regions):
    base, value = ins[0].type, ins[1].type
    _require(base.dtype == value.dtype, f"store of {value} into {base}")
    place = load_shape(base.shape, params["spec"], ins[2:])
    _require(value.ndim <= len(place), f"store of {value} into a place of rank {len(place)}")
    return (base,)


_register("load", "index", _load)  # A, *indices {spec}
_register("store", "index", _store, cheap=False)  # A, value, *indices {spec}: A with A[…] = value
_register("accum", "index", _store, cheap=False)  # … with A[…] += value; duplicates add up
_register("nonzero", "index", lambda ins, p, r: (Type("i64", (UNKNOWN,)),), cheap=False)  # mask 1-D
_register(
    "grow",
    "index",
    lambda ins, p, r: (ins[0].type.with_shape((UNKNOWN, *ins[0].type.shape[1:])),),
    cheap=False,
)
# grow A, k: A, or a copy of twice its first extent (more where k asks for it) so that k < len


# --- effects and regions -------------------------------------------------------------------------

_register("assert", "effect", lambda ins, p, r: (), cheap=False)  # cond {error, message}
_register("perform", "effect", lambda ins, p, r: (), cheap=False)
# perform *values {code}: runs Python, `print(_0, float(_1))`, where _k stands for operand k


def _inside(ins, params, regions):
    _require(ins[0].type.dtype == "i64" and ins[1].type == I64, f"inside of {ins}")
    return ()


_register("inside", "effect", _inside, cheap=False)
# i, n {what}: the subscript `what`, which is i (or all of i, an array), is in range(-n, n)


def _carried(ins: Sequence[Atom], region: Region, results: Sequence[Atom]) -> tuple[Type, ...]:
    """Types of a loop's results: the carried parameters', with what every iteration keeps."""
    types = []
    for init, param, result in zip(ins, region.params[-len(ins) :] if ins else (), results):
        for atom in (init, result):
            _require(atom.type.same_kind(param.type), f"carried {param} meets {atom}")
        types.append(param.type)
    return tuple(types)


def _for(ins, params, regions):
    (body,) = regions
    skip = 1 if params.get("exit") else 0
    _require(len(body.params) == len(ins) - 2, "for: wrong number of parameters")
    _require(len(body.results) == len(ins) - 3 + skip, "for: wrong number of results")
    _require(all(a.type == I64 for a in (*ins[:3], body.params[0])), "for: bounds are i64")
    _require(not skip or body.results[0].type == BOOL, "for: the exit flag is a bool")
    return ((I64,) if skip else ()) + _carried(ins[3:], body, body.results[skip:])


def _while(ins, params, regions):
    cond, body = regions
    _require(len(cond.results) == 1 and cond.results[0].type == BOOL, "while needs one bool")
    _require(len(cond.params) == len(body.params) == len(ins), "while: wrong number of parameters")
    _require(len(body.results) == len(ins), "while: wrong number of results")
    return _carried(ins, body, body.results)


def _if(ins, params, regions):
    then, other = regions
    _require(ins[0].type == BOOL and len(ins) == 1, "if takes one bool")
    _require(not then.params and not other.params, "the regions of an if have no parameters")
    _require(len(then.results) == len(other.results), "if: results differ in number")
    types = []
    for a, b in zip(then.results, other.results):
        _require(a.type.same_kind(b.type), f"if: {a} meets {b}")
        types.append(a.type.with_shape(tuple(map(join_dim, a.type.shape, b.type.shape))))
    return tuple(types)


_register("for", "region", _for, cheap=False)
_register("while", "region", _while, cheap=False)
_register("if", "region", _if, cheap=False)


def has_effect(eqn: Eqn) -> bool:
    """True for an equation that does, or whose regions do, more than give results: it stays, in
    order with the others, even where nobody reads what it gives."""
    if PRIMS[eqn.prim].kind == "effect":
        return True
    return any(has_effect(e) for r in eqn.regions for e in r.eqns)
