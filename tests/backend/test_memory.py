"""Memory that a compiled function has freed serves its next call."""

from __future__ import annotations

import platform
import resource

import numpy as np
import pytest

from s2s_ad.backend.jit import compile_source

SOURCE = """
import numpy as np


def scaled(x):
    return x * 2.0, x * 3.0
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other rules")
def test_calls_do_not_meet_new_pages() -> None:
    scaled = compile_source(SOURCE, "scaled", jit=True)
    x = np.ones(80_000)

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        scaled(x)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert min(faults() for _ in range(20)) < 100  # 313 pages are written
