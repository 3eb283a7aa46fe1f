"""Whole modules around emitted functions: header, imports, and numba's options."""

from __future__ import annotations

import re
from collections.abc import Sequence

from s2s_ad.backend.emit import UNCOMPILED, emit
from s2s_ad.backend.expr import VECTOR_NAMES
from s2s_ad.backend.vectorise import vectorised
from s2s_ad.ir.core import Func

#: Division as NumPy does it, and reordered sums; NaN and inf keep their meaning.
_OPTIONS = (
    'error_model="numpy"',
    'fastmath={"nsz", "arcp", "contract", "afn", "reassoc"}',
)
#: What numba refuses to functions that call back into Python.
_FREE = ("nogil=True", "cache=True")
#: numba's cache on disk goes by names: code that calls vector functions is not for where they are
#: not, or where there are others.
_BY_VARIANT = """
def compiled(function):
    function.__qualname__ += VARIANT  # the name under which numba caches machine code
    return _njit(function)
"""
_VECMATH = "s2s_ad.backend.vecmath"
_VECTOR_CALL = re.compile(rf"\b({'|'.join(VECTOR_NAMES.values())})\(")


def emit_module(
    funcs: Sequence[Func | str],
    header: str = "",
    jit: bool = True,
    optional: bool = False,
    plain: str = "",
    vector: bool = False,
) -> str:
    """A Python module with `funcs` (Funcs, or text that `emit` gave).

    `header` becomes a comment at the top. With `jit` the functions are compiled by numba; with
    `optional` too, the module also works where numba is not installed. `plain` is more source,
    left uncompiled. With `vector`, loops call the functions of `backend.vecmath`, which a module
    with `optional` does without where s2s_ad is not installed. Else a module imports only numpy,
    math, numba, and what output needs (logging, sys, warnings), each where it is used.
    """
    functions = vectorised(f for f in funcs if isinstance(f, Func)) if vector else ()
    texts = [f if isinstance(f, str) else emit(f, jit=jit, vector=functions) for f in funcs]
    calls_back = any(f"with {UNCOMPILED}():" in text for text in texts)
    if jit:
        texts = [f"@compiled\n{text}" for text in texts]
    texts += [plain] if plain else []
    code = "\n".join(texts)
    used = sorted(set(_VECTOR_CALL.findall(code))) if vector else []
    standard = ("logging", "math", "sys", "warnings")
    imports = [f"import {m}" for m in standard if re.search(rf"(?<![\w.])\b{m}\.", code)]
    others = ["import numba"] if jit and not optional else []
    others += ["import numpy as np"] if re.search(r"\bnp\.", code) else []
    others += [f"from {_VECMATH} import {', '.join(used)}"] if used and not optional else []
    blocks = ["\n".join(f"# {line}".rstrip() for line in header.splitlines())] if header else []
    blocks += ["\n".join(imports)] if imports else []
    blocks += ["\n".join(others)] if others else []
    blocks += [_optional_import(used)] if used and optional else []
    blocks += [_compiler(calls_back, bool(used), optional).rstrip()] if jit else []
    head = "\n\n".join(blocks)
    return (f"{head}\n\n\n" if head else "") + "\n\n".join(texts)


def _compiler(calls_back: bool, vector: bool, optional: bool) -> str:
    """The decorator of compiled functions, and the context of what is left to Python."""
    options = _OPTIONS if calls_back else (*_OPTIONS, *_FREE)
    by_variant = vector and optional
    name = "_njit" if by_variant else "compiled"
    text = f"{name} = numba.njit(\n" + "".join(f"    {o},\n" for o in options) + ")\n"
    text += f"{UNCOMPILED} = numba.objmode\n" if calls_back else ""
    text += _BY_VARIANT if by_variant else ""
    if not optional:
        return text
    context = f"    from contextlib import nullcontext as {UNCOMPILED}\n\n" if calls_back else ""
    return (
        "try:\n    import numba\nexcept ImportError:  # the same functions, uncompiled\n"
        + (context or "\n")
        + "    def compiled(function):\n        return function\n\nelse:\n"
        + "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())
    )


def _optional_import(used: Sequence[str]) -> str:
    """The vector functions, or the ordinary ones under their names."""
    names = {own: name for name, own in VECTOR_NAMES.items()}
    plain: dict[str, list[str]] = {"math": [], "numpy": []}
    for own in used:
        source = "math" if names[own] in ("erf", "erfc") else "numpy"
        plain[source].append(f"{names[own]} as {own}")
    lines = ["try:", *_from(_VECMATH, ["VARIANT", *used]), "except ImportError:  # one at a time"]
    for source, items in plain.items():
        lines += _from(source, items) if items else []
    return "\n".join([*lines, "", '    VARIANT = ""'])


def _from(module: str, items: Sequence[str]) -> list[str]:
    line = f"    from {module} import {', '.join(items)}"
    if len(line) <= 99:
        return [line]
    return [f"    from {module} import (", *(f"        {item}," for item in items), "    )"]
