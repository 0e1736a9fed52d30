"""Logs that cannot be read leave their pool in doubt; a swap of nothing moves its price."""

from __future__ import annotations

from typing import Any

import pytest

from mevflow.operators.parse.evm.events import V2_SWAP, V2_SYNC, V3_BURN, V3_INITIALIZE, V3_MINT, V3_SWAP
from mevflow.operators.parse.evm.logs import LogJson, read_logs
from mevflow.operators.parse.evm.parse import parse_logs
from mevflow.operators.parse.evm.parsed import Parsed
from mevflow.operators.parse.evm.pools import CONCENTRATED, PAIR, EvmPool, PoolTable
from mevflow.v1 import market_pb2 as market

DEEP, FLAT = b"\x01" * 20, b"\x02" * 20
TABLE = PoolTable(
    [
        EvmPool(DEEP, CONCENTRATED, b"\xaa" * 20, b"\xbb" * 20, 3000, 60),
        EvmPool(FLAT, PAIR, b"\xaa" * 20, b"\xbb" * 20, 3000),
    ]
)
KIND = market.PoolUpdate
ANYBODY = b"\x09".rjust(32, b"\0")
ONE = 1 << 96


def word(value: int) -> bytes:
    return (value % (1 << 256)).to_bytes(32, "big")


def parsed(pool: bytes, topics: list[bytes], *words: int, cut: int = 0) -> Parsed:
    data = b"".join(map(word, words))
    log = LogJson(
        address="0x" + pool.hex(),
        topics=["0x" + topic.hex() for topic in topics],
        data="0x" + data[: len(data) - cut].hex(),
        block_number="0x7",
        transaction_hash="0x" + "ab" * 32,
        transaction_index="0x1",
        log_index="0x3",
    )
    logs, bad = read_logs([log])
    assert not bad
    return parse_logs(market.CHAIN_BASE, logs, TABLE, logs.timestamp_s)


def rows(out: Parsed) -> list[dict[str, Any]]:
    return [row for batch in out.batches() for row in batch.to_pylist()]


SWAP, POSITION = [V3_SWAP, ANYBODY, ANYBODY], [ANYBODY, word(-60), word(60)]


@pytest.mark.parametrize(
    ("pool", "topics", "words", "cut", "kind"),
    [
        (DEEP, SWAP, (1 << 130, -5, ONE, 9, 0), 0, KIND.KIND_UNSPECIFIED),
        (DEEP, SWAP, (5, 6, ONE, 9, 0), 0, KIND.KIND_UNSPECIFIED),
        (DEEP, SWAP, (5, -4, 77, 9, 0), 0, KIND.KIND_UNSPECIFIED),
        (DEEP, SWAP, (5, -4, ONE, 9, 900_000), 0, KIND.KIND_UNSPECIFIED),
        (DEEP, SWAP, (5, -4, ONE, 9, 0), 32, KIND.KIND_UNSPECIFIED),
        (DEEP, SWAP[:2], (5, -4, ONE, 9, 0), 0, KIND.KIND_UNSPECIFIED),
        (DEEP, [V3_INITIALIZE], (77, 0), 0, KIND.KIND_UNSPECIFIED),
        (DEEP, [V3_MINT, ANYBODY, word(-61), word(60)], (0, 5, 1, 1), 0, KIND.KIND_LIQUIDITY),
        (DEEP, [V3_BURN, *POSITION], (5, 1), 0, KIND.KIND_LIQUIDITY),
        (FLAT, [V2_SYNC], (1 << 112, 5), 0, KIND.KIND_UNSPECIFIED),
        (FLAT, [V2_SYNC], (7, 5), 32, KIND.KIND_UNSPECIFIED),
        (FLAT, [V2_SWAP, ANYBODY, ANYBODY], (5, 0, 0, 4), 0, KIND.KIND_UNSPECIFIED),
    ],
)
def test_a_log_that_cannot_be_read_leaves_its_pool_in_doubt(
    pool: bytes, topics: list[bytes], words: tuple[int, ...], cut: int, kind: int
) -> None:
    out = parsed(pool, topics, *words, cut=cut)
    assert len(out.rejected) == 1
    (row,) = rows(out)
    assert (row["kind"], row["pool"], row["slot"], row["ix_index"]) == (kind, pool, 7, 3)
    assert not any(row[name] for name in ("reserve_a", "reserve_b", "sqrt_price_x96", "liquidity", "liquidity_delta"))


def test_a_swap_through_empty_ranges_alone_moves_the_price() -> None:
    """v3-core swaps on to the limit where there is no liquidity, and logs amounts of 0."""
    price = ONE * 3 // 2
    out = parsed(DEEP, SWAP, 0, 0, price, 0, 8109)
    assert not out.rejected
    (row,) = rows(out)
    assert (row["kind"], row["tick"], row["liquidity"]) == (KIND.KIND_UNSPECIFIED, 8109, bytes(16))
    assert int.from_bytes(row["sqrt_price_x96"], "little") == price
