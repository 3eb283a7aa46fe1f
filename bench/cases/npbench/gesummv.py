"""A sum of two matrix–vector products: αAx + βBx."""

SIZES = {"check": {"n": 8}, "S": {"n": 2000}, "M": {"n": 4000}}
OUTPUTS = ("y",)


def inputs(rng, n):
    A, B = rng.random((2, n, n))
    return {"alpha": 1.5, "beta": 1.2, "A": A, "B": B, "x": rng.random(n)}


def gesummv(alpha, beta, A, B, x):
    return alpha * A @ x + beta * B @ x


def jax_idiomatic(alpha, beta, A, B, x):
    return alpha * A @ x + beta * B @ x
