"""Whole modules around emitted functions: header, imports, and numba's options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from s2s_ad.analysis.rounding import free
from s2s_ad.analysis.vectors import reorderable, vectorised
from s2s_ad.backend.emit import UNCOMPILED, emit, emit_parts
from s2s_ad.backend.expr import (
    ANY_ORDER_NAMES,
    BLAS_NAMES,
    COPY_NAMES,
    FREE_NAMES,
    MEMORY_NAMES,
    PRANGE,
    SOLVE_NAMES,
    THREADS,
    VECTOR_NAMES,
)
from s2s_ad.ir.core import Eqn, Func

#: Division as NumPy does it.
_OPTIONS = ('error_model="numpy"',)
#: Where the user has asked for it. NaN and inf keep their meaning.
_FASTMATH = 'fastmath={"nsz", "arcp", "contract", "afn", "reassoc"}'
#: What numba refuses to functions that call back into Python.
_FREE = ("nogil=True", "cache=True")
#: The decorators of functions without and with a parallel loop. In these, numba leaves everything
#: else as it is written.
_COMPILED, _THREADED = "compiled", "threaded"
_PRANGE_ALONE = [
    "comprehension",
    "fusion",
    "inplace_binop",
    "numpy",
    "reduction",
    "setitem",
    "stencil",
]
_PARALLEL = f"parallel={{'prange': True, **dict.fromkeys({_PRANGE_ALONE}, False)}}".replace(
    "'", '"'
)
_THREADS = f"""\
try:
    from numba import {THREADS}, {PRANGE}
except ImportError:  # one iteration after the other
    {PRANGE} = range

    def {THREADS}():
        return 1"""
#: numba's own function of this name would keep it from caching what calls it.
_THREADS_COMPILED = f'{THREADS} = numba.types.ExternalFunction("{THREADS}", numba.intp())\n'
_PARALLEL_LOOP = re.compile(rf"^ +for \w+ in {PRANGE}\(", re.MULTILINE)
#: The decorator of parts of functions, and its own options: only other compiled code calls parts,
#: which has them in its own machine code, and in its own file in the cache.
_PART = "compiled_part"
_UNSEEN = ("no_cpython_wrapper=True", "no_cfunc_wrapper=True")
#: What compiles them, here and now.
_COMPILERS = {_COMPILED: "LoopCompiler", _PART: "PartCompiler"}
#: numba's cache on disk goes by names: code that calls vector functions is not for where they are
#: not, or where there are others.
_BY_VARIANT = """
def {name}(function):
    function.__qualname__ += VARIANT  # the name under which numba caches machine code
    return _{name}(function)
"""
_VECMATH = "s2s_ad.backend.vecmath"
#: What only compiled text imports, and where it is.
_NATIVE = {
    "s2s_ad.backend.blas": BLAS_NAMES,
    "s2s_ad.backend.copies": COPY_NAMES,
    "s2s_ad.backend.memory": MEMORY_NAMES,
    "s2s_ad.backend.triangular": SOLVE_NAMES,
}
_NAMES = (VECTOR_NAMES, ANY_ORDER_NAMES, FREE_NAMES)
_VECTOR_CALL = re.compile(
    rf"\b({'|'.join(sorted({n for names in _NAMES for n in names.values()}))})\("
)


def emit_module(
    funcs: Sequence[Func | str],
    header: str = "",
    jit: bool = True,
    optional: bool = False,
    plain: str = "",
    vector: bool = False,
    fastmath: bool = False,
) -> str:
    """A Python module with `funcs` (Funcs, or text that `emit` gave).

    `header` becomes a comment at the top. With `jit` the functions are compiled by numba; with
    `optional` too, the module also works where numba is not installed. `plain` is more source,
    left uncompiled. With `vector`, loops call the functions of `backend.vecmath`, which a module
    with `optional` does without where s2s_ad is not installed. What is compiled here and now (not
    `optional`) makes arrays, and tells apart those that change places, by `backend.memory`, copies
    them by `backend.copies`, and makes products by `backend.blas`. Else a module imports only
    numpy, math, numba, and what output needs (logging, sys, warnings), each where it is used. With
    `fastmath`, the compiler may compute what is equal but for rounding in place of what is written.
    Without, it may change the order of NumPy's sums and of those of a reverse sweep, which are
    marked for that (in a module with `optional`, if `vector` too), and what is compiled here and
    now may round tangents and cotangents as it likes.
    """
    functions = vectorised((f for f in funcs if isinstance(f, Func)), fastmath) if vector else ()
    marks = jit and not fastmath and (vector or not optional)
    native = jit and not optional

    def texts_of(func: Func | str) -> list[tuple[str, str]]:
        """Its parts and itself, each with its decorator."""
        if isinstance(func, str):
            texts = [func]
        elif jit:
            marked = _marked(func, native) if marks else {}
            texts = emit_parts(func, vector=functions, marked=marked, native=native)
        else:
            texts = [emit(func, jit=False, vector=functions)]
        *parts, whole = texts
        own = _THREADED if _PARALLEL_LOOP.search(whole) else _COMPILED
        return [*((_PART, part) for part in parts), (own, whole)]

    decorated = [pair for f in funcs for pair in texts_of(f)]
    decorators = [decorator for decorator, _ in decorated]
    texts = [f"@{decorator}\n{text}" if jit else text for decorator, text in decorated]
    calls_back = any(f"with {UNCOMPILED}():" in text for text in texts)
    texts += [plain] if plain else []
    code = "\n".join(texts)
    used = sorted(set(_VECTOR_CALL.findall(code))) if vector or marks else []
    standard = ("logging", "math", "sys", "warnings")
    imports = [f"import {m}" for m in standard if re.search(rf"(?<![\w.])\b{m}\.", code)]
    others = ["import numba"] if jit and not optional else []
    others += ["import numpy as np"] if re.search(r"\bnp\.", code) else []
    for source, names in _NATIVE.items() if native else ():
        found = [name for name in names if re.search(rf"\b{name}\(", code)]
        others += [f"from {source} import {', '.join(found)}"] if found else []
    compilers = {d: c for d, c in _COMPILERS.items() if native and d in decorators}
    if compilers:
        others.append(f"from s2s_ad.backend.compiler import {', '.join(compilers.values())}")
    others += [f"from {_VECMATH} import {', '.join(used)}"] if used and not optional else []
    blocks = ["\n".join(f"# {line}".rstrip() for line in header.splitlines())] if header else []
    blocks += ["\n".join(imports)] if imports else []
    blocks += ["\n".join(others)] if others else []
    blocks += [_THREADS] if _THREADED in decorators else []
    blocks += [_optional_import(used)] if used and optional else []
    options = (*_OPTIONS, _FASTMATH) if fastmath else _OPTIONS
    options = options if calls_back else (*options, *_FREE)
    made = dict.fromkeys(decorators, options)
    made |= {_THREADED: (*options, _PARALLEL)} if _THREADED in made else {}
    unseen = [o for o in options if o not in _FREE] + [*_UNSEEN]
    made |= {_PART: unseen} if _PART in made else {}
    for name, compiler in compilers.items():
        made[name] = (*made[name], f"pipeline_class={compiler}")
    blocks += [_compiler(made, calls_back, bool(used), optional).rstrip()] if jit else []
    head = "\n\n".join(blocks)
    return (f"{head}\n\n\n" if head else "") + "\n\n".join(texts)


def _marked(func: Func, native: bool) -> dict[Eqn, str]:
    """The arithmetic of `func` whose order or rounding is free, with the functions that say so."""
    marked = {e: ANY_ORDER_NAMES[e.prim] for e in reorderable(func)}
    return marked | {e: FREE_NAMES[e.prim] for e in free(func)} if native else marked


def _compiler(
    made: Mapping[str, Sequence[str]], calls_back: bool, vector: bool, optional: bool
) -> str:
    """The decorators of compiled functions, with their options, and the context of what is left to
    Python."""
    text = ""
    for name, options in made.items():
        own = f"_{name}" if vector and optional else name
        text += f"{own} = numba.njit(\n" + "".join(f"    {o},\n" for o in options) + ")\n"
    text += _THREADS_COMPILED if _THREADED in made else ""
    text += f"{UNCOMPILED} = numba.objmode\n" if calls_back else ""
    if vector and optional:
        text += "".join(_BY_VARIANT.format(name=name) for name in made)
    if not optional:
        return text
    context = f"    from contextlib import nullcontext as {UNCOMPILED}\n\n" if calls_back else ""
    return (
        "try:\n    import numba\nexcept ImportError:  # the same functions, uncompiled\n"
        + (context or "\n")
        + "\n".join(f"    def {name}(function):\n        return function\n" for name in made)
        + "\nelse:\n"
        + "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())
    )


def _optional_import(used: Sequence[str]) -> str:
    """The vector functions, or the ordinary ones under their names."""
    names = {own: name for name, own in VECTOR_NAMES.items()}
    names |= {own: own.removeprefix("v") for own in ANY_ORDER_NAMES.values()}
    sources = {"erf": "math", "erfc": "math"}
    sources |= dict.fromkeys(("add", "sub", "mul"), "operator")
    plain: dict[str, list[str]] = {"math": [], "numpy": [], "operator": []}
    for own in used:
        plain[sources.get(names[own], "numpy")].append(f"{names[own]} as {own}")
    lines = ["try:", *_from(_VECMATH, ["VARIANT", *used]), "except ImportError:  # one at a time"]
    for source, items in plain.items():
        lines += _from(source, items) if items else []
    return "\n".join([*lines, "", '    VARIANT = ""'])


def _from(module: str, items: Sequence[str]) -> list[str]:
    line = f"    from {module} import {', '.join(items)}"
    if len(line) <= 99:
        return [line]
    return [f"    from {module} import (", *(f"        {item}," for item in items), "    )"]
