"""Refusals as RFC 9457 problem details (``application/problem+json``)."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from starlette.responses import Response

from mevflow.control.refusal import Refused

MEDIA = "application/problem+json"
TYPE = "urn:mevflow:problem:"

#: gRPC status -> HTTP status.
STATUS = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
#: Reasons whose HTTP status says more than their gRPC status does.
_BY_REASON = {"TOO_LARGE": 413, "UNSUPPORTED_MEDIA_TYPE": 415, "METHOD_NOT_ALLOWED": 405, "QUERY_FAILED": 422}

_encoder = msgspec.json.Encoder()


def status_of(refused: Refused) -> int:
    """The HTTP status of a refusal."""
    return _BY_REASON.get(refused.reason) or STATUS.get(refused.code, 500)


def problem(refused: Refused) -> dict[str, Any]:
    """``type``, ``title``, ``status``, ``detail``; ``fields``, ``preconditions`` and ``metadata`` if there are any."""
    found: dict[str, Any] = {
        "type": TYPE + refused.reason.lower().replace("_", "-"),
        "title": refused.reason.replace("_", " ").capitalize(),
        "status": status_of(refused),
        "detail": refused.message,
        "code": refused.code,
        "reason": refused.reason,
    }
    if refused.fields:
        found["fields"] = [{"field": field, "description": text} for field, text in refused.fields]
    if refused.preconditions:
        found["preconditions"] = [
            {"type": kind, "subject": subject, "description": text} for kind, subject, text in refused.preconditions
        ]
    if refused.metadata:
        found["metadata"] = refused.metadata
    if refused.retry_after_s is not None:
        found["retry_after_s"] = round(refused.retry_after_s, 3)
    return found


def answer(refused: Refused) -> Response:
    """The response of a refusal."""
    headers = {"cache-control": "no-store"}
    if refused.code == "UNAUTHENTICATED":
        headers["www-authenticate"] = 'Bearer realm="mevflow"'
        headers["connection"] = "close"  # whatever else it sends is not looked at
    if refused.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(refused.retry_after_s)))
    return Response(_encoder.encode(problem(refused)), status_of(refused), headers, MEDIA)
