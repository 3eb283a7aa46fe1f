"""The Python around the numbers: containers, loops over arrays, dtypes, inactive inputs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tests.programs import Program, normal, positive


@dataclass(frozen=True)
class Spring:
    stiffness: float
    rest: float

    def force(self, x):
        return -self.stiffness * (x - self.rest)


class Layer(NamedTuple):
    weights: np.ndarray
    bias: np.ndarray


def single_precision(x, s):
    y = 2.0 * x + s
    for i in range(1, x.shape[0]):
        y[i] += np.sin(y[i - 1]) / 3
    return np.sum(y * x)


def single_scalar(s):
    return s * np.float32(3.0) + np.exp(s)


def integers_inactive(x, k, idx):
    total = 0.0
    for i in idx:
        total += x[i] * k
    return total / len(idx) + x[k % 3] ** k


def dict_argument(params, x):
    hidden = np.tanh(params["w"] @ x + params["b"])
    return np.sum(hidden * hidden) * params["scale"]


def tuple_argument(pair, layers):
    (a, b), c = pair
    total = a * b + c
    for w, bias in layers:
        total = total + np.sum(np.tanh(w * total + bias))
    return total


def dataclass_argument(spring, x, n):
    v = 0.0
    for _ in range(n):
        v += 0.1 * spring.force(x)
        x += 0.1 * v
    return x


def namedtuple_argument(layer, x):
    return layer.weights @ x + layer.bias


def structured_value(x, s):
    return {"total": np.sum(x) * s, "parts": (x * s, s * s)}


def loop_over_array(x, A):
    total = 0.0
    for value in x:
        total = np.sin(total) + value * value
    for row in A:
        total += row[0] * row[-1]
    return total


def loop_enumerate_zip(x, y):
    total = 0.0
    for i, value in enumerate(x):
        total += i * value**2
    for a, b in zip(x, y):
        total *= 1.0 + a * b
    return total


def unrolled(x):
    total = 0.0
    for power, scale in zip((1, 2, 3), (0.5, 0.25, 0.125)):
        total += scale * x**power
    return total * sum([c * x for c in (1.0, 2.0)])


def loop_steps(x, lo):
    total = 0.0
    for i in range(len(x) - 1, lo, -2):
        total = total * x[i] + x[i - 1]
    for i in reversed(range(len(x))):
        total += x[i] * i
    return total


def int_accumulator_widens(x):
    s = 0
    for i in range(x.shape[0]):
        s += x[i] * x[i]
    return s


def integer_arithmetic(x, n):
    m = -n // 2 + (n**2) % 7 - (-n) % 3
    return x**m + float(m) * x + x * (n / 2)


def boolean_logic(x, y):
    if 0.0 < x < 1.0 and not y > 2.0 or x > 5.0:
        z = x * y
    elif y < 0.0:
        z = x / y
    else:
        z = x - y
    return z if x <= y or z == 0.0 else z * z


def builtins_on_numbers(x, y):
    return max(x, y) * min(x, y, 0.3) + abs(x - 2.0) + float(x) * round(3.7) + pow(y, 2)


def assignments(x):
    a, (b, c) = x, (2.0 * x, x * x)
    a, b = b, a
    d = e = a * c
    d += (f := np.sin(b)) * f
    *rest, last = (a, d, e)
    return last * rest[0] + d


def nested_functions(x, s):
    def outer(u, power=2):
        def inner(t):
            return t * s

        return inner(u) ** power

    return np.sum(outer(x)) + outer(s, power=3)


def keyword_only(x, *, scale=1.5):
    return x * scale


def calls_keyword_only(x, s):
    return keyword_only(x, scale=s) + keyword_only(x)


def while_array(x, tol):
    k = 0
    while np.sum(x * x) > tol and k < 50:
        x = x * np.array(0.5) + 0.1 * np.sin(x)
        k += 1
    return x


def while_nested(x, n):
    total = 0.0
    i = 0
    while i < n:
        j = i
        y = x
        while j > 0:
            y = np.sin(y) * x
            j -= 2
        total += y
        i += 1
    return total


def asserts(x):
    assert x.ndim == 1, "a vector"
    assert np.sum(x) < 1e6, "small"
    if x.shape[0] == 0:
        raise ValueError("empty")
    return np.sum(x**3)


def several_values(x, y):
    a = x * y
    if a > 0.0:
        return a, np.array([x, y])
    return -a, np.array([y, x])


def unused_argument(x, y):
    z = y * 2.0  # noqa: F841 - must not matter
    return x * 3.0


def constant_value(x):
    return 2.5


def identity(x):
    return x


def read_only_closure_array(x):
    return TABLE[1] * x + TABLE[:2] @ x * TABLE.shape[0]


TABLE = positive(2, seed=9)
F32 = normal(5).astype(np.float32)
IDX = np.array([2, 0, 2, 1, 1])
PARAMS = {"w": normal(3, 4), "b": normal(3, seed=1), "scale": 0.3}
LAYERS = ((normal(3), normal(3, seed=1)), (normal(1, seed=2), normal(1, seed=3)))


def _one(fn, *args, **options) -> Program:
    return Program(fn, (("", args),), **options)


PROGRAMS = (
    _one(single_precision, F32, np.float32(0.3), fd_rtol=1e-4),
    _one(single_scalar, np.float32(0.3), fd_rtol=1e-4),
    _one(integers_inactive, normal(4), 2, IDX),
    _one(dict_argument, PARAMS, normal(4, seed=2)),
    _one(tuple_argument, ((0.3, -0.7), 1.1), LAYERS),
    Program(
        dataclass_argument, (("6", (Spring(2.0, 0.3), 1.0, 6)), ("0", (Spring(2.0, 0.3), 1.0, 0)))
    ),
    _one(namedtuple_argument, Layer(normal(3, 4), normal(3, seed=1)), normal(4, seed=2)),
    _one(structured_value, normal(4), 0.7),
    _one(loop_over_array, normal(6), normal(5, 3)),
    _one(loop_enumerate_zip, normal(6), normal(6, seed=1)),
    _one(unrolled, 0.8),
    Program(loop_steps, (("7", (normal(7), 0)), ("none", (normal(0), 0)))),
    _one(int_accumulator_widens, normal(6)),
    Program(integer_arithmetic, (("5", (0.8, 5)), ("-4", (0.8, -4)))),
    Program(
        boolean_logic,
        tuple((f"{x}, {y}", (x, y)) for x in (0.4, 6.0, 1.5) for y in (-0.5, 0.7, 2.5)),
    ),
    _one(builtins_on_numbers, 0.4, 0.9),
    _one(assignments, 0.7),
    _one(nested_functions, normal(4), 0.6),
    _one(calls_keyword_only, 0.4, 0.8),
    _one(while_array, normal(4), 1e-3, wrt=(0,)),
    Program(while_nested, (("6", (0.8, 6)), ("0", (0.8, 0)))),
    _one(asserts, normal(5)),
    Program(several_values, (("then", (0.4, 0.8)), ("else", (-0.4, 0.8)))),
    _one(unused_argument, 0.4, 0.8),
    _one(constant_value, 0.4),
    _one(identity, normal(3)),
    _one(read_only_closure_array, normal(2)),
)
