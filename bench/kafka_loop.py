"""The limit: ``consume()`` and ``value()`` in a loop with the best settings, nothing else.

Arguments and output as in ``peers/faust_peer.py``.
"""

from __future__ import annotations

import json
import sys
import time
import uuid

from confluent_kafka import Consumer, TopicPartition

SETTINGS = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "fetch.queue.backoff.ms": 2,
    "fetch.min.bytes": 50_000,
    "fetch.message.max.bytes": 4_194_304,
    "queued.max.messages.kbytes": 1_048_576,
    "check.crcs": False,
}


def main(bootstrap: str, topic: str, messages: int) -> None:
    """Read ``messages`` messages of all partitions and print how long it took from the first to the last."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, **SETTINGS})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    seen, size, began, began_cpu = 0, 0, 0.0, 0.0
    while seen < messages:
        batch = consumer.consume(20_000, 1.0)
        if batch and not began:
            began, began_cpu = time.perf_counter(), time.process_time()
        for message in batch:
            value = message.value()
            if value is not None:
                size += len(value)
        seen += len(batch)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    consumer.close()
    print(json.dumps({"messages": seen, "seconds": seconds, "cpu_s": cpu_s, "bytes": size}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
