"""Objects with state: classes, dataclasses, callable objects, lists and dicts that change."""

import functools
from dataclasses import dataclass, field, replace

import numpy as np

from tests.programs import Program, normal, positive

# --- classes with operators ----------------------------------------------------------------------


class Vec2:
    def __init__(self, x, y=0.0):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Vec2(self.x + other.x, self.y + other.y)

    def __sub__(self, other):
        return self + -other

    def __neg__(self):
        return Vec2(-self.x, -self.y)

    def __mul__(self, factor):
        if isinstance(factor, Vec2):
            return self.x * factor.x + self.y * factor.y
        return Vec2(self.x * factor, self.y * factor)

    __rmul__ = __mul__

    def __iadd__(self, other):
        self.x += other.x
        self.y += other.y
        return self

    def __getitem__(self, k):
        return (self.x, self.y)[k]

    def __len__(self):
        return 2

    def __abs__(self):
        return np.sqrt(self * self)

    def __lt__(self, other):
        return abs(self) < abs(other)

    @property
    def angle(self):
        return np.arctan2(self.y, self.x)

    @staticmethod
    def unit(angle):
        return Vec2(np.cos(angle), np.sin(angle))

    @classmethod
    def diagonal(cls, a):
        return cls(a, a)


def vector_operators(a, b, t):
    u, v = Vec2(a, b), Vec2.unit(t)
    w = 2.0 * u - v * 0.5 + Vec2.diagonal(a)
    w += u
    return (w * v) * abs(w) + w.angle + w[0] * len(w)


def vector_orbit(x, v, n):
    position, velocity = Vec2(x), Vec2(0.0, v)
    for _ in range(n):
        r = abs(position)
        velocity = velocity - position * (0.01 / r**3)
        position = position + velocity * 0.01
    return position * velocity + position.angle


def vector_in_place(x, v, n):
    position, velocity = Vec2(x), Vec2(0.0, v)
    for _ in range(n):
        velocity += position * -0.02
        position += velocity * 0.1
    return position.x * position.y


def vector_chosen(a, b):
    u, v = Vec2(a, b), Vec2(b, a * b)
    longest = v if u < v else u
    if longest.x > 0.0:
        longest = longest * 2.0
    return longest.x - 3.0 * longest.y


class Dual:
    """Forward mode by hand, differentiated again."""

    def __init__(self, value, tangent):
        self.value, self.tangent = value, tangent

    def __mul__(self, other):
        if not isinstance(other, Dual):
            return Dual(self.value * other, self.tangent * other)
        return Dual(
            self.value * other.value, self.tangent * other.value + self.value * other.tangent
        )

    __rmul__ = __mul__

    def __add__(self, other):
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.tangent + other.tangent)
        return Dual(self.value + other, self.tangent)

    __radd__ = __add__

    def __pow__(self, n):
        out = Dual(1.0, 0.0)
        for _ in range(n):
            out = out * self
        return out

    def sin(self):
        return Dual(np.sin(self.value), self.tangent * np.cos(self.value))


def dual_numbers(x):
    d = Dual(x, 1.0)
    return (3.0 * d**3 + d.sin() * d + 2.0).tangent


# --- state ---------------------------------------------------------------------------------------


class Oscillator:
    rate = 0.1

    def __init__(self, k, damping):
        self.k = k
        self.damping = damping
        self.x, self.v = 1.0, 0.0
        self.steps = 0

    def force(self):
        return -self.k * self.x - self.damping * self.v

    def step(self):
        self.v += self.rate * self.force()
        self.x += self.rate * self.v
        self.steps += 1


def oscillator(k, damping, n):
    system = Oscillator(k, damping)
    for _ in range(n):
        system.step()
        if system.x < 0.0:
            system.damping *= 1.1
    return system.x * system.steps + system.damping


def oscillator_until(k, damping):
    system = Oscillator(k, damping)
    while system.x > 0.2 and system.steps < 50:
        system.step()
    return system.v + system.x**2


def oscillator_argument(system, n):
    for _ in range(n):
        system.step()
    return system.x + system.v


class Particle:
    __slots__ = ("mass", "x", "v")

    def __init__(self, mass, x, v):
        self.mass, self.x, self.v = mass, x, v


class World:
    def __init__(self, particles, g):
        self.particles = particles
        self.params = {"g": g}
        self.time = 0.0

    def forces(self):
        out = []
        for p in self.particles:
            f = 0.0
            for q in self.particles:
                if p is not q:
                    d = q.x - p.x
                    f += self.params["g"] * p.mass * q.mass * d / (0.1 + d * d)
            out.append(f)
        return out

    def step(self, dt):
        for p, f in zip(self.particles, self.forces()):
            p.v += dt * f / p.mass
        for p in self.particles:
            p.x += dt * p.v
        self.time += dt


def world(masses, x, n):
    bodies = [Particle(masses[k], x[k], 0.0) for k in range(3)]
    w = World(bodies, 0.5)
    heavy = bodies[2]
    for _ in range(n):
        w.step(0.05)
        heavy.mass *= 1.01
    w.params["g"] = w.particles[0].x
    return sum(p.mass * p.v**2 for p in w.particles) + w.params["g"] * w.time


class Buffers:
    def __init__(self, n):
        self.old = np.zeros(n)
        self.new = np.zeros(n)

    def swap(self):
        self.old, self.new = self.new, self.old


def double_buffer(u, n):
    b = Buffers(len(u))
    b.old[:] = u
    for _ in range(n):
        b.new[1:-1] = b.old[1:-1] + 0.1 * (b.old[2:] - b.old[:-2]) * b.old[1:-1]
        b.swap()
    return np.sum(b.old**2)


# --- dataclasses ---------------------------------------------------------------------------------


@dataclass
class Base:
    a: float
    b: float = 2.0

    def area(self):
        return self.a * self.b


@dataclass
class Derived(Base):
    c: float = 0.5
    history: list = field(default_factory=list)
    total: float = field(init=False)

    def __post_init__(self):
        self.total = self.a + self.b + self.c

    def area(self):
        return super_area(self) + self.c

    def record(self, x):
        self.history.append(x * self.total)


def super_area(self):
    return Base.area(self)


@dataclass(frozen=True)
class Normalised:
    a: float
    b: float

    def __post_init__(self):
        norm = np.sqrt(self.a**2 + self.b**2)
        object.__setattr__(self, "a", self.a / norm)
        object.__setattr__(self, "b", self.b / norm)


def dataclass_state(x, y):
    d = Derived(x, c=y)
    d.record(x)
    d.record(y)
    d.b *= x
    e = replace(d, a=d.a * y)
    n = Normalised(d.area(), e.area())
    return sum(d.history) * n.a + e.total * n.b


def dataclass_in_loop(x, n):
    d = Derived(x)
    for k in range(n):
        d = replace(d, a=np.sin(d.a) + d.c, b=d.b + 0.1 * k)
    return d.area() + d.total


def dataclass_updated(d, x):
    d.a = d.a * x
    d.record(x)
    return d.area() + d.history[0]


# --- callable objects ----------------------------------------------------------------------------


class Polynomial:
    def __init__(self, *coefficients):
        self.coefficients = list(coefficients)

    def __call__(self, x):
        total = 0.0
        for c in reversed(self.coefficients):
            total = total * x + c
        return total

    def derivative(self):
        return Polynomial(*[k * c for k, c in enumerate(self.coefficients) if k])


CUBIC = Polynomial(1.0, -2.0, 0.0, 0.5)


def callable_objects(x, a):
    p = Polynomial(a, x, 1.0)
    scaled = functools.partial(lambda f, s, t: s * f(t), CUBIC, a)
    twice = functools.partial(scaled, x)
    newton = x - p(x) / (1.0 + p.derivative()(x) ** 2)
    return newton * scaled(x) + twice() + apply(CUBIC.derivative().__call__, x)


def apply(f, x):
    return f(x) * x


class Model:
    def __init__(self, w, b, name):
        self.w, self.b, self.name = w, b, name
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        act = np.tanh if self.name == "tanh" else np.sin
        return act(self.w @ x + self.b)


def model_argument(model, x):
    return np.sum(model(model(x)) ** 2) * model.calls


# --- lists and dicts -----------------------------------------------------------------------------


def list_methods(x, y):
    items = [x, y]
    items.append(x * y)
    items.insert(0, 2.0 * x)
    items.extend((y, x))
    items[1] = items[-1] * 3.0
    items += [items.pop(), items.pop(0) ** 2]
    other, same = items[:], items
    same[2] *= x
    other.reverse()
    total = 0.0
    for k, value in enumerate(items):
        total += (k + 1) * value
    return total + other[0] * len(other) - items[2] + sum([x] * 3)


def nested_lists(x, n):
    grid = [[x, 0.0], [0.0, x * x]]
    row = grid[1]
    for k in range(n):
        row[0] += 0.1 * grid[0][0]
        grid[0][0] = np.sin(row[1]) + k
    return grid[0][0] * grid[1][0] + row[1]


def dict_methods(x, params):
    d = {**params, "x": x}
    d["y"] = d["x"] * d["rate"]
    d.setdefault("z", x)
    d.setdefault("x", 100.0)
    d.update(rate=d.pop("z") * 2.0, w=1.0)
    d["w"] += d.get("missing", x)
    total = 0.0
    for key, value in d.items():
        total += value * len(key)
    return total + (d["y"] if "y" in d and "q" not in d else 0.0)


def dict_state(x, n):
    state = {"position": x, "velocity": np.cos(x)}
    alias = state
    for _ in range(n):
        state["velocity"] -= 0.1 * np.sin(state["position"])
        if state["velocity"] > 0.0:
            alias["position"] += 0.1 * alias["velocity"]
        else:
            state["position"] += 0.05 * state["velocity"]
    return state["position"] * alias["velocity"]


D0, D1 = Derived(0.7, 1.3), Derived(1.5, 0.2)

PROGRAMS = [
    Program(vector_operators, (("", (0.6, 1.3, 0.4)), ("other", (2.0, -0.3, 1.4)))),
    Program(vector_orbit, (("20", (1.0, 0.2, 20)), ("0", (1.0, 0.2, 0)))),
    Program(vector_in_place, (("9", (1.0, 0.7, 9)), ("0", (1.0, 0.7, 0)))),
    Program(vector_chosen, (("first", (1.5, 0.4)), ("second", (-0.5, 2.0)))),
    Program(dual_numbers, (("", (0.7,)),)),
    Program(oscillator, (("30", (2.0, 0.1, 30)), ("0", (2.0, 0.1, 0)))),
    Program(oscillator_until, (("", (2.0, 0.1)),)),
    Program(oscillator_argument, (("", (Oscillator(1.5, 0.2), 12)),), wrt=(0,)),
    Program(world, (("", (positive(3), normal(3), 6)), ("0", (positive(3), normal(3), 0)))),
    Program(double_buffer, (("even", (normal(8), 4)), ("odd", (normal(8), 3)))),
    Program(dataclass_state, (("", (0.8, 1.7)),)),
    Program(dataclass_in_loop, (("5", (0.8, 5)), ("0", (0.8, 0)))),
    Program(dataclass_updated, (("", (D0, 1.2)), ("other", (D1, 0.3)))),
    Program(callable_objects, (("", (0.9, 1.6)),)),
    Program(
        model_argument,
        (("tanh", (Model(normal(3, 3), normal(3), "tanh"), normal(3, seed=1))),),
        wrt=(0, 1),
    ),
    Program(list_methods, (("", (0.9, 1.6)),)),
    Program(nested_lists, (("4", (0.9, 4)), ("0", (0.9, 0)))),
    Program(dict_methods, (("", (0.9, {"rate": 1.5})),)),
    Program(dict_state, (("8", (2.5, 8)), ("0", (2.5, 0)))),
]
