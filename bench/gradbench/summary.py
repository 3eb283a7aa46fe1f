"""The table of a run: each eval's derivative, all tools side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.gradbench.listed import LISTED
from bench.report import time_text

PRIMALS = ("primal", "objective", "cost", "square")


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


def _cell(primal: float | None, slope: float | None, ours: float | None = None) -> str:
    """A derivative's time, its ratio to the tool's own primal, and how many times ours it is."""
    if slope is None:
        return "–"
    parts = [time_text(slope)]
    if primal:
        parts.append(f"÷ {slope / primal:.2f}")
    if ours:
        parts.append(f"× {slope / ours:.1f}")
    return " ".join(parts)


def table(outcomes: Iterable[Outcome], tools: Sequence[str]) -> str:
    """Markdown. `÷` is over the tool's own primal, `×` over our derivative."""
    found = {(o.tool, o.module, o.description, o.function): o for o in outcomes}
    places = dict.fromkeys((m, d, f) for t, m, d, f in found if t == tools[0] and f not in PRIMALS)
    header = ["eval", "input", *tools, "measured elsewhere"]
    rows = [header, ["---"] * len(header), *(_row(found, place, tools) for place in places)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


Found = dict[tuple[str, str, str, str], Outcome]


def _row(found: Found, place: tuple[str, str, str], tools: Sequence[str]) -> list[str]:
    module, description, function = place
    times = [_seconds(found, tool, place) for tool in tools]
    ours = times[0][1]
    name = f"{description} {function}" if module in ("particle", "saddle") else description
    listed = LISTED.get((module, name), {}).items()
    elsewhere = [f"{peer} {_cell(p and p * 1e-3, s * 1e-3)}" for peer, (p, s) in listed]
    cells = [_cell(*times[0]), *(_cell(*t, ours) for t in times[1:])]
    return [module, name, *cells, ", ".join(elsewhere)]


def _seconds(
    found: Found, tool: str, place: tuple[str, str, str]
) -> tuple[float | None, float | None]:
    """Of a tool's primal and its derivative, where they are right."""
    module, description, function = place
    at = found.get((tool, module, description, function))
    primals = [found.get((tool, module, description, p)) for p in PRIMALS]
    primal = next((p.seconds for p in primals if p), None)
    return primal, at.seconds if at and not at.problem else None
