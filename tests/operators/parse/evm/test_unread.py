"""A log that cannot be read leaves its pool in doubt, and every pool where nobody knows whose it is."""

from __future__ import annotations

import io
from itertools import chain
from typing import Any

import msgspec
import pytest

from mevflow.operators.parse.evm.events import V2_SYNC, V3_MINT, V3_OTHERS, V3_SWAP
from mevflow.operators.parse.evm.json_file import stretches
from mevflow.operators.parse.evm.logs import LogJson, read_logs
from mevflow.operators.parse.evm.parse import parse_logs
from mevflow.operators.parse.evm.pools import CONCENTRATED, PAIR, EvmPool, PoolTable
from mevflow.sources.evm.blocks import Block, Header
from mevflow.sources.evm.collect import PoolCollector
from mevflow.v1 import market_pb2 as market

DEEP, FLAT = b"\x01" * 20, b"\x02" * 20
A, B = b"\xaa" * 20, b"\xbb" * 20
TABLE = PoolTable([EvmPool(DEEP, CONCENTRATED, A, B, 3000, 60), EvmPool(FLAT, PAIR, A, B, 3000)])
KIND = market.PoolUpdate


RESERVES = bytes(31) + b"\5" + bytes(31) + b"\6"


def log(pool: bytes, index: int, topic: bytes = V2_SYNC) -> LogJson:
    return LogJson(
        address="0x" + pool.hex(),
        topics=["0x" + topic.hex()],
        data="0x" + RESERVES.hex(),
        block_number="0x7",
        transaction_hash="0x" + "ab" * 32,
        transaction_index="0x1",
        log_index=hex(index),
        block_timestamp="0x10",
    )


def text(one: LogJson, **changes: Any) -> bytes:
    return msgspec.json.encode({**msgspec.to_builtins(one), **changes})


def told(found: list[LogJson | bytes]) -> tuple[list[tuple[bytes, int, int]], int]:
    """(pool, kind, index) of each update, and how many logs were bad."""
    logs, bad = read_logs(found)
    out = parse_logs(market.CHAIN_BASE, logs, TABLE, logs.timestamp_s * 1_000_000)
    rows = [row for batch in out.batches() for row in batch.to_pylist()]
    assert all(row["slot"] == 7 and row["tx_index"] == 1 and row["timestamp_us"] == 16_000_000 for row in rows)
    return [(row["pool"], row["kind"], row["ix_index"]) for row in rows], len(bad)


SYNC = [(FLAT, KIND.KIND_SNAPSHOT, 3), (FLAT, KIND.KIND_SNAPSHOT, 9)]


@pytest.mark.parametrize(
    ("changes", "pool", "topic", "kind"),
    [
        ({"data": "0x123"}, FLAT, V2_SYNC, KIND.KIND_UNSPECIFIED),
        ({"data": "no"}, DEEP, V3_SWAP, KIND.KIND_UNSPECIFIED),
        ({"data": "no"}, DEEP, V3_MINT, KIND.KIND_LIQUIDITY),
        ({"topics": ["0x12"]}, DEEP, V3_SWAP, KIND.KIND_LIQUIDITY),
        ({"topics": ["0x12"]}, FLAT, V2_SYNC, KIND.KIND_UNSPECIFIED),
        ({"transaction_hash": "0x12"}, FLAT, V2_SYNC, KIND.KIND_UNSPECIFIED),
        ({"data": "no"}, DEEP, V3_OTHERS[0], None),
        ({"data": "no"}, b"\x03" * 20, V3_SWAP, None),
    ],
)
def test_its_pool_is_in_doubt_at_its_place(
    changes: dict[str, Any], pool: bytes, topic: bytes, kind: int | None
) -> None:
    wrong = msgspec.structs.replace(log(pool, 5, topic), **changes)
    rows, bad = told([log(FLAT, 3), wrong, log(FLAT, 9)])
    assert bad == 1
    assert rows == [SYNC[0], *([] if kind is None else [(pool, kind, 5)]), SYNC[1]]


@pytest.mark.parametrize("changes", [{"data": 7}, {"removed": "perhaps"}, {"transactionIndex": None}])
def test_an_object_that_is_no_log_may_name_a_pool(changes: dict[str, Any]) -> None:
    rows, bad = told([log(FLAT, 3), text(log(DEEP, 5, V3_SWAP), **changes), log(FLAT, 9)])
    assert bad == 1
    place = 4 if "transactionIndex" in changes else 5  # without all of its place it stands behind the one before
    assert rows == [SYNC[0], (DEEP, KIND.KIND_UNSPECIFIED, place), SYNC[1]]


@pytest.mark.parametrize("strange", [b'{"code": -32005, "message": "too many results"}', b"{}", b'{"address": "0x12"}'])
def test_all_pools_are_in_doubt_where_nobody_knows_whose_it_is(strange: bytes) -> None:
    both = [(DEEP, KIND.KIND_LIQUIDITY, 4), (FLAT, KIND.KIND_UNSPECIFIED, 4)]
    rows, bad = told([log(FLAT, 3), strange, strange, log(FLAT, 9)])
    assert bad == 2
    assert (rows[0], sorted(rows[1:3]), rows[3]) == (SYNC[0], both, SYNC[1])
    assert sorted(told([strange, log(FLAT, 3)])[0][:2]) == both
    assert told([strange]) == ([], 1)  # no other log tells about where


def test_a_place_that_is_not_known_is_behind_the_log_before() -> None:
    for changes in ({"block_number": "no"}, {"log_index": "0x" + "f" * 16}, {"transaction_index": ""}):
        wrong = msgspec.structs.replace(log(FLAT, 77), **changes)
        rows, bad = told([log(FLAT, 3), wrong, log(FLAT, 9)])
        assert (rows, bad) == ([SYNC[0], (FLAT, KIND.KIND_UNSPECIFIED, 4), SYNC[1]], 1)


def test_a_file_that_ends_within_a_log_does_not_hide_it() -> None:
    whole = b"[" + b",".join((text(log(FLAT, 3)), text(log(DEEP, 5, V3_SWAP)))) + b"]"
    assert len(list(chain.from_iterable(stretches(io.BytesIO(whole), "a.json")))) == 2
    for cut in (3, 80, 190):
        rows, bad = told(list(chain.from_iterable(stretches(io.BytesIO(whole[:-cut]), "a.json"))))
        assert (rows[0], bad) == (SYNC[0], 1)
        assert {row[0] for row in rows[1:]} >= {DEEP}


def test_a_source_puts_the_pool_of_such_a_log_in_doubt() -> None:
    collector = PoolCollector(market.CHAIN_BASE, "base", None, {}, table=TABLE)  # type: ignore[arg-type]
    wrong = msgspec.structs.replace(log(DEEP, 5, V3_SWAP), data="0x1", block_timestamp=None)
    block = Block(Header(7, b"\1" * 32, b"\2" * 32, 16, 0), [wrong])
    found = collector.take([block])
    assert found.updates is not None
    assert found.errors is not None
    (row,) = found.updates.to_pylist()
    assert (row["pool"], row["kind"], row["slot"], row["ix_index"]) == (DEEP, KIND.KIND_UNSPECIFIED, 7, 5)
    assert found.errors.column("reason").to_pylist() == ["malformed"]
