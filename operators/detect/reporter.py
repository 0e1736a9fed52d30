"""Sized cycles -> rows: a row when a cycle begins to pay, when what it pays changes, and when it stops."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from operators.codec import COORDINATES
from operators.detect.control import Policy
from operators.detect.cycles import Cycle, Found, legs_of
from operators.detect.episodes import Episodes, Open
from operators.detect.events import Events
from operators.detect.market import Market
from operators.detect.rows import OPPORTUNITY, PRICE, Columns, i128, u128
from operators.detect.settings import DetectSettings
from operators.detect.sizing import size
from operators.ids import stable_id
from operators.stage import StageContext
from proto.mevflow.v1 import market_pb2 as market

LOGIC_VERSION = 1
_EVENT_FIELDS = ("chain", "slot", "tx_index", "ix_index", "timestamp_us")


class Reporter:
    """Keeps the episodes; makes the rows of one stretch at a time."""

    def __init__(self, settings: DetectSettings, context: StageContext, market: Market, policy: Policy) -> None:
        self.settings, self.context, self.market, self.policy = settings, context, market, policy
        self.episodes = Episodes()

    def begin(self, events: Events) -> Report:
        """Start the rows of a stretch."""
        return Report(self, events)

    def mine(self, cycle: Cycle) -> bool:
        """Whether the cycle belongs to this shard."""
        if self.context.shards == 1:
            return True
        return stable_id(*self.names(cycle))[0] % self.context.shards == self.context.shard

    def names(self, cycle: Cycle) -> list[bytes | int]:
        """What a cycle is called in ids: pool keys and directions."""
        info = self.market.book.info
        return [part for number, a_to_b in cycle for part in (info[number].key, int(a_to_b))]

    def prices(self, events: Events, prices: NDArray[np.void]) -> pa.RecordBatch:
        """PriceTick rows of what the kernel recorded."""
        book, rows = self.market.book, Columns(PRICE)
        numeraire = {
            book.mints[number][0]: book.mints[number][1]
            for number in np.flatnonzero(self.market.mints["level"] == 0).tolist()
        }
        for price in prices:
            batch, row = events.batch_of(int(price["event"]))
            at = {name: batch.column(name)[row].as_py() for name in _EVENT_FIELDS}
            mint, pool = int(price["mint"]), int(price["pool"])
            rows.add(
                **at,
                **_coordinates(batch, row),
                mint=book.mints[mint][1],
                numeraire=numeraire.get(at["chain"], b""),
                price=float(price["usd"]) * 10.0 ** self.market.decimals(mint),
                pool=book.info[pool].key,
                source="pool",
            )
        return rows.batch()


class Report:
    """The opportunity rows of one stretch."""

    def __init__(self, of: Reporter, events: Events) -> None:
        self._of, self._events = of, events
        self._touched: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.opportunities = Columns(OPPORTUNITY)

    def touched(self, touched: NDArray[np.bool_]) -> None:
        """Events of the present run whose pool was part of a paying cycle before."""
        self._touched = touched

    def take(self, begin: int, end: int, hits: Iterable[Found]) -> None:
        """Events ``begin`` to ``end`` with their hits, which come in event order."""
        events = self._events
        by_event = {event: list(group) for event, group in groupby(hits, key=lambda hit: hit.event)}
        if events.is_update(begin):
            touched = {begin}
        else:
            touched = set((begin + np.flatnonzero(self._touched[begin:end])).tolist())
        for event in sorted(touched | by_event.keys()):
            self._event(event, by_event.get(event, []))

    def _event(self, event: int, hits: list[Found]) -> None:
        of, events = self._of, self._events
        paying: set[Cycle] = set()
        batch, row = events.batch_of(event)
        at = {name: batch.column(name)[row].as_py() for name in _EVENT_FIELDS}
        rows: list[tuple[list[bytes | int], dict[str, Any]]] = []
        for hit in hits:
            if not of.mine(hit.cycle):
                continue
            amounts = size(legs_of(of.market.book, hit))
            if amounts is None or not self._pays(hit.cycle, amounts):
                continue
            paying.add(hit.cycle)
            report = of.episodes.report(hit.cycle, at["slot"], at["timestamp_us"], amounts)
            if report is not None:
                episode, new = report
                rows.append((of.names(hit.cycle), self._row(episode, new, at, amounts, hit.rate)))
        pool = events.update_pool.get(event, -1) if events.is_update(event) else int(events.pool[row])
        for episode in of.episodes.ended(pool, paying):
            rows.append((of.names(episode.cycle), self._row(episode, False, at, None, 0.0)))
        if not rows:
            return
        where = _coordinates(batch, row)
        late = bool(events.late[event])
        for names, values in sorted(
            rows, key=lambda each: [part if isinstance(part, bytes) else b"%d" % part for part in each[0]]
        ):
            identity = stable_id(
                "opportunity", of.context.topology, at["chain"], at["slot"], at["tx_index"], at["ix_index"],
                values["ordinal"], int(values["closed"]), *names,
            )  # fmt: skip
            self.opportunities.add(**at, **values, **where, opportunity_id=identity, late=late)

    def _start_mint(self, cycle: Cycle) -> int:
        number, a_to_b = cycle[0]
        return int(self._of.market.book.pools[number]["mint_a" if a_to_b else "mint_b"])

    def _pays(self, cycle: Cycle, amounts: list[int]) -> bool:
        least = self._of.policy.min_profit_usd
        usd = self._of.market.usd(self._start_mint(cycle))
        return least == 0 or (amounts[-1] - amounts[0]) * usd >= least

    def _cost(self, chain: int, mint: int) -> int:
        """What an attempt costs in raw units of the cycle's mint; 0 where the native token has no price."""
        settings, of = self._of.settings, self._of
        native_raw = settings.cost_lamports if chain == market.CHAIN_SOLANA else settings.cost_wei
        usd = of.market.usd(mint)
        if not native_raw or not usd:
            return 0
        return int(native_raw * of.market.usd_native(chain) / usd)

    def _row(
        self, episode: Open, new: bool, at: dict[str, Any], amounts: list[int] | None, rate: float
    ) -> dict[str, Any]:
        of, cycle = self._of, episode.cycle
        book = of.market.book
        mints = []
        for number, a_to_b in cycle:
            pool = book.pools[number]
            pair = (int(pool["mint_a"]), int(pool["mint_b"]))
            mints.append(pair if a_to_b else pair[::-1])
        start = mints[0][0]
        symbols = [of.market.symbol(source, number) for (source, _), (number, _) in zip(mints, cycle, strict=True)]
        flows = amounts or [0] * (len(cycle) + 1)
        gross = flows[-1] - flows[0]
        cost = self._cost(at["chain"], start) if amounts else 0
        usd = of.market.usd(start)
        return {
            "topology": of.context.topology,
            "run_id": of.context.run_id,
            "legs": [
                {
                    "pool": book.info[number].key,
                    "mint_in": book.mints[source][1],
                    "mint_out": book.mints[target][1],
                    "amount_in": u128(flows[leg]),
                    "amount_out": u128(flows[leg + 1]),
                    "venue": int(book.pools[number]["venue"]),
                }
                for leg, ((number, _), (source, target)) in enumerate(zip(cycle, mints, strict=True))
            ],
            "mint": book.mints[start][1],
            "amount_in": u128(flows[0]),
            "amount_out": u128(flows[-1]),
            "gross_profit": i128(gross),
            "net_profit": i128(gross - cost),
            "cost": u128(cost),
            "gross_profit_usd": gross * usd,
            "net_profit_usd": (gross - cost) * usd,
            "log_rate": rate,
            "new_episode": new,
            "opened_slot": episode.opened_slot,
            "opened_us": episode.opened_us,
            "ordinal": episode.rows if amounts else episode.rows + 1,
            "path": " > ".join([*symbols, symbols[0]]),
            "logic_version": LOGIC_VERSION,
            "closed": amounts is None,
        }


def _coordinates(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    return {name: batch.column(name)[row].as_py() for name in COORDINATES.names}
