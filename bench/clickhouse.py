"""Rows a second into the embedded ClickHouse, through the sink and over HTTP.

Two rows are measured: a price of ten columns, and a swap of all its columns. Beside the sink, in the same run and
into the same tables: clickhouse-connect's ``insert`` of row tuples (the peer), and the engine itself, in its own
process, fed the sink's blocks without HTTP (the limit). Server, data and port are temporary.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.clickhouse.client import connect
from mevflow.clickhouse.daemon import start, stop
from mevflow.clickhouse.migrate import migrate
from mevflow.operators.codec import codec
from mevflow.operators.stage import StageContext
from mevflow.processes.addresses import free_port
from mevflow.sinks.clickhouse.block import InsertBlock
from mevflow.sinks.clickhouse.sink import ClickHouseSettings, ClickHouseSink
from mevflow.sinks.clickhouse.tables import TABLES

FLOOR_ROWS_S, AIM_ROWS_S = 1_000_000, 2_000_000
BATCH_ROWS = 20_000
_START_US = 1_649_203_200_000_000


def run(rows: int = 4_000_000, wide_rows: int = 1_000_000, seed: int = 7) -> dict[str, Any]:
    """Measure, each the best of three turns; about half a minute on two cores."""
    rng = np.random.default_rng(seed)
    ticks = [_moved(_ticks(rng, BATCH_ROWS), index / 100) for index in range(10)]
    swaps = [_moved(_swaps(rng, BATCH_ROWS), index / 100) for index in range(10)]
    with tempfile.TemporaryDirectory(prefix="mevflow-bench-") as folder:
        var, port = Path(folder), free_port()
        start(var, port=port)
        try:
            client = connect(port=port)
            migrate(client)
            _through_sink(port, "warm-up", ticks, BATCH_ROWS * 10)
            narrow, wide = 0.0, 0.0
            for turn in range(3):
                _settle(client)
                narrow = max(narrow, _through_sink(port, f"prices-{turn}", ticks, rows))
                _settle(client)
                wide = max(wide, _through_sink(port, f"swaps-{turn}", swaps, wide_rows))
            _settle(client)
            tuples = _row_tuples(client, ticks[0])
        finally:
            stop(var)
        local_narrow = _local(var / "local-ticks", "mevflow.v1.PriceTick", ticks)
        local_wide = _local(var / "local-swaps", "mevflow.v1.Swap", swaps)
    figures = [
        _figure("10-column rows through the sink", narrow, "floor of 1,000,000", narrow / FLOOR_ROWS_S),
        _figure("10-column rows through the sink", narrow, "row tuples, clickhouse-connect insert", narrow / tuples),
        _figure("10-column rows through the sink", narrow, "the engine alone, no HTTP", narrow / local_narrow),
        _figure("swaps, all columns, through the sink", wide, "the engine alone, no HTTP", wide / local_wide),
        _figure("row tuples, clickhouse-connect insert", tuples, None, None),
        _figure("10-column rows, the engine alone", local_narrow, None, None),
        _figure("swaps, all columns, the engine alone", local_wide, None, None),
    ]
    return {"bench": "clickhouse", "figures": figures}


def _figure(name: str, value: float, against: str | None, ratio: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value),
        "unit": "rows/s",
        "against": against,
        "ratio": None if ratio is None else round(ratio, 2),
    }


def _through_sink(port: int, node: str, batches: list[pa.RecordBatch], rows: int) -> float:
    """Rows a second from the first ``write`` until ``snapshot`` has made the last row durable."""
    sink = ClickHouseSink(ClickHouseSettings(port=port), StageContext("bench", node))
    sink.open(None)
    written = 0
    begun = time.perf_counter()
    while written < rows:
        batch = batches[written // BATCH_ROWS % len(batches)]
        sink.write(_moved(batch, written // (BATCH_ROWS * len(batches))))
        written += batch.num_rows
    sink.snapshot()
    elapsed = time.perf_counter() - begun
    sink.close()
    return written / elapsed


def _moved(batch: pa.RecordBatch, cycle: float) -> pa.RecordBatch:
    """The batch as it would be ``cycle`` rounds later: time goes on, so that no row comes twice."""
    for name, step in (("slot", 10_000), ("timestamp_us", 4_000_000_000)):
        at = batch.schema.get_field_index(name)
        moved = pc.add(batch.column(at), pa.scalar(round(cycle * step), batch.column(at).type))
        batch = batch.set_column(at, batch.schema.field(at), moved)
    return batch


def _row_tuples(client: Any, batch: pa.RecordBatch) -> float:
    """clickhouse-connect's plain ``insert``: 100,000 Python tuples at a time."""
    made = client.query(
        "SELECT timestamp, chain, slot, tx_index, ix_index, mint, numeraire, price, pool, source "
        f"FROM mevflow.price_feeds LIMIT {BATCH_ROWS * 5}"
    )
    best = 0.0
    for _ in range(3):
        begun = time.perf_counter()
        client.insert("price_feeds", made.result_rows, column_names=made.column_names, database="mevflow")
        best = max(best, len(made.result_rows) / (time.perf_counter() - begun))
    return best


def _settle(client: Any) -> None:
    """Let merges of the last measurement end, so that they do not slow the next."""
    for _ in range(100):
        if not client.query("SELECT count() FROM system.merges").result_rows[0][0]:
            return
        time.sleep(0.1)


def _local(path: Path, message: str, batches: list[pa.RecordBatch]) -> float:
    """The engine in a process of its own, two connections, the same blocks from memory."""
    columns, data = InsertBlock(TABLES[message], batches, StageContext("bench", "local"), "bench/local", 1).encode()
    path.mkdir(parents=True)
    (path / "block.native").write_bytes(b"".join(data))
    (path / "job.json").write_text(json.dumps({"table": TABLES[message].name, "columns": columns}))
    done = subprocess.run(
        [sys.executable, "-m", "mevflow.bench.clickhouse", str(path)], check=True, capture_output=True, text=True
    )
    return float(done.stdout) * BATCH_ROWS * len(batches)


def _feed_engine(path: Path, times: int = 10) -> float:
    """Blocks a second into an engine in this process."""
    import threading

    from mevflow.clickhouse.migrate import load
    from mevflow.clickhouse.server.engine import Engine
    from mevflow.clickhouse.server.spool import Spool

    job = json.loads((path / "job.json").read_text())
    data = (path / "block.native").read_bytes()
    engine = Engine(path / "engine")
    setup = engine.connect()
    setup.query("CREATE DATABASE mevflow", "TSV")
    setup.use("mevflow")
    for migration in load():
        for statement in migration.sql("mevflow"):
            setup.query(statement, "TSV")
    head = f"INSERT INTO mevflow.{job['table']} ({', '.join(f'`{name}`' for name in job['columns'])})".encode()

    def feed() -> None:
        connection = engine.connect()
        connection.query("SET optimize_on_insert = 0", "TSV")
        for _ in range(times // 2):
            with Spool(path) as body:
                body.write(data)
                connection.insert(head, b"", "Native", body.path, {})
        connection.close()

    best = 0.0
    for _ in range(3):
        threads = [threading.Thread(target=feed) for _ in range(2)]
        begun = time.perf_counter()
        _all(threads, lambda thread: thread.start())
        _all(threads, lambda thread: thread.join())
        best = max(best, times / (time.perf_counter() - begun))
    return best


def _all(threads: list[Any], act: Callable[[Any], None]) -> None:
    for thread in threads:
        act(thread)


def _keys(rng: np.random.Generator, count: int, kinds: int) -> pa.Array:
    names = pa.array([bytes([index % 256, index // 256]) * 16 for index in range(kinds)], pa.binary())
    return names.take(pa.array(rng.zipf(1.3, count) % kinds))


def _amounts(rng: np.random.Generator, count: int) -> pa.Array:
    pairs = np.zeros((count, 2), np.uint64)
    pairs[:, 0] = rng.integers(1, 1 << 50, count)
    return pa.array(list(map(bytes, pairs.view(np.uint8).reshape(count, 16))), pa.binary())


def _order(rng: np.random.Generator, count: int) -> dict[str, pa.Array]:
    slots = 128_000_000 + np.arange(count) // 400
    return {
        "chain": pa.array(np.ones(count, np.int32)),
        "slot": pa.array(slots.astype(np.uint64)),
        "tx_index": pa.array((np.arange(count) % 400).astype(np.uint32)),
        "ix_index": pa.array(np.zeros(count, np.uint32)),
        "timestamp_us": pa.array(_START_US + (slots - slots[0]) * 400_000 + np.arange(count) % 400),
    }


def _ticks(rng: np.random.Generator, count: int) -> pa.RecordBatch:
    """Synthetic prices: the ten columns of mevflow.v1.PriceTick."""
    columns = _order(rng, count) | {
        "mint": _keys(rng, count, 300),
        "numeraire": pa.array([b"u" * 32] * count, pa.binary()),
        "price": pa.array(rng.lognormal(0, 2, count)),
        "pool": _keys(rng, count, 1000),
        "source": pa.array(["pool"] * count),
    }
    return _batch("mevflow.v1.PriceTick", columns, count)


def _swaps(rng: np.random.Generator, count: int) -> pa.RecordBatch:
    """Synthetic swaps with everything set that a concentrated pool on Solana sets."""
    signatures = rng.bytes(64 * count)
    columns = _order(rng, count) | {
        "venue": pa.array(np.ones(count, np.int32)),
        "signature": pa.array([signatures[at : at + 64] for at in range(0, 64 * count, 64)], pa.binary()),
        "signer": _keys(rng, count, 5000),
        "pool": _keys(rng, count, 1000),
        "mint_in": _keys(rng, count, 300),
        "mint_out": _keys(rng, count, 300),
        **{name: _amounts(rng, count) for name in ("amount_in", "amount_out", "sqrt_price_x64", "liquidity")},
        "tick": pa.array(rng.integers(-400_000, 400_000, count).astype(np.int32)),
        "fee_pips": pa.array(np.full(count, 2500, np.uint32)),
        "source_topic": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), ["dex-swaps-proto"]),
        "source_partition": pa.array(rng.integers(0, 8, count).astype(np.int32)),
        "source_offset": pa.array(np.arange(count)),
    }
    return _batch("mevflow.v1.Swap", columns, count)


def _batch(message: str, columns: dict[str, pa.Array], count: int) -> pa.RecordBatch:
    schema = codec(message).located if "source_topic" in columns else codec(message).schema
    arrays = []
    for field in schema:
        array = columns.get(field.name)
        if array is None:
            empty = b"" if pa.types.is_binary(field.type) else False if pa.types.is_boolean(field.type) else 0
            array = pa.array([empty] * count, field.type)
        arrays.append(array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


if __name__ == "__main__":
    print(_feed_engine(Path(sys.argv[1])))
