"""Whole modules around emitted functions: header, imports, and numba's options."""

from __future__ import annotations

import re
from collections.abc import Sequence

from s2s_ad.backend.emit import UNCOMPILED, emit
from s2s_ad.ir.core import Func

#: Division as NumPy does it, and reordered sums; NaN and inf keep their meaning.
_OPTIONS = (
    'error_model="numpy"',
    'fastmath={"nsz", "arcp", "contract", "afn", "reassoc"}',
)
#: What numba refuses to functions that call back into Python.
_FREE = ("nogil=True", "cache=True")


def emit_module(
    funcs: Sequence[Func | str],
    header: str = "",
    jit: bool = True,
    optional: bool = False,
    plain: str = "",
) -> str:
    """A Python module with `funcs` (Funcs, or text that `emit` gave).

    `header` becomes a comment at the top. With `jit` the functions are compiled by numba; with
    `optional` too, the module also works where numba is not installed. `plain` is more source,
    left uncompiled. The module imports only numpy, math, numba, and what output needs (logging,
    sys, warnings), each where it is used.
    """
    texts = [f if isinstance(f, str) else emit(f, jit=jit) for f in funcs]
    calls_back = any(f"with {UNCOMPILED}():" in text for text in texts)
    if jit:
        texts = [f"@compiled\n{text}" for text in texts]
    texts += [plain] if plain else []
    code = "\n".join(texts)
    standard = ("logging", "math", "sys", "warnings")
    imports = [f"import {m}" for m in standard if re.search(rf"(?<![\w.])\b{m}\.", code)]
    others = ["import numba"] if jit and not optional else []
    others += ["import numpy as np"] if re.search(r"\bnp\.", code) else []
    blocks = ["\n".join(f"# {line}".rstrip() for line in header.splitlines())] if header else []
    blocks += ["\n".join(imports)] if imports else []
    blocks += ["\n".join(others)] if others else []
    blocks += [_compiler(calls_back, optional).rstrip()] if jit else []
    head = "\n\n".join(blocks)
    return (f"{head}\n\n\n" if head else "") + "\n\n".join(texts)


def _compiler(calls_back: bool, optional: bool) -> str:
    """The decorator of compiled functions, and the context of what is left to Python."""
    options = _OPTIONS if calls_back else (*_OPTIONS, *_FREE)
    text = "compiled = numba.njit(\n" + "".join(f"    {o},\n" for o in options) + ")\n"
    text += f"{UNCOMPILED} = numba.objmode\n" if calls_back else ""
    if not optional:
        return text
    context = f"    from contextlib import nullcontext as {UNCOMPILED}\n\n" if calls_back else ""
    return (
        "try:\n    import numba\nexcept ImportError:  # the same functions, uncompiled\n"
        + (context or "\n")
        + "    def compiled(function):\n        return function\n\nelse:\n"
        + "".join(f"    {line}\n" for line in text.splitlines())
    )
