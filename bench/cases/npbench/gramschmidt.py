"""QR factors by modified Gram–Schmidt; A is worked on in place."""

import numpy as np

SIZES = {"check": {"m": 8, "n": 6}, "S": {"m": 70, "n": 60}, "M": {"m": 220, "n": 180}}
OUTPUTS = ("Q", "R", "A")


def inputs(rng, m, n):
    return {"A": rng.random((m, n)) + 2.0 * np.eye(m, n)}


def gramschmidt(A):
    Q = np.zeros_like(A)
    R = np.zeros((A.shape[1], A.shape[1]), dtype=A.dtype)
    for k in range(A.shape[1]):
        R[k, k] = np.sqrt(np.dot(A[:, k], A[:, k]))
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, A.shape[1]):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] -= Q[:, k] * R[k, j]
    return Q, R


def looped(A):
    m, n = A.shape
    Q, R = np.zeros((m, n)), np.zeros((n, n))
    for k in range(n):
        s = 0.0
        for i in range(m):
            s += A[i, k] * A[i, k]
        R[k, k] = np.sqrt(s)
        for i in range(m):
            Q[i, k] = A[i, k] / R[k, k]
        for i in range(m):
            q = Q[i, k]
            for j in range(k + 1, n):
                R[k, j] += q * A[i, j]
        for i in range(m):
            q = Q[i, k]
            for j in range(k + 1, n):
                A[i, j] -= q * R[k, j]
    return Q, R


def jax_idiomatic(A):
    import jax.numpy as jnp
    from jax import lax

    m, n = A.shape
    at = jnp.arange(n)

    def step(k, carry):
        A, Q, R = carry
        norm = jnp.sqrt(A[:, k] @ A[:, k])
        q = A[:, k] / norm
        row = jnp.where(at > k, q @ A, 0.0)
        return A - jnp.outer(q, row), Q.at[:, k].set(q), R.at[k].set(row.at[k].set(norm))

    A, Q, R = lax.fori_loop(0, n, step, (A, jnp.zeros((m, n)), jnp.zeros((n, n))))
    return Q, R, A


def jax_transliterated(A):
    import jax.numpy as jnp
    from jax import lax

    m, n = A.shape

    def step(k, carry):
        A, Q, R = carry
        R = R.at[k, k].set(jnp.sqrt(A[:, k] @ A[:, k]))
        Q = Q.at[:, k].set(A[:, k] / R[k, k])

        def column(j, carry):
            A, R = carry
            on = j > k
            R = R.at[k, j].set(jnp.where(on, Q[:, k] @ A[:, j], R[k, j]))
            return A.at[:, j].add(jnp.where(on, -Q[:, k] * R[k, j], 0.0)), R

        A, R = lax.fori_loop(0, n, column, (A, R))
        return A, Q, R

    A, Q, R = lax.fori_loop(0, n, step, (A, jnp.zeros((m, n)), jnp.zeros((n, n))))
    return Q, R, A
