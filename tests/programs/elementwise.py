"""One short program per elementwise function, away from kinks."""

from __future__ import annotations

import numpy as np

from tests.programs import Program, normal, positive
from tests.source_text import define

ANY, UNIT, POSITIVE = normal(5), np.array([-0.8, -0.3, 0.1, 0.6, 0.9]), positive(5)
ABOVE_ONE = 1.0 + POSITIVE
OTHER = positive(5, seed=1)

DOMAINS = {
    "sin cos arctan sinh cosh tanh arcsinh exp exp2 expm1 abs absolute negative square": ANY,
    "sign floor ceil trunc rint positive": ANY,
    "tan arcsin arccos arctanh": UNIT,
    "sqrt cbrt log log1p log2 log10 reciprocal": POSITIVE,
    "arccosh": ABOVE_ONE,
}
MATH_DOMAINS = {
    "sin cos atan sinh cosh tanh asinh exp expm1 fabs erf erfc lgamma gamma": 0.7,
    "tan asin acos atanh lgamma gamma": -0.4,
    "sqrt log log1p log2 log10": 1.6,
    "acosh": 1.6,
}
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "arctan2",
    "hypot",
    "maximum",
    "minimum",
    "copysign",
]
MATH_BINARY = ["pow", "atan2", "hypot", "copysign"]
OPERATORS = {
    "plus": "x + y",
    "minus": "x - y",
    "times": "x * y",
    "over": "x / y",
    "to_the_power": "x ** y",
    "modulo": "(x * 3.0) % y",
    "floor_divided": "x * ((x * 3.0) // y)",
    "negated": "-x * +y",
    "squared": "x ** 2 + y ** 3",
    "inverse_powers": "x ** -1 + y ** -2.5",
    "reflected": "2.0 - x + 3 / y + 2.0 ** x",
    "clipped": "np.clip(x, 0.7, 1.2) * y",
    "clipped_by_arrays": "np.clip(x, y - 0.3, y + 0.1)",
    "chosen": "np.where(x > y, x * y, np.sin(y))",
    "chosen_logically": "np.where((x > 0.8) & ~(y > 1.0) | (x == y), x, x * y)",
    "nested": "np.tanh(np.exp(-x * y) + np.log(x / y)) * np.sqrt(x)",
}


def _program(name: str, parameters: str, expression: str, *args) -> Program:
    source = f"def {name}({parameters}):\n    return {expression}\n"
    return Program(define(source, name, f"elementwise {name}"), (("", args),))


def _unary(module: str, domains: dict) -> list[Program]:
    return [
        _program(f"{module}_{f}", "x", f"{module}.{f}(x) * {module}.cos(x)", at)
        for functions, at in domains.items()
        for f in functions.split()
    ]


PROGRAMS = (
    *_unary("np", DOMAINS),
    *_unary("math", MATH_DOMAINS),
    *(
        _program(f"np_{f}", "x, y", f"np.{f}(x, y)", POSITIVE, OTHER)
        for names in BINARY
        for f in names.split()
    ),
    *(_program(f"math_{f}", "x, y", f"math.{f}(x, y)", 1.3, 0.6) for f in MATH_BINARY),
    *(_program(f, "x, y", text, POSITIVE, OTHER) for f, text in OPERATORS.items()),
    *(_program(f"scalar_{f}", "x, y", OPERATORS[f], 1.3, 0.6) for f in ("plus", "to_the_power")),
)
