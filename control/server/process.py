"""The process ``mevflow control serve``: start, say where it listens, run until SIGTERM, drain.

Its log is JSON on stderr; ``<var>/control/service.json`` says which process it is and where it listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog
import uvloop

from mevflow.control.auth.identity import Authenticator, LocalAuthenticator
from mevflow.control.server.dispatch import Dispatcher
from mevflow.control.server.grpc_door import Door, Server
from mevflow.control.server.handlers import Handlers
from mevflow.control.server.service import Service, ServiceSettings
from mevflow.flows.runtime.claim import LockClaim
from mevflow.flows.runtime.control_service import CLAIM
from mevflow.metrics.page import Page, Teller
from mevflow.metrics.serving import Serving
from mevflow.processes.background import ProcessId
from mevflow.processes.private import UMASK, private_folder

#: The reader's thread gives way to the event loop after so long.
_SWITCH_S = 0.0005
RECORD = Path("control") / "service.json"


class Beside(Protocol):
    """Something that serves the same handlers by another way (the HTTP gateway), in the same event loop."""

    name: str
    address: str

    def tell(self, page: Page) -> None:
        """Put what it has to tell Prometheus."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Drain."""


@dataclass(frozen=True)
class Options:
    """Of one process. ``beside`` makes what else it serves."""

    settings: ServiceSettings
    door: Door
    authenticator: Authenticator = field(default_factory=LocalAuthenticator)
    beside: tuple[Callable[[Service, Dispatcher], Beside], ...] = ()
    log_level: str = "INFO"
    metrics: Serving | None = None


def run(options: Options, ready: Callable[[dict[str, str]], None]) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is told once, with addresses by name.

    Raises HeldError when another service of this folder runs or starts, MevflowError for what else is in the way.
    """
    options.door.check(options.authenticator.authenticates)
    _log_as_json(options.log_level)
    folder = options.settings.var.absolute() / RECORD.parent
    os.umask(UMASK)
    private_folder(folder)
    with (
        LockClaim.take(folder / CLAIM, "control service", "this folder is served", "mevflow control stop"),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(options, folder / RECORD.name, ready))


async def _serve(options: Options, record: Path, ready: Callable[[dict[str, str]], None]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as down:
        service = await down.enter_async_context(Service(options.settings))
        dispatcher = Dispatcher(Handlers(service), options.authenticator, service.writer)
        server = Server(dispatcher, options.door)
        await server.start()
        down.push_async_callback(server.stop)
        addresses = {"grpc": server.address}
        tellers: list[Teller] = [service.tell, dispatcher.timings.tell]
        for make in options.beside:
            other = make(service, dispatcher)
            await other.start()
            down.push_async_callback(other.stop)
            tellers.append(other.tell)
            addresses[other.name] = other.address
        if options.metrics is not None:
            endpoint = options.metrics.begin("mevflow-control", {}, tellers)
            down.callback(endpoint.close)
            addresses["metrics"] = endpoint.address
        me = ProcessId.of(os.getpid())
        assert me is not None
        me.save(record, service_id=service.service_id, **addresses)
        down.callback(record.unlink, missing_ok=True)
        # What the process has imported stays: looking through it again would hold a call up for tens of milliseconds.
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(_SWITCH_S)
        ready({"service_id": service.service_id, **addresses})
        await stopping.wait()
        structlog.get_logger("mevflow.control").info("draining")
        service.drain()


def _log_as_json(level: str) -> None:
    """One JSON object a line on stderr, from us and from the libraries; theirs from warnings on."""
    number = logging.getLevelNamesMapping()[level]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
