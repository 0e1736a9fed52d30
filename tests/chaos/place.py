"""The campaign's own broker and ClickHouse. They stay up from run to run, but for the faults that strike them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mevflow.clickhouse import daemon
from mevflow.kafka import broker, topics
from mevflow.processes.addresses import free_port
from mevflow.processes.background import ProcessId

#: The disk that ClickHouse has, so that it can be filled.
_CLICKHOUSE_MB = 1_500


class Place:
    """Where the services are, and how each is hurt and helped up again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bootstrap = f"127.0.0.1:{free_port()}"
        self._controller = free_port()
        self.clickhouse_port = free_port()
        self.hub_port = free_port()
        self._one = {"broker": threading.Lock(), "clickhouse": threading.Lock()}
        self.own_disk = mount(self._clickhouse_var, _CLICKHOUSE_MB)

    @property
    def _broker_var(self) -> Path:
        return self.folder / "broker"

    @property
    def _clickhouse_var(self) -> Path:
        return self.folder / "clickhouse"

    def start(self, service: str) -> None:
        """Start ``broker`` or ``clickhouse`` unless it runs. Raises MevflowError."""
        with self._one[service]:
            if service == "broker":
                broker.start(self._broker_var, self.bootstrap, self._controller, heap_mb=384)
            else:
                daemon.start(self._clickhouse_var, port=self.clickhouse_port)

    def open(self) -> None:
        """Start all, and make the topics that every topology shares."""
        for service in self._one:
            self.start(service)
        topics.create(self.bootstrap)

    def close(self) -> None:
        """End all, whatever state it is in."""
        for service in self._one:
            self.signal(service, signal.SIGCONT)
        broker.stop(self._broker_var)
        daemon.stop(self._clickhouse_var)
        if self.own_disk:
            unmount(self._clickhouse_var)

    def pid(self, service: str) -> int | None:
        """The living process of a service."""
        if service == "broker":
            found = ProcessId.load(self._broker_var / "kafka" / "broker.pid")
            return found.pid if found else None
        return daemon.status(self._clickhouse_var, port=self.clickhouse_port).pid

    def signal(self, service: str, number: int) -> bool:
        """Send a signal to a service; False when it does not run."""
        pid = self.pid(service)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return True

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """ClickHouse finds no room for as long as this is held."""
        with filled(self._clickhouse_var):
            yield


def mount(folder: Path, megabytes: int) -> bool:
    """Give ``folder`` a small disk of its own; False where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={megabytes}m,mode=0700"
    return not subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(folder)], capture_output=True).returncode


def unmount(folder: Path) -> None:
    """Take the disk away again."""
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """No byte is free below ``folder`` for as long as this is held; others may fill what is freed meanwhile."""
    filler = folder / f"filler-{threading.get_ident()}"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
        yield
    finally:
        filler.unlink(missing_ok=True)
