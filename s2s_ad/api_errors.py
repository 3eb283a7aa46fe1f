"""The errors of the API and the command line: S2S100 and up (docs/errors.md has the table)."""

from __future__ import annotations

from collections.abc import Sequence

from s2s_ad.errors import S2SError


class WrtError(S2SError):
    """`wrt` names an argument that the call does not have, or the same one twice."""

    code = "S2S100"


class InactiveArgumentError(S2SError):
    """A derivative with respect to an integer, boolean or static argument."""

    code = "S2S101"


class NotScalarError(S2SError):
    """A gradient of a function whose value is not one real number."""

    code = "S2S102"


class OutputsError(S2SError):
    """`outputs` names something that the function neither returns nor writes to."""

    code = "S2S103"


class ArgumentTypeError(S2SError):
    """An argument of a type that compiled code cannot take."""

    code = "S2S104"


class OverlapError(S2SError):
    """Two arguments share memory and the function writes to one of them."""

    code = "S2S105"


class SeedError(S2SError):
    """A tangent or cotangent whose structure, shape or kind differs from what it belongs to."""

    code = "S2S106"


class StaticArgumentError(S2SError):
    """A static argument that cannot be part of a key, or `static=` with an unknown name."""

    code = "S2S107"


class ReadOnlyError(S2SError):
    """A read-only array is passed for an argument that the function writes to."""

    code = "S2S108"


class OptionError(S2SError):
    """An option with a value it cannot have: an unknown level or pass."""

    code = "S2S109"


def check_option(option: str, value: str, allowed: Sequence[str]) -> None:
    """OptionError where `value` is not one of `allowed`."""
    if value not in allowed:
        raise OptionError(f"{option}={value!r}", advice=f"{option} is one of {', '.join(allowed)}")


class CommandError(S2SError):
    """What the command line was given cannot be used: a file, a function, a signature."""

    code = "S2S110"


class UpdateError(S2SError):
    """A function assigns attributes of the caller's objects, and the call cannot do so for it."""

    code = "S2S111"


ALL = (
    WrtError,
    InactiveArgumentError,
    NotScalarError,
    OutputsError,
    ArgumentTypeError,
    OverlapError,
    SeedError,
    StaticArgumentError,
    ReadOnlyError,
    OptionError,
    CommandError,
    UpdateError,
)
