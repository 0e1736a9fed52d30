"""Hold what the detector reported against the brute force, event by event."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa

from mevflow.operators.detect.settings import load_registry
from tests.operators.detect.brute_force import BruteForce, Cycle
from tests.operators.detect.feeding import REGISTRY, Tables, place_of, unsigned

HUBS = {token.key for token in load_registry(REGISTRY).tokens if token.role != "token"}
#: What an input may leave of the best profit: a millionth, or ``units``, for what rounding does to amounts of dust.
SHARE = 1e-6


def in_order(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    """Every row in chain order, an update before a swap of the same place."""
    rows = [row for batch in batches for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: (place_of(row), "amount_in" in row))


def compare(
    batches: list[pa.RecordBatch], tables: Tables, every: int = 1, max_hops: int = 3, units: int = 2
) -> Counter[str]:
    """Check every row, and after every event every cycle through its pool; count what was seen.

    A reported amount must be what the venues quote; a cycle is open if and only if it gains; its input is the best.
    ``every``: the whole range of inputs is searched at every so many gaps (and at all that were not reported).
    Counts: ``cycles`` looked at, ``gaps`` whose first unit gains, ``open`` of them as reported, ``searched``.
    """
    rows = in_order(batches)
    said = defaultdict(list)
    for row in tables["opportunities"].to_pylist() if "opportunities" in tables else []:
        said[place_of(row)].append(row)
    market, seen = BruteForce(HUBS, max_hops), Counter[str]()
    opened: dict[frozenset[tuple[bytes, bytes, bytes]], dict[str, Any]] = {}
    for number, row in enumerate(rows):
        key = market.apply(row)
        if number + 1 < len(rows) and place_of(rows[number + 1]) == place_of(row):
            continue  # the rows of a place say together what happened there
        for each in said.pop(place_of(row), []):
            legs = frozenset((leg["pool"], leg["mint_in"], leg["mint_out"]) for leg in each["legs"])
            assert each["new_episode"] == (legs not in opened)
            if each["closed"]:
                del opened[legs]
            else:
                opened[legs] = each
        for face in market.faces(key):
            for cycle in market.cycles(face):
                legs = frozenset(market.leg(key[0], *leg) for leg in cycle)
                seen["cycles"] += 1
                _check(market, key[0], cycle, opened.get(legs), every, units, seen)
    assert not said, "rows at places where nothing happened"
    return seen


def _check(
    market: BruteForce,
    chain: int,
    cycle: Cycle,
    row: dict[str, Any] | None,
    every: int,
    units: int,
    seen: Counter[str],
) -> None:
    if not market.gap(chain, cycle):
        assert row is None, "a cycle is open whose first unit does not gain"
        return
    seen["gaps"] += 1
    search = row is None or seen["gaps"] % every == 0
    if row is not None:
        seen["open"] += 1
        names = [market.pools[chain, pool].address for pool, _ in cycle]
        first = names.index(row["legs"][0]["pool"])
        cycle = cycle[first:] + cycle[:first]
        amounts = [unsigned(row["amount_in"]), *(unsigned(leg["amount_out"]) for leg in row["legs"])]
        assert market.amounts(chain, cycle, amounts[0]) == amounts
        assert amounts[-1] > amounts[0]
        assert [unsigned(leg["amount_in"]) for leg in row["legs"]] == amounts[:-1]
        assert unsigned(row["amount_out"]) == amounts[-1]
    if not search:
        return
    seen["searched"] += 1
    amount, profit = market.best(chain, cycle)
    # A unit of the coarsest token on the way is worth so many of the first.
    units *= max(amount // max(each, 1) for each in market.amounts(chain, cycle, amount)) if profit else 1
    if row is None:
        assert profit <= units, f"a gain of {profit} was not reported"
    else:
        found = unsigned(row["amount_out"]) - unsigned(row["amount_in"])
        assert found >= profit - units or found >= profit * (1 - SHARE), f"{found} of {profit}"
