"""Three-point averages between two buffers."""

SIZES = {
    "check": {"steps": 6, "n": 11},
    "S": {"steps": 800, "n": 3200},
    "M": {"steps": 3000, "n": 12000},
}
OUTPUTS = ("A", "B")


def inputs(rng, steps, n):
    return {"steps": steps, "A": rng.random(n), "B": rng.random(n)}


def jacobi_1d(steps, A, B):
    for _ in range(1, steps):
        B[1:-1] = 0.33333 * (A[:-2] + A[1:-1] + A[2:])
        A[1:-1] = 0.33333 * (B[:-2] + B[1:-1] + B[2:])


def looped(steps, A, B):
    n = A.shape[0]
    for _ in range(1, steps):
        for i in range(1, n - 1):
            B[i] = 0.33333 * (A[i - 1] + A[i] + A[i + 1])
        for i in range(1, n - 1):
            A[i] = 0.33333 * (B[i - 1] + B[i] + B[i + 1])


def jax_transliterated(steps, A, B):
    from jax import lax

    def step(_, carry):
        A, B = carry
        B = B.at[1:-1].set(0.33333 * (A[:-2] + A[1:-1] + A[2:]))
        return A.at[1:-1].set(0.33333 * (B[:-2] + B[1:-1] + B[2:])), B

    return lax.fori_loop(1, steps, step, (A, B))
