"""One run's topology: its topics, database and folder; deploy it, feed it, ask how it is, end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from mevflow.clickhouse.client import connect
from mevflow.clickhouse.migrate import migrate
from mevflow.flows.runtime import deploy
from mevflow.flows.runtime.claim import holders
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec
from mevflow.kafka.topics import TopicSpec, create
from mevflow.operators.errors import MevflowError
from mevflow.processes.background import ProcessId
from mevflow.processes.environment import environment
from mevflow.sinks.websocket.hub import hub_status
from tests.chaos.place import Place, mount, unmount
from tests.chaos.stream import Record
from tests.chaos.topologies import BODY, INPUTS, OUTPUTS, SHARDS

ROOT = Path(__file__).resolve().parents[2]
#: What the folder of a run has for its state, and a fault can fill.
_RUN_MB = 24
#: Nothing of a run stands still for longer than this unless it is stuck.
STALL_S = 120.0


class Stalled(Exception):
    """Something did not get on."""


class World:
    """A topology of ``kind`` whose names no other run uses."""

    def __init__(self, place: Place, kind: str, name: str) -> None:
        self.place, self.kind, self.name = place, kind, name
        self.prefix, self.database = f"{name}-", f"chaos_{name.replace('-', '_')}"
        self.var = place.folder / name
        self.layout = Layout.live(self.var, kind)
        self.file = place.folder / f"{name}.yaml"
        self.ending = False
        self._deploying = threading.Lock()
        body = BODY[kind].format(
            bootstrap=place.bootstrap, port=place.clickhouse_port, database=self.database, hub_port=place.hub_port,
            name=kind, prefix=self.prefix, root=ROOT,
        )  # fmt: skip
        self.file.write_text(body)
        outputs = [TopicSpec(self.prefix + topic, 2) for topic in (*INPUTS, *OUTPUTS[kind])]
        create(place.bootstrap, tuple(outputs))
        with connect(port=place.clickhouse_port) as client:
            migrate(client, self.database)
        self.own_disk = mount(self.layout.root, _RUN_MB)
        self._producer = Producer(
            {"bootstrap.servers": place.bootstrap, "enable.idempotence": True, "linger.ms": 5, "log_level": 0,
             "message.timeout.ms": 300_000}
        )  # fmt: skip

    def send(self, records: list[Record], wait: bool = False) -> None:
        """Hand records to Kafka in their order."""
        for record in records:
            while True:
                try:
                    self._producer.produce(
                        self.prefix + record.topic,
                        record.value,
                        partition=record.partition,
                        timestamp=record.time_ms,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                        raise
                    with suppress(KafkaException):  # the producer has not heard of the partition yet
                        self._producer.list_topics(timeout=5.0)
                    time.sleep(0.1)
        self._producer.poll(0)
        if wait and self._producer.flush(STALL_S):
            raise Stalled("the broker does not take records")

    def add_partition(self) -> None:
        """Give the topic of swaps a third partition, however long the broker is away."""
        deadline = time.monotonic() + STALL_S
        while True:
            try:
                admin = AdminClient({"bootstrap.servers": self.place.bootstrap, "log_level": 0})
                made = admin.create_partitions([NewPartitions(f"{self.prefix}swaps", 3)], request_timeout=10)
                for done in made.values():
                    done.result(15)
                return
            except Exception as error:
                if "already" in str(error) or "has 3 partitions" in str(error):
                    return
                if time.monotonic() > deadline:
                    raise Stalled(f"no partition could be added: {error}") from error
                time.sleep(0.2)

    def deploy(self) -> None:
        """Deploy as an operator does: again and again until it runs. Raises Stalled."""
        with self._deploying:
            seen, deadline = self.signs(), time.monotonic() + STALL_S
            while not self.ending:
                try:
                    deploy.start(deploy.prepare(self.file, self.kind, self.var, shards=self.shards, fresh=False))
                    return
                except MevflowError as error:
                    why = str(error)
                    if "already deployed" in why and self.supervisor is not None:
                        return
                now = self.signs()
                if now != seen:
                    seen, deadline = now, time.monotonic() + STALL_S
                elif time.monotonic() > deadline:
                    raise Stalled(f"cannot be deployed again: {why}")
                time.sleep(0.2)

    def command(self, *words: str) -> subprocess.Popen[str]:
        """A command line of its own process."""
        return subprocess.Popen(
            [sys.executable, "-m", "mevflow.cli", *words, "--json"],
            env=environment() | {"MEVFLOW_VAR": str(self.var), "MEVFLOW_KAFKA__BOOTSTRAP": self.place.bootstrap},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def shards(self) -> int:
        """How many it is deployed with."""
        with suppress(MevflowError, OSError):
            if self.layout.spec.exists():
                return RunSpec.load(self.layout.spec).shards
        return SHARDS[self.kind]

    @property
    def supervisor(self) -> ProcessId | None:
        """The living supervisor."""
        return ProcessId.load(self.layout.supervisor)

    def shard_pids(self) -> list[int]:
        """Living shards, whoever started them."""
        return [process.pid for process in deploy.orphans(self.layout)]

    def hub_pid(self) -> int | None:
        """The hub that the topology started."""
        found = hub_status(self.place.hub_port)
        return found.pid if found else None

    def well_since(self, moment_s: float) -> bool:
        """Whether every shard has said after ``moment_s`` (``time.time``) that it runs and has read all there is."""
        if self.supervisor is None:
            return False
        for shard in range(self.shards):
            said = deploy.shard_status(self.layout, shard)
            if said.get("updated_s", 0.0) <= moment_s or said.get("state") != "running":
                return False
            if not said.get("caught_up") or said.get("behind") or ProcessId.of(said["pid"]) is None:
                return False
        return True

    def signs(self) -> tuple[Any, ...]:
        """What changes for as long as something gets on."""
        said = [deploy.shard_status(self.layout, shard) for shard in range(self.shards)]
        return (
            *[(one.get("pid"), one.get("state"), one.get("behind"), str(one.get("nodes"))) for one in said],
            tuple(self.shard_pids()),
        )

    def settle(self) -> None:
        """Wait until all that was sent is read. Raises Stalled when nothing changes any more."""
        if self._producer.flush(STALL_S):
            raise Stalled("the broker does not take records")
        began = time.time()
        seen, deadline = self.signs(), time.monotonic() + STALL_S
        while not self.well_since(began + 0.5):
            now = self.signs()
            if now != seen:
                seen, deadline = now, time.monotonic() + STALL_S
            elif time.monotonic() > deadline:
                raise Stalled(f"stands still: {seen}")
            if self.supervisor is None:
                self.deploy()
            time.sleep(0.1)

    def stop(self) -> int:
        """Drain it; how many processes of it are left (none, if all is well)."""
        deploy.stop(self.kind, self.var, STALL_S)
        left = {process.pid for process in holders(self.layout.claim)} | set(_mentioning(str(self.layout.root)))
        return len(left)

    def remove(self) -> None:
        """Leave nothing behind, whatever runs still."""
        self.ending = True
        for process in [self.supervisor, *deploy.orphans(self.layout)]:
            if process is not None:
                process.signal(signal.SIGKILL)
                process.wait(5)
        if self.own_disk:
            unmount(self.layout.root)
        with suppress(MevflowError), connect(port=self.place.clickhouse_port) as client:
            client.command(f"DROP DATABASE IF EXISTS {self.database} SYNC")
        admin = AdminClient({"bootstrap.servers": self.place.bootstrap, "log_level": 0})
        admin.delete_topics([self.prefix + topic for topic in (*INPUTS, *OUTPUTS[self.kind])], request_timeout=5)


def _mentioning(text: str) -> list[int]:
    """Living processes, this one left out, that have ``text`` in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        with suppress(OSError):
            if pid != os.getpid() and text.encode() in (folder / "cmdline").read_bytes() and ProcessId.of(pid):
                found.append(pid)
    return found
