"""Decode a swap, keep its pool's price, look for two-pool gaps above the fees, collect rows for ClickHouse.

A message at a time in plain Python, which is how Faust and plain Bytewax hand messages over. It does less than
mevflow's detector (no three-leg cycles, no sizing, no merge by chain order): the comparison favours the peers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from mevflow.v1.market_pb2 import Swap

COLUMNS = ["slot", "pool", "other", "gap"]
TABLE = """CREATE TABLE IF NOT EXISTS peer_rows (slot UInt64, pool String, other String, gap Float64)
ENGINE = MergeTree ORDER BY slot"""
FLUSH_ROWS = 10_000


class PeerJob:
    """The state of the job. ``client`` is a clickhouse-connect client, ``rows`` what waits to be inserted.

    ``seen`` counts messages, ``found`` the rows that were inserted.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        client.command(TABLE)
        self._prices: dict[bytes, tuple[float, float]] = {}
        self._pairs: dict[tuple[bytes, ...], set[bytes]] = defaultdict(set)
        self.rows: list[tuple[int, str, str, float]] = []
        self.seen = 0
        self.found = 0

    def handle(self, value: bytes) -> None:
        """Process one message."""
        self.seen += 1
        swap = Swap.FromString(value)
        root = int.from_bytes(swap.sqrt_price_x64, "little")
        if not root:
            return
        price = 2 * math.log(root / 18446744073709551616)
        fee = -math.log1p(-swap.fee_pips / 1e6)
        pair = (swap.mint_in, swap.mint_out) if swap.a_to_b else (swap.mint_out, swap.mint_in)
        self._prices[swap.pool] = (price, fee)
        pools = self._pairs[pair]
        pools.add(swap.pool)
        for other in pools:
            if other != swap.pool:
                other_price, other_fee = self._prices[other]
                gap = abs(price - other_price) - fee - other_fee
                if gap > 0:
                    self.rows.append((swap.slot, swap.pool.hex(), other.hex(), gap))
        if len(self.rows) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Insert what waits."""
        if self.rows:
            self._client.insert("peer_rows", self.rows, column_names=COLUMNS)
            self.found += len(self.rows)
            self.rows = []
