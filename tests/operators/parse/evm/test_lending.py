"""Liquidations by lending markets: read from whoever logs them, as rows that no pool has."""

from __future__ import annotations

from typing import Any

import pytest

from mevflow.operators.parse.evm.events import LENDING_EVENTS
from mevflow.operators.parse.evm.logs import LogJson, read_logs
from mevflow.operators.parse.evm.parse import parse_logs
from mevflow.operators.parse.evm.pools import PAIR, EvmPool, PoolTable
from mevflow.v1 import market_pb2 as market

LENDER, COLLATERAL, DEBT, USER, WHO = (bytes([number]) * 20 for number in (1, 2, 3, 4, 5))
AAVE, COMPOUND, COMET, MORPHO = LENDING_EVENTS
TABLE = PoolTable([EvmPool(b"\x99" * 20, PAIR, COLLATERAL, DEBT, 3000)])


def word(value: int | bytes) -> bytes:
    return (value if isinstance(value, bytes) else value.to_bytes(32, "big")).rjust(32, b"\0")


def rows(topics: list[bytes], *data: int | bytes, by: bytes = LENDER) -> list[dict[str, Any]]:
    log = LogJson(
        address="0x" + by.hex(),
        topics=["0x" + topic.hex() for topic in topics],
        data="0x" + b"".join(map(word, data)).hex(),
        block_number="0x7",
        transaction_hash="0x" + "ab" * 32,
        transaction_index="0x1",
        log_index="0x3",
        block_timestamp="0x10",
    )
    logs, bad = read_logs([log])
    assert not bad
    out = parse_logs(market.CHAIN_BASE, logs, TABLE, logs.timestamp_s * 1_000_000)
    assert not out.rejected
    return [row for batch in out.batches() for row in batch.to_pylist()]


LOGS: dict[str, tuple[list[bytes], tuple[int | bytes, ...]]] = {
    "aave": ([AAVE, word(COLLATERAL), word(DEBT), word(USER)], (1_000, 1_050, WHO, 0)),
    "compound": ([COMPOUND], (WHO, USER, 1_000, COLLATERAL, 1_050)),
    "comet": ([COMET, word(WHO), word(USER), word(COLLATERAL)], (1_050, 77)),
    "morpho": ([MORPHO, b"\x0a" * 32, word(WHO), word(USER)], (1_000, 1, 1_050, 0, 0)),
}


@pytest.mark.parametrize(
    ("name", "collateral", "debt", "repaid"),
    [
        ("aave", COLLATERAL, DEBT, 1_000),
        ("compound", COLLATERAL, LENDER, 1_000),
        ("comet", COLLATERAL, b"", None),
        ("morpho", b"", b"", 1_000),
    ],
)
def test_a_liquidation_is_a_row_of_its_own(name: str, collateral: bytes, debt: bytes, repaid: int | None) -> None:
    topics, data = LOGS[name]
    (row,) = rows(topics, *data)
    assert (row["kind"], row["pool"], row["signer"]) == (market.PoolUpdate.KIND_LIQUIDATION, LENDER, WHO)
    assert (row["slot"], row["tx_index"], row["ix_index"], row["timestamp_us"]) == (7, 1, 3, 16_000_000)
    assert (row["mint_a"], row["mint_b"]) == (collateral, debt)
    assert int.from_bytes(row["reserve_a"], "little") == 1_050
    assert row["reserve_b"] == (b"" if repaid is None else repaid.to_bytes(16, "little"))


@pytest.mark.parametrize("name", LOGS)
def test_what_only_looks_like_one_is_none(name: str) -> None:
    topics, data = LOGS[name]
    assert rows(topics, *data[:-1]) == []
    assert rows([*topics, word(1)] if len(topics) < 4 else topics[:-1], *data) == []
    assert rows(topics, *(1 << 128 if one in (1_000, 1_050) else one for one in data)) == []
    # A pool that is known says what its venue says, and nothing else.
    assert rows(topics, *data, by=b"\x99" * 20) == []
