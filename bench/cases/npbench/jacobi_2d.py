"""Five-point averages between two buffers."""

SIZES = {
    "check": {"steps": 6, "n": 8},
    "S": {"steps": 50, "n": 150},
    "M": {"steps": 80, "n": 350},
}
OUTPUTS = ("A", "B")


def inputs(rng, steps, n):
    A, B = rng.random((2, n, n))
    return {"steps": steps, "A": A, "B": B}


def jacobi_2d(steps, A, B):
    for _ in range(1, steps):
        B[1:-1, 1:-1] = 0.2 * (
            A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1]
        )
        A[1:-1, 1:-1] = 0.2 * (
            B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1]
        )


def looped(steps, A, B):
    n, m = A.shape
    for _ in range(1, steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                B[i, j] = 0.2 * (A[i, j] + A[i, j - 1] + A[i, j + 1] + A[i + 1, j] + A[i - 1, j])
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                A[i, j] = 0.2 * (B[i, j] + B[i, j - 1] + B[i, j + 1] + B[i + 1, j] + B[i - 1, j])


def jax_transliterated(steps, A, B):
    from jax import lax

    def average(X):
        return 0.2 * (X[1:-1, 1:-1] + X[1:-1, :-2] + X[1:-1, 2:] + X[2:, 1:-1] + X[:-2, 1:-1])

    def step(_, carry):
        A, B = carry
        B = B.at[1:-1, 1:-1].set(average(A))
        return A.at[1:-1, 1:-1].set(average(B)), B

    return lax.fori_loop(1, steps, step, (A, B))
