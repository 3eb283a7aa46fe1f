"""Arrays with one name, of which the parts of a long function tell the compiler."""

from __future__ import annotations

import ast
import re
import textwrap

import numpy as np
import pytest

from bench.case import defined
from s2s_ad import grad
from s2s_ad.backend import emit
from s2s_ad.backend.unaliased import names_alone


def found_in(body: str) -> frozenset[str]:
    text = "def f(x, n, y):\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")
    ranks = {"x": {1}, "y": {1}, "k": {1}, "z": {1}, "m": {2}, "r": {1, 2}}
    return names_alone(ast.parse(text).body[0], ranks)


ALONE = {
    "elements": "k = new_empty(n)\nk[0] = x[0]\nk[1] += k[0] * k[n]\nreturn k[1]",
    "returned": "k = new_zeros(n)\nreturn k",
    "with others": "k = new_zeros(n)\nz = x\nreturn z, k",
    "copied": "k = new_copy(x)\nput(k, y)\nz = new_copy(k)\nreturn z[k.shape[0]]",
    "a product": "k = matmul(m, x)\nz = matmul(m, k)\nreturn z",
    "larger": "k = new_empty(n)\nk = grown(k, n)\nk[0] = 1.0\nreturn k",
    "new in each iteration": "for i in range(n):\n    k = new_full(n, x[i])\nreturn k[0]",
}
OTHERS = {
    "given": "k = y\nreturn k[0]",
    "another name": "k = new_empty(n)\nz = k\nreturn z[0]",
    "two names": "z = k = new_empty(n)\nreturn k[0]",
    "a slice": "k = new_empty(n)\nz = k[1:]\nreturn z",
    "a row": "k = new_empty(n)\nm = new_empty((n, n))\nk = m[0]\nreturn k",
    "another shape": "k = new_empty(n)\nm = k.reshape((n, 1))\nreturn m",
    "transposed": "k = new_empty(n)\nz = k.T\nreturn z",
    "changes places": "k = new_empty(n)\nz = new_empty(n)\nk, z = z, k\nreturn k",
    "apart": "k = new_empty(n)\nk = apart(k)\nreturn k",
    "one of several": "k = new_empty(n)\nif n:\n    k = y\nreturn k",
    "in a tuple": "k = new_empty(n)\nz = (k, 1)\nreturn z",
    "unknown calls": "k = np.empty(n)\nz = new_empty(n)\nz = other(z)\nreturn z",
    "two ranks": "r = new_empty(n)\nr = new_empty((n, n))\nz = r[0]\nreturn z",
    "given to something unknown": "k = new_empty(n)\nz = other(k)\nreturn z",
}


@pytest.mark.parametrize("name", ALONE)
def test_one_name(name: str) -> None:
    assert "k" in found_in(ALONE[name])


@pytest.mark.parametrize("name", OTHERS)
def test_other_names(name: str) -> None:
    assert not {"k", "r", "x", "y"} & found_in(OTHERS[name])


PROGRAM = """
import numpy as np

def f(x, a):
    n = x.shape[0]
    y = np.zeros(2 * n)
    z = y.reshape((n, 2))
    u = np.zeros(n)
    for i in range(n):
        y[i] += a * x[i] * z[i, 0]
        z[i, 1] += np.sin(x[i]) + y[i]
        u[i] = y[i] * z[i, 1] + x[i]
    for i in range(1, n):
        z[i, 0] *= u[i - 1] + y[i - 1]
        u[i] += z[i, 1] * y[i]
    return np.sum(y * y) + np.sum(u)
"""


def test_views_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has two names is still one array in each part."""
    monkeypatch.setitem(emit.emit_parts.__kwdefaults__, "size", 40)
    f = defined(PROGRAM, "f", {"np": np})
    x = np.random.default_rng(0).standard_normal(40)
    (func,) = grad(f)._derived_for((x, 0.7), {}).funcs("kernel")
    told = " ".join(
        re.findall(r"unaliased\('(.*?)'\)", "".join(emit.emit_parts(func, native=True)))
    )
    assert "u_bar" in told.split() and not {"y", "z", "y_bar", "z_bar"} & {*told.split()}
    expected = grad(f, jit=False)(x, 0.7)
    np.testing.assert_allclose(grad(f)(x, 0.7), expected, rtol=1e-11)
