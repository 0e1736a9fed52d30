"""Which path is which call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """``call`` is a method of ``mevflow.v1.Control``; a GET's request comes from the URL, others' from the body.

    ``{name}`` in the path is the request's field of that name.
    """

    verb: str
    path: str
    call: str
    summary: str


ROUTES = (
    Route("POST", "/api/control/policy", "Apply", "Apply a policy: the full state"),
    Route("POST", "/api/control/model-swap", "SwapModel", "Swap a model: the full state"),
    Route("POST", "/api/control/command", "Command", "pause, resume, snapshot or log_level"),
    Route("POST", "/api/control/kill-switch", "Kill", "Engage the kill switch"),
    Route("POST", "/api/control/kill-switch/release", "Release", "Release the kill switch"),
    Route("POST", "/api/control/validate", "Validate", "Whether a policy or a model would be accepted"),
    Route("POST", "/api/control/plan", "Plan", "What applying would change, and whom it would ask"),
    Route("POST", "/api/control/rollback", "Rollback", "Set again what an earlier version set"),
    Route("GET", "/api/control/status", "Status", "What is in force, and how shards are"),
    Route("GET", "/api/control/history", "History", "Commands that were in force, newest first"),
    Route("GET", "/api/control/watch", "Watch", "Events as they come, one JSON object a line"),
    Route("GET", "/api/control/acks", "WatchAcks", "Answers of shards as they come, one JSON object a line"),
    Route("GET", "/api/topologies", "ListTopologies", "What the service's topology file has"),
    Route("POST", "/api/topologies/validate", "ValidateTopology", "Problems of a topology file"),
    Route("GET", "/api/topologies/{name}", "TopologyStatus", "Lag, rates and last snapshot"),
    Route("POST", "/api/topologies/{name}/deploy", "Deploy", "Start a topology"),
    Route("POST", "/api/topologies/{name}/stop", "Stop", "Drain a topology"),
    Route("POST", "/api/topologies/{name}/rescale", "Rescale", "Drain, then start with another number of shards"),
    Route("POST", "/api/topologies/{name}/replay", "Replay", "Run over a window of history; one JSON object a line"),
)
