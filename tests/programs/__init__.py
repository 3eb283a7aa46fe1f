"""Programs as a user writes them, each module with its `PROGRAMS`: what to run and on what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Program:
    """`inputs` are (label, arguments); `outputs` names the arguments whose final values count, for
    functions that return nothing; `wrt` is what is differentiated, None for all floats. `fd_rtol`
    is what finite differences in float64 can confirm of the result."""

    fn: Callable[..., Any]
    inputs: tuple[tuple[str, tuple], ...]
    outputs: str | tuple[str, ...] | None = None
    wrt: tuple[int, ...] | None = None
    fd_rtol: float = 1e-6

    @property
    def name(self) -> str:
        return self.fn.__name__


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).standard_normal(shape)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    return 0.5 + rng(seed).random(shape)
