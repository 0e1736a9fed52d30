"""How many calls there were, and how long the last ones took."""

from __future__ import annotations

from collections import deque
from typing import Any

_LAST = 1000


class Timings:
    """By method: counts since the start, percentiles of the last 1,000 calls."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._last_ms: dict[str, deque[float]] = {}

    def add(self, method: str, took_ms: float, good: bool) -> None:
        """Count a call."""
        counts = self._counts.setdefault(method, [0, 0])
        counts[0] += 1
        counts[1] += not good
        self._last_ms.setdefault(method, deque(maxlen=_LAST)).append(took_ms)

    def summary(self) -> dict[str, dict[str, Any]]:
        """``calls``, ``refused``, ``p50_ms``, ``p99_ms`` and ``max_ms`` by method."""
        found = {}
        for method, (calls, refused) in sorted(self._counts.items()):
            last = sorted(self._last_ms[method])
            found[method] = {
                "calls": calls,
                "refused": refused,
                "p50_ms": last[len(last) // 2],
                "p99_ms": last[len(last) * 99 // 100],
                "max_ms": last[-1],
            }
        return found
