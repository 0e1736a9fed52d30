"""Reading Kafka: a raw ``consume()`` + ``value()`` loop with the best settings against the columnar source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from operators.codec import codec
from operators.stage import StageContext

_BEST = {
    "enable.auto.commit": False,
    "enable.partition.eof": False,
    "auto.offset.reset": "error",
    "check.crcs": False,
    "fetch.queue.backoff.ms": 2,
    "fetch.min.bytes": 50_000,
    "fetch.message.max.bytes": 4_194_304,
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 262_144,
    "socket.receive.buffer.bytes": 4_194_304,
}


def synthetic_swaps(rows: int, seed: int = 1, pools: int = 5_000) -> pa.RecordBatch:
    """Synthetic swaps of about 290 bytes in chain order: Zipf activity over pools, a slot every 400 ms."""
    rng = np.random.default_rng(seed)
    pool = np.minimum(rng.zipf(1.2, rows) - 1, pools - 1)
    slot = 100_000_000 + np.arange(rows) // 200
    names = rng.bytes(32 * pools)

    def random_bytes(width: int) -> pa.Array:
        data = rng.bytes(width * rows)
        return pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(data)]).cast(pa.binary())

    def amount() -> pa.Array:
        words = np.zeros((rows, 2), np.uint64)
        words[:, 0] = rng.integers(1, 1 << 48, rows, dtype=np.uint64)
        return pa.Array.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(words.tobytes())]).cast(pa.binary())

    ids = np.frombuffer(names, np.uint8).reshape(pools, 32)[pool]
    given: dict[str, Any] = {
        "chain": pa.array(np.ones(rows, np.int32)),
        "slot": pa.array(slot.astype(np.uint64)),
        "tx_index": pa.array((np.arange(rows) % 200).astype(np.uint32)),
        "ix_index": pa.array(np.zeros(rows, np.uint32)),
        "timestamp_us": pa.array(1_649_203_200_000_000 + (slot - slot[0]) * 400_000),
        "signature": random_bytes(64),
        "signer": random_bytes(32),
        "venue": pa.array(np.ones(rows, np.int32)),
        "pool": pa.Array.from_buffers(pa.binary(32), rows, [None, pa.py_buffer(ids.tobytes())]).cast(pa.binary()),
        "amount_in": amount(),
        "amount_out": amount(),
        "sqrt_price_x64": amount(),
        "liquidity": amount(),
        "tick": pa.array(rng.integers(-40_000, 40_000, rows, dtype=np.int32)),
        "fee_pips": pa.array(np.full(rows, 3_000, np.uint32)),
        "a_to_b": pa.array(rng.integers(0, 2, rows).astype(bool)),
    }
    schema = codec("mevflow.v1.Swap").schema
    columns = [given[f.name].cast(f.type) if f.name in given else _default(f.type, rows) for f in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _default(kind: pa.DataType, rows: int) -> pa.Array:
    empty: Any = b"" if pa.types.is_binary(kind) else 0
    return pa.array([empty] * rows, kind) if pa.types.is_binary(kind) else pa.array(np.zeros(rows)).cast(kind)


def fill_topic(
    bootstrap: str, topic: str, n: int, make: Callable[[int, int], pa.RecordBatch] = synthetic_swaps, key: str = "pool"
) -> int:
    """Send ``n`` messages made by ``make(rows, seed)``, 100,000 at a time; give the bytes sent."""
    from sinks.kafka import KafkaSettings, KafkaSink

    sink = KafkaSink(KafkaSettings(bootstrap=bootstrap, topic=topic, key=key), StageContext("bench", "fill"))
    sink.open(None)
    sent = 0
    size = 0
    while sent < n:
        batch = make(min(100_000, n - sent), sent + 1)
        sink.write(batch)
        sent += batch.num_rows
        size += batch.nbytes
    sink.snapshot()
    sink.close()
    return size
