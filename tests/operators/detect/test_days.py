"""The two recorded days: what is found is what brute force finds, and no more."""

from __future__ import annotations

import ast
import csv
import gzip
from collections import Counter

import pyarrow as pa
import pytest

from mevflow.sources.recorded import open_recorded
from tests.operators.detect.brute_force import BruteForce
from tests.operators.detect.compare import compare, in_order
from tests.operators.detect.feeding import UNISWAP_DAY, WHIRLPOOL_DAY, Tables, items, make, place_of, run

SWAP_TOPIC = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
Day = tuple[list[pa.RecordBatch], Tables]


@pytest.fixture(scope="module")
def uniswap() -> Day:
    batches = list(open_recorded(*UNISWAP_DAY))
    return batches, run(make(), items(batches))


@pytest.fixture(scope="module")
def whirlpool() -> Day:
    batches = list(open_recorded(*WHIRLPOOL_DAY))
    return batches, run(make(), items(batches))


def gaps_in_the_raw_logs() -> set[tuple[int, int]]:
    """(block, log index) of the logs after which the two prices differ by more than both fees, from the csv alone."""
    logs = []
    for path in UNISWAP_DAY:
        pool = "0.05" if "0.05pct" in path.name else "0.30"
        with gzip.open(path, "rt") as file:
            for row in csv.DictReader(file):
                swap = ast.literal_eval(row["topics"])[0] == SWAP_TOPIC
                price = int.from_bytes(bytes.fromhex(row["data"][2:])[64:96], "big") if swap else 0
                logs.append((int(row["block_number"]), int(row["log_index"]), pool, price))
    found, price_of = set(), {}
    for block, index, pool, price in sorted(logs):
        if price:
            price_of[pool] = price
        if len(price_of) == 2:
            low, high = sorted(price_of.values())
            # Buy where the square-root price is low, sell where it is high, and pay 0.05 % and 0.30 %.
            if high**2 * (10**6 - 500) * (10**6 - 3000) > low**2 * 10**12:
                found.add((block, index))
    return found


def test_uniswap_day_has_exactly_the_gaps_of_the_raw_logs(uniswap: Day) -> None:
    gaps = gaps_in_the_raw_logs()
    assert len(gaps) == 51
    rows = [row for row in uniswap[1]["opportunities"].to_pylist() if not row["closed"]]
    assert {(row["slot"], row["ix_index"]) for row in rows} == gaps
    assert len(rows) == 51


def test_uniswap_day_equals_brute_force(uniswap: Day) -> None:
    seen = compare(*uniswap)
    assert seen["gaps"] == seen["open"] == seen["searched"] == 51


def test_uniswap_episodes_open_and_close(uniswap: Day) -> None:
    rows = uniswap[1]["opportunities"].to_pylist()
    assert Counter("new" if row["new_episode"] else "closed" if row["closed"] else "changed" for row in rows) == {
        "new": 33,
        "closed": 33,
        "changed": 18,
    }
    assert {row["path"] for row in rows} == {"USDC > WETH > USDC"}
    for row in rows:
        assert row["opened_slot"] <= row["slot"]
        assert row["opened_us"] <= row["timestamp_us"]


def test_whirlpool_day_equals_brute_force(whirlpool: Day) -> None:
    # Every gap is checked; at every tenth the whole range of inputs is searched. All of them take twenty seconds.
    seen = compare(*whirlpool, every=10)
    assert seen["cycles"] > 19_000
    assert seen["gaps"] == 8_043
    assert seen["open"] == 8_035, "the other eight gain less than a unit"


def test_prices_of_empty_pools_are_no_opportunities(whirlpool: Day) -> None:
    """Pools made at a price of 17 million dollars a SOL, empty for hours: a mirage until somebody puts liquidity in."""
    batches, tables = whirlpool
    said = {place_of(row) for row in tables["opportunities"].to_pylist() if not row["closed"]}
    market, mirages = BruteForce(set()), 0
    for row in in_order(batches):
        chain, name = market.apply(row)
        pool = market.pools[chain, name]
        for other in market.pools.values():
            if other is pool or set(other.mints) != set(pool.mints) or not (pool.one and other.one):
                continue
            low, high = sorted((pool.price, other.price))
            fees = (10**6 - pool.fee_pips) * (10**6 - other.fee_pips)
            if high**2 * fees > low**2 * 10**12 and not (pool.liquidity and other.liquidity):
                mirages += 1
                assert place_of(row) not in said
    assert mirages > 400
