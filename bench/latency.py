"""From an event's send to its decision's arrival, through Kafka twice, at a steady rate.

A producer in its own process sends synthetic swaps at the rate and notes when each chunk was handed to Kafka; a
consumer in its own process reads ``mev-decisions`` and notes when each arrived. Both use the machine's one clock. What
lies between is Kafka, source, decode, detection, decision and Kafka again; with broker and clients on the same two
cores. Each profile of a topology is measured in a stand of its own, the one for latency at two rates.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from mevflow.bench.market import FIRST_SLOT, SWAPS_A_SLOT, SyntheticMarket
from mevflow.bench.stand import ROOT, Stand, stand
from mevflow.processes.environment import environment

SECONDS = 15
WARM_SECONDS = 5
CHUNK_MS = 5


class Case(NamedTuple):
    """A profile at ``rate`` messages a second, and what is asked of its percentiles, in milliseconds."""

    profile: str
    rate: int
    aims_ms: dict[str, float]


CASES = (
    Case("latency", 50_000, {"P50": 5.0, "P99": 15.0}),
    Case("latency", 5_000, {"P50": 2.0, "P99": 8.0}),
    Case("throughput", 50_000, {}),
)

TOPOLOGY = """\
version: 1
defaults:
  kafka: {{bootstrap: "{bootstrap}"}}
topologies:
  latency:
    profile: {profile}
    nodes:
      swaps: {{use: kafka.source, with: {{topic: dex-swaps-proto, start: earliest}}}}
      updates: {{use: kafka.source, with: {{topic: pool-updates-proto, start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      pools: {{use: decode, from: updates, with: {{message: mevflow.v1.PoolUpdate}}}}
      found:
        use: arbitrage.detect
        from: {{swaps: decoded, updates: pools}}
        with: {{registry: {root}/examples/pools.yaml, max_hops: 3, min_profit_usd: 0.05}}
      decided: {{use: bandit.decide, from: {{in: found.opportunities, swaps: found.swaps}}}}
      decisions:
        use: kafka.sink
        from: decided.decisions
        with: {{topic: mev-decisions, key: opportunity_id}}
      rejects: {{use: discard.sink, from: [decoded.errors, pools.errors, found.errors, decided.errors]}}
"""


def run() -> dict[str, Any]:
    """Every case, 20 s each: the percentiles of what came back after the first 5."""
    return {"bench": "latency", "figures": [figure for case in CASES for figure in _measured(case)]}


def _measured(case: Case) -> list[dict[str, Any]]:
    from mevflow.flows.runtime import deploy

    with stand(clickhouse=False) as place:
        file = place.folder / "latency.yaml"
        file.write_text(TOPOLOGY.format(bootstrap=place.bootstrap, root=ROOT, profile=case.profile))
        var = place.folder / "var"
        _send_pools(place)
        deploy.start(deploy.prepare(file, "latency", var, shards=None, fresh=False))
        try:
            total = case.rate * (SECONDS + WARM_SECONDS)
            reader = _process("read", place.bootstrap, str(total))
            time.sleep(2)
            sender = _process("send", place.bootstrap, str(case.rate), str(total))
            sent = json.loads(sender.communicate(timeout=120)[0])
            arrived = json.loads(reader.communicate(timeout=60)[0])
        finally:
            deploy.stop("latency", var)
    return _figures(sent, arrived, case, total)


def _figures(sent: dict[str, Any], arrived: dict[str, Any], case: Case, total: int) -> list[dict[str, Any]]:
    sent_s = np.array(sent["sent_s"])
    sequence = np.array(arrived["sequence"], np.int64)
    waited_ms = 1000 * (np.array(arrived["arrived_s"]) - sent_s[sequence // sent["chunk"]])
    kept = waited_ms[sequence >= case.rate * WARM_SECONDS]
    if not len(kept):
        raise RuntimeError("no decision arrived")
    which, real = f"profile {case.profile}, {case.rate:,}/s", total / sent["seconds"]
    figures = [_figure(f"{which}: messages sent", real, "messages/s", f"asked: {case.rate}", real / case.rate)]
    figures.append(_figure(f"{which}: decisions measured", len(kept), "decisions", None, None))
    for name, share in (("P50", 50), ("P90", 90), ("P99", 99), ("max", 100)):
        value, aim = float(np.percentile(kept, share)), case.aims_ms.get(name)
        against = None if aim is None else f"aim: {aim:g} ms"
        figures.append(
            _figure(f"{which}: send to decision, {name}", value, "ms", against, None if aim is None else value / aim)
        )
    return figures


def _figure(name: str, value: float, unit: str, against: str | None, ratio: float | None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def _send_pools(place: Stand) -> None:
    from mevflow.operators.stage import StageContext
    from mevflow.sinks.kafka.sink import KafkaSink

    settings = KafkaSink.settings_type.model_validate(
        {"bootstrap": place.bootstrap, "topic": "pool-updates-proto", "key": "pool"}
    )
    sink = KafkaSink(settings, StageContext("bench", "pools"))
    sink.open(None)
    sink.write(SyntheticMarket().updates())
    sink.snapshot()
    sink.close()


def _process(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mevflow.bench.latency", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)


def send(bootstrap: str, rate: int, total: int) -> None:
    """Send ``total`` swaps in chunks of 5 ms, each at its time; print when each chunk was handed over."""
    from mevflow.operators.stage import StageContext
    from mevflow.sinks.kafka.sink import KafkaSink

    chunk = rate * CHUNK_MS // 1000
    settings = KafkaSink.settings_type.model_validate(
        {"bootstrap": bootstrap, "topic": "dex-swaps-proto", "key": "pool", "linger_ms": 0}
    )
    sink = KafkaSink(settings, StageContext("bench", "send"))
    sink.open(None)
    chunks = [
        batch.slice(at, chunk) for batch in SyntheticMarket().swaps(total) for at in range(0, batch.num_rows, chunk)
    ]
    began = time.time() + 0.5
    sent = []
    for number, batch in enumerate(chunks):
        time.sleep(max(0.0, began + number * CHUNK_MS / 1000 - time.time()))
        sent.append(time.time())
        sink.write(batch)
    seconds = time.time() - began
    sink.snapshot()
    sink.close()
    print(json.dumps({"chunk": chunk, "sent_s": sent, "seconds": seconds}), flush=True)


def read(bootstrap: str, total: int) -> None:
    """Read decisions until none comes for 5 s after the first; print which swap each answers and when it came."""
    from confluent_kafka import Consumer, TopicPartition

    from mevflow.v1.decision_pb2 import Decision

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-latency",
            "fetch.wait.max.ms": 5,
            "fetch.queue.backoff.ms": 2,
        }
    )
    consumer.assign([TopicPartition("mev-decisions", number, 0) for number in range(8)])
    sequence: list[int] = []
    arrived: list[float] = []
    patience = 40.0
    last = time.time()
    while time.time() - last < patience:
        for message in consumer.consume(1000, 0.005):
            now = time.time()
            decision = Decision.FromString(message.value() or b"")
            sequence.append((decision.slot - FIRST_SLOT) * SWAPS_A_SLOT + decision.tx_index)
            arrived.append(now)
            last, patience = now, 5.0
    consumer.close()
    print(json.dumps({"sequence": sequence, "arrived_s": arrived}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        read(sys.argv[2], int(sys.argv[3]))
