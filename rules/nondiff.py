"""Primitives whose derivative is zero, or that have no floating-point result.

Kinks and steps: the derivative of floor, ceil, trunc, rint, sign and // is 0 everywhere, as in JAX.
"""

from s2s_ad.rule import zero

zero("sign floor ceil trunc rint floordiv")
zero("eq ne lt le gt ge isnan isinf isfinite and or not xor")
zero("bit_and bit_or bit_xor shift_left shift_right invert")
zero("empty iota dim nonzero any all argmax argmin stop_gradient assert perform")
