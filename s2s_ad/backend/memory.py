"""Memory that has been freed stays with the process.

A gradient makes arrays, and gives them back when it returns. By default the C library returns them
to the system, so the next call meets pages that are not there: the first write to each costs more
than all the arithmetic on it (logsumexp of 80,000 numbers: three quarters of the time).

    free(mmapped block)     glibc learns from it: blocks up to this size come from the heap from now
                            on, and up to twice as much stays there when it is free

So one block of the greatest size that it learns from, which is never touched, is made and freed.
Any program that has once freed an array of 32 MB has come to the same.
"""

from __future__ import annotations

import functools
import platform

import numpy as np

#: glibc's DEFAULT_MMAP_THRESHOLD_MAX on 64 bits, less what surrounds a block.
_LARGEST = 32 * 2**20 - 2 * 4096


@functools.cache
def keep_freed_memory() -> None:
    """From now on up to 64 MB of freed memory stay with the process, where glibc is the C library;
    elsewhere nothing happens. A process does it once, before it compiles its first function.

    >>> keep_freed_memory()
    """
    if platform.libc_ver()[0] == "glibc":
        np.empty(_LARGEST, dtype=np.uint8)
