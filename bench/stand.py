"""A stand of its own for a bench: broker and ClickHouse on free ports in a temporary folder, torn down at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec, shape_of
from mevflow.flows.runtime.status import shard_status
from mevflow.processes.addresses import free_port
from mevflow.processes.environment import environment

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Stand:
    """Where the bench's services are."""

    folder: Path
    bootstrap: str
    clickhouse_port: int

    def run_topology(self, name: str, text: str) -> dict[str, Any]:
        """Run a bounded topology in a shard process; give its last status. Raises RuntimeError when it fails."""
        from mevflow.flows.spec.resolve import resolve
        from mevflow.flows.spec.topology import load

        file = self.folder / f"{name}.yaml"
        file.write_text(text)
        layout = Layout.live(self.folder / "var", name).make()
        spec = RunSpec(
            file=str(file),
            topology=name,
            root=str(layout.root),
            var=str(self.folder / "var"),
            shards=1,
            shape=shape_of(resolve(load(file), name)),
        )
        command = [sys.executable, "-m", "mevflow.flows.runtime.shard", str(spec.save()), "0"]
        done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return shard_status(layout, 0)


@contextmanager
def stand(*, clickhouse: bool = True) -> Iterator[Stand]:
    """Start the services; stop them whatever happens."""
    from mevflow.clickhouse import daemon
    from mevflow.clickhouse.client import connect
    from mevflow.clickhouse.migrate import migrate
    from mevflow.kafka import broker, topics

    with tempfile.TemporaryDirectory(prefix="mevflow-bench-") as name, ExitStack() as down:
        folder = Path(name)
        bootstrap = f"127.0.0.1:{free_port()}"
        broker.start(folder, bootstrap, free_port())
        down.callback(broker.stop, folder)
        topics.create(bootstrap)
        port = free_port()
        if clickhouse:
            daemon.start(folder, "127.0.0.1", port)
            down.callback(daemon.stop, folder)
            client = connect(port=port)
            migrate(client, "mevflow")
            client.close()
        addresses = {"KAFKA_BOOTSTRAP": bootstrap, "CLICKHOUSE_PORT": str(port)}
        before = {name: os.environ.get(name) for name in addresses}
        down.callback(_restore, before)
        os.environ.update(addresses)
        yield Stand(folder, bootstrap, port)


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
