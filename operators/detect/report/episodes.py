"""Which cycles pay right now, since when; and the rows that say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from mevflow.operators.amounts import u128
from mevflow.operators.detect.report.cycles import Cycle


class Open(msgspec.Struct):
    """An episode that goes on. ``rows`` counts what was reported of it."""

    cycle: Cycle
    opened_slot: int
    opened_us: int
    rows: int
    amounts: list[int]


class Saved(msgspec.Struct):
    """An open episode in a snapshot, whose format has no integers of more than 64 bits."""

    cycle: Cycle
    opened_slot: int
    opened_us: int
    rows: int
    amounts: list[bytes]


@dataclass
class Episodes:
    """Open episodes by cycle, and by pool for the question "what may have ended here?"."""

    open: dict[Cycle, Open] = field(default_factory=dict)
    by_pool: dict[int, set[Cycle]] = field(default_factory=dict)

    def report(self, cycle: Cycle, slot: int, time_us: int, amounts: list[int]) -> tuple[Open, bool] | None:
        """A cycle pays: the episode and whether it is new; None when nothing has changed since the last report."""
        episode = self.open.get(cycle)
        if episode is None:
            episode = self.open[cycle] = Open(cycle, slot, time_us, 0, amounts)
            for number, _ in cycle:
                self.by_pool.setdefault(number, set()).add(cycle)
            return episode, True
        if episode.amounts == amounts:
            return None
        episode.amounts = amounts
        episode.rows += 1
        return episode, False

    def ended(self, pool: int, paying: set[Cycle]) -> list[Open]:
        """Close every episode through ``pool`` that is not among ``paying``, oldest first."""
        through = self.by_pool.get(pool)
        if not through:
            return []
        gone = [self.open[cycle] for cycle in through if cycle not in paying]
        gone.sort(key=lambda episode: (episode.opened_us, episode.cycle))
        for episode in gone:
            del self.open[episode.cycle]
            for number, _ in episode.cycle:
                self.by_pool[number].discard(episode.cycle)
        return gone

    def snapshot(self) -> list[Saved]:
        """The open episodes."""
        return [
            Saved(each.cycle, each.opened_slot, each.opened_us, each.rows, [u128(amount) for amount in each.amounts])
            for each in self.open.values()
        ]

    def restore(self, saved: list[Any]) -> None:
        """Take the open episodes of a snapshot."""
        for each in saved:
            kept = msgspec.convert(each, Saved)
            amounts = [int.from_bytes(amount, "little") for amount in kept.amounts]
            episode = Open(kept.cycle, kept.opened_slot, kept.opened_us, kept.rows, amounts)
            self.open[episode.cycle] = episode
            for number, _ in episode.cycle:
                self.by_pool.setdefault(number, set()).add(episode.cycle)
