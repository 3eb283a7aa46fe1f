"""The errors of the frontend: one class per kind, each with a stable code (docs/errors.md)."""

from __future__ import annotations

from s2s_ad.errors import S2SError


class SourceError(S2SError):
    """The source text of a function cannot be found: a C function, code made by `exec`, …"""

    code = "S2S001"


class UnsupportedSyntaxError(S2SError):
    """A statement or expression outside the language: `try`, `with`, `yield`, …"""

    code = "S2S002"


class UnsupportedCallError(S2SError):
    """A function, method or attribute that s2s_ad does not know, or an option of one."""

    code = "S2S003"


class UnsupportedTypeError(S2SError):
    """An operation on a value of the wrong kind: a string in arithmetic, an int8 array, …"""

    code = "S2S004"


class StaticValueError(S2SError):
    """A value that must be known when compiling, and is not: an axis, a tuple index, a step."""

    code = "S2S005"


class ShapeError(S2SError):
    """Extents that provably do not match, or a wrong number of dimensions."""

    code = "S2S006"


class AliasError(S2SError):
    """A read through a name that may, or may not, share memory with an array written since."""

    code = "S2S007"


class UndefinedNameError(S2SError):
    """A name that has no value on any path to where it is read."""

    code = "S2S008"


class RecursiveCallError(S2SError):
    """A function that calls itself, directly or through others."""

    code = "S2S009"


class PathError(S2SError):
    """A name that holds different kinds of things on two paths to where it is read."""

    code = "S2S010"


class MissingReturnError(S2SError):
    """A function that returns a value on some paths and ends without one on others."""

    code = "S2S011"


class ArgumentError(S2SError):
    """A call whose arguments do not fit the function's parameters."""

    code = "S2S012"


class MutationError(S2SError):
    """A write to something that cannot change: a tuple, a frozen dataclass, a class."""

    code = "S2S013"


class SubscriptError(S2SError):
    """A subscript that the IR cannot express."""

    code = "S2S014"


class GrowthError(S2SError):
    """A list that grows in a way that cannot become an array: in a `while`, with mixed items."""

    code = "S2S015"


ALL = (
    SourceError,
    UnsupportedSyntaxError,
    UnsupportedCallError,
    UnsupportedTypeError,
    StaticValueError,
    ShapeError,
    AliasError,
    UndefinedNameError,
    RecursiveCallError,
    PathError,
    MissingReturnError,
    ArgumentError,
    MutationError,
    SubscriptError,
    GrowthError,
)
