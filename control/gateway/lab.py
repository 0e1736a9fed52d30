"""Smoke tests as calls: ``/api/lab``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mevflow.control.gateway.endpoints import HttpEndpoint, Nothing, Surroundings
from mevflow.flows import lab


class SmokeAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``test``: a name of ``/api/lab/tests``."""

    test: Annotated[str, Meta(max_length=64)]


def tests(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """Which there are, and what each does."""
    return {"rows": [{"name": name, "summary": (test.__doc__ or "").strip()} for name, test in lab.TESTS.items()]}


def run(around: Surroundings, asked: SmokeAsked) -> lab.LabRun:
    """Run one now: whether it passed, and how long each step took."""
    return lab.run(lab.Bench(around.bootstrap, around.clickhouse, around.var, around.hub), asked.test)


def runs(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """The last fifty, newest first."""
    return {"rows": lab.runs(around.var)}


ENDPOINTS = (
    HttpEndpoint("GET", "/api/lab/tests", "LabTests", "Smoke tests that there are", Nothing, tests),
    HttpEndpoint("POST", "/api/lab/run", "LabRun", "Run a smoke test", SmokeAsked, run),
    HttpEndpoint("GET", "/api/lab/runs", "LabRuns", "The last runs of smoke tests", Nothing, runs),
)
