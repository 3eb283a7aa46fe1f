"""Derivatives that a function takes itself: `grad(energy)(q)` in a stepper, in both modes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import pytest

from s2s_ad import differentiate, grad, jvp, value_and_grad, vjp
from s2s_ad.errors import S2SError
from tests.derivative_checks import Derivatives

X = np.array([0.3, -0.7, 1.1, 0.4])
Y = np.array([0.9, 0.2, -0.5, 1.3])
WEIGHTS = np.array([0.5, 1.5, -1.0, 2.0])


def quartic(q, k):
    return 0.25 * k * np.sum(q**4) + 0.5 * np.sum(q * q)


def cubic(x, a):
    return x**3 - a * x + 0.1 * np.sin(x)


quartic_force = grad(quartic)
cubic_slope = grad(cubic, wrt="x")


# --- loops ---------------------------------------------------------------------------------------


def newton(x, a):
    for _ in range(6):
        x = x - cubic(x, a) / grad(cubic, jit=False)(x, a)
    return x


def newton_until(x, a):
    step = 1.0
    while abs(step) > 1e-6:
        value, slope = value_and_grad(cubic, jit=False)(x, a)
        step = value / slope
        x -= step
    return x


def newton_early(x, a):
    for _ in range(50):
        slope = cubic_slope(x, a)
        new = x - cubic(x, a) / slope
        if abs(new - x) < 1e-3:
            return new * slope
        x = new
    return 0.0


def leapfrog(q, p, k, steps):
    h = 0.05
    force = grad(quartic)
    p = p - 0.5 * h * force(q, k)
    for _ in range(steps):
        q = q + h * p
        p = p - h * force(q, k)
    return np.sum(q * p) + k


def leapfrog_around(q, p, k, steps):
    """The potential uses what is around it."""
    h, shifts = 0.05, q * k

    def potential(z):
        total = 0.0
        for i in range(z.shape[0]):
            total += k * z[i] ** 4 + np.cos(z[i] * shifts[i])
        return total

    for _ in range(steps):
        p = p - h * grad(potential, jit=False)(q)
        q += h * p
    return np.sum(q * q) + np.sum(p)


def captured(q):
    for i in range(2):
        q = q - 0.1 * (i + 1) * quartic_force(q * WEIGHTS, 0.7)
    return np.sum(q * q)


def branches(q, k):
    total = 0.0
    for i in range(q.shape[0]):
        if q[i] > 0.0:
            total += grad(lambda z: np.exp(z * k) * q[i], jit=False)(q[i])  # noqa: B023
        else:
            total -= grad(lambda z: z**3 * k, jit=False)(q[i]) * k
    return total


# --- containers ----------------------------------------------------------------------------------


@dataclasses.dataclass
class Model:
    w: np.ndarray
    b: float
    steps: int = 2

    @differentiate(jit=False)
    def loss(self, x):
        return np.sum(np.tanh(self.w * x) + self.b * x) ** 2

    def slope(self, x):
        return self.loss.grad(x)

    def along(self, x):
        return self.loss.jvp((x,), (x,))[1]


def with_model(w, b, x):
    model = Model(w, b)
    g = grad(Model.loss)(model, x)
    return np.sum(g.w * w) + g.b * b + np.sum(model.slope(x)) + model.along(x)


def with_containers(w, b):
    def loss(p, q):
        return np.sum(p["w"] ** 3) * p["b"][0] + q[0] * q[1][0] * p["b"][1]

    value, (gp, gq) = value_and_grad(loss, wrt=(0, "q"))({"w": w, "b": [b, b * b]}, (b, (w[1], 3)))
    return value + np.sum(gp["w"] * w) + gp["b"][0] * gp["b"][1] + gq[0] * gq[1][0]


def by_name(x, y):
    def f(a, /, b, *, c):
        return np.sum(a * b * b) + np.sum(c**3)

    gb, gc = grad(f, wrt=("b", "c"))(x, y, c=x * y)
    part = functools.partial(f, x, c=y)
    return np.sum(gb * gc) + np.sum(grad(part)(x * x) * y)


# --- forward mode, pullbacks ---------------------------------------------------------------------


def forward(x, y):
    def f(a, b):
        return np.sin(a) * b, np.sum(a * b)

    (u, s), (du, ds) = jvp(f)((x, y), (y, None))
    e, de = jvp(f, wrt=1)((x, y), x)
    return np.sum(u * du) + s * ds + np.sum(de[0]) * e[1]


def pulled(x, y):
    value, pullback = vjp(lambda a, b: (np.exp(a) * b, np.sum(b) ** 2))(x, y)
    total = np.sum(value[0])
    for k in range(2):
        ga, gb = pullback((value[0] * (k + 1), value[1]))
        total += np.sum(ga * gb)
    ga, gb = pullback((None, 2.0))
    return total + np.sum(ga) + np.sum(gb * y)


def pulled_later(x, y):
    """What was given, and what came out, are other lists by then."""
    given = [x, y, 3]
    value, pullback = vjp(lambda p: [p[0] * p[1], p[1] ** p[2]])(given)
    cotangent = [value[1], value[0]]
    given[0], value[0] = 2, None
    given.append(1.0)
    (g,) = pullback(cotangent)
    return g[0] * g[1]


def curvature(x, v):
    """A Hessian times a vector, forward over reverse, and a step along it."""
    _, hv = jvp(grad(lambda z: quartic(z, 0.3)))((x,), (v,))
    return np.sum(hv * x)


def third(x):
    return grad(grad(grad(lambda z: np.sin(z) * z**3)))(x) * x


# --- writes --------------------------------------------------------------------------------------


def in_place(x, c):
    def chain(a):
        for i in range(1, a.shape[0]):
            a[i] *= c * a[i - 1]
        return np.sum(a)

    g = grad(chain)(x)
    x[0] = g[1] * c
    return np.sum(g * x)


def in_place_of_two(A, x):
    """The extents of what is written are those of what is around."""

    def swept(B, y):
        for i in range(B.shape[0]):
            y[i % y.shape[0]] += np.sum(B[i] * y)
            B[i] *= y
        return np.sum(B) + y[1]

    gA, gx = grad(swept, wrt=(0, 1))(A, x)
    return np.sum(gA @ gx)


def of_views(x, c):
    y = x.copy()
    for k in range(2):
        y[k : k + 2] -= c * grad(lambda z: np.sum(z * z * y[1]))(y[k : k + 2])
    return np.sum(y * x)


def leaves_early(x, n):
    """How often a loop in a branch ran is a number that two reverse sweeps ask for."""

    def path(z):
        if z[0] < 1.0:
            for _ in range(n):
                z[0] = z[0] * z[1] + 0.3
                if z[0] > 1.2:
                    break
        else:
            z[1] = z[0] * z[0]
        return z[0] * z[1]

    return np.sum(grad(path)(x) * x)


def grows(x, n):
    """Arrays of the inner function's own, whose size is only known when running."""

    def path(z):
        trail = np.zeros(n)
        at = z
        while at < 4.0:
            at = at * 1.5 + 0.1 * z
            trail[n - 1] += at
        return np.sum(trail) * z

    return grad(path, jit=False)(x) + grad(lambda z: path(z) * x, jit=False)(x)


PROGRAMS: dict[str, tuple[Callable, tuple]] = {
    "newton": (newton, (1.3, 0.8)),
    "newton_until": (newton_until, (1.3, 0.8)),
    "newton_early": (newton_early, (1.9, 0.8)),
    "leapfrog": (leapfrog, (X, Y, 0.4, 3)),
    "leapfrog_around": (leapfrog_around, (X, Y, 0.4, 3)),
    "captured": (captured, (X,)),
    "branches": (branches, (X, 0.6)),
    "with_model": (with_model, (X, 0.3, Y)),
    "with_containers": (with_containers, (X, 0.7)),
    "by_name": (by_name, (X, Y)),
    "forward": (forward, (X, Y)),
    "pulled": (pulled, (X, Y)),
    "pulled_later": (pulled_later, (0.7, 1.2)),
    "curvature": (curvature, (X, Y)),
    "third": (third, (0.8,)),
    "in_place": (in_place, (X, 1.2)),
    "in_place_of_two": (in_place_of_two, (np.outer(X[:3], Y), X)),
    "of_views": (of_views, (X, 0.2)),
    "leaves_early": (leaves_early, (np.array([0.4, 1.1]), 5)),
    "grows": (grows, (0.7, 3)),
    "single": (leapfrog, (X.astype(np.float32), Y.astype(np.float32), 0.4, 2)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_both_modes(name: str) -> None:
    fn, args = PROGRAMS[name]
    Derivatives(fn, jit=False).check(args)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled(name: str) -> None:
    fn, args = PROGRAMS[name]
    made = Derivatives(fn)
    made.precise = 1e-6 if name == "single" else made.precise  # NumPy's sums, in another order
    made.check(args)


@pytest.mark.parametrize("level", ["array", "kernel"])
def test_values_are_those_of_differences(level: str) -> None:
    """The inner derivative itself, with nothing of ours to compare it with."""

    def twin(q, p, k, steps):
        def force(q):
            h = 1e-6
            moved = [quartic(q + h * e, k) - quartic(q - h * e, k) for e in np.eye(q.size)]
            return np.array(moved) / (2.0 * h)

        p = p - 0.025 * force(q)
        for _ in range(steps):
            q = q + 0.05 * p
            p = p - 0.05 * force(q)
        return np.sum(q * p) + k

    made = differentiate(leapfrog, jit=False, level=level)
    assert made(X, Y, 0.4, 3) == pytest.approx(twin(X, Y, 0.4, 3), rel=1e-8)


def test_no_perturbation_confusion() -> None:
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0), jit=False)(1.0) == 1.0
    inner = lambda x: x * grad(lambda y: x * y * y)(x)  # noqa: E731  (2 x**3)
    assert grad(inner, jit=False)(3.0) == 54.0
    assert jvp(inner, jit=False)((3.0,), (1.0,)) == (54.0, 54.0)


def test_arguments_are_left_alone() -> None:
    x = X.copy()
    made = differentiate(lambda a: grad(lambda b: _cleared(b))(a)[0] + a[0], jit=False)
    assert made(x) == 2.0 * X[0] + X[0]
    np.testing.assert_array_equal(x, X)


def _cleared(b):
    b[0] = b[0] ** 2
    b[1:] = 0.0
    return np.sum(b)


def test_output_is_shown_once(capsys: pytest.CaptureFixture) -> None:
    def shown(x):
        def f(y):
            print("at", y)
            return y * y

        return grad(f)(x) * x

    assert grad(shown, jit=False)(3.0) == 12.0
    assert capsys.readouterr().out == "at 3.0\n"


def test_python_numbers_stay_python_numbers() -> None:
    """A gradient is a Python float, which takes the precision of what it meets."""

    def scaled(x, a):
        return np.sum(x * grad(lambda z: z**3)(a))

    x = X.astype(np.float32)
    value, gradient = value_and_grad(scaled, jit=False)(x, 0.5)
    assert gradient.dtype == np.float32
    assert type(value) is type(differentiate(lambda x, a: np.sum(x * a), jit=False)(x, 0.75))


# --- what is refused -----------------------------------------------------------------------------


def not_a_number(x):
    return np.sum(grad(lambda z: z * z)(x))


def of_an_integer(x):
    return x * grad(lambda n, z: n * z)(3, x)


def no_such_argument(x):
    return grad(lambda z: z, wrt="y")(x)


def written_twice(x):
    def f(a):
        a[0] = 2.0 * a[0]
        return a[0] * x[0]

    return np.sum(grad(f)(x))


def outside_is_written(x):
    def f(a):
        x[0] = 2.0
        return a[0] * a[1]

    return np.sum(grad(f)(x))


def list_is_written(x):
    p = [x, x]

    def f(q):
        q[0] = q[1] * 2.0
        return q[0] * p[0]

    return grad(f)(p)[1]


def by_output(x):
    def f(a):
        a[0] = 1.0

    return np.sum(grad(f, outputs="a")(x))


def no_option(x):
    return grad(lambda z: z * z, has_aux=True)(x)


def no_tangents(x):
    return jvp(lambda z: z * z)(x, x)[1]


def few_tangents(x):
    return jvp(lambda y, z: y * z)((x, x), (x,))[1]


def wrong_tangent(x):
    return np.sum(jvp(lambda z: z * z)((x,), (1.0,))[1])


def wrong_cotangent(x):
    _, pullback = vjp(lambda z: (z, z * z))(x)
    return pullback(x)[0]


def two_cotangents(x):
    _, pullback = vjp(lambda z: z * z)(x)
    return pullback(x, x)[0]


def another_pullback(x):
    """In each iteration it is another one."""
    total = 0.0
    _, pullback = vjp(lambda z: z * z)(x)
    while total < 10.0:
        total += pullback(1.0)[0]
        _, pullback = vjp(lambda z: z * z * z)(x)
    return total


def one_of_two(x):
    slope = grad(lambda z: z * z)
    if x > 0.0:
        slope = grad(lambda z: z * z * z)
    return slope(x)


class Plain:
    def __init__(self, x):
        self.x = x


def by_an_object(x):
    return grad(lambda p: p.x * p.x)(Plain(x)).x


REFUSED: dict[str, tuple[Callable, object, str, str]] = {
    "not_a_number": (not_a_number, X, "S2S004", "needs one real number"),
    "of_an_integer": (of_an_integer, 1.0, "S2S012", "has no derivative"),
    "no_such_argument": (no_such_argument, 1.0, "S2S012", "wrt='y'"),
    "written_twice": (written_twice, X, "S2S007", "writes to it"),
    "outside_is_written": (outside_is_written, X, "S2S007", "writes to it"),
    "list_is_written": (list_is_written, 1.0, "S2S007", "writes to it"),
    "by_output": (by_output, X, "S2S003", "outputs="),
    "no_option": (no_option, 1.0, "S2S012", "has no option 'has_aux'"),
    "no_tangents": (no_tangents, 1.0, "S2S012", "as a tuple"),
    "few_tangents": (few_tangents, 1.0, "S2S012", "one tangent for each"),
    "wrong_tangent": (wrong_tangent, X, "S2S012", "the tangent is the number 1.0"),
    "wrong_cotangent": (wrong_cotangent, 1.0, "S2S012", "the cotangent"),
    "another_pullback": (another_pullback, 1.0, "S2S010", "pullback"),
    "one_of_two": (one_of_two, 1.0, "S2S010", "slope"),
    "by_an_object": (by_an_object, 1.0, "S2S004", "use a dataclass"),
    "two_cotangents": (two_cotangents, 1.0, "S2S012", "one cotangent"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_the_users_line(name: str) -> None:
    fn, x, code, message = REFUSED[name]
    with pytest.raises(S2SError) as caught:
        grad(fn, jit=False)(x)
    assert caught.value.code == code
    assert message in str(caught.value)
    assert caught.value.loc is not None and caught.value.loc.file == __file__
