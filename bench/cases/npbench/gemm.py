"""General matrix product, in place: C ← αAB + βC."""

SIZES = {
    "check": {"n": 6, "m": 7, "k": 5},
    "S": {"n": 1000, "m": 1100, "k": 1200},
    "M": {"n": 2500, "m": 2750, "k": 3000},
}
OUTPUTS = ("C",)


def inputs(rng, n, m, k):
    A, B, C = rng.random((n, k)), rng.random((k, m)), rng.random((n, m))
    return {"alpha": 1.5, "beta": 1.2, "C": C, "A": A, "B": B}


def gemm(alpha, beta, C, A, B):
    C[:] = alpha * (A @ B) + beta * C


def jax_idiomatic(alpha, beta, C, A, B):
    return alpha * (A @ B) + beta * C
