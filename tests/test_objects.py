"""Objects at the interface: gradients of objects, writes to the caller's, methods, guards."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from s2s_ad import differentiate, grad, jvp, vjp
from s2s_ad.api_errors import ArgumentTypeError, OutputsError, OverlapError, UpdateError
from s2s_ad.testing import check_grads
from tests.source_text import define

DOCS = Path(__file__).parent.parent / "docs" / "objects.md"


class Model:
    def __init__(self, k):
        self.k, self.calls, self.name = k, 0, "model"
        self.w = np.arange(3.0)

    @differentiate(jit=False)
    def energy(self, x, y=2.0):
        self.calls += 1
        return self.k * x * x * y + self.w[1] * x

    def plain(self, x):
        return self.k * x * x

    def __call__(self, x):
        return self.k * x**3

    @classmethod
    def square(cls, x):
        return x**2

    @staticmethod
    def cube(x):
        return x**3


@dataclass
class Params:
    rate: float
    steps: int
    label: str = "a"


def test_method_is_called_and_differentiated() -> None:
    m = Model(3.0)
    assert (m.energy(2.0), m.calls) == (26.0, 1)
    assert m.energy.grad(2.0) == 25.0 and m.calls == 1
    assert m.energy.value_and_grad(2.0, 1.0) == (14.0, 13.0)
    assert m.energy.jvp((2.0, 1.0), (1.0, 0.0)) == (14.0, 13.0)
    value, pullback = m.energy.vjp(2.0, 1.0)
    assert (value, pullback(1.0)) == (14.0, (13.0, 12.0))
    m.k = 4.0
    assert (m.energy(2.0), m.energy.grad(2.0)) == (34.0, 33.0)
    assert "def energy_grad" in m.energy.grad.source(2.0)


def test_gradient_of_an_object_is_a_namespace() -> None:
    m = Model(3.0)
    found = Model.energy.grad(m, 2.0)
    assert type(found) is SimpleNamespace and list(vars(found)) == list(vars(m))
    assert (found.k, found.calls, found.name) == (8.0, None, None)
    np.testing.assert_array_equal(found.w, [0.0, 2.0, 0.0])
    tangents = (SimpleNamespace(k=1.0, calls=None, name=None, w=np.ones(3)), 0.5)
    assert jvp(Model.plain, jit=False)((m, 2.0), tangents) == (12.0, 4.0 + 6.0)
    assert jvp(Model.plain, jit=False)((m, 2.0), (m, 0.0))[1] == 12.0


def test_integers_in_a_dataclass_have_none() -> None:
    def loss(p, x):
        for _ in range(p.steps):
            x = x * p.rate
        return x

    found = grad(loss, wrt=None, jit=False)(Params(2.0, 3), 1.5)
    assert found == (Params(18.0, None, None), 8.0)
    check_grads(loss, (Params(2.0, 3), 1.5))


def assigning(p, x):
    p.calls += 1
    p.w[0] = x
    p.extra = x * 2.0
    p.name = "changed"
    return p.k * x


def test_primal_assigns_and_gradient_does_not() -> None:
    m = Model(5.0)
    w = m.w
    assert grad(assigning, wrt=1, jit=False)(m, 2.0) == 5.0
    assert (m.calls, m.name, hasattr(m, "extra"), w[0]) == (0, "model", False, 0.0)
    primal = differentiate(assigning, jit=False)
    assert primal(m, 2.0) == 10.0
    assert (m.calls, m.name, m.extra, w[0]) == (1, "changed", 4.0, 2.0) and m.w is w
    assert primal(m, 3.0) == 15.0 and m.calls == 2


def test_lists_and_dicts_are_written_back() -> None:
    def change(items, table, x):
        items.append(x)
        items[0] = [x, (x, "s")]
        table["a"] += x
        table["b"] = np.ones(2) * x
        return x

    items, table = [1.0, 2.0], {"a": 1.0}
    inner = items
    assert differentiate(change, jit=False)(items, table, 3.0) == 3.0
    assert items is inner and items == [[3.0, (3.0, "s")], 2.0, 3.0]
    assert table["a"] == 4.0 and table["b"].tolist() == [3.0, 3.0]


def test_swapped_attributes_are_the_callers_arrays() -> None:
    def swap(p, n):
        p.u, p.v = p.v, p.u
        p.u[0] = n
        return n

    u, v = np.zeros(2), np.ones(2)
    p = SimpleNamespace(u=u, v=v)
    differentiate(swap, jit=False)(p, 7.0)
    assert p.u is v and p.v is u and v.tolist() == [7.0, 1.0]


SHARED = Model(2.0)


def assigns_global(x):
    SHARED.k = x
    return SHARED.k * x


def reads_global(p):
    p.k = 5.0
    return SHARED.k * p.k


def assigns_one(p, q):
    p.k = 2.0
    return q.k * p.k


def assigns_chosen(p, q, x):
    o = p if x > 0 else q
    o.k = x
    return o.k * x


def test_what_cannot_be_assigned_is_refused() -> None:
    assert grad(assigns_global, jit=False)(3.0) == 6.0 and SHARED.k == 2.0
    with pytest.raises(UpdateError, match="SHARED.k"):
        differentiate(assigns_global, jit=False)(3.0)
    assert grad(assigns_chosen, wrt=2, jit=False)(Model(1.0), Model(2.0), 3.0) == 6.0
    with pytest.raises(UpdateError):
        differentiate(assigns_chosen, jit=False)(Model(1.0), Model(2.0), 3.0)
    m = Model(1.0)
    for made in (grad(assigns_one, jit=False), differentiate(assigns_one, jit=False)):
        with pytest.raises(OverlapError, match="p and q are one object"):
            made(m, m)
    with pytest.raises(OverlapError, match="from around it"):
        grad(reads_global, jit=False)(SHARED)
    with pytest.raises(OutputsError, match="assigns p.k"):
        vjp(assigns_one, outputs="p", jit=False)(m, Model(1.0))
    cyclic = Model(1.0)
    cyclic.me = cyclic
    with pytest.raises(ArgumentTypeError, match="part of itself"):
        grad(Model.plain, wrt=1, jit=False)(cyclic, 1.0)


def test_numbers_of_captured_objects_are_guarded() -> None:
    m = Model(3.0)
    captured = functools.partial(Model.plain, m)
    for made in (grad(m.plain, jit=False), grad(captured, jit=False)):
        m.k = 3.0
        assert made(2.0) == 12.0
        m.k = 4.0
        assert made(2.0) == 16.0
    by_call = grad(m, jit=False)
    assert by_call(2.0) == 48.0
    m.k = 1.0
    assert by_call(2.0) == 12.0
    items = [1.0, 2.0]
    total = grad(lambda x: sum(items) * x, jit=False)
    assert total(1.0) == 3.0
    items.append(4.0)
    assert total(1.0) == 7.0
    items[0] = 5.0
    assert total(1.0) == 11.0


def test_absent_attributes_are_guarded() -> None:
    m = Model(3.0)
    made = grad(lambda x: x * (2.0 if hasattr(m, "extra") else 1.0), jit=False)
    assert made(1.0) == 1.0
    m.extra = None
    assert made(1.0) == 2.0


def doubled(fn):
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return fn(*args, **kwargs) * 2.0

    return wrapper


@doubled
def product(x, y):
    return x * y


def test_callables_of_every_kind() -> None:
    m = Model(3.0)
    assert grad(m, jit=False)(2.0) == 36.0
    assert grad(m.plain, jit=False)(2.0) == 12.0
    assert grad(m.energy, jit=False)(2.0) == 25.0
    assert grad(functools.partial(functools.partial(Model.plain, m)), jit=False)(2.0) == 12.0
    assert grad(functools.partial(product, y=4.0), jit=False)(2.0) == 8.0
    assert grad(Model.square, jit=False)(3.0) == 6.0
    assert grad(m.square, jit=False)(3.0) == 6.0
    assert grad(m.cube, jit=False)(3.0) == 27.0
    assert grad(product, jit=False)(2.0, 3.0) == 6.0
    assert grad(product, wrt="y", jit=False)(2.0, 3.0) == 4.0


def test_derivative_of_a_derivative_of_what_assigns() -> None:
    def cubed(p, x):
        p.k = p.k * x
        return p.k * x * x

    m = Model(2.0)
    second = grad(grad(cubed, wrt=1, jit=False), wrt=1, jit=False)
    assert second(m, 3.0) == 36.0 and m.k == 2.0
    assert differentiate(grad(cubed, wrt=1), jit=False)(m, 2.0) == 24.0 and m.k == 2.0


def test_returned_object() -> None:
    def moved(m, x):
        m.k = x
        return m

    found = differentiate(moved, jit=False)(Model(1.0), 2.0)
    assert type(found) is Model and found.k == 2.0 and found.name == "model"
    value, pullback = vjp(moved, wrt="x", jit=False)(Model(1.0), 2.0)
    seed = SimpleNamespace(k=3.0, calls=None, name=None, w=None)
    assert type(value) is Model and pullback(seed) == 3.0


def test_compiled_object_argument() -> None:
    m = Model(2.0)
    primal = differentiate(assigning)
    assert primal(m, 3.0) == 6.0 and (m.calls, m.extra) == (1, 6.0)
    assert primal(m, 4.0) == 8.0 and m.calls == 2


@pytest.mark.parametrize("block", ["objects", "methods"])
def test_documentation(block: str, capsys: pytest.CaptureFixture) -> None:
    text = DOCS.read_text(encoding="utf-8")
    head = re.search(r"<!-- objects -->\n```python\n(.*?)```", text, re.S).group(1)
    code = re.search(rf"<!-- {block} -->\n```python\n(.*?)```", text, re.S).group(1)
    define(code if block == "objects" else head + code, "p", "documentation of objects")
    printed = capsys.readouterr().out
    assert "namespace(" in printed
    if block == "methods":
        assert printed.endswith("6.0 6.0\nnamespace(k=2.0)\n")
