"""Integers and their bits, math and NumPy functions of numbers, conversions."""

import math

import numpy as np
from scipy import special

from tests.programs import Program, positive


def bits_of_integers(x, n, k):
    s = 0.0
    for i in range(n):
        if i & 1:
            s += x * (i << 2)
        elif (i ^ k) > 3:
            s -= x * x * (i >> 1)
        else:
            s = s * ((i | k) & 7) + (~i) * x
    return s


def walsh_transform(x):
    h = 1
    n = x.shape[0]
    while h < n:
        for i in range(n):
            if not i & h:
                a, b = x[i], x[i | h]
                x[i] = a + b * 1.0
                x[i | h] = (a - b) * a
        h <<= 1
    return x


def bits_of_arrays(x, idx):
    m = (idx & 1) == 0
    return np.sum(np.where(m, x, 2.0 * x) * (idx >> 1)) + x[(idx ^ 1) % 4].sum() + np.sum(~idx * x)


def narrow_integers(x, idx):
    s = 0.0
    for i in range(len(idx)):
        k = idx[i] * idx[i]
        s += x[i] * ((k + idx[i]) // np.int32(3))
        s += x[i] * (k // 7)
    return s


def quotient_and_remainder(x, n):
    q, r = divmod(n, 3)
    a, b = divmod(x, 0.3)
    return x * q + r + a * x + b * x


def integer_divisions(x, k):
    return x * (7 // k) + (5 % k)


def gamma_of_numbers(x):
    return math.gamma(x) + math.lgamma(x * 2.0) * x


def gamma_of_arrays(x):
    return np.sum(special.gamma(x) * special.gammaln(x + 1.0))


def math_functions(x, y):
    a, b = math.modf(x)
    return (
        math.fmod(x, y)
        + math.log(x, 2.0) * a
        + b * y
        + math.log(y, x)
        + math.hypot(x, y)
        + math.comb(5, 2) * x
    )


def numpy_functions(x):
    return (
        np.sum(np.fmod(x, 0.4) * x)
        + np.float64(x[0]) * np.round(x[1], 2)
        + round(x[0], 1) * x[0]
        + x[2] * round(x[1] * 10)
    )


def conversions(x, n):
    return (
        int(x * 3.0) * x
        + float(n) * x
        + bool(n) * x
        + abs(-n) * x
        + math.copysign(x, -1.0)
        + x * math.trunc(-2.5 * x)
        + math.floor(x)
        + math.ceil(x) * x
        + np.int64(n) * x
        + np.float64(n) / 2 * x
        + x * math.inf * 0.0
        if n < 0
        else x * int(True)
    )


INTEGERS = np.array([0, 1, 2, 3])

PROGRAMS = (
    Program(bits_of_integers, (("9", (0.3, 9, 5)),)),
    Program(walsh_transform, (("8", (np.arange(8) * 0.3 - 1.0,)),)),
    Program(bits_of_arrays, (("", (positive(4), INTEGERS)),)),
    Program(narrow_integers, (("", (positive(3), np.array([100000, 3, 70000], np.int32))),)),
    Program(quotient_and_remainder, (("8", (1.3, 8)), ("-8", (1.3, -8)))),
    Program(integer_divisions, (("2", (1.3, 2)), ("-3", (1.3, -3)))),
    Program(
        gamma_of_numbers,
        (("small", (0.7,)), ("large", (2.3,)), ("negative", (-0.4,)), ("below", (-3.3,))),
    ),
    Program(gamma_of_arrays, (("", (np.array([0.3, 2.5, 5.0, -1.5, 0.5]),)),)),
    Program(math_functions, (("", (1.3, 0.4)), ("large", (7.3, 2.4)))),
    Program(
        numpy_functions,
        (("", (np.array([0.317, 1.284, 0.55]),)), ("-", (np.array([-0.317, 1.284, 2.53]),))),
    ),
    Program(conversions, (("4", (1.3, 4)), ("0", (1.3, 0)))),
)
