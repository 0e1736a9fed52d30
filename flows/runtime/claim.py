"""One holder at a time: a claim is a kernel lock on a file, so it ends with the last process that has it.

A child that is given the claim's descriptor holds it too: a shard keeps its topology claimed when its supervisor has
died. The file is never removed or replaced, for the lock is on the file itself. Its text only tells people who holds
it; nothing is decided by it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mevflow.flows.times import iso
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.processes.background import ProcessId


class Holder(msgspec.Struct, frozen=True):
    """Who took a claim: ``role`` says as what. ``since_us`` is wall-clock time."""

    role: str
    pid: int
    started: int
    host: str
    since_us: int

    @classmethod
    def me(cls, role: str) -> Holder:
        """This process."""
        found = ProcessId.of(os.getpid())
        assert found is not None
        return cls(role, found.pid, found.started, socket.gethostname(), time.time_ns() // 1000)

    @property
    def alive(self) -> bool:
        """Whether it lives, on this host."""
        return ProcessId(self.pid, self.started).alive

    def __str__(self) -> str:
        return f"{self.role} (pid {self.pid} on {self.host}, since {iso(self.since_us // 1_000_000 * 1_000_000)})"


class HeldError(UsageError):
    """Another process has the claim."""


@dataclass(frozen=True, slots=True)
class LockClaim:
    """A claim that this process holds."""

    path: Path
    fd: int

    @classmethod
    def take(cls, path: Path, role: str, what: str, hint: str = "") -> LockClaim:
        """Claim ``path`` as ``role``. Raises HeldError that says who has ``what``; MevflowError for an unwritable file.

        Never waits: the caller knows best what to do meanwhile.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MevflowError(f"the claim cannot be written: {error.strerror}", file=str(path)) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            holder = holder_of(path)
            raise HeldError(f"{what} by {holder or 'another process'}", hint=hint, file=str(path)) from None
        claim = cls(path, fd)
        claim.say(role)
        return claim

    @classmethod
    def inherited(cls, path: Path, fd: int, role: str) -> LockClaim:
        """The claim that the parent handed over as ``fd``."""
        claim = cls(path, fd)
        claim.say(role)
        return claim

    def say(self, role: str) -> None:
        """Write who holds it; a full disk leaves that out, and the claim as it is."""
        with contextlib.suppress(OSError):
            text = msgspec.json.encode(Holder.me(role))
            os.pwrite(self.fd, text, 0)
            os.ftruncate(self.fd, len(text))

    def release(self) -> None:
        """Let go of it here; children that have it keep it."""
        os.close(self.fd)

    def __enter__(self) -> LockClaim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder_of(path: Path) -> Holder | None:
    """Who last took a claim, living or not; None when that is not known."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def holders(path: Path) -> list[ProcessId]:
    """Every living process of this host that has the claim's file open, this one left out."""
    found: list[ProcessId] = []
    path = path.resolve()  # as the kernel names it
    for folder in Path("/proc").glob("[0-9]*/fd"):
        pid = int(folder.parent.name)
        if pid != os.getpid() and _has_open(folder, str(path)) and (one := ProcessId.of(pid)) is not None:
            found.append(one)
    return found


def _has_open(folder: Path, path: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(os.readlink(entry.path) == path for entry in entries)
    except OSError:  # it has ended, or is another user's
        return False
