"""The heat equation in three dimensions, explicit, between two buffers."""

SIZES = {
    "check": {"steps": 6, "n": 6},
    "S": {"steps": 25, "n": 25},
    "M": {"steps": 50, "n": 40},
}
OUTPUTS = ("A", "B")


def inputs(rng, steps, n):
    A, B = rng.random((2, n, n, n))
    return {"steps": steps, "A": A, "B": B}


def heat_3d(steps, A, B):
    for _ in range(1, steps):
        B[1:-1, 1:-1, 1:-1] = (
            0.125 * (A[2:, 1:-1, 1:-1] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[:-2, 1:-1, 1:-1])
            + 0.125 * (A[1:-1, 2:, 1:-1] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[1:-1, :-2, 1:-1])
            + 0.125 * (A[1:-1, 1:-1, 2:] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[1:-1, 1:-1, :-2])
            + A[1:-1, 1:-1, 1:-1]
        )
        A[1:-1, 1:-1, 1:-1] = (
            0.125 * (B[2:, 1:-1, 1:-1] - 2.0 * B[1:-1, 1:-1, 1:-1] + B[:-2, 1:-1, 1:-1])
            + 0.125 * (B[1:-1, 2:, 1:-1] - 2.0 * B[1:-1, 1:-1, 1:-1] + B[1:-1, :-2, 1:-1])
            + 0.125 * (B[1:-1, 1:-1, 2:] - 2.0 * B[1:-1, 1:-1, 1:-1] + B[1:-1, 1:-1, :-2])
            + B[1:-1, 1:-1, 1:-1]
        )


def looped(steps, A, B):
    n = A.shape[0]
    for half in range(2 * (steps - 1)):
        X, Y = (A, B) if half % 2 == 0 else (B, A)
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    around = X[i + 1, j, k] + X[i - 1, j, k] + X[i, j + 1, k] + X[i, j - 1, k]
                    around += X[i, j, k + 1] + X[i, j, k - 1]
                    Y[i, j, k] = 0.25 * X[i, j, k] + 0.125 * around


def jax_transliterated(steps, A, B):
    from jax import lax

    def spread(X):
        C = X[1:-1, 1:-1, 1:-1]
        return (
            0.125 * (X[2:, 1:-1, 1:-1] - 2.0 * C + X[:-2, 1:-1, 1:-1])
            + 0.125 * (X[1:-1, 2:, 1:-1] - 2.0 * C + X[1:-1, :-2, 1:-1])
            + 0.125 * (X[1:-1, 1:-1, 2:] - 2.0 * C + X[1:-1, 1:-1, :-2])
            + C
        )

    def step(_, carry):
        A, B = carry
        B = B.at[1:-1, 1:-1, 1:-1].set(spread(A))
        return A.at[1:-1, 1:-1, 1:-1].set(spread(B)), B

    return lax.fori_loop(1, steps, step, (A, B))
