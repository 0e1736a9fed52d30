"""Alerts: from a Prometheus where one is named, else by simple rules over what the processes say at this moment.

The simple rules are those of ``ops/prometheus/rules.yaml`` that need no history, under the same names: a rate, a burn
or a ``for:`` needs Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import urllib3

from mevflow.flows.runtime.status import TROUBLED, status
from mevflow.flows.services import RunningService
from mevflow.operators.errors import UnreachableError

_ANSWER_S = 3.0
_MOST_BYTES = 4 << 20
_LAG_S, _PARTS, _QUEUE, _FREE = 30, 150, 500_000, 0.05


class Alert(msgspec.Struct, frozen=True):
    """``name`` is its heading in ``docs/runbook.md``; ``severity``: page or ticket."""

    name: str
    severity: str
    of: str
    summary: str
    since_us: int | None = None


_Rule = tuple[str, str, str, Callable[[float], bool], str]
_RULES: tuple[_Rule, ...] = (
    ("ShardRestarting", "page", "mevflow_shard_failing", lambda v: v == 1, "dies again and again at one place"),
    ("LagSecondsHigh", "page", "mevflow_event_time_lag_seconds", lambda v: v > _LAG_S, "is {:.0f} s behind"),
    ("KillEngaged", "page", "mevflow_kill_engaged", lambda v: v == 1, "the kill switch is engaged"),
    ("ControlNotReady", "page", "mevflow_ready", lambda v: v == 0, "takes no calls"),
    ("TooManyParts", "ticket", "mevflow_clickhouse_parts", lambda v: v > _PARTS, "a table has {:.0f} parts"),
    ("KafkaProduceFailing", "page", "mevflow_kafka_produce_errors_total", lambda v: v > 0, "{:.0f} records not taken"),
    ("KafkaProduceFailing", "page", "mevflow_kafka_queue_records", lambda v: v > _QUEUE, "{:.0f} records wait"),
)


def alerts(found: Iterable[RunningService], var: Path) -> list[Alert]:
    """By the simple rules, pages first."""
    raised: list[Alert] = []
    for each in found:
        name = " ".join(filter(None, (each.job, each.of)))
        if each.state != "up":
            raised.append(Alert("TargetDown", "page", name, f"{name} at {each.address} is {each.state}"))
        for alert, severity, metric, broken, text in _RULES:
            value = each.figures.get(metric)
            if value is not None and broken(value):
                raised.append(Alert(alert, severity, name, f"{name}: {text.format(value)}"))
        free, size = each.figures.get("mevflow_disk_free_bytes"), each.figures.get("mevflow_disk_size_bytes")
        if free is not None and size and free / size < _FREE:
            raised.append(Alert("DiskWillFill", "page", name, f"{name}: {free / size:.1%} of the disk is free"))
    for folder in sorted((var / "run").glob("*")):
        state = status(folder.name, var)["state"] if folder.is_dir() else ""
        if state in TROUBLED:
            raised.append(Alert("TargetDown", "page", folder.name, f"the topology {folder.name} is {state}"))
    return sorted(raised, key=lambda alert: (alert.severity != "page", alert.name, alert.of))


def of_prometheus(url: str) -> list[Alert]:
    """What fires in a Prometheus. Raises UnreachableError."""
    try:
        reply = urllib3.request(
            "GET", f"{url.rstrip('/')}/api/v1/alerts", retries=False, timeout=_ANSWER_S, preload_content=False
        )
        with reply:
            if reply.status != 200:
                raise UnreachableError(f"the Prometheus at {url} answers {reply.status}")
            body: dict[str, Any] = msgspec.json.decode(reply.read(_MOST_BYTES, decode_content=True))
        firing = [each for each in body["data"]["alerts"] if each["state"] == "firing"]
        return [_alert(each["labels"], each.get("annotations", {})) for each in firing]
    except (urllib3.exceptions.HTTPError, OSError, msgspec.DecodeError, KeyError, TypeError) as error:
        raise UnreachableError(
            f"the Prometheus at {url} gives no alerts: {type(error).__name__}", hint="MEVFLOW_METRICS__PROMETHEUS"
        ) from error


def _alert(labels: dict[str, str], notes: dict[str, str]) -> Alert:
    of = " ".join(labels[name] for name in ("job", "topology", "shard") if name in labels)
    summary = notes.get("summary") or notes.get("description") or ""
    return Alert(labels.get("alertname", ""), labels.get("severity", ""), of, summary)
