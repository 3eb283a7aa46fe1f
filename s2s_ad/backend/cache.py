"""The cache directory: private, and written to whole files at a time."""

from __future__ import annotations

import functools
import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

from s2s_ad.errors import S2SError


class CacheError(S2SError):
    """The cache directory cannot be used: not writable, or not the user's own."""

    code = "S2S601"


def cache_dir() -> Path:
    """The directory of generated modules: `$S2S_AD_CACHE_DIR`, or one in the user's cache."""
    chosen = os.environ.get("S2S_AD_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "s2s_ad"


def private_dir() -> Path:
    """The cache directory, made readable and writable by this user alone. CacheError where that
    cannot be."""
    directory = cache_dir()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid"):
            if directory.stat().st_uid != os.getuid():
                raise CacheError(
                    f"the cache directory {directory} belongs to another user",
                    advice="set S2S_AD_CACHE_DIR to a directory of your own",
                )
            directory.chmod(0o700)
    except OSError as error:
        raise CacheError(
            f"the cache directory {directory} cannot be used: {error}",
            advice="set S2S_AD_CACHE_DIR to a directory that you can write to",
        ) from error
    return directory


def write(path: Path, source: str) -> None:
    """Put `source` at `path`, whole or not at all; a file that is already right is left alone, so
    that numba's cache, which goes by its time stamp, stays valid."""
    data = source.encode()
    try:
        if path.read_bytes() == data:
            return
    except OSError:
        pass
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise CacheError(
            f"cannot write {path}: {error}",
            advice="set S2S_AD_CACHE_DIR to a directory that you can write to",
        ) from error


@functools.cache
def versions() -> tuple[str, ...]:
    """What is around generated code: numba, NumPy and Python."""
    try:
        numba = metadata.version("numba")
    except metadata.PackageNotFoundError:
        numba = "none"
    return numba, np.__version__, sys.implementation.name, platform.python_version()
