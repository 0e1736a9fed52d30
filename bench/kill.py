"""From the kill command to the last decision, under load: how long a shard goes on deciding once it is told to stop.

A producer in its own process sends synthetic swaps at the rate. This process kills and releases in turn, by commands on
``control-commands``, and reads the shard's answers. The broker stamps each decision as it is appended to
``mev-decisions`` (to the millisecond). What is measured begins before the command is handed to Kafka and ends with the
stamp of the last decision. All clocks are the machine's one; broker and clients share its cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

import numpy as np

from mevflow.bench.latency import TOPOLOGY
from mevflow.bench.market import SyntheticMarket
from mevflow.bench.stand import ROOT, Stand, stand
from mevflow.flows.steering.protocol import ACKS, COMMANDS, command_key
from mevflow.processes.environment import environment

RATE = 100_000
CYCLES = 30
CYCLE_S = 0.36
WARM_S = 20.0
PULSE_S = 1.0
BAR_MS = 50.0
NAME = "latency"
DECISIONS = "mev-decisions"
#: Gaps are opened often, so that decisions are a few milliseconds apart and the last one says something.
SHOCKS = 0.0005
CHUNK_MS = 5


def run(rate: int = RATE, cycles: int = CYCLES) -> dict[str, Any]:
    """Deploy, send at ``rate``, kill and release ``cycles`` times; percentiles over the cycles."""
    from mevflow.flows.runtime import deploy

    with stand(clickhouse=False) as place:
        file = place.folder / "kill.yaml"
        file.write_text(TOPOLOGY.format(bootstrap=place.bootstrap, root=ROOT))
        var = place.folder / "var"
        send_pools(place)
        _stamp_by_broker(place.bootstrap)
        deploy.start(deploy.prepare(file, NAME, var, shards=None, fresh=False))
        try:
            total = int(rate * (WARM_S + cycles * CYCLE_S + 1.0))
            sending = sender(place.bootstrap, str(rate), str(total))
            assert sending.stdout is not None
            sending.stdout.readline()  # all swaps are made: it begins
            switched = _switch(place.bootstrap, cycles)
            sent = json.loads(sending.communicate(timeout=120)[0])
        finally:
            deploy.stop(NAME, var)
        emitted = _stamps(place.bootstrap)
    return {"bench": "kill", "figures": _figures(switched, emitted, total / sent["seconds"], rate)}


def _figures(
    switched: list[tuple[float, float, float, float]], emitted: np.ndarray, real: float, rate: int
) -> list[dict[str, Any]]:
    figures = [_figure("messages sent a second", real, "messages/s", f"asked: {rate}", real / rate)]
    last, acked, resumed, busy = [], [], [], []
    for (killed, kill_ack, released, release_ack), end in zip(
        switched, [*(at[0] for at in switched[1:]), float("inf")], strict=True
    ):
        busy.append(np.count_nonzero((emitted >= killed - 0.1) & (emitted < killed)) / 0.1)
        after = emitted[(emitted >= killed) & (emitted < released)]
        last.append(1000 * (after[-1] - killed) if len(after) else 0.0)
        acked += [1000 * (kill_ack - killed), 1000 * (release_ack - released)]
        again = emitted[(emitted >= released) & (emitted < end)]
        if len(again):
            resumed.append(1000 * (again[0] - released))
    figures.append(
        _figure("decisions a second before a kill, median", float(np.median(busy)), "decisions/s", None, None)
    )
    for what, values in (("kill to last decision", last), ("command to answer", acked), ("release to first", resumed)):
        if not values:
            raise RuntimeError(f"nothing was measured: {what}")
        for name, share in (("P50", 50), ("P99", 99), ("max", 100)):
            value = float(np.percentile(values, share))
            bar = what.startswith("kill") and name == "P99"
            against = f"bar: {BAR_MS:g} ms" if bar else None
            figures.append(_figure(f"{what}, {name}", value, "ms", against, value / BAR_MS if bar else None))
    figures.append(_figure("kills", len(last), "kills", None, None))
    return figures


def _figure(name: str, value: float, unit: str, against: str | None, ratio: float | None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def _switch(bootstrap: str, cycles: int) -> list[tuple[float, float, float, float]]:
    """Beat as the control service does until all is warm, then kill and release: when each was sent and answered."""
    from confluent_kafka import Producer

    from mevflow.v1.control_pb2 import ControlCommand

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all"})
    answers = CommandAnswers(bootstrap)

    def send(kind: str, version: int) -> tuple[float, str]:
        identifier = uuid.uuid4().hex
        command = ControlCommand(
            command_id=identifier, topology=NAME, kind=kind, version=version, nonce=uuid.uuid4().bytes
        )
        key = command_key(NAME, kind, "")
        began = time.time()
        producer.produce(COMMANDS, command.SerializeToString(), key=key)
        producer.poll(0)
        return began, identifier

    for beat in range(int(WARM_S / PULSE_S)):
        send("pulse", beat + 1)
        time.sleep(PULSE_S)
    times = []
    for cycle in range(cycles):
        began = time.time()
        killed, kill_id = send("kill", 2 * cycle + 1)
        time.sleep(CYCLE_S * 0.5)
        released, release_id = send("release", 2 * cycle + 2)
        times.append((killed, kill_id, released, release_id))
        time.sleep(max(0.0, began + CYCLE_S - time.time()))
    producer.flush(10)
    at = answers.close({identifier for _, k, _, r in times for identifier in (k, r)})
    return [(killed, at[k], released, at[r]) for killed, k, released, r in times]


class CommandAnswers:
    """When each command's answer arrived, noted in a thread."""

    def __init__(self, bootstrap: str) -> None:
        from confluent_kafka import Consumer, TopicPartition

        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "fetch.wait.max.ms": 100}
        )
        self._consumer.assign([TopicPartition(ACKS, number, 0) for number in range(4)])
        self._at: dict[str, float] = {}
        #: What shards said that did not apply a command.
        self.refusals: list[str] = []
        self._wanted: set[str] | None = None
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        from mevflow.v1.control_pb2 import ControlAck

        deadline = None
        while deadline is None or (time.time() < deadline and not self._wanted <= set(self._at)):  # type: ignore[operator]
            if deadline is None and self._wanted is not None:
                deadline = time.time() + 10
            message = self._consumer.poll(0.02)
            if message is not None and message.error() is None:
                ack = ControlAck.FromString(message.value() or b"")
                self._at.setdefault(ack.command_id, time.time())
                if ack.status != ControlAck.APPLIED:
                    self.refusals.append(f"{ack.reason}: {ack.detail}")

    def close(self, wanted: set[str]) -> dict[str, float]:
        """The times of ``wanted``, once all are there."""
        self._wanted = wanted
        self._thread.join()
        self._consumer.close()
        return self._at


def _stamp_by_broker(bootstrap: str) -> None:
    """Have the broker write its own time into decisions instead of chain time."""
    from confluent_kafka.admin import (
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, DECISIONS, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(10)


def _stamps(bootstrap: str) -> np.ndarray:
    """When the broker took each decision, in seconds, in order."""
    from confluent_kafka import Consumer, TopicPartition

    from mevflow.kafka.topics import listing

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex})
    (topic,) = listing(bootstrap, [DECISIONS])
    consumer.assign([TopicPartition(DECISIONS, number, 0) for number in topic.ends])
    found: list[float] = []
    while len(found) < topic.messages:
        found += [message.timestamp()[1] / 1000 for message in consumer.consume(1000, 1.0) if message.error() is None]
    consumer.close()
    return np.sort(np.array(found))


def send_pools(place: Stand) -> None:
    """The pools of the synthetic market."""
    sink = _sink(place.bootstrap, "pool-updates-proto")
    sink.write(SyntheticMarket().updates())
    sink.snapshot()
    sink.close()


def _sink(bootstrap: str, topic: str) -> Any:
    from mevflow.operators.stage import StageContext
    from mevflow.sinks.kafka.sink import KafkaSink

    settings = KafkaSink.settings_type.model_validate(
        {"bootstrap": bootstrap, "topic": topic, "key": "pool", "linger_ms": 0}
    )
    sink = KafkaSink(settings, StageContext("bench", "send"))
    sink.open(None)
    return sink


def sender(*arguments: str) -> subprocess.Popen[str]:
    """A process that sends swaps: bootstrap, messages a second, how many. It prints a line when it begins."""
    command = [sys.executable, "-m", "mevflow.bench.kill", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)


def send(bootstrap: str, rate: int, total: int) -> None:
    """Send ``total`` swaps in chunks of 5 ms, each at its time. They are encoded before: the rate is the load."""
    from mevflow.operators.codec import codec
    from mevflow.sinks.kafka.producer import open_producer

    swap = codec("mevflow.v1.Swap")
    chunks = [
        (swap.encode(part), part.column("pool"), part.column("timestamp_us").to_numpy())
        for batch in SyntheticMarket(shock_rate=SHOCKS).swaps(total)
        for at in range(0, batch.num_rows, rate * CHUNK_MS // 1000)
        for part in (batch.slice(at, rate * CHUNK_MS // 1000),)
    ]
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 5, "compression.type": "lz4", "partitioner": "murmur2"}
    producer = open_producer("dex-swaps-proto", {**settings, "queue.buffering.max.messages": 1_000_000})
    print("made", flush=True)
    began = time.time()
    for number, (values, keys, times_us) in enumerate(chunks):
        time.sleep(max(0.0, began + number * CHUNK_MS / 1000 - time.time()))
        producer.send(values, keys, times_us)
        producer.serve()
    seconds = time.time() - began
    producer.flush(30)
    producer.close()
    print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
