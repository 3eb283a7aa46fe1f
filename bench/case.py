"""A case: one program, its inputs at several sizes, and what is differentiated.

A case is a module `bench/cases/<suite>/<name>.py` with

- a function of the module's name, the program as its user writes it;
- `SIZES`: the parameters of `inputs` at "check" (small), "S" and "M";
- `inputs(rng, **size)`: the arguments, as a dict;
- `OUTPUTS`: names of results. A name of an argument stands for its final content, any other name
  for what the function returns, in order. Empty where the function returns the one number that is
  differentiated;
- optionally `RETURNS` (names of what is returned, where not all of it is an output), `WRT` (names
  of arguments; by default all that hold floating-point numbers), `QUANTITY` ("grad" by default, or
  "value_and_grad"), `TOLERANCE` (what gradients may differ by, relative; 1e-8 by default),
  `FORWARD = False` (where forward mode gives nan, as JAX's does); `DIFFERENCES` (what differences
  can confirm of the gradient: less than 1e-6 where samples lie near a kink);
- optionally `by_hand`, the value and the gradients (a tuple, in the order of WRT) as one writes
  them in NumPy;
- optionally `looped`, the same function with the fastest loops that one writes for numba, and
  `jax_transliterated` and `jax_idiomatic`, functional twins that give the outputs.
"""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

CASES = Path(__file__).parent / "cases"
FORMS = ("transliterated", "idiomatic")


@dataclass(frozen=True)
class Case:
    suite: str
    name: str
    module: ModuleType

    @property
    def label(self) -> str:
        return f"{self.suite}/{self.name}"

    @property
    def kernel(self) -> Callable[..., Any]:
        return getattr(self.module, self.name)

    @property
    def looped(self) -> Callable[..., Any] | None:
        return getattr(self.module, "looped", None)

    @property
    def by_hand(self) -> Callable[..., Any] | None:
        return getattr(self.module, "by_hand", None)

    @property
    def quantity(self) -> str:
        return getattr(self.module, "QUANTITY", "grad")

    @property
    def tolerance(self) -> float:
        return getattr(self.module, "TOLERANCE", 1e-8)

    @property
    def differences(self) -> float:
        return getattr(self.module, "DIFFERENCES", 1e-6)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.kernel).parameters)

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.module.OUTPUTS

    @property
    def returns(self) -> tuple[str, ...]:
        found = tuple(o for o in self.outputs if o not in self.parameters)
        return getattr(self.module, "RETURNS", found)

    def twin(self, form: str) -> Callable[..., Any] | None:
        return getattr(self.module, f"jax_{form}", None)

    def inputs(self, preset: str, seed: int = 0) -> dict[str, Any]:
        """The arguments of the program, by name."""
        rng = np.random.default_rng([seed, *self.label.encode()])
        return self.module.inputs(rng, **self.module.SIZES[preset])

    def wrt(self, arguments: dict[str, Any]) -> tuple[str, ...]:
        chosen = getattr(self.module, "WRT", None)
        return chosen or tuple(n for n in self.parameters if _is_float(arguments[n]))

    def results(
        self, arguments: dict[str, Any], kernel: Callable | None = None, copy: bool = True
    ) -> tuple:
        """What NumPy, or another form of the program, gives for the outputs."""
        given = dict(arguments)
        if copy:
            given = {n: np.copy(a) if isinstance(a, np.ndarray) else a for n, a in given.items()}
        value = (kernel or self.kernel)(*(given[n] for n in self.parameters))
        if not self.outputs:
            return (value,)
        returned = value if len(self.returns) > 1 else (value,)
        found = given | dict(zip(self.returns, returned))
        return tuple(found[name] for name in self.outputs)

    def weights(self, results: tuple, seed: int = 1) -> dict[str, Any]:
        """Random cotangents, one for each output."""
        rng = np.random.default_rng([seed, *self.label.encode()])
        named = zip(self.outputs, results)
        return {f"w_{name}": _drawn(rng, np.shape(result)) for name, result in named}

    def objective(self, kernel: Callable | None = None) -> Callable[..., Any]:
        """The number that is differentiated: the outputs, weighted and summed, as a function of
        the program's arguments and then the weights. It is a plain Python function with source."""
        kernel = kernel or self.kernel
        if not self.outputs:
            return kernel
        arguments = ", ".join(self.parameters)
        weights = ", ".join(f"w_{name}" for name in self.outputs)
        taken = f"{', '.join(self.returns)} = " if self.returns else ""
        total = " + ".join(f"np.sum(w_{name} * {name})" for name in self.outputs)
        text = (
            f"def {self.name}_weighted({arguments}, {weights}):\n"
            f"    {taken}kernel({arguments})\n"
            f"    return {total}\n"
        )
        return defined(text, f"{self.name}_weighted", {"np": np, "kernel": kernel})


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"


def _drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.standard_normal(shape) if shape else float(rng.standard_normal())


def defined(text: str, name: str, environment: dict[str, Any]) -> Callable[..., Any]:
    """A function from its source, which `inspect` finds again."""
    filename = f"<bench {name} {zlib.crc32(text.encode()):08x}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    environment.setdefault("__name__", "bench.defined")
    exec(compile(text, filename, "exec"), environment)
    return environment[name]


def load(label: str) -> Case:
    """The case `suite/name`, in a module of its own: peers put their own NumPy into it."""
    suite, name = label.split("/")
    path = CASES / suite / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"bench.cases.{suite}.{name}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise LookupError(f"no such case: {label}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Case(suite, name, module)


def labels(suite: str | None = None) -> Iterator[str]:
    """All cases, or those of one suite, as `suite/name`."""
    for path in sorted(CASES.glob("*/*.py")):
        if path.stem != "__init__" and suite in (None, path.parent.name):
            yield f"{path.parent.name}/{path.stem}"
