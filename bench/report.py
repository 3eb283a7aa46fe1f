"""What was measured, as a Markdown table, as JSON, and as a plot."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.runner import Measured, Result

PACKAGES = "numpy numba llvmlite scipy jax autograd tangent-ad torch enzyme-ad".split()
COLUMNS = (
    "case", "ours", "fastmath", "primal", "looped", "÷ primal", "by hand", "jax", "× jax", "form",
    "autograd", "tangent", "compile", "jax compile", "notes",
)  # fmt: skip
JAX = ("jax-transliterated", "jax-idiomatic")


def time_text(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def least(measured: Measured, names: Iterable[str]) -> Result | None:
    """The fastest of some peers."""
    found = [measured.results[n] for n in names if n in measured.results]
    timed = [r for r in found if r.seconds is not None and r.status == "ok"]
    return min(timed, key=lambda r: r.seconds) if timed else None


def ratios(measured: Measured) -> tuple[float | None, float | None]:
    """Our gradient over the fastest primal, and the fastest JAX over our gradient."""
    ours, primal = least(measured, ["ours"]), least(measured, ["numba", "looped", "numpy"])
    jax = least(measured, JAX)
    over = ours.seconds / primal.seconds if ours and primal else None
    ahead = jax.seconds / ours.seconds if ours and jax else None
    return over, ahead


def row(measured: Measured) -> list[str]:
    results = measured.results
    over, ahead = ratios(measured)
    jax = least(measured, JAX)

    def cell(name: str) -> str:
        result = results.get(name)
        if result is None or result.status == "absent":
            return ""
        return time_text(result.seconds) if result.status == "ok" else result.status

    numba = "numba" if results.get("numba") and results["numba"].status == "ok" else "numpy"
    firsts = [results[n].first for n in JAX if n in results and results[n].first]
    ours = results.get("ours")
    jax_cell = time_text(jax.seconds) if jax else next((cell(n) for n in JAX if cell(n)), "")
    return [
        measured.case.split("/")[1],
        cell("ours"),
        cell("ours-fastmath"),
        cell(numba) + (" (NumPy)" if numba == "numpy" and cell(numba) else ""),
        cell("looped"),
        "" if over is None else f"{over:.2f}",
        cell("by-hand"),
        jax_cell,
        "" if ahead is None else f"{ahead:.2f}",
        jax.peer.removeprefix("jax-") if jax else "",
        cell("autograd"),
        cell("tangent"),
        time_text(ours.first if ours else None),
        time_text(min(firsts) if firsts else None),
        "; ".join(notes(measured)),
    ]


def notes(measured: Measured) -> list[str]:
    found = [measured.note] if measured.note else []
    for r in measured.results.values():
        if r.status == "wrong":
            found.append(f"{r.peer} wrong by {r.error:.0e} {r.note}".strip())
        elif r.status != "ok" and r.peer.startswith("ours"):
            found.append(f"{r.peer} {r.status}: {r.note}")
    return found


def geometric_mean(values: Iterable[float | None]) -> str:
    known = [v for v in values if v]
    return f"{math.exp(sum(map(math.log, known)) / len(known)):.2f}" if known else ""


def table(group: Sequence[Measured]) -> str:
    """One suite at one preset and number of threads."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(row(m)) + " |" for m in group]
    over, ahead = zip(*map(ratios, group))
    means = {"÷ primal": geometric_mean(over), "× jax": geometric_mean(ahead)}
    last = ["**geometric mean**", *(means.get(name, "") for name in COLUMNS[1:])]
    lines.append("| " + " | ".join(last) + " |")
    return "\n".join(lines)


def slower(measured: Iterable[Measured], limit: float) -> dict[tuple[str, int], float]:
    """The cases, with the numbers of threads, that take more than `limit` times as long as before;
    how many times it is."""
    found = {}
    for m in measured:
        now, before = least(m, ["ours"]), least(m, ["ours-before"])
        if now and before and now.seconds > limit * before.seconds:
            found[m.case, m.threads] = now.seconds / before.seconds
    return found


def against(measured: Sequence[Measured]) -> str:
    """Our gradients beside those of the other tree."""
    lines = ["| case | threads | before | now | ÷ before |", "|---|---|---|---|---|"]
    found = slower(measured, 0.0)
    for m in measured:
        both = (m.results.get(name) for name in ("ours-before", "ours"))
        times = " | ".join(time_text(r.seconds if r else None) for r in both)
        ratio = found.get((m.case, m.threads))
        lines.append(f"| {m.case} | {m.threads} | {times} | {f'{ratio:.2f}' if ratio else ''} |")
    lines.append(f"| **geometric mean** | | | | {geometric_mean(found.values())} |")
    return "\n".join(lines)


def markdown(measured: Sequence[Measured]) -> str:
    groups: dict[tuple, list[Measured]] = {}
    for m in measured:
        groups.setdefault((m.case.split("/")[0], m.preset, m.threads), []).append(m)
    parts = [f"# Measurements\n\n{machine()['text']}\n"]
    for (suite, preset, threads), group in groups.items():
        parts.append(f"## {suite}, preset {preset}, {threads} thread(s)\n\n{table(group)}\n")
        if any("ours-before" in m.results for m in group):
            parts.append(f"Against the other tree:\n\n{against(group)}\n")
    return "\n".join(parts)


def machine() -> dict[str, Any]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        cpu = names[0] if names else cpu
    except OSError:
        pass
    packages = ", ".join(f"{k} {v}" for k, v in found.items())
    text = f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}."
    return {"cpu": cpu, "python": platform.python_version(), "packages": found, "text": text}


def write(measured: Sequence[Measured], folder: Path) -> list[Path]:
    """`results.md`, `results.json`, and `results.png` where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    text, data = folder / "results.md", folder / "results.json"
    text.write_text(markdown(measured), encoding="utf-8")
    content = {"machine": machine(), "cases": [asdict(m) for m in measured]}
    data.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return [text, data, *plot(measured, folder / "results.png")]


def plot(measured: Sequence[Measured], path: Path) -> list[Path]:
    """Speed relative to JAX, and cost relative to the primal, as bars on logarithmic axes."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return []
    names = [f"{m.case.split('/')[1]} {m.preset}{m.threads}" for m in measured]
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 1 + 0.22 * len(names)), sharey=True)
    titles = ("our gradient ÷ fastest primal", "fastest JAX gradient ÷ ours")
    for k, (axis, title) in enumerate(zip(axes, titles)):
        values = [ratios(m)[k] or math.nan for m in measured]
        axis.barh(names, values, color="#3b6ea5")
        axis.set(xscale="log", title=title)
        axis.axvline(1.0, color="black", linewidth=0.8)
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return [path]
