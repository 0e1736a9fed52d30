"""A topology's logs and metrics: ``/api/topologies/{name}/logs`` and ``/metrics``."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, Surroundings
from mevflow.control.refusal import invalid
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.log_tail import tail
from mevflow.flows.services import samples
from mevflow.operators.errors import UsageError

MAX_LINES, MAX_SAMPLES = 1_000, 5_000
_PLACE = re.compile(r"([0-9]{1,4}):([0-9]{1,15})\Z")
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,127}$")]


class LogsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``cursor``: ``next`` of an answer; without it the last ``lines`` of each shard. ``text``: lines that hold it."""

    name: Name
    lines: Annotated[int, Meta(ge=1, le=MAX_LINES)] = 200
    cursor: Annotated[str, Meta(max_length=2_000)] = ""
    text: Annotated[str, Meta(max_length=256)] = ""
    shard: Annotated[int, Meta(ge=0, lt=10_000)] | None = None


class MetricsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``metric``: only samples whose name begins so."""

    name: Name
    metric: Annotated[str, Meta(pattern="^[a-z_]{0,100}$")] = ""


def logs(around: Surroundings, asked: LogsAsked) -> dict[str, Any]:
    """Lines of the shards' logs; ``next`` goes on, so that asking again follows them."""
    root = Layout.live(around.var, asked.name).root
    if not root.is_dir():
        raise UsageError(f"{asked.name} was never deployed here", hint=f"mevflow deploy {asked.name}")
    after = None
    if asked.cursor:
        places = [_PLACE.match(each) for each in asked.cursor.split(",")]
        if not all(places):
            raise invalid("cursor", "is the `next` of an answer")
        after = {int(each[1]): int(each[2]) for each in places if each}
    lines, following = tail(root, lines=asked.lines, after=after, text=asked.text, shard=asked.shard)
    return {"rows": lines, "next": ",".join(f"{shard}:{place}" for shard, place in sorted(following.items()))}


def metrics(around: Surroundings, asked: MetricsAsked) -> dict[str, Any]:
    """Samples of its shards and its supervisor as they are now, without histograms' buckets."""
    found = samples(around.var, asked.name, asked.metric)
    return {"rows": found[:MAX_SAMPLES], "truncated": len(found) > MAX_SAMPLES}


ENDPOINTS = (
    HttpEndpoint("GET", "/api/topologies/{name}/logs", "TopologyLogs", "What its shards wrote", LogsAsked, logs),
    HttpEndpoint(
        "GET", "/api/topologies/{name}/metrics", "TopologyMetrics", "Samples of its shards", MetricsAsked, metrics
    ),
)
