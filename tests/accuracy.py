"""How far numbers are from what they should be, and numbers to look at."""

from __future__ import annotations

import numpy as np

DTYPES = (np.float64, np.float32)
#: Whether there are numbers with more digits than float64 to compare with.
WIDE = np.finfo(np.longdouble).nmant > 52


def ulps(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Distance in units in the last place; 0 for equal infinities and for nan both times."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(found.dtype)
        distance = np.abs(found - exact) / np.spacing(np.abs(rounded)).astype(np.longdouble)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    return np.where(same, 0, np.where(np.isfinite(found) & np.isfinite(rounded), distance, np.inf))


def samples(dtype: type, seed: int) -> np.ndarray:
    rng, n = np.random.default_rng(seed), 3001
    top = np.finfo(dtype).maxexp - 3
    signs = rng.choice([-1.0, 1.0], n)
    parts = [rng.uniform(-a, a, n) for a in (1, 10, 100, 700 if dtype is np.float64 else 80)]
    parts += [signs * np.exp2(rng.uniform(lo, hi, n)) for lo, hi in ((-top, 0), (0, 10), (10, top))]
    parts += [1 + signs * np.exp2(rng.uniform(-40, -1, n))]
    return rng.permutation(np.concatenate(parts)).astype(dtype)


def specials(dtype: type) -> np.ndarray:
    info = np.finfo(dtype)
    tiny = (info.smallest_subnormal, info.smallest_normal / 2, info.smallest_normal)
    plus = [0.0, np.inf, 1.0, *tiny, info.max, 0.5, 2.0, 3.0, 88.8, 104.0, 710.0, 745.5, 1e5, 1e22]
    return np.array([np.nan, *plus, *(-v for v in plus)], dtype)
