"""A shard in a process of its own, on the real broker, and a hand on its commands."""

import itertools
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec, shape_of
from mevflow.flows.runtime.status import shard_status
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.flows.steering.protocol import ACKS, COMMANDS, HEARTBEATS, command_key
from mevflow.kafka.topics import TOPICS, create
from mevflow.processes.environment import environment
from mevflow.v1.control_pb2 import ControlAck, ControlCommand, Heartbeat
from tests.flows.steering import steerable

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}, recovery: {{epoch_s: 0.2}}}}
topologies:
  {name}:
    control: {control}
    nodes:
      numbers: {{use: steer.count, with: {{idle_file: "{root}/idle"}}}}
      scaled: {{use: steer.gain, from: numbers}}
      kept: {{use: steer.file, from: scaled, with: {{path: "{root}/out.txt"}}}}
"""
CONTROL_TOPICS = tuple(spec for spec in TOPICS if spec.name.startswith("control-"))


class Hand:
    """Sends commands for one topology, and reads what its shard says."""

    def __init__(self, bootstrap, topology):
        from confluent_kafka import Producer

        self.bootstrap, self.topology = bootstrap, topology
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 0})
        self._ids = itertools.count()

    def send(self, kind, version=1, *, target="", payload=b"", topology=None, **fields):
        """Send a command; gives it once the broker has it."""
        topology = self.topology if topology is None else topology
        fields.setdefault("nonce", uuid.uuid4().bytes)
        fields.setdefault("command_id", f"{self.topology}-{kind}-{version}-{next(self._ids)}")
        command = ControlCommand(
            topology=topology, kind=kind, target=target, version=version, payload=payload, **fields
        )
        return self.again(command)

    def again(self, command):
        key = command_key(command.topology, command.kind, command.target)
        self._producer.produce(COMMANDS, command.SerializeToString(), key=key)
        assert self._producer.flush(20) == 0
        return command

    def acks(self, *commands, wait_s=10.0, count=None, still_s=0.0):
        """The answers to some commands (none: what the shard did by itself), once there are ``count``."""
        wanted = {command.command_id for command in commands}
        count = max(1, len(wanted)) if count is None else count
        found = []
        for row in self._read(ACKS, ControlAck, wait_s):
            if row is None:
                if len(found) >= count:
                    break
                continue
            by_itself = not wanted and row.command_id.startswith("local-")
            if row.topology == self.topology and (row.command_id in wanted or by_itself):
                found.append(row)
        if still_s:
            time.sleep(still_s)
            return self.acks(*commands, wait_s=wait_s, count=len(found))
        assert len(found) >= count, found
        return found

    def beats(self, until, wait_s=10.0):
        """Heartbeats up to the first that ``until`` holds of."""
        found = []
        for row in self._read(HEARTBEATS, Heartbeat, wait_s):
            if row is not None and row.topology == self.topology:
                found.append(row)
                if until(row):
                    return found
        raise AssertionError(found[-3:])

    def _read(self, topic, kind, wait_s):
        """Every row from the start of a topic; None whenever all that is there has been read."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": uuid.uuid4().hex,
                "enable.partition.eof": True,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )
        parts = list(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for part in parts])
        deadline = time.monotonic() + wait_s
        ends = set()
        try:
            while time.monotonic() < deadline:
                message = consumer.poll(0.1)
                if message is None:
                    if len(ends) == len(parts):
                        yield None
                elif message.error() is None:
                    yield kind.FromString(message.value())
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ends.add(message.partition())
                    if len(ends) == len(parts):
                        yield None
        finally:
            consumer.close()


class Shard(Hand):
    """One shard of a topology of its own."""

    def __init__(self, bootstrap, folder: Path, control="{}", text=FILE, **names):
        super().__init__(bootstrap, f"t-{uuid.uuid4().hex[:8]}")
        self.root, self.var = folder, folder / "var"
        self.file = folder / "t.yaml"
        self.file.write_text(
            text.format(bootstrap=bootstrap, name=self.topology, root=folder, control=control, **names)
        )
        self.layout = Layout.live(self.var, self.topology).make()
        self.spec = RunSpec(
            file=str(self.file),
            topology=self.topology,
            root=str(self.layout.root),
            var=str(self.var),
            shards=1,
            shape=shape_of(resolve(load(self.file), self.topology)),
            epoch_s=0.2,
        )
        self.process = None

    def start(self, wait=True):
        self.layout.status(0).unlink(missing_ok=True)
        command = [sys.executable, "-m", "mevflow.flows.runtime.shard", str(self.spec.save()), "0"]
        with self.layout.log(0).open("ab") as log:
            self.process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
        if wait:
            self.wait(lambda: shard_status(self.layout, 0).get("state") == "running", "the shard runs")
        return self

    def wait(self, what, name, seconds=20.0):
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"{name}: not after {seconds} s\n{self.layout.log(0).read_text()}"
            time.sleep(0.01)

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            code = self.process.wait(30)
            self.process = None
            return code
        return None

    @property
    def run_id(self):
        return shard_status(self.layout, 0)["control_run"]

    def idle(self, yes=True):
        path = self.root / "idle"
        path.touch() if yes else path.unlink(missing_ok=True)

    def rows(self):
        """(n, scaled, when) of every line that is whole."""
        path = self.root / "out.txt"
        text = path.read_text() if path.exists() else ""
        return [
            (int(n), int(scaled), float(at))
            for n, scaled, at in (line.split() for line in text[: text.rfind("\n") + 1].splitlines())
        ]

    def gain(self):
        """By which the last row was multiplied."""
        n, scaled, _ = self.rows()[-1]
        return scaled // n

    def wait_rows(self, more=20):
        before = len(self.rows())
        self.wait(lambda: len(self.rows()) >= before + more, "rows come")


@pytest.fixture
def plugin(tmp_path_factory, monkeypatch):
    site = tmp_path_factory.mktemp("site")
    steerable.install(site)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def make_shard(kafka_broker, plugin, tmp_path):
    create(kafka_broker, CONTROL_TOPICS)
    made = []

    def make(control="{}", bootstrap=kafka_broker, **given):
        made.append(Shard(bootstrap, tmp_path, control, **given))
        return made[-1]

    yield make
    for shard in made:
        if shard.process is not None:
            shard.process.kill()
            shard.process.wait()
