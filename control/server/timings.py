"""How many calls there were, and how long the last ones took."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from mevflow.metrics.buckets import Buckets
from mevflow.metrics.catalogue import BOUNDS
from mevflow.metrics.page import Page

_LAST = 1000


class Timings:
    """By method: counts since the start, percentiles of the last 1,000 calls."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._last_ms: dict[str, deque[float]] = {}
        self._codes: Counter[tuple[str, str]] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._seconds: dict[str, Buckets] = {}

    def add(self, method: str, took_ms: float, code: str, outcome: str) -> None:
        """Count a call: its gRPC ``code``, and the ``outcome`` of the command that it was (else empty)."""
        good = code == "OK"
        self._codes[method, code] += 1
        self._outcomes[outcome] += bool(outcome)
        if method not in self._seconds:
            self._seconds[method] = Buckets(BOUNDS["mevflow_call_seconds"])
        self._seconds[method].observe(took_ms / 1000)
        counts = self._counts.setdefault(method, [0, 0])
        counts[0] += 1
        counts[1] += not good
        self._last_ms.setdefault(method, deque(maxlen=_LAST)).append(took_ms)

    def tell(self, page: Page) -> None:
        """Put calls by code, their time, and outcomes of commands. Called by another thread."""
        for (method, code), calls in list(self._codes.items()):
            page.put("mevflow_calls", calls, method=method, code=code)
        for method, seconds in list(self._seconds.items()):
            page.put("mevflow_call_seconds", seconds, method=method)
        for outcome, count in list(self._outcomes.items()):
            if outcome:
                page.put("mevflow_command_outcomes", count, outcome=outcome)

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
