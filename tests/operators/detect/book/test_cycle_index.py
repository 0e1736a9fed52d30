"""The ways that close a cycle, held against all of them written down plainly."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest

from mevflow.operators.detect.book.cycle_index import HOT, CycleIndex
from mevflow.operators.detect.book.routes import NONE


def built(max_hops: int, mints: int, hubs: set[int], pairs: list[tuple[int, int]]) -> CycleIndex:
    index = CycleIndex(max_hops)
    index.make_mints(mints)
    index.set_hubs(hubs)
    for pair in pairs:
        index.add(*pair)
    return index


def ends(index: CycleIndex, edge: int) -> tuple[int, int]:
    """Source and target of a directed edge, from its pair."""
    low, high = index.pairs[edge // 2]
    return (high, low) if edge % 2 else (low, high)


def ways_back(index: CycleIndex, edge: int) -> set[int]:
    """The mints through which the index can come back from an edge, by list or by route tree."""
    source, target = ends(index, edge)
    tree = int(index.back[edge])
    if tree == NONE:
        rows = index.ways.rows(edge).tolist()
        assert all(ends(index, first)[1] == ends(index, second)[0] for first, second in rows)
        return {ends(index, first)[1] for first, _ in rows}
    # What its list may still hold is not read: a tree comes first.
    base, leaves = int(index.routes.base[tree]) // 2, int(index.routes.leaves[tree])
    rows = index.routes.way[base : base + leaves].tolist()
    for first, second in rows:
        assert (ends(index, first)[0], ends(index, second)[1]) == (target, source)
    return {ends(index, first)[1] for first, _ in rows}


def thirds(pairs: list[tuple[int, int]], hubs: set[int], source: int, target: int) -> set[int]:
    """Every mint that trades against both and makes a triangle with a hub in it."""
    sides = set(pairs)
    mints = {mint for pair in pairs for mint in pair}
    return {
        mint
        for mint in mints - {source, target}
        if (min(mint, source), max(mint, source)) in sides
        and (min(mint, target), max(mint, target)) in sides
        and hubs & {mint, source, target}
    }


def test_edges_have_ends_and_a_way_back():
    index = built(2, 5, {0}, [(0, 3), (1, 3), (0, 1)])
    assert [ends(index, edge) for edge in range(6)] == [(0, 3), (3, 0), (1, 3), (3, 1), (0, 1), (1, 0)]
    assert [int(index.target[edge]) for edge in range(6)] == [3, 0, 3, 1, 1, 0]
    assert (index.edge(3, 1), index.edge(1, 3)) == (3, 2)
    assert all(index.ways.count[edge] == 0 for edge in range(6))  # two legs need no third pair
    with pytest.raises(KeyError):
        index.edge(0, 4)


def test_a_triangle_without_a_hub_is_no_cycle():
    pairs = [(1, 2), (2, 3), (1, 3)]
    assert not any(ways_back(built(3, 4, {0}, pairs), edge) for edge in range(6))
    assert all(len(ways_back(built(3, 4, {2}, pairs), edge)) == 1 for edge in range(6))


@pytest.mark.parametrize("hops", [3, 4])
@pytest.mark.parametrize("seed", range(6))
def test_every_triangle_through_a_hub_in_any_order_of_appearance(seed, hops):
    random = Random(seed)
    mints, hubs = 8 + 2 * HOT, {0, 1, 2}
    pairs = [pair for pair in combinations(range(mints), 2) if random.random() < (0.9 if pair[0] in hubs else 0.2)]
    random.shuffle(pairs)
    index = built(hops, mints, hubs, pairs)
    assert any(index.back[edge] != NONE for edge in range(2 * len(pairs)))
    for edge in range(2 * len(pairs)):
        # A route tree has every way between its ends, with a hub or not: its own mints bring one.
        assert ways_back(index, edge) == thirds(pairs, hubs, *ends(index, edge)), ends(index, edge)


def test_other_hubs_find_the_ways_anew():
    pairs = [(0, 1), (1, 2), (0, 2), (2, 3), (1, 3)]
    index = built(3, 4, {0}, pairs)
    other = index.anew(3, {3})
    for edge in range(2 * len(pairs)):
        assert ways_back(other, edge) == thirds(pairs, {3}, *ends(other, edge))
    assert other.pairs == index.pairs
    assert index.hubs == {0}
