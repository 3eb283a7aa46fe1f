"""`python -m bench.gradbench [module ...]`: drives tools by the protocol and validates them.

The tools are ours and, where they are installed, JAX and PyTorch; `--tool` adds the command of
another. Each runs in a process of its own. They get the same inputs, in turns, several rounds.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.gradbench.evals import EVALS
from bench.gradbench.inputs import SIZES, generate
from bench.gradbench.summary import Outcome, table
from bench.gradbench.validate import error, tolerance
from bench.report import machine
from bench.runner import ROOT, environment

#: our tools, and what each needs to be installed
NEEDS = {"s2s_ad": "s2s_ad", "jax": "jax", "torch": "torch"}


def command(name: str) -> str:
    return f"{shlex.quote(sys.executable)} -m bench.gradbench.tool {name}"


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
    tools: dict[str, Tool], module: str, preset: str, runs: tuple[int, float], rounds: int
) -> Iterator[Outcome]:
    """One eval: start, define, and every function on every input, each round in all tools."""
    for tool in tools.values():
        tool.send("start", eval=module)
    able = {n: t for n, t in tools.items() if t.send("define", module=module)["success"]}
    for description, given in generate(module, preset):
        extra = {"min_runs": runs[0], "min_seconds": runs[1] / rounds}
        sent = {**given, **extra} if isinstance(given, dict) else given
        for function in EVALS[module]:
            best: dict[str, Outcome] = {}
            for _ in range(rounds):
                for name, tool in able.items():
                    if name in best and best[name].problem:
                        continue
                    fields = {"module": module, "function": function, "description": description}
                    found = tool.send("evaluate", input=sent, **fields)
                    place = (name, module, function, description)
                    best[name] = _better(best.get(name), place, given, found)
                    valid = not best[name].problem
                    tool.send("analysis", of=tool.count - 1, valid=valid)
            yield from best.values()


def _better(
    before: Outcome | None, place: tuple[str, str, str, str], given: Any, found: dict[str, Any]
) -> Outcome:
    """The outcome of another round: the first is validated, the least time counts."""
    if before is None:
        return _outcome(place, given, found)
    times = [before.seconds, _least(found)]
    return replace(before, seconds=min((t for t in times if t is not None), default=None))


def _least(found: dict[str, Any]) -> float | None:
    times = [t["nanoseconds"] for t in found.get("timings", []) if t["name"] == "evaluate"]
    return min(times) * 1e-9 if times else None


def _outcome(place: tuple[str, str, str, str], given: Any, found: dict[str, Any]) -> Outcome:
    if not found["success"]:
        text = (found.get("error") or "failed").strip().splitlines()[-1]
        refused = "not there" if text.startswith("KeyError") else text
        return Outcome(*place, None, None, refused)
    _, module, function, _ = place
    wrong = error(module, function, given, found["output"])
    problem = "" if wrong <= tolerance(module, function) else "WRONG"
    return Outcome(*place, _least(found), wrong, problem)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gradbench", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(EVALS)}; all by default")
    parser.add_argument("--preset", default="standard", choices=tuple(SIZES))
    parser.add_argument("--peers", default=",".join(NEEDS), help="of ours, and which are installed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tool", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--min-runs", type=int, default=5)
    parser.add_argument("--min-seconds", type=float, default=0.5)
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON of all outcomes")
    options = parser.parse_args(arguments)
    unknown = set(options.modules) - set(EVALS)
    if unknown:
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    names = [n for n in options.peers.split(",") if n in NEEDS and find_spec(NEEDS[n])]
    commands = {n: command(n) for n in dict.fromkeys(("s2s_ad", *names))}
    commands |= dict(t.split("=", 1) for t in options.tool)
    outcomes = []
    print("| tool | eval | input | function | least time | error | |\n" + "|---" * 7 + "|")
    for module in options.modules or EVALS:
        with ExitStack() as stack:
            tools = {n: stack.enter_context(Tool(c, options.threads)) for n, c in commands.items()}
            runs = (options.min_runs, options.min_seconds)
            for outcome in drive(tools, module, options.preset, runs, options.rounds):
                print(outcome.line, flush=True)
                outcomes.append(outcome)
    print("\n" + table(outcomes, list(commands)))
    if options.out:
        content = {"machine": machine(), "outcomes": [asdict(o) for o in outcomes]}
        options.out.write_text(json.dumps(content, indent=1, ensure_ascii=False))
    return min(sum(bool(o.problem) for o in outcomes if o.tool == "s2s_ad"), 1)


if __name__ == "__main__":
    sys.exit(main())
