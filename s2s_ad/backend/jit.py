"""From source text to a callable, by way of a file in the cache directory.

The file makes tracebacks, pdb, profilers and numba's on-disk cache work on generated code. It is
named by the hash of its text and of the versions involved, written atomically, and checked before
it is used again, so that threads and processes may compile the same function at the same time.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from importlib import machinery, util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from s2s_ad.backend.cache import private_dir, versions, write
from s2s_ad.backend.expr import PRANGE
from s2s_ad.backend.threads import wait_briefly
from s2s_ad.ir.types import DTYPES, Type

#: Files with what compiled text calls.
NATIVE = ("blas", "compiler", "copies", "memory", "vecmath")
_lock = threading.Lock()


def compile_source(
    source: str, name: str, *, jit: bool, filename: str | None = None
) -> Callable[..., Any]:
    """The function `name` of the module `source`.

    With `jit` false the text runs as plain Python: float and int arguments become NumPy scalars
    and warnings are off, so that `x / 0.0` is inf and `log(-1.0)` is nan, as when compiled.
    `filename` puts the module at that path instead of into the cache. Raises CacheError where the
    file cannot be written.

    >>> square = compile_source("def square(x):\\n    return x * x\\n", "square", jit=False)
    >>> float(square(3.0))
    9.0
    """
    module = load_module(source, filename)
    function = getattr(module, name)
    if not jit:
        return _uncompiled(function)
    from s2s_ad.backend.memory import keep_freed_memory  # numba is there by now

    keep_freed_memory()
    if PRANGE in vars(module):
        wait_briefly()
    return function


def direct(function: Callable[..., Any], kinds: Sequence[Type]) -> Callable[..., Any]:
    """What numba compiled `function` to for arguments of these types, past numba's dispatcher,
    which would look at them once more: half of its cost. It must be given exactly these types:
    Python or NumPy scalars, and arrays that are C-contiguous, aligned, writeable and native.

    `function` itself where it has not been compiled for them, or is not compiled at all.
    """
    compiled = getattr(function, "overloads", None)
    if not compiled:
        return function
    import numba

    found = compiled.get(tuple(_numba_type(numba, kind) for kind in kinds))
    return getattr(found, "entry_point", None) or function


def load_compiled(function: Callable[..., Any], kinds: Sequence[Type]) -> None:
    """Take what an earlier process compiled `function` to for such arguments from numba's cache on
    disk, where it is there.

    numba does the same at the first call, but loads everything that *compiling* needs beforehand,
    some 0.2 s of imports. Machine code of array functions needs numba's runtime, no more; what
    hashes (strings, dicts, sets) would need more, and is never generated. With a numba that is made
    otherwise, nothing is done here.
    """
    load = getattr(getattr(function, "_cache", None), "_load_overload", None)
    if load is None or not hasattr(function, "_cache_hits"):
        return
    import numba
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.runtime import rtsys

    signature = tuple(_numba_type(numba, kind) for kind in kinds)
    with global_compiler_lock:
        if signature in function.overloads:
            return
        rtsys.initialize(function.targetctx)
        found = load(signature, function.targetctx)
        if found is not None and not found.objectmode:
            entry, described = found.entry_point, found.fndesc
            function.targetctx.insert_user_function(entry, described, [found.library])
            function.add_overload(found)
            function._cache_hits[signature] += 1


def _numba_type(numba: ModuleType, kind: Type) -> Any:
    scalar = numba.from_dtype(np.dtype(DTYPES[kind.dtype][0]))
    return numba.types.Array(scalar, kind.ndim, "C") if kind.is_array else scalar


def load_module(source: str, filename: str | None = None) -> ModuleType:
    """The module with this text, imported once per process."""
    digest = _digest(source)
    module_name = f"s2s_ad_generated_{digest[:24]}"
    if filename is not None:
        module_name += "_" + hashlib.sha256(str(filename).encode()).hexdigest()[:8]
    with _lock:
        if module_name in sys.modules:
            return sys.modules[module_name]
        path = Path(filename) if filename is not None else private_dir() / f"{module_name}.py"
        write(path, source)
        return _import(module_name, path, source)


def _digest(source: str) -> str:
    around = (
        _vector_functions(source),
        _own_lowering() if "from s2s_ad.backend." in source else "",
        *versions(),
    )
    return hashlib.sha256("\0".join((source, *around)).encode()).hexdigest()


def _vector_functions(source: str) -> str:
    """Which vector functions this machine has, where `source` is compiled to calls of them."""
    if "from s2s_ad.backend.vecmath import" not in source:
        return ""
    from s2s_ad.backend.vecmath import VARIANT  # numba is imported when something is compiled

    return VARIANT


@functools.cache
def _own_lowering() -> str:
    """The files that say what compiled text calls: it becomes a part of its machine code."""
    files = [Path(__file__).with_name(f"{name}.py") for name in NATIVE]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class _Loader(machinery.SourceFileLoader):
    """Runs the text that was checked, whatever the file or an old .pyc holds by then."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> Any:
        return compile(self._text, self.path, "exec", dont_inherit=True)

    def get_source(self, fullname: str) -> str:
        return self._text


def _import(module_name: str, path: Path, source: str) -> ModuleType:
    loader = _Loader(module_name, str(path), source)
    spec = util.spec_from_file_location(module_name, path, loader=loader)
    module = util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    _silence(module)
    return module


def _silence(module: ModuleType) -> None:
    """numba warns where `@` meets a strided array; the code is right, and the user did not ask."""
    if "numba" in vars(module):
        # numba takes the file's name for the module's.
        warnings.filterwarnings(
            "ignore", message=".*faster on contiguous arrays", module=".*s2s_ad_generated_"
        )


def _uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the arithmetic of compiled code: IEEE results instead of exceptions."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        scalars = [_numpy_scalar(a) for a in args]
        with np.errstate(all="ignore"):
            return function(*scalars)

    return call


def _numpy_scalar(value: Any) -> Any:
    if isinstance(value, float):
        return np.float64(value)
    return np.complex128(value) if isinstance(value, complex) else value
