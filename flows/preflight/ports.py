"""Ports that are needed or that a system before this one may have, and which process has each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mevflow.clickhouse import daemon
from mevflow.flows.config import Config
from mevflow.flows.preflight.finding import PreflightFinding
from mevflow.flows.runtime import control_service
from mevflow.kafka import broker
from mevflow.sinks.websocket.hub import hub_status

#: What others usually have there: told, never in the way.
_OTHERS = {
    3000: "Grafana, a web front end",
    3001: "Grafana beside another one",
    8000: "an API",
    9000: "ClickHouse's native protocol",
    9090: "Prometheus",
    2181: "ZooKeeper: not needed, Kafka runs in KRaft mode",
    6379: "Redis: not needed",
}
_LISTEN = "0A"
_AREA = "port"


@dataclass(frozen=True, slots=True)
class PortHolder:
    """Who listens: ``pid`` is None for a process that may not be looked into (another user's)."""

    port: int
    pid: int | None
    command: str

    def __str__(self) -> str:
        return "another user's process" if self.pid is None else f"pid {self.pid} ({self.command})"


@dataclass(frozen=True, slots=True)
class _Need:
    """A port that the configuration names. ``mine``: whether what is there belongs to this deployment, or serves it."""

    port: int
    what: str
    setting: str
    mine: Callable[[], str]


def look_at_ports(config: Config) -> list[PreflightFinding]:
    """Findings for every port of the configuration, and for those of usual neighbours."""
    there = listeners()
    needs = _needs(config)
    found = [_judged(need, there) for need in needs]
    known = {need.port for need in needs}
    for port, usual in _OTHERS.items():
        if port not in known and port in there:
            text = f"{there[port]}; usually {usual}"
            found.append(PreflightFinding(_AREA, f"port {port}", "note", text))
    return found


def listeners() -> dict[int, PortHolder]:
    """Port -> who listens on it, on any address of this host."""
    inodes: dict[str, int] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            if fields[3] == _LISTEN:
                inodes[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    found = {port: PortHolder(port, None, "") for port in inodes.values()}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        for inode in _sockets(folder) & inodes.keys():
            pid = int(folder.parent.name)
            found[inodes[inode]] = PortHolder(inodes[inode], pid, _command(pid))
    return found


def _sockets(folder: Path) -> set[str]:
    found = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    except OSError:  # it has ended, or is another user's
        pass
    return found


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    return " ".join(words)[:60].strip()


def _needs(config: Config) -> list[_Need]:
    """Only what would listen on this host: a broker or a ClickHouse elsewhere has its own findings."""
    kafka, clickhouse, control = config.kafka, config.clickhouse, config.control

    def of_broker() -> str:
        found = broker.status(config.var, kafka.bootstrap)
        return "the embedded broker" if found.pid else "a Kafka broker, which is used" if found.answering else ""

    def of_clickhouse() -> str:
        found = daemon.status(config.var, clickhouse.host, clickhouse.port)
        return "the embedded ClickHouse" if found.pid else "a ClickHouse, which is used" if found.answering else ""

    def of_control() -> str:
        return "the control service" if control_service.status(config.var) is not None else ""

    def of_hub() -> str:
        return "the hub" if hub_status(config.websocket.port) is not None else ""

    needs = []
    host, _, port = kafka.bootstrap.partition(":")
    if _local(host) and port.isdigit():
        needs.append(_Need(int(port), "Kafka", "MEVFLOW_KAFKA__BOOTSTRAP", of_broker))
        needs.append(_Need(kafka.controller_port, "Kafka's controller", "MEVFLOW_KAFKA__CONTROLLER_PORT", of_broker))
    if _local(clickhouse.host):
        needs.append(_Need(clickhouse.port, "ClickHouse", "MEVFLOW_CLICKHOUSE__PORT", of_clickhouse))
    needs.append(_Need(config.websocket.port, "live messages", "MEVFLOW_WEBSOCKET__PORT", of_hub))
    needs.append(_Need(control.port, "gRPC", "MEVFLOW_CONTROL__PORT", of_control))
    needs.append(_Need(control.http_port, "gateway and pages", "MEVFLOW_CONTROL__HTTP_PORT", of_control))
    return needs


def _judged(need: _Need, there: dict[int, PortHolder]) -> PreflightFinding:
    subject = f"port {need.port} ({need.what})"
    if need.port not in there:
        return PreflightFinding(_AREA, subject, "ok", "free")
    mine = need.mine()
    if mine:
        return PreflightFinding(_AREA, subject, "ok", mine)
    return PreflightFinding(
        _AREA, subject, "blocked", str(there[need.port]), f"stop it, or set {need.setting} to a free one"
    )


def _local(host: str) -> bool:
    return host in ("127.0.0.1", "localhost", "::1")
