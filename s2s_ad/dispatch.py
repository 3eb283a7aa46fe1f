"""The short way of a call: does it match a specialisation, and what are its leaves?

For every specialisation a function is generated that looks at the arguments once, from the outside
in, and gives their leaves, or None where they are not of its types or have to be converted first:

    def match(args):
        if len(args) != 2: return None
        x0 = args[0]
        if type(x0) is not ndarray or x0.dtype is not t0 or …: return None
        …
        return (x0, x1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from s2s_ad.ir.types import DTYPES
from s2s_ad.trees import Known, Leaf, Node, Spec

Match = Callable[[tuple], tuple | None]

#: Classes whose instances compiled code takes as they are, by dtype.
_SCALARS: dict[str, tuple[type, ...]] = {
    "f64": (float, np.float64),
    "i64": (int, np.int64),
    "f32": (np.float32,),
    "i32": (np.int32,),
}


def matcher(specs: Sequence[Spec]) -> Match | None:
    """A function of the positional arguments; None where there is none for these specs: objects
    without a `__dict__`, complex numbers, constants that are not compared by identity."""
    writer = _Writer()
    try:
        writer.test(f"len(args) != {len(specs)}")
        for k, spec in enumerate(specs):
            writer.value(spec, f"args[{k}]")
    except _Unsupported:
        return None
    items = "".join(f"{leaf}, " for leaf in writer.leaves)
    text = "\n".join(["def match(args):", *writer.lines, f"    return ({items})"])
    exec(text, writer.names)  # indices and names of ours, nothing of the user's
    return writer.names["match"]


class _Unsupported(Exception):
    pass


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.leaves: list[str] = []
        self.names: dict[str, Any] = {"ndarray": np.ndarray}

    def name(self, value: Any) -> str:
        """A name for a constant of the generated function."""
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def test(self, *conditions: str) -> None:
        """Leave where one of the conditions holds."""
        self.lines.append(f"    if {' or '.join(conditions)}: return None")

    def local(self, text: str) -> str:
        name = f"x{len(self.lines)}"
        self.lines.append(f"    {name} = {text}")
        return name

    def value(self, spec: Spec, text: str) -> None:
        x = self.local(text)
        if isinstance(spec, Leaf):
            self.leaves.append(x)
            self.test(*(self._array(spec, x) if spec.type.is_array else self._scalar(spec, x)))
        elif isinstance(spec, Known):
            self.test(*self._known(spec, x))
        else:
            self._node(spec, x)

    def _array(self, spec: Leaf, x: str) -> Iterator[str]:
        dtype = self.name(np.dtype(DTYPES[spec.type.dtype][0]))
        yield f"type({x}) is not ndarray"
        yield f"{x}.dtype is not {dtype}"
        yield f"len({x}.shape) != {spec.type.ndim}"
        for axis, extent in enumerate(spec.type.shape):
            yield f"{x}.shape[{axis}] {'!=' if extent == 1 else '=='} 1"
        yield f"not {x}.flags.carray"

    def _scalar(self, spec: Leaf, x: str) -> Iterator[str]:
        classes = _SCALARS.get(spec.type.dtype)
        if classes is None:
            raise _Unsupported
        names = (c.__name__ if c in (int, float) else self.name(c) for c in classes)
        yield " and ".join(f"type({x}) is not {name}" for name in names)
        if spec.type.dtype == "i64":
            yield f"not -0x8000000000000000 <= {x} < 0x8000000000000000"

    def _known(self, spec: Known, x: str) -> Iterator[str]:
        constant, kind = self.name(spec.value), type(spec.value)
        if kind in (int, str, bool):
            yield f"type({x}) is not {kind.__name__}"
            yield f"{x} != {constant}"
        else:
            yield f"{x} is not {constant}"

    def _node(self, spec: Node, x: str) -> None:
        self.test(f"type({x}) is not {self.name(spec.cls)}")
        if issubclass(spec.cls, (tuple, list)):
            self.test(f"len({x}) != {len(spec.parts)}")
            texts = [f"{x}[{k}]" for k in range(len(spec.parts))]
        elif spec.cls is dict:
            self.test(f"tuple({x}) != {self.name(spec.keys)}")
            texts = [f"{x}[{self.name(key)}]" for key in spec.keys]
        else:
            texts = self._attributes(spec, x)
        for part, text in zip(spec.parts, texts):
            self.value(part, text)

    def _attributes(self, spec: Node, x: str) -> list[str]:
        """The attributes of an instance that holds exactly those of the specialisation."""
        if getattr(spec.cls, "__dictoffset__", 0) == 0:
            raise _Unsupported
        held = self.local(f"{x}.__dict__")
        self.test(f"tuple({held}) != {self.name(spec.keys)}")
        return [f"{held}[{self.name(key)}]" for key in spec.keys]
