"""A multi-resolution kernel: every row A[r, q] is replaced by its product with C4."""

import numpy as np

SIZES = {
    "check": {"nr": 3, "nq": 4, "np_": 5},
    "S": {"nr": 60, "nq": 60, "np_": 128},
    "M": {"nr": 110, "nq": 125, "np_": 256},
}
OUTPUTS = ("A",)


def inputs(rng, nr, nq, np_):
    return {
        "NR": nr,
        "NQ": nq,
        "NP": np_,
        "A": rng.random((nr, nq, np_)),
        "C4": rng.random((np_, np_)),
    }


def doitgen(NR, NQ, NP, A, C4):
    rows = np.reshape(A, (NR, NQ, 1, NP))
    A[:] = np.reshape(rows @ C4, (NR, NQ, NP))


def jax_idiomatic(NR, NQ, NP, A, C4):
    return A @ C4
