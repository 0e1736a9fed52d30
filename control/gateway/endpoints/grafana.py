"""Dashboards and data source into a Grafana: ``/api/provisioning/grafana``. Only hosts that are named are spoken to."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, Surroundings
from mevflow.control.refusal import Refused, invalid
from mevflow.metrics.grafana import (
    ADDRESS,
    ADDRESS_CHARACTERS,
    DATABASE,
    DATABASE_CHARACTERS,
    Grafana,
    GrafanaChange,
    GrafanaSources,
)
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError

_ANSWER_S = 10.0
Url = Annotated[str, Meta(min_length=1, max_length=ADDRESS_CHARACTERS, pattern=ADDRESS)]


class GrafanaAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``url``: of Grafana; ``token``: of a service account with the role Admin, kept nowhere; ``prometheus_url``: as
    Grafana reaches it; ``clickhouse_url`` and ``database``: for panels in SQL, empty for none.
    """

    url: Url
    token: Annotated[str, Meta(min_length=1, max_length=4_096, pattern=r"^[\x21-\x7e]+$")]
    prometheus_url: Url = "http://127.0.0.1:9090"
    clickhouse_url: Annotated[str, Meta(max_length=ADDRESS_CHARACTERS, pattern=rf"^$|{ADDRESS}")] = ""
    database: Annotated[str, Meta(min_length=1, max_length=DATABASE_CHARACTERS, pattern=DATABASE)] = "default"


def plan(around: Surroundings, asked: GrafanaAsked) -> dict[str, Any]:
    """What would be created or changed; nothing is."""
    changes = _changes(_grafana(around, asked), asked)
    return {"rows": [change.as_dict() for change in changes]}


def apply(around: Surroundings, asked: GrafanaAsked) -> dict[str, Any]:
    """Create and change what differs, item by item; one that fails does not stop the others."""
    grafana = _grafana(around, asked)
    results = grafana.apply(_changes(grafana, asked))
    return {"rows": [{**result.change.as_dict(), "error": result.error} for result in results]}


def _grafana(around: Surroundings, asked: GrafanaAsked) -> Grafana:
    try:
        host = (urlsplit(asked.url).hostname or "").lower()
    except ValueError:
        host = ""
    if host not in around.grafana:
        known = ", ".join(around.grafana) or "none"
        raise invalid("url", f"the gateway speaks to {known} only; MEVFLOW_METRICS__GRAFANA_HOSTS names more")
    try:
        return Grafana(asked.url, asked.token, timeout_s=_ANSWER_S)
    except UsageError as error:
        raise invalid("url", str(error.message)) from error


def _changes(grafana: Grafana, asked: GrafanaAsked) -> list[GrafanaChange]:
    try:
        return grafana.plan(GrafanaSources(asked.prometheus_url, asked.clickhouse_url, asked.database))
    except UsageError as error:
        raise invalid(error.key, str(error.message)) from error
    except UnreachableError as error:
        raise Refused("UNAVAILABLE", "GRAFANA_UNREACHABLE", str(error.message)) from error
    except MevflowError as error:
        metadata = {"hint": error.hint} if error.hint else {}
        raise Refused("FAILED_PRECONDITION", "GRAFANA_REFUSES", str(error.message), metadata=metadata) from error


ENDPOINTS = (
    HttpEndpoint(
        "POST",
        "/api/provisioning/grafana/plan",
        "GrafanaPlan",
        "What a Grafana lacks of dashboards and data source",
        GrafanaAsked,
        plan,
        secret=("token",),
    ),
    HttpEndpoint(
        "POST",
        "/api/provisioning/grafana/apply",
        "GrafanaApply",
        "Put dashboards and data source into a Grafana",
        GrafanaAsked,
        apply,
        secret=("token",),
    ),
)
