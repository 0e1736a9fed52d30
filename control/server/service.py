"""The service without a door: what it reads, what it knows, what it writes. ``grpc_door`` opens the door.

Started, it reads its topics to their ends and only then answers; stopped, it waits for what it has under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from mevflow.control.commands.checks import Checks
from mevflow.control.commands.issuer import Issuer
from mevflow.control.commands.ledger import OUTCOME, Ledger
from mevflow.control.commands.record import Entry
from mevflow.control.commands.shards import Roll
from mevflow.control.server.model_gate import ModelGate
from mevflow.control.topics.collector import AckCollector
from mevflow.control.topics.events import TopicFeed
from mevflow.control.topics.reader import TopicReader, TopicRecord
from mevflow.control.topics.records import Records
from mevflow.control.topics.writer import Writer
from mevflow.flows.steering.protocol import ACKS, AUDIT, COMMANDS, HEARTBEATS, PULSE, SLOTS
from mevflow.flows.steering.signatures import Signer, Verifier
from mevflow.flows.steering.wellformed import fault_of
from mevflow.metrics.buckets import Buckets
from mevflow.metrics.catalogue import BOUNDS
from mevflow.metrics.page import Page
from mevflow.v1.control_pb2 import ControlAck, ControlAudit, ControlCommand, Heartbeat
from mevflow.v1.control_service_pb2 import CommandReply

PULSE_S = 1.0
_START_S = 60.0

log = structlog.get_logger("mevflow.control")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Of one service. ``file``: the topology file. ``var``: the folder of what is deployed on this host.

    ``signing_key``: a private key's file, with which commands are signed. ``command_keys``: a folder of public keys;
    records on ``control-commands`` that none of them signed are left out. ``model_keys``: a folder of public keys that
    may sign models; ``models_signed``: of which one must have.
    """

    bootstrap: str
    file: Path
    var: Path
    pulse_s: float = PULSE_S
    start_s: float = _START_S
    signing_key: Path | None = None
    command_keys: Path | None = None
    model_keys: Path | None = None
    models_signed: bool = False


class Service:
    """``async with Service(settings)``: reads, then answers."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.service_id = uuid.uuid4().hex[:12]
        self.started_at_us = time.time_ns() // 1000
        self.ready = False
        self.ledger = Ledger()
        self.roll = Roll(settings.var, settings.file)
        self.checks = Checks()
        self.model_gate = ModelGate(settings.var / "models", settings.model_keys, settings.models_signed)
        self.records = Records()
        self._verifier = None if settings.command_keys is None else Verifier(settings.command_keys)
        self.events: TopicFeed[ControlAudit] = TopicFeed(AUDIT)
        self.acks: dict[int, TopicFeed[ControlAck]] = {}
        self.new_acks: asyncio.Event = asyncio.Event()
        self.ack_s = Buckets(BOUNDS["mevflow_ack_seconds"])
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Service:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Read the topics to their ends. Raises UnreachableError, UsageError (a topic is missing)."""
        name = f"mevflow-control-{self.service_id}"
        limit = self.settings.start_s
        signer = None if self.settings.signing_key is None else Signer(self.settings.signing_key)
        self.writer = Writer(self.settings.bootstrap, name, signer)
        self.issuer = Issuer(self.ledger, self.roll, self.writer, self.service_id)
        self._reader = TopicReader(self.settings.bootstrap, name, self._take)
        self._collector = AckCollector(self.settings.bootstrap, name, self._ack)
        try:
            await self._reader.start(limit)
            await self._collector.start(limit)
            await asyncio.to_thread(self.roll.look)
            await asyncio.to_thread(self.roll.warm)
        except BaseException:
            await self.stop()
            raise
        for held in self.ledger.keys.values():
            if held.current is not None:
                held.current.expected = self.roll.expected(held.current.command)
        self.ready = True
        self._tasks.append(asyncio.create_task(self._tick(), name="pulse"))
        log.info("ready", service_id=self.service_id, keys=len(self.ledger.keys), shards=len(self.roll.shards()))

    def drain(self) -> None:
        """End the streams that callers follow, so that the server need not wait for them."""
        self.ready = False
        self.events.end()
        for feed in self.acks.values():
            feed.end()
        self.new_acks.set()

    async def stop(self) -> None:
        """Stop reading, and wait for what is to be written."""
        self.drain()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        await self.checks.close()
        await self._collector.stop()
        await asyncio.to_thread(self._reader.close)
        left = await asyncio.to_thread(self.writer.close, 5.0)
        if left:
            log.warning("records_not_written", records=left)

    def _take(self, records: list[TopicRecord]) -> None:
        """Records of the reader, in the event loop."""
        for record in records:
            self.records.take(record.topic, 0, record.offset, partial(self._take_one, record))

    def _take_one(self, record: TopicRecord) -> None:
        read = self.records.read
        if record.topic == COMMANDS:
            if self._verifier is not None and (why := self._verifier.fault(record.key, record.value, record.headers)):
                raise ValueError(why)
            command = read(ControlCommand, record.value)
            if why := fault_of(command):
                raise ValueError(why)
            if command.kind == PULSE:
                return
            if command.kind not in SLOTS:
                raise ValueError(f"no kind {command.kind[:50]!r}")
            self.ledger.command(record.offset, command)
        elif record.topic == HEARTBEATS:
            # Of a record that was there before, its time is all there is to say how old it is.
            age_s = 0.0 if record.live else max(0.0, time.time() - record.time_ms / 1000)
            self.roll.beat(read(Heartbeat, record.value), age_s)
        else:
            audit = read(ControlAudit, record.value)
            self.events.put(record.offset, audit)
            self.ledger.audit(audit)

    def _ack(self, partition: int, offset: int, value: bytes) -> None:
        """An answer, in the event loop."""
        self.records.take(ACKS, partition, offset, partial(self._ack_one, partition, offset, value))

    def _ack_one(self, partition: int, offset: int, value: bytes) -> None:
        ack = self.records.read(ControlAck, value)
        entry = self.ledger.ack(ack)
        if entry is not None and entry.mine:
            self.ack_s.observe(max(0.0, (time.time_ns() // 1000 - entry.command.issued_at_us) / 1e6))
        if partition not in self.acks:
            self.acks[partition] = TopicFeed(ACKS)
        self.acks[partition].put(offset, ack)
        self.new_acks.set()
        self.new_acks = asyncio.Event()
        if entry is not None and entry.mine and not entry.open:
            self._announce(entry)

    def tell(self, page: Page) -> None:
        """Put what the service knows of answers and records. Called by another thread."""
        page.put("mevflow_ready", self.ready)
        page.put("mevflow_ack_seconds", self.ack_s)
        page.put("mevflow_collector_restarts", self._collector.restarts)
        page.put("mevflow_audit_lost_records", self.writer.audit_lost)

    def _announce(self, entry: Entry) -> None:
        """An answer that came after the caller had been answered may change what came of the command: say so."""
        outcome = entry.outcome()
        if outcome == entry.announced or not entry.announced:
            return
        entry.announced = outcome
        command = entry.command
        self.writer.audit(
            ControlAudit(
                timestamp_us=time.time_ns() // 1000,
                identity=self.service_id,
                method=OUTCOME,
                topology=command.topology,
                target=command.target,
                status="OK",
                command_id=command.command_id,
                version=command.version,
                outcome=CommandReply.Outcome.Name(outcome),
            )
        )

    async def _tick(self) -> None:
        """The pulse, what is deployed here, and keys whose last record is not the one in force."""
        torn: set[str] = set()
        while True:
            now_us = time.time_ns() // 1000
            self.writer.pulse(ControlCommand(kind=PULSE, issuer=self.service_id, issued_at_us=now_us))
            await asyncio.to_thread(self.roll.look)
            now_torn = {key for key, held in self.ledger.keys.items() if held.torn}
            for key in now_torn & torn:
                with contextlib.suppress(Exception):  # the next tick tries again
                    await self.issuer.mend(self.ledger.held(key))
            torn = now_torn
            await asyncio.sleep(self.settings.pulse_s)
