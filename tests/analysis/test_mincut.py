"""The minimum cut, against all subsets of small graphs."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from s2s_ad.analysis.mincut import vertex_cut

graphs = st.integers(2, 7).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 5), min_size=n, max_size=n),
        st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=12),
    )
)


def separates(removed: frozenset, edges: set, sources: set, sinks: set) -> bool:
    seen = set(sources) - removed
    todo = list(seen)
    while todo:
        a = todo.pop()
        for u, v in edges:
            if u == a and v not in seen and v not in removed:
                seen.add(v)
                todo.append(v)
    return not seen & sinks


@settings(max_examples=150, deadline=None, derandomize=True)
@given(graphs)
def test_the_cut_is_a_cheapest_one(graph) -> None:
    costs, pairs = graph
    n = len(costs)
    edges = {(min(a, b), max(a, b)) for a, b in pairs if a != b}
    inputs = {v: [a for a, b in edges if b == v] for v in range(n)}
    sources, sinks = {0}, {n - 1}
    cut = vertex_cut(inputs, dict(enumerate(costs)), sources, sinks)
    assert separates(frozenset(cut), edges, sources, sinks)
    best = min(
        sum(costs[v] for v in chosen)
        for size in range(n + 1)
        for chosen in combinations(range(n), size)
        if separates(frozenset(chosen), edges, sources, sinks)
    )
    assert sum(costs[v] for v in cut) == best


def test_of_equal_cuts_the_one_that_computes_least_again() -> None:
    chain = {"b": "a", "c": "b", "d": "c"}
    assert vertex_cut(chain, dict.fromkeys("abcd", 8), "a", "d") == {"d"}


def test_saving_the_state_beats_saving_the_stages() -> None:
    stages = {f"k{i}": ["x"] for i in range(4)}
    costs = dict.fromkeys([*stages, "x"], 8)
    assert vertex_cut(stages, costs, ["x"], list(stages)) == {"x"}
