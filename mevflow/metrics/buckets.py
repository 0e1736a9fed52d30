"""A histogram as its process keeps it: classic buckets, because every Prometheus reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Buckets:
    """Counts by upper bound, and the sum. One thread observes; any may read."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value.

        >>> seen = Buckets((0.1, 1.0))
        >>> seen.observe(0.1), seen.observe(3.0)
        (None, None)
        >>> seen.cumulated()
        [('0.1', 1.0), ('1.0', 1.0), ('+Inf', 2.0)]
        """
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """(upper bound, how many were at most that) as OpenMetrics writes them."""
        found, sofar = [], 0
        for bound, count in zip((*self.bounds, None), list(self.counts), strict=True):
            sofar += count
            found.append(("+Inf" if bound is None else repr(float(bound)), float(sofar)))
        return found
