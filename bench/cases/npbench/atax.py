"""Aᵀ(Ax)."""

SIZES = {
    "check": {"m": 6, "n": 8},
    "S": {"m": 4000, "n": 5000},
    "M": {"m": 10000, "n": 12500},
}
OUTPUTS = ("y",)


def inputs(rng, m, n):
    return {"A": rng.random((m, n)) / m, "x": 1.0 + rng.random(n)}


def atax(A, x):
    return (A @ x) @ A


def jax_idiomatic(A, x):
    return (A @ x) @ A
