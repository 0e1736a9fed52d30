"""Who holds what, for all folders and hosts on one Kafka cluster: a fold over the topic ``control-claims``.

Every record is judged by its place in the log and by the broker's own time (the topic is stamped at append), so that
every reader comes to the same holder and no clock of a host matters:

1. A ``claim`` holds when nobody does: never claimed, released, or not heard of for :data:`LEASE_S`. It also holds over
   an earlier one of its own place (the kernel's lock there says that the earlier one has ended), and where it says
   ``takeover``. Its epoch must be larger than the one before. Any other ``claim`` is void.
2. A ``renew`` or ``release`` counts only from the holder.

The epoch is the fence: a sink that has seen a larger one refuses what an earlier holder still writes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from mevflow.flows.times import iso
from mevflow.kafka.security import reach
from mevflow.kafka.topics import CLAIMS, create
from mevflow.operators.errors import UnreachableError

LEASE_S = 15.0
_ANSWER_S = 20.0


class ClaimRecord(msgspec.Struct, frozen=True):
    """One record of the log. ``place`` is a folder of a host, ``owner`` one holder there and never another."""

    kind: Literal["claim", "renew", "release"]
    name: str
    owner: str
    epoch: int
    place: str
    role: str
    pid: int
    since_us: int
    takeover: bool = False

    def __str__(self) -> str:
        since = iso(self.since_us // 1_000_000 * 1_000_000)
        return f"{self.role} (pid {self.pid}, {self.place}, since {since}, epoch {self.epoch})"


@dataclass(frozen=True, slots=True)
class ClaimStanding:
    """How a name stands after some of the log. ``heard_ms``: the broker's time of the holder's last word."""

    record: ClaimRecord | None = None
    heard_ms: int = 0
    held: bool = False

    @property
    def epoch(self) -> int:
        return self.record.epoch if self.record is not None else 0

    def after(self, record: ClaimRecord, at_ms: int) -> ClaimStanding:
        """With one record more, appended at ``at_ms``."""
        if record.kind == "claim":
            free = (
                not self.held
                or record.takeover
                or (self.record is not None and self.record.place == record.place)
                or at_ms - self.heard_ms > LEASE_S * 1000
            )
            return ClaimStanding(record, at_ms, True) if free and record.epoch > self.epoch else self
        mine = self.record is None or self.record.owner == record.owner  # compaction may have taken the claim itself
        return ClaimStanding(record, at_ms, record.kind == "renew") if mine else self


def place_of(folder: Path) -> str:
    """A folder of this host, by a name that no other host's folder has."""
    try:
        machine = Path("/etc/machine-id").read_text().strip()[:8]
    except OSError:
        machine = "unknown"
    return f"{socket.gethostname()}/{machine}:{folder}"


def claim_of(name: str, folder: Path, role: str, *, epoch: int, takeover: bool = False) -> ClaimRecord:
    """A claim by this process, for a folder."""
    now_us = time.time_ns() // 1000
    owner = uuid.uuid4().hex
    return ClaimRecord("claim", name, owner, epoch, place_of(folder), role, os.getpid(), now_us, takeover)


class ClaimLog:
    """Reads and writes the log for one name (empty: reads it for all). Not for several threads."""

    def __init__(self, bootstrap: str, name: str) -> None:
        """Raises UnreachableError, or what creating the topic raises where it is missing."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

        self._bootstrap, self._name = bootstrap, name
        self.standings: dict[str, ClaimStanding] = {}
        self._next = 0
        client = {**reach(bootstrap), "client.id": "mevflow-claims", "log_level": 0}
        self._consumer = Consumer(
            {
                **client,
                "group.id": "mevflow-claims",  # librdkafka wants a name; nothing is committed under it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
                "fetch.queue.backoff.ms": 2,
                "queued.max.messages.kbytes": 1024,
                "reconnect.backoff.max.ms": 1000,
            }
        )
        self._producer = Producer({**client, "enable.idempotence": True, "linger.ms": 0})
        self._place = TopicPartition(CLAIMS.name, 0, OFFSET_BEGINNING)
        try:
            if CLAIMS.name not in self._consumer.list_topics(timeout=_ANSWER_S).topics:
                create(bootstrap, (CLAIMS,))
        except KafkaException as error:
            raise self._unreachable() from error
        self._consumer.assign([self._place])

    @property
    def standing(self) -> ClaimStanding:
        """How the name stands after what was read."""
        return self.standings.get(self._name, ClaimStanding())

    def read(self) -> ClaimStanding:
        """How the name stands at the end of the log as of now. Raises UnreachableError."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + _ANSWER_S
        try:
            end = int(self._consumer.get_watermark_offsets(self._place, timeout=_ANSWER_S)[1])
        except (KafkaException, TypeError) as error:
            raise self._unreachable() from error
        while self._next < end:
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                self._next = (message.offset() or 0) + 1
                deadline = time.monotonic() + _ANSWER_S
                self._take(message)
            elif time.monotonic() > deadline:
                raise self._unreachable()
        return self.standing

    def _take(self, message: Any) -> None:
        key, value = message.key(), message.value()
        if value is None or (self._name and key != self._name.encode()):
            return
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):  # a stranger's record
            record, name = msgspec.json.decode(value, type=ClaimRecord), (key or b"").decode()
            before = self.standings.get(name, ClaimStanding())
            self.standings[name] = before.after(record, int(message.timestamp()[1]))

    def append(self, record: ClaimRecord) -> None:
        """Write a record and wait until the broker has it. Raises UnreachableError."""
        failed: list[Any] = []
        self._producer.produce(
            CLAIMS.name,
            msgspec.json.encode(record),
            self._name.encode(),
            0,
            on_delivery=lambda error, _: failed.append(error) if error is not None else None,
        )
        if self._producer.flush(_ANSWER_S) or failed:
            self._producer.purge()
            raise self._unreachable()

    def _unreachable(self) -> UnreachableError:
        return UnreachableError(
            f"the claims cannot be read or written at {self._bootstrap}",
            hint="mevflow broker status",
            topic=CLAIMS.name,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()


def held_now(bootstrap: str) -> dict[str, ClaimRecord]:
    """Name -> who holds it, of all folders and hosts, by our clock. Raises UnreachableError."""
    log = ClaimLog(bootstrap, "")
    try:
        log.read()
    finally:
        log.close()
    now_ms = time.time() * 1000
    return {
        name: standing.record
        for name, standing in log.standings.items()
        if standing.held and standing.record is not None and abs(now_ms - standing.heard_ms) < LEASE_S * 1000
    }
