"""What steered a live run, for its replay: who applied which command after which row, from the control topics.

``control-acks`` keeps every answer; ``control-commands`` is compacted, so the payload of a command that was replaced
may be gone from there: the audit record that the service writes before it sends a command has it. What neither holds,
and a row that the log no longer holds, is reported: such a command is left out.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from mevflow.flows.registry import with_state
from mevflow.flows.spec.preflight import broker_topics
from mevflow.flows.spec.resolve import ResolvedTopology
from mevflow.flows.steering.protocol import ACKS, AUDIT, COMMANDS, EVERY, ISSUED
from mevflow.flows.steering.recorded import LoggedRow, RecordedCommand
from mevflow.kafka.security import reach
from mevflow.operators.errors import MevflowError, UnreachableError
from mevflow.operators.stage import Stage
from mevflow.v1 import market_pb2
from mevflow.v1.control_pb2 import ControlAck, ControlAudit, ControlCommand

_ANSWER_S = 10.0


def recorded_commands(
    bootstrap: str, topology: ResolvedTopology, models: Path
) -> tuple[list[RecordedCommand], list[str]]:
    """The commands of the live runs in order, and why some are left out; ``models`` is the folder of the registry.

    Raises UnreachableError.
    """
    there = broker_topics(bootstrap)
    if ACKS not in there or COMMANDS not in there:
        return [], []
    commands = {row.command_id: row for _, row in _rows(bootstrap, COMMANDS, there[COMMANDS], ControlCommand)}
    if AUDIT in there:
        commands = _issued(_rows(bootstrap, AUDIT, there[AUDIT], ControlAudit)) | commands
    acks = _first_applied(topology.name, _rows(bootstrap, ACKS, there[ACKS], ControlAck))
    stages = [node.name for node in topology.nodes if issubclass(node.kind, Stage)]
    rows = _Rows(bootstrap, topology)
    found: list[RecordedCommand] = []
    lost: list[str] = []
    off: set[tuple[str, str]] = set()
    for ack in acks:
        command = commands.get(ack.command_id)
        if command is None and ack.command_id.startswith("local-"):
            command = ControlCommand(command_id=ack.command_id, kind="kill", topology="local")
        if command is None:
            lost.append(f"{ack.command_id} (version {ack.version}): neither the log nor the audit holds its payload")
            continue
        payload, told = command.payload, [ack.stage]
        if command.kind in ("kill", "release"):
            _switch(off, command)
            payload, told = msgspec.json.encode(sorted({scope for _, scope in off})), stages
        elif not ack.stage:
            continue  # a pause or a log level changes no result
        else:
            try:
                payload = with_state(payload, models)
            except MevflowError as error:
                lost.append(f"{ack.command_id} (version {ack.version}): {error.message}")
                continue
        place = rows.find(ack)
        if place is None and ack.offset >= 0:
            lost.append(f"{ack.command_id} (version {ack.version}): {ack.topic}[{ack.partition}]@{ack.offset} is gone")
            continue
        found += [
            RecordedCommand(stage, command.command_id, command.kind, command.target, command.version, payload, place)
            for stage in told
        ]
    rows.close()
    return found, lost


def _issued(records: Iterator[tuple[int, ControlAudit]]) -> dict[str, ControlCommand]:
    """The commands that the control service was about to send, by id."""
    found = {}
    for _, record in records:
        if record.status == ISSUED and record.command:
            with suppress(DecodeError):
                command = ControlCommand.FromString(record.command)
                found[command.command_id] = command
    return found


def _first_applied(topology: str, acks: Iterator[tuple[int, ControlAck]]) -> list[ControlAck]:
    """The first time that each command was applied by each stage, by time; of the lowest shard that answered."""
    mine = [ack for _, ack in acks if ack.topology == topology and ack.status == ControlAck.APPLIED]
    lowest = min((ack.shard for ack in mine), default=0)
    first: dict[tuple[str, str], ControlAck] = {}
    for ack in sorted(mine, key=lambda ack: ack.timestamp_us):
        if ack.shard == lowest:
            first.setdefault((ack.command_id, ack.stage), ack)
    return list(first.values())


def _switch(off: set[tuple[str, str]], command: ControlCommand) -> None:
    key = (command.topology or EVERY, command.target)
    if command.kind == "kill":
        off.add(key)
        return
    off.discard(key)
    if not command.target:
        off.discard(("local", ""))


def _consumer(bootstrap: str) -> Any:
    from confluent_kafka import Consumer

    return Consumer(
        {
            **reach(bootstrap),
            "group.id": f"mevflow-history-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )


def _rows(bootstrap: str, topic: str, partitions: int, kind: Any) -> Iterator[tuple[int, Any]]:
    """Every record of a small topic as it is now: (partition, message)."""
    from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

    consumer = _consumer(bootstrap)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
    left = set(range(partitions))
    while left:
        message = consumer.poll(_ANSWER_S)
        if message is None:
            consumer.close()
            raise UnreachableError(f"the broker at {bootstrap} stopped answering", topic=topic)
        if message.error() is None:
            if message.value() is not None:
                with suppress(DecodeError):  # a stranger's record costs itself alone
                    yield message.partition(), kind.FromString(message.value())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            left.discard(message.partition())
    consumer.close()


class _Rows:
    """Looks up source rows by topic, partition and offset."""

    def __init__(self, bootstrap: str, topology: ResolvedTopology) -> None:
        self._consumer = _consumer(bootstrap)
        sources: dict[str, str] = {node.name: getattr(node.settings, "topic", "") for node in topology.nodes}
        self._kinds = {
            sources.get(wire.source, ""): getattr(market_pb2, node.settings.message.rpartition(".")[2], None)  # type: ignore[attr-defined]
            for node in topology.of_use("decode")
            for wire in node.wires
        }
        self._known: dict[tuple[str, int, int], LoggedRow | None] = {}

    def find(self, ack: ControlAck) -> LoggedRow | None:
        """The row's place in the chain; None when the log does not hold it."""
        key = (ack.topic, ack.partition, ack.offset)
        if key not in self._known:
            self._known[key] = self._read(*key) if ack.offset >= 0 else None
        return self._known[key]

    def _read(self, topic: str, partition: int, offset: int) -> LoggedRow | None:
        from confluent_kafka import TopicPartition

        kind = self._kinds.get(topic)
        if kind is None:
            return None
        self._consumer.assign([TopicPartition(topic, partition, offset)])
        message = self._consumer.poll(_ANSWER_S)
        if message is None or message.error() is not None or message.offset() != offset:
            return None
        row = kind.FromString(message.value())
        return LoggedRow(row.chain, row.slot, row.tx_index, row.ix_index, row.timestamp_us)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()
