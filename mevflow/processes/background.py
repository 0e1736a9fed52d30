"""Processes that outlive the command that started them: is it that one, is it alive, end it in order."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mevflow.processes.private import write_private


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid with the kernel's start time of the process, so that a recycled pid is not mistaken for it."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Identify a living process; None when there is none, or only a zombie.

        A killed process whose threads are still on their way out lives: they hold its port and its locks.
        """
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        ended = fields[0] in "ZX" and int(fields[17]) <= 1  # fields[17]: its threads
        return None if ended else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    def signal(self, number: int) -> None:
        """Send a signal if the process is still the same one."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; False when it has not in time."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def end(self, seconds: float) -> bool:
        """SIGTERM, then SIGKILL after ``seconds``. True when it ended by itself."""
        self.signal(signal.SIGTERM)
        if self.wait(seconds):
            return True
        self.signal(signal.SIGKILL)
        self.wait(5)
        return False

    def save(self, path: Path, **fields: object) -> None:
        """Write it as a pid file, with whatever else a reader should know."""
        write_private(path, msgspec.json.encode({"pid": self.pid, "started": self.started, **fields}))

    @classmethod
    def load(cls, path: Path) -> ProcessId | None:
        """The living process that a pid file names, or None."""
        try:
            saved = msgspec.json.decode(path.read_bytes())
            found = cls(saved["pid"], saved["started"])
        except (OSError, msgspec.DecodeError, KeyError, TypeError):
            return None
        return found if found.alive else None
