"""Whole modules around emitted functions: header, imports, and numba's options."""

from __future__ import annotations

import re
from collections.abc import Sequence

from s2s_ad.backend.emit import emit
from s2s_ad.ir.core import Func

#: Division as NumPy does it, and reordered sums; NaN and inf keep their meaning.
_OPTIONS = """\
    error_model="numpy",
    fastmath={"nsz", "arcp", "contract", "afn", "reassoc"},
    nogil=True,
    cache=True,
"""
_JIT = f"compiled = numba.njit(\n{_OPTIONS})\n"
_OPTIONAL = (
    "try:\n    import numba\nexcept ImportError:  # the same functions, uncompiled\n\n"
    "    def compiled(function):\n        return function\n\nelse:\n"
    + "".join(f"    {line}\n" for line in _JIT.splitlines())
)


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
    left uncompiled. The module imports only numpy, math and numba, each where it is used.
    """
    texts = [f if isinstance(f, str) else emit(f) for f in funcs]
    if jit:
        texts = [f"@compiled\n{text}" for text in texts]
    texts += [plain] if plain else []
    code = "\n".join(texts)
    imports = ["import math"] if re.search(r"\bmath\.", code) else []
    others = ["import numba"] if jit and not optional else []
    others += ["import numpy as np"] if re.search(r"\bnp\.", code) else []
    blocks = ["\n".join(f"# {line}".rstrip() for line in header.splitlines())] if header else []
    blocks += ["\n".join(imports)] if imports else []
    blocks += ["\n".join(others)] if others else []
    blocks += [(_OPTIONAL if optional else _JIT).rstrip()] if jit else []
    head = "\n\n".join(blocks)
    return (f"{head}\n\n\n" if head else "") + "\n\n".join(texts)
