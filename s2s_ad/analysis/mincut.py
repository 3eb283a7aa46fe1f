"""The cheapest set of values to save: a minimum vertex cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from types import MappingProxyType

INFINITE = float("inf")


def vertex_cut(
    inputs: Mapping[Hashable, Iterable[Hashable]],
    costs: Mapping[Hashable, float],
    sources: Iterable[Hashable],
    sinks: Iterable[Hashable],
    efforts: Mapping[Hashable, float] = MappingProxyType({}),
) -> set[Hashable]:
    """The cheapest set of vertices that separates `sources` from `sinks`.

    `inputs[v]` are the vertices v is computed from; `costs` are non-negative. Vertices of
    infinite cost are never cut. `efforts` are paid for vertices between the cut and the sinks,
    which are computed again. Among equally cheap cuts the one nearest to the sinks is taken (the
    least to compute again). Edmonds-Karp on the graph with every vertex split in two.

    >>> sorted(vertex_cut({"y": "ab", "z": "y"}, dict(a=8, b=8, y=8, z=8), "ab", "z"))
    ['z']
    >>> sorted(vertex_cut({"y": "x", "z": "y"}, dict(x=4, y=8, z=16), "x", "z"))
    ['x']
    >>> sorted(vertex_cut({"y": "x", "z": "y"}, dict(x=4, y=8, z=16), "x", "z", dict(y=24)))
    ['y']
    """
    capacity: dict[Hashable, dict[Hashable, float]] = {}

    def edge(a: Hashable, b: Hashable, c: float) -> None:
        capacity.setdefault(a, {})[b] = capacity.get(a, {}).get(b, 0.0) + c
        capacity.setdefault(b, {}).setdefault(a, 0.0)

    for v, cost in costs.items():
        edge(("in", v), ("out", v), cost)
    for v, parents in inputs.items():
        for parent in set(parents):
            edge(("out", parent), ("in", v), INFINITE)
    for v, c in efforts.items():
        edge("source", ("in", v), c)
    for v in set(sources):
        edge("source", ("in", v), INFINITE)
    for v in set(sinks):
        edge(("out", v), "sink", INFINITE)
    if "source" not in capacity or "sink" not in capacity:
        return set()
    while path := _augmenting_path(capacity):
        flow = min(capacity[a][b] for a, b in path)
        if flow == INFINITE:
            raise ValueError("no finite cut: a value that is needed can be neither kept nor made")
        for a, b in path:
            capacity[a][b] -= flow
            capacity[b][a] += flow
    reach = _reaching(capacity, "sink")
    return {v for v in costs if ("out", v) in reach and ("in", v) not in reach}


def _augmenting_path(capacity: Mapping) -> list[tuple[Hashable, Hashable]]:
    before: dict[Hashable, Hashable] = {"source": None}
    queue = deque(["source"])
    while queue:
        a = queue.popleft()
        for b, c in capacity[a].items():
            if c > 0 and b not in before:
                before[b] = a
                if b == "sink":
                    return _trace(before)
                queue.append(b)
    return []


def _trace(before: Mapping) -> list[tuple[Hashable, Hashable]]:
    path, b = [], "sink"
    while before[b] is not None:
        path.append((before[b], b))
        b = before[b]
    return path


def _reaching(capacity: Mapping, target: Hashable) -> set[Hashable]:
    """Every vertex from which `target` can be reached along residual capacity."""
    seen, queue = {target}, deque([target])
    while queue:
        b = queue.popleft()
        for a in capacity[b]:
            if a not in seen and capacity[a][b] > 0:
                seen.add(a)
                queue.append(a)
    return seen
