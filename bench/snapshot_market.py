"""A real snapshot driven by a synthetic flow: Orca's Whirlpools as they stood at one slot, with all of their ticks.

The pools, fees, prices, ticks and liquidity are those of Solana mainnet; the swaps are synthetic, and called so. Mints
are valued along the deepest pools, from USDC on. A pool that the snapshot leaves at another price (nobody had
traded it) is brought home by one swap among the first events (``settling``); one that has no liquidity there is out
of the market from then on, as it would be on chain. After each swap, tick and liquidity are those that the pool's own
ticks give at its price.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from mevflow.bench.columns import complete
from mevflow.bench.flow import FIRST_SLOT, FIRST_US, SLOT_US, Flow, Pools, ranges, registry_yaml, way_back
from mevflow.bench.market import SOL, USDC
from mevflow.bench.power_law import MSOL, USDT
from mevflow.bench.stand import ROOT
from mevflow.operators.accounts.snapshot import WhirlpoolSnapshot, read_whirlpools
from mevflow.operators.codec import codec
from mevflow.operators.parse.pool_updates import PoolUpdates, Seen
from mevflow.v1 import market_pb2 as market

SNAPSHOT = ROOT / "examples/data/whirlpool-snapshot-185759999.csv.gz"
_MIN_TICK = -443_636
_HOME = 0.4  # of a pool's cost: nearer to its mints' values than this, it is at home
_UPDATE = codec("mevflow.v1.PoolUpdate")


@dataclass(frozen=True)
class SnapshotMarket:
    """The pools of a snapshot that have liquidity, and swaps over them.

    ``survivor_rate`` of the events leave a cycle that pays (see :mod:`mevflow.bench.flow`), once the pools have
    settled.
    """

    path: Path = SNAPSHOT
    seed: int = 7
    survivor_rate: float = 0.01
    zipf: float = 1.1

    @property
    def hubs(self) -> list[bytes]:
        """SOL, USDC, USDT and mSOL."""
        return [SOL, USDC, USDT, MSOL]

    def registry_yaml(self) -> str:
        """A registry that names the hubs."""
        return registry_yaml(self.hubs, USDC)

    @cached_property
    def whirlpools(self) -> list[WhirlpoolSnapshot]:
        """The snapshot's pools with liquidity, by address."""
        return [one for _, one in sorted(read_whirlpools(self.path).items()) if one.state.liquidity > 0]

    @property
    def pools(self) -> int:
        """How many."""
        return len(self.whirlpools)

    @cached_property
    def layout(self) -> Pools:
        """The pools at the snapshot's prices, with the prices that their mints' values give."""
        found = self.whirlpools
        price = np.array([2 * math.log(one.state.sqrt_price / 2**64) for one in found])
        values = _values(found, price)
        centre = np.array([values[one.account.mint_a] - values[one.account.mint_b] for one in found])
        fee = np.array([one.state.fee_pips for one in found], np.int64)
        away = np.abs(price - centre) > _HOME * -np.log1p(-fee / 1e6)
        return Pools(
            key=[one.pool for one in found],
            mint_a=[one.account.mint_a for one in found],
            mint_b=[one.account.mint_b for one in found],
            venue=np.full(len(found), market.VENUE_ORCA_WHIRLPOOL, np.int32),
            fee_pips=fee,
            reserves=np.zeros(len(found), np.bool_),
            centre=centre,
            start=price,
            ranges=ranges([_levels(one) for one in found]),
            settling=np.flatnonzero(away),
        )

    @cached_property
    def flow(self) -> Flow:
        """The swaps' source. A pool is the more active the deeper it is, by chance."""
        layout = self.layout
        home = replace(layout, start=layout.centre)
        depth = np.array([_depth(one, 0.0) for one in self.whirlpools])
        order = np.argsort(np.argsort(-depth)) + 1.0
        race = np.random.default_rng(self.seed + 2).exponential(size=self.pools) * order
        return Flow(
            layout, way_back(home, self.hubs), np.argsort(race, kind="stable"), self.seed, self.zipf, self.survivor_rate
        )

    @property
    def settling(self) -> int:
        """How many of the first swaps bring a pool home."""
        return len(self.layout.settling)

    def updates(self) -> pa.RecordBatch:
        """A ``PoolUpdate`` SNAPSHOT a pool, one slot before the first swap, with every tick."""
        rows = PoolUpdates(Seen(FIRST_SLOT - 1, FIRST_US - SLOT_US))
        rows.whirlpools(self.whirlpools)
        batch = rows.take()
        columns: dict[str, object] = {name: batch.column(name) for name in batch.schema.names}
        return complete({**columns, "ix_index": np.arange(self.pools)}, self.pools, _UPDATE.schema)

    def swaps(self, events: int, batch_rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """``events`` swaps in chain order."""
        return self.flow.swaps(events, batch_rows)


def _levels(one: WhirlpoolSnapshot) -> tuple[list[int], list[int]]:
    """A pool's boundaries and the liquidity from each on; what the ticks say is anchored on the pool's own."""
    state = one.state
    here = sum(net for tick, net in zip(state.ticks, state.liquidity_net, strict=True) if tick <= state.tick)
    ticks, levels = [_MIN_TICK], [state.liquidity - here]
    for tick, net in zip(state.ticks, state.liquidity_net, strict=True):
        if tick == ticks[-1]:
            levels[-1] += net
        else:
            ticks.append(tick)
            levels.append(levels[-1] + net)
    return ticks, [max(0, level) for level in levels]


def _depth(one: WhirlpoolSnapshot, value: float) -> float:
    """Log of the worth of the pool's virtual reserve of token B, ``value`` a raw unit's (log)."""
    return math.log(one.state.liquidity) + math.log(one.state.sqrt_price / 2**64) + value


def _values(pools: list[WhirlpoolSnapshot], price: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[bytes, float]:
    """Log value of a raw unit of every mint: a maximum spanning tree by depth from USDC, then from any mint left."""
    beside: dict[bytes, list[int]] = defaultdict(list)
    for number, one in enumerate(pools):
        beside[one.account.mint_a].append(number)
        beside[one.account.mint_b].append(number)
    values: dict[bytes, float] = {}
    for root in [USDC, SOL, *sorted(beside)]:
        if root in values or root not in beside:
            continue
        values[root] = 0.0
        heap: list[tuple[float, int, bytes]] = []
        mint = root
        while True:
            for number in beside[mint]:
                account = pools[number].account
                a_known = account.mint_a == mint
                other = account.mint_b if a_known else account.mint_a
                # Worth of a raw B: its own value, or what the price makes of A's.
                value_b = values[mint] - price[number] if a_known else values[mint]
                heapq.heappush(heap, (-_depth(pools[number], float(value_b)), number, other))
            while heap and heap[0][2] in values:
                heapq.heappop(heap)
            if not heap:
                break
            _, number, mint = heapq.heappop(heap)
            account = pools[number].account
            step = float(price[number])  # log of raw B per raw A: value of A less value of B
            values[mint] = values[account.mint_b] + step if mint == account.mint_a else values[account.mint_a] - step
    return values
