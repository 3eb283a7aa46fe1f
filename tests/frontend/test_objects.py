"""Objects in the frontend: the program does what Python does, aliases and effects included."""

from __future__ import annotations

import types
from dataclasses import InitVar, dataclass, field
from functools import cached_property

import numpy as np
import pytest

from s2s_ad.errors import S2SError
from s2s_ad.frontend import errors, trace
from s2s_ad.ir.types import Type
from tests.frontend.checks import check

X, F, N = Type("f64", ("?",)), Type("f64"), Type("i64")


class Point:
    scale = 2.0

    def __init__(self, x, y=1.0):
        self.x, self.y = x, y

    def __eq__(self, other):
        return isinstance(other, Point) and self.x == other.x and self.y == other.y

    def __contains__(self, value):
        return value == self.x or value == self.y

    def __bool__(self):
        return self.x > 0.0

    def __setitem__(self, k, value):
        if k == 0:
            self.x = value
        else:
            self.y = value

    def __iter__(self):
        return iter([self.x, self.y])

    def __truediv__(self, s):
        return Point(self.x / s, self.y / s)

    def __rsub__(self, s):
        return Point(s - self.x, s - self.y)

    @property
    def size(self):
        return self.x + self.y

    @size.setter
    def size(self, value):
        self.x = value - self.y

    @cached_property
    def product(self):
        return self.x * self.y

    def copy(self):
        return Point(self.x, self.y)


class Sub(Point):
    scale = 3.0

    def __init__(self, x):
        super().__init__(x, 4.0)

    def copy(self):
        return Sub(self.x)


class Tree:
    def __init__(self, value, left=None, right=None):
        self.value, self.left, self.right = value, left, right


@dataclass(order=True)
class One:
    a: float


@dataclass
class Made:
    a: float
    factor: InitVar[float] = 2.0
    items: list = field(default_factory=list)
    b: float = field(init=False, default=0.5)

    def __post_init__(self, factor):
        self.a = self.a * factor


def two_names_of_one(x):
    p = Point(x)
    q = p
    q.x = 3.0 * x
    p.size = q.size + 1.0
    q[1] = p.x * 2.0
    return p.x * 10.0 + q.y + sum(p) + p.product


def identity(x):
    p, q = Point(x), Point(x)
    r = p
    same = (p is r) and (p is not q) and p == q
    return (1.0 if same else 2.0) + (x if x in p else 0.0)


def in_branches(x, c):
    p, q = Point(x), Point(2.0 * x)
    if c > 0.0:
        p.x += 1.0
        q = p
    else:
        q.y = p.x
        p = Sub(x).copy() if False else Point(7.0, x)
    return p.x + 3.0 * p.y + 5.0 * q.x + 7.0 * q.y


def attribute_on_one_path(x):
    p = Point(x)
    if x > 0.0:
        p.extra = x * x
    if x > 0.0:
        return p.extra
    return p.x


def made_in_a_branch(x):
    if x > 0.0:
        p = Point(x)
        p.x *= 2.0
    y = 1.0
    if x > 0.0:
        y = p.x
    return y


def in_a_loop(x, n):
    p = Point(x)
    first = p
    log = []
    for i in range(n):
        p = p / 2.0
        p.y += i
        if p:
            first.x += p.x
        log.append(p.size)
    return p.x, p.y, first.x, np.array(log)


def swapped_in_a_loop(x, n):
    p, q = Point(x), Point(2.0 * x)
    for i in range(n):
        p, q = q, p / 3.0
        p.y += q.x * i
    return p.x + 2.0 * q.x + 3.0 * p.y + 5.0 * q.y


def shared_in_a_loop(x, n):
    p = Point(x)
    q = p
    for _ in range(n):
        p.x += 1.0
        q.x *= 2.0
    return p.x, q.x


def linked(x, n):
    tree = Tree(x, Tree(2.0 * x), Tree(3.0, Tree(x * x)))
    node = tree.right
    for _ in range(n):
        node.left.value += tree.left.value
        tree.right.value *= 0.5
    return tree.right.left.value + node.value + total(tree.left) + tree.value


def total(tree):
    if tree is None:
        return 0.0
    return tree.value + total(tree.left) + total(tree.right)


def while_object(x):
    p = Point(x)
    while p.x < 10.0 and p:
        p.x = p.x * 1.5
        if p.y > 3.0:
            break
        p.y += 0.5
    return p.x, p.y


def early_return(x, n):
    p = Point(x)
    for i in range(n):
        p.x += i
        if p.x > 4.0:
            p.y = -1.0
            return p.x + p.y
    p.y = 5.0
    return p.x * p.y


def class_members(x):
    p, q = Point(x), Sub(x)
    kind = isinstance(q, Point) and not isinstance(p, Sub) and type(q) is Sub
    return p.scale * q.scale + Sub.scale * q.y + (x if kind else 0.0)


def known_names(x):
    p = Point(x)
    setattr(p, "z", 2.0 * x)  # noqa: B010
    has = hasattr(p, "z") and not hasattr(p, "w")
    return getattr(p, "z") + getattr(p, "w", 5.0) + (1.0 if has else 0.0)  # noqa: B009


def made_dataclass(x):
    a, b = Made(x), Made(x, factor=3.0)
    a.items.append(x)
    c = max(One(x), One(2.0), key=None) if False else One(x)
    return a.a + b.a * b.b + len(b.items) + sum(a.items) + (1.0 if c < One(2.0) else 0.0)


def namespace(x):
    p = types.SimpleNamespace(x=x, inner=types.SimpleNamespace(y=2.0))
    p.inner.y += p.x
    p.z = p.inner.y
    return p.z * p.x


def reflected(x):
    p = 1.0 - Point(x)
    return p.x * p.y


def swapped_fields(x):
    p = Point(x, 2.0 * x)
    p.x, p.y = p.y, p.x
    return p.x - 3.0 * p.y


def nested_function(x):
    p = Point(x)

    def bump(by):
        p.x += by
        return p

    bump(2.0).y = 3.0
    bump(x)
    return p.x * p.y


def arrays_in_objects(x, n):
    p = Point(x, np.zeros_like(x))
    row = p.y
    for i in range(n):
        row[i % 3] += p.x[0]
        p.x = p.x * 2.0
    return p.x, p.y, row


def changes_argument(p, x):
    p.x = x * p.y
    p.extra = [x, {"a": p.x}]
    q = p
    q.y += 1.0
    return q.x


def changes_nested(tree, x):
    tree.left.value += x
    if x > 0.0:
        tree.value = tree.left.value * 2.0
    return x


PROGRAMS = [
    (two_names_of_one, (0.7,)),
    (identity, (0.7,)),
    (in_branches, (0.7, 1.0)),
    (in_branches, (0.7, -1.0)),
    (attribute_on_one_path, (0.7,)),
    (attribute_on_one_path, (-0.7,)),
    (made_in_a_branch, (0.7,)),
    (made_in_a_branch, (-0.7,)),
    (in_a_loop, (0.7, 4)),
    (in_a_loop, (0.7, 0)),
    (swapped_in_a_loop, (0.7, 5)),
    (shared_in_a_loop, (0.7, 3)),
    (linked, (0.7, 3)),
    (while_object, (0.7,)),
    (early_return, (0.7, 9)),
    (early_return, (0.7, 2)),
    (class_members, (0.7,)),
    (known_names, (0.7,)),
    (made_dataclass, (0.7,)),
    (namespace, (0.7,)),
    (reflected, (0.7,)),
    (swapped_fields, (0.7,)),
    (nested_function, (0.7,)),
    (arrays_in_objects, (np.arange(3.0) + 1.0, 4)),
    (changes_argument, (Point(0.7), 2.0)),
    (changes_nested, (Tree(0.7, Tree(1.0)), 2.0)),
    (changes_nested, (Tree(0.7, Tree(1.0)), -2.0)),
]


@pytest.mark.parametrize("fn, args", PROGRAMS, ids=lambda p: getattr(p, "__name__", ""))
def test_program(fn, args) -> None:
    check(fn, *args)


def chosen_then_read(x):
    p, q = Point(x), Point(2.0)
    o = p if x > 0.0 else q
    o.x = 5.0
    return p.x


def chosen_identity(x):
    p, q = Point(x), Point(2.0)
    o = p if x > 0.0 else q
    return 1.0 if o is p else 2.0


def chosen_in_loop(x, n):
    p = Point(x)
    o = Point(1.0)
    for _ in range(n):
        o.x += 1.0
        o = p
    return p.x


@dataclass(frozen=True)
class Frozen:
    a: float


class Hooked:
    def __setattr__(self, name, value):
        object.__setattr__(self, name, 2.0 * value)


def writes_frozen(x):
    f = Frozen(x)
    f.a = 2.0
    return f.a


def makes_hooked(x):
    h = Hooked()
    h.a = x
    return h.a


def reads_property_that_is_not(x):
    return Point(x).nothing


def writes_property(x):
    p = One(x)
    Point.scale = 3.0
    return p.a


def array_first(x):
    return (x * Point(2.0)).x


@pytest.mark.parametrize(
    "fn, kind, specs",
    [
        (chosen_then_read, errors.AliasError, [F]),
        (chosen_identity, errors.PathError, [F]),
        (chosen_in_loop, errors.AliasError, [F, N]),
        (writes_frozen, errors.MutationError, [F]),
        (makes_hooked, errors.UnsupportedCallError, [F]),
        (reads_property_that_is_not, errors.UndefinedNameError, [F]),
        (writes_property, errors.MutationError, [F]),
        (array_first, errors.UnsupportedTypeError, [X]),
    ],
)
def test_refused(fn, kind, specs) -> None:
    with pytest.raises(S2SError) as caught:
        trace(fn, specs)
    assert type(caught.value) is kind, str(caught.value)
    assert caught.value.loc is not None
