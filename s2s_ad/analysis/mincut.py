"""The cheapest set of values to save: a minimum vertex cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from types import MappingProxyType

INFINITE = float("inf")

#: What may still flow along each edge.
Graph = dict[Hashable, dict[Hashable, float]]


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
    least to compute again). Dinic's algorithm on the graph with every vertex split in two.

    >>> sorted(vertex_cut({"y": "ab", "z": "y"}, dict(a=8, b=8, y=8, z=8), "ab", "z"))
    ['z']
    >>> sorted(vertex_cut({"y": "x", "z": "y"}, dict(x=4, y=8, z=16), "x", "z"))
    ['x']
    >>> sorted(vertex_cut({"y": "x", "z": "y"}, dict(x=4, y=8, z=16), "x", "z", dict(y=24)))
    ['y']
    """
    capacity: Graph = {}

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
    while levels := _levels(capacity):
        _fill(capacity, levels)
    reach = _reaching(capacity, "sink")
    return {v for v in costs if ("out", v) in reach and ("in", v) not in reach}


def _levels(capacity: Graph) -> dict[Hashable, int]:
    """How many edges away from the source each vertex is; none where the sink is out of reach."""
    levels: dict[Hashable, int] = {"source": 0}
    queue = deque(["source"])
    while queue:
        a = queue.popleft()
        for b, c in capacity[a].items():
            if c > 0 and b not in levels:
                levels[b] = levels[a] + 1
                queue.append(b)
    return levels if "sink" in levels else {}


def _fill(capacity: Graph, levels: Mapping[Hashable, int]) -> None:
    """Let flow go to the sink along shortest paths until each has an edge that is full."""
    untried = {a: list(capacity[a]) for a in levels}
    path: list[Hashable] = ["source"]
    while path:
        a = path[-1]
        if a == "sink":
            path = path[: 1 + _push(capacity, path)]
            continue
        ends = untried[a]
        while ends and not (capacity[a][ends[-1]] > 0 and levels.get(ends[-1]) == levels[a] + 1):
            ends.pop()
        if ends:
            path.append(ends[-1])
        else:
            path.pop()
            if path:
                untried[path[-1]].pop()


def _push(capacity: Graph, path: list[Hashable]) -> int:
    """Let as much go along a path as it takes. The first of its edges that are full then."""
    edges = list(zip(path, path[1:]))
    flow = min(capacity[a][b] for a, b in edges)
    if flow == INFINITE:
        raise ValueError("no finite cut: a value that is needed can be neither kept nor made")
    for a, b in edges:
        capacity[a][b] -= flow
        capacity[b][a] += flow
    return next(k for k, (a, b) in enumerate(edges) if capacity[a][b] <= 0)


def _reaching(capacity: Graph, target: Hashable) -> set[Hashable]:
    """Every vertex from which `target` can be reached along residual capacity."""
    seen, queue = {target}, deque([target])
    while queue:
        b = queue.popleft()
        for a in capacity[b]:
            if a not in seen and capacity[a][b] > 0:
                seen.add(a)
                queue.append(a)
    return seen
