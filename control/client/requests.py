"""Requests from plain Python values: what both faces of the client share.

Payloads are mappings (sent as JSON) or bytes (sent as they are). Times are seconds here, milliseconds on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mevflow.v1 import control_service_pb2 as pb

Payload = Mapping[str, Any] | bytes
AckName = Literal["all", "quorum", "none"]


def _payload(payload: Payload) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def delivery(
    *,
    expected_version: int | None = None,
    idempotency_key: str = "",
    ttl_s: float = 0.0,
    ack: AckName = "all",
    rollback: bool = False,
    wait_s: float = 0.0,
    reason: str = "",
    force: bool = False,
) -> pb.Delivery:
    """How a command is sent and what is waited for."""
    return pb.Delivery(
        expected_version=expected_version,
        idempotency_key=idempotency_key,
        ttl_ms=_ms(ttl_s),
        ack=ack.upper(),
        rollback=rollback,
        wait_ms=_ms(wait_s),
        reason=reason,
        force=force,
    )


def policy(topology: str, target: str, payload: Payload, *, kind: str = "policy") -> pb.PolicyRequest:
    """Of Validate and Plan."""
    return pb.PolicyRequest(topology=topology, target=target, payload=_payload(payload), kind=kind)


def apply(topology: str, target: str, payload: Payload, *, how: pb.Delivery | None = None) -> pb.ApplyRequest:
    """A policy: the full state."""
    return pb.ApplyRequest(topology=topology, target=target, payload=_payload(payload), delivery=how)


def swap_model(topology: str, target: str, payload: Payload, *, how: pb.Delivery | None = None) -> pb.SwapModelRequest:
    """A model: the full state."""
    return pb.SwapModelRequest(topology=topology, target=target, payload=_payload(payload), delivery=how)


def rollback(
    topology: str, target: str, *, kind: str = "policy", to_version: int = 0, how: pb.Delivery | None = None
) -> pb.RollbackRequest:
    """What ``to_version`` set (0: the version before the one in force)."""
    return pb.RollbackRequest(topology=topology, target=target, kind=kind, to_version=to_version, delivery=how)


def kill(
    topology: str = "", scope: str = "", *, reason: str = "", idempotency_key: str = "", wait_s: float = 0.0
) -> pb.KillRequest:
    """Everything (default), ``pool:ADDRESS`` or ``mint:ADDRESS``; in one topology or in all."""
    return pb.KillRequest(
        topology=topology, scope=scope, reason=reason, idempotency_key=idempotency_key, wait_ms=_ms(wait_s)
    )


def release(
    topology: str = "", scope: str = "", *, reason: str, idempotency_key: str = "", wait_s: float = 0.0
) -> pb.ReleaseRequest:
    """What ``kill`` engaged under the same topology and scope."""
    return pb.ReleaseRequest(
        topology=topology, scope=scope, reason=reason, idempotency_key=idempotency_key, wait_ms=_ms(wait_s)
    )


def command(topology: str, kind: str, *, level: str = "", how: pb.Delivery | None = None) -> pb.ShardCommandRequest:
    """``pause``, ``resume``, ``snapshot`` or ``log_level``."""
    return pb.ShardCommandRequest(topology=topology, kind=kind, level=level, delivery=how)


def status(topology: str = "", *, command_id: str = "") -> pb.StatusRequest:
    """Of everything, of one topology, or of one command."""
    return pb.StatusRequest(topology=topology, command_id=command_id)


def history(topology: str = "", target: str = "", *, kind: str = "", limit: int = 0) -> pb.HistoryRequest:
    """Commands that were in force, newest first."""
    return pb.HistoryRequest(topology=topology, target=target, kind=kind, limit=limit)


def watch(topology: str = "", *, from_offset: int | None = None) -> pb.WatchRequest:
    """From an event's offset on, or from now on."""
    return pb.WatchRequest(topology=topology, from_offset=from_offset)


def watch_acks(
    topology: str = "", *, command_id: str = "", from_positions: Mapping[int, int] | None = None
) -> pb.WatchAcksRequest:
    """From the next offset wanted of each partition on; of one command from its first answer on."""
    places = [pb.AckPosition(partition=part, offset=offset) for part, offset in (from_positions or {}).items()]
    return pb.WatchAcksRequest(topology=topology, command_id=command_id, from_positions=places)


def list_topologies() -> pb.ListTopologiesRequest:
    """Of the service's topology file."""
    return pb.ListTopologiesRequest()


def validate_topology(names: Sequence[str] = (), *, yaml: str = "") -> pb.ValidateTopologyRequest:
    """Of ``yaml``, or of the service's own file."""
    return pb.ValidateTopologyRequest(names=names, yaml=yaml)


def topology_status(name: str) -> pb.TopologyStatusRequest:
    """Lag, rates, last snapshot."""
    return pb.TopologyStatusRequest(name=name)


def deploy(name: str, *, shards: int = 0, fresh: bool = False) -> pb.DeployRequest:
    """Start a topology (``shards`` 0: as many as the file says)."""
    return pb.DeployRequest(name=name, shards=shards, fresh=fresh)


def stop(name: str, *, timeout_s: float = 0.0) -> pb.StopRequest:
    """Drain a topology."""
    return pb.StopRequest(name=name, timeout_ms=_ms(timeout_s))


def rescale(name: str, shards: int, *, fresh: bool = False) -> pb.RescaleRequest:
    """Drain, then start with another number of shards."""
    return pb.RescaleRequest(name=name, shards=shards, fresh=fresh)


def plan_topology(name: str, *, rollback: bool = False) -> pb.PlanTopologyRequest:
    """What an upgrade, or a rollback, would change."""
    return pb.PlanTopologyRequest(name=name, rollback=rollback)


def upgrade_topology(name: str, *, plan: str = "") -> pb.ChangeTopologyRequest:
    """Run a topology as its file has it now; ``plan``: of the plan that was looked at."""
    return pb.ChangeTopologyRequest(name=name, plan=plan)


def rollback_topology(name: str, *, plan: str = "") -> pb.ChangeTopologyRequest:
    """Run a topology as it was before the last change; ``plan`` as for an upgrade."""
    return pb.ChangeTopologyRequest(name=name, plan=plan)


def replay(
    name: str,
    run_id: str,
    *,
    from_us: int | None = None,
    to_us: int | None = None,
    warmup_us: int | None = None,
    files_only: bool = False,
    dry_run: bool = False,
) -> pb.ReplayRequest:
    """A window of history under a run's id."""
    return pb.ReplayRequest(
        name=name,
        run_id=run_id,
        from_us=from_us,
        to_us=to_us,
        warmup_us=warmup_us,
        files_only=files_only,
        dry_run=dry_run,
    )
