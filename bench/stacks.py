"""What an empty call costs on the stacks that the control service could stand on, under the load of ``bench control``.

Nothing is checked, read or written: this is the floor below which no status call of that stack can come here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mevflow.bench.control import LOADS, STATUS_BARS, drive, figure, generator, percentiles
from mevflow.bench.control_load import LoadJob
from mevflow.bench.stack_server import STACKS
from mevflow.bench.stand import ROOT
from mevflow.processes.environment import environment


def run(seconds: float = 2.0) -> dict[str, Any]:
    """Every load on every stack, without TLS."""
    figures: list[dict[str, Any]] = []
    with generator() as load:
        for name in STACKS:
            kind = "grpc" if name.startswith("gRPC") else "http"
            with _server(name) as port:

                def job(callers: int, rate: int, kind: str = kind, port: int = port) -> LoadJob:
                    return LoadJob(kind, "127.0.0.1", port, "none", callers, rate, seconds)

                drive(load, job(10, 500))  # warm
                for callers, rate, text in LOADS:
                    figures += percentiles(f"{name}, {text}", drive(load, job(callers, rate))["took_ms"], STATUS_BARS)
                most = drive(load, job(50, 0))["calls_per_s"]
                figures.append(figure(f"{name}, 50 callers without a pause", most, "calls/s", None, None))
    return {"bench": "stacks", "figures": figures}


@contextmanager
def _server(name: str) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "mevflow.bench.stack_server", name],
        cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server on {name} did not start")
        yield int(line)
    finally:
        process.kill()
        process.communicate()
