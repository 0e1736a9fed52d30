"""Calls without proof of who calls: how many of an address are written to the audit one by one, the rest as numbers.

Anybody may make such calls, and the audit's newest records are what a service remembers by.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

_KEPT = 1024


@dataclass(slots=True)
class Unproven:
    """``burst`` records of an address at once, then one each ``every_s``; ``in_all`` of all addresses within that."""

    burst: int = 20
    every_s: float = 10.0
    in_all: int = 200
    _seen: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)  # address -> (left, at)
    _all: tuple[float, float] = (0.0, float("-inf"))
    _untold: Counter[str] = field(default_factory=Counter)

    def take(self, address: str, now: float) -> bool:
        """Whether a call at ``now`` (monotonic seconds) gets a record of its own; else it is counted."""
        left, at = self._seen.get(address, (float(self.burst), now))
        left = min(float(self.burst), left + (now - at) / self.every_s)
        among, since = self._all
        among = min(float(self.in_all), among + (now - since) * self.in_all / self.every_s)
        told = left >= 1.0 and among >= 1.0
        self._seen[address] = (left - told, now)
        self._seen.move_to_end(address)
        if len(self._seen) > _KEPT:
            self._seen.popitem(last=False)
        self._all = (among - told, now)
        if not told:
            self._untold[address if address in self._untold or len(self._untold) < _KEPT else "others"] += 1
        return told

    def untold(self) -> list[tuple[str, int]]:
        """(address, calls that got no record) since this was asked, the most first."""
        found = self._untold.most_common()
        self._untold.clear()
        return found
