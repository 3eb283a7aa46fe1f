"""Every error a user can meet: one class per kind under `S2SError`, each with a stable code.

A message is laid out for a person: file and line, the snippet with a caret, what is wrong, and what
to write instead. The table of codes is in docs/errors.md; a test keeps the two in step.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Loc:
    """A place in the user's source. `col` counts from 0; `text` is the whole source line."""

    file: str
    line: int
    col: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class S2SError(Exception):
    """Base of all errors raised by s2s_ad.

    `code` is stable across releases; `loc` is the user's line or None; `advice` says what to write
    instead; `chain` lists the calls that led there, outermost first.
    """

    code = "S2S000"

    def __init__(
        self,
        message: str,
        loc: Loc | None = None,
        advice: str = "",
        chain: tuple[Loc, ...] = (),
    ) -> None:
        self.message, self.loc, self.advice, self.chain = message, loc, advice, tuple(chain)
        super().__init__(message)

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.message}"]
        for call, repeats in groupby(self.chain):
            lines.append(f"  called from {call.file}, line {call.line}: {call.text.strip()}")
            more = sum(1 for _ in repeats) - 1
            lines += [f"  ({more} more calls from there)"] if more else []
        if self.loc is not None:
            text = self.loc.text.rstrip()
            indent = len(text) - len(text.lstrip())
            lines.append(f"  {self.loc.file}, line {self.loc.line}")
            if text:
                lines.append(f"    {text.lstrip()}")
                lines.append("    " + " " * max(self.loc.col - indent, 0) + "^")
        if self.advice:
            lines.append(f"  {self.advice}")
        return "\n".join(lines)
