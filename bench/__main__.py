"""`python -m bench [case …] [--json FILE]`: a Markdown table on stdout, JSON in a file."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict

import numba
import numpy

from bench.cases import CASES, Row, rows

HEADER = "| measurement | ours | peer | figure | goal | met | |\n|---|---|---|---|---|---|---|"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1e3:.3g} ms" if seconds > 1e-3 else f"{seconds * 1e6:.3g} µs"


def _line(row: Row) -> str:
    goal = f"{'≥' if row.at_least else '≤'} {row.goal:g} {row.unit}"
    cells = [row.name, _time(row.ours), _time(row.peer), f"{row.figure:.3g} {row.unit}", goal]
    return "| " + " | ".join([*cells, "yes" if row.met else "no", row.note]) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--json", default="bench_results.json", help="where the figures go")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    print(HEADER, flush=True)
    found = []
    for row in rows(options.cases or list(CASES)):
        print(_line(row), flush=True)
        found.append({**asdict(row), "met": row.met})
    versions = {"python": platform.python_version(), "numba": numba.__version__}
    versions |= {"numpy": numpy.__version__, "machine": platform.processor()}
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump({"versions": versions, "rows": found}, file, indent=2, ensure_ascii=False)
    return 0 if all(r["met"] for r in found) else 1


if __name__ == "__main__":
    sys.exit(main())
