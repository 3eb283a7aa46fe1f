"""`python -m bench.gradbench.tool [s2s_ad | jax | torch]`: a GradBench tool, JSON lines on stdin
and stdout.

With GradBench checked out, its own evals drive it:

    gradbench run --eval "gradbench repo eval gmm" --tool "python -m bench.gradbench.tool"
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any, TextIO

from bench.gradbench.evals import Eval

#: the modules that have each tool's evals
TOOLS = {"s2s_ad": "evals", "jax": "jax_evals", "torch": "torch_evals"}
Evals = dict[str, dict[str, Eval]]


def evals_of(tool: str) -> Evals:
    return import_module(f"bench.gradbench.{TOOLS[tool]}").EVALS


def timed(run: Callable[[], Any], min_runs: int, min_seconds: float) -> tuple[Any, list[dict]]:
    """The last result, and the time of every run: so many of them, and for so long. A run before
    the first, which compiles, is not counted."""
    run()
    timings: list[dict] = []
    elapsed, result = 0, None
    while len(timings) < max(min_runs, 1) or elapsed < min_seconds * 1e9:
        start = time.perf_counter_ns()
        result = run()
        taken = time.perf_counter_ns() - start
        timings.append({"name": "evaluate", "nanoseconds": taken})
        elapsed += taken
    return result, timings


def evaluate(evals: Evals, module: str, function: str, given: Any) -> dict[str, Any]:
    prepared = evals[module][function](given)
    runs = given if isinstance(given, dict) else {}
    result, timings = timed(prepared.run, runs.get("min_runs", 1), runs.get("min_seconds", 0.0))
    return {"success": True, "output": prepared.output(result), "timings": timings}


def answer(tool: str, evals: Evals, message: dict[str, Any]) -> dict[str, Any]:
    """The response to a message, without its id."""
    kind = message["kind"]
    if kind == "start":
        return {"tool": tool}
    if kind == "define":
        known = message["module"] in evals
        return {"success": known} if known else {"success": False, "error": "no such module"}
    if kind != "evaluate":
        return {}
    try:
        return evaluate(evals, message["module"], message["function"], message["input"])
    except Exception:  # the protocol has a place for whatever went wrong
        return {"success": False, "error": traceback.format_exc()}


def serve(tool: str, messages: TextIO, responses: TextIO) -> None:
    evals = evals_of(tool)
    for line in messages:
        if line.strip():
            message = json.loads(line)
            print(
                json.dumps({"id": message["id"], **answer(tool, evals, message)}),
                file=responses,
                flush=True,
            )


def main() -> None:
    """What libraries print goes to stderr."""
    responses = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.argv[1] if len(sys.argv) > 1 else "s2s_ad", sys.stdin, responses)


if __name__ == "__main__":
    main()
