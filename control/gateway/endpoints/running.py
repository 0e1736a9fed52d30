"""What runs and what is wrong with it: ``/api/services``, ``/api/alerts``."""

from __future__ import annotations

from typing import Any

from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, Nothing, Surroundings
from mevflow.flows.runtime.alerts import alerts as by_rules
from mevflow.flows.runtime.alerts import of_prometheus
from mevflow.flows.services import services as running


def services(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """Broker, ClickHouse and every process that serves metrics, with what it says of itself."""
    return {"rows": running(around.bootstrap, around.clickhouse, around.var)}


def alerts(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """What fires, and who says so: a Prometheus, or the simple rules of this gateway."""
    if around.prometheus:
        return {"source": around.prometheus, "rows": of_prometheus(around.prometheus)}
    found = running(around.bootstrap, around.clickhouse, around.var)
    return {"source": "", "rows": by_rules(found, around.var)}


ENDPOINTS = (
    HttpEndpoint(
        "GET", "/api/services", "Services", "What runs, with memory, uptime and key figures", Nothing, services
    ),
    HttpEndpoint("GET", "/api/alerts", "Alerts", "What fires, from Prometheus or by simple rules", Nothing, alerts),
)
