"""Whether a process that starts is getting on. No clock decides: a loaded machine is not a failure.

A process gets on while it computes, waits for a core or the disk, or writes to its log. It is stuck when it has done
next to none of that for :data:`SILENT_S`, and lost when it has computed for :data:`COMPUTE_S` without being ready: that
much of its own time is the same on an idle machine and on a loaded one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SILENT_S, COMPUTE_S = 60.0, 900.0
#: Of the time that passes, how much a process must use (or wait to use) to be getting on: idle client threads use less.
_BUSY = 0.05
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds that processes have computed, and that they have waited for a core or the disk."""

    computed_s: float = 0.0
    waited_s: float = 0.0

    @property
    def used_s(self) -> float:
        """Both together."""
        return self.computed_s + self.waited_s

    @classmethod
    def of(cls, pids: Iterable[int]) -> Usage:
        """Of the living ones among ``pids``."""
        computed = waited = 0.0
        for pid in pids:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            computed += (int(fields[11]) + int(fields[12])) * _TICK_S
            waited += int(fields[39]) * _TICK_S + _waited_for_core_s(pid)
        return cls(computed, waited)


def _waited_for_core_s(pid: int) -> float:
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(thread.read_text().split()[1])
        except (OSError, IndexError):  # the thread has ended
            continue
    return total / 1e9


class Startup:
    """Looks at a start now and then; :meth:`fault` says when it is not to be waited for any longer."""

    def __init__(self, logs: Iterable[Path], silent_s: float = SILENT_S, compute_s: float = COMPUTE_S) -> None:
        self._logs = {path: size_of(path) for path in logs}
        self._marks = dict(self._logs)
        self._silent_s, self._compute_s = silent_s, compute_s
        self._since, self._usage = time.monotonic(), Usage()

    def fault(self, pids: Iterable[int]) -> str:
        """What is wrong with a start whose processes are ``pids``; empty while they get on."""
        now, usage = time.monotonic(), Usage.of(pids)
        if usage.computed_s > self._compute_s:
            return f"has computed for {usage.computed_s:.0f} s without being ready"
        sizes = {path: size_of(path) for path in self._logs}
        used = usage.used_s - self._usage.used_s  # below zero once a process has ended
        if sizes != self._logs or used < 0 or used > max(0.2, _BUSY * (now - self._since)):
            self._logs, self._since, self._usage = sizes, now, usage
        elif now - self._since > self._silent_s:
            return f"has done nothing for {self._silent_s:g} s"
        return ""

    def said(self, lines: int = 20) -> str:
        """The last lines that the logs have gained since the start."""
        return "\n".join(text for path, mark in self._marks.items() if (text := tail(path, mark, lines)))


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def tail(path: Path, mark: int = 0, lines: int = 20) -> str:
    """The last lines of a file after its first ``mark`` bytes."""
    try:
        with path.open("rb") as log:
            log.seek(max(mark, size_of(path) - 65_536))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
