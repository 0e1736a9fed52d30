"""What a decoder raises on an account that it cannot read."""

from __future__ import annotations

from dataclasses import dataclass

from mevflow.operators.errors import MevflowError


@dataclass
class AccountError(MevflowError):
    """``reason`` is one of ``unknown``, ``truncated``, ``value``: the dead letter's reason."""

    reason: str = ""
