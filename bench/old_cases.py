"""The measurements, each against the goal that the project has set itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bench import programs
from bench.measure import check_gradient, numba_peer, side_by_side
from s2s_ad import differentiate, grad


@dataclass(frozen=True)
class Row:
    """`figure` is compared with `goal`; times are in seconds, None where there is no peer."""

    name: str
    ours: float
    peer: float | None
    figure: float
    unit: str
    goal: float
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        return self.figure >= self.goal if self.at_least else self.figure <= self.goal


def _gradient(
    name: str, fn: Callable, peer: Callable, args: tuple, wrt: tuple[int, ...], goal: float
) -> Row:
    """A compiled gradient against the primal in numba, which gets copies as the gradient makes."""
    compiled, primal = grad(fn, wrt=wrt), numba_peer(peer)
    error = check_gradient(compiled(*args), peer, args, wrt)

    def run_primal() -> None:
        primal(*(a.copy() if isinstance(a, np.ndarray) and i in wrt else a for i, a in pairs))

    pairs = list(enumerate(args))
    ours, theirs = side_by_side([lambda: compiled(*args), run_primal])
    return Row(name, ours, theirs, ours / theirs, "×", goal, note=f"error {error:.0e}")


def rk4() -> Row:
    args = (1.5, -0.3, 0.8, 1e-3, 100_000)
    fn = programs.van_der_pol
    return _gradient("RK4 van der Pol, 10⁵ steps: gradient / primal", fn, fn, args, (0, 1, 2), 3.0)


def gauss_seidel() -> Row:
    rng = np.random.default_rng(0)
    args = (rng.random((120, 120)), rng.random((120, 120)), 20)
    fn = programs.gauss_seidel
    return _gradient("Gauss–Seidel 120², 20 sweeps: gradient / primal", fn, fn, args, (0,), 4.0)


def cholesky() -> Row:
    rng = np.random.default_rng(0)
    G = rng.random((100, 100))
    args = (G @ G.T + 100.0 * np.eye(100), rng.random((100, 100)))
    name = "Cholesky n=100 in place: gradient / primal in loops"
    return _gradient(name, programs.cholesky, programs.cholesky_loops, args, (0,), 4.0)


def jacobi() -> Row:
    rng = np.random.default_rng(0)
    A, B = rng.random((2, 350, 350))
    ours, theirs = differentiate(programs.jacobi_2d), numba_peer(programs.jacobi_2d)
    expected, found = (A.copy(), B.copy()), (A.copy(), B.copy())
    programs.jacobi_2d(5, *expected)
    ours(5, *found)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    times = side_by_side([lambda: ours(100, A, B), lambda: theirs(100, A, B)])
    name = "Jacobi 350², 99 double sweeps: numba on slices / our primal"
    return Row(name, *times, times[1] / times[0], "×", 5.0, at_least=True)


_GENERATE = """
import time
import numpy as np
from bench.programs import gmm
from s2s_ad import grad
rng = np.random.default_rng(0)
args = rng.random(5), rng.random((5, 3)), rng.random((5, 6)), rng.random((20, 3)), 1.0, 0
start = time.perf_counter()
grad(gmm, wrt=(0, 1, 2)).source(*args, level="kernel")
print(time.perf_counter() - start)
"""


def generation() -> Row:
    """In fresh processes, so that nothing is cached; importing s2s_ad and NumPy is not counted."""
    command = [sys.executable, "-c", _GENERATE]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(5)]
    best = min(float(r.stdout) for r in runs)
    return Row("GMM: generating the gradient's source", best, None, best, "s", 0.3)


def call_overhead() -> Row:
    """A compiled gradient of almost no work, and the kernel inside it called directly."""
    args = (0.7, np.arange(3.0))
    compiled = grad(programs.tiny, wrt=(0, 1))
    compiled(*args)
    (specialisation,) = compiled._fast.values()
    kernel = specialisation.kernel
    ours, direct = side_by_side([lambda: compiled(*args), lambda: kernel(*args)], budget=1.0)
    name = "Call of a compiled gradient beyond the kernel's own"
    return Row(name, ours, direct, (ours - direct) * 1e6, "µs", 5.0)


CASES = {
    "rk4": rk4,
    "gauss_seidel": gauss_seidel,
    "cholesky": cholesky,
    "jacobi": jacobi,
    "generation": generation,
    "call": call_overhead,
}


def rows(names: list[str]) -> Iterator[Row]:
    for name in names:
        yield CASES[name]()
