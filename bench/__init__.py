"""Benches: each prints ratios against a peer or a limit that runs in the same command.

``mevflow bench NAME`` runs one; ``python -m mevflow.bench.report`` runs all and writes ``docs/benchmarks.md``.
A bench is a module with ``run() -> {"bench", "figures": [{"name", "value", "unit", "against", "ratio"}]}``.
"""

from __future__ import annotations

#: Name -> what is measured.
BENCHES = {
    "pipeline": "Kafka -> decode -> detect -> ClickHouse, beside the raw loop, Faust and plain Bytewax",
    "peers": "the peers' job on Flink, Kafka Streams and a plain consumer in Java, beside ours and the raw loop",
    "clickhouse": "rows a second through the ClickHouse sink",
    "websocket": "messages a second to 1, 10 and 100 WebSocket clients",
    "detect": "events a second through the detection kernel",
    "kafka": "messages a second through the Kafka source, beside consume()+value()",
    "decide": "decisions a second",
    "learn": "reward, regret, exactness and speed of the learners, beside river, MABWiser and Vowpal Wabbit",
    "split": "splits over parallel pools a second, beside a generic convex solver",
    "latency": "event in Kafka to decision out, by profile and messages a second",
    "control": "status calls and policies: gRPC and HTTP, with TLS and without",
    "stacks": "an empty call on the stacks that the control service could stand on",
    "swap": "100 model swaps at 20,000 messages a second: lost, doubled, late, and how long they take",
    "kill": "kill command to the last decision at 100,000 messages a second",
    "start": "a shard's process to its first message, and short commands, with warm caches",
}
