"""The commands that steered a live run, for its replay: also those that compaction has taken from their topic."""

import json
import uuid

import pytest
from confluent_kafka import Producer

from mevflow.flows.replay.history import recorded_commands
from mevflow.flows.replay.plan import plan
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.flows.steering.protocol import ACKS, AUDIT, COMMANDS, ISSUED
from mevflow.kafka.topics import TOPICS, create
from mevflow.operators.errors import CheckFailedError
from mevflow.v1.control_pb2 import ControlAck, ControlAudit, ControlCommand
from mevflow.v1.market_pb2 import Swap

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}}}
topologies:
  {name}:
    nodes:
      swaps: {{use: kafka.source, with: {{topic: {topic}, start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      labelled: {{use: label, from: decoded}}
      kept: {{use: discard.sink, from: [labelled.labels, decoded.errors, labelled.errors]}}
"""


@pytest.fixture
def steered(kafka_broker, make_topic, send, tmp_path):
    """A topology with two swaps, and a hand on the control topics."""
    create(kafka_broker, tuple(spec for spec in TOPICS if spec.name.startswith("control-")))
    topic, name = make_topic(1), f"t-{uuid.uuid4().hex[:8]}"
    swaps = [Swap(chain=1, slot=5 + n, timestamp_us=5_000_000 + n, pool=b"p") for n in range(2)]
    send(topic, [(0, 5_000, swap.SerializeToString()) for swap in swaps])
    file = tmp_path / "t.yaml"
    file.write_text(FILE.format(bootstrap=kafka_broker, name=name, topic=topic))
    producer = Producer({"bootstrap.servers": kafka_broker})

    def write(to, *rows):
        for row in rows:
            producer.produce(to, row if isinstance(row, bytes) else row.SerializeToString(), key=b"x")
        assert producer.flush(20) == 0

    def applied(version, offset=0):
        command = ControlCommand(
            command_id=f"{name}-{version}", kind="policy", topology=name, target="labelled", version=version,
            payload=json.dumps({"version": version}).encode(),
        )  # fmt: skip
        ack = ControlAck(
            command_id=command.command_id, topology=name, stage="labelled", run_id="run", version=version,
            status=ControlAck.APPLIED, topic=topic, partition=0, offset=offset, timestamp_us=version,
        )  # fmt: skip
        write(ACKS, ack)
        return command

    return file, name, write, applied


def test_a_superseded_command_comes_from_the_audit(kafka_broker, steered, tmp_path):
    file, name, write, applied = steered
    first, second = applied(1), applied(2, offset=1)
    write(AUDIT, b"\xff no audit record", ControlAudit(status=ISSUED, command=first.SerializeToString()))
    write(COMMANDS, b"\xff no command", second)
    found, lost = recorded_commands(kafka_broker, resolve(load(file), name), tmp_path)
    assert lost == []
    assert [(command.version, command.payload, command.after.slot) for command in found] == [
        (1, b'{"version": 1}', 5),
        (2, b'{"version": 2}', 6),
    ]


def test_a_replay_that_cannot_give_the_same_answers_fails(steered, tmp_path):
    file, name, _, applied = steered
    applied(1)
    planned = plan(file, name, tmp_path, "again", from_us=None, to_us=None, to_clickhouse=False)
    with pytest.raises(CheckFailedError, match=rf"{name}-1 \(version 1\): neither the log nor the audit") as failed:
        planned.check()
    assert failed.value.exit_code == 4
    assert "--allow-lost-commands" in failed.value.hint
