"""Statements beyond assignments and loops: with, try, del, nonlocal, match, recursion, …"""

import contextlib
import functools
import warnings

import numpy as np

from tests.programs import Program


def null_contexts(x, c):
    with np.errstate(all="ignore"), contextlib.nullcontext(2.0) as two:
        y = x * two
        if c > 0.0:
            return y * x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(3):
            with contextlib.nullcontext():
                if i == 1:
                    continue
            y = np.sin(y) * i + x
    return y


class ModelError(Exception):
    pass


def translated_errors(x, n):
    """A handler that gives an error another type, and code that goes on after the try."""
    try:
        if n < 0:
            raise ValueError("negative")
        y = np.sin(x) * n
    except ValueError as error:
        raise ModelError(f"bad: {error}") from error
    finally:
        z = x * 2.0
    return y * z


def finally_after_return(x, n):
    y = x
    try:
        for i in range(n):
            if i == 3:
                return y * x
            y = y * x + 1.0
    finally:
        x = x + y
    return y * x


def handlers_that_nothing_reaches(x):
    try:
        import no_such_module as module
    except ImportError:
        module = None
    try:
        w = x * x
    except KeyError:
        w = 0.0
    else:
        w = w * 3.0
    try:
        n = len([1, 2, 3]) // 2
        w = w * n
    except ZeroDivisionError as error:
        raise ValueError("no items") from error
    return w * (2.0 if module is None else 1.0)


def deleted_names(x, n):
    y = x * 2.0
    for i in range(n):
        t = np.sin(y) * i
        y = y + t
        del t
    z = y
    del y
    return z


def nonlocal_accumulator(x, n):
    total = 0.0
    count = 0

    def add(v, k):
        nonlocal total, count
        if v > 0.2:
            count += 1
            total += v * k
            return total
        total = total - v
        return v

    s = 0.0
    for i in range(n):
        s = s + add(np.sin(x + i), x)
        if s > 4.0:
            break
    while add(x, 1.0) < 3.0:
        s += total
    return s * total + count


def nonlocal_array(x, n):
    state = x * 1.0

    def step(h):
        nonlocal state
        for _ in range(2):
            if state[0] > 2.0:
                return
            state = state + h * np.cos(state)

    for k in range(n):
        step(0.1 * (k + 1))
    return np.sum(state * x)


def matched_shape(x, p):
    match p:
        case (0, a) if a > 0.5:
            y = x * a
        case (0, a) | (1, a):
            y = x + a
        case (k, *rest, last):
            y = x * k + sum(rest) * last
        case None:
            y = -x
        case {"scale": scale, "shift": shift}:
            y = x * scale + shift
        case float(v):
            y = x * v
        case _:
            y = x
    return y * y


def matched_number(x, n):
    total = 0.0
    for i in range(n):
        match i % 4:
            case 0:
                total += x
            case 1 | 2 if total > 1.0:
                total *= x
                if total > 20.0:
                    break
            case 3:
                continue
            case other:
                total += other * x * x
    return total


def doubled(f):
    @functools.wraps(f)
    def inner(*args, **options):
        return 2.0 * f(*args, **options)

    return inner


def decorators(x):
    @doubled
    @doubled
    def g(u, /, v=1.0, *, w):
        "a docstring"
        return np.sin(u) * v * w

    return g(x, w=3.0) + g(x, 2.0, w=x)


def power(x, n):
    if n == 0:
        return 1.0
    half = power(x, n // 2)
    return half * half * (x if n % 2 else 1.0)


def tree_sum(t):
    if isinstance(t, tuple):
        return sum(tree_sum(u) for u in t) * 2.0
    return np.sin(t)


def recursion_over_structure(x, tree):
    return power(x, 13) + tree_sum(tree)


def simpson(f, a, b, depth):
    m = 0.5 * (a + b)
    whole = (b - a) / 6.0 * (f(a) + 4.0 * f(m) + f(b))
    if depth == 0:
        return whole
    left, right = 0.5 * (a + m), 0.5 * (m + b)
    halves = (m - a) / 6.0 * (f(a) + 4.0 * f(left) + 2.0 * f(m) + 4.0 * f(right) + f(b))
    if abs(halves - whole) < 1e-3:
        return halves
    return simpson(f, a, m, depth - 1) + simpson(f, m, b, depth - 1)


def adaptive_quadrature(x):
    return simpson(lambda t: np.exp(-t * t * x), 0.0, x, 3)


def newton_rest(x, guess, depth):
    """A recursion in the middle of an expression, ended by the data or by its depth."""
    step = (guess * guess - x) / (2.0 * guess)
    if depth == 0 or abs(step) < 1e-9:
        return guess
    return newton_rest(x, guess - step, depth - 1) + 0.0 * step


def recursive_root(x):
    return newton_rest(x, 1.0, 8)


def membership(x, n):
    s = 0.0
    for i in range(n):
        if i in {1, 3, 5} or i in (8, n - 1):
            s += x * i
        elif i not in range(2, n, 2):
            s += np.sin(x)
        if i in [n // 2]:
            s = s * x
    return s


def mapped(a, x):
    s = 0.0
    for v in map(lambda t: t * x, a):  # noqa: C417
        s += v * v
    for v, k in map(lambda t, u: (t * u, u), a, a[::-1]):
        s = s * 0.5 + v * k
    s += sum(map(np.sin, (x, 2.0 * x))) + sum(filter(None, (0, 3)))
    return s + functools.reduce(lambda p, q: p * q + x, (x, 2.0, 3.0))


def compared_containers(x, y):
    if (x, y) == (1.0, 2.0) or [x] != [x]:
        return x
    return x * y


def walrus_condition(x, n):
    total = 0.0
    k = 0
    while (y := np.sin(x * k)) < 0.9 and k < n:
        total += y * y
        k += 1
    return total + y


def halved(a, k):
    a[k] = a[k] * 0.5
    return a[k]


def condition_that_writes(a):
    s = 0.0
    while halved(a, 0) > 0.1:
        s = s + a[0] * a[1]
        if s > 5.0:
            break
    else:
        s = s * 2.0
    return s + a[0]


def nested_walrus(x, n):
    s = 0.0
    for i in range(n):
        j = i
        while (j := j - 1) >= 0:
            if j == 2:
                continue
            z = x
            while (z := z * 0.5) > 0.2:
                s += z * z
                if s > 3.0:
                    return s * x
            s = s + z
    return s


PAIR = np.array([3.0, 2.0])

PROGRAMS = (
    Program(null_contexts, (("return", (0.3, 1.0)), ("loop", (0.3, -1.0)))),
    Program(translated_errors, (("2", (0.3, 2)), ("0", (0.3, 0)))),
    Program(finally_after_return, (("2", (0.3, 2)), ("return", (0.3, 5)))),
    Program(handlers_that_nothing_reaches, (("", (0.3,)),)),
    Program(deleted_names, (("3", (0.3, 3)), ("0", (0.3, 0)))),
    Program(nonlocal_accumulator, (("5", (0.47, 5)), ("0", (0.47, 0)))),
    Program(nonlocal_array, (("3", (PAIR * 0.3, 3)), ("stops", (PAIR, 3)))),
    Program(
        matched_shape,
        (
            ("guard", (0.7, (0, 0.7))),
            ("or", (0.7, (0, 0.3))),
            ("one", (0.7, (1, 0.3))),
            ("star", (0.7, (3, 0.3, 0.4, 0.5))),
            ("none", (0.7, None)),
            ("mapping", (0.7, {"scale": 0.3, "shift": 2.0})),
            ("class", (0.7, 0.4)),
        ),
        wrt=(0,),
    ),
    Program(matched_number, (("9", (1.3, 9)), ("small", (0.3, 9)), ("0", (1.3, 0)))),
    Program(decorators, (("", (0.7,)),)),
    Program(recursion_over_structure, (("", (1.1, (0.3, (0.4, 0.5)))),)),
    Program(adaptive_quadrature, (("coarse", (0.7,)), ("fine", (2.7,)))),
    Program(recursive_root, (("", (2.0,)),)),
    Program(membership, (("11", (0.7, 11)), ("2", (0.7, 2)))),
    Program(mapped, (("3", (PAIR, 0.4)), ("none", (np.zeros(0), 0.4)))),
    Program(compared_containers, (("", (0.7, 0.3)),)),
    Program(walrus_condition, (("6", (0.3, 6)), ("0", (0.3, 0)))),
    Program(
        condition_that_writes,
        (("else", (PAIR,)), ("break", (PAIR * 10.0,)), ("never", (PAIR * 0.03,))),
    ),
    Program(nested_walrus, (("return", (1.7, 5)), ("3", (0.7, 3)), ("0", (0.7, 0)))),
)
