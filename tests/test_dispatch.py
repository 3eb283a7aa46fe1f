"""The short way of a call: it takes what it knows, leaves the rest to the long way, and gives what
the long way gives."""

from __future__ import annotations

import gc
import threading
import types
import weakref
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from s2s_ad import differentiate, grad, jvp, value_and_grad, vjp
from s2s_ad.api import SHORT_WAYS, Derivative, Jvp
from s2s_ad.errors import S2SError

Pair = namedtuple("Pair", "left right")


@dataclass
class Model:
    rate: float
    weights: np.ndarray


@dataclass(slots=True)
class Slim:
    rate: float
    weights: np.ndarray


class Checked:
    """Refuses to be assigned to."""

    def __init__(self, rate: float) -> None:
        object.__setattr__(self, "rate", rate)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AssertionError("not to be called")


V, A = np.arange(3.0), np.ones((3, 4))
READ_ONLY = np.arange(3.0)
READ_ONLY.setflags(write=False)
MATRIX = A.view(np.matrix)
UNALIGNED = np.frombuffer(bytearray(25), dtype=np.uint8)[1:].view(np.float64)
WITH_METADATA = np.arange(3.0).astype(np.dtype("f8", metadata={"unit": "m"}))


@pytest.fixture(autouse=True)
def long_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list]:
    """The arguments of the calls that went the long way."""
    met: list = []
    for cls, name in ((Derivative, "_call"), (Jvp, "_call_with_tangents")):
        original = getattr(cls, name)

        def noted(self: Any, *args: Any, original: Callable = original) -> Any:
            met.append(args)
            return original(self, *args)

        monkeypatch.setattr(cls, name, noted)
    yield met


def outcome(call: Callable[[], Any]) -> tuple:
    """What a call gives, or raises, to be compared."""
    try:
        return plain(call())
    except (S2SError, TypeError) as error:
        return (type(error), str(error))


def plain(value: Any) -> tuple:
    """A value with its types, to be compared by `==`."""
    if isinstance(value, np.ndarray):
        return (type(value), value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, (tuple, list)):
        return (type(value), *map(plain, value))
    if isinstance(value, dict):
        return (dict, *((k, plain(v)) for k, v in value.items()))
    if hasattr(value, "__dict__") and not callable(value):
        return (type(value), *((k, plain(v)) for k, v in vars(value).items()))
    return (type(value), repr(value))


def weighted(x, scale):
    return (x * x).sum() * scale


HOSTILE = [
    (V, 2.0), (V[::-1], 2.0), (A, 2.0), (np.asfortranarray(A), 2.0), (READ_ONLY, 2.0),
    (UNALIGNED, 2.0), (V.astype(">f8"), 2.0), (WITH_METADATA, 2.0), (V.astype("f4"), 2.0),
    (V.astype("f4"), np.float32(2)), (V, np.float64(2.0)), (V, np.float32(2.0)), (V, 2),
    (V, True), (V, np.bool_(True)), (V, 2**63), (V, -(2**63)), (V, np.array(2.0)),
    (np.ones(0), 1.0),
    (np.ones((0, 3)), 1.0), (np.ones(1), 1.0), (np.ones((1, 3)), 1.0), (MATRIX, 1.0),
    (np.ma.array(V), 1.0), (np.array(3.0), 1.0), (V.astype(complex), 1.0), (None, 1.0), ("x", 1.0),
    (V, None), (V.astype(int), 1.0), ([1.0, 2.0], 1.0), (V,), (V, 1.0, 1.0), (),
    (np.broadcast_to(2.0, 3), 1.0), (np.lib.stride_tricks.as_strided(V, (2, 2), (8, 8)), 1.0),
]  # fmt: skip


@pytest.mark.parametrize("first", [0, 10, 9, 12, 2, 20])
def test_any_call_after_any_other(first: int) -> None:
    warm = grad(weighted, jit=False)
    warm(*HOSTILE[first]), warm(*HOSTILE[first])
    for args in HOSTILE:
        expected = outcome(lambda args=args: grad(weighted, jit=False)(*args))
        assert outcome(lambda args=args: warm(*args)) == expected, args
        assert outcome(lambda args=args: warm(*args)) == expected, args


def test_compiled_calls_are_given_their_types_only(long_calls: list) -> None:
    warm = grad(weighted)
    warm(V, 2.0)
    long_calls.clear()
    assert plain(warm(V, 2.0)) == plain(V * 4)
    assert plain(warm(np.zeros(0), 2.0)) == plain(np.zeros(0))
    assert not long_calls
    for x in (V[::-1], READ_ONLY, UNALIGNED, V.astype(">f8"), WITH_METADATA):
        assert np.array_equal(warm(x, 2.0), np.asarray(x, float) * 4)
    assert len(long_calls) == 5
    for scale in (np.float64(2.0), np.array(2.0)):
        assert plain(warm(V, scale)) == plain(V * 4)
    assert len(long_calls) == 6


def test_a_first_call_with_what_is_read_only(long_calls: list) -> None:
    """numba compiles it as an array that cannot be written to: not for the others."""
    warm = differentiate(lambda x: (x * 2.0, x))
    assert warm(READ_ONLY)[1] is READ_ONLY
    x = np.arange(4.0)
    assert warm(x)[1] is x
    assert warm(x)[0].flags.writeable


def test_the_compiled_function_is_called_past_the_dispatcher() -> None:
    warm = differentiate(lambda x: x[0] * 2.0)
    warm(V)
    (entry,) = warm._known.values()
    numba_function, names = entry.kernel, warm.__call__.__globals__
    assert not any(value is numba_function for value in names.values())
    assert warm(V) == numba_function(V) == 0.0


# --- passing --------------------------------------------------------------------------------------


def every_kind(a, /, b, c=3.0, *more, d=5.0, e):
    return a * b * c * sum(more, 1.0) * d * e


CALLS = [
    "1.0, 2.0, e=2.0", "1.0, b=2.0, e=2.0", "1.0, 2.0, 4.0, e=2.0", "1.0, 2.0, e=2.0, c=4.0",
    "1.0, 2.0, 4.0, 5.0, 6.0, e=2.0", "1.0, 2.0, 4.0, 5.0, e=2.0, d=1.0",
    "1.0, e=2.0, b=3.0, d=2.0",
    "1.0", "1.0, 2.0", "a=1.0, b=2.0, e=2.0", "1.0, 2.0, 3.0, c=2.0, e=1.0", "e=2.0",
]  # fmt: skip


@pytest.mark.parametrize("wrt", [0, "c", ("b", "d")], ids=str)
def test_passing(wrt: Any, long_calls: list) -> None:
    made = grad(every_kind, wrt=wrt, jit=False)
    for text in CALLS:
        call = eval(f"lambda f: f({text})")
        expected = outcome(lambda call=call: call(grad(every_kind, wrt=wrt, jit=False)))
        once = outcome(lambda call=call: call(made))
        long_calls.clear()
        again = outcome(lambda call=call: call(made))
        if expected[0] is TypeError:
            assert once[0] is again[0] is TypeError
        else:
            assert once == again == expected, text
            assert not long_calls, text


def test_more_arguments_than_names() -> None:
    """The fifth argument is not `d`."""
    made = grad(every_kind, wrt="d", jit=False)
    for _ in range(2):
        assert made(1.0, 2.0, 4.0, 5.0, 6.0, e=2.0, d=3.0) == 1.0 * 2 * 4 * 12 * 2
    assert grad(every_kind, wrt=4, jit=False)(1.0, 2.0, 4.0, 5.0, 6.0, e=2.0, d=3.0) == 48.0


def test_any_keyword(long_calls: list) -> None:
    def f(x, **more):
        return x * more["y"]

    made = grad(f, jit=False)
    assert made(2.0, y=3.0) == made(2.0, y=3.0) == 3.0
    assert made(x=2.0, y=4.0) == 4.0
    with pytest.raises(TypeError):
        made()


def test_names_of_parameters_are_the_users() -> None:
    def f(type, len, _c1, _x1, _absent, _miss, __r1, float=2.0, *_rest, _way=3.0):
        return type * len * _c1 * _x1 * _absent * _miss * __r1 * float * sum(_rest, 1.0) * _way

    made = grad(f, wrt=("type", "_way"), jit=False)
    args = (2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0)
    product = 3.0 * 5 * 7 * 11 * 13 * 17 * 2
    for _ in range(3):
        assert made(*args) == (product * 3, product * 2)
        assert made(*args, _way=1.0) == (product, product * 2)
        assert made(*args, float=1.0, _way=2.0) == (product, product)


def test_methods_and_static_arguments() -> None:
    made = grad(lambda x, axis: x.sum(axis=axis).sum(), static="axis", jit=False)
    for axis in (0, 1, 0, (0, 1), (0, 1), 1):
        assert np.array_equal(made(A, axis), np.ones((3, 4)))


# --- what is read from around the function --------------------------------------------------------

RATE = 2.0
TABLE = np.arange(3.0)
STATE = types.SimpleNamespace()


class Holder:
    def __init__(self, rate: float) -> None:
        self.rate, self.table = rate, np.ones(3)


def test_globals_are_read_again(monkeypatch: pytest.MonkeyPatch, long_calls: list) -> None:
    made = grad(lambda x: x * RATE, jit=False)
    for rate in (2.0, 3.0, 2.0, np.float64(2.0), 2, True, 0.0, -0.0, float("nan")):
        monkeypatch.setitem(globals(), "RATE", rate)
        for _ in range(2):
            assert repr(float(made(1.0))) == repr(float(rate))


@pytest.mark.parametrize("jit", [False, True])
def test_captured_arrays_are_read_again(monkeypatch: pytest.MonkeyPatch, jit: bool) -> None:
    made = grad(lambda x: (x * TABLE).sum(), jit=jit)
    x = np.ones(3)
    tables = [np.arange(3.0), np.arange(6.0)[::2], READ_ONLY, np.arange(3), np.arange(3.0)[::-1], x]
    for table in tables[: 4 if jit else None]:
        monkeypatch.setitem(globals(), "TABLE", table)
        for _ in range(2):
            assert np.array_equal(made(x), table)
    monkeypatch.setitem(globals(), "TABLE", np.ones((2, 3)))
    assert np.array_equal(made(x), 2 * np.ones(3))


def test_a_dict_around_the_function_is_no_reason_to_compile_again(long_calls: list) -> None:
    table = {"rate": 2.0, (1, "a"): 1.0}
    made = grad(lambda x: x * table["rate"], jit=False)
    assert [made(1.0) for _ in range(4)] == [2.0] * 4
    assert len(long_calls) == 1
    table["other"] = 3.0
    table["rate"] = 4.0
    assert [made(1.0) for _ in range(2)] == [4.0] * 2


def test_captured_arrays_that_become_one() -> None:
    held = [np.ones(3), np.ones(3)]

    def f(x):
        a, b = held
        a[0] = x
        return b[0] + a[0]

    made = grad(f, jit=False)
    assert made(2.0) == made(3.0) == 1.0
    held[1] = held[0]
    assert made(3.0) == made(3.0) == 2.0


def test_closures_objects_and_defaults_are_read_again() -> None:
    rate, holder, options = 2.0, Holder(3.0), {"shift": 5.0}

    def f(x, options=options):
        return x * rate * holder.rate * options["shift"]

    made = grad(f, jit=False)
    assert made(1.0) == made(1.0) == 30.0
    rate = 1.0
    assert made(1.0) == made(1.0) == 15.0
    holder.rate = 1.0
    assert made(1.0) == made(1.0) == 5.0
    options["shift"] = 1.0
    assert made(1.0) == made(1.0) == 1.0
    holder = Holder(7.0)
    assert made(1.0) == made(1.0) == 7.0
    del holder.rate
    with pytest.raises((S2SError, AttributeError)):
        made(1.0)


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [differentiate, lambda f, **k: grad(f, "y", **k)])
@pytest.mark.parametrize("options", [{}, {"donate": "y"}], ids=["", "donate"])
def test_memory_that_is_shared(make: Callable, options: dict) -> None:
    def f(x, y, z):
        x[:] = y
        return (x * y * z).sum()

    def args() -> Iterator[tuple]:
        memory = np.arange(12.0)
        yield memory[:3], memory[3:6], memory[6:9]
        yield memory[:3], memory[:3], memory[6:9]
        yield memory[:3], memory[2:5], memory[6:9]
        yield memory[:3], memory[4:7], memory[6:9]
        yield memory[:3], memory[4:7], memory[2:5]
        own = np.arange(3.0)
        yield own, np.ones(3), np.ones(3)
        yield own, own, np.ones(3)
        yield own, own[:], np.ones(3)
        yield own, np.ones(3), own
        yield np.ones(3), own, own
        yield READ_ONLY, np.ones(3), own
        yield np.ones(3), READ_ONLY, own

    warm = make(f, jit=False, **options)
    warm(np.ones(3), np.ones(3), np.ones(3))
    for ours, theirs in zip(args(), args()):
        expected = outcome(lambda args=theirs: make(f, jit=False, **options)(*args))
        assert outcome(lambda args=ours: warm(*args)) == expected
        assert plain(ours[0]) == plain(theirs[0])


def test_writes_to_the_callers_arrays(long_calls: list) -> None:
    def f(x, y):
        x[0] = 2.0 * y[1]
        return x, y[0]

    made = differentiate(f)
    for _ in range(3):
        x, y = np.zeros(3), np.arange(3.0)
        assert made(x, y)[0] is x
        assert x[0] == 2.0
    assert len(long_calls) == 1


# --- objects --------------------------------------------------------------------------------------


class Counter:
    def __init__(self) -> None:
        self.count, self.seen, self.log = 0, [0.0, 0.0], {"last": 0.0}


def step(counter, other, x):
    counter.count += 1
    counter.seen[0] = x
    counter.log["last"] = x * other.count
    return x * counter.count


def test_objects_are_assigned_to(long_calls: list) -> None:
    made = differentiate(step, jit=False)
    ours, theirs, other = Counter(), Counter(), Counter()
    for k in range(4):
        other.count = k
        assert made(ours, other, 2.0 + k) == step(theirs, other, 2.0 + k)
        assert plain(ours) == plain(theirs)
    assert len(long_calls) == 1
    seen = ours.seen
    made(ours, other, 9.0)
    assert ours.seen is seen and seen[0] == 9.0
    for args in ((ours, ours, 1.0), (ours, other, 1.0)):
        if args[1] is other:
            other.log = ours.log
        expected = outcome(lambda args=args: differentiate(step, jit=False)(*args))
        assert expected[0] is not float
        assert outcome(lambda args=args: made(*args)) == expected


def test_a_derivative_leaves_objects_alone(long_calls: list) -> None:
    made = grad(step, "x", jit=False)
    forward = jvp(step, "x", jit=False)
    counter, other = Counter(), Counter()
    for _ in range(3):
        assert made(counter, other, 2.0) == 1.0
        assert forward((counter, other, 2.0), 1.0)[1] == 1.0
        assert plain(counter) == plain(Counter())
    assert len(long_calls) == 2
    for call in (lambda: made(counter, counter, 2.0), lambda: forward((other, other, 2.0), 1.0)):
        with pytest.raises(S2SError):
            call()


class Node:
    def __init__(self, value: float, child: Any = None) -> None:
        self.value, self.child = value, child


def test_an_object_that_is_taken_out_of_another() -> None:
    """What was in it before is what is assigned to, not what is there afterwards."""

    def f(node, x):
        child = node.child
        node.child = Node(5.0 * x)
        child.value = 7.0 * x
        return x

    made = differentiate(f, jit=False)
    for _ in range(3):
        child = Node(1.0)
        node = Node(0.0, child)
        made(node, 2.0)
        assert (child.value, node.child.value) == (14.0, 10.0)


def test_gradients_of_objects() -> None:
    def f(model, slim, pair, space, checked):
        inner = (model.weights * slim.weights).sum() * pair.left + space.rate
        return inner * model.rate * slim.rate * checked.rate

    def args() -> tuple:
        space = types.SimpleNamespace(rate=2.0, label="a")
        return Model(2.0, V + 1), Slim(3.0, V + 2), Pair(4.0, 1), space, Checked(2.0)

    made = grad(f, (0, 1, 2, 3, 4), jit=False)
    first, second = made(*args()), made(*args())
    for a, b in zip(first, second):
        assert type(a) is type(b)
        names = getattr(a, "__slots__", None) or vars(a) if not isinstance(a, tuple) else a._fields
        for name in names:
            assert plain(getattr(a, name)) == plain(getattr(b, name))


# --- results, tangents, cotangents ----------------------------------------------------------------


@pytest.mark.parametrize("jit", [False, True])
def test_results_have_the_same_types(jit: bool) -> None:
    def f(x, y, n):
        return {"a": x * y, "b": [n + 1, (x, None)], "c": np.array([1.0, y]) * x}, n > 2

    made = differentiate(f, jit=jit)
    for args in ((2.0, 3.0, 4), (np.float32(2), np.float32(3), np.int32(3))):
        first = plain(made(*args))
        assert plain(made(*args)) == first


@pytest.mark.parametrize("jit", [False, True])
def test_tangents(jit: bool, long_calls: list) -> None:
    def f(p, x, n):
        return p["a"] * x[0] * n, p["b"][1] * x

    primals = ({"a": 2.0, "b": (1.0, V)}, V + 1, 3)
    ready = {"a": 1.0, "b": (0.0, V * 2)}, V * 3
    tangents = [
        ready, [*ready], ({"a": 1, "b": (0.0, V * 2)}, V * 3), ({"a": 1.0, "b": None}, V * 3),
        (None, V * 3), ({"b": (0.0, V), "a": 1.0}, V), (ready[0], V[::-1]), (ready[0], READ_ONLY),
        (ready[0], V.astype("f4")), (ready[0], [1.0, 2.0, 3.0]), (ready[0], np.ones(2)),
        (ready[0], 1.0), (ready[0], np.ones((3, 1))), (ready[0],), ready[0], None,
        ({"a": V, "b": (0.0, V)}, V), ({"a": np.float64(1), "b": [0.0, V]}, V),
    ]  # fmt: skip
    warm = jvp(f, ("p", "x"), jit=jit)
    warm(primals, ready)
    long_calls.clear()
    warm(primals, ready), warm([*primals], [*ready])
    assert not long_calls
    for each in tangents[: None if not jit else 6]:
        expected = outcome(lambda each=each: jvp(f, ("p", "x"), jit=False)(primals, each))
        assert outcome(lambda each=each: warm(primals, each)) == expected, each


def test_tangents_before_captured_arrays() -> None:
    held = np.arange(3.0) + 1

    def f(x, y):
        held[0] = y
        return (x * held).sum() * y

    x, y = np.ones(3), 2.0
    made, back = jvp(f), vjp(f)
    for _ in range(3):
        expected = plain(jvp(f, jit=False)((x, y), (x * 3, 5.0)))
        assert plain(made((x, y), (x * 3, 5.0))) == expected
        assert plain(back(x, y)[1](1.0)) == plain(vjp(f, jit=False)(x, y)[1](1.0))
        held = held * 2.0
    for shared in (x, held):
        call = (held, y), (shared, 1.0)
        assert outcome(lambda c=call: made(*c)) == outcome(lambda c=call: jvp(f, jit=False)(*c))


def test_a_bare_tangent() -> None:
    for value, seed in ((2.0, 1.0), (V, V), ((2.0,), (1.0,)), ([2.0], [1.0]), (Pair(1.0, V), None)):
        f = lambda p: p * 2.0 if not isinstance(p, (tuple, list)) else p[0] * 2.0  # noqa: E731
        warm = jvp(f, 0, jit=False)
        for each in (seed, (seed,), [seed], (seed, seed), ((seed,),)):
            for _ in range(2):
                expected = outcome(lambda e=each, v=value, f=f: jvp(f, 0, jit=False)((v,), e))
                assert outcome(lambda e=each, v=value, w=warm: w((v,), e)) == expected


@pytest.mark.parametrize("jit", [False, True])
def test_cotangents(jit: bool) -> None:
    def f(x, y):
        return {"a": x * x * y, "b": ((x * y).sum(), 3)}

    value, pullback = vjp(f, jit=jit)(V, 2.0)
    ready = {"a": V + 1, "b": (2.0, None)}
    cotangents = [
        ready, ready, None, {"a": None, "b": (2.0, None)}, {"a": V, "b": (1, 0)},
        {"a": V[::-1], "b": (1.0, None)}, {"a": READ_ONLY, "b": (np.float64(1.0), None)},
        {"b": (2.0, None), "a": V}, {"a": np.ones(2), "b": (2.0, None)}, {"a": V}, 1.0,
        {"a": V.astype("f4"), "b": (2.0, None)}, {"a": V, "b": (2.0, 1)},
        {"a": V, "b": [2.0, None]},
    ]  # fmt: skip
    for each in cotangents:
        fresh = vjp(f, jit=False)(V, 2.0)[1]
        assert outcome(lambda each=each: pullback(each)) == outcome(lambda e=each, p=fresh: p(e))
    shapes = vjp(f, jit=jit)
    for n in (3, 5, 1, 0):
        _, back = shapes(np.ones(n), 2.0)
        assert back({"a": np.ones(n), "b": (0.0, None)})[0].shape == (n,)
        assert outcome(lambda b=back: b({"a": np.ones(7), "b": (0.0, None)}))[0] is not tuple


# --- many signatures, many threads ----------------------------------------------------------------


SHAPES = [(3,), (1,), (2, 2), (1, 2), (2, 1), (1, 1), (2, 2, 2), (1, 2, 2)]


def test_more_signatures_than_short_ways() -> None:
    made = value_and_grad(lambda x: (x * x).sum(), jit=False)
    shapes = [*SHAPES, (2, 2, 2, 2), (1, 2, 2, 2), (2, 1, 2, 2)]
    assert len(shapes) > SHORT_WAYS
    for shape in shapes * 3:
        x = np.full(shape, 2.0)
        assert np.array_equal(made(x)[1], 2 * x)
        assert len(made._ways) <= SHORT_WAYS
    for shape in reversed(shapes):
        assert made(np.ones(shape))[0] == np.prod(shape)


def test_threads(long_calls: list) -> None:
    table = {"rate": 1.0}
    made = grad(lambda x: (x * x).sum() * table["rate"], jit=False)
    wrong: list = []

    def run(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(200):
            x = random.random(SHAPES[random.integers(len(SHAPES))])
            if not np.array_equal(made(x), 2 * x):
                wrong.append(x.shape)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not wrong
    assert len(long_calls) < 200


def test_what_is_no_longer_used_is_collected() -> None:
    made = grad(weighted, jit=False)
    made(V, 2.0)
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None
