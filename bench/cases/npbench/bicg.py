"""The two products of a step of biconjugate gradients: Aᵀr and Ap."""

SIZES = {
    "check": {"m": 6, "n": 8},
    "S": {"m": 4000, "n": 5000},
    "M": {"m": 10000, "n": 12500},
}
OUTPUTS = ("s", "q")


def inputs(rng, m, n):
    return {"A": rng.random((n, m)), "p": rng.random(m), "r": rng.random(n)}


def bicg(A, p, r):
    return r @ A, A @ p


def jax_idiomatic(A, p, r):
    return r @ A, A @ p
