"""The gamma function and its logarithm (Abramowitz & Stegun, chapter 6)."""

import math

from s2s_ad.ops import Value, log, select, tan
from s2s_ad.rule import partials

SHIFT = 8
#: The coefficients B₂ₖ / 2k of the asymptotic series in 1/z², from k = 1.
SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def digamma(x: Value) -> Value:
    """The derivative of lgamma: its asymptotic series at z = x + 8, brought back by the recurrence
    ψ(x) = ψ(x + 1) - 1/x. ψ(1 - x) = ψ(x) + π / tan(πx) reflects the negative axis; each branch is
    evaluated where it is finite, so that neither spoils the derivative of the other."""
    above = x > 0.0
    w = select(above, x, 1.0 - x)
    z = w + float(SHIFT)
    step = 1.0 / (z * z)
    series = SERIES[-1] * step
    for coefficient in reversed(SERIES[:-1]):
        series = (coefficient + series) * step
    out = log(z) - 0.5 / z - series
    for k in range(SHIFT):
        out = out - 1.0 / (w + float(k))
    below = select(above, 0.0 * x - 0.5, x)
    return out - select(above, 0.0, math.pi / tan(math.pi * below))


partials("lgamma", lambda x, y: digamma(x))
partials("gamma", lambda x, y: y * digamma(x))
