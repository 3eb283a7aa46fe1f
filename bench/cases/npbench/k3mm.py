"""A chain of three products: ABCD."""

SIZES = {
    "check": {"ni": 5, "nj": 6, "nk": 7, "nl": 4, "nm": 3},
    "S": {"ni": 800, "nj": 850, "nk": 900, "nl": 950, "nm": 1000},
    "M": {"ni": 2000, "nj": 2200, "nk": 2400, "nl": 2600, "nm": 2800},
}
OUTPUTS = ("G",)


def inputs(rng, ni, nj, nk, nl, nm):
    shapes = {"A": (ni, nk), "B": (nk, nj), "C": (nj, nm), "D": (nm, nl)}
    return {name: rng.random(s) / 5.0 for name, s in shapes.items()}


def k3mm(A, B, C, D):
    return A @ B @ C @ D


def jax_idiomatic(A, B, C, D):
    return A @ B @ C @ D
