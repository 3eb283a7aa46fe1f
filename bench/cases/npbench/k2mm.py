"""Two products: D ← αABC + βD."""

SIZES = {
    "check": {"ni": 5, "nj": 6, "nk": 7, "nl": 4},
    "S": {"ni": 800, "nj": 850, "nk": 900, "nl": 950},
    "M": {"ni": 2000, "nj": 2250, "nk": 2500, "nl": 2750},
}
OUTPUTS = ("D",)


def inputs(rng, ni, nj, nk, nl):
    shapes = {"A": (ni, nk), "B": (nk, nj), "C": (nj, nl), "D": (ni, nl)}
    return {"alpha": 1.5, "beta": 1.2} | {name: rng.random(s) for name, s in shapes.items()}


def k2mm(alpha, beta, A, B, C, D):
    D[:] = alpha * A @ B @ C + beta * D


def jax_idiomatic(alpha, beta, A, B, C, D):
    return alpha * A @ B @ C + beta * D
