"""Which path is which call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """``call`` is a method of ``mevflow.v1.Control``; a GET's request comes from the URL, others' from the body.

    ``{name}`` in the path is the request's field of that name.
    """

    verb: str
    path: str
    call: str
    summary: str


ROUTES = (
    HttpRoute("POST", "/api/control/policy", "Apply", "Apply a policy: the full state"),
    HttpRoute("POST", "/api/control/model-swap", "SwapModel", "Swap a model: the full state"),
    HttpRoute("POST", "/api/control/command", "Command", "pause, resume, snapshot or log_level"),
    HttpRoute("POST", "/api/control/kill-switch", "Kill", "Engage the kill switch"),
    HttpRoute("POST", "/api/control/kill-switch/release", "Release", "Release the kill switch"),
    HttpRoute("POST", "/api/control/validate", "Validate", "Whether a policy or a model would be accepted"),
    HttpRoute("POST", "/api/control/plan", "Plan", "What applying would change, and whom it would ask"),
    HttpRoute("POST", "/api/control/rollback", "Rollback", "Set again what an earlier version set"),
    HttpRoute("GET", "/api/control/status", "Status", "What is in force, and how shards are"),
    HttpRoute("GET", "/api/control/history", "History", "Commands that were in force, newest first"),
    HttpRoute("GET", "/api/control/watch", "Watch", "Events as they come, one JSON object a line"),
    HttpRoute("GET", "/api/control/acks", "WatchAcks", "Answers of shards as they come, one JSON object a line"),
    HttpRoute("GET", "/api/topologies", "ListTopologies", "What the service's topology file has"),
    HttpRoute("POST", "/api/topologies/validate", "ValidateTopology", "Problems of a topology file"),
    HttpRoute("GET", "/api/topologies/{name}", "TopologyStatus", "Lag, rates and last snapshot"),
    HttpRoute("POST", "/api/topologies/{name}/deploy", "Deploy", "Start a topology"),
    HttpRoute("POST", "/api/topologies/{name}/stop", "Stop", "Drain a topology"),
    HttpRoute("POST", "/api/topologies/{name}/rescale", "Rescale", "Drain, then start with another number of shards"),
    HttpRoute("GET", "/api/topologies/{name}/plan", "PlanTopology", "What an upgrade or a rollback of it would change"),
    HttpRoute("POST", "/api/topologies/{name}/upgrade", "UpgradeTopology", "Run it as its file has it now"),
    HttpRoute("POST", "/api/topologies/{name}/rollback", "RollbackTopology", "Run it as before the last change"),
    HttpRoute(
        "POST", "/api/topologies/{name}/replay", "Replay", "Run over a window of history; one JSON object a line"
    ),
)
