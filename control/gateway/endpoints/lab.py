"""Smoke tests as calls: ``/api/lab``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mevflow.control.client import requests
from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, Nothing, Surroundings
from mevflow.flows.lab import lab
from mevflow.flows.lab.streams import TESTS
from mevflow.v1 import control_service_pb2 as pb

#: How long shards may take to answer.
_WAIT_S = 20.0


class SmokeAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``test``: a name of ``/api/lab/tests``."""

    test: Annotated[str, Meta(max_length=64)]


def tests(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """Which there are, and what each does."""
    return {"rows": [{"name": name, "summary": (test.__doc__ or "").strip()} for name, test in TESTS.items()]}


def run(around: Surroundings, asked: SmokeAsked) -> lab.LabRun:
    """Run one now: whether it passed, and how long each step took."""
    bench = lab.Bench(around.bootstrap, around.clickhouse, around.var, around.hub, lambda: _command(around))
    return lab.run(bench, asked.test, TESTS)


def _command(around: Surroundings) -> lab.Answered:
    """The log level that is in force said again, by the caller, to the topology of the first shard that is live."""
    assert around.call is not None
    status = around.call("Status", requests.status())
    live = [shard.topology for shard in status.shards if shard.state == "live"]
    if not live:
        return lab.Answered("", 0, 0, "")
    said = [each for each in status.commands if each.kind == "log_level" and each.topology in (live[0], "")]
    last = max(said, key=lambda each: each.issued_at_us, default=None)
    how = requests.delivery(wait_s=_WAIT_S, reason="smoke test")
    reply = around.call("Command", requests.command(live[0], "log_level", level=_level(last), how=how))
    outcome = pb.CommandReply.Outcome.Name(reply.outcome)
    return lab.Answered(live[0], reply.expected, reply.applied, outcome)


class _Said(msgspec.Struct):
    level: str = "INFO"


def _level(last: pb.CommandReply | None) -> str:
    """The level that a command on the log says, which anyone may have written; INFO where it says none."""
    try:
        return msgspec.json.decode(b"{}" if last is None else last.payload, type=_Said).level
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Said().level


def runs(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """The last fifty, newest first."""
    return {"rows": lab.runs(around.var)}


ENDPOINTS = (
    HttpEndpoint("GET", "/api/lab/tests", "LabTests", "Smoke tests that there are", Nothing, tests),
    HttpEndpoint("POST", "/api/lab/run", "LabRun", "Run a smoke test", SmokeAsked, run),
    HttpEndpoint("GET", "/api/lab/runs", "LabRuns", "The last runs of smoke tests", Nothing, runs),
)
