"""A hub of its own for each test: a free port, a socket in a fresh folder, stopped afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mevflow.operators.stage import StageContext
from mevflow.sinks.websocket.sink import WebSocketSettings, WebSocketSink
from tests.sinks.websocket.hub.live import RunningHub


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


@pytest.fixture
def make_sink() -> Iterator[Callable[..., WebSocketSink]]:
    made: list[WebSocketSink] = []

    def make(hub: RunningHub, channel: str = "swaps", **more: Any) -> WebSocketSink:
        given = {"hub": "external", "port": hub.port, "socket": str(hub.path), "channel": channel, **more}
        sink = WebSocketSink(WebSocketSettings(**given), StageContext("tested", "live"))
        sink.open(None)
        made.append(sink)
        return sink

    yield make
    for sink in made:
        sink.close()
