"""`python -m bench [suite[/case] ...]`: a table on stdout; a table, JSON and a plot in a folder."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

from bench import growth, report
from bench.calls import calls
from bench.case import labels, load
from bench.check import check
from bench.gradbench.__main__ import main as gradbench
from bench.peers import BEFORE, GROUPS, PEERS
from bench.runner import Options, run

#: suites that are not made of cases
EXTRA = ("gradbench", "scale", "start", "calls")
#: what a peer needs to be installed
NEEDS = {"jax": "jax", "autograd": "autograd", "tangent": "tangent", "torch": "torch",
         "enzyme": "enzyme_ad"}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    words = f"suites, suite/case, {', '.join(EXTRA)}; all by default"
    made.add_argument("cases", nargs="*", help=words)
    made.add_argument("--preset", default="S", choices=("check", "S", "M"))
    made.add_argument("--threads", type=int, nargs="+", default=[1], metavar="N")
    made.add_argument("--peers", default="", help=f"of {', '.join([*GROUPS, *PEERS])}")
    made.add_argument(
        "--against", type=Path, metavar="DIR", help="a checkout: compare with the s2s_ad in it"
    )
    made.add_argument(
        "--worse", type=float, default=1.25, help="how many times slower than it is a failure"
    )
    made.add_argument("--check-only", action="store_true", help="no timing")
    made.add_argument(
        "--rounds", type=int, default=5, help="repetitions, of which the least counts"
    )
    made.add_argument("--limit", type=float, default=600.0, help="seconds to compile and run once")
    made.add_argument("--out", type=Path, default=Path("bench_results"), metavar="DIR")
    made.add_argument("--list", action="store_true", help="print the cases and stop")
    return made


def chosen_cases(words: list[str]) -> list[str]:
    known = list(labels())
    found = [k for w in words for k in known if k == w or k.split("/")[0] == w]
    missing = [w for w in words if not any(k == w or k.split("/")[0] == w for k in known)]
    if missing:
        raise SystemExit(f"no such suite or case: {', '.join(missing)}")
    return found


def chosen_peers(text: str, against: bool = False) -> list[str]:
    """Ours first: it is what the others are compared with. The other tree's is there with `against`
    only, which is about these two unless more are asked for."""
    default = ["ours"] if against else [n for n in PEERS if n != "ours-before"]
    words = [*(text.split(",") if text else default), *(["ours-before"] if against else [])]
    names = [n for w in words for n in GROUPS.get(w, (w,))]
    unknown = set(names) - set(PEERS)
    if unknown:
        raise SystemExit(f"no such peer: {', '.join(sorted(unknown))}")
    names = [n for n in PEERS if n in names or n == "ours"]
    return [n for n in names if find_spec(NEEDS.get(n.split("-")[0], "numpy"))]


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def check_all(names: list[str]) -> int:
    """Our gradients at small sizes, against finite differences and forward mode."""
    failed = 0
    for name in names:
        start = time.perf_counter()
        try:
            case = load(name)
            found = check(case)
            problem = found.wrong(case)
            text = f"differences {found.difference:.0e}, forward {found.forward:.0e}"
        except Exception as error:  # a report on all cases, whatever one of them raises
            problem, text = f"{type(error).__name__}: {error}", ""
        failed += problem is not None
        verdict = "right" if problem is None else f"WRONG: {problem}"
        print(f"{name:28} {time.perf_counter() - start:6.1f} s  {verdict}  {text}", flush=True)
    print(f"{len(names) - failed} of {len(names)} right")
    return failed


def main() -> int:
    options = parser().parse_args()
    words = options.cases or [*dict.fromkeys(n.split("/")[0] for n in labels()), *EXTRA]
    names = chosen_cases([w for w in words if w not in EXTRA])
    extra = [w for w in EXTRA if w in words]
    if options.list:
        print("\n".join([*names, *extra]))
        return 0
    if options.check_only and not options.peers:
        failed = check_all(names)
        if "gradbench" in extra:
            failed += gradbench(["--preset", "small", "--min-runs", "1", "--min-seconds", "0"])
        return min(failed, 1)
    base = Options(options.preset, 1, options.limit, options.rounds, check_only=options.check_only)
    each = [replace(base, threads=n) for n in options.threads]
    measured = []
    if options.against:
        os.environ[BEFORE] = str(options.against.resolve())
    peers = chosen_peers(options.peers, options.against is not None)
    for found in run(names, peers, each, progress):
        progress("")
        print(" | ".join(report.row(found)), flush=True)
        measured.append(found)
        report.write(measured, options.out)
    if measured:
        print(report.markdown(measured))
    bad = [m.case for m in measured for r in m.results.values()
           if r.peer == "ours" and r.status != "ok" or "OURS" in r.note]  # fmt: skip
    if bad:
        print("not right:", ", ".join(bad))
    for (case, _), ratio in report.slower(measured, options.worse).items():
        print(f"slower: {case} takes {ratio:.2f} times as long as before")
        bad.append(case)
    return min(len(bad) + run_extra(extra, options.out), 1)


def run_extra(extra: list[str], folder: Path) -> int:
    """The suites that are not made of cases; each writes a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in extra:
        if name == "gradbench":
            failed += gradbench(["--out", str(folder / "gradbench.json")])
            continue
        parts = []
        for made in {"scale": growth.scale, "start": growth.start, "calls": calls}[name]():
            print(made.markdown(), flush=True)
            parts.append(made)
            content = [asdict(p) for p in parts]
            (folder / f"{name}.json").write_text(json.dumps(content, indent=1))
            (folder / f"{name}.md").write_text("\n".join(p.markdown() for p in parts))
    return failed


if __name__ == "__main__":
    sys.exit(main())
