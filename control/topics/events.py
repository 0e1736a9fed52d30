"""Streams that callers follow: the newest records of a topic in memory, with their offsets, and who waits for more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from mevflow.control.refusal import Refused

Row = TypeVar("Row")
_KEPT = 20_000


class TopicFeed(Generic[Row]):
    """One partition of a topic. Offsets rise; a reader that asks for what is no longer kept is told so."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._rows: deque[tuple[int, Row]] = deque(maxlen=_KEPT)
        self._more = asyncio.Event()
        self.ended = False
        self.next = 0

    def put(self, offset: int, row: Row) -> None:
        """Add the record at an offset; one that was there before is left out."""
        if offset < self.next:
            return
        self._rows.append((offset, row))
        self.next = offset + 1
        self._more.set()
        self._more = asyncio.Event()

    def end(self) -> None:
        """Nothing will come any more: readers end."""
        self.ended = True
        self._more.set()

    async def follow(self, start: int | None) -> AsyncIterator[tuple[int, Row]]:
        """Records from ``start`` on (None: from now on). Raises Refused (OUT_OF_RANGE) when they are not kept."""
        at = self.next if start is None else start
        if self._rows and at < self._rows[0][0] and len(self._rows) == _KEPT:
            first = self._rows[0][0]
            raise Refused(
                "OUT_OF_RANGE",
                "OFFSET_NOT_KEPT",
                f"events before offset {first} are not kept here; they are in the topic {self._topic}",
                metadata={"first": str(first)},
            )
        while True:
            more = self._more
            for offset, row in self.since(at):
                yield offset, row
                at = offset + 1
            if at >= self.next:
                if self.ended:
                    return
                await more.wait()

    def since(self, at: int) -> list[tuple[int, Row]]:
        """A copy of the records from an offset on; a reader that falls behind by all that is kept has a gap to see."""
        found: list[tuple[int, Row]] = []
        for offset, row in reversed(self._rows):
            if offset < at:
                break
            found.append((offset, row))
        found.reverse()
        return found
