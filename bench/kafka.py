"""Reading Kafka: a raw ``consume()`` + ``value()`` loop with the best settings against the columnar source."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.stage import StageContext
from mevflow.processes.environment import environment

PARTITIONS = 8
_RATE = 50_000
_MESSAGE = "mevflow.v1.Swap"


def run(messages: int = 2_000_000, rounds: int = 2, seconds: float = 5.0) -> dict[str, Any]:
    """The best of some rounds each, in turns, over one topic of synthetic swaps; then the delay at 50,000 a second."""
    from mevflow.bench.stand import stand
    from mevflow.kafka.topics import TopicSpec, create, listing

    with stand(clickhouse=False) as place:
        topic = "bench-swaps"
        create(place.bootstrap, (TopicSpec(topic, PARTITIONS), TopicSpec("bench-delay", PARTITIONS)))
        fill_topic(place.bootstrap, topic, messages)
        ends = {p: stop for p, (_, stop) in listing(place.bootstrap, [topic])[0].ends.items()}
        raw, polled, decoded = 0.0, 0.0, 0.0
        for _ in range(rounds):
            raw = max(raw, raw_loop(place.bootstrap, topic, messages))
            polled = max(polled, source_loop(place.bootstrap, topic, ends, decode=False))
            decoded = max(decoded, source_loop(place.bootstrap, topic, ends, decode=True))
        middle, tail = delay(place.bootstrap, "bench-delay", seconds)
    loop = "raw consume()+value() loop"
    return {
        "bench": "kafka",
        "figures": [
            _figure(loop, raw, "messages/s"),
            _figure("kafka.source", polled, "messages/s", loop, polled / raw),
            _figure("kafka.source and decode", decoded, "messages/s", loop, decoded / raw),
            _figure(f"send to poll at {_RATE:,}/s, P50", middle, "ms"),
            _figure(f"send to poll at {_RATE:,}/s, P99", tail, "ms"),
        ],
    }


def _figure(
    name: str, value: float, unit: str, against: str | None = None, ratio: float | None = None
) -> dict[str, Any]:
    rounded = round(value) if value > 1000 else round(value, 2)
    return {
        "name": name,
        "value": rounded,
        "unit": unit,
        "against": against,
        "ratio": None if ratio is None else round(ratio, 2),
    }


def raw_loop(bootstrap: str, topic: str, messages: int) -> float:
    """Messages a second through ``consume(20_000)`` and ``value()``, from the first batch to the last."""
    from confluent_kafka import Consumer, TopicPartition

    from mevflow.bench.kafka_loop import SETTINGS

    client = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-raw", **SETTINGS})
    client.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    seen, began = 0, 0.0
    while seen < messages:
        batch = client.consume(20_000, 1.0)
        began = began or time.perf_counter()
        for message in batch:
            message.value()
        seen += len(batch)
    rate = seen / (time.perf_counter() - began)
    client.close()
    return rate


def source_loop(bootstrap: str, topic: str, ends: dict[int, int], decode: bool) -> float:
    """Messages a second through the source, from the first batch to the last; decoded or not."""
    from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings

    settings: dict[str, Any] = {"bootstrap": bootstrap, "topic": topic, "start": "earliest", "stop_offsets": ends}
    source = KafkaSource(KafkaSourceSettings.model_validate(settings), StageContext("bench", "swaps"))
    source.open(None)
    seen, began = 0, 0.0
    while True:
        poll = source.poll()
        for _, batch in poll.batches:
            began = began or time.perf_counter()
            seen += batch.num_rows
            if decode:
                codec(_MESSAGE).decode(batch.column("value"))
        if poll.ended:
            break
        if not poll.batches:
            time.sleep(0.0005)
    rate = seen / (time.perf_counter() - began)
    source.close()
    return rate


def delay(bootstrap: str, topic: str, seconds: float) -> tuple[float, float]:
    """P50 and P99, in milliseconds, from a send in another process to the poll that gives it, at 50,000 a second."""
    from mevflow.sources.kafka.source import KafkaSource, KafkaSourceSettings

    settings: dict[str, Any] = {"bootstrap": bootstrap, "topic": topic, "start": "latest"}
    source = KafkaSource(KafkaSourceSettings.model_validate(settings), StageContext("bench", "delay"))
    source.open(None)
    command = [sys.executable, "-m", "mevflow.bench.kafka", bootstrap, topic, str(seconds)]
    sender = subprocess.Popen(command, env=environment())
    delays: list[np.ndarray] = []
    idle_since = time.monotonic()
    while sender.poll() is None or time.monotonic() - idle_since < 0.5:
        poll = source.poll()
        now = time.time_ns()
        for _, batch in poll.batches:
            values = batch.column("value")
            size = len(values[0].as_py())
            words = np.frombuffer(values.buffers()[2], np.uint8).reshape(-1, size)[:, :8]
            delays.append(now - np.ascontiguousarray(words).view(np.int64).ravel())
            idle_since = time.monotonic()
        if not poll.batches:
            time.sleep(0.001)
    source.close()
    all_ms = np.concatenate(delays)[_RATE:] / 1e6  # the first second warms up
    middle, tail = np.percentile(all_ms, [50, 99])
    return float(middle), float(tail)


def _send(bootstrap: str, topic: str, seconds: float) -> None:
    """Send 300-byte messages that begin with the time they are sent at, 50,000 a second in steps of a millisecond."""
    from confluent_kafka import Producer

    client = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "compression.type": "lz4"})
    rest = bytes(292)
    sent = 0
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        for _ in range(int(passed * _RATE) - sent):
            client.produce(topic, time.time_ns().to_bytes(8, "little") + rest, partition=sent % PARTITIONS)
            sent += 1
        client.poll(0)
        time.sleep(0.001)
    client.flush(10)


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
    from mevflow.sinks.kafka.sink import KafkaSink, KafkaSinkSettings

    settings = KafkaSinkSettings.model_validate({"bootstrap": bootstrap, "topic": topic, "key": key})
    sink = KafkaSink(settings, StageContext("bench", "fill"))
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


if __name__ == "__main__":
    _send(sys.argv[1], sys.argv[2], float(sys.argv[3]))
