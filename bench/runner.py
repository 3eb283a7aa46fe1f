"""Runs cases: starts a process per peer, compares the gradients, then times in turns."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.case import Case, load
from bench.check import Problem, apart, difference, inner, problem, scale
from bench.peers import PEERS

ROOT = Path(__file__).parents[1]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
#: a process holds arguments, gradients, tapes: this many times the arguments' bytes
FOOTPRINT = 4
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """`limit` is what one peer may take to compile and run once, in seconds; `rounds` rounds of
    `at_least` seconds for each peer are timed."""

    preset: str = "S"
    threads: int = 1
    limit: float = 600.0
    rounds: int = 5
    at_least: float = 0.2
    check_only: bool = False


@dataclass
class Result:
    """One peer on one case. `status` is ok, wrong, refused, slow (over the limit), or absent (there
    is no form of the program for this peer). `error` is the distance from our gradient; for primals
    from NumPy's results, for ours from finite differences."""

    peer: str
    gradient: bool
    status: str
    note: str = ""
    error: float | None = None
    first: float | None = None
    seconds: float | None = None


@dataclass
class Measured:
    case: str
    quantity: str
    preset: str
    threads: int
    results: dict[str, Result] = field(default_factory=dict)
    note: str = ""


class Process:
    """A worker (bench/worker.py), pinned to as many cores as it may use threads."""

    def __init__(self, peer: str, case: Case, options: Options) -> None:
        self.peer, self.limit = peer, options.limit
        command = [sys.executable, "-m", "bench.worker", peer, case.label, options.preset]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment(options.threads),
        )
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))[: options.threads]
            os.sched_setaffinity(self.process.pid, cores)
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def ask(self, **request: Any) -> dict[str, Any]:
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.answers.get(timeout=self.limit)
        except queue.Empty:
            self.process.kill()
            return {"ok": False, "slow": f"more than {self.limit:g} s"}
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"ok": False, "refused": "the process died"}

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def environment(threads: int) -> dict[str, str]:
    """The environment of a process that may use so many threads."""
    flags = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    return {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        "XLA_FLAGS": f"{flags} intra_op_parallelism_threads={threads}",
        "JAX_PLATFORMS": "cpu",
    }


def measure(label: str, peers: Sequence[str], options: Options, progress: Progress) -> Measured:
    """All peers on one case: compared first, then timed, in turns where memory allows for all of
    them at once."""
    case = load(label)
    measured = Measured(label, case.quantity, options.preset, options.threads)
    size = _bytes(case.inputs(options.preset)) * FOOTPRINT
    if size > _free_memory():
        measured.note = "too large for this machine"
        return measured
    progress(f"{label} {options.preset}, {options.threads} thread(s): inputs")
    at = problem(case, options.preset)
    together = size * len(peers) < _free_memory() / 2
    groups = [list(peers)] if together else [[p] for p in peers]
    with tempfile.TemporaryDirectory() as folder:
        judge = _Judge(at, Path(folder))
        for group in groups:
            _group(group, case, options, judge, measured, progress)
    return measured


def _group(
    group: list[str],
    case: Case,
    options: Options,
    judge: _Judge,
    measured: Measured,
    progress: Progress,
) -> None:
    with ExitStack() as stack:
        running = {}
        for name in group:
            progress(f"{case.label} {options.preset}: {name} compiles")
            process = stack.enter_context(Process(name, case, options))
            answer = process.ask(do="prepare", to=str(judge.file(name)))
            result = judge.judge(name, answer)
            measured.results[name] = result
            if result.status == "ok":
                running[name] = process
        if options.check_only:
            return
        for turn in range(options.rounds):
            progress(f"{case.label} {options.preset}: round {turn + 1} of {options.rounds}")
            for name, process in running.items():
                answer = process.ask(do="time", at_least=options.at_least)
                result = measured.results[name]
                if not answer["ok"]:
                    result.status, result.note = "slow", answer.get("slow", "")
                else:
                    result.seconds = min(answer["seconds"], result.seconds or np.inf)


class _Judge:
    """Compares what peers found. Our gradient comes first: it is held against finite differences
    of plain NumPy, the peers' gradients against it. Where they differ, the difference quotient
    along their difference tells which is wrong."""

    def __init__(self, at: Problem, folder: Path) -> None:
        self.at, self.folder = at, folder
        self.reference: list[np.ndarray] | None = None

    def file(self, peer: str) -> Path:
        return self.folder / f"{peer}.npz"

    def judge(self, name: str, answer: dict[str, Any]) -> Result:
        peer = PEERS[name]
        if not answer["ok"]:
            status = next(s for s in ("slow", "absent", "refused") if s in answer)
            return Result(name, peer.gradient, status, answer.get(status, ""))
        with np.load(self.file(name)) as stored:
            found = [stored[f"arr_{k}"] for k in range(len(stored.files))]
        self.file(name).unlink()
        result = Result(name, peer.gradient, "ok", first=answer["seconds"])
        self._compare(result, found)
        return result

    def _compare(self, result: Result, found: list[np.ndarray]) -> None:
        tolerance = self.at.case.tolerance
        if not result.gradient:
            result.error = apart(found, self.at.results)
        elif self.reference is None:
            result.error, tolerance = self._differences(found), 1e-6
            if result.error <= tolerance:
                self.reference = found
        else:
            result.error = apart(found, self.reference)
        if not result.error <= tolerance:
            result.status = "wrong"
            if result.gradient and self.reference is not None:
                result.note = self._verdict(found)

    def _differences(self, found: list[np.ndarray]) -> float:
        v = self.at.direction(0)
        gap = abs(inner(found, v) - difference(self.at, v))
        return gap / scale(found, v) if np.isfinite(gap) else np.inf

    def _verdict(self, found: list[np.ndarray]) -> str:
        """Finite differences along the difference of two gradients."""
        apart_ = [f - r for f, r in zip(found, self.reference)]
        if any(not np.isfinite(a).all() for a in apart_):
            return "not finite"
        v = [a / (np.max(np.abs(a)) or 1.0) for a in apart_]
        truth = difference(self.at, v)
        theirs, ours = (abs(inner(g, v) - truth) for g in (found, self.reference))
        return "" if theirs > ours else "OURS IS WRONG, by finite differences"


def _bytes(values: dict[str, Any]) -> int:
    return sum(v.nbytes for v in values.values() if isinstance(v, np.ndarray))


def _free_memory() -> float:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            sizes = {line.split(":")[0]: line.split()[1] for line in file}
        return float(sizes["MemAvailable"]) * 1024
    except OSError:
        return 8e9


def run(
    labels: Sequence[str], peers: Sequence[str], options: Sequence[Options], progress: Progress
) -> Iterator[Measured]:
    """Every case under every one of the options."""
    for label in labels:
        for chosen in options:
            yield measure(label, peers, chosen, progress)
