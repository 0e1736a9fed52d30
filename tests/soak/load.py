"""What a soak sends, in a process of its own: ``python -m tests.soak.load BOOTSTRAP TOPIC RATE SECONDS WHAT``.

``WHAT`` is ``good`` (swaps) or ``garbage``. Prints how many were sent, and how many seconds that took, as JSON.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pyarrow as pa

from mevflow.bench.columns import random_bytes
from mevflow.bench.market import SyntheticMarket
from mevflow.operators.codec import codec
from mevflow.sinks.kafka.producer import open_producer

_CHUNK_S = 0.02
_ROWS = 50_000


def send(bootstrap: str, topic: str, rate: int, seconds: float, what: str) -> tuple[int, float]:
    """Send at ``rate`` a second for ``seconds``; gives (messages, seconds)."""
    batch = next(SyntheticMarket().swaps(_ROWS, _ROWS))
    values, keys = codec("mevflow.v1.Swap").encode(batch), batch.column("pool")
    if what == "garbage":
        rows = random_bytes(np.random.default_rng(7), _ROWS, 60).to_pylist()
        values = pa.array([b"\x07" + row for row in rows], pa.binary())  # no tag: some random bytes are a Swap
    times_us = batch.column("timestamp_us").to_numpy()
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 5, "compression.type": "lz4", "partitioner": "murmur2"}
    producer = open_producer(topic, {**settings, "queue.buffering.max.messages": 1_000_000})
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = min(int(passed * rate) - sent, _ROWS)
        if due > 0:
            at = sent % _ROWS
            due = min(due, _ROWS - at)
            producer.send(pa.array(values.slice(at, due)), keys.slice(at, due), times_us[at : at + due])
            sent += due
        producer.serve()
        time.sleep(_CHUNK_S)
    producer.flush(60)
    taken = time.monotonic() - began
    producer.close()
    return sent, taken


if __name__ == "__main__":
    count, taken = send(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
    print(json.dumps({"sent": count, "seconds": taken}))
