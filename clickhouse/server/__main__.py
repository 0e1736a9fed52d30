"""The server's process: ``python -m mevflow.clickhouse.server --path DIR --host 127.0.0.1 --port 8123``.

The password comes from the environment (``MEVFLOW_CLICKHOUSE__PASSWORD``), never from the command line, which
other users can read.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from mevflow.clickhouse.server.engine import Engine
from mevflow.clickhouse.server.listener import Listener, check_address
from mevflow.operators.errors import MevflowError
from mevflow.operators.private import UMASK

#: How long a stop waits for running statements, in seconds.
PATIENCE_S = 10.0


def main() -> int:
    """Serve until SIGTERM or SIGINT, then drain and close the engine."""
    parser = argparse.ArgumentParser(prog="mevflow.clickhouse.server", description=__doc__)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123)
    options = parser.parse_args()
    os.umask(UMASK)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    log = logging.getLogger("mevflow.clickhouse.server")
    password = os.environ.get("MEVFLOW_CLICKHOUSE__PASSWORD", "")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        check_address(options.host, password)
        engine = Engine(options.path)
        listener = Listener(engine, options.host, options.port, password)
    except MevflowError as error:
        log.error("%s", error)
        return error.exit_code
    threading.Thread(target=listener.serve_forever, name="listener", daemon=True).start()
    log.info("ClickHouse %s answers on http://%s:%d", engine.version, options.host, listener.server_port)
    stop.wait()
    log.info("stopping")
    listener.drain(PATIENCE_S)
    engine.close()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
