"""exp, sin, log, … that become vector calls in loops that numba's compiler vectorises.

`vexp(x)` is `np.exp(x)` of a float64 or float32 number; there are the functions of _FUNCTIONS, and
`vmaximum` and `vminimum`. `vadd`, `vsub` and `vmul` add to a total and multiply it with terms that
may come in any order; `fadd`, `fsub`, `fmul` and `fdiv` may be rounded in any way: sums reordered,
products contracted with them. `fdiv` multiplies with the reciprocal, which a loop computes once.

In a loop that LLVM vectorises, one call to glibc's libmvec computes 2 to 8 functions; anywhere else
the same function computes one. So the value depends on the argument alone: what is computed twice
is the same twice, to the last bit. All are accurate to 4 ulp. Where this machine has no vector form
of a function, the name stands for the function of NumPy (or `math`) itself, so that code may always
import it.

    >>> from s2s_ad.backend.vecmath import vexp
    >>> float(vexp(0.0))
    1.0

How: LLVM sees calls to a small function of ours that may not be inlined, and that names its vector
form in the attribute "vector-function-abi-variant", where the loop vectoriser finds it. The vector
forms are bound to names of ours when this module is imported. Compiled code that numba has cached
on disk belongs to a module that imports this one first, so it finds them too; what must not be used
where other functions are vectorised has VARIANT in the key of its cache.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, type_callable

#: What makes the code of a call: (context, builder, args=…) -> value.
Lowering = Callable[..., Any]

#: What NumPy and libm call a function, and how many arguments it takes.
_FUNCTIONS = {
    **{name: (name, 1) for name in "exp exp2 expm1 log log2 log10 log1p cbrt".split()},
    **{name: (name, 1) for name in "sin cos tan sinh cosh tanh erf erfc".split()},
    **{f"arc{name}": (f"a{name}", 1) for name in "sin cos tan sinh cosh tanh".split()},
    "power": ("pow", 2), "arctan2": ("atan2", 2), "hypot": ("hypot", 2),
}  # fmt: skip


#: Instructions (with an f), and NumPy's names for them.
_ARITHMETIC = {"add": "add", "sub": "subtract", "mul": "multiply"}
#: What LLVM may do with them: reorder them with their like, and nothing else; or all that rounding
#: changes. Products keep their order: in another, they may leave the range of numbers. So may
#: x * (a + b), which LLVM makes of x * a + x * b where sums have "nsz" as well.
_ANY_ORDER = ("reassoc",)
_FREE_SUM = ("reassoc", "contract")
_FREE_PRODUCT = ("contract", "nsz")


@dataclass(frozen=True)
class _Dtype:
    scalar: types.Float
    llvm: ir.Type
    size: int
    suffix: str  # of libm's names
    least: float  # normal number: smaller ones may have no reciprocal
    lift: float  # makes normal numbers of those


_DTYPES = (
    _Dtype(types.float64, ir.DoubleType(), 8, "", 2.0**-1022, 2.0**54),
    _Dtype(types.float32, ir.FloatType(), 4, "f", 2.0**-126, 2.0**24),
)


@dataclass(frozen=True)
class _Isa:
    """A set of vector registers: libmvec's letter for it, their bytes, and the features of the code
    that can use them. A target has one of them, as different ones round differently. On one with
    AVX-512, that is AVX2: LLVM prefers its width on most."""

    letter: str
    size: int
    needs: frozenset[str]
    excluded_by: frozenset[str] = frozenset()


_ISAS = (
    _Isa("d", 32, frozenset({"+avx2", "+fma"})),
    _Isa("b", 16, frozenset({"+sse4.2"}), frozenset({"+avx"})),
)


@dataclass(frozen=True)
class Vectorised:
    """A function, for one dtype, of which libmvec has the vector forms."""

    name: str  # NumPy's
    dtype: _Dtype

    @property
    def arity(self) -> int:
        return _FUNCTIONS[self.name][1]

    @property
    def symbol(self) -> str:
        return f"s2s_ad_{self.name}_f{8 * self.dtype.size}"

    def lanes(self, isa: _Isa) -> int:
        return isa.size // self.dtype.size

    def form(self, isa: _Isa) -> str:
        """Our name of the vector form, and libmvec's."""
        return f"{self.symbol}_{isa.letter}"

    def libmvec(self, isa: _Isa) -> str:
        name = _FUNCTIONS[self.name][0] + self.dtype.suffix
        return f"_ZGV{isa.letter}N{self.lanes(isa)}{'v' * self.arity}_{name}"


def _library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "AMD64"):
        return None
    try:
        return ctypes.CDLL("libmvec.so.1")
    except OSError:
        return None


def _find() -> Iterator[Vectorised]:
    """What there is on this machine, bound to the names that generated code calls it by."""
    library = _library()
    for name in _FUNCTIONS:
        for dtype in _DTYPES:
            fn = Vectorised(name, dtype)
            forms = [getattr(library, fn.libmvec(isa), None) for isa in _ISAS]
            if all(forms):
                for isa, form in zip(_ISAS, forms):
                    llvm.add_symbol(fn.form(isa), ctypes.cast(form, ctypes.c_void_p).value)
                yield fn


def _defined(module: ir.Module, isa: _Isa, fn: Vectorised) -> ir.Function:
    """The function of one number in `module`, defined by its vector form:

    define linkonce_odr double @s2s_ad_exp_f64(double %x) noinline "vector-function-abi-variant"=…
      %v = insertelement <4 x double> zeroinitializer, double %x, i32 0      # and the other lanes
      %r = call <4 x double> @s2s_ad_exp_f64_d(<4 x double> %v)
      ret the first lane of %r
    """
    known = module.globals.get(fn.symbol)
    if known is not None:
        return known
    real, lanes = fn.dtype.llvm, fn.lanes(isa)
    vector = ir.VectorType(real, lanes)
    form = ir.Function(module, ir.FunctionType(vector, [vector] * fn.arity), fn.form(isa))
    scalar = ir.Function(module, ir.FunctionType(real, [real] * fn.arity), fn.symbol)
    scalar.linkage = "linkonce_odr"
    for f in (form, scalar):
        _attribute(f, "nounwind", "willreturn", "memory(none)")
    mapping = f"_ZGV_LLVM_N{lanes}{'v' * fn.arity}_{fn.symbol}({form.name})"
    _attribute(scalar, "noinline", f'"vector-function-abi-variant"="{mapping}"')
    _keep(module, form)
    builder, index = ir.IRBuilder(scalar.append_basic_block()), ir.IntType(32)
    operands = []
    for x in scalar.args:
        operand = ir.Constant(vector, ir.Undefined)
        for lane in range(lanes):
            operand = builder.insert_element(operand, x, index(lane))
        operands.append(operand)
    builder.ret(builder.extract_element(builder.call(form, operands), index(0)))
    return scalar


def _attribute(function: ir.Function, *attributes: str) -> None:
    """llvmlite knows only some of LLVM's attributes by name, and would refuse the others."""
    for attribute in attributes:
        set.add(function.attributes, attribute)


def _keep(module: ir.Module, function: ir.Function) -> None:
    """Have `function` outlive the passes that see no use of it, before the vectoriser runs: it
    joins llvm.compiler.used, of which a module has at most one."""
    pointer = ir.IntType(8).as_pointer()
    values = [function.bitcast(pointer)]
    used = module.globals.get("llvm.compiler.used")
    if used is not None:
        values = [*used.initializer.constant, *values]
    array = ir.ArrayType(pointer, len(values))
    if used is None:
        used = ir.GlobalVariable(module, array, "llvm.compiler.used")
        used.linkage, used.section = "appending", "llvm.metadata"
    used.value_type, used.type = array, array.as_pointer()
    used.initializer = ir.Constant(array, values)


def _call(context: Any, builder: ir.IRBuilder, fn: Vectorised, args: Sequence[ir.Value]) -> Any:
    features = set(context.codegen().magic_tuple()[2].split(","))
    for isa in _ISAS:
        if isa.needs <= features and not isa.excluded_by & features:
            return builder.call(_defined(builder.module, isa, fn), args)
    kind = ir.FunctionType(fn.dtype.llvm, [fn.dtype.llvm] * fn.arity)
    name = _FUNCTIONS[fn.name][0] + fn.dtype.suffix  # code for a CPU that is not this one: libm
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _extreme(
    context: Any, builder: ir.IRBuilder, name: str, real: ir.Type, args: Sequence[ir.Value]
) -> Any:
    """LLVM's own maximum or minimum, which keeps NaN as NumPy's does."""
    kind = ir.FunctionType(real, [real, real])
    return builder.call(builder.module.declare_intrinsic(f"llvm.{name}", [real], kind), args)


def _flagged(
    context: Any,
    builder: ir.IRBuilder,
    instruction: str,
    flags: Sequence[str],
    args: Sequence[ir.Value],
) -> Any:
    """One instruction of which LLVM may make what `flags` allow."""
    return getattr(builder, instruction)(*args, flags=flags)


def _quotient(context: Any, builder: ir.IRBuilder, dtype: _Dtype, args: Sequence[ir.Value]) -> Any:
    """x / d as x * (1 / (d * lift)) * lift, where `lift` is 1 but for subnormal d. What is made of
    d alone leaves a loop in which d stays the same."""
    x, d = args
    real, flags = dtype.llvm, _FREE_PRODUCT
    size = builder.call(builder.module.declare_intrinsic("llvm.fabs", [real]), [d])
    is_small = builder.fcmp_ordered("<", size, real(dtype.least))
    lift = builder.select(is_small, real(dtype.lift), real(1.0))
    reciprocal = builder.fdiv(real(1.0), builder.fmul(d, lift))
    return builder.fmul(builder.fmul(x, reciprocal, flags=flags), lift, flags=flags)


def _function(
    name: str, arity: int, lowerings: dict[types.Float, Lowering], own_name: str = ""
) -> Callable[..., Any]:
    """What Python runs as the function `name` of NumPy or `math`, and numba by `lowerings`."""
    plain = getattr(np, name, None) or getattr(math, name)
    if not lowerings:
        return plain

    def unary(x: Any) -> Any:  # numba goes by the names of parameters
        return plain(x)

    def binary(x: Any, y: Any) -> Any:
        return plain(x, y)

    function = unary if arity == 1 else binary
    function.__name__ = function.__qualname__ = own_name or f"v{name}"
    function.__doc__ = f"`{name}` of one number, or of several at once where a loop is vectorised."

    @type_callable(function)
    def type_of(context: Any) -> Callable[..., Any]:
        def of_one(x: Any) -> Any:
            return x if x in lowerings else None

        def of_two(x: Any, y: Any) -> Any:
            return x if x in lowerings and x == y else None

        return of_one if arity == 1 else of_two

    for dtype, lowering in lowerings.items():

        @lower_builtin(function, *[dtype] * arity)
        def lower(
            context: Any, builder: Any, signature: Any, args: Any, own: Lowering = lowering
        ) -> Any:
            return own(context, builder, args=args)

    return function


def _functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Everything that generated code may import from here."""
    for name, (_, arity) in _FUNCTIONS.items():
        own = {f.dtype.scalar: partial(_call, fn=f) for f in FOUND if f.name == name}
        yield f"v{name}", _function(name, arity, own if len(own) == len(_DTYPES) else {})
    for name in ("maximum", "minimum"):
        both = {d.scalar: partial(_extreme, name=name, real=d.llvm) for d in _DTYPES}
        yield f"v{name}", _function(name, 2, both)
    for name, plain in _ARITHMETIC.items():
        free = _FREE_PRODUCT if name == "mul" else _FREE_SUM
        for own, flags in ((f"v{name}", _ANY_ORDER), (f"f{name}", free)):
            lowering = partial(_flagged, instruction=f"f{name}", flags=flags)
            yield own, _function(plain, 2, {d.scalar: lowering for d in _DTYPES}, own)
    own = {d.scalar: partial(_quotient, dtype=d) for d in _DTYPES}
    yield "fdiv", _function("divide", 2, own, "fdiv")


FOUND = tuple(_find())

#: Different wherever other functions are vectorised, for caches of compiled code.
VARIANT = "_v" + hashlib.sha256(" ".join(fn.symbol for fn in FOUND).encode()).hexdigest()[:8]

globals().update(_functions())
