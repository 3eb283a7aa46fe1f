"""What numba adds to Python functions, and how each is followed.

- A dispatcher with fixed signatures takes only what they take, and converts numbers to them.
- A function that numba replaces (`numba.extending.overload`) is followed through its replacement
  where it has no source of its own.
- `numba.vectorize` and `np.vectorize` apply a function of numbers to every element.
- Special functions of SciPy that are called by their address are known by it.

numba is never imported here: what it makes can only be met where it has been.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from s2s_ad.frontend import arithmetic as ar
from s2s_ad.frontend.context import Context
from s2s_ad.frontend.errors import ArgumentError, UnsupportedCallError
from s2s_ad.frontend.flow import run_branch
from s2s_ad.frontend.memory import read
from s2s_ad.frontend.source import unwrap
from s2s_ad.frontend.values import describe, is_array, is_atom, is_scalar
from s2s_ad.ir.build import i64
from s2s_ad.ir.types import DTYPES, from_numpy


def prange(*bounds: Any) -> range:
    """A range whose iterations may run at the same time: numba's prange, in the tables."""
    return range(*bounds)


def resolve(fn: Any) -> Any:
    """What stands for `fn` in the tables: `prange` for numba's class of that name, SciPy's function
    for its address; else `fn`."""
    numba = sys.modules.get("numba")
    if numba is None:
        return fn
    if fn is numba.prange:
        return prange
    if hasattr(fn, "__wrapper_address__") and hasattr(fn, "signature"):
        name = _addresses().get(fn.__wrapper_address__())
        from scipy import special  # which _addresses has imported

        return fn if name is None else getattr(special, name, fn)
    return fn


@cache
def _addresses() -> Mapping[int, str]:
    """Addresses of SciPy's special functions of doubles, with their names."""
    from numba.extending import get_cython_function_address
    from scipy.special import cython_special

    found = {}
    for entry in cython_special.__pyx_capi__:
        name = entry.removeprefix("__pyx_fuse_0").removeprefix("__pyx_fuse_1")
        address = get_cython_function_address("scipy.special.cython_special", entry)
        found[address] = name.removeprefix("_")
    return found


# --- the function that is traced -----------------------------------------------------------------


def traceable(fn: Any) -> Any:
    """`fn` as a plain function to trace: itself, what it carries, or a call of it where the call
    does more than run its Python code."""
    if is_elementwise(fn) or is_generalised(fn) or _signatures(fn) or _replaced(fn):
        return _calling(fn)
    return unwrap(fn)


def _calling(fn: Any) -> Callable[..., Any]:
    def call(*args, **kwargs):
        return fn(*args, **kwargs)

    inner = unwrap(fn)
    call.__name__ = getattr(inner, "__name__", "function")
    call.__signature__ = inspect.signature(inner)
    return call


def paths_of(fn: types.FunctionType, count: int) -> list[str]:
    """What the first `count` arguments of a call are called: `x`, or `rest[0]`."""
    parameters = list(inspect.signature(fn, follow_wrapped=False).parameters.values())
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "")
    return [names[k] if k < len(names) else f"{rest}[{k - len(names)}]" for k in range(count)]


# --- dispatchers with signatures -----------------------------------------------------------------


def _signatures(fn: Any) -> Sequence[Any]:
    """The signatures of a dispatcher that takes no others."""
    if getattr(fn, "_can_compile", True) or not hasattr(fn, "py_func"):
        return ()
    return fn.nopython_signatures


def fit(cx: Context, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[Any]:
    """The arguments as the best of a dispatcher's signatures converts them. ArgumentError where
    none takes them; the arguments themselves for any other function."""
    signatures = _signatures(fn)
    if not signatures or kwargs or len(args) != len(signatures[0].args):
        return args
    found = []
    for signature in signatures:
        dtypes = [_taken(cx, value, kind) for value, kind in zip(args, signature.args)]
        if None not in dtypes:
            exact = sum(d == ar.dtype_of(cx, a)[0] for d, a in zip(dtypes, args) if d)
            found.append((exact, sum(DTYPES[d][1] for d in dtypes if d), dtypes))
    if not found:
        given = ", ".join(map(describe, args))
        shown = " or ".join(str(s.args) for s in signatures)
        cx.fail(
            ArgumentError,
            f"{fn.py_func.__name__!r} is compiled for {shown}, not for {given}",
            "convert the arguments (.astype, .ravel()), or call its py_func",
        )
    _, _, dtypes = max(found, key=lambda f: f[:2])
    return [_converted(cx, a, d) if d else a for a, d in zip(args, dtypes)]


def _taken(cx: Context, value: Any, kind: Any) -> str | None:
    """The dtype a parameter of numba's type `kind` gives to a value; "" where it leaves it alone,
    None where it does not take it."""
    from numba import types as nt

    if isinstance(kind, nt.Array):
        same = is_array(value) and value.type.ndim == kind.ndim
        return value.type.dtype if same and _dtype(kind.dtype) == value.type.dtype else None
    if is_array(value):
        return None
    return _dtype(kind) if is_scalar(value) else ""


def _dtype(kind: Any) -> str | None:
    """The IR's name of numba's type of a number; "" for other types."""
    from numba.np.numpy_support import as_dtype

    try:
        return from_numpy(as_dtype(kind))
    except (KeyError, NotImplementedError, TypeError):
        return ""


def _numpy(dtype: str) -> np.dtype:
    return np.dtype(DTYPES[dtype][0].rstrip("_"))


def _converted(cx: Context, value: Any, dtype: str) -> Any:
    if ar.dtype_of(cx, value)[0] == dtype:
        return value
    return ar.convert(cx, value, dtype)


# --- overloads -----------------------------------------------------------------------------------


def _replaced(fn: Any) -> Callable[..., Any] | None:
    """What numba calls to find its replacement of a plain function without source."""
    if "numba" not in sys.modules or not isinstance(fn, types.FunctionType):
        return None
    if not fn.__code__.co_filename.startswith("<"):
        return None
    from numba.core.registry import cpu_target

    context = cpu_target.typing_context
    try:
        context.refresh()
        templates = context.resolve_value_type(fn).templates
    except (ValueError, AttributeError):  # numba does not know it
        return None
    return next((t._overload_func for t in templates if hasattr(t, "_overload_func")), None)


def replacement(
    cx: Context, fn: types.FunctionType, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> types.FunctionType | None:
    """The function that numba compiles in place of `fn` for these arguments, if there is one."""
    choose = _replaced(fn)
    if choose is None:
        return None
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs)
        bound.apply_defaults()
        found = choose(*map(_numba_type, bound.args))
    except Exception as error:  # a foreign function may raise anything
        cx.fail(
            UnsupportedCallError,
            f"numba's implementation of {fn.__name__!r} does not take these arguments: {error}",
            "pass arrays and floats as numba asks for them",
        )
    return found if isinstance(found, types.FunctionType) else None


def _numba_type(value: Any) -> Any:
    import numba

    if is_array(value):
        element = numba.from_dtype(_numpy(value.type.dtype))
        return numba.types.Array(element, value.type.ndim, "C")
    if is_atom(value):
        return numba.from_dtype(_numpy(value.type.dtype))
    return numba.typeof(value)


# --- elementwise ---------------------------------------------------------------------------------


def is_elementwise(fn: Any) -> bool:
    """True for what `np.vectorize` and `numba.vectorize` make."""
    return isinstance(fn, np.vectorize) or type(fn).__name__ == "DUFunc"


def is_generalised(fn: Any) -> bool:
    return type(fn).__name__ == "GUFunc"


def apply_elementwise(cx: Context, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A function of numbers, at every element of its operands, which broadcast."""
    from s2s_ad.frontend.calls import call_function

    inner = unwrap(fn)
    if kwargs or getattr(fn, "excluded", None) or getattr(fn, "signature", None):
        cx.fail(
            UnsupportedCallError,
            "a vectorised function with keywords, excluded= or signature= is not supported",
            "write the loop",
        )
    values = [ar.as_array(cx, a) for a in args]
    if not any(map(is_array, values)):
        return call_function(cx, inner, values, {})
    columns, shape = _flattened(cx, values)
    dtype = _element_dtype(cx, inner, columns)
    _check_ufunc(cx, fn, values, dtype)
    from s2s_ad.frontend.creation import filled
    from s2s_ad.frontend.shaping import reshape

    n = ar.extents_of(cx, columns[0])[0]
    out = filled(cx, n, 0, dtype)
    call_function(cx, _fill, [out, inner, tuple(columns)], {})
    return out if len(shape) == 1 else reshape(cx, out, shape)


def _fill(out, fn, columns):
    for i in range(len(out)):
        out[i] = fn(*[column[i] for column in columns])


def _flattened(cx: Context, values: Sequence[Any]) -> tuple[list[Any], tuple[Any, ...]]:
    """The operands, broadcast and as vectors; and the shape they had."""
    from s2s_ad.frontend.shaping import broadcast_to, ravel

    ar.broadcast(cx, values)
    rank = max(len(ar.shape_of(v)) for v in values)
    shape: list[Any] = [1] * rank
    for value in values:
        lead = rank - len(ar.shape_of(value))
        for axis, size in enumerate(ar.extents_of(cx, value)):
            if ar.shape_of(value)[axis] != 1:
                shape[lead + axis] = size
    same = [ar.shape_of(v) == ar.shape_of(values[0]) for v in values]
    if not all(same) or not is_array(values[0]):
        values = [broadcast_to(cx, v, tuple(shape)) for v in values]
    return [ravel(cx, v) for v in values], tuple(shape)


def _element_dtype(cx: Context, fn: Any, columns: Sequence[Any]) -> str:
    """The dtype of the function's value, from interpreting it apart once more."""
    from s2s_ad.frontend.calls import call_function

    found: list[Any] = []

    def body() -> None:
        first = [cx.emit("load", read(cx, c), i64(0), spec="i") for c in columns]
        found.append(call_function(cx, fn, first, {}))

    run_branch(cx, body)
    if not is_scalar(found[0]):
        cx.fail(
            UnsupportedCallError,
            f"the vectorised function {fn.__name__!r} gives {describe(found[0])}, not a number",
        )
    return ar.dtype_of(cx, found[0])[0]


def _check_ufunc(cx: Context, fn: Any, values: Sequence[Any], dtype: str) -> None:
    """A ufunc compiled for fixed types, and otypes=, convert: refused where that would matter."""
    own = [ar.dtype_of(cx, v)[0] for v in values]
    codes = "".join(_numpy(d).char for d in own)
    result = _numpy(dtype).char
    if isinstance(fn, np.vectorize):
        fits = fn.otypes is None or fn.otypes == result
    else:
        fits = not getattr(fn, "_frozen", False) or f"{codes}->{result}" in fn.types
    if not fits:
        cx.fail(
            ArgumentError,
            f"the vectorised function {unwrap(fn).__name__!r} would convert its arguments or value",
            "convert them with .astype before the call",
        )
