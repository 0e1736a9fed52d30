"""Which message a topic bears."""

from __future__ import annotations

from mevflow.operators.codec import FILES

#: As they are created and fed (``mevflow.kafka.topics``).
OF_TOPIC = {
    "dex-swaps-proto": "mevflow.v1.Swap",
    "pool-updates-proto": "mevflow.v1.PoolUpdate",
    "price-ticks-proto": "mevflow.v1.PriceTick",
    "outcomes-proto": "mevflow.v1.Outcome",
    "bandit-events-proto": "mevflow.v1.BanditEvent",
    "realtime-proto": "mevflow.v1.RealtimeMessage",
    "mev-decisions": "mevflow.v1.Decision",
    "control-commands": "mevflow.v1.ControlCommand",
    "control-acks": "mevflow.v1.ControlAck",
    "control-heartbeats": "mevflow.v1.Heartbeat",
    "control-audit": "mevflow.v1.ControlAudit",
    "dlq": "mevflow.v1.DeadLetter",
}


def names() -> list[str]:
    """Every message that a record may be read as, in order."""
    return sorted(f"{file.package}.{short}" for file in FILES for short in file.message_types_by_name)
