"""Turns at ClickHouse: so many at once, of which one caller has some at most."""

from __future__ import annotations

import asyncio
from collections import Counter

from mevflow.control.server.refusal import Refused


class Turns:
    """``at_once`` in all, ``each`` for one caller (the service itself has no name and no such bound)."""

    def __init__(self, at_once: int, each: int) -> None:
        self._free, self._each = at_once, each
        self._held: Counter[str] = Counter()
        self._changed = asyncio.Event()

    async def take(self, caller: str, patience_s: float) -> None:
        """Wait for a turn. Raises Refused (TOO_MANY_QUERIES)."""
        try:
            async with asyncio.timeout(patience_s):
                while not self._may(caller):
                    await self._changed.wait()
        except TimeoutError:
            whose = "of this caller " if self._held[caller] >= self._each and caller else ""
            raise Refused(
                "RESOURCE_EXHAUSTED", "TOO_MANY_QUERIES", f"too many queries {whose}are under way", retry_after_s=1.0
            ) from None
        self._free -= 1
        self._held[caller] += 1

    def _may(self, caller: str) -> bool:
        return self._free > 0 and (not caller or self._held[caller] < self._each)

    def give_back(self, caller: str) -> None:
        """The turn is over."""
        self._free += 1
        self._held[caller] -= 1
        if self._held[caller] <= 0:
            del self._held[caller]
        self._changed.set()
        self._changed = asyncio.Event()
