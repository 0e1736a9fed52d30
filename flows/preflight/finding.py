"""One thing that was looked at before a deployment."""

from __future__ import annotations

from typing import Literal

import msgspec

#: ``blocked``: a deployment would fail or do harm; ``note``: worth knowing; ``create``: would be made.
Verdict = Literal["ok", "note", "create", "blocked"]


class PreflightFinding(msgspec.Struct, frozen=True):
    """``subject`` (``port 8123``, ``topic dlq``), how it is, and what to do where something is to be done."""

    area: str
    subject: str
    verdict: Verdict
    found: str
    advice: str = ""
