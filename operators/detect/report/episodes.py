"""Which cycles pay right now, since when."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mevflow.operators.detect.report.cycles import Cycle

#: Bytes of an amount.
AMOUNT_BYTES = 16


class Open(msgspec.Struct):
    """An episode that goes on. ``rows`` counts what was reported of it; ``amounts`` are 16 bytes each, one a place."""

    cycle: Cycle
    opened_slot: int
    opened_us: int
    rows: int
    amounts: bytes


class Saved(msgspec.Struct):
    """An open episode in a snapshot: a leg is a pool's number and whether it goes from token A to B."""

    cycle: tuple[tuple[int, bool], ...]
    opened_slot: int
    opened_us: int
    rows: int
    amounts: list[bytes]


@dataclass
class Episodes:
    """Open episodes by cycle, and by pool for the question "what may have ended here?"."""

    open: dict[Cycle, Open] = field(default_factory=dict)
    by_pool: defaultdict[int, set[Cycle]] = field(default_factory=lambda: defaultdict(set))

    def report(self, cycle: Cycle, slot: int, time_us: int, amounts: bytes) -> tuple[Open, bool] | None:
        """A cycle pays: the episode and whether it is new; None when nothing has changed since the last report."""
        episode = self.open.get(cycle)
        if episode is None:
            episode = Open(cycle, slot, time_us, 0, amounts)
            self._add(episode)
            return episode, True
        if episode.amounts == amounts:
            return None
        episode.amounts = amounts
        episode.rows += 1
        return episode, False

    def _add(self, episode: Open) -> None:
        self.open[episode.cycle] = episode
        for leg in episode.cycle:
            self.by_pool[leg >> 1].add(episode.cycle)

    def ended(self, pool: int, paying: set[Cycle]) -> list[Open]:
        """Close every episode through ``pool`` that is not among ``paying``, oldest first."""
        through = self.by_pool.get(pool)
        if not through:
            return []
        gone = [self.open[cycle] for cycle in through if cycle not in paying]
        gone.sort(key=lambda episode: (episode.opened_us, episode.cycle))
        for episode in gone:
            del self.open[episode.cycle]
            for leg in episode.cycle:
                self.by_pool[leg >> 1].discard(episode.cycle)
        return gone

    def snapshot(self) -> list[Saved]:
        """The open episodes."""
        return [
            Saved(
                tuple((leg >> 1, bool(leg & 1)) for leg in each.cycle),
                each.opened_slot,
                each.opened_us,
                each.rows,
                [each.amounts[at : at + AMOUNT_BYTES] for at in range(0, len(each.amounts), AMOUNT_BYTES)],
            )
            for each in self.open.values()
        ]

    def restore(self, saved: list[Any]) -> None:
        """Take the open episodes of a snapshot."""
        for each in saved:
            kept = msgspec.convert(each, Saved)
            cycle = tuple(2 * number + a_to_b for number, a_to_b in kept.cycle)
            self._add(Open(cycle, kept.opened_slot, kept.opened_us, kept.rows, b"".join(kept.amounts)))
