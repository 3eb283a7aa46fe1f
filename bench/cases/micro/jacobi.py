"""Jacobi sweeps between two buffers that are swapped, from slices."""

SIZES = {
    "check": {"n": 7, "steps": 6},
    "S": {"n": 350, "steps": 198},
    "M": {"n": 1000, "steps": 198},
}
OUTPUTS = ("result",)


def inputs(rng, n, steps):
    return {"A": rng.random((n, n)), "steps": steps}


def jacobi(A, steps):
    B = A.copy()
    for _ in range(steps):
        B[1:-1, 1:-1] = 0.2 * (
            A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1]
        )
        A, B = B, A
    return A


def looped(A, steps):
    n, m = A.shape
    A, B = A.copy(), A.copy()
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                B[i, j] = 0.2 * (A[i, j] + A[i, j - 1] + A[i, j + 1] + A[i + 1, j] + A[i - 1, j])
        A, B = B, A
    return A


def jax_transliterated(A, steps):
    from jax import lax

    def step(_, A):
        new = A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1]
        return A.at[1:-1, 1:-1].set(0.2 * new)

    return lax.fori_loop(0, steps, step, A)
