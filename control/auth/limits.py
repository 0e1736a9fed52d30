"""How often one identity may call: token buckets, one each for reads, for changes and for the kill switch.

Reads must not use up what changes need, and neither may keep anyone from the kill switch.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from mevflow.control.auth.identity import AuthError, Identity
from mevflow.control.methods import METHODS

#: Identities whose buckets are kept; one that was forgotten starts with a full bucket.
_KEPT = 4096
_KILL = "Kill"


@dataclass(frozen=True, slots=True)
class Rate:
    """``a_second`` calls on average, ``burst`` at once."""

    a_second: float
    burst: float


class _Bucket:
    __slots__ = ("at", "left")

    def __init__(self, rate: Rate, now: float) -> None:
        self.left, self.at = rate.burst, now


class RateLimits:
    """``take`` for each call."""

    def __init__(self, reads: Rate, changes: Rate, kills: Rate) -> None:
        self._rates = {"reads": reads, "changes": changes, "kills": kills}
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take(self, identity: Identity, method: str, now: float | None = None) -> None:
        """Count a call at ``now`` (monotonic seconds). Raises AuthError when it is one too many."""
        known = METHODS.get(method)
        kind = "kills" if method == _KILL else "changes" if known is not None and known.changes else "reads"
        rate = self._rates[kind]
        now = time.monotonic() if now is None else now
        key = (identity.name, kind)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(rate, now)
            if len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            bucket.left = min(rate.burst, bucket.left + (now - bucket.at) * rate.a_second)
            bucket.at = now
        if bucket.left < 1.0:
            wait_s = (1.0 - bucket.left) / rate.a_second
            raise AuthError(
                f"{identity.name} calls too often: {rate.a_second:g} {kind} a second, {rate.burst:g} at once",
                code="RESOURCE_EXHAUSTED",
                reason="RATE_LIMIT",
                identity=identity,
                retry_after_s=wait_s,
            )
        bucket.left -= 1.0
