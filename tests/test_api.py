"""The public functions: what they take, what they give, what they refuse."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from typing import NamedTuple

import numpy as np
import pytest

import s2s_ad
from s2s_ad import api_errors as errors
from s2s_ad import differentiate, grad, jvp, pipeline, source, stop_gradient, value_and_grad, vjp
from s2s_ad.testing import check_grads

WORK = np.zeros(3)
SCALE = 2.0
NOT_COMPILED = {"jit": False}


def area(x, y):
    return x * x * y


def total(x, n=2, *, weight=1.0):
    return weight * np.sum(x**n)


def cached(z, y):
    WORK[:] = 2 * y
    z[:] = np.sin(WORK)


def scaled(x):
    return SCALE * x


def both(x):
    return {"sum": np.sum(x), "all": (x * x, 3), "none": None}


def fill(a, value=1.0):
    a[0] += value
    return a


def pick(x, how):
    return np.mean(x) if how == "mean" else np.sum(x)


@dataclasses.dataclass(frozen=True)
class Model:
    slope: float
    weights: np.ndarray
    power: int = 2
    label: str = "m"


class Pair(NamedTuple):
    left: float
    right: float


def predict(model, x):
    return model.slope * np.sum(model.weights * x) ** model.power


def nested(pair, table, items):
    return pair.left * table["a"] * items[0] + pair.right * items[1]


# --- what is exported ------------------------------------------------------------------------


def test_differentiate_of_a_derivative_is_the_derivative() -> None:
    assert differentiate(grad(lambda x: x * x), jit=False)(3.0) == 6.0


def test_exports() -> None:
    names = {"differentiate", "grad", "value_and_grad", "jvp", "vjp", "source", "stop_gradient"}
    assert set(s2s_ad.__all__) == names
    assert all(getattr(s2s_ad, name).__doc__ for name in names)


def test_wrt_forms() -> None:
    assert grad(area, **NOT_COMPILED)(3.0, 2.0) == 12.0
    assert grad(area, wrt="y", **NOT_COMPILED)(3.0, 2.0) == 9.0
    assert grad(area, wrt=(1, "x"), **NOT_COMPILED)(3.0, 2.0) == (9.0, 12.0)
    assert grad(area, wrt=("x",), **NOT_COMPILED)(3.0, 2.0) == (12.0,)
    assert value_and_grad(area, wrt=None, **NOT_COMPILED)(3.0, 2.0) == (18.0, (12.0, 9.0))


def test_keywords_and_defaults() -> None:
    x = np.array([1.0, 2.0])
    derivative = grad(total, **NOT_COMPILED)
    np.testing.assert_array_equal(derivative(x), 2 * x)
    np.testing.assert_array_equal(derivative(x, weight=3.0), 6 * x)
    np.testing.assert_array_equal(derivative(n=3, x=x), 3 * x**2)
    assert grad(total, wrt="weight", **NOT_COMPILED)(x) == 5.0


def test_default_ints_need_not_be_known() -> None:
    assert grad(lambda x, n=3: x**n, wrt=0, **NOT_COMPILED)(2.0) == 12.0


def test_jvp_forms() -> None:
    forward = jvp(area, **NOT_COMPILED)
    assert forward((3.0, 2.0), (1.0, 0.0)) == (18.0, 12.0)
    assert forward((3.0, 2.0), (None, 1.0)) == (18.0, 9.0)
    assert jvp(area, wrt="y", **NOT_COMPILED)((3.0, 2.0), 1.0) == (18.0, 9.0)
    assert jvp(area, wrt=0, **NOT_COMPILED)((3.0, 2.0), (1.0,)) == (18.0, 12.0)


def test_vjp_of_structured_values() -> None:
    x = np.array([1.0, 2.0])
    value, pullback = vjp(both, **NOT_COMPILED)(x)
    assert value["sum"] == 3.0 and value["none"] is None and value["all"][1] == 3
    (gradient,) = pullback({"sum": 1.0, "all": (np.array([1.0, 10.0]), None), "none": None})
    np.testing.assert_array_equal(gradient, [3.0, 41.0])
    (gradient,) = pullback({"sum": 2.0, "all": None, "none": None})
    np.testing.assert_array_equal(gradient, [2.0, 2.0])


def test_pullback_survives_changes_of_arguments_and_value() -> None:
    x = np.array([1.0, 2.0])
    value, pullback = vjp(lambda x: np.exp(x) * x, **NOT_COMPILED)(x)
    first = pullback(np.ones(2))[0].copy()
    x[:], value[:] = 0.0, 0.0
    np.testing.assert_array_equal(pullback(np.ones(2))[0], first)


def test_gradients_are_the_callers_own() -> None:
    """No result shares memory with an argument, not even where the gradient *is* an argument."""
    x, y = np.ones(3), np.full(3, 2.0)
    gx, gy = grad(lambda x, y: np.sum(x * y), wrt=None, **NOT_COMPILED)(x, y)
    gx += 1.0
    gy += 1.0
    assert y.tolist() == [2.0] * 3 and x.tolist() == [1.0] * 3
    gx, gy = grad(lambda x, y: np.sum(x + y), wrt=None, **NOT_COMPILED)(x, y)
    gx += 1.0
    assert gy.tolist() == [1.0] * 3


# --- structured arguments ----------------------------------------------------------------------


def test_gradient_mirrors_a_dataclass() -> None:
    model, x = Model(2.0, np.array([1.0, 2.0])), np.array([1.0, 1.0])
    found = grad(predict, **NOT_COMPILED)(model, x)
    assert isinstance(found, Model)
    assert (found.slope, found.power, found.label) == (9.0, None, None)
    np.testing.assert_array_equal(found.weights, [12.0, 12.0])
    check_grads(predict, (model, x), **NOT_COMPILED)


def test_gradient_mirrors_containers() -> None:
    args = (Pair(1.0, 2.0), {"a": 3.0, "b": np.ones(2)}, [4.0, 5.0])
    pair, table, items = grad(nested, wrt=None, **NOT_COMPILED)(*args)
    assert pair == Pair(12.0, 5.0) and type(pair) is Pair
    assert table["a"] == 4.0 and table["b"].tolist() == [0.0, 0.0]
    assert items == [3.0, 2.0]


# --- writing -----------------------------------------------------------------------------------


def test_work_array_challenge() -> None:
    """Through a module-level work array and an output argument; nothing of the user's changes."""
    y, z = np.array([0.1, 0.2, 0.3]), np.zeros(3)
    WORK[:] = 7.0
    value, pullback = vjp(cached, wrt="y", outputs="z", **NOT_COMPILED)(z, y)
    np.testing.assert_allclose(value, np.sin(2 * y), rtol=1e-15)
    np.testing.assert_allclose(pullback(np.ones(3)), 2 * np.cos(2 * y), rtol=1e-15)
    assert z.tolist() == [0.0] * 3 and WORK.tolist() == [7.0] * 3
    same, _ = vjp(cached, wrt="y", **NOT_COMPILED)(z, y)
    np.testing.assert_array_equal(same, value)
    differentiate(cached, **NOT_COMPILED)(z, y)
    np.testing.assert_array_equal(z, value)
    np.testing.assert_array_equal(WORK, 2 * y)


def test_primal_is_the_function() -> None:
    compiled = differentiate(fill, **NOT_COMPILED)
    a = np.zeros(3)
    assert compiled(a) is a and a.tolist() == [1.0, 0.0, 0.0]
    table = np.zeros((3, 2))
    compiled(table[:, 1], 5.0)
    assert table.tolist() == [[0.0, 5.0], [0.0, 0.0], [0.0, 0.0]]


def test_strided_arguments() -> None:
    table = np.arange(6.0).reshape(3, 2)
    found = grad(lambda x: np.sum(x**2), **NOT_COMPILED)(table[:, 1])
    np.testing.assert_array_equal(found, 2 * table[:, 1])
    found = grad(lambda x: np.sum(x**2), **NOT_COMPILED)(table.T)
    np.testing.assert_array_equal(found, 2 * table.T)


# --- specialisation ----------------------------------------------------------------------------


def test_globals_may_change() -> None:
    global SCALE
    derivative = grad(scaled, **NOT_COMPILED)
    assert derivative(1.0) == 2.0
    SCALE = 5.0
    assert derivative(1.0) == 5.0
    SCALE = 2.0
    assert derivative(1.0) == 2.0


def test_strings_and_static_arguments() -> None:
    x = np.ones(4)
    derivative = grad(pick, **NOT_COMPILED)
    for _ in range(2):
        assert derivative(x, "mean").tolist() == [0.25] * 4
        assert derivative(x, "sum").tolist() == [1.0] * 4
    static = grad(lambda x, n: np.sum(x * [2.0, 3.0][n]), static="n", **NOT_COMPILED)
    for _ in range(2):
        assert static(x, 0).tolist() == [2.0] * 4
        assert static(x, 1).tolist() == [3.0] * 4


def test_dtypes_and_ranks_specialise() -> None:
    derivative = grad(lambda x: np.sum(x * x), **NOT_COMPILED)
    for x in (np.ones(3), np.ones((2, 3)), np.ones(3, np.float32), np.ones((3, 1)), np.ones(3)):
        found = derivative(x)
        assert found.dtype == x.dtype and found.shape == x.shape
        np.testing.assert_array_equal(found, 2 * x)


def test_float32_scalars_stay() -> None:
    found = grad(lambda x: x * x, **NOT_COMPILED)(np.float32(3.0))
    assert type(found) is np.float32 and found == 6.0


def test_zero_dimensional_arrays_are_numbers() -> None:
    assert grad(lambda x: x * x, **NOT_COMPILED)(np.array(3.0)) == 6.0


def test_derivatives_of_derivatives() -> None:
    def cube(x):
        return x**3.0

    second = grad(grad(cube, **NOT_COMPILED), **NOT_COMPILED)
    assert second(2.0) == 12.0
    assert jvp(grad(cube, **NOT_COMPILED), **NOT_COMPILED)((2.0,), (1.0,)) == (12.0, 12.0)
    forward = jvp(jvp(cube, **NOT_COMPILED), wrt="primals", **NOT_COMPILED)
    assert forward(((2.0,), (1.0,)), ((1.0,),)) == ((8.0, 12.0), (12.0, 12.0))


# --- compiled ----------------------------------------------------------------------------------


@differentiate
def compiled_norm(x):
    """The sum of squares."""
    return np.sum(x * x)


def test_differentiate() -> None:
    x = np.array([1.0, 2.0])
    assert compiled_norm(x) == 5.0
    value, gradient = compiled_norm.value_and_grad(x)
    assert value == 5.0 and gradient.tolist() == [2.0, 4.0]
    assert compiled_norm.__name__ == "compiled_norm"
    assert compiled_norm.__doc__ == "The sum of squares."
    assert inspect.unwrap(compiled_norm).__code__.co_name == "compiled_norm"
    assert list(inspect.signature(compiled_norm.grad).parameters) == ["x"]


def test_derivatives_hide_nothing_behind_wrapped() -> None:
    """A gradient must never be taken for the function that it is the gradient of."""
    assert not hasattr(grad(area), "__wrapped__")


def test_threads_share_one_compilation() -> None:
    derivative = grad(lambda x: np.sum(np.sin(x)))
    runs: list[str] = []
    results: list[np.ndarray] = []

    def call() -> None:
        with pipeline.observing(lambda name, funcs, seconds: runs.append(name)):
            results.append(derivative(np.zeros(3)))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs.count("frontend") == 1
    assert all(r.tolist() == [1.0] * 3 for r in results)


# --- looking at it -----------------------------------------------------------------------------


def test_source_runs_by_itself() -> None:
    for level in ("array", "kernel"):
        text = value_and_grad(area, wrt=None).source(3.0, 2.0, level=level)
        namespace: dict = {}
        exec(text, namespace)
        assert namespace["area_value_and_grad"](3.0, 2.0) == (18.0, 12.0, 9.0)
    assert "def area(x, y):" in source(area, 3.0, 2.0)
    assert "x_dot" in source(jvp(area), 3.0, 2.0)
    assert source(jvp(area), (3.0, 2.0), (1.0, 1.0)) == source(jvp(area), 3.0, 2.0)


def test_ir_after_each_pass() -> None:
    derivative = grad(area)
    for name in (
        "frontend",
        "tape",
        "simplify",
        "jvp",
        "transpose",
        "optimise",
        "lower",
        "inplace",
        "buffers",
    ):
        assert derivative.ir(3.0, 2.0, after=name).startswith("func area")
    assert "adjoint" in derivative.ir(3.0, 2.0)
    assert "y_dot" in jvp(area).ir(3.0, 2.0)
    assert vjp(area).ir(3.0, 2.0).count("func ") == 2


def test_observers_see_every_pass() -> None:
    seen: list[str] = []
    with pipeline.observing(lambda name, funcs, seconds: seen.append(name)):
        grad(area, **NOT_COMPILED)(3.0, 2.0)
    names = "frontend simplify transpose bounds optimise upwards inplace parallel"
    assert seen == names.split()


# --- refusals ----------------------------------------------------------------------------------

X = np.ones(3)
REFUSED = {
    "wrt unknown": (errors.WrtError, lambda: grad(area, wrt="q")(1.0, 1.0)),
    "wrt index": (errors.WrtError, lambda: grad(area, wrt=2)(1.0, 1.0)),
    "wrt twice": (errors.WrtError, lambda: grad(area, wrt=("x", 0))(1.0, 1.0)),
    "no floats": (errors.WrtError, lambda: grad(area, wrt=None)(1, 1)),
    "integer": (errors.InactiveArgumentError, lambda: grad(area)(1, 1.0)),
    "integers": (errors.InactiveArgumentError, lambda: grad(total)(np.arange(3))),
    "string": (errors.InactiveArgumentError, lambda: grad(pick, wrt="how")(X, "sum")),
    "array value": (errors.NotScalarError, lambda: grad(lambda x: x * 2.0)(X)),
    "dict value": (errors.NotScalarError, lambda: grad(both)(X)),
    "integer value": (errors.NotScalarError, lambda: grad(lambda x: len(x))(X)),
    "no value": (errors.OutputsError, lambda: grad(lambda x: None)(1.0)),
    "outputs": (errors.OutputsError, lambda: vjp(cached, outputs="q")(X, X.copy())),
    "type": (errors.ArgumentTypeError, lambda: grad(area)(object(), 1.0)),
    "dtype": (errors.ArgumentTypeError, lambda: grad(total)(np.ones(3, np.float16))),
    "matrix": (errors.ArgumentTypeError, lambda: grad(total)(np.ma.ones(3))),
    "large integer": (errors.ArgumentTypeError, lambda: grad(area)(1.0, 2**70)),
    "not a function": (errors.ArgumentTypeError, lambda: grad(3)),
    "overlap": (errors.OverlapError, lambda: vjp(cached, **NOT_COMPILED)(X, X[::-1])),
    "tangent count": (errors.SeedError, lambda: jvp(area, **NOT_COMPILED)((1.0, 2.0), (1.0,))),
    "tangent shape": (errors.SeedError, lambda: jvp(total, **NOT_COMPILED)((X,), (np.ones(2),))),
    "primals": (errors.SeedError, lambda: jvp(area)(1.0, 1.0)),
    "cotangent": (errors.SeedError, lambda: vjp(both, **NOT_COMPILED)(X)[1](1.0)),
    "cotangent kind": (errors.SeedError, lambda: vjp(area, **NOT_COMPILED)(1.0, 1.0)[1]("x")),
    "static name": (errors.StaticArgumentError, lambda: grad(area, static="q")),
    "static list": (errors.StaticArgumentError, lambda: grad(pick, static="how")(X, ["a"])),
    "read-only": (
        errors.ReadOnlyError,
        lambda: differentiate(fill, **NOT_COMPILED)(np.broadcast_to(1.0, 3)),
    ),
    "level": (errors.OptionError, lambda: grad(area, level="fast")(1.0, 1.0)),
    "pass": (errors.OptionError, lambda: grad(area).ir(1.0, 1.0, after="magic")),
    "vjp of vjp": (errors.OptionError, lambda: vjp(vjp(area))(1.0, 1.0)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    kind, action = REFUSED[name]
    with pytest.raises(kind) as caught:
        action()
    assert str(caught.value).startswith(kind.code)


def test_wrong_calls_are_type_errors() -> None:
    with pytest.raises(TypeError):
        grad(area)(1.0)
    with pytest.raises(TypeError):
        grad(area)(1.0, 2.0, 3.0)


def test_an_array_that_overlaps_nothing_written_is_fine() -> None:
    x = np.ones(3)
    found = grad(lambda x, y: np.sum(x * y), wrt=None, **NOT_COMPILED)(x, x)
    assert [g.tolist() for g in found] == [[1.0] * 3] * 2


# --- check_grads -------------------------------------------------------------------------------


def test_check_grads_passes() -> None:
    check_grads(area, (3.0, 2.0), order=2, **NOT_COMPILED)
    check_grads(cached, (np.zeros(3), X), wrt="y", outputs="z", **NOT_COMPILED)
    check_grads(both, (X,), **NOT_COMPILED)


@pytest.mark.parametrize("mode", ["fwd", "rev"])
def test_check_grads_names_the_entry(mode: str) -> None:
    """`stop_gradient` makes a derivative that differs from the slope, in both modes alike."""

    def partly(x, y):
        return np.sum(x * y) + stop_gradient(x[1]) * y[0]

    args = (np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0]))
    if mode == "rev":
        check_grads(partly, args, modes=("rev",), **NOT_COMPILED)
        return
    with pytest.raises(AssertionError, match=r"d value / d x\[1\]: forward mode 1,") as caught:
        check_grads(partly, args, modes=("fwd",), **NOT_COMPILED)
    assert "x[0]" not in str(caught.value)
