"""``bandit.decide``: opportunities -> decisions with logged propensities, rewards from the stream, learning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.dead_letters import dead_letters
from mevflow.operators.decide import emit, scores, told
from mevflow.operators.decide.bids import BidMarketState, Settled, SettledRows
from mevflow.operators.decide.control import (
    BanditPolicyPayload,
    Change,
    Gate,
    GateState,
    ModelPayload,
    inherit,
    learner,
)
from mevflow.operators.decide.market import BidMarket
from mevflow.operators.decide.rows import OpportunityColumns, faults
from mevflow.operators.decide.scores import Scores
from mevflow.operators.decide.settings import BanditSettings, PolicySpec
from mevflow.operators.decide.swaplog import COLUMNS
from mevflow.operators.errors import StateError
from mevflow.operators.ids import ID_BYTES, canonical
from mevflow.operators.learn import Policy
from mevflow.operators.lineage import lineage
from mevflow.operators.stage import Ack, Command, Output, Stage, StageContext, Watermark
from mevflow.operators.switch import Off

SNAPSHOT_VERSION = 3

#: Rows decided in one go: what was decided before the kill switch engaged is given soon after.
LOOK_ROWS = 1_024


class StageState(msgspec.Struct):
    """The stage's snapshot."""

    version: int
    asked: PolicySpec  # by the topology file when the snapshot was made
    gate: GateState
    markets: dict[int, BidMarketState]
    bad_rows: int
    scores: dict[bytes, list[float]] = {}  # opportunity -> a score of each model, NaN: none


class BanditDecide(Stage[BanditSettings]):
    """Choose a tip share, or skip, for every opportunity that is new or changed; learn from what the stream shows.

    Ports
    -----
    in : located Opportunity rows in chain order.
    swaps : optional; located Swap rows **of the same upstream stage**, which gives the swaps of an event before its
        opportunities, and a watermark on ``in`` after both. They say who ended a cycle and, where the data has it,
        what that one bid; and they let time pass while there are no opportunities.
    outcomes : optional; located Outcome rows that somebody measured, joined by decision_id (see told.py).
    scores : optional; located ModelScore rows **of the same upstream stage**, which gives those of an opportunity
        before it (a ``river.model`` that lets opportunities pass does), joined by opportunity_id (see scores.py).
    decisions, lineage : one row a decision. events : decisions and rewards as the policy saw them.
    outcomes, counterfactuals : one row a settled decision, and one for each eligible arm not taken.

    Order. Output order is the order of the input rows; settled rows come before the row that made them due.
    Watermarks settle as well: with swaps of two chains, where a watermark falls decides how the outcomes of the two
    interleave, never what they are or their order within a chain.
    """

    use = "bandit.decide"
    summary = "Decide how much of an opportunity's profit to bid, and learn from the stream"
    settings_type = BanditSettings
    commands: ClassVar = {"policy": BanditPolicyPayload, "model": ModelPayload}

    def __init__(self, settings: BanditSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        rules = settings.rules()
        self._gate = Gate(settings.spec, (context.node, self.use), tuple(rules))
        # decision_id = stable_id("decision", node, opportunity_id), its constant part made once.
        head = canonical("decision", context.node) + b"b" + ID_BYTES.to_bytes(4, "little")
        self._markets = {
            chain: BidMarket(
                chain,
                own,
                settings,
                settings.spec,
                head,
                takes_outcomes="outcomes" in context.inputs,
            )
            for chain, own in rules.items()
        }
        self._bad_rows = 0
        self._regret_usd = 0.0
        self._scores = Scores(settings.scores, settings.max_open)
        #: The switch, the gate's word, and both together: asked for every row, and seldom another.
        self._switched = Off(), Off(), Off()

    @classmethod
    def input_schemas(cls, settings: BanditSettings) -> Mapping[str, pa.Schema | None]:
        return {
            "in": codec("mevflow.v1.Opportunity").located,
            "swaps": codec("mevflow.v1.Swap").located,
            "outcomes": emit.OUTCOME,
            "scores": codec("mevflow.v1.ModelScore").located,
        }

    @classmethod
    def output_schemas(cls, settings: BanditSettings) -> Mapping[str, pa.Schema]:
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
        if port == "outcomes":
            return self._told(batch)
        if port == "scores":
            return self._scored(batch)
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
        change, learners = self._prepared(command)
        if not isinstance(change, Change):
            return change
        self._gate.commit(change.state)
        for chain, policy in learners.items():
            model_id = change.state.model_ids.get(chain, b"")
            self._markets[chain].learner.replace(self._gate.spec(chain), policy, model_id, heir=change.learned is None)
        return change.ack

    def rehearse(self, command: Command) -> Ack | None:
        change, _ = self._prepared(command)
        return change.ack if isinstance(change, Change) else change

    def _prepared(self, command: Command) -> tuple[Ack | Change | None, dict[int, Policy]]:
        """What a command changes, with every learner made and tried; or the answer to one that changes nothing."""
        change = self._gate.judge(command)
        if not isinstance(change, Change):
            return change, {}
        try:
            return change, {
                chain: learner(change.state.models.get(chain, change.state.spec), one.learner.policy, change)
                for chain, one in self._markets.items()
                if chain in change.chains
            }
        except StateError as error:
            return Ack("REJECTED", "bad_model", error.message), {}

    def counts(self) -> Mapping[str, float]:
        counted = Counter[str]()
        for market in self._markets.values():
            counted.update(msgspec.structs.asdict(market.counters))
        return {**counted, "regret_usd": self._regret_usd}

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(
            StageState(
                SNAPSHOT_VERSION,
                self.settings.spec,
                self._gate.state,
                {chain: one.snapshot() for chain, one in self._markets.items()},
                self._bad_rows,
                self._scores.waiting,
            )
        )

    def restore(self, state: bytes) -> None:
        try:
            saved = msgspec.msgpack.decode(state, type=StageState)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(f"the snapshot is unreadable: {error}", key=self.context.node) from None
        if saved.version != SNAPSHOT_VERSION or saved.asked.policy != self.settings.policy:
            raise StateError(
                f"the snapshot was made with policy {saved.asked.policy} v{saved.asked.version}, arms "
                f"{', '.join(saved.asked.arms)}; the topology file asks for {self.settings.policy} "
                f"v{self.settings.policy_version}, arms {', '.join(self.settings.arms)}",
                hint="go back to those settings, or start this node with fresh state",
                key=self.context.node,
            )
        gate = _with_features(saved.gate, len(self.settings.features))
        if not gate.policy_version and saved.asked != self.settings.spec:
            # The file has changed, and no command stands above it. What was learned stays where it fits.
            gate = msgspec.structs.replace(gate, spec=self.settings.spec)
        self._gate.commit(gate)
        for chain, one in self._markets.items():
            now = self._gate.spec(chain)
            held = saved.markets.get(chain)
            if held is None:  # a chain that got its name since
                one.learner.adopt(now, now.make())
                continue
            was, heir = saved.gate.models.get(chain, saved.gate.spec), True
            if now != was:
                former = was.make()
                former.restore(held.policy)
                policy = inherit(now, former, {})
                heir = policy.updates == former.updates
                held.policy = policy.snapshot(chain)
            if held.former_spec is not None and held.former_spec.features != now.features:
                held.former_spec, held.former = None, b""
            one.learner.adopt(now, now.make())
            one.restore(held, gate.model_ids.get(chain, b""), heir)
        self._bad_rows = saved.bad_rows
        self._scores.restore(saved.scores)

    def _opportunities(self, batch: pa.RecordBatch) -> Output:
        wrong = faults(batch, self._markets)
        bad = np.logical_or.reduce(list(wrong.values()))
        if bad.any():
            self._bad_rows += int(bad.sum())
            yield "errors", self._dead_letters(batch, wrong, np.flatnonzero(bad), "bad_opportunity")
            batch = batch.filter(pa.array(~bad))
            if not batch.num_rows:
                return
        for begin in range(0, batch.num_rows, LOOK_ROWS):
            yield from self._decide(batch.slice(begin, LOOK_ROWS))

    def _told(self, batch: pa.RecordBatch) -> Output:
        """Outcomes that somebody measured."""
        wrong = told.faults(batch, self._markets)
        bad = np.logical_or.reduce(list(wrong.values()))
        if bad.any():
            self._bad_rows += int(bad.sum())
            at = np.flatnonzero(bad)
            yield "errors", self._dead_letters(batch, wrong, at, "bad_outcome", "mevflow.v1.Outcome")
            batch = batch.filter(pa.array(~bad))
        collected = {chain: SettledRows() for chain in self._markets}
        for chain, identifier, word in told.words(batch):
            self._markets[chain].tell(identifier, word, collected[chain])
        yield from self._settled(collected)

    def _scored(self, batch: pa.RecordBatch) -> Output:
        """Scores of models."""
        wrong = scores.faults(batch)
        bad = np.logical_or.reduce(list(wrong.values()))
        if bad.any():
            self._bad_rows += int(bad.sum())
            at = np.flatnonzero(bad)
            yield "errors", self._dead_letters(batch, wrong, at, "bad_score", "mevflow.v1.ModelScore")
            batch = batch.filter(pa.array(~bad))
        self._scores.take(batch)

    def _off(self) -> Off:
        """What is off by command, and by the switch as it stands this moment."""
        now, ours, together = self._switched
        if now is not self.context.switch.off or ours is not self._gate.off:
            now, ours = self.context.switch.off, self._gate.off
            together = now | ours
            self._switched = now, ours, together
        return together

    def _decide(self, batch: pa.RecordBatch) -> Output:
        rows = OpportunityColumns(batch, self.settings.plausible)
        if self.settings.scores:
            rows.x = np.vstack((rows.x, self._scores.columns(rows.opportunity_id)))
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
            chosen = batch if len(at) == batch.num_rows else batch.take(pa.array(at))
            made = emit.decisions(chosen, rows, at, segments, self.settings, self.context)
            yield "decisions", made
            yield "lineage", lineage(made, chosen)
        outcomes = emit.outcomes(settled, self.context, chains) if settled else None
        if outcomes is not None:
            yield "outcomes", outcomes
            others, regret_usd = emit.counterfactuals(settled, outcomes)
            self._regret_usd += regret_usd
            for each in others:
                yield "counterfactuals", each
        doubted = sorted(pair for one in collected.values() for pair in one.implausible)
        if made is not None or settled or doubted:
            left_out = None
            if doubted and batch is not None and rows is not None:
                left_out = emit.implausible(batch, rows, doubted, self.context)
            events = emit.events(made, at, settled, outcomes, left_out, [row for row, _ in doubted])
            if events.num_rows:
                yield "events", events

    def _dead_letters(
        self,
        batch: pa.RecordBatch,
        wrong: dict[str, np.ndarray],
        at: np.ndarray,
        reason: str,
        message: str = "mevflow.v1.Opportunity",
    ) -> pa.RecordBatch:
        rows = batch.take(pa.array(at))
        details = ["; ".join(said for said, mask in wrong.items() if mask[row]) for row in at.tolist()]
        return dead_letters(self.context, rows, reason, details)


def _with_features(gate: GateState, features: int) -> GateState:
    """A snapshot's gate for a stage whose contexts have so many features."""

    def fitted(spec: PolicySpec) -> PolicySpec:
        return msgspec.structs.replace(spec, features=features)

    models = {chain: fitted(spec) for chain, spec in gate.models.items()}
    return msgspec.structs.replace(gate, spec=fitted(gate.spec), models=models)
