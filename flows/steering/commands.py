"""The commands topic as a shard reads it: first to its end, then as it grows."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mevflow.flows.steering.protocol import COMMANDS, PULSE
from mevflow.flows.steering.signatures import Verifier
from mevflow.flows.steering.wellformed import fault_of
from mevflow.kafka.security import reach
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError
from mevflow.v1.control_pb2 import ControlCommand

log = logging.getLogger("mevflow.control")


class Read(NamedTuple):
    """A record's time and command. ``refused``: why its signature does not do; such a command is only answered."""

    time_ms: int
    command: ControlCommand
    refused: str = ""


class CommandLog:
    """The one partition of ``control-commands``, without a consumer group: every shard reads all of it."""

    def __init__(self, bootstrap: str, client_id: str, signed_by: str = "") -> None:
        """``signed_by``: a folder of public keys, one of which must have signed a command; empty: none need have."""
        from confluent_kafka import Consumer

        self._bootstrap = bootstrap
        self._verifier = Verifier(Path(signed_by)) if signed_by else None
        self._pulsed_us = 0
        self.left_out: Counter[str] = Counter()
        self._consumer = Consumer(
            {
                **reach(bootstrap),
                "client.id": client_id,
                "group.id": client_id,  # librdkafka wants a name; nothing is committed under it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                # The broker answers as soon as there is a record; this is how long it holds an empty answer back.
                "fetch.min.bytes": 1,
                "fetch.wait.max.ms": 100,
                "fetch.error.backoff.ms": 50,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )

    def present(self, seconds: float, stopped: Callable[[], bool]) -> Iterator[Read]:
        """Every command up to the end of the log as of now.

        Raises UnreachableError when nothing has come for ``seconds``, UsageError when there is no such topic.
        """
        from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

        deadline = time.monotonic() + seconds
        place = TopicPartition(COMMANDS, 0, OFFSET_BEGINNING)
        try:
            known = self._consumer.list_topics(COMMANDS, timeout=seconds).topics[COMMANDS]
            if not known.partitions:
                raise UsageError(
                    f"the topic is not on the broker at {self._bootstrap}",
                    hint="mevflow topics create, or control: {enabled: false} in the topology file",
                    topic=COMMANDS,
                )
            found = self._consumer.get_watermark_offsets(place, timeout=max(0.1, deadline - time.monotonic()))
        except KafkaException as error:
            raise self._unreadable(seconds) from error
        if found is None:
            raise self._unreadable(seconds)
        end = int(found[1])
        self._consumer.assign([place])
        at = 0
        while at < end and not stopped():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                if message is not None and _is_end(message):
                    at = max(at, message.offset() or 0)
                if time.monotonic() > deadline:
                    raise self._unreadable(seconds)
                continue
            at = (message.offset() or 0) + 1
            deadline = time.monotonic() + seconds
            if (command := self._parsed(message)) is not None:
                yield command

    def _unreadable(self, seconds: float) -> UnreachableError:
        return UnreachableError(
            f"the commands in force cannot be read at {self._bootstrap}: nothing has come for {seconds:g} s, "
            "so nothing is decided",
            hint="mevflow broker status",
            topic=COMMANDS,
        )

    def poll(self, seconds: float) -> Read | None:
        """The next record, waiting up to ``seconds``. Raises MevflowError when the topic cannot be read any more."""
        message = self._consumer.poll(seconds)
        if message is None:
            return None
        error = message.error()
        if error is not None:
            if error.fatal():
                raise MevflowError(f"Kafka says: {error.str()}", topic=COMMANDS)
            return None  # librdkafka connects again by itself
        return self._parsed(message)

    def _parsed(self, message: Any) -> Read | None:
        """A record; None for a tombstone, and for what cannot be looked at, which is counted."""
        from google.protobuf.message import DecodeError

        value = message.value()
        if value is None:
            return None
        try:
            command = ControlCommand.FromString(value)
        except DecodeError:
            self._leave_out("malformed", message)
            return None
        if fault_of(command):
            self._leave_out("malformed", message)
            return None
        refused = self._verifier.fault(message.key(), value, message.headers()) if self._verifier else ""
        if command.kind == PULSE:
            # A pulse that was recorded once says nothing when it is written again.
            if refused or (self._verifier is not None and command.issued_at_us <= self._pulsed_us):
                self._leave_out(refused or "old_pulse", message)
                return None
            self._pulsed_us = command.issued_at_us
        elif refused:
            self._leave_out(refused, message)
        return Read(int(message.timestamp()[1]), command, refused)

    def _leave_out(self, why: str, message: Any) -> None:
        self.left_out[why] += 1
        if self.left_out[why].bit_count() == 1:  # the first, second, fourth, eighth …
            where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
            log.warning("%s: a command that is not carried out, %s (%d so far)", where, why, self.left_out[why])

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


def _is_end(message: Any) -> bool:
    from confluent_kafka import KafkaError

    return bool(message.error().code() == KafkaError._PARTITION_EOF)
