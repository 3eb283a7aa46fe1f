"""Writes of every kind: through views and aliases, with duplicate indices, into `out`, into work
arrays, with buffers that are swapped or chosen when running."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.programs import Program, normal
from tests.source_text import define

V, W, A, B = normal(6), normal(6, seed=1), normal(4, 6), normal(4, 6, seed=1)
S, C = normal(4, 4, seed=2), normal(3, 4, 2, seed=3)
IDX, ROWS, COLS = np.array([3, 0, 3, 5]), np.array([2, 0, 2, 1]), np.array([1, 5, 1, 1])
GRID = np.array([[0, 3, 0], [2, 0, 3]])
MASK = np.array([True, False, True, True, False, True])
WIDE = np.arange(24).reshape(4, 6) % 3 == 0
WORK, OTHER = np.zeros(6), np.ones(6)

#: name -> (parameters, body, arguments)
TABLE: dict[str, tuple] = {
    # several index arrays: the last of duplicates wins, np.add.at adds them up
    "store_pairs": ("A, i, j, v", "A[i, j] = v[:4] ** 2\nreturn A * A", A, ROWS, COLS, V),
    "store_pairs_scalar": ("A, i, j, s", "A[i, j] = s * A[0, 0]\nreturn A", A, ROWS, COLS, 0.7),
    "store_outer": (
        "A, i, j, v",
        "A[i[:, None], j] = v[:4] * v[1:5, None]\nreturn A",
        A,
        ROWS,
        COLS,
        V,
    ),
    "store_grid": ("v, g, A", "v[g] = A[:2, :3] ** 2\nreturn v * v", V, GRID, A),
    "store_duplicates": ("v, i, w", "v[i] = w[:4] * v[i]\nreturn v * v", V, IDX, W),
    "store_diagonal": (
        "A, v",
        "i = np.arange(4)\nA[i, i] = v[:4] * A[0, 1]\nreturn np.diag(v[:4]) @ A + v[0]",
        A,
        V,
    ),
    "store_rows_columns": (
        "C, i, j",
        "C[i, :, j] = 2.0 * C[0, :, 0]\nreturn C",
        C,
        np.array([0, 2, 0]),
        np.array([1, 0, 1]),
    ),
    "store_middle": ("C, i, v", "C[:, i, 1] = v[:3, None] * v[:4]\nreturn C * C", C, ROWS % 3, V),
    "update_pairs": ("A, i, j, v", "A[i, j] += v[:4] * A[i, j]\nreturn A", A, ROWS, COLS, V),
    "multiply_pairs": (
        "A, i, j, v",
        "A[i, j] *= v[:4]\nA[i] /= 2.0 + v\nreturn A",
        A,
        ROWS,
        COLS,
        V,
    ),
    "add_at_pairs": (
        "A, i, j, v",
        "np.add.at(A, (i, j), v[:4] ** 2)\nreturn A * A",
        A,
        ROWS,
        COLS,
        V,
    ),
    "subtract_at": ("v, i, w", "np.subtract.at(v, i, w[:4] * v[:4])\nreturn v * v", V, IDX, W),
    # a range beside a grid is stretched: each of its places is named three times
    "gather_range_and_grid": (
        "A",
        "d = np.arange(3)\nreturn A[d, d[:, None] // 2] * A[:3, :3]",
        A,
    ),
    "write_range_and_grid": (
        "A, B",
        "d = np.arange(3)\nA[d, d[:, None] // 2] = B[:3, :3]\nreturn A * A",
        A,
        A * 0.5 + 1.0,
    ),
    "add_at_grid": ("v, g, A", "np.add.at(v, g, A[:2, :3] ** 2)\nreturn v * v", V, GRID, A),
    "add_at_rows": ("A, i, v", "np.add.at(A, i, v * A[0])\nreturn A * A", A, ROWS, V),
    "load_apart": ("C, i, j", "return C[i, :, j] * C[0, :, 1]", C, ROWS % 3, ROWS % 2),
    "load_apart_number": ("C, i", "return C[0, :, i] ** 2", C, ROWS % 2),
    "load_apart_new_axis": ("A, i, j", "return A[i, None, j] * A[0, 0]", A, ROWS, COLS),
    "mask_of_two_axes": ("A, m, s", "A[m] = A[m] * s\nA[~m] += s\nreturn A", A, WIDE, 0.6),
    "mask_values": ("A, m, v", "A[m] = np.sin(A[m]) * v[0]\nreturn A", A, WIDE, V),
    "mask_of_rows": ("A, v", "A[v[:4] > 0.0] *= v\nreturn A * A", A, V),
    "mask_and_index": ("A, m", "A[1, m] = A[2, m] ** 2\nreturn A[:, m] * 2.0", A, MASK),
    "mask_before_axis": ("C, m", "C[m] *= C[m]\nreturn C[m, 0] * 3.0", C, C[:, :, 0] > 0.0),
    # functions that write
    "put": ("A, i, v", "np.put(A, i, v[:4] ** 2)\nreturn A * A", A, IDX, V),
    "put_number": ("v, i, s", "np.put(v, i, s * s)\nreturn v * v", V, IDX, 0.3),
    "put_along": (
        "A, v",
        "np.put_along_axis(A, np.argmax(A, axis=1)[:, None], v[0], 1)\nreturn A * A",
        A,
        V,
    ),
    "take_along": (
        "A, g",
        "return np.take_along_axis(A, g, axis=1) ** 2 * A[0, 0]",
        A,
        np.array([[0, 3], [1, 1], [5, 0], [2, 2]]),
    ),
    "diagonal": ("S, v", "np.fill_diagonal(S, v[:4] ** 2)\nreturn S * S", S, V),
    "diagonal_number": ("A, s", "np.fill_diagonal(A, s)\nreturn A * A", A, 0.8),
    "diagonal_indices": ("S, s", "d = np.diag_indices(4)\nS[d] += s * S[d]\nreturn S * S", S, 0.8),
    "copyto": ("v, w", "np.copyto(v[1:], w[:-1] * v[:-1])\nreturn v * v", V, W),
    "copyto_where": ("v, w, m", "np.copyto(v, w * v, where=m)\nreturn v * v", V, W, MASK),
    "copyto_row": ("A, v", "np.copyto(A, v * v)\nA[0].fill(v[1])\nreturn A * A", A, V),
    "fill": ("v, s", "v[::2].fill(s * v[1])\nreturn v * v", V, 0.6),
    # out=
    "out_ufunc": (
        "v, w",
        "o = np.empty(6)\nr = np.multiply(v, w, out=o)\nr[0] += 1.0\nreturn o * o",
        V,
        W,
    ),
    "out_position": ("v, w", "np.add(v, w, v)\nnp.sin(v, v)\nreturn v * w", V, W),
    "out_overlap": ("v", "np.multiply(v[:-1], v[1:], out=v[1:])\nreturn v", V),
    "out_slice": ("A, v", "np.exp(v, out=A[1])\nnp.dot(A, v, out=v[:4])\nreturn A", A, V),
    "out_reduction": (
        "A",
        "o = np.zeros(6)\nA.sum(axis=0, out=o)\nnp.cumsum(o, out=o)\nreturn o * o",
        A,
    ),
    "out_matmul": ("S", "o = np.zeros((4, 4))\nnp.matmul(S, S.T, out=o)\nreturn o * S", S),
    "out_clip": ("v, s", "np.clip(v, -s, s, out=v)\nreturn v * v", V, 0.5),
    # in-place operators, through views, with overlap
    "shifted_sum": ("v", "v[1:] += v[:-1]\nv[:-2] *= v[2:]\nreturn v", V),
    "shifted_powers": ("v", "v *= v\nv[1:] **= 2\nv[:-1] /= 1.0 + v[1:]\nreturn v", V),
    "reverse_in_place": (
        "v, w",
        "v[::-1] = v * w\nv[:] = v[::-1]\nv[4:1:-1] += v[:3]\nreturn v",
        V,
        W,
    ),
    "transpose_in_place": ("S", "S[:] = S.T * S\nS += S.T\nS.T[1:] -= S[0]\nreturn S", S),
    "floor_and_mod": ("v", "v //= 0.3\nw = v * 1.0\nw %= 0.7\nreturn v + w", V),
    "mod_in_place": ("v, s", "v %= s\nv[1:] *= v[:-1]\nreturn v", V + 0.05, 0.7),
    "broadcast_in_place": (
        "A, v",
        "A *= v\nA[:, 1:] -= A[:, 0][:, None]\nA[1:3] /= 2.0 + v * v\nreturn A",
        A,
        V,
    ),
    "triangular": ("v", "for i in range(1, 6):\n    v[i:] -= v[i - 1] * v[i]\nreturn v", V),
    "steps_back": ("v, w", "v[::-2] = w[::2]\nv[5:0:-3] *= v[:2]\nreturn v[-2::-1] * w[:5]", V, W),
    # views of all kinds
    "reshaped_slice": (
        "A, s",
        "f = A[1:3].reshape(-1)\nf[4:8] *= s\nf[0] = f[5]\nreturn A * A",
        A,
        0.6,
    ),
    "raveled_row": ("C", "r = C[1].ravel()\nr[1:] += r[:-1]\nreturn C * C", C),
    "flattened_is_a_copy": ("A", "f = A.flatten()\nf *= f\nA[0, 0] = f[3]\nreturn A * f[0]", A),
    "squeezed_write": (
        "A",
        "c = np.squeeze(A[:, 1:2], axis=1)\nc *= c\nc[0] += A[3, 1]\nreturn A",
        A,
    ),
    "expanded_write": (
        "v, A",
        "e = np.expand_dims(v, 0)\ne[0, 1:] *= A[0, 1:]\ne += A[1:2]\nreturn v",
        V,
        A,
    ),
    "new_axes": ("v", "e = v[:, None]\ne[1:, 0] += e[:-1, 0] ** 2\ne[0] = 2.0\nreturn v", V),
    "swapped_axes": ("C", "t = np.swapaxes(C, 0, 2)\nt[0] *= t[1]\nt[1, 2] = t[0, 1]\nreturn C", C),
    "flat": ("A, s", "A.flat[7] = s * A.flat[2]\nA.flat[3:6] *= A[1, :3]\nreturn A * A", A, 0.7),
    "chained": (
        "A, s",
        "A[0][1] = s\nA.T[2, 3] = A[1][::-1][0]\nA[1:][0][2:][1] *= s\nreturn A * A",
        A,
        0.7,
    ),
    "flipped": ("v, w", "f = np.flip(v)\nf[1:3] = w[:2] * f[0]\nf[::2] += w[3:]\nreturn v", V, W),
    "packed": (
        "A, s",
        "p = (A[0], {'r': A[1]})\np[0][1:] *= s\np[1]['r'][:] = p[0] ** 2\nreturn A",
        A,
        0.7,
    ),
    "unpacked": ("A", "a, b, *c = A[0], A[1], A[2]\na *= b\nc[0][1:] = a[:-1]\nreturn A", A),
    "rows_of_a_loop": (
        "A, s",
        "for r, q in zip(A[1:], A[:-1]):\n    r += s * q * r\nreturn A",
        A,
        0.3,
    ),
    # memory that is chosen when running
    "chosen": (
        "v, w, s",
        "b = v if s > 0.0 else w\nb[1:] *= b[:-1]\nv[0] = b[2] * w[1]\nreturn v * w + b",
        V,
        W,
        0.5,
    ),
    "chosen_row": (
        "A, s",
        "r = A[1] if s > 0.0 else A[2]\nr *= s\nA[1, 0] = r[1] ** 2\nreturn A * A",
        A,
        0.5,
    ),
    "carried_row": (
        "A, s",
        "r = A[0]\nfor i in range(1, 4):\n    A[i] += s * r * A[i]\n    r = A[i]\nreturn A",
        A,
        0.4,
    ),
    "swapped_names": (
        "v, w, s",
        "a, b = v, w\nif s > 0.0:\n    a, b = b, a\na *= b\nb[0] = a[1]\nreturn v * v + w * s",
        V,
        W,
        0.5,
    ),
    "largest_last": (
        "v, w",
        "a, b = v, w\nif np.sum(a) > np.sum(b):\n    a, b = b, a\nb[:] = a * b\nreturn v - w * w",
        V,
        W,
    ),
}
#: the same text on other arguments
MORE: dict[str, list[tuple[str, tuple]]] = {
    "store_pairs": [
        ("no pair", (A, ROWS[:0], COLS[:0], V[:0])),
        ("all one", (A, ROWS * 0, COLS * 0, V)),
    ],
    "add_at_pairs": [("all one", (A, ROWS * 0, COLS * 0, V))],
    "diagonal_number": [("tall", (A.T.copy(), 0.8)), ("square", (S, 0.8))],
    "mask_values": [("none", (A, WIDE & False, V)), ("all", (A, WIDE | True, V))],
    "chosen": [("other", (V, W, -0.5))],
    "chosen_row": [("other", (A, -0.5))],
    "swapped_names": [("other", (V, W, -0.5))],
    "largest_last": [("other", (W, V))],
}
del MORE["store_pairs"][0]


def _program(name: str, parameters: str, body: str, *args) -> Program:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    fn = define(f"def {name}({parameters}):\n{lines}", name, f"mutation {name}")
    return Program(fn, (("", args), *MORE.get(name, ())))


def swap_arguments(a, b, n):
    """Which argument is written last depends on the trip count."""
    for _ in range(n):
        b[1:-1] = a[1:-1] * (a[2:] + a[:-2])
        a, b = b, a


def swap_with_own(u, n):
    v = np.zeros_like(u)
    for _ in range(n):
        v[1:-1] = u[1:-1] * (u[2:] + u[:-2]) + 0.1
        u, v = v, u


def step(u, v, out):
    for i in range(1, len(u) - 1):
        out[i] = u[i] * v[i - 1] + 0.5 * v[i + 1]
    return out


def steps_into(u, v, n):
    """An in-place function in a loop, its buffers rotated."""
    w = np.empty_like(u)
    w[0] = w[-1] = 1.0
    for _ in range(n):
        step(u, v, w)
        u, v, w = w, u, v
    return u, np.sum(v)


def step_into_itself(u):
    step(u, u, u)
    step(u[1:], u[:-1], u[1:])
    return u


def leapfrog(u0, v0, dt, n):
    old, now, new = u0.copy(), u0 + dt * v0, np.zeros_like(u0)
    for _ in range(n):
        force = (now[2:] - 2.0 * now[1:-1] + now[:-2]) * now[1:-1]
        new[1:-1] = 2.0 * now[1:-1] - old[1:-1] + dt * dt * force
        old, now, new = now, new, old
    return np.sum(now * now)


def maybe_swap(a, b, s, n):
    for k in range(n):
        b[k] = a[k] * s + b[k - 1]
        if b[k] > a[k]:
            a, b = b, a
    return a[0] * b[-1]


def two_names_for_one(u, v, n):
    """A loop leaves one array under two names; the next one writes to it."""
    a, w = u, v
    for _ in range(n):
        u[0] = a[-1] * 0.5 + v[1]
        v, w = w, u
    for _ in range(n):
        a[:] = a * a * 0.5 - 0.1
    v[-1] += v[1]


def captured_twice(z, y):
    WORK[:] = 2.0 * y
    OTHER[1:] = WORK[:-1] * y[1:]
    z[:] = np.sin(WORK) * OTHER


def swapped_and_stretched(a, b, w, B, n):
    """Nobody knows the size of what is stretched: one of two buffers."""
    u, v = a, b
    D = B
    for _ in range(n):
        D = B + np.outer(w, v)
        u, v = v, u
    return np.sum(D * D)


def captured_swap(y, n):
    a, b = WORK, OTHER
    a[:] = y
    b[:] = y * y
    for _ in range(n):
        b[1:] += a[:-1] * y[1:]
        a, b = b, a
    return np.sum(a * y)


@dataclasses.dataclass
class Scratch:
    grid: np.ndarray
    rows: tuple


SCRATCH = Scratch(np.zeros((2, 6)), (np.zeros(6), np.zeros(6)))


def work_in_an_object(y):
    SCRATCH.grid[0] = y * y
    SCRATCH.grid[1:, 2:] = SCRATCH.grid[:1, :-2] * y[2:]
    SCRATCH.rows[1][:] = SCRATCH.grid.sum(axis=0)
    return np.sum(SCRATCH.rows[1] * SCRATCH.grid[1])


def closure_with_work(n):
    buffer = np.empty(n)

    def fill_and_read(y):
        buffer[0] = y[0]
        for i in range(1, len(y)):
            buffer[i] = buffer[i - 1] * y[i]
        return buffer.sum()

    return fill_and_read


PROGRAMS = (
    *(_program(name, *entry) for name, entry in TABLE.items()),
    Program(
        swap_arguments, tuple((f"{n} times", (V, W, n)) for n in (0, 1, 2, 5)), outputs=("a", "b")
    ),
    Program(swap_with_own, tuple((f"{n} times", (V, n)) for n in (0, 1, 2, 5)), outputs="u"),
    Program(steps_into, tuple((f"{n} times", (V, W, n)) for n in (0, 1, 4))),
    Program(step_into_itself, (("6", (V,)),)),
    Program(leapfrog, (("5 times", (V, W, 0.3, 5)), ("never", (V, W, 0.3, 0)))),
    Program(maybe_swap, (("6 times", (V, W, 0.7, 6)), ("never", (V, W, 0.7, 0)))),
    Program(maybe_swap, (("6 times", (V, W, 0.7, 6)),), outputs=("a", "b")),
    Program(
        two_names_for_one,
        tuple((f"{n} times", (V, W, n)) for n in (0, 1, 3)),
        outputs=("u", "v"),
    ),
    Program(captured_twice, (("6", (V, W)),), outputs="z", wrt=(1,)),
    Program(swapped_and_stretched, tuple((f"{n} times", (V, W, V[:4], A, n)) for n in (0, 1, 3))),
    Program(captured_swap, (("3 times", (V, 3)), ("4 times", (V, 4)))),
    Program(work_in_an_object, (("6", (V,)),)),
    Program(closure_with_work(6), (("6", (V,)),)),
)
