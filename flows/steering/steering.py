"""The control side of one live shard: a thread that reads commands, and what the dataflow asks of it.

The thread judges a command, acts at once where that needs no dataflow (the kill switch, a pause, the log level), and
puts the rest into the mailboxes of the stages that it addresses. The dataflow empties a mailbox before the stage's next
item; a source that sees :attr:`Steering.nudge` rise sends an empty envelope through the graph, so that an idle stream
applies a command too.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError

from mevflow.flows.registry import with_state
from mevflow.flows.steering.commands import CommandLog
from mevflow.flows.steering.kill import KillSwitch, Pulse
from mevflow.flows.steering.mailbox import NOWHERE, AnswerBook, Mailbox, Order, Position
from mevflow.flows.steering.outbox import Outbox
from mevflow.flows.steering.protocol import PULSE, SLOTS
from mevflow.flows.steering.settings import ControlSettings
from mevflow.flows.steering.urgent import urgent
from mevflow.metrics.page import Page
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import Ack, stage_in
from mevflow.operators.switch import Switch
from mevflow.v1.control_pb2 import ControlCommand

_BEAT_S = 0.5
_LOOK_S = 0.05
_POLL_S = 0.02
_FLUSH_S = 10.0
_SWITCH_S = 0.001


class LogLevel(BaseModel):
    """Payload of ``log_level``."""

    model_config = ConfigDict(extra="forbid", strict=True)
    level: str


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What the control side says of the shard: its name, this process's run, its nodes (name -> use) and files."""

    topology: str
    shard: int
    shards: int
    run_id: str
    shape: str
    epoch_s: float
    sources: tuple[str, ...]
    stages: dict[str, str]
    latch_file: Path
    kill_files: tuple[Path, ...]
    models: Path


class Steering:
    """Start with :meth:`join`, end with :meth:`close`; in between the thread runs by itself."""

    def __init__(
        self,
        facts: ShardFacts,
        settings: ControlSettings,
        drain: threading.Event,
        progress: Callable[[], tuple[int, int]],
    ) -> None:
        """``progress`` gives (rows taken from the sources, rows that they are behind)."""
        self._facts, self._settings, self._drain, self._progress = facts, settings, drain, progress
        self.switch = Switch()
        self.nudge = 0
        self.paused = False
        self._kill = KillSwitch(self.switch, facts.latch_file, facts.kill_files, Pulse(settings.pulse_limit_s))
        client = f"mevflow-control-{facts.topology}-{facts.shard}-{facts.run_id}"
        with urgent():
            self._log = CommandLog(settings.bootstrap, client, settings.signed_by)
        self._outbox = Outbox(settings.bootstrap, (facts.topology, facts.shard, facts.run_id))
        self._book = AnswerBook()
        self._mail = {node: Mailbox(node, self._outbox.ack, self._done) for node in facts.stages}
        self._at_sources: deque[Order] = deque()
        self._ended_sources: set[str] = set()
        self._policy_version = 0
        self._next_beat = self._next_look = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self.failure: BaseException | None = None

    @property
    def run_id(self) -> str:
        """The id of this process's run."""
        return self._facts.run_id

    @property
    def killed(self) -> bool:
        """Whether everything is off."""
        return self._kill.killed

    def join(self) -> None:
        """Read what is in force, then go on in a thread. Raises UnreachableError or UsageError: decide nothing."""
        self._look()
        for read in self._log.present(self._settings.start_s, self._drain.is_set):
            self._take(*read, joining=True)
        self._look()
        with urgent():
            self._thread.start()
        # How long a thread that computes may keep the others from running Python.
        sys.setswitchinterval(_SWITCH_S)

    def close(self) -> None:
        """Stop the thread, send what is left to send, and say that the shard stops."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._beat(stopping=True)
        self._outbox.close(_FLUSH_S)
        self._log.close()

    def mailbox(self, node: str) -> Mailbox:
        """The mailbox of a stage."""
        return self._mail[node]

    def tell(self, page: Page) -> None:
        """Put how the shard is steered. Safe from every thread."""
        page.put("mevflow_kill_engaged", bool(self.switch.off))
        page.put("mevflow_paused", self.paused)
        page.put("mevflow_control_version", self._policy_version)
        for status, count in list(self._outbox.answers.items()):
            page.put("mevflow_command_answers", count, status=status)

    def source_passes(self, node: str, ended: bool = False) -> None:
        """A source is between two polls (or has ended): it has seen what was ordered before."""
        if self.failure is not None:
            raise self.failure
        if ended:
            self._ended_sources.add(node)
        for order in list(self._at_sources):
            self._done(order, node, NOWHERE)
            if not order.waiting:
                self._at_sources.remove(order)

    def _done(self, order: Order, node: str, position: Position) -> None:
        """``node`` has carried out its part; the last one answers for the shard."""
        if position[0]:
            order.position = position
        order.waiting.discard(node)
        order.waiting -= self._ended_sources
        if not order.waiting:
            self._outbox.ack(order.command, "", order.ack, order.position)

    # From here on everything runs in the control thread (while joining: in its stead).

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                found = self._log.poll(_POLL_S)
                if found is not None:
                    self._take(*found, joining=False)
                self._outbox.serve()
                now = time.monotonic()
                if now >= self._next_look:
                    self._next_look = now + _LOOK_S
                    self._look()
                if now >= self._next_beat:
                    self._next_beat = now + _BEAT_S
                    self._beat()
        except BaseException as error:
            # Without its control thread a shard cannot be stopped: it must not decide any longer.
            self.switch.off = self.switch.off.of([""])
            self.failure = error if isinstance(error, MevflowError) else MevflowError(f"control failed: {error!r}")

    def _beat(self, stopping: bool = False) -> None:
        rows, lag = self._progress()
        age = self._kill.pulse_age_s
        self._outbox.beat(
            policy_version=self._policy_version,
            messages=rows,
            lag=lag,
            spec_hash=self._facts.shape,
            stopping=stopping,
            killed=self.killed,
            paused=self.paused,
            shards=self._facts.shards,
            pulse_age_ms=-1 if age is None else int(age * 1000),
        )

    def _look(self) -> None:
        reason = self._kill.look()
        if reason:
            told = ControlCommand(
                command_id=f"local-{reason}-{self.run_id}", kind="kill", topology=self._facts.topology
            )
            self._order(told, Ack("APPLIED", reason, "engaged by the shard itself"), self._facts.stages)

    def _take(self, time_ms: int, command: ControlCommand, refused: str, *, joining: bool) -> None:
        kind = command.kind
        if kind == PULSE:
            self._kill.heard(max(0.0, time.time() - time_ms / 1000) if joining else 0.0)
            return
        if command.topology not in ("", self._facts.topology):
            return
        if refused:
            self._answer(command, Ack("REJECTED", refused, "no key of this shard's control.signed_by signed it"))
            return
        nodes = self._addressed(command)
        if not nodes:
            if command.topology:
                self._answer(command, Ack("REJECTED", "unknown_target", f"no stage is or uses {command.target!r}"))
        elif command.expires_at_us and time_ms * 1000 >= command.expires_at_us:
            late_us = time_ms * 1000 - command.expires_at_us
            for node in nodes:
                self._outbox.ack(command, node, Ack("REJECTED", "expired", f"recorded {late_us} us too late"), NOWHERE)
        elif kind not in SLOTS:
            self._answer(command, Ack("REJECTED", "unknown_kind", f"no kind {kind!r}"))
        elif kind in ("policy", "model"):
            self._deliver(command, nodes)
        elif kind in ("kill", "release"):
            ack = self._kill.command(command)
            self._order(command, ack, self._facts.stages) if ack.status == "APPLIED" else self._answer(command, ack)
        else:
            self._steer_shard(command)

    def _steer_shard(self, command: ControlCommand) -> None:
        """Pause, resume, log level, snapshot."""
        ack = self._book.judge(command)
        if ack is not None:
            self._answer(command, ack)
            return
        ack = self._shard_ack(command)
        self._book.note(command, ack)
        if command.kind in ("pause", "resume"):
            self.paused = command.kind == "pause"
            self._order(command, ack, self._facts.sources)
        else:
            self._answer(command, ack)

    def _shard_ack(self, command: ControlCommand) -> Ack:
        if command.kind == "snapshot":
            return Ack(
                "REJECTED",
                "unsupported",
                f"there is none on demand: each epoch of {self._facts.epoch_s:g} s ends with one",
            )
        if command.kind == "log_level":
            return _set_level(command.payload)
        return Ack("APPLIED")

    def _addressed(self, command: ControlCommand) -> list[str]:
        """The stages that a policy or model is for, by node or by use; the shard as a whole for every other kind."""
        if command.kind not in ("policy", "model"):
            return [""]
        return [node for node, use in self._facts.stages.items() if stage_in(command.target) in (node, use)]

    def _deliver(self, command: ControlCommand, nodes: list[str]) -> None:
        if command.kind == "policy":
            self._policy_version = max(self._policy_version, command.version)
        else:
            try:
                command.payload = with_state(command.payload, self._facts.models)
            except MevflowError as error:
                for node in nodes:
                    self._outbox.ack(command, node, Ack("REJECTED", "no_model", error.message), NOWHERE)
                return
        for node in nodes:
            self._mail[node].put(command)
        self.nudge += 1

    def _order(self, command: ControlCommand, ack: Ack, nodes: Any) -> None:
        """Have every one of ``nodes`` carry it out; the shard answers when all have."""
        order = Order(command, ack, set(nodes), msgspec.json.encode(self._kill.scopes))
        if not order.waiting:
            self._answer(command, ack)
        elif nodes is self._facts.sources:
            self._at_sources.append(order)
        else:
            for node in nodes:
                self._mail[node].put(order)
        self.nudge += 1

    def _answer(self, command: ControlCommand, ack: Ack) -> None:
        self._outbox.ack(command, "", ack, NOWHERE)


def _set_level(payload: bytes) -> Ack:
    try:
        level = LogLevel.model_validate_json(payload).level.upper()
    except ValidationError as error:
        return Ack("REJECTED", "malformed", error.errors()[0]["msg"])
    known = logging.getLevelNamesMapping()
    if level not in known:
        return Ack("REJECTED", "out_of_bounds", f"level is one of {', '.join(known)}")
    logging.getLogger().setLevel(level)
    return Ack("APPLIED", detail=level)
