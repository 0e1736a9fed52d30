"""Sized cycles -> rows: a row when a cycle begins to pay, when what it pays changes, and when it stops."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from mevflow.operators.amounts import i128, u128
from mevflow.operators.detect.control import DetectPolicy
from mevflow.operators.detect.market.market import Market
from mevflow.operators.detect.report.cycles import Cycle, Rotations, SizedCycle
from mevflow.operators.detect.report.episodes import Episodes, Open
from mevflow.operators.detect.report.rows import OpportunityRow, OpportunityRows, price_batch
from mevflow.operators.detect.report.sizes import Sizes, prepare
from mevflow.operators.detect.screen.events import At, Events
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.ids import canonical
from mevflow.operators.stage import StageContext

LOGIC_VERSION = 1
_MAX_COST = 1e38


@dataclass(frozen=True, slots=True)
class Facts:
    """What stays the same of a cycle. ``key`` is its part of an opportunity's id: pool keys and directions."""

    key: bytes
    mine: bool  # it belongs to this shard
    pools: list[bytes]
    mint_in: list[bytes]
    mint_out: list[bytes]
    venues: list[int]
    nothing: list[bytes]  # an amount of 0 a leg
    path: str  # the mints' names


class Reporter:
    """Keeps the episodes and the facts of cycles; makes the rows of one stretch at a time."""

    def __init__(self, settings: DetectSettings, context: StageContext, market: Market, policy: DetectPolicy) -> None:
        self.settings, self.context, self.market, self.policy = settings, context, market, policy
        self.episodes = Episodes()
        self.survivors = 0  # cycles that passed the screen and were sized
        self._facts: dict[Cycle, Facts] = {}
        self._renamed = 0
        self.rotations = Rotations(market.book, market.mints.level)
        self.head = canonical("opportunity", context.topology)
        prepare()

    def begin(self, events: Events) -> Report:
        """Start the rows of a stretch."""
        if self.rotations.book is not self.market.book:  # restored from a snapshot
            self.rotations = Rotations(self.market.book, self.market.mints.level)
            self._facts.clear()
        return Report(self, events)

    def facts(self, cycle: Cycle) -> Facts:
        """The facts of a cycle, worked out once as long as no pool tells other names of its mints."""
        if self._renamed != self.market.book.renamed:
            self._renamed = self.market.book.renamed
            self._facts.clear()
        known = self._facts.get(cycle)
        if known is not None:
            return known
        book = self.market.book
        names: list[bytes | int] = []
        starts, keys, ins, outs, venues = [], [], [], [], []
        for number, a_to_b in cycle:
            info = book.info[number]
            source, target = info.mints if a_to_b else info.mints[::-1]
            names += [info.key, int(a_to_b)]
            if len(book.info[info.first].faces) > 1:  # two cycles may differ in the coins alone
                names += [book.mints[source][1], book.mints[target][1]]
            keys.append(info.key)
            starts.append(source)
            ins.append(book.mints[source][1])
            outs.append(book.mints[target][1])
            venues.append(info.venue)
        symbols = [self.market.mints.symbol(mint, leg[0]) for mint, leg in zip(starts, cycle, strict=True)]
        shards = self.context.shards
        key = canonical(*names)
        facts = self._facts[cycle] = Facts(
            key=key,
            mine=shards == 1 or xxhash.xxh3_128_digest(key)[0] % shards == self.context.shard,
            pools=keys,
            mint_in=ins,
            mint_out=outs,
            venues=venues,
            nothing=[u128(0)] * len(cycle),
            path=" > ".join([*symbols, symbols[0]]),
        )
        return facts

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
        self.opportunities = OpportunityRows()

    def batch(self) -> pa.RecordBatch:
        """All rows, in order."""
        context = self._of.context
        return self.opportunities.batch(self._events, context.topology, context.run_id, LOGIC_VERSION)

    def take(self, begin: int, end: int, hits: NDArray[np.void], states: NDArray[np.void]) -> None:
        """Events ``begin`` to ``end`` with the kernel's hits, which come in event order."""
        touched = (begin + np.flatnonzero(self._events.touched[begin:end])).tolist()
        if not touched and not len(hits):
            return
        found = list(self._of.rotations.found(hits)) if len(hits) else []
        by_event = {event: list(group) for event, group in groupby(found, key=lambda hit: hit.event)}
        sizes = Sizes(self._of.market.book, found, states)
        events = sorted({*touched, *by_event})
        for event, at in zip(events, self._events.places(events), strict=True):
            self._event(event, at, by_event.get(event, []), sizes)

    def _event(self, event: int, at: At, hits: list[SizedCycle], sizes: Sizes) -> None:
        of = self._of
        paying: set[Cycle] = set()
        rows: list[tuple[Facts, Open, bool, list[int] | None, SizedCycle | None]] = []
        for hit in hits:
            facts = of.facts(hit.cycle)
            if not facts.mine:
                continue
            of.survivors += 1
            amounts = sizes.of(hit, at.timestamp_us)
            if amounts is None or not self._pays(hit, amounts):
                continue
            paying.add(hit.cycle)
            report = of.episodes.report(hit.cycle, at.slot, at.timestamp_us, amounts)
            if report is not None:
                rows.append((facts, *report, amounts, hit))
        rows += [
            (of.facts(episode.cycle), episode, False, None, None)
            for pool in of.market.moved(at.pool)
            for episode in of.episodes.ended(pool, paying)
        ]
        if not rows:
            return
        # An update and a swap may share coordinates, and are two events.
        source = int(self._events.is_update(event))
        head = of.head + canonical(at.chain, at.slot, at.tx_index, at.ix_index, source)
        for facts, episode, new, amounts, found in sorted(rows, key=lambda row: row[0].key):
            ordinal = episode.rows + (amounts is None)
            identity = xxhash.xxh3_128_digest(head + canonical(ordinal, int(amounts is None)) + facts.key)
            self._add(event, identity, facts, episode, ordinal, new, amounts, found, at.chain)

    def _pays(self, hit: SizedCycle, amounts: list[int]) -> bool:
        least = self._of.policy.min_profit_usd
        return least == 0 or (amounts[-1] - amounts[0]) * hit.usd >= least

    def _cost(self, chain: int, facts: Facts, hit: SizedCycle, gross: int) -> int | None:
        """What an attempt costs in raw units of the cycle's mint.

        None where nobody knows: it or the native token has no price, or nothing says what the chain takes.
        """
        if not hit.usd or not hit.native_usd:
            return None
        # A tip may be a share of the profit. What cannot be held as a number of lamports or wei is no profit.
        gross_native = int(min(gross * hit.usd / hit.native_usd, _MAX_COST))
        try:
            cost = self._of.policy.costs.cost_native(chain, facts.venues, gross_native)
        except KeyError:
            return None  # a chain of which no rule is known
        if not cost.total:
            return None  # no chain is free: its fee was not set
        # A start token that is worth next to nothing makes a cost that no amount can hold.
        return int(min(cost.total * hit.native_usd / hit.usd, _MAX_COST))

    def _add(
        self,
        event: int,
        identity: bytes,
        facts: Facts,
        episode: Open,
        ordinal: int,
        new: bool,
        amounts: list[int] | None,
        hit: SizedCycle | None,
        chain: int,
    ) -> None:
        first, last, usd, rate = 0, 0, 0.0, 0.0
        told: int | None = 0
        ins = outs = facts.nothing
        if amounts is not None and hit is not None:
            raw = [u128(amount) for amount in amounts]
            first, last = amounts[0], amounts[-1]
            told = self._cost(chain, facts, hit, last - first)
            usd, rate = hit.usd, hit.rate
            ins, outs = raw[:-1], raw[1:]
        gross, cost = last - first, told or 0
        self.opportunities.add(
            event,
            OpportunityRow(
                opportunity_id=identity,
                mint=facts.mint_in[0],
                amount_in=u128(first),
                amount_out=u128(last),
                gross_profit=i128(gross),
                net_profit=i128(gross - cost),
                cost=b"" if told is None else u128(told),
                gross_profit_usd=gross * usd,
                net_profit_usd=(gross - cost) * usd,
                log_rate=rate,
                new_episode=new,
                opened_slot=episode.opened_slot,
                ordinal=ordinal,
                opened_us=episode.opened_us,
                path=facts.path,
                closed=amounts is None,
                legs_pool=facts.pools,
                legs_mint_in=facts.mint_in,
                legs_mint_out=facts.mint_out,
                legs_amount_in=ins,
                legs_amount_out=outs,
                legs_venue=facts.venues,
            ),
        )
