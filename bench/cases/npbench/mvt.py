"""Two matrix–vector products, added in place: x1 += A y1, x2 += Aᵀ y2."""

SIZES = {"check": {"n": 8}, "S": {"n": 5500}, "M": {"n": 11000}}
OUTPUTS = ("x1", "x2")


def inputs(rng, n):
    vectors = {name: rng.random(n) for name in ("x1", "x2", "y1", "y2")}
    return {**vectors, "A": rng.random((n, n))}


def mvt(x1, x2, y1, y2, A):
    x1 += A @ y1
    x2 += y2 @ A


def jax_idiomatic(x1, x2, y1, y2, A):
    return x1 + A @ y1, x2 + y2 @ A
