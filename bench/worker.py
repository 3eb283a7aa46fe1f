"""A peer's process: `python -m bench.worker PEER CASE PRESET`, JSON lines on stdin and stdout.

    {"do": "prepare", "to": FILE}   compile and run once; the results go to FILE (.npz)
                                    -> {"ok": true, "seconds": first call}
                                    or {"ok": false, "refused": reason}, or "absent"
    {"do": "time", "at_least": S}   -> {"ok": true, "seconds": least time of one run}

What libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from bench.case import load
from bench.check import Problem, problem
from bench.measure import seconds
from bench.peers import PEERS, Absent, Peer


class Worker:
    def __init__(self, peer: Peer, at: Problem) -> None:
        self.peer, self.at = peer, at
        self.run: Callable[[], Any] | None = None

    def prepare(self, to: str) -> dict[str, Any]:
        start = time.perf_counter()
        self.run = self.peer.prepare(self.at)
        results = self.run()
        taken = time.perf_counter() - start
        np.savez(to, *[np.asarray(r, dtype=float) for r in results])
        return {"seconds": taken}

    def time(self, at_least: float) -> dict[str, Any]:
        if self.run is None:
            raise RuntimeError("prepare comes first")
        return {"seconds": seconds(self.run, at_least)}


def serve(worker: Worker, requests: TextIO, answers: TextIO) -> None:
    """One answer for each request, until the requests end."""
    for line in requests:
        request = json.loads(line)
        do = {"prepare": worker.prepare, "time": worker.time}[request.pop("do")]
        try:
            answer = {"ok": True, **do(**request)}
        except Absent as error:
            answer = {"ok": False, "absent": str(error)}
        except Exception as error:  # whatever a peer raises is its refusal
            first = (str(error).strip() or "no message").splitlines()[0][:200]
            answer = {"ok": False, "refused": f"{type(error).__name__}: {first}"}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    name, label, preset = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    serve(Worker(PEERS[name], problem(load(label), preset)), sys.stdin, answers)


if __name__ == "__main__":
    main()
