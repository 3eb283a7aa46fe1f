"""Threads that wait for each other give the processor away soon.

At the end of a parallel loop threads wait for the last one. GNU's OpenMP, which numba's wheels for
Linux use, has them spin for some 16 milliseconds first. Where another program runs on one of the
cores, a thread then spins where the one that it waits for should run: every parallel loop takes
those 16 milliseconds, for the one that it could be done in by one thread.

    GOMP_SPINCOUNT=1000     some 50 microseconds, which is what OpenMP itself takes where it knows
                            that there are more threads than processors

It is read when the library is loaded, so the variable is there for just that long.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys

_NAME, _COUNT = "GOMP_SPINCOUNT", "1000"
#: What users say themselves about how threads wait.
_OWN = (_NAME, "OMP_WAIT_POLICY")


@functools.cache
def wait_briefly() -> None:
    """From now on waiting threads spin briefly, unless the environment says how they should wait,
    or OpenMP has been loaded before. A process does it once, before its first parallel loop.

    >>> wait_briefly()
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _OWN):
        return
    os.environ[_NAME] = _COUNT
    try:
        importlib.import_module("numba.np.ufunc.omppool")
    except ImportError:
        pass  # a numba without OpenMP
    finally:
        del os.environ[_NAME]
