"""A synthetic market: concentrated pools over pairs of a power law, swaps with Zipf activity. Synthetic, and called so.

Prices of a pair's pools stay within the fees of each other, but for a share of the swaps (``shock_rate``) that leave
a gap above them: those are the opportunities. The next swap is on the same pool and closes the gap, as on chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import base58
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.bench.columns import complete, q64, random_bytes, u128, words
from mevflow.operators.codec import codec

SOL = base58.b58decode("So11111111111111111111111111111111111111112")
USDC = base58.b58decode("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
_SWAP = codec("mevflow.v1.Swap")
_UPDATE = codec("mevflow.v1.PoolUpdate")
FIRST_SLOT, FIRST_US, SLOT_US, SWAPS_A_SLOT = 300_000_000, 1_725_000_000_000_000, 400_000, 400


def _key(kind: str, index: int) -> bytes:
    return hashlib.blake2b(f"{kind} {index}".encode(), digest_size=32).digest()


@dataclass(frozen=True)
class SyntheticMarket:
    """``pools`` pools; the first half of the pairs are TOKEN/USDC and TOKEN/SOL with several pools each."""

    pools: int = 500
    seed: int = 7
    shock_rate: float = 0.0005
    zipf: float = 1.1
    fee_pips: int = 2500

    def _layout(self) -> tuple[NDArray[np.int64], list[bytes], list[tuple[bytes, bytes]], NDArray[np.float64]]:
        """Pair of each pool, pool keys, mints of each pair, log price of each pair (raw B per raw A)."""
        rng = np.random.default_rng(self.seed)
        tokens = max(2, self.pools // 3)
        mints = [_key("mint", i) for i in range(tokens)]
        usd = rng.uniform(-3, 3, tokens)
        pairs = [(SOL, USDC)] + [(m, USDC) for m in mints] + [(m, SOL) for m in mints]
        log_price = np.concatenate([[0.3], usd, usd - 0.3])
        weight = 1 / np.arange(1, len(pairs) + 1) ** 0.5
        pair = np.sort(rng.choice(len(pairs), self.pools, p=weight / weight.sum()))
        return pair, [_key("pool", i) for i in range(self.pools)], pairs, log_price

    def updates(self) -> pa.RecordBatch:
        """A ``PoolUpdate`` CREATE a pool, one slot before the first swap."""
        pair, keys, pairs, log_price = self._layout()
        spacing = 64
        state = _prices(log_price[pair])
        columns: dict[str, object] = {
            "chain": [1] * self.pools,
            "slot": [FIRST_SLOT - 1] * self.pools,
            "ix_index": list(range(self.pools)),
            "timestamp_us": [FIRST_US - SLOT_US] * self.pools,
            "venue": [1] * self.pools,
            "pool": keys,
            "kind": [1] * self.pools,
            "mint_a": [pairs[p][0] for p in pair],
            "mint_b": [pairs[p][1] for p in pair],
            "decimals_a": [6] * self.pools,
            "decimals_b": [6] * self.pools,
            "fee_pips": [self.fee_pips] * self.pools,
            "tick_spacing": [spacing] * self.pools,
            "sqrt_price_x64": state.sqrt_price,
            "liquidity": u128(words(np.full(self.pools, 50_000_000_000_000, np.uint64))),
            "tick": state.tick,
        }
        return complete(columns, self.pools, _UPDATE.schema)

    def swaps(self, events: int, batch_rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """``events`` swaps in chain order, ``SWAPS_A_SLOT`` a slot."""
        pair, keys, pairs, log_price = self._layout()
        rng = np.random.default_rng(self.seed + 1)
        weight = 1 / np.arange(1, self.pools + 1) ** self.zipf
        weight = rng.permutation(weight / weight.sum())
        pool_keys = pa.array(keys, pa.binary())
        mint_a = pa.array([pairs[p][0] for p in pair], pa.binary())
        mint_b = pa.array([pairs[p][1] for p in pair], pa.binary())
        fee = self.fee_pips / 1e6
        for start in range(0, events, batch_rows):
            rows = min(batch_rows, events - start)
            index = np.arange(start, start + rows)
            pool = rng.choice(self.pools, rows, p=weight)
            noise = rng.uniform(-0.4 * fee, 0.4 * fee, rows)
            shocked = np.flatnonzero(rng.random(rows - 1) < self.shock_rate)
            shocked = shocked[np.diff(shocked, prepend=-2) > 1]  # a gap is closed before the next one opens
            noise[shocked] = rng.choice([-1.0, 1.0], len(shocked)) * rng.uniform(2.5 * fee, 3 * fee, len(shocked))
            pool[shocked + 1] = pool[shocked]
            state = _prices(log_price[pair[pool]] + noise)
            a_to_b = rng.random(rows) < 0.5
            take = pa.array(pool)
            first, second = mint_a.take(take), mint_b.take(take)
            slot = FIRST_SLOT + index // SWAPS_A_SLOT
            columns: dict[str, object] = {
                "chain": np.ones(rows, np.int32),
                "slot": slot.astype(np.uint64),
                "tx_index": (index % SWAPS_A_SLOT).astype(np.uint32),
                "timestamp_us": FIRST_US + (slot - FIRST_SLOT) * SLOT_US,
                "signature": random_bytes(rng, rows, 64),
                "signer": random_bytes(rng, rows, 32),
                "venue": np.ones(rows, np.int32),
                "pool": pool_keys.take(take),
                "mint_in": pc.if_else(pa.array(a_to_b), first, second),
                "mint_out": pc.if_else(pa.array(a_to_b), second, first),
                "amount_in": u128(words(rng.integers(1_000, 1_000_000_000, rows).astype(np.uint64))),
                "amount_out": u128(words(rng.integers(1_000, 1_000_000_000, rows).astype(np.uint64))),
                "sqrt_price_x64": state.sqrt_price,
                "liquidity": u128(words(np.full(rows, 50_000_000_000_000, np.uint64))),
                "tick": state.tick,
                "fee_pips": np.full(rows, self.fee_pips, np.uint32),
                "a_to_b": pa.array(a_to_b),
            }
            yield complete(columns, rows, _SWAP.schema)


@dataclass(frozen=True)
class _State:
    sqrt_price: pa.Array
    tick: NDArray[np.int32]


def _prices(log_price: NDArray[np.float64]) -> _State:
    root = np.exp(log_price / 2)
    return _State(u128(q64(root)), np.floor(log_price / np.log(1.0001)).astype(np.int32))
