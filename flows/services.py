"""What runs for a folder: broker, ClickHouse, and every process that serves metrics, with what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import urllib3

from mevflow.clickhouse import daemon
from mevflow.flows.config import ClickHouseConfig
from mevflow.kafka import broker
from mevflow.metrics import targets
from mevflow.metrics.targets import Target

_ANSWER_S = 2.0
_MOST_BYTES = 4 << 20
_AT_ONCE = 8
_LINE = re.compile(rb"([a-z_]+)(?:\{[^}]*\})? ([0-9.eE+-]+)")
_SAMPLE = re.compile(r"([a-z_]+)(?:\{([^}]*)\})? ([0-9.eE+-]+)")
_LABEL = re.compile(r'([a-z_]+)="([^"]*)"')
_PROCESS = "mevflow_process_"
#: How samples of one metric with different labels become one figure; metrics that are not here are left out.
_FIGURES: dict[str, Callable[[list[float]], float]] = {
    "mevflow_process_resident_memory_bytes": sum,
    "mevflow_process_cpu_seconds_total": sum,
    "mevflow_process_start_time_seconds": max,
    "mevflow_process_threads": sum,
    "mevflow_ready": min,
    "mevflow_calls_total": sum,
    "mevflow_audit_lost_records": sum,
    "mevflow_shard_running": min,
    "mevflow_caught_up": min,
    "mevflow_consumer_lag_records": sum,
    "mevflow_event_time_lag_seconds": max,
    "mevflow_dead_letters_total": sum,
    "mevflow_kill_engaged": max,
    "mevflow_kafka_produce_errors_total": sum,
    "mevflow_kafka_queue_records": sum,
    "mevflow_shard_failing": max,
    "mevflow_restarts_total": sum,
    "mevflow_disk_free_bytes": min,
    "mevflow_disk_size_bytes": min,
    "mevflow_clickhouse_parts": max,
    "mevflow_clickhouse_rows": sum,
    "mevflow_clickhouse_bytes": sum,
    "mevflow_http_requests_total": sum,
    "mevflow_websocket_clients": sum,
    "mevflow_websocket_feeds": sum,
    "mevflow_websocket_received_messages_total": sum,
    "mevflow_websocket_sent_messages_total": sum,
    "mevflow_websocket_dropped_messages_total": sum,
}


class RunningService(msgspec.Struct, frozen=True):
    """``state``: ``up``; ``down`` (its process ended without leaving the list, or nothing answers there); ``silent``
    (the process lives and does not answer). ``figures``: of its metrics; a metric that it does not serve is absent.
    """

    job: str
    of: str
    state: str
    address: str
    pid: int | None = None
    since_us: int | None = None
    memory_bytes: int | None = None
    cpu_s: float | None = None
    figures: dict[str, float] = {}


def services(bootstrap: str, where: ClickHouseConfig, var: Path) -> list[RunningService]:
    """Everything, in a fixed order. Takes as long as the slowest that does not answer: two seconds."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        kafka = pool.submit(broker.status, var, bootstrap)
        house = pool.submit(daemon.status, var, where.host, where.port)
        found = list(pool.map(_scraped, targets.read(var)))
        there, stored = kafka.result(), house.result()
    up = {True: "up", False: "down"}
    rows = [RunningService("kafka", "", up[there.answering], bootstrap, there.pid)]
    if not any(each.job == "mevflow-clickhouse" for each in found):
        rows.append(RunningService("clickhouse", "", up[stored.answering], f"{stored.host}:{stored.port}", stored.pid))
    return [*rows, *sorted(found, key=lambda each: (each.job, each.of))]


def _scraped(target: Target) -> RunningService:
    labels = target.identity
    job = labels.pop("job", "")
    of = "/".join(labels[name] for name in ("topology", "shard") if name in labels)
    address = target.targets[0]
    process = target.process
    if not process.alive:
        return RunningService(job, of, "down", address)
    text = _page(address)
    if text is None:
        return RunningService(job, of, "silent", address, process.pid)
    figures = figures_of(text)
    started = figures.pop(f"{_PROCESS}start_time_seconds", None)
    memory = figures.pop(f"{_PROCESS}resident_memory_bytes", None)
    return RunningService(
        job=job,
        of=of,
        state="up",
        address=address,
        pid=process.pid,
        since_us=None if started is None else int(started * 1e6),
        memory_bytes=None if memory is None else int(memory),
        cpu_s=figures.pop(f"{_PROCESS}cpu_seconds_total", None),
        figures=figures,
    )


def _page(address: str) -> bytes | None:
    """A process's metrics as text; None when it does not answer."""
    try:
        reply = urllib3.request(
            "GET", f"http://{address}/metrics", retries=False, timeout=_ANSWER_S, preload_content=False
        )
        with reply:
            return bytes(reply.read(_MOST_BYTES, decode_content=True))
    except (urllib3.exceptions.HTTPError, OSError):
        return None


class Sample(msgspec.Struct, frozen=True):
    """One number of a metric."""

    name: str
    labels: dict[str, str]
    value: float


def samples(var: Path, topology: str, metric: str = "") -> list[Sample]:
    """What a topology's shards and supervisor serve now; ``metric``: only names that begin so. No buckets."""
    found: list[Sample] = []
    for target in targets.read(var):
        if target.labels.get("topology") != topology or not target.process.alive:
            continue
        for line in (_page(target.targets[0]) or b"").decode(errors="replace").splitlines():
            parts = _SAMPLE.match(line)
            if parts is not None and parts[1].startswith(metric) and not parts[1].endswith("_bucket"):
                found.append(Sample(parts[1], dict(_LABEL.findall(parts[2] or "")), float(parts[3])))
    return found


def figures_of(page: bytes) -> dict[str, float]:
    """One number a metric of a page in Prometheus' text."""
    samples: dict[str, list[float]] = {}
    for name, value in _samples(page):
        samples.setdefault(name, []).append(value)
    return {name: float(_FIGURES[name](values)) for name, values in samples.items()}


def _samples(page: bytes) -> Iterator[tuple[str, float]]:
    for line in page.splitlines():
        found = _LINE.match(line)
        if found is not None and (name := found[1].decode()) in _FIGURES:
            yield name, float(found[2])
