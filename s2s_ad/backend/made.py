"""What an earlier process made of the same program: its text, so that no pass need run again.

A program is the same where its IR is, with the user's lines; the user's function is traced anew in
every process, so nothing needs to be known about what it depends on. The text is the same where the
files of this package are.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from importlib import util
from pathlib import Path
from typing import Any

from s2s_ad.backend.cache import cache_dir, private_dir, versions, write
from s2s_ad.ir.core import Func, Lit, Region, walk
from s2s_ad.ir.text import show
from s2s_ad.ir.types import Type
from s2s_ad.rule import DECLARED_BY_OTHERS

_PLAIN = (bool, int, float, complex, str, type(None))


@dataclass(frozen=True)
class Signature:
    """What a compiled function takes and gives. `mutated` lists (parameter index, result index) of
    the arguments that it writes to."""

    name: str
    params: tuple[Type, ...]
    results: tuple[Type, ...]
    mutated: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, func: Func) -> Signature:
        params, results = (tuple(a.type for a in atoms) for atoms in (func.params, func.results))
        return cls(func.name, params, results, func.mutated)


@dataclass(frozen=True)
class Made:
    """A module's text and the signatures of its functions."""

    text: str
    signatures: tuple[Signature, ...]


def made_once(func: Func, options: tuple, make: Callable[[], Made]) -> Made:
    """`make()`, or what it gave when an earlier process called it for this program and `options`
    (numbers, strings, and tuples of them).

    It is called always where the answer depends on more than these: where users have declared rules
    of their own. With S2S_AD_VERIFY=1 too, since there is nothing to be verified without passes.
    """
    digest = _digest(func, options)
    if digest is None or os.environ.get("S2S_AD_VERIFY") == "1":
        return make()
    name = f"s2s_ad_made_{digest}.json"
    found = _read(cache_dir() / name)
    if found is None:
        found = make()
        write(private_dir() / name, _as_json(found))
    return found


def _digest(func: Func, options: tuple) -> str | None:
    """What tells programs apart; None where that cannot be said in words."""
    own = _own_text()
    if own is None or DECLARED_BY_OTHERS or not _is_plain(func.body):
        return None
    numbers: dict[tuple, int] = {}  # of the user's lines: the text form has no more than places
    lines = [
        numbers.setdefault((e.loc.file, e.loc.text) if e.loc else (), len(numbers))
        for e in walk(func.body)
    ]
    told = (show(func), repr(lines), repr(list(numbers)), repr(options), own, *versions())
    return hashlib.sha256("\0".join(told).encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _is_plain(region: Region) -> bool:
    """True where the text form of a program says all about it."""
    return all(
        all(map(_is_plain_value, e.params.values()))
        and all(type(a.value) in _PLAIN for a in e.ins if isinstance(a, Lit))
        for e in walk(region)
    )


def _is_plain_value(value: object) -> bool:
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_plain_value, value)))


@functools.cache
def _own_text() -> str | None:
    """A digest of the files of this package; None where it is not in files."""
    specs = (util.find_spec(name) for name in ("s2s_ad", "s2s_ad.rules"))
    folders = [Path(f) for s in specs if s for f in s.submodule_search_locations or ()]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    if len(folders) < 2 or not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _as_json(made: Made) -> str:
    """With a checksum, as the first line."""
    told = json.dumps([made.text, [astuple(s) for s in made.signatures]])
    return f"{hashlib.sha256(told.encode()).hexdigest()}\n{told}"


def _read(path: Path) -> Made | None:
    """What is in a file; None where there is none, or it is damaged."""
    try:
        checksum, _, told = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    if hashlib.sha256(told.encode()).hexdigest() != checksum:
        return None
    text, signatures = json.loads(told)
    return Made(text, tuple(map(_signature, signatures)))


def _signature(told: Sequence[Any]) -> Signature:
    name, params, results, mutated = told
    return Signature(name, _types(params), _types(results), tuple((p, r) for p, r in mutated))


def _types(told: Iterable[Sequence[Any]]) -> tuple[Type, ...]:
    return tuple(Type(dtype, tuple(shape)) for dtype, shape in told)
