"""Array programs: reductions, broadcasting, every kind of index, views, scatters, products."""

from __future__ import annotations

import numpy as np

from tests.programs import Program, normal
from tests.source_text import define

V, W, A, B = normal(6), normal(6, seed=1), normal(4, 6), normal(4, 6, seed=1)
SQUARE, CUBE = normal(4, 4, seed=2), normal(3, 4, 2, seed=3)
IDX, ROWS = np.array([3, 0, 3, 5]), np.array([2, 0, 2, 1])
MASK = np.array([True, False, True, True, False, True])
POSITIVE = SQUARE @ SQUARE.T + 4.0 * np.eye(4) + 0.1 * np.triu(SQUARE, 1)
WITH_ZEROS = np.array([[1.5, 0.0, -0.7], [2.0, 0.3, 1.1], [0.0, 0.0, 4.0]])

#: name -> (parameters, body, arguments)
TABLE: dict[str, tuple] = {
    # reductions
    "sum_all": ("A", "return np.sum(A * A)", A),
    "sum_axis": ("A", "return np.sum(A * A, axis=0)", A),
    "sum_0": ("A", "return np.sin(A).sum(axis=0)", A),
    "sum_last": ("A", "return np.sin(A).sum(-1)", A),
    "sum_keepdims": ("A", "return A / (1.0 + (A * A).sum(axis=1, keepdims=True))", A),
    "sum_two_axes": ("C", "return np.sum(np.exp(C), axis=(0, 2))", CUBE),
    "mean_all": ("A", "return np.mean(A * A)", A),
    "mean_axis": ("A", "return A - np.mean(A, axis=0)", A),
    "max_all": ("A", "return np.max(A) * np.min(A * A)", A),
    "max_axis": ("A", "return A.max(axis=1) * np.min(A, axis=1)", A),
    "max_keepdims": ("A", "return np.exp(A - np.max(A, axis=0, keepdims=True))", A),
    "prod_all": ("v", "return np.prod(v)", V),
    "prod_axis_zeros": ("A", "return np.prod(A, axis=0) + np.prod(A, axis=1)", WITH_ZEROS),
    "variance": ("A", "return np.var(A, axis=0) * np.std(A)", A),
    "argmax_gather": ("v, w", "return w[np.argmax(v)] * v[v.argmin()]", V, W),
    "cumsum_vector": ("v", "return np.cumsum(v) * v", V),
    "cumsum_axis": ("A", "return np.cumsum(A, axis=0) * A.cumsum(axis=1)", A),
    "softmax": ("v, w", "e = np.exp(v - v.max())\nreturn (e / e.sum()) @ w", V, W),
    "any_all": ("v", "return np.sum(v) if np.any(v > 0.0) and not np.all(v > 0.0) else v[0]", V),
    # broadcasting
    "row_and_column": ("r, c", "return r * c + np.sin(r / (1.0 + c * c))", A[:1], B[:, :1]),
    "vector_and_matrix": ("v, A", "return np.exp(-v * A) / (2.0 + v * v) ** A", V, A),
    "scalar_and_matrix": ("s, A", "return s**2 * A / s + (A - s)", 0.7, A),
    "one_element": ("v, A", "return v * A + A**2 / (v + 3.0)", V[:1], A),
    "one_by_one": ("m, A", "return np.maximum(m, A) * m", A[:1, :1], B),
    "expanded": ("v, w", "return np.sum(v[:, None] * np.sin(w)[None, :], axis=0)", V, W),
    "newaxis": ("v, C", "return C * v[:2][np.newaxis, np.newaxis, :]", V, CUBE),
    "broadcast_to": ("v, A", "return np.broadcast_to(v, A.shape) * A", V, A),
    # reading
    "elements": ("v, A", "return v[0] * v[-1] + A[1, 2] * A[-1][-2]", V, A),
    "rows_columns": ("A", "return A[1] * A[:, 2].sum() + A[-1] * A[..., 0].sum()", A),
    "strides": ("v", "return v[::2] * v[1::2] * v[4::-2]", V),
    "reversed_slices": ("v", "return v[::-1] * v + v[-1:-7:-1]", V),
    "negative_bounds": ("v", "return v[-4:-1] * v[:-3] * v[3:]", V),
    "bounds_beyond": ("v", "return v[2:100] * v[-100:4]", V),
    "empty_slice": ("v", "return np.sum(v[4:2]) + np.sum(v[3:3]) + v[0]", V),
    "blocks": ("A", "return A[1:3, ::-2] * A[:2, 3:]", A),
    "gather": ("v, idx", "return v[idx] * np.sin(v)[idx]", V, IDX),
    "gather_rows": ("A, idx", "return A[idx] * A[idx, 1][:, None]", A, ROWS),
    "gather_columns": ("A, idx", "return A[:, idx] ** 2", A, IDX),
    "gather_pairs": ("A, i, j", "return A[i, j] * A[i, 0]", A, ROWS, IDX),
    "row_then_gather": ("C, i", "return C[0][:, i] * C[:, 1][:, i][0]", CUBE, np.array([0, 1, 1])),
    "masked": ("v, m", "return np.sum(v[m] ** 2)", V, MASK),
    "masked_by_data": ("v", "return np.sum(np.sin(v[v > 0.0]))", V),
    "runtime_indices": ("v, i, n", "return v[i] * v[i - 3] * v[i:n] * v[-i] + v[n - i]", V, 2, 5),
    # writing
    "write_elements": ("v, s", "v[0] = s * v[1]\nv[-1] *= v[0]\nv[2] -= s\nreturn v", V, 0.3),
    "write_slices": ("v, w", "v[1:4] = w[:3] * v[:3]\nv[::2] *= w[::2]\nreturn v", V, W),
    "write_overlapping": ("v", "v[1:] = v[:-1] * 2.0\nv[:-1] += v[1:] ** 2\nreturn v", V),
    "write_reversed": ("v", "v[:] = v[::-1] * v\nv[::-1] /= 1.0 + v * v\nreturn v", V),
    "write_scalar": ("A, s", "A[1:, ::2] = s\nA[0] = s * s\nreturn A", A, 0.4),
    "write_broadcast": ("A, v", "A[:] = v\nA[1:3] *= v * v\nA[:, 0] += v[0]\nreturn A", A, V),
    "write_gathered": ("v, idx, w", "v[idx[1:]] = w[:3]\nreturn v * v", V, IDX, W),
    "write_rows": ("A, idx, v", "A[idx[:2]] *= v\nreturn A", A, ROWS, V),
    "write_masked": ("v, m", "v[m] = v[m] ** 2\nv[~m] *= 3.0\nreturn v", V, MASK),
    "add_at": ("v, idx, w", "np.add.at(v, idx, w[:4] ** 2)\nreturn v * v", V, IDX, W),
    "fill_empty": ("v", "y = np.empty_like(v)\ny[:] = v * v\ny[1] += v[0]\nreturn y", V),
    "zeros_partly": ("v", "y = np.zeros(len(v) + 1)\ny[1:] = v\ny[0] = y[2]\nreturn y * y", V),
    # views
    "transposed_write": ("A", "A.T[0] = A[:, 1] ** 2\nAt = A.T\nAt[2, 1] *= At[1, 1]\nreturn A", A),
    "view_of_view": ("A, s", "r = A[1:]\nc = r[:, 1]\nc *= s\nr[0] += c[1]\nreturn A", A, 0.6),
    "alias": ("v, s", "w = v\nw[1] = s * v[0]\nreturn v * w[1]", V, 0.6),
    "reshaped_view": ("A", "f = A.reshape(-1)\nf[3:9] *= f[0]\nreturn A", A),
    "raveled": ("A", "return A.ravel() * A.flatten()", A),
    "copied": ("v", "w = v.copy()\nw *= v\nv[0] = 5.0 * w[1]\nreturn v + w", V),
    "view_then_base": ("v", "t = v[2:]\nv[3] = v[0] * v[1]\nreturn t * t", V),
    # shapes
    "transposes": ("A, C", "return np.sum(A.T @ A) * C.transpose(2, 0, 1)", A, CUBE),
    "reshapes": ("A", "return A.reshape(6, 4) * np.reshape(A, (2, 12)).sum()", A),
    "squeezed": ("A", "return np.squeeze(A[:, :1], axis=1) * np.expand_dims(A[:, 1], 0)", A),
    "concatenated": ("v, w", "return np.concatenate((v, w[1:3], v * w)) ** 2", V, W),
    "concatenated_axis": ("A, B", "return np.concatenate([A, B[:, :2]], axis=1) ** 2", A, B),
    "stacked": ("v, w", "return np.stack((v, w, v * w), axis=1) ** 2", V, W),
    "built": ("s, t", "return np.array([s, t, s * t, 1.0]) ** 2", 0.4, 1.3),
    "built_matrix": (
        "s, t",
        "return np.array([[s, t], [s * t, 2.0]]) @ np.array([t, s])",
        0.4,
        1.3,
    ),
    "filled": ("s, n", "return np.full((n, 2), s) * np.ones((n, 1)) + np.eye(2)[0]", 0.4, 3),
    "ranges": ("s", "return s * np.arange(5) + np.linspace(0.0, 1.0, 5) * s**2", 0.4),
    # products
    "dot_vectors": ("v, w", "return v @ w * np.dot(v, v)", V, W),
    "matrix_vector": ("A, v", "return A @ v", A, V),
    "vector_matrix": ("w, A", "return w[:4] @ A", W, A),
    "matrix_matrix": ("A, B", "return A @ B.T", A, B),
    "chain": ("S, v", "return np.dot(S, S) @ (S.T @ v[:4])", SQUARE, V),
    "thin_products": ("a, b", "return a @ b", A[:, :1], B[:1, :]),
    "outer_trace": ("v, S", "return np.outer(v, v[:2]) * np.trace(S)", V, SQUARE),
    "outer_sums": ("A, v", "return np.minimum(A, np.add.outer(A[:, 0], v)) * v.sum()", A, V),
    "ufunc_methods": (
        "A, v",
        "return np.multiply.outer(v[:2], A).sum(axis=1) * np.maximum.reduce(A, axis=None)\\\n"
        "    + np.add.accumulate(A)[1:3] * np.multiply.reduce(A, axis=1)[0]",
        A,
        V,
    ),
    "quadratic_form": ("S, v", "return v[:4].dot(S).dot(v[:4])", SQUARE, V),
    "strided_product": ("A, B", "return A[::2, ::-1] @ B.T[:, 1:3]", A, B),
    "norm": ("v", "return np.linalg.norm(v) * v", V),
    "rows_of_a_stack": (
        "C, S",
        "return (C.transpose(0, 2, 1) @ S) * (C @ C[0, 0])[0, 1]",
        CUBE,
        SQUARE,
    ),
    "stacks": ("A, C, v", "return (A[:, :4] @ C) * (v[:4] @ C)[:, None]", A, CUBE, V),
    "stack_by_stack": ("C", "return np.matmul(C.transpose(0, 2, 1), C[:1])", CUBE),
    # linear algebra
    "cholesky": ("S", "return np.linalg.cholesky(S @ S.T + 4.0 * np.eye(4))", SQUARE),
    "cholesky_lower": ("S", "return np.linalg.cholesky(S) * S", POSITIVE),
    "solve": (
        "S, v",
        "x = np.linalg.solve(S, v[:4])\nreturn np.linalg.solve(S.T * S, S + x) @ x",
        POSITIVE,
        V,
    ),
    "solve_integers": ("v", "return np.linalg.solve([[2, 1], [1, 3]], v[:2])", V),
    "inverse": ("S", "return np.linalg.inv(S) @ S[0] + np.linalg.inv(S)[1]", POSITIVE),
    # statistics
    "covariance": ("A, v", "return np.cov(A) * np.cov(v) + np.cov(A.T, ddof=0)[:4, :4]", A, V),
    "covariance_columns": ("A", "return np.cov(A, rowvar=False, bias=True)", A),
    "histogram": ("v, w", "h, edges = np.histogram(v, 3, weights=w)\nreturn h * edges[1:]", V, W),
    "histogram_counts": ("v", "return v[:4] * np.histogram(v, bins=4)[0]", V),
    # slices of one element
    "columns": ("A", "x, y = A[:, 0:1], A[:, -1:]\nreturn np.hstack((x.T - y, y * A[1:2]))", A),
    "each_column": ("A", "s = A * A\nfor i in range(len(A)): s *= A[i : i + 1] + 2\nreturn s", A),
    "write_column": ("A, v", "c = A[:, 2:3]\nc *= v[:1]\nA[-1:] += v\nreturn A * c", A, V),
    "masked_root": ("v", "d = np.sqrt(v * v)\nreturn d[v * v > 0.4]", WITH_ZEROS[0]),
}
#: the same text on arguments whose extents are 1, or empty
MORE: dict[str, list[tuple[str, tuple]]] = {
    "sum_keepdims": [("1x6", (A[:1],)), ("4x1", (A[:, :1],)), ("0x6", (A[:0],))],
    "vector_and_matrix": [("1", (V[:1], A)), ("1x6", (V, A[:1])), ("1x1", (V[:1], A[:1, :1]))],
    "softmax": [("1", (V[:1], W[:1]))],
    "matrix_matrix": [("1x6", (A[:1], B[:1])), ("4x1", (A[:, :1], B[:, :1]))],
    "matrix_vector": [("1x6", (A[:1], V)), ("4x1", (A[:, :1], V[:1])), ("0x6", (A[:0], V))],
    "cumsum_vector": [("1", (V[:1],)), ("0", (V[:0],))],
    "max_axis": [("1x6", (A[:1],)), ("4x1", (A[:, :1],))],
    "prod_all": [("one zero", (V * (np.arange(6) != 2),)), ("two zeros", (V * MASK,))],
    "masked": [("none", (V, MASK & False)), ("all", (V, MASK | True))],
    "mean_axis": [("1x6", (A[:1],)), ("4x1", (A[:, :1],))],
}


def _program(name: str, parameters: str, body: str, *args) -> Program:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    fn = define(f"def {name}({parameters}):\n{lines}", name, f"arrays {name}")
    return Program(fn, (("", args), *MORE.get(name, ())))


PROGRAMS = tuple(_program(name, *entry) for name, entry in TABLE.items())
