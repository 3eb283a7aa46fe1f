"""Which accesses may have touched an element before: never fewer than a run shows."""

from __future__ import annotations

import random

import pytest

from s2s_ad.analysis.instances import Instances
from s2s_ad.ir.core import Lit, walk
from s2s_ad.ir.text import parse

#: The extent of both axes: more than any subscript.
N = 13


def program(rng: random.Random) -> str:
    """Loops over i and, inside, j, and another over k, with loads of an array."""
    lines = ["func f(x: f64[n, m], n: i64, m: i64) {"]

    def loop(index: str, pad: str) -> str:
        low, high, step = rng.choice(
            [("0", "n", 1), ("1", "n", 1), ("0", "3", 1), ("4", "-1", -1), ("0", "n", 2)]
        )
        bounds = ", ".join(b if b == "n" else f"{b}: i64" for b in (low, high))
        return f"{pad}for {bounds}, {step}: i64 {{ ({index}: i64)"

    def access(indices: list[str], pad: str) -> None:
        places = []
        for _ in range(2):
            v, c, f = rng.choice(indices), rng.choice([-1, 0, 0, 1, 2]), rng.choice([1, 1, 2, -1])
            t = f"t{len(lines)}{len(places)}"
            lines.append(f"{pad}{t}a: i64 = mul {v}, {f}: i64")
            lines.append(f"{pad}{t}: i64 = add {t}a, {c}: i64")
            places.append(t)
        lines.append(f"{pad}r{len(lines)}: f64 = load x, {', '.join(places)} {{spec='i,i'}}")

    for outer, inner in (("i", "j"), ("k", "l")):
        lines.append(loop(outer, "  "))
        for _ in range(rng.randint(0, 2)):
            access([outer, "2: i64"], "    ")
        if rng.random() < 0.7:
            lines.append(loop(inner, "    "))
            for _ in range(rng.randint(1, 2)):
                access([outer, inner], "      ")
            lines += ["      yield", "    }"]
        lines += ["    yield", "  }"]
    return "\n".join([*lines, "  return", "}"])


def run(func, n: int) -> list[tuple[object, tuple[int, int]]]:
    """The loads of a run, in order, each with its place (negative ones from the end of N)."""
    done: list[tuple[object, tuple[int, int]]] = []
    env: dict[object, int] = dict.fromkeys(func.params[1:], n)

    def value(a: object) -> int:
        return a.value if isinstance(a, Lit) else env[a]

    def block(region) -> None:
        for e in region.eqns:
            if e.prim == "for":
                for i in range(*map(value, e.ins)):
                    env[e.regions[0].params[0]] = i
                    block(e.regions[0])
            elif e.prim == "load":
                done.append((e, tuple(value(a) % N for a in e.ins[1:])))
            else:
                a, b = map(value, e.ins)
                env[e.out] = a * b if e.prim == "mul" else a + b

    block(func.body)
    return done


@pytest.mark.parametrize("seed", range(60))
def test_met_before(seed: int) -> None:
    rng = random.Random(seed)
    func = parse(program(rng))
    instances = Instances(func)
    loads = [e for e in walk(func.body) if e.prim == "load"]
    may = {(a, b) for a in loads for b in loads if instances.met_before(a, b)}
    for n in (1, 2, 5):
        done = run(func, n)
        for k, (one, place) in enumerate(done):
            for other, there in done[:k]:
                assert place != there or (one, other) in may


def test_some_are_told_apart() -> None:
    """The loads of random programs meet in about as many pairs as they may."""
    told = total = 0
    for seed in range(60):
        func = parse(program(random.Random(seed)))
        instances = Instances(func)
        loads = [e for e in walk(func.body) if e.prim == "load"]
        runs = [run(func, n) for n in (2, 5)]
        met = {(a, b) for r in runs for k, (a, p) in enumerate(r) for b, q in r[:k] if p == q}
        for a in loads:
            for b in loads:
                total += (a, b) not in met
                told += not instances.met_before(a, b)
    assert told > 0.3 * total, (told, total)
