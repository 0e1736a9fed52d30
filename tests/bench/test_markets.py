"""The bench's markets: what pays and what does not is what they say, their state hangs together, peers agree."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mevflow.bench.detect_peers import networkx_rate, rustworkx_rate
from mevflow.bench.flow import Pools
from mevflow.bench.market import SyntheticMarket
from mevflow.bench.power_law import PowerLawMarket
from mevflow.bench.snapshot_market import SnapshotMarket


def cycles_pay(market: PowerLawMarket | SnapshotMarket, events: int, skip: int = 0) -> list[tuple[bool, bool]]:
    """For each event: whether a negative cycle is in the graph after it, and whether it was a shock."""
    pools: Pools = market.layout
    place = {key: number for number, key in enumerate(pools.key)}
    cost = -np.log1p(-pools.fee_pips / 1e6)
    graph = nx.MultiDiGraph()

    def update(number: int, price: float, tradable: bool) -> None:
        a, b = pools.mint_a[number], pools.mint_b[number]
        graph.add_edge(a, b, key=number, weight=cost[number] - price if tradable else math.inf)
        graph.add_edge(b, a, key=number, weight=cost[number] + price if tradable else math.inf)

    def read(batch: pa.RecordBatch) -> list[tuple[int, float, bool]]:
        names = ("pool", "sqrt_price_x64", "liquidity", "reserve_a", "reserve_b")
        found = []
        for pool, root, depth, a, b in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
            number = [int.from_bytes(value, "little") for value in (root, depth, a, b)]
            price = 2 * math.log(number[0] / 2**64) if root else math.log(number[3] / number[2])
            found.append((place[pool], price, not root or number[1] > 0))
        return found

    for one in read(market.updates()):
        update(*one)
    found = []
    stream = [one for batch in market.swaps(skip + events, 257) for one in read(batch)]
    for event, (number, price, tradable) in enumerate(stream):
        update(number, price, tradable)
        if event >= skip:
            shock = abs(price - pools.centre[number]) > cost[number]
            found.append((nx.negative_edge_cycle(graph), shock))
    return found


def test_a_power_law_market_pays_at_shocks_and_nowhere_else() -> None:
    found = cycles_pay(PowerLawMarket(pools=160, mints=60, survivor_rate=0.1), 600)
    assert all(pays == shock for pays, shock in found)
    assert 0.05 < sum(shock for _, shock in found) / 600 < 0.15


def test_a_settled_snapshot_pays_at_shocks_and_nowhere_else() -> None:
    market = SnapshotMarket(survivor_rate=0.1)
    found = cycles_pay(market, 100, skip=market.settling)
    assert all(pays == shock for pays, shock in found)
    assert any(shock for _, shock in found)


def test_survivor_rate_is_what_was_asked() -> None:
    market = PowerLawMarket(survivor_rate=0.01)
    pools = market.layout
    place = {key: number for number, key in enumerate(pools.key)}
    shocks = 0
    for batch in market.swaps(100_000):
        number = np.array([place[key] for key in batch.column("pool").to_pylist()])
        gap = np.abs(prices(batch) - pools.centre[number])
        shocks += int((gap > -np.log1p(-pools.fee_pips[number] / 1e6)).sum())
    assert 0.009 < shocks / 100_000 < 0.011


def prices(batch: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Log of raw B per raw A of each row."""
    found = []
    names = ("sqrt_price_x64", "reserve_a", "reserve_b")
    for root, a, b in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
        number = [int.from_bytes(value, "little") for value in (root, a, b)]
        found.append(2 * math.log(number[0] / 2**64) if root else math.log(number[2] / number[1]))
    return np.array(found)


@pytest.mark.parametrize("market", [PowerLawMarket(pools=300, mints=100), SnapshotMarket()])
def test_the_same_market_gives_the_same_swaps(market: PowerLawMarket | SnapshotMarket) -> None:
    once, again = (pa.Table.from_batches(market.swaps(2_000, 700)) for _ in range(2))
    assert once.equals(again)
    assert once.num_rows == 2_000
    assert pc.all(pc.greater(pc.binary_length(once.column("amount_out")), 0)).as_py()


def test_a_snapshot_keeps_the_chain_s_state() -> None:
    """At the snapshot's own price a pool's tick and liquidity are those of its account."""
    market = SnapshotMarket()
    pools = market.layout
    every = np.arange(market.pools)
    state = pools.state(every, pools.start)
    accounts = [one.state for one in market.whirlpools]
    # A price exactly on a tick may be stored with the tick below it, and a logarithm may fall to either side.
    assert all(abs(tick - account.tick) <= 1 for tick, account in zip(state.tick, accounts, strict=True))
    depth = pools.ranges.depth[state.where]
    same = sum(one == float(account.liquidity) for one, account in zip(depth, accounts, strict=True))
    assert len(accounts) == 407
    assert same >= 406


def test_too_few_pools_are_refused() -> None:
    with pytest.raises(ValueError, match="do not reach"):
        _ = PowerLawMarket(pools=10, mints=50).layout


@pytest.mark.parametrize("market", [SyntheticMarket(pools=30), PowerLawMarket(pools=120, mints=40), SnapshotMarket()])
def test_peers_run_on_every_market(market: SyntheticMarket | PowerLawMarket | SnapshotMarket) -> None:
    assert networkx_rate(market, 3) > 0
    assert rustworkx_rate(market, 3) > 0
