"""``arbitrage.detect``: swaps and pool updates in, opportunities, prices and pools out, in event order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa

from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.detect.admit import read
from mevflow.operators.detect.control import DetectPolicy, DetectPolicyPayload
from mevflow.operators.detect.market.market import Market
from mevflow.operators.detect.market.snapshot import MarketState
from mevflow.operators.detect.report.reporter import Reporter
from mevflow.operators.detect.report.rows import OPPORTUNITY, PRICE
from mevflow.operators.detect.screen.events import PORTS, Events
from mevflow.operators.detect.settings import DetectSettings, load_registry
from mevflow.operators.errors import StateError
from mevflow.operators.merge import ChainMerge, Stretch
from mevflow.operators.stage import Ack, Command, Output, Stage, StageContext, Watermark
from mevflow.v1 import market_pb2 as market

SWAP = codec("mevflow.v1.Swap").located
UPDATE = codec("mevflow.v1.PoolUpdate").located
SNAPSHOT_VERSION = 5
_REORG, _SKIPPED = market.PoolUpdate.KIND_REORG, market.PoolUpdate.KIND_SKIPPED
_LIQUIDATION = market.PoolUpdate.KIND_LIQUIDATION
_LAST_SLOT = (1 << 64) - 1


class DetectState(msgspec.Struct):
    """The stage's snapshot."""

    version: int
    merge: bytes
    market: MarketState
    episodes: list[Any]
    policy: bytes


class ArbitrageDetect(Stage[DetectSettings]):
    """Merge by chain order, keep every pool's state, screen every cycle after every event, size what passes.

    Ports
    -----
    swaps, updates : located Swap and PoolUpdate rows, in any interleaving; watermarks release them.
    opportunities : a row when a cycle begins to pay, when an event changes what it pays, and (``closed``) when it
        stops. prices : PriceTick rows. pools : the updates, in order. swaps : the swaps, in order.
    errors : rows that cannot be what they say (no pool, wrong widths, an unknown pool that tells too little).

    An event is a swap or an update. Rows of one stretch come out as swaps, pools, opportunities, prices.
    """

    use = "arbitrage.detect"
    summary = "Cyclic arbitrage after every event, in chain order, re-quoted in the venues' integers"
    settings_type = DetectSettings
    commands: ClassVar = {"policy": DetectPolicyPayload}

    def __init__(self, settings: DetectSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._registry = load_registry(settings.registry)
        self._merge = ChainMerge({"updates": UPDATE, "swaps": SWAP}, settings.lateness_ms * 1000)
        self._policy = DetectPolicy(settings, self._registry, context)
        self._market = Market(settings, self._registry, self._policy)
        self._reporter = Reporter(settings, context, self._market, self._policy)

    @classmethod
    def input_schemas(cls, settings: DetectSettings) -> Mapping[str, pa.Schema | None]:
        return {"swaps": SWAP, "updates": UPDATE}

    @classmethod
    def check_files(cls, settings: DetectSettings) -> None:
        load_registry(settings.registry)  # a registry that cannot be read is a fault of the topology file

    @classmethod
    def output_schemas(cls, settings: DetectSettings) -> Mapping[str, pa.Schema]:
        return {"opportunities": OPPORTUNITY, "prices": PRICE, "pools": UPDATE, "swaps": SWAP, "errors": ERRORS}

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        if port == "updates":
            kinds = batch.column("kind").to_numpy()
            if (other := kinds == _LIQUIDATION).any():  # of no pool
                batch, kinds = batch.filter(pa.array(~other)), kinds[~other]
            backs = np.flatnonzero(np.isin(kinds, (_REORG, _SKIPPED))).tolist()
            if backs:
                return list(self._gone_back(batch, backs))
        self._merge.add(port, batch)
        return ()

    def _gone_back(self, batch: pa.RecordBatch, rows: list[int]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Updates of which some say that the chain has gone back: they act when they are read, not in chain order."""
        begin = 0
        for row in rows:
            self._merge.add("updates", batch.slice(begin, row - begin))
            begin = row + 1
            yield from self._undo(batch.slice(row, 1))
        self._merge.add("updates", batch.slice(begin))

    def _undo(self, row: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        chain, slot, fork = (int(row.column(name)[0].as_py()) for name in ("chain", "slot", "fork"))
        last = slot if row.column("kind")[0].as_py() == _SKIPPED else _LAST_SLOT
        if not self._merge.undo(chain, slot, last, fork):
            return
        no_swaps = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in SWAP], schema=SWAP)
        no = np.zeros(1, np.bool_)
        alone = Stretch([row, no_swaps], np.zeros(1, np.int8), np.zeros(1, np.int64), late=no, astray=no)
        events = Events(alone)
        found = self._reporter.begin(events)
        for number in self._market.undo(chain, slot, last):
            hits, states = self._market.screen_again(events, 0, number)
            found.take(0, 1, hits, states)
        if len(found):
            yield "opportunities", found.batch()
        prices = self._market.take_prices()
        if len(prices) and self.context.wants("prices"):
            yield "prices", self._reporter.prices(events, prices)

    def on_watermark(self, port: str, watermark: Watermark) -> Output:
        stretch = self._merge.advance(port, watermark, self.context.inputs or frozenset(PORTS))
        return () if stretch is None else self._detect(stretch)

    def _detect(self, stretch: Stretch) -> Iterator[tuple[str, pa.RecordBatch]]:
        events = read(stretch, self._market, self.context)
        if self.context.wants("swaps") and (swaps := events.ordered("swaps")).num_rows:
            yield "swaps", swaps
        found = self._reporter.begin(events)
        for begin, end in self._market.runs(events):
            if events.is_update(begin):
                found.take(begin, end, *self._market.update(events, begin))
                continue
            if events.stands_alone(begin):
                found.take(begin, end, *self._market.alone(events, begin))
                continue
            again = False
            while begin < end:
                done, hits, states = self._market.swaps(events, begin, end, again)
                found.take(begin, done, hits, states)
                begin, again = done, True
        if self.context.wants("pools") and (updates := events.ordered("updates")).num_rows:
            yield "pools", updates
        if len(found):
            yield "opportunities", found.batch()
        prices = self._market.take_prices()
        if len(prices) and self.context.wants("prices"):
            yield "prices", self._reporter.prices(events, prices)
        self._market.tidy()
        for letters in events.errors.letters(self.context):
            yield "errors", letters

    def counts(self) -> Mapping[str, float]:
        return {"cycles_sized": self.survivors, **self._merge.counts}

    @property
    def survivors(self) -> int:
        """How many cycles passed the screen and were sized, since the stage was made."""
        return self._reporter.survivors

    def on_control(self, command: Command) -> Ack | None:
        ack = self._policy.on_control(command)
        if ack is not None and ack.status == "APPLIED":
            self._market.apply_policy()
        return ack

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(
            DetectState(
                SNAPSHOT_VERSION,
                self._merge.snapshot(),
                self._market.snapshot(),
                self._reporter.episodes.snapshot(),
                self._policy.snapshot(),
            )
        )

    def restore(self, state: bytes) -> None:
        try:
            saved = msgspec.msgpack.decode(state, type=DetectState)
        except msgspec.DecodeError as error:
            raise StateError("a snapshot of arbitrage.detect cannot be read", hint="deploy with --fresh") from error
        if saved.version != SNAPSHOT_VERSION:
            raise StateError(
                f"a snapshot of arbitrage.detect has version {saved.version}, not {SNAPSHOT_VERSION}",
                hint="deploy with --fresh",
            )
        self._policy.restore(saved.policy)
        self._merge.restore(saved.merge)
        self._market.restore(saved.market)
        self._reporter.episodes.restore(saved.episodes)
