"""Gauss–Seidel sweeps of nine-point averages, in place."""

SIZES = {
    "check": {"steps": 6, "n": 7},
    "S": {"steps": 8, "n": 50},
    "M": {"steps": 15, "n": 100},
}
OUTPUTS = ("A",)


def inputs(rng, steps, n):
    return {"steps": steps, "n": n, "A": rng.random((n, n))}


def seidel_2d(steps, n, A):
    for _ in range(steps - 1):
        for i in range(1, n - 1):
            A[i, 1:-1] += (
                A[i - 1, :-2]
                + A[i - 1, 1:-1]
                + A[i - 1, 2:]
                + A[i, 2:]
                + A[i + 1, :-2]
                + A[i + 1, 1:-1]
                + A[i + 1, 2:]
            )
            for j in range(1, n - 1):
                A[i, j] += A[i, j - 1]
                A[i, j] /= 9.0


def looped(steps, n, A):
    for _ in range(steps - 1):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                A[i, j] = (
                    A[i - 1, j - 1]
                    + A[i - 1, j]
                    + A[i - 1, j + 1]
                    + A[i, j - 1]
                    + A[i, j]
                    + A[i, j + 1]
                    + A[i + 1, j - 1]
                    + A[i + 1, j]
                    + A[i + 1, j + 1]
                ) / 9.0


def jax_transliterated(steps, n, A):
    from jax import lax

    def row(i, A):
        old = A[i]
        fixed = A[i - 1, :-2] + A[i - 1, 1:-1] + A[i - 1, 2:] + old[1:-1] + old[2:]
        fixed = fixed + A[i + 1, :-2] + A[i + 1, 1:-1] + A[i + 1, 2:]

        def entry(left, rest):
            new = (left + rest) / 9.0
            return new, new

        return A.at[i, 1:-1].set(lax.scan(entry, old[0], fixed)[1])

    return lax.fori_loop(0, steps - 1, lambda _, A: lax.fori_loop(1, n - 1, row, A), A)
