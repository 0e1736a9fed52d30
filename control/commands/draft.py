"""A command before it has a version: what a caller asked for, in one form for every kind."""

from __future__ import annotations

import hashlib
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass

from mevflow.control.auth.identity import Identity
from mevflow.control.refusal import invalid
from mevflow.v1.control_service_pb2 import Delivery

WAIT_S = 5.0
_MAX_WAIT_S = 600.0
_MARGIN_S = 0.05
_MAX_TTL_MS = 30 * 86_400_000
_MAX_KEY = 128
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}")
#: Characters of a command's reason.
MAX_REASON = 1_000
#: Kinds of commands whose payload is the state of a stage.
STATE_KINDS = ("policy", "model")
#: Kafka takes records of up to a mebibyte by default; the rest is the envelope's.
MAX_PAYLOAD = 900_000
#: Values of a payload that is JSON.
MAX_VALUES = 100_000

#: When the call under way must be answered (time.monotonic; None: no deadline), as its transport knows.
DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)
#: The id of the call under way, in the audit log.
CALL_ID: ContextVar[str] = ContextVar("call_id", default="")


def values_in(text: bytes) -> int:
    """At most how many values a JSON text holds, without reading it; signs in its strings count as well."""
    return sum(map(text.count, (b",", b"[", b"{")))


@dataclass(frozen=True, slots=True)
class Draft:
    """A command to be.

    ``insist``: if another service was faster, try again with the next version. ``way_back``: the service's own, to set
    again what was before.
    """

    method: str
    kind: str
    topology: str
    target: str
    payload: bytes
    identity: Identity
    delivery: Delivery
    rolled_back_from: str = ""
    insist: bool = False
    way_back: bool = False

    def check(self) -> None:
        """Raise Refused (INVALID_ARGUMENT) for what no command may be."""
        given = self.delivery
        if len(self.payload) > MAX_PAYLOAD:
            raise invalid("payload", f"{len(self.payload):,} bytes; at most {MAX_PAYLOAD:,}", "PAYLOAD_TOO_LARGE")
        if not 0 <= given.ttl_ms <= _MAX_TTL_MS:
            raise invalid("delivery.ttl_ms", f"is between 0 and {_MAX_TTL_MS:,}")
        if given.wait_ms < 0:
            raise invalid("delivery.wait_ms", "is not negative")
        if len(given.idempotency_key) > _MAX_KEY:
            raise invalid("delivery.idempotency_key", f"has at most {_MAX_KEY} characters")
        if len(given.reason) > MAX_REASON:
            raise invalid("delivery.reason", f"has at most {MAX_REASON:,} characters")
        if given.rollback and given.ack not in (Delivery.ACK_POLICY_UNSPECIFIED, Delivery.ALL):
            raise invalid("delivery.rollback", "goes with the ack policy ALL")
        if self.topology and not _NAME.fullmatch(self.topology):
            raise invalid("topology", "is the name of a topology, or empty for all")
        if len(self.target) > 256 or "/" in self.target or not self.target.isprintable():
            raise invalid("target", "has at most 256 characters, no slash and no control character")

    @property
    def wait_s(self) -> float:
        """How long the caller waits for answers: what it says, within its call's deadline."""
        asked = self.delivery.wait_ms / 1000 if self.delivery.wait_ms else WAIT_S
        deadline = DEADLINE.get()
        left = _MAX_WAIT_S if deadline is None else deadline - time.monotonic() - _MARGIN_S
        return max(0.0, min(asked, _MAX_WAIT_S, left))

    @property
    def digest(self) -> bytes:
        """What makes it the same call again: everything but the idempotency key and how long to wait."""
        body = Delivery()
        body.CopyFrom(self.delivery)
        body.idempotency_key, body.wait_ms = "", 0
        parts = (self.method, self.kind, self.topology, self.target, body.SerializeToString(deterministic=True))
        joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
        return hashlib.blake2b(joined + b"\0" + self.payload, digest_size=16).digest()
