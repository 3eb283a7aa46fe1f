"""The gamma function: its derivative is expressed in elementary functions, so that it can be
differentiated again.

ψ(x) = ψ(x + 8) − Σ 1/(x + k), then the asymptotic series (Abramowitz & Stegun 6.3.5, 6.3.18), which
is exact to rounding beyond 8; below 1/2 by reflection (6.3.7).
"""

import math

from s2s_ad.ops import Value, log, select, tan
from s2s_ad.rule import partials

#: B(2k) / 2k, from k = 1.
_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_STEPS = 8


def digamma(x: Value) -> Value:
    """ψ, the logarithmic derivative of the gamma function."""
    below = x < 0.5
    y = select(below, 1.0 - x, x)
    mirrored = math.pi / tan(math.pi * select(below, x, 0.25))
    return _beyond(y) - select(below, mirrored, 0.0 * x)


def _beyond(y: Value) -> Value:
    """ψ(y) for y ≥ 1/2."""
    steps = 1.0 / y
    for k in range(1, _STEPS):
        steps = steps + 1.0 / (y + float(k))
    z = y + float(_STEPS)
    square = 1.0 / (z * z)
    series = square * _SERIES[-1]
    for coefficient in _SERIES[-2::-1]:
        series = (series + coefficient) * square
    return log(z) - 0.5 / z - series - steps


partials("lgamma", lambda x, y: digamma(x))
partials("gamma", lambda x, y: y * digamma(x))
