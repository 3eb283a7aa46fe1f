"""Inputs of the evals, as JSON: small ones, one size of each that is quoted for other tools, and
sizes from the least to near the largest that GradBench's evals ask for by default."""

from __future__ import annotations

from typing import Any

import numpy as np

#: the camera, point, weight and feature of ADBench's first bundle (every one is a copy)
CAMERA = (-0.76, -1.11, -0.85, 34.6, 39.7, 53.9, 419.2, 5.86, -8.52, 0.088, 0.0027)
POINT, WEIGHT, FEATURE = (7.2, 0.0011, 3.02), 0.417, (271.8, 834.2)

SIZES: dict[str, list[tuple[str, dict[str, int]]]] = {
    "small": [
        ("llsq", {"n": 16, "m": 6}),
        ("lse", {"n": 50}),
        ("ode", {"n": 8, "s": 100}),
        ("det", {"ell": 5}),
        ("kmeans", {"k": 4, "n": 40, "d": 3}),
        ("gmm", {"d": 3, "k": 4, "n": 12, "m": 2}),
        ("lstm", {"l": 2, "c": 8, "b": 4}),
        ("ba", {"n": 3, "m": 5, "p": 11}),
        ("ht", {"vertices": 30, "points": 12, "triangles": 0}),
        ("ht", {"vertices": 30, "points": 12, "triangles": 20}),
    ],
    "standard": [
        ("llsq", {"n": 4096, "m": 128}),
        ("lse", {"n": 80_000}),
        ("ode", {"n": 8, "s": 100}),
        ("ode", {"n": 1000, "s": 10}),
        ("det", {"ell": 7}),
        ("kmeans", {"k": 10, "n": 1000, "d": 8}),
        ("gmm", {"d": 10, "k": 25, "n": 1000, "m": 0}),
        ("lstm", {"l": 2, "c": 1024, "b": 14}),
        ("ba", {"n": 49, "m": 7776, "p": 31843}),
        ("ht", {"vertices": 544, "points": 100, "triangles": 0}),
        ("ht", {"vertices": 544, "points": 100, "triangles": 1084}),
    ],
    "range": [
        *(("llsq", {"n": n, "m": 128}) for n in (16, 256, 4096, 16392)),
        *(("lse", {"n": n}) for n in (2500, 80_000, 1_280_000)),
        *(("ode", {"n": n, "s": s}) for n, s in ((8, 100), (1000, 1), (1000, 100), (100_000, 10))),
        *(("det", {"ell": n}) for n in (5, 7, 9)),
        *(
            ("kmeans", {"k": k, "n": n, "d": d})
            for k, n, d in ((10, 1000, 8), (100, 10_000, 8), (1000, 10_000, 16))
        ),
        *(
            ("gmm", {"d": d, "k": k, "n": 1000, "m": 0})
            for d, k in ((2, 5), (10, 25), (20, 50), (64, 100))
        ),
        *(("lstm", {"l": n, "c": c, "b": 14}) for n, c in ((2, 1024), (4, 4096), (6, 8192))),
        ("ba", {"n": 49, "m": 7776, "p": 31_843}),
        ("ba", {"n": 257, "m": 65_132, "p": 225_911}),
        *(
            ("ht", {"vertices": v, "points": p, "triangles": t})
            for v, p in ((544, 100), (544, 1600), (10_000, 100), (10_000, 25_600))
            for t in (0, 1084)
        ),
    ],
}


def generate(module: str, preset: str) -> list[tuple[str, Any]]:
    """Descriptions and inputs of a module's evaluations."""
    rng = np.random.default_rng(31337)
    if module == "hello":
        return [("3", 3.0)]
    if module == "particle":
        return [("w=0", {"w": 0.0})]
    if module == "saddle":
        return [("(1, 1)", {"start": [1.0, 1.0]})]
    found = []
    for name, size in SIZES[preset]:
        if name == module:
            text = " ".join(f"{k}={v}" for k, v in size.items())
            found.append((text, _GENERATORS[module](rng, **size)))
    return found


def _llsq(rng: np.random.Generator, n: int, m: int) -> dict:
    return {"x": rng.random(m).tolist(), "n": n}


def _lse(rng: np.random.Generator, n: int) -> dict:
    return {"x": rng.random(n).tolist()}


def _ode(rng: np.random.Generator, n: int, s: int) -> dict:
    return {"x": rng.random(n).tolist(), "s": s}


def _det(rng: np.random.Generator, ell: int) -> dict:
    return {"A": rng.random(ell * ell).tolist(), "ell": ell}


def _kmeans(rng: np.random.Generator, k: int, n: int, d: int) -> dict:
    points = rng.random((n, d)).tolist()
    return {"points": points, "centroids": points[-k:]}


def _gmm(rng: np.random.Generator, d: int, k: int, n: int, m: int) -> dict:
    shapes = {"alpha": (k,), "mu": (k, d), "q": (k, d), "l": (k, d * (d - 1) // 2), "x": (n, d)}
    arrays = {name: rng.standard_normal(shape).tolist() for name, shape in shapes.items()}
    return {"d": d, "k": k, "n": n, "m": m, "gamma": 1.0, **arrays}


def _lstm(rng: np.random.Generator, l: int, c: int, b: int) -> dict:  # noqa: E741
    shapes = {"main_params": (2 * l, 4 * b), "extra_params": (3, b), "state": (2 * l, b)}
    arrays = {name: rng.random(shape).tolist() for name, shape in shapes.items()}
    return {**arrays, "sequence": rng.integers(0, 2, (c, b)).astype(float).tolist()}


def _ba(rng: np.random.Generator, n: int, m: int, p: int) -> dict:
    copies = {"cam": list(CAMERA), "x": list(POINT), "w": WEIGHT, "feat": list(FEATURE)}
    return {"n": n, "m": m, "p": p, **copies}


def _ht(rng: np.random.Generator, vertices: int, points: int, triangles: int) -> dict:
    """A made-up hand with the skeleton of ADBench's: a wrist, five fingers of four bones, and a
    forearm."""
    parents = [-1]
    for _ in range(5):
        parents += [0, len(parents), len(parents) + 1, len(parents) + 2]
    parents.append(0)
    bones = len(parents)
    turns = np.tile(np.eye(4), (bones, 1, 1))
    turns[:, :3, :3] = np.linalg.qr(rng.standard_normal((bones, 3, 3)))[0]
    turns[:, :3, 3] = 0.1 * rng.standard_normal((bones, 3))
    weights = rng.random((vertices, bones)) * (rng.random((vertices, bones)) < 0.2)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-3)
    base = np.concatenate((rng.standard_normal((vertices, 3)), np.ones((vertices, 1))), axis=1)
    model = {
        "bone_count": bones,
        "bone_names": [f"bone {k}" for k in range(bones)],
        "parents": parents,
        "base_relatives": turns.tolist(),
        "inverse_base_absolutes": np.linalg.inv(turns).tolist(),
        "base_positions": base.tolist(),
        "weights": weights.tolist(),
        "triangles": rng.integers(0, vertices, (max(triangles, 1), 3)).tolist(),
        "is_mirrored": False,
    }
    data = {
        "model": model,
        "correspondences": rng.integers(0, triangles or vertices, points).tolist(),
        "points": rng.standard_normal((points, 3)).tolist(),
    }
    us = rng.random((points, 2)).tolist() if triangles else []
    return {"theta": (0.3 * rng.standard_normal(26)).tolist(), "data": data, "us": us}


_GENERATORS = {
    "llsq": _llsq, "lse": _lse, "ode": _ode, "det": _det, "kmeans": _kmeans, "gmm": _gmm,
    "lstm": _lstm, "ba": _ba, "ht": _ht,
}  # fmt: skip
