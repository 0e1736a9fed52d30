"""A hub of its own for each test: a free port, a socket in a fresh folder, stopped afterwards."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sinks.hub import HubStatus, hub_status, start_hub, stop_hub


class RunningHub:
    """Where a test's hub is, and how to bring it back after a stop."""

    def __init__(self, folder: Path, options: tuple[str, ...]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.var = folder
        self.path = folder / "h.sock"
        self.options = options

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def start(self, **more: Any) -> HubStatus:
        return start_hub("127.0.0.1", self.port, self.var, path=self.path, options=self.options, **more)

    def stop(self) -> bool:
        return stop_hub(self.port, self.path)

    @property
    def status(self) -> HubStatus | None:
        return hub_status(self.port, self.path)


@pytest.fixture
def make_hub(tmp_path: Path) -> Iterator[Callable[..., RunningHub]]:
    made: list[RunningHub] = []

    def make(*options: str) -> RunningHub:
        hub = RunningHub(tmp_path, options)
        hub.start()
        made.append(hub)
        return hub

    yield make
    for hub in made:
        hub.stop()


@pytest.fixture
def hub(make_hub: Callable[..., RunningHub]) -> RunningHub:
    return make_hub()
