"""Suites `scale` and `start`: how cost grows, and what the first gradient costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.case import Case, defined, load
from bench.generated import mixed, nest, straight
from bench.measure import seconds
from bench.report import time_text
from bench.runner import ROOT, environment


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def markdown(self) -> str:
        lines = ["| " + " | ".join(self.header) + " |", "|" + "---|" * len(self.header)]
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in self.rows]
        return f"## {self.title}\n\n" + "\n".join(lines) + "\n"


# --- scale ---------------------------------------------------------------------------------------


def tape_bytes(fn: Callable, args: tuple, wrt: tuple[str, ...]) -> int:
    """What the forward sweep keeps for the reverse sweep, arguments not counted."""
    from s2s_ad import vjp

    kept = vjp(fn, wrt=wrt)(*args)[1]._residuals
    given = {id(a) for a in args}
    return sum(r.nbytes for r in kept if isinstance(r, np.ndarray) and id(r) not in given)


def _run(case: Case, size: dict[str, Any]) -> tuple[Any, ...]:
    """(primal, gradient, ratio, tape bytes) of a case at a size of its own."""
    from s2s_ad import differentiate, grad

    given = case.module.inputs(np.random.default_rng(0), **size)
    args = tuple(given[name] for name in case.parameters)
    wrt = case.wrt(given)
    if case.outputs:
        args += tuple(case.weights(case.results(given)).values())
    objective = case.objective()
    primal, gradient = differentiate(objective), grad(objective, wrt=wrt)
    gradient(*args), primal(*args)
    times = seconds(lambda: primal(*args), 0.2), seconds(lambda: gradient(*args), 0.2)
    kept = tape_bytes(objective, args, wrt)
    return time_text(times[0]), time_text(times[1]), f"{times[1] / times[0]:.2f}", kept


GROWTH: tuple[tuple[str, str, tuple[dict[str, int], ...]], ...] = (
    ("trip count", "micro/rk4", tuple({"steps": n} for n in (1000, 10_000, 100_000, 1_000_000))),
    ("trip count", "micro/leapfrog", tuple({"n": 200, "steps": n} for n in (100, 1000, 10_000))),
    ("array size", "micro/chain", tuple({"n": n} for n in (1000, 30_000, 1_000_000, 10_000_000))),
    ("array size", "micro/jacobi", tuple({"n": n, "steps": 50} for n in (50, 200, 800))),
)


def scale() -> Iterator[Table]:
    header = ("case", "size", "primal", "gradient", "÷ primal", "tape bytes")
    for title, label, sizes in GROWTH:
        case = load(label)
        rows = [
            (case.name, " ".join(f"{k}={v}" for k, v in size.items()), *_run(case, size))
            for size in sizes
        ]
        yield Table(f"scale: {title}", header, rows)
    yield _depths()
    yield _lengths()


def _depths() -> Table:
    from s2s_ad import differentiate, grad

    rows = []
    for depth, trips in ((1, 65536), (2, 256), (4, 16), (8, 4)):
        fn = defined(nest(depth), "program", {})
        primal, gradient = differentiate(fn), grad(fn)
        start = time.perf_counter()
        gradient(0.3, trips)
        compiled = time.perf_counter() - start
        primal(0.3, trips)
        times = [seconds(lambda f=f, n=trips: f(0.3, n), 0.2) for f in (primal, gradient)]
        kept = tape_bytes(fn, (0.3, trips), ("x",))
        shown = (*map(time_text, times), f"{times[1] / times[0]:.2f}", kept, time_text(compiled))
        rows.append((f"{depth} loops of {trips}", *shown))
    header = ("program", "primal", "gradient", "÷ primal", "tape bytes", "compile")
    return Table("scale: depth of nesting", header, rows)


LENGTHS = (50, 100, 200, 500, 1000, 2000)
PATIENCE = 600.0  # seconds for one program


def _lengths(lengths: tuple[int, ...] = LENGTHS) -> Table:
    """Each in a process of its own, with an empty cache; what is longer than one that takes more
    than PATIENCE is left out."""
    rows = []
    for kind in ("straight", "mixed"):
        for lines in lengths:
            with tempfile.TemporaryDirectory() as cache:
                try:
                    found = first_gradient(f"generated:{kind}:{lines}", cache, PATIENCE)
                except subprocess.TimeoutExpired:
                    rows.append((kind, lines, f"more than {PATIENCE:.0f} s", "", "", ""))
                    break
            share = f"{100 * found['passes'] / found['first']:.0f} %"
            times = (time_text(found[k]) for k in ("first", "passes"))
            rows.append((kind, lines, *times, share, time_text(found["again"])))
    header = ("program", "lines", "first gradient", "of it our passes", "share", "a call")
    return Table("scale: length of the program", header, rows)


# --- start ---------------------------------------------------------------------------------------


def start() -> Iterator[Table]:
    """The first gradient in a new process, without a cache and with one; imports apart."""
    rows = []
    for name, program in STARTS.items():
        with tempfile.TemporaryDirectory() as cache:
            if not rows:
                first_gradient(program, f"{cache}/other")  # Python's own cache, of modules
            cold, warm = first_gradient(program, cache), first_gradient(program, cache)
        imports = (min(cold[k], warm[k]) for k in ("import", "numba"))
        times = (*imports, cold["first"], cold["passes"], warm["first"], cold["again"])
        rows.append((name, *map(time_text, times)))
    header = (
        "program",
        "import",
        "numba's import",
        "first, cold",
        "of it our passes",
        "second process",
        "a call",
    )
    yield Table("start: the first gradient", header, rows)


STARTS = {
    "RK4": "micro/rk4",
    "GMM": "gradbench:gmm",
    "300 lines": "generated:mixed:300",
}


def first_gradient(program: str, cache: str, patience: float | None = None) -> dict[str, float]:
    """Seconds for the imports, the first gradient, our passes in it, and a later call, of a process
    with this cache directory. subprocess.TimeoutExpired after `patience` seconds."""
    command = [sys.executable, "-m", "bench.growth", program]
    env = {**environment(1), "S2S_AD_CACHE_DIR": str(Path(cache) / "s2s_ad")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    env["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "s2s_ad_bench_bytecode")
    options: dict[str, Any] = {"capture_output": True, "text": True, "check": True}
    done = subprocess.run(command, cwd=ROOT, env=env, timeout=patience, **options)
    return json.loads(done.stdout)


def _program(name: str) -> tuple[Callable, tuple, Any]:
    """The function, arguments and wrt of a program that is started."""
    kind, *rest = name.split(":")
    if kind == "generated":
        text = {"straight": straight, "mixed": mixed}[rest[0]](int(rest[1]))
        fn = defined(text, "program", {})
        return fn, (0.3, 0.7) if rest[0] == "straight" else (np.linspace(0.0, 1.0, 50), 0.7), (0, 1)
    if kind == "gradbench":
        from bench.gradbench.evals import _gmm
        from bench.gradbench.inputs import generate
        from bench.gradbench.programs.gmm import gmm

        return gmm, _gmm(generate("gmm", "small")[0][1]), (0, 1, 2, 3)
    case = load(name)
    given = case.inputs("check")
    return case.kernel, tuple(given[n] for n in case.parameters), case.wrt(given)


def _child(name: str) -> None:
    """What `first_gradient` runs in its process. NumPy, which `bench` needs too, is imported before
    the clock runs."""
    begin = time.perf_counter()
    from s2s_ad import grad, pipeline

    imported = time.perf_counter() - begin
    begin = time.perf_counter()
    import numba  # noqa: F401  (who has none yet gets it with the first gradient)

    compiler = time.perf_counter() - begin
    fn, args, wrt = _program(name)
    passes: list[float] = []
    gradient = grad(fn, wrt=wrt)
    begin = time.perf_counter()
    with pipeline.observing(lambda stage, funcs, taken: passes.append(taken)):
        gradient(*args)
    first = time.perf_counter() - begin
    again = seconds(lambda: gradient(*args))
    found = {
        "import": imported,
        "numba": compiler,
        "first": first,
        "passes": sum(passes),
        "again": again,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    _child(sys.argv[1])
