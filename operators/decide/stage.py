"""``bandit.decide``: opportunities -> decisions with logged propensities, rewards from the stream, learning."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.dead_letters import dead_letters
from mevflow.operators.decide import emit
from mevflow.operators.decide.control import Gate, GateState, learner
from mevflow.operators.decide.market import BidMarket, BidMarketState, Settled, SettledRows
from mevflow.operators.decide.rows import CHAINS, OpportunityColumns, faults
from mevflow.operators.decide.settings import BanditSettings, ChainRules, PolicySpec
from mevflow.operators.decide.swaplog import COLUMNS
from mevflow.operators.errors import StateError
from mevflow.operators.ids import ID_BYTES, canonical
from mevflow.operators.lineage import lineage
from mevflow.operators.stage import Ack, Command, Output, Settings, Stage, StageContext, Watermark
from mevflow.operators.switch import Off
from mevflow.v1 import market_pb2 as market

SNAPSHOT_VERSION = 2

#: Rows decided in one go: what was decided before the kill switch engaged is given soon after.
LOOK_ROWS = 64


class StageState(msgspec.Struct):
    """The stage's snapshot."""

    version: int
    asked: PolicySpec  # by the topology file when the snapshot was made
    gate: GateState
    markets: dict[int, BidMarketState]
    bad_rows: int


class BanditDecide(Stage):
    """Choose a tip share, or skip, for every opportunity that is new or changed; learn from what the stream shows.

    Ports
    -----
    in : located Opportunity rows in chain order.
    swaps : optional; located Swap rows **of the same upstream stage**, which gives the swaps of an event before its
        opportunities, and a watermark on ``in`` after both. They say who ended a cycle and, where the data has it,
        what that one bid; and they let time pass while there are no opportunities.
    decisions, lineage : one row a decision. events : decisions and rewards as the policy saw them.
    outcomes, counterfactuals : one row a settled decision, and one for each eligible arm not taken.

    Order. Output order is the order of the input rows; settled rows come before the row that made them due.
    Watermarks settle as well: with swaps of two chains, where a watermark falls decides how the outcomes of the two
    interleave, never what they are or their order within a chain.
    """

    use = "bandit.decide"
    summary = "Decide how much of an opportunity's profit to bid, and learn from the stream"
    settings_type = BanditSettings
    settings: BanditSettings

    def __init__(self, settings: BanditSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._gate = Gate(settings.spec, (context.node, self.use))
        # decision_id = stable_id("decision", node, opportunity_id), its constant part made once.
        head = canonical("decision", context.node) + b"b" + ID_BYTES.to_bytes(4, "little")
        self._markets = {
            chain: BidMarket(chain, _rules(settings, chain), settings, settings.spec, head) for chain in CHAINS
        }
        self._bad_rows = 0

    @classmethod
    def input_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema | None]:
        return {"in": codec("mevflow.v1.Opportunity").located, "swaps": codec("mevflow.v1.Swap").located}

    @classmethod
    def output_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema]:
        return {
            "decisions": emit.DECISION,
            "lineage": codec("mevflow.v1.Lineage").located,
            "events": emit.EVENT,
            "outcomes": emit.OUTCOME,
            "counterfactuals": emit.COUNTERFACTUAL,
            "errors": ERRORS,
        }

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        if not batch.num_rows:
            return []
        if port == "swaps":
            self._swaps(batch)
            return []
        return self._opportunities(batch)

    def on_watermark(self, port: str, watermark: Watermark) -> Output:
        if port != "in":
            return []
        collected = {chain: SettledRows() for chain in self._markets}
        for chain, one in self._markets.items():
            if watermark.final:
                one.finish(collected[chain])
            else:
                one.caught_up(collected[chain])
        return self._settled(collected)

    def on_control(self, command: Command) -> Ack | None:
        before = self._gate.spec
        ack = self._gate.on_control(command)
        if self._gate.spec is not before:
            for one in self._markets.values():
                one.adopt(self._gate.spec, learner(self._gate.spec, before, one.policy, self._gate))
            self._gate.learned = None
        return ack

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(
            StageState(
                SNAPSHOT_VERSION,
                self.settings.spec,
                self._gate.state,
                {chain: one.snapshot() for chain, one in self._markets.items()},
                self._bad_rows,
            )
        )

    def restore(self, state: bytes) -> None:
        try:
            saved = msgspec.msgpack.decode(state, type=StageState)
        except msgspec.DecodeError as error:
            raise StateError(f"the snapshot is unreadable: {error}", key=self.context.node) from None
        if saved.version != SNAPSHOT_VERSION or saved.asked != self.settings.spec:
            raise StateError(
                f"the snapshot was made with policy {saved.asked.policy} v{saved.asked.version}, arms "
                f"{', '.join(saved.asked.arms)}; the topology file asks for {self.settings.policy} "
                f"v{self.settings.policy_version}, arms {', '.join(self.settings.arms)}",
                hint="go back to those settings, or start this node with fresh state",
                key=self.context.node,
            )
        self._gate.restore(saved.gate)
        for chain, one in self._markets.items():
            one.adopt(self._gate.spec, self._gate.spec.make())
            one.restore(saved.markets[chain])
        self._bad_rows = saved.bad_rows

    def _opportunities(self, batch: pa.RecordBatch) -> Output:
        wrong = faults(batch)
        bad = np.logical_or.reduce(list(wrong.values()))
        if bad.any():
            self._bad_rows += int(bad.sum())
            yield "errors", self._dead_letters(batch, wrong, bad)
            batch = batch.filter(pa.array(~bad))
            if not batch.num_rows:
                return
        for begin in range(0, batch.num_rows, LOOK_ROWS):
            yield from self._decide(batch.slice(begin, LOOK_ROWS))

    def _off(self) -> Off:
        """What is off by command, and by the switch as it stands this moment."""
        now = self.context.switch.off
        return now | self._gate.off if now and self._gate.off else now or self._gate.off

    def _decide(self, batch: pa.RecordBatch) -> Output:
        rows = OpportunityColumns(batch)
        chains = batch.column("chain").to_numpy()
        collected = {chain: SettledRows() for chain in self._markets}
        for chain, one in self._markets.items():
            one.decide(rows, np.flatnonzero(chains == chain), self._off, collected[chain])
        yield from self._settled(collected, batch, rows)

    def _swaps(self, batch: pa.RecordBatch) -> None:
        chains = batch.column("chain")
        batch = batch.select(COLUMNS)
        for chain, one in self._markets.items():
            own = batch.filter(pc.equal(chains, chain))
            if own.num_rows:
                one.swaps(own)

    def _settled(
        self,
        collected: dict[int, SettledRows],
        batch: pa.RecordBatch | None = None,
        rows: OpportunityColumns | None = None,
    ) -> Output:
        """Everything that the chains gave, by row, on its ports."""
        pairs: list[tuple[Settled, int]] = sorted(
            ((item, chain) for chain, one in collected.items() for item in one.settled),
            key=lambda pair: pair[0].trigger,
        )
        settled, chains = [item for item, _ in pairs], [chain for _, chain in pairs]
        segments = [segment for one in collected.values() for segment in one.segments]
        made, at = None, np.array([], np.int64)
        if segments and batch is not None and rows is not None:
            at = np.sort(np.concatenate([segment.rows for segment in segments]))
            chosen = batch.take(pa.array(at))
            made = emit.decisions(chosen, rows, at, segments, self._gate.spec, self.context)
            yield "decisions", made
            yield "lineage", lineage(made, chosen)
        if settled:
            yield "outcomes", emit.outcomes(settled, self.context, chains)
            for others in emit.counterfactuals(settled, self.context):
                yield "counterfactuals", others
        if made is not None or settled:
            told = emit.events(made, at, settled, chains, self.context)
            if told.num_rows:
                yield "events", told

    def _dead_letters(self, batch: pa.RecordBatch, wrong: dict[str, np.ndarray], bad: np.ndarray) -> pa.RecordBatch:
        at = np.flatnonzero(bad)
        rows = batch.take(pa.array(at))
        details = ["; ".join(reason for reason, mask in wrong.items() if mask[row]) for row in at.tolist()]
        return dead_letters(self.context, rows, "bad_opportunity", details)


def _rules(settings: BanditSettings, chain: int) -> ChainRules:
    return settings.solana if chain == market.CHAIN_SOLANA else settings.ethereum
