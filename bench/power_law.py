"""A synthetic market of any size: pools over pairs of a power law with hubs, concentrated and constant-product.

Every token has a pool with a hub. The others join a token, drawn by rank ** -``token_power``, to a hub (nine in ten,
SOL and USDC most) or to another token drawn alike, and one pool in a hundred, up to sixty,
joins two hubs, so that a hot pair has a triangle through every token that trades
against both of its mints, and four-leg cycles lead from hub to hub over two tokens. Synthetic, and called so.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import base58
import numpy as np
import pyarrow as pa

from mevflow.bench.columns import complete
from mevflow.bench.flow import FIRST_SLOT, FIRST_US, SLOT_US, Flow, Pools, ranges, registry_yaml, way_back
from mevflow.bench.market import SOL, USDC
from mevflow.operators.amounts import i128
from mevflow.operators.codec import codec
from mevflow.v1 import market_pb2 as market

USDT = base58.b58decode("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
MSOL = base58.b58decode("mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So")
_HUB_SHARE = np.array([0.48, 0.36, 0.06, 0.05, 0.03, 0.02])
_HUB_TO_HUB, _MOST_HUB_TO_HUB, _TOKEN_TO_TOKEN = 0.01, 60, 0.1
_FEES = np.array([100, 500, 2_500, 3_000, 10_000])
_FEE_SHARE = np.array([0.05, 0.15, 0.45, 0.25, 0.10])
_V4_FEE = 2_500
_MAX_TICK, _SPACING = 443_636 // 64 * 64, 64
_UPDATE = codec("mevflow.v1.PoolUpdate")


def _key(kind: str, index: int) -> bytes:
    return hashlib.blake2b(f"power law {kind} {index}".encode(), digest_size=32).digest()


@dataclass(frozen=True)
class PowerLawMarket:
    """``pools`` pools over ``mints`` mints, six of which are hubs; ``constant_product`` of them carry reserves.

    ``survivor_rate`` of the events leave a cycle that pays (see :mod:`mevflow.bench.flow`); 0 gives a flow in which
    none does.
    """

    pools: int = 5_000
    mints: int = 2_000
    seed: int = 7
    survivor_rate: float = 0.01
    zipf: float = 1.1
    token_power: float = 0.6
    constant_product: float = 0.4

    @cached_property
    def hubs(self) -> list[bytes]:
        """SOL, USDC, USDT, mSOL and two made-up mints."""
        return [SOL, USDC, USDT, MSOL, _key("hub", 4), _key("hub", 5)]

    def registry_yaml(self) -> str:
        """A registry that names the hubs."""
        return registry_yaml(self.hubs, USDC)

    @cached_property
    def layout(self) -> Pools:
        """The pools. Raises ValueError if there are fewer pools than tokens, or no token."""
        rng = np.random.default_rng(self.seed)
        hubs, tokens = len(self.hubs), self.mints - len(self.hubs)
        if tokens < 1 or self.pools < tokens + hubs + self._among():
            raise ValueError(f"{self.pools} pools do not reach {self.mints} mints")
        keys = [*self.hubs, *(_key("mint", i) for i in range(tokens))]
        value = np.concatenate([[0.3, 0.0, 0.001, 0.5, 2.0, -1.0], rng.uniform(-3, 3, tokens)])
        first, second = self._pairs(rng, hubs, tokens)
        swap = rng.random(self.pools) < 0.5
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        product = rng.random(self.pools) < self.constant_product
        fee = np.where(product, _V4_FEE, rng.choice(_FEES, self.pools, p=_FEE_SHARE))
        depth = np.exp(rng.normal(np.log(2e13), 0.7, self.pools))
        centre = value[first] - value[second]
        return Pools(
            key=[_key("pool", i) for i in range(self.pools)],
            mint_a=[keys[i] for i in first],
            mint_b=[keys[i] for i in second],
            venue=np.where(product, market.VENUE_RAYDIUM_V4, market.VENUE_ORCA_WHIRLPOOL).astype(np.int32),
            fee_pips=fee,
            reserves=product,
            centre=centre,
            start=centre,
            ranges=ranges([([-_MAX_TICK], [int(one)]) for one in depth]),
            settling=np.zeros(0, np.int64),
        )

    def _among(self) -> int:
        """How many pools join two hubs, beside the one of each hub."""
        return min(round(_HUB_TO_HUB * self.pools), _MOST_HUB_TO_HUB)

    def _pairs(
        self, rng: np.random.Generator, hubs: int, tokens: int
    ) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
        """Each pool's two mints by number: hubs among themselves, every token once, and the rest drawn."""
        among = self._among()
        rest = self.pools - tokens - hubs - among
        rank = np.arange(1, tokens + 1) ** -self.token_power
        drawn = hubs + rng.choice(tokens, rest, p=rank / rank.sum())
        against = rng.choice(hubs, rest, p=_HUB_SHARE)
        other = hubs + rng.choice(tokens, rest, p=rank / rank.sum())
        to_token = (rng.random(rest) < _TOKEN_TO_TOKEN) & (other != drawn)
        ring = np.arange(hubs)
        ring_to = np.where(ring == 0, 1, 0)  # every hub trades against SOL, SOL against USDC
        one = rng.choice(hubs, among, p=_HUB_SHARE)
        two = rng.choice(hubs, among, p=_HUB_SHARE)
        two = np.where(one == two, (one == 0).astype(np.int64), two)
        once = rng.choice(hubs, tokens, p=_HUB_SHARE)
        firsts = np.concatenate([ring, one, hubs + np.arange(tokens), drawn])
        seconds = np.concatenate([ring_to, two, once, np.where(to_token, other, against)])
        return firsts.astype(np.int64), seconds.astype(np.int64)

    @cached_property
    def rank(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Pools from the most active down: chance, in proportion to how much their mints are traded."""
        hub, token = _HUB_SHARE, np.arange(1, self.mints - len(self.hubs) + 1) ** -self.token_power
        share = dict(zip([*self.hubs, *(_key("mint", i) for i in range(len(token)))], [*hub, *token], strict=True))
        layout = self.layout
        weight = np.array([share[a] * share[b] for a, b in zip(layout.mint_a, layout.mint_b, strict=True)])
        race = np.random.default_rng(self.seed + 2).exponential(size=self.pools) / weight
        return np.argsort(race, kind="stable")

    def updates(self) -> pa.RecordBatch:
        """A ``PoolUpdate`` SNAPSHOT a pool, one slot before the first swap; liquidity over the whole range."""
        pools = self.layout
        every = np.arange(self.pools)
        depth = pools.ranges.depth.astype(np.int64)
        ticks: list[list[dict[str, object]]] = [
            []
            if product
            else [
                {"tick": -_MAX_TICK, "liquidity_net": i128(int(one)), "liquidity_gross": b""},
                {"tick": _MAX_TICK, "liquidity_net": i128(-int(one)), "liquidity_gross": b""},
            ]
            for product, one in zip(pools.reserves, depth, strict=True)
        ]
        columns: dict[str, object] = {
            "chain": [market.CHAIN_SOLANA] * self.pools,
            "slot": [FIRST_SLOT - 1] * self.pools,
            "ix_index": every,
            "timestamp_us": [FIRST_US - SLOT_US] * self.pools,
            "venue": pools.venue,
            "pool": pools.key,
            "kind": [market.PoolUpdate.KIND_SNAPSHOT] * self.pools,
            "mint_a": pools.mint_a,
            "mint_b": pools.mint_b,
            "decimals_a": [6] * self.pools,
            "decimals_b": [6] * self.pools,
            "fee_pips": pools.fee_pips,
            "tick_spacing": np.where(pools.reserves, 0, _SPACING),
            "ticks": ticks,
            **pools.state(every, pools.start).columns(pools, every),
        }
        return complete(columns, self.pools, _UPDATE.schema)

    @cached_property
    def flow(self) -> Flow:
        """The swaps' source; the search for ways back is made once."""
        back = way_back(self.layout, self.hubs)
        return Flow(self.layout, back, self.rank, self.seed + 1, self.zipf, self.survivor_rate)

    def swaps(self, events: int, batch_rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """``events`` swaps in chain order."""
        return self.flow.swaps(events, batch_rows)

    def shape(self) -> dict[str, int]:
        """How large the cycle space is: pairs, triangles with a hub, three-leg cycles (each way round counts one),
        and how many of both go through SOL/USDC."""
        pools = self.layout
        count: Counter[tuple[bytes, bytes]] = Counter(
            (min(a, b), max(a, b)) for a, b in zip(pools.mint_a, pools.mint_b, strict=True)
        )
        beside: dict[bytes, set[bytes]] = defaultdict(set)
        for a, b in count:
            beside[a].add(b)
            beside[b].add(a)
        hubs, triangles, cycles, hot, hot_cycles = set(self.hubs), 0, 0, 0, 0
        for a, b in count:
            for third in beside[a] & beside[b]:
                if third > b and hubs & {a, b, third}:  # a < b < third: each triangle once
                    both = count[(a, b)] * count[(a, third)] * count[(b, third)]
                    triangles += 1
                    cycles += 2 * both
                    if {SOL, USDC} <= {a, b, third}:
                        hot += 1
                        hot_cycles += 2 * both
        return {
            "pairs": len(count),
            "triangles": triangles,
            "three_leg_cycles": cycles,
            "sol_usdc_pools": count[(min(SOL, USDC), max(SOL, USDC))],
            "sol_usdc_triangles": hot,
            "sol_usdc_cycles": hot_cycles,
        }
