"""The server's process: ``python -m mevflow.clickhouse.server --path DIR --host 127.0.0.1 --port 8123``.

The password comes from the environment (``MEVFLOW_CLICKHOUSE__PASSWORD``), never from the command line, which
other users can read.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from mevflow.clickhouse.server.engine import Engine
from mevflow.clickhouse.server.listener import Listener, check_address
from mevflow.clickhouse.server.parts import Parts
from mevflow.clickhouse.server.services import services
from mevflow.metrics.serving import Serving
from mevflow.operators.errors import MevflowError
from mevflow.processes.confined import confine, forget_environment
from mevflow.processes.private import UMASK

#: How long a stop waits for running statements, in seconds.
PATIENCE_S = 10.0
#: Variables that the engine may know.
_KEPT = ("PATH", "HOME", "LANG", "TZ")


def main() -> int:
    """Serve until SIGTERM or SIGINT, then drain and close the engine."""
    parser = argparse.ArgumentParser(prog="mevflow.clickhouse.server", description=__doc__)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--metrics", default="", help="JSON of a Serving; empty: none")
    options = parser.parse_args()
    os.umask(UMASK)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    log = logging.getLogger("mevflow.clickhouse.server")
    password = os.environ.get("MEVFLOW_CLICKHOUSE__PASSWORD", "")
    try:
        check_address(options.host, password)
        serving = Serving.parse(options.metrics)
        _confine(options.path, serving, log)
        engine = Engine(options.path)
        listener = Listener(services(engine, password), options.host, options.port, password)
    except MevflowError as error:
        log.error("%s", error)
        return error.exit_code
    log.info("ClickHouse %s answers on http://%s:%d", engine.version, options.host, listener.port)
    parts = Parts(engine)
    endpoint = serving.begin("mevflow-clickhouse", {}, [listener.meter.tell, parts.tell]) if serving else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(listener))
    if endpoint is not None:
        endpoint.close()
    parts.close()
    engine.close()
    log.info("stopped")
    return 0


def _confine(path: Path, serving: Serving | None, log: logging.Logger) -> None:
    """Leave the engine its own folder: SQL can read, write and run whatever its process can."""
    forget_environment(lambda name: name in _KEPT or name.startswith(("LC_", "PYTHON")))
    folders = [path, path / "tmp"]
    if serving is not None:
        folders.append(Path(serving.var) / "prometheus")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(path / "tmp")  # where the engine puts what is its own
    if not confine(folders):
        log.warning(
            "this kernel has no Landlock: SQL can read what this user can; set a password, or use a user of its own"
        )


async def _serve(listener: Listener) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await listener.serve(stop, PATIENCE_S)


if __name__ == "__main__":
    sys.exit(main())
