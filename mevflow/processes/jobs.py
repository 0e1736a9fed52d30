"""``mevflow …`` as a process in the background: started, taken note of when it ends, its last words."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mevflow.operators.errors import MevflowError
from mevflow.processes.background import ProcessId
from mevflow.processes.environment import environment
from mevflow.processes.private import open_private, private_folder

_TAIL = 2_000
_children: list[subprocess.Popen[bytes]] = []


@contextlib.contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until nobody else is between looking at a list of jobs and adding to it, in whatever process or thread."""
    private_folder(lock.parent)
    with open_private(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def start_job(words: list[str], var: Path, log: Path, out: Path | None = None, nice: int = 0) -> ProcessId:
    """Run a command with ``var`` as its state folder, in a session of its own.

    ``log``: what it complains of, and what it says where there is no ``out``. ``nice``: how far it gives way.
    Raises MevflowError when it ends at once.
    """
    with open_private(log, "wb") as complaints, contextlib.ExitStack() as opened:
        said = complaints if out is None else opened.enter_context(open_private(out, "wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", "mevflow.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complaints,
            env={**environment(), "MEVFLOW_VAR": str(var.absolute())},
            start_new_session=True,
        )
    _children.append(process)
    found = ProcessId.of(process.pid)
    if found is None:
        raise MevflowError(f"mevflow {words[0]} ended at once: {last_words(log)}")
    if nice:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, nice)
    return found


def reap() -> None:
    """Take note of jobs of this process that have ended."""
    _children[:] = [each for each in _children if each.poll() is None]


def last_words(log: Path) -> str:
    """The end of what a job wrote; empty when there is nothing."""
    try:
        return log.read_text(errors="replace")[-_TAIL:].strip()
    except OSError:
        return ""
