"""Why a call was refused, in the terms of google.rpc: a status, a reason for machines, and what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DOMAIN = "mevflow"


class Refused(Exception):
    """A call that is answered by a status other than OK.

    ``code`` is a gRPC status by name. ``fields`` are (field, description) of what is wrong with the request,
    ``preconditions`` are (type, subject, description) of what is not as the caller thought.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        message: str,
        *,
        fields: Sequence[tuple[str, str]] = (),
        preconditions: Sequence[tuple[str, str, str]] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        command_id: str = "",
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.fields, self.preconditions = tuple(fields), tuple(preconditions)
        self.metadata = dict(metadata or {})
        self.retry_after_s, self.command_id = retry_after_s, command_id
        if command_id:
            self.metadata["command_id"] = command_id

    def details(self) -> list[Any]:
        """The google.rpc messages that say all this."""
        from google.protobuf.duration_pb2 import Duration
        from google.rpc import error_details_pb2 as rpc

        found: list[Any] = [rpc.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata)]
        if self.fields:
            violations = [rpc.BadRequest.FieldViolation(field=f, description=text) for f, text in self.fields]
            found.append(rpc.BadRequest(field_violations=violations))
        if self.preconditions:
            failures = [
                rpc.PreconditionFailure.Violation(type=kind, subject=subject, description=text)
                for kind, subject, text in self.preconditions
            ]
            found.append(rpc.PreconditionFailure(violations=failures))
        if self.retry_after_s is not None:
            delay = Duration()
            delay.FromNanoseconds(int(self.retry_after_s * 1e9))
            found.append(rpc.RetryInfo(retry_delay=delay))
        return found


def invalid(field: str, description: str, reason: str = "INVALID_ARGUMENT") -> Refused:
    """A request that is wrong in one field."""
    return Refused("INVALID_ARGUMENT", reason, f"{field}: {description}", fields=[(field, description)])
