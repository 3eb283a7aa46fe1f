"""`python -m bench.gradbench [module ...]`: drives a tool by the protocol and validates it.

The tool is ours unless `--tool` gives the command of another; each runs in a process of its own,
one after the other, on the same inputs.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.gradbench.evals import EVALS
from bench.gradbench.inputs import generate
from bench.gradbench.validate import error, tolerance
from bench.report import machine, time_text
from bench.runner import ROOT, environment

OURS = f"{shlex.quote(sys.executable)} -m bench.gradbench.tool"


@dataclass(frozen=True)
class Outcome:
    tool: str
    module: str
    function: str
    description: str
    seconds: float | None
    error: float | None
    problem: str

    @property
    def line(self) -> str:
        wrong = "" if self.error is None else f"{self.error:.0e}"
        cells = (self.tool, self.module, self.description, self.function)
        verdict = self.problem or "right"
        return "| " + " | ".join([*cells, time_text(self.seconds), wrong, verdict]) + " |"


class Tool:
    """The other side of the protocol."""

    def __init__(self, command: str, threads: int) -> None:
        self.process = subprocess.Popen(
            shlex.split(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(threads),
        )
        self.count = 0

    def send(self, kind: str, **fields: Any) -> dict[str, Any]:
        message = {"id": self.count, "kind": kind, **fields}
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return {"success": False, "error": "the tool ended"}
        response = json.loads(line)
        if response["id"] != self.count:
            raise RuntimeError(f"response {response['id']} to message {self.count}")
        self.count += 1
        return response

    def __enter__(self) -> Tool:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)


def drive(
    tool: Tool, name: str, module: str, preset: str, runs: tuple[int, float]
) -> Iterator[Outcome]:
    """One eval: start, define, and every function on every input."""
    tool.send("start", eval=module)
    if not tool.send("define", module=module)["success"]:
        yield Outcome(name, module, "", "", None, None, "not defined")
        return
    for description, given in generate(module, preset):
        for function in EVALS[module]:
            extra = dict(zip(("min_runs", "min_seconds"), runs))
            sent = {**given, **extra} if isinstance(given, dict) else given
            fields = {"module": module, "function": function, "description": description}
            found = tool.send("evaluate", input=sent, **fields)
            yield _outcome(name, module, function, description, given, found)
            valid = found["success"]
            tool.send("analysis", of=tool.count - 1, valid=valid)


def _outcome(
    name: str, module: str, function: str, description: str, given: Any, found: dict[str, Any]
) -> Outcome:
    place = (name, module, function, description)
    if not found["success"]:
        text = (found.get("error") or "failed").strip().splitlines()[-1]
        return Outcome(*place, None, None, text)
    wrong = error(module, function, given, found["output"])
    times = [t["nanoseconds"] for t in found.get("timings", []) if t["name"] == "evaluate"]
    problem = "" if wrong <= tolerance(module, function) else "WRONG"
    return Outcome(*place, min(times) * 1e-9 if times else None, wrong, problem)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gradbench", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(EVALS)}; all by default")
    parser.add_argument("--preset", default="standard", choices=("small", "standard"))
    parser.add_argument("--tool", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--min-runs", type=int, default=5)
    parser.add_argument("--min-seconds", type=float, default=0.5)
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON of all outcomes")
    options = parser.parse_args(arguments)
    unknown = set(options.modules) - set(EVALS)
    if unknown:
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    tools = [("s2s_ad", OURS), *(tuple(t.split("=", 1)) for t in options.tool)]
    outcomes = []
    print("| tool | eval | input | function | least time | error | |\n" + "|---" * 7 + "|")
    for module in options.modules or EVALS:
        for name, command in tools:
            with Tool(command, options.threads) as tool:
                runs = (options.min_runs, options.min_seconds)
                for outcome in drive(tool, name, module, options.preset, runs):
                    print(outcome.line, flush=True)
                    outcomes.append(outcome)
    if options.out:
        content = {"machine": machine(), "outcomes": [asdict(o) for o in outcomes]}
        options.out.write_text(json.dumps(content, indent=1, ensure_ascii=False))
    return min(sum(bool(o.problem) for o in outcomes), 1)


if __name__ == "__main__":
    sys.exit(main())
