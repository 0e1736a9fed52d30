"""The kill switch of a shard: what engages it, what lifts it, and what outlives the process.

It is latched. Scopes engage and lift by ``kill`` and ``release`` commands, each key (a topology or all of them, and a
scope) with versions of its own; something is off while any key says so. A kill file or a lost pulse engages the scope
"everything" without a command: that is written to a file at once, and only a ``release`` of everything with a version
higher than any seen by then lifts it, however often the shard restarts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mevflow.flows.steering.mailbox import AnswerBook
from mevflow.flows.steering.protocol import EVERY
from mevflow.operators.errors import StateError
from mevflow.operators.stage import Ack
from mevflow.operators.switch import Off, Switch
from mevflow.v1.control_pb2 import ControlCommand


class Latch(msgspec.Struct):
    """A local engagement: why, and the versions that a release must exceed, by topology (``*``: all)."""

    reason: str
    above: dict[str, int]
    engaged_us: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """How long the control service may be silent; 0: for ever."""

    limit_s: float


class KillSwitch:
    """Judges kill and release commands, watches files and the pulse, and sets ``switch``. One thread's."""

    def __init__(self, switch: Switch, latch_file: Path, kill_files: tuple[Path, ...], pulse: Pulse) -> None:
        self._switch, self._latch_file, self._kill_files, self._pulse = switch, latch_file, kill_files, pulse
        self._book = AnswerBook()
        self._engaged: dict[tuple[str, str], int] = {}  # (topology, scope) -> version
        self._seen: dict[str, int] = {}  # topology -> highest version about everything
        self._heard = time.monotonic()
        self._ever_heard = False
        self._latch = self._load()
        self._publish()

    def _load(self) -> Latch | None:
        try:
            return msgspec.json.decode(self._latch_file.read_bytes(), type=Latch)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StateError(
                f"the kill switch's latch cannot be read: {error}",
                hint="it says that the switch was engaged: write a new one, or remove it if that is settled",
                file=str(self._latch_file),
            ) from error

    @property
    def killed(self) -> bool:
        """Whether everything is off."""
        return self._switch.off.everything

    @property
    def scopes(self) -> list[str]:
        """Every scope that is off, sorted."""
        return sorted({scope for _, scope in self._engaged} | ({""} if self._latch else set()))

    @property
    def pulse_age_s(self) -> float | None:
        """Since the service was last heard; None: never."""
        return time.monotonic() - self._heard if self._ever_heard else None

    def command(self, command: ControlCommand) -> Ack:
        """Answer a kill or release, in force at once."""
        ack = self._book.judge(command)
        if ack is not None:
            return ack
        topology = command.topology or EVERY
        if not command.target:
            self._seen[topology] = max(self._seen.get(topology, 0), command.version)
        ack = self._engage(topology, command) if command.kind == "kill" else self._release(topology, command)
        self._book.note(command, ack)
        self._publish()
        return ack

    def _engage(self, topology: str, command: ControlCommand) -> Ack:
        try:
            Off.of([command.target])
        except ValueError as error:
            return Ack("REJECTED", "bad_target", str(error))
        self._engaged[topology, command.target] = command.version
        return Ack("APPLIED", detail="no decisions until release")

    def _release(self, topology: str, command: ControlCommand) -> Ack:
        if not command.target and self._latch is not None:
            if any(file.exists() for file in self._kill_files):
                self._hold(topology, command.version)
                return Ack("REJECTED", "kill_file", "the kill file is there; remove it, then release again")
            if command.version > self._latch.above.get(topology, 0):
                self._latch = None
                self._latch_file.unlink(missing_ok=True)
                self._heard = time.monotonic()
        self._engaged.pop((topology, command.target), None)
        left = self.scopes
        return Ack("APPLIED", detail=f"still off: {', '.join(scope or 'everything' for scope in left)}" if left else "")

    def _hold(self, topology: str, version: int) -> None:
        """A refused release stays refused when it is read again after a restart."""
        assert self._latch is not None
        self._latch.above[topology] = max(self._latch.above.get(topology, 0), version)
        self._write(self._latch)

    def heard(self, age_s: float) -> None:
        """The service was heard ``age_s`` ago."""
        at = time.monotonic() - max(0.0, age_s)
        self._heard = max(self._heard, at) if self._ever_heard else at
        self._ever_heard = True

    def look(self) -> str:
        """Look at the kill files and the pulse; gives the reason when that has just engaged the switch, else ""."""
        if self._latch is not None:
            return ""
        if any(file.exists() for file in self._kill_files):
            return self._lock("kill_file")
        if self._pulse.limit_s and time.monotonic() - self._heard > self._pulse.limit_s:
            return self._lock("lost_pulse")
        return ""

    def _lock(self, reason: str) -> str:
        self._latch = Latch(reason, dict(self._seen), time.time_ns() // 1000)
        self._publish()  # first of all
        self._write(self._latch)
        return reason

    def _write(self, latch: Latch) -> None:
        fresh = self._latch_file.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.encode(latch))
        fresh.replace(self._latch_file)

    def _publish(self) -> None:
        self._switch.off = Off.of(self.scopes)
