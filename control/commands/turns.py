"""Turns at what takes long: so many at once, of which one caller has some at most."""

from __future__ import annotations

import asyncio
from collections import Counter

from mevflow.control.refusal import Refused


class Turns:
    """Turns at ``what`` (a plural): ``at_once`` in all, ``each`` for one caller; the service itself has no name."""

    def __init__(self, what: str, at_once: int, each: int) -> None:
        self._what = what
        self._free, self._each = at_once, each
        self._held: Counter[str] = Counter()
        self._changed = asyncio.Event()

    async def take(self, caller: str, patience_s: float) -> None:
        """Wait for a turn. Raises Refused (TOO_MANY_…)."""
        try:
            async with asyncio.timeout(patience_s):
                while not self._may(caller):
                    await self._changed.wait()
        except TimeoutError:
            whose = "of this caller " if caller and self._held[caller] >= self._each else ""
            raise Refused(
                "RESOURCE_EXHAUSTED",
                f"TOO_MANY_{self._what.upper()}",
                f"too many {self._what} {whose}are under way",
                retry_after_s=1.0,
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
