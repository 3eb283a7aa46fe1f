"""Types of the IR: a dtype and a shape.

A scalar has the empty shape. An extent is an `int` where it is known when compiling (1 above all:
broadcasting is decided by it), else a string. Equal strings mean provably equal extents (`"n"`,
`"n-2"`); `"?"` is an extent about which nothing is known, and equals nothing. The IR reads extents
with the `dim` primitive; nothing looks them up by name. All arrays are C-contiguous or views of
such arrays: the API makes them so at the boundary.
"""

from __future__ import annotations

from dataclasses import dataclass

Dim = int | str
UNKNOWN = "?"

#: dtype name -> (NumPy name, bytes). The order is the order of promotion.
DTYPES: dict[str, tuple[str, int]] = {
    "bool": ("bool_", 1),
    "i32": ("int32", 4),
    "i64": ("int64", 8),
    "f32": ("float32", 4),
    "f64": ("float64", 8),
    "c64": ("complex64", 8),
    "c128": ("complex128", 16),
}
FLOATS = ("f32", "f64", "c64", "c128")


@dataclass(frozen=True)
class Type:
    """`f64` or `f64[n, m]`."""

    dtype: str
    shape: tuple[Dim, ...] = ()

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def is_array(self) -> bool:
        return bool(self.shape)

    @property
    def is_float(self) -> bool:
        """True where a derivative makes sense (real or complex floating point)."""
        return self.dtype in FLOATS

    @property
    def scalar(self) -> Type:
        return Type(self.dtype)

    def with_dtype(self, dtype: str) -> Type:
        return Type(dtype, self.shape)

    def with_shape(self, shape: tuple[Dim, ...]) -> Type:
        return Type(self.dtype, tuple(shape))

    def same_kind(self, other: Type) -> bool:
        """Equal up to extents that are not 1: what a carried value must keep."""
        return (
            self.dtype == other.dtype
            and self.ndim == other.ndim
            and all((a == 1) == (b == 1) for a, b in zip(self.shape, other.shape))
        )

    def __str__(self) -> str:
        if not self.shape:
            return self.dtype
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


F64, F32, I64, I32, BOOL, C128 = (Type(d) for d in ("f64", "f32", "i64", "i32", "bool", "c128"))


def promote(a: str, b: str) -> str:
    """The dtype NumPy gives to an operation on two arrays of dtypes `a` and `b`."""
    import numpy as np

    return from_numpy(np.promote_types(DTYPES[a][0].rstrip("_"), DTYPES[b][0].rstrip("_")))


def from_numpy(dtype: object) -> str:
    """The IR's name of a NumPy dtype; KeyError for one the IR does not have."""
    import numpy as np

    return _BY_NUMPY[np.dtype(dtype).name]


_BY_NUMPY = {numpy_name.rstrip("_"): name for name, (numpy_name, _) in DTYPES.items()}


def known_equal(a: Dim, b: Dim) -> bool:
    """True where two extents are provably the same."""
    return a == b and a != UNKNOWN


def join_dim(a: Dim, b: Dim) -> Dim:
    """The extent of a value that has extent `a` on one path and `b` on another."""
    return a if known_equal(a, b) else UNKNOWN


def shift_dim(dim: Dim, by: int) -> Dim:
    """`max(dim + by, 0)` for `by <= 0`, in canonical form: `n` shifted by -2 is `n-2`."""
    if by == 0 or dim == UNKNOWN:
        return dim
    if isinstance(dim, int):
        return max(dim + by, 0)
    base, _, tail = dim.rpartition("-")
    if base and tail.isdigit():
        return f"{base}-{int(tail) - by}"
    return f"{dim}-{-by}"


def broadcast_shapes(shapes: list[tuple[Dim, ...]]) -> tuple[Dim, ...]:
    """NumPy broadcasting over static 1s. Extents that are not 1 are taken to be equal: the frontend
    has emitted a check where that is not provable. ValueError where they provably differ."""
    ndim = max(len(s) for s in shapes)
    out: list[Dim] = []
    for axis in range(ndim):
        found: Dim = 1
        for shape in shapes:
            position = axis - (ndim - len(shape))
            dim = shape[position] if position >= 0 else 1
            if dim == 1:
                continue
            if isinstance(found, int) and isinstance(dim, int) and found not in (1, dim):
                raise ValueError(f"extents {found} and {dim} do not match")
            if found == 1 or found == UNKNOWN or isinstance(dim, int):
                found = dim
        out.append(found)
    return tuple(out)
