"""The main job from nothing to a report: services, topics, recorded days, ``detect-live``, and everything down again.

Beside it, once: ``label`` over the same days, and a command whose answers ``acks`` stores, so that no table is empty.
Each step says whether it found its service running; only what the demo started itself is stopped at the end.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mevflow.flows.config import Config
from mevflow.operators.errors import MevflowError
from mevflow.operators.samples import found

TOPOLOGY = "detect-live"
RECORDINGS = (
    Path("examples/data/whirlpool-transaction-20220406.jsonl.gz"),
    Path("examples/data/uniswap-v3-usdc_weth_0.05pct_0x88e6a0c2_2024-01-05.csv.gz"),
    Path("examples/data/uniswap-v3-usdc_weth_0.30pct_0x8ad599c3_2024-01-05.csv.gz"),
)
CATCH_UP_S = 600.0

Say = Callable[[str], None]


@dataclass
class Timing:
    """Seconds of each step, and what was moved."""

    steps: dict[str, float] = field(default_factory=dict)
    published: int = 0
    processed: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure one step."""
        start = time.monotonic()
        yield
        self.steps[name] = time.monotonic() - start


def run(config: Config, file: Path, keep: bool, say: Say, bar: Callable[..., Any]) -> dict[str, Any]:
    """Run the job; give the report. ``bar`` is a progress context as :func:`mevflow.cli.progress.progress`.

    Raises what the steps raise: MevflowError and its kinds, each with what to do.
    """
    from mevflow.flows.demo import report
    from mevflow.flows.runtime import control_service, deploy

    timing = Timing()
    with ExitStack() as down:
        with timing.step("services"):
            _services(config, down, keep, say)
        with timing.step("feed"):
            timing.published = _feed(config, say, bar)
        with timing.step("detect"):
            if not keep:
                down.callback(_stop, TOPOLOGY, config, say)
            shards = _run(TOPOLOGY, config, file, say, bar)
            timing.processed = sum(deploy.source_rows(shard) for shard in shards)
        client = report.connect()
        with timing.step("label and acks"):
            _others(config, file, client, keep, say, bar)
        if keep:
            _flushed(TOPOLOGY, config, _epochs(shards), bar)
        else:
            _stop(TOPOLOGY, config, say)  # a drain flushes everything, so the report sees it all
        outcome = {
            "chains": report.by_chain(client),
            "top": report.top_opportunities(client),
            "arms": report.decisions_by_arm(client),
            "landing": report.landing(client),
            "tables": report.rows_by_table(client),
            "published": timing.published,
            "processed": timing.processed,
            "messages_per_s": round(timing.processed / timing.steps["detect"]),
            "seconds": {name: round(seconds, 2) for name, seconds in timing.steps.items()},
            "kept_running": keep,
        }
        client.close()
        if keep:
            found = control_service.start(config.var, file)
            say(f"control answers at {found['grpc']}: mevflow policy status")
            say(f"the dashboard is at {found['http']}/")
            say("left running; to end it: mevflow control stop, stop detect-live, then hub, clickhouse and broker stop")
        else:
            say("stopping")
    return outcome


def _services(config: Config, down: ExitStack, keep: bool, say: Say) -> None:
    from mevflow.clickhouse import daemon
    from mevflow.clickhouse.migrate import migrate
    from mevflow.flows.demo import report
    from mevflow.kafka import broker, topics
    from mevflow.sinks.websocket.hub import hub_status, start_hub, stop_hub
    from mevflow.sinks.websocket.hub.wire import guard, socket_path

    where = config.clickhouse
    password = where.password.get_secret_value()
    if broker.status(config.var, config.kafka.bootstrap).pid is None:
        broker.start(config.var, config.kafka.bootstrap, config.kafka.controller_port, config.kafka.heap_mb, say)
        say(f"Kafka runs at {config.kafka.bootstrap}")
        if not keep:
            down.callback(broker.stop, config.var)
    created = topics.create(config.kafka.bootstrap)
    say(f"topics: {len(created)} created" if created else "topics: all there")
    if daemon.status(config.var, where.host, where.port).pid is None:
        daemon.start(config.var, where.host, where.port, password, metrics=config.serving())
        say(f"ClickHouse runs at http://{where.host}:{where.port}")
        if not keep:
            down.callback(daemon.stop, config.var)
    live = config.websocket
    if hub_status(live.port) is None:
        guard(socket_path(live.port), config.control.authenticates)
        start_hub(live.host, live.port, config.var, options=("--dscp", live.dscp), metrics=config.serving())
        say(f"live messages at ws://{live.host}:{live.port}/ws")
        if not keep:
            down.callback(stop_hub, live.port)
    client = report.connect_server()
    applied = migrate(client, where.database)
    client.close()
    say(f"ClickHouse: {len(applied)} migrations applied" if applied else "ClickHouse: migrated before")


def _feed(config: Config, say: Say, bar: Callable[..., Any]) -> int:
    from mevflow.flows.feed.publish import feed

    beside = config.topologies.parent
    recordings = [path if (path := beside / name).exists() else found(name) for name in RECORDINGS]
    for path in recordings:
        if not path.exists():
            raise MevflowError("a recorded day is missing", hint="install mevflow anew", file=str(path))
    with bar(sum(path.stat().st_size for path in recordings), "feed") as progress:
        outcome = feed(recordings, config=config, progress=progress)
    say(f"{outcome.published:,} messages published, {outcome.skipped:,} were there before")
    return outcome.published


def _run(name: str, config: Config, file: Path, say: Say, bar: Callable[..., Any]) -> list[dict[str, Any]]:
    """Deploy a topology and wait until it has caught up with what is there; gives what its shards say then."""
    from mevflow.flows.runtime import deploy
    from mevflow.flows.spec.resolve import resolve
    from mevflow.flows.spec.topology import load
    from mevflow.kafka.topics import listing

    if deploy.status(name, config.var)["state"] != "running":
        deploy.start(deploy.prepare(file, name, config.var, shards=None, fresh=False))
    say(f"{name} is deployed")
    sources = resolve(load(file), name).of_use("kafka.source")
    topics = sorted({str(getattr(node.settings, "topic", "")) for node in sources})
    there = sum(sum(b - a for a, b in info.ends.values()) for info in listing(config.kafka.bootstrap, topics))
    with bar(there, name) as progress:
        for shards in _shards(name, config, "catch up"):
            progress(sum(deploy.source_rows(shard) for shard in shards))
            if shards and all(shard.get("caught_up") for shard in shards):
                break
    return shards


def _flushed(name: str, config: Config, since: int, bar: Callable[..., Any]) -> None:
    """Wait until the sinks have flushed what was there at epoch ``since``: the one after it has begun and ended."""
    with bar(2, "flush") as progress:
        for shards in _shards(name, config, "flush"):
            passed = _epochs(shards) - since
            progress(passed)
            if passed >= 2:
                return


def _epochs(shards: list[dict[str, Any]]) -> int:
    return min((int(shard.get("epochs", 0)) for shard in shards), default=0)


def _shards(name: str, config: Config, what: str) -> Iterator[list[dict[str, Any]]]:
    """What the shards of a running topology say, again and again. Raises MevflowError when it ends or is too slow."""
    from mevflow.flows.runtime import deploy

    deadline = time.monotonic() + CATCH_UP_S
    while time.monotonic() < deadline:
        now = deploy.status(name, config.var)
        if now["state"] != "running":
            raise MevflowError(f"{name} is {now['state']}", hint=f"mevflow logs {name}")
        yield now["shards"]
        time.sleep(0.1)
    raise MevflowError(f"{name} did not {what} in {CATCH_UP_S:g} s", hint=f"mevflow logs {name}")


def _stop(name: str, config: Config, say: Say) -> None:
    from mevflow.flows.runtime import deploy

    if deploy.status(name, config.var)["state"] == "running":
        deploy.stop(name, config.var)
        say(f"{name} is drained")


def _others(config: Config, file: Path, client: Any, keep: bool, say: Say, bar: Callable[..., Any]) -> None:
    """Labels of the days, and the answers to one command, where there are none yet."""
    names = []
    if not client.command("SELECT count() FROM transaction_labels"):
        names.append("label")
    if not client.command("SELECT count() FROM control_acks") and _command(config, file, keep, say):
        names.append("acks")
    for name in names:
        _run(name, config, file, say, bar)
        _stop(name, config, say)


def _command(config: Config, file: Path, keep: bool, say: Say) -> bool:
    """Give every shard a command that changes nothing; False when none has answered, which ends nothing.

    The service that takes it goes on when ``keep`` leaves all running, or when it ran before.
    """
    from mevflow.flows.runtime import control_service
    from mevflow.processes.environment import environment

    words = ["control", "log-level", TOPOLOGY, "info", "--reason", "the demo", "--wait", "20", "--address"]
    running = control_service.status(config.var) is not None
    try:
        address = str(control_service.start(config.var, file)["grpc"])
        done = subprocess.run(
            [sys.executable, "-m", "mevflow.cli", *words, address],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    except MevflowError as error:
        say(f"no command is given, for the control service does not start: {error.message}")
        return False
    finally:
        if not keep and not running:
            control_service.stop(config.var)
    if done.returncode:
        say(f"no shard has answered a command: {done.stderr.strip()}")
    return done.returncode == 0
