"""Sized cycles -> rows: a row when a cycle begins to pay, when what it pays changes, and when it stops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.detect.control import DetectPolicy
from mevflow.operators.detect.market.market import Market
from mevflow.operators.detect.report import identity, sizes
from mevflow.operators.detect.report.cycles import Cycle, in_canonical_form
from mevflow.operators.detect.report.episodes import AMOUNT_BYTES, Episodes, Open
from mevflow.operators.detect.report.identity import CycleNames, shard_of
from mevflow.operators.detect.report.rows import OpportunityRow, opportunities, price_batch
from mevflow.operators.detect.screen.cycles import HIT_DTYPE, MAX_LEGS
from mevflow.operators.detect.screen.events import Events
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.ids import canonical
from mevflow.operators.stage import StageContext

LOGIC_VERSION = 1


class PayingCycle(NamedTuple):
    """A cycle that pays after an event; the fields are those of :class:`OpportunityRow`."""

    event: int
    cycle: Cycle
    amounts: bytes
    log_rate: float
    usd: float
    native_usd: float


class Reporter:
    """Keeps the episodes and the cycles' names; makes the rows of one stretch at a time."""

    def __init__(self, settings: DetectSettings, context: StageContext, market: Market, policy: DetectPolicy) -> None:
        self.settings, self.context, self.market, self.policy = settings, context, market, policy
        self.episodes = Episodes()
        self.survivors = 0  # cycles that passed the screen and were sized
        self.id_head = canonical("opportunity", context.topology)
        self._names: CycleNames | None = None
        # Load the compiled code before data flows.
        in_canonical_form(np.zeros(0, HIT_DTYPE), market.book, market.mints.worth["level"])
        identity.prepare()
        sizes.prepare()

    def begin(self, events: Events) -> Report:
        """Start the rows of a stretch."""
        return Report(self, events)

    @property
    def names(self) -> CycleNames:
        """What cycles are called, in the book that there is: another one after a restore."""
        if self._names is None or self._names.book is not self.market.book:
            self._names = CycleNames(self.market.book, self.market.mints)
        return self._names

    def paying(self, events: Events, hits: NDArray[np.void], states: NDArray[np.void]) -> list[PayingCycle]:
        """The cycles of this shard among the hits that pay enough, sized, in the kernel's order."""
        book = self.market.book
        found = in_canonical_form(hits, book, self.market.mints.worth["level"])
        if self.context.shards > 1:
            keys = [self.names.of(cycle)[0] for cycle in found.tuples()]
            mine = np.array([shard_of(key, self.context.shards) == self.context.shard for key in keys])
            found, states = found.take(mine), states[mine]
        self.survivors += len(found.event)
        amounts, gained = sizes.sized(book, found, states, lambda event: events.at(event).timestamp_us)
        pays, least = gained > 0.0, self.policy.min_profit_usd
        if least:
            pays &= gained * found.usd >= least
        rows = np.flatnonzero(pays)
        found, raw = found.take(rows), amounts[rows].tobytes()
        each = zip(*(column.tolist() for column in (found.event, found.rate, found.usd, found.native_usd)), strict=True)
        width = AMOUNT_BYTES * (MAX_LEGS + 1)
        return [
            PayingCycle(event, cycle, raw[at * width :][: AMOUNT_BYTES * (len(cycle) + 1)], *rest)
            for at, (cycle, (event, *rest)) in enumerate(zip(found.tuples(), each, strict=True))
        ]

    def prices(self, events: Events, prices: NDArray[np.void]) -> pa.RecordBatch:
        """PriceTick rows of what the kernel recorded."""
        book, mints, pools = self.market.book, prices["mint"].tolist(), prices["pool"].tolist()
        numeraire = {
            book.mints[number][0]: book.mints[number][1]
            for number in np.flatnonzero(self.market.mints.worth["level"] == 0).tolist()
        }
        decimals = [
            self.market.mints.decimals(mint, pool, [was for at, was in events.retold.get(pool, ()) if at > event])
            for event, mint, pool in zip(prices["event"].tolist(), mints, pools, strict=True)
        ]
        return price_batch(
            events,
            prices["event"],
            {
                "mint": [book.mints[mint][1] for mint in mints],
                "numeraire": [numeraire.get(book.mints[mint][0], b"") for mint in mints],
                "price": [usd * 10.0**scale for usd, scale in zip(prices["usd"].tolist(), decimals, strict=True)],
                "pool": [book.info[pool].key for pool in pools],
                "source": ["pool"] * len(mints),
            },
        )


class Report:
    """The opportunity rows of one stretch."""

    def __init__(self, of: Reporter, events: Events) -> None:
        self._of, self._events = of, events
        self._rows: list[OpportunityRow] = []
        self._groups = 0

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self) -> pa.RecordBatch:
        """All rows, in order."""
        of = self._of
        constant = {
            "topology": of.context.topology,
            "run_id": of.context.run_id,
            "logic_version": np.uint64(LOGIC_VERSION),
        }
        return opportunities(self._rows, self._events, of.market.book, of.policy.costs, of.id_head, constant)

    def take(self, begin: int, end: int, hits: NDArray[np.void], states: NDArray[np.void]) -> None:
        """Events ``begin`` to ``end`` with the kernel's hits, which come in event order."""
        of, events = self._of, self._events
        paying = of.paying(events, hits, states) if len(hits) else []
        if not paying and not of.episodes.open:
            return
        by_event: dict[int, list[PayingCycle]] = {}
        for cycle in paying:
            by_event.setdefault(cycle.event, []).append(cycle)
        touched = (begin + np.flatnonzero(events.touched[begin:end])).tolist()
        at = sorted({*touched, *by_event}) if by_event else touched
        for event, pool in zip(at, events.pools(at), strict=True):
            self._event(event, pool, by_event.get(event, []))

    def _event(self, event: int, pool: int, paying: list[PayingCycle]) -> None:
        of = self._of
        before = len(self._rows)
        if paying:
            at = self._events.at(event)
            for each in paying:
                told = of.episodes.report(each.cycle, at.slot, at.timestamp_us, each.amounts)
                if told is not None:
                    self._add(event, *told, each)
        cycles = {each.cycle for each in paying}
        for face in of.market.moved(pool):
            for episode in of.episodes.ended(face, cycles):
                self._add(event, episode, False, None)
        self._groups += len(self._rows) > before

    def _add(self, event: int, episode: Open, new: bool, pays: PayingCycle | None) -> None:
        """A row of an episode, which has closed where its cycle does not pay."""
        key, path = self._of.names.of(episode.cycle)
        closed, told = pays is None, pays or _nothing(episode)
        self._rows.append(
            OpportunityRow(
                self._groups, key, event, episode.cycle, path, closed, new, episode.opened_slot, episode.opened_us,
                episode.rows + closed, told.amounts, told.log_rate, told.usd, told.native_usd,
            )
        )  # fmt: skip


def _nothing(episode: Open) -> PayingCycle:
    """What an episode that has closed pays."""
    return PayingCycle(0, episode.cycle, bytes(len(episode.amounts)), 0.0, 0.0, 0.0)
