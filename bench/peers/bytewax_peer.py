"""The job on plain Bytewax with its own KafkaSource. Arguments and output as in ``faust_peer``."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import bytewax.operators as op
import clickhouse_connect
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from mevflow.bench.peers.job import PeerJob


def main(bootstrap: str, topic: str, messages: int, port: int) -> None:
    """Run until ``messages`` have been handled, print the figure and leave."""
    job = PeerJob(clickhouse_connect.get_client(host="127.0.0.1", port=port))
    times: list[float] = []

    def handle(message: Any) -> None:
        if not times:
            times.extend((time.perf_counter(), time.process_time()))
        job.handle(message.value)
        if job.seen == messages:
            job.flush()
            seconds, cpu_s = time.perf_counter() - times[0], time.process_time() - times[1]
            told = {"messages": messages, "rows": job.found, "seconds": seconds, "cpu_s": cpu_s}
            print(json.dumps(told), flush=True)
            os._exit(0)

    class Nowhere(StatelessSinkPartition[Any]):
        def write_batch(self, items: list[Any]) -> None:
            pass

    class Null(DynamicSink[Any]):
        def build(self, step_id: str, worker_index: int, worker_count: int) -> Nowhere:
            return Nowhere()

    flow = Dataflow("peer")
    source = KafkaSource(
        [bootstrap], [topic], tail=False, batch_size=20_000, add_config={"fetch.queue.backoff.ms": "2"}
    )
    handled = op.map("handle", op.input("kafka", flow, source), handle)
    op.output("out", handled, Null())
    cli_main(flow)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
