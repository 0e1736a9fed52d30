"""``<var>/prometheus/targets.json``: where the processes of this folder are scraped, for Prometheus' ``file_sd``.

A process puts itself in when it begins to serve and takes itself out when it ends in order. One that was killed stays,
so that Prometheus sees it down, until another takes its place or ``mevflow clean`` finds it dead.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mevflow.processes.background import ProcessId
from mevflow.processes.private import open_private, private_folder, write_private

#: Labels that Prometheus drops after relabelling: which process it is.
_PID, _BORN = "__meta_mevflow_pid", "__meta_mevflow_started"


class Target(msgspec.Struct, frozen=True):
    """One entry as Prometheus reads it."""

    targets: list[str]
    labels: dict[str, str]

    @property
    def identity(self) -> dict[str, str]:
        """What it is, whichever process is it."""
        return {name: value for name, value in self.labels.items() if not name.startswith("__")}

    @property
    def process(self) -> ProcessId:
        return ProcessId(int(self.labels.get(_PID, 0)), int(self.labels.get(_BORN, 0)))


def path(var: Path) -> Path:
    """The file of a folder."""
    return var.absolute() / "prometheus" / "targets.json"


def read(var: Path) -> list[Target]:
    """What the file has; nothing where there is none that can be read."""
    try:
        return msgspec.json.decode(path(var).read_bytes(), type=list[Target])
    except (OSError, msgspec.DecodeError):
        return []


def join(var: Path, address: str, labels: Mapping[str, str]) -> Target:
    """Put this process in, in place of an earlier one of the same labels."""
    me = ProcessId.of(os.getpid())
    assert me is not None
    mine = Target([address], {**labels, _PID: str(me.pid), _BORN: str(me.started)})
    with _changed(var) as found:
        found[:] = [each for each in found if each.identity != mine.identity] + [mine]
    return mine


def leave(var: Path, target: Target) -> None:
    """Take an entry out."""
    with _changed(var) as found:
        found[:] = [each for each in found if each != target]


def prune(var: Path, *, dry_run: bool = False) -> list[Target]:
    """Take out the processes that are dead; gives them."""
    if dry_run:
        return [each for each in read(var) if not each.process.alive]
    with _changed(var) as found:
        dead = [each for each in found if not each.process.alive]
        found[:] = [each for each in found if each not in dead]
    return dead


@contextmanager
def _changed(var: Path) -> Iterator[list[Target]]:
    """The entries, to be changed in place, while no other process changes them."""
    place = path(var)
    private_folder(place.parent)
    with open_private(place.with_suffix(".lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = read(var)
        yield found
        found.sort(key=lambda each: sorted(each.identity.items()))
        write_private(place, msgspec.json.format(msgspec.json.encode(found)))


def table(var: Path) -> list[dict[str, Any]]:
    """For people: job, labels, address, whether the process lives."""
    return [
        {
            "job": each.labels.get("job", ""),
            "of": " ".join(v for k, v in each.identity.items() if k != "job"),
            "url": f"http://{each.targets[0]}/metrics",
            "alive": each.process.alive,
        }
        for each in read(var)
    ]
