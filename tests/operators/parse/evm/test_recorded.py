"""The columnar reading of logs against the one that takes a log at a time, on whole recorded days and blocks."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from mevflow.operators.parse.evm.logs import LogJson, read_logs
from mevflow.operators.parse.evm.parse import parse_logs
from mevflow.operators.parse.evm.pools import CONCENTRATED, PAIR, EvmPool, PoolTable
from mevflow.operators.parse.uniswap.pools import POOLS
from mevflow.operators.parse.uniswap.v2_logs import UniswapV2Logs
from mevflow.sources.recorded import open_recorded
from mevflow.v1 import market_pb2 as market

ROOT = Path(__file__).parents[4]
DAY = sorted((ROOT / "examples/data").glob("uniswap-v3-*.csv.gz"))
BLOCKS = Path(__file__).parents[3] / "data" / "evm_blocks.json.gz"
TABLE = PoolTable(
    EvmPool(pool.address, CONCENTRATED, pool.token0, pool.token1, pool.fee_pips, pool.tick_spacing) for pool in POOLS
)
SAME = ("slot", "tx_index", "ix_index", "timestamp_us", "signature", "venue", "pool", "a_to_b", "amount_in")
SAME += ("amount_out", "mint_in", "mint_out", "sqrt_price_x96", "liquidity", "tick", "fee_pips")
MOVED = ("slot", "ix_index", "pool", "kind", "tick_lower", "tick_upper", "liquidity_delta", "mint_a", "tick_spacing")


def day_logs() -> list[LogJson]:
    found = []
    for path in DAY:
        pool = next(pool for pool in POOLS if pool.address[:4].hex() in path.name)
        with gzip.open(path, "rt") as file:
            for row in csv.DictReader(file):
                time = datetime.strptime(row["block_timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
                found.append(
                    LogJson(
                        address="0x" + pool.address.hex(),
                        topics=json.loads(row["topics"].replace("'", '"')),
                        data=row["data"],
                        block_number=hex(int(row["block_number"])),
                        transaction_hash=row["transaction_hash"],
                        transaction_index=hex(int(row["transaction_index"])),
                        log_index=hex(int(row["log_index"])),
                        block_timestamp=hex(int(time.timestamp())),
                    )
                )
    return sorted(found, key=lambda log: (int(log.block_number, 16), int(log.log_index, 16)))


def table_of(batches: list[pa.RecordBatch], message: str) -> pa.Table:
    return pa.Table.from_batches([one for one in batches if one.schema.metadata[b"message"].decode() == message])


def test_a_whole_uniswap_day_reads_the_same_as_log_by_log() -> None:
    logs, bad = read_logs(day_logs())
    assert not bad
    parsed = parse_logs(market.CHAIN_ETHEREUM, logs, TABLE, logs.timestamp_s * 1_000_000)
    assert not parsed.rejected
    expected = list(open_recorded(*DAY))
    swaps = table_of(parsed.batches(), "mevflow.v1.Swap")
    assert swaps.select(SAME).equals(table_of(expected, "mevflow.v1.Swap").select(SAME))
    told = table_of(expected, "mevflow.v1.PoolUpdate")
    told = told.filter(pa.compute.equal(told["kind"], market.PoolUpdate.KIND_LIQUIDITY))
    assert table_of(parsed.batches(), "mevflow.v1.PoolUpdate").select(MOVED).equals(told.select(MOVED))


def test_recorded_blocks_of_pairs_read_the_same_as_log_by_log() -> None:
    slow = UniswapV2Logs(on_error=lambda error: None)
    found, times = [], {}
    for block in json.loads(gzip.decompress(BLOCKS.read_bytes())):
        slow.add_block(block)
        number = int(block["height"])
        times[number] = int(datetime.fromisoformat(block["timestamp"]).timestamp() * 1_000_000)
        for tx_index, transaction in enumerate(block["ethereum"]["transactions"]):
            for log in (transaction.get("receipt") or {}).get("logs") or ():
                found.append(
                    LogJson(
                        address=log["address"],
                        topics=log.get("topics") or [],
                        data=log.get("data", "0x"),
                        block_number=hex(number),
                        transaction_hash=transaction["hash"],
                        transaction_index=hex(tx_index),
                        log_index=hex(int(log.get("logIndex", "0"))),
                    )
                )
    logs, bad = read_logs(found)
    assert not bad
    batches = list(slow.flush())
    swaps, updates = (table_of(batches, f"mevflow.v1.{name}") for name in ("Swap", "PoolUpdate"))
    pools = {*swaps["pool"].to_pylist(), *updates["pool"].to_pylist()}
    table = PoolTable(EvmPool(pool, PAIR, b"a" * 20, b"b" * 20, 3000) for pool in sorted(pools))
    parsed = parse_logs(
        market.CHAIN_ETHEREUM, logs, table, np.array([times[block] for block in logs.block.tolist()], np.int64)
    )
    same = ("slot", "tx_index", "ix_index", "timestamp_us", "signature", "pool", "a_to_b", "amount_in", "amount_out")
    same += ("reserve_a", "reserve_b")
    assert table_of(parsed.batches(), "mevflow.v1.Swap").select(same).equals(swaps.select(same))
    stated = ("slot", "tx_index", "ix_index", "pool", "kind", "reserve_a", "reserve_b")
    assert table_of(parsed.batches(), "mevflow.v1.PoolUpdate").select(stated).equals(updates.select(stated))
