"""``river.model``: opportunities -> scores of a champion that is judged and challenged as labels come."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from mevflow.operators.chains import number_of
from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.dead_letters import dead_letters
from mevflow.operators.decide.emit import OUTCOME
from mevflow.operators.decide.features import FEATURES
from mevflow.operators.decide.rows import OpportunityColumns, faults
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.ids import ID_BYTES
from mevflow.operators.model import emit
from mevflow.operators.model.contest import FRESH, Contest, ContestState, Happening, Row
from mevflow.operators.model.control import PipelinePayload, candidate_of
from mevflow.operators.model.labels import LANDED, Waiting, WaitingRows, WaitingState
from mevflow.operators.model.settings import MAX_CHALLENGERS, ModelSettings
from mevflow.operators.stage import OF_CHAIN, Ack, Command, Output, Stage, StageContext, Watermark

SNAPSHOT_VERSION = 1

#: What a model sees of a row: the bandit's features without the constant.
NAMES = FEATURES[1:]


class ModelStageState(msgspec.Struct):
    """The stage's snapshot. ``asks`` is what the scores are of: chain and target."""

    version: int
    asks: tuple[str, str]
    contest: ContestState
    waiting: WaitingState
    events: int
    bad_rows: int
    commanded: int = 0  # version of the last model command, and its payload's digest
    payload: bytes = b""


class RiverModel(Stage[ModelSettings]):
    """Score every opportunity of a chain, and learn from what becomes of it.

    Ports
    -----
    in : located Opportunity rows in chain order; those of other chains are let pass without a word.
    outcomes : located Outcome rows, for the target ``landed`` alone.
    swaps, scores : optional, and let pass: what a ``bandit.decide`` behind this stage wants in its order.
    scores : one row an opportunity that pays, from before its label was known. events : reports every
        ``report_every`` labels, promotions, drift. errors : opportunities that cannot be scored.

    opportunities, swaps : the rows of ``in`` and ``swaps``, those of ``in`` after their scores.

    Rows are scored and learned one by one, as river does (``mevflow bench learn`` has the figures).
    """

    use = "river.model"
    summary = "Score opportunities by models that learn from the stream, champion against challengers"
    settings_type = ModelSettings
    commands: ClassVar = {"model": PipelinePayload}

    def __init__(self, settings: ModelSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        self._chain = number_of(settings.chain)
        self._contest = self._fresh()
        self._waiting = WaitingRows(settings.target, settings.delay_slots, settings.max_waiting)
        self._events = 0
        self._bad_rows = 0
        self._commanded, self._payload = 0, b""

    @classmethod
    def input_schemas(cls, settings: ModelSettings) -> Mapping[str, pa.Schema | None]:
        ports: dict[str, pa.Schema | None] = {
            "in": codec("mevflow.v1.Opportunity").located,
            "swaps": codec("mevflow.v1.Swap").located,
            "scores": emit.SCORE,
        }
        return ports | {"outcomes": OUTCOME} if settings.target == LANDED else ports

    @classmethod
    def output_schemas(cls, settings: ModelSettings) -> Mapping[str, pa.Schema]:
        return {
            "scores": emit.SCORE,
            "events": emit.EVENT,
            "errors": ERRORS,
            "opportunities": codec("mevflow.v1.Opportunity").located,
            "swaps": codec("mevflow.v1.Swap").located,
        }

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        if port in ("in", "outcomes"):
            yield from self._judged(port, batch)
        passed = {"in": "opportunities", "swaps": "swaps", "scores": "scores"}.get(port, "")
        if passed and batch.num_rows and self.context.wants(passed):
            yield passed, batch

    def _judged(self, port: str, batch: pa.RecordBatch) -> Output:
        batch = batch.filter(pc.equal(batch.column("chain"), self._chain))
        if not batch.num_rows:
            return
        if port == "outcomes":
            yield from self._told(batch)
            return
        wrong = faults(batch, (self._chain,))  # rules are the bandit's: a model needs none
        bad = np.logical_or.reduce(list(wrong.values()))
        if bad.any():
            self._bad_rows += int(bad.sum())
            at = np.flatnonzero(bad)
            details = ["; ".join(said for said, mask in wrong.items() if mask[row]) for row in at.tolist()]
            yield "errors", dead_letters(self.context, batch.take(pa.array(at)), "bad_opportunity", details)
            batch = batch.filter(pa.array(~bad))
        if batch.num_rows:
            yield from self._rows(batch)

    def on_watermark(self, port: str, watermark: Watermark) -> Output:
        if not watermark.final or port != "in":
            return
        told: list[dict[str, Any]] = []
        for row, label in self._waiting.finish():
            self._learn(row, label, told)
        if told:
            yield "events", emit.events(told, self._chain, self.context)

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(
            ModelStageState(
                SNAPSHOT_VERSION,
                self._asks,
                self._contest.snapshot(),
                self._waiting.snapshot(),
                self._events,
                self._bad_rows,
                self._commanded,
                self._payload,
            )
        )

    def restore(self, state: bytes) -> None:
        try:
            saved = msgspec.msgpack.decode(state, type=ModelStageState)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StateError(f"the snapshot is unreadable: {error}", key=self.context.node) from None
        if saved.version != SNAPSHOT_VERSION or saved.asks != self._asks:
            raise StateError(
                f"the snapshot is of version {saved.version} for {' '.join(saved.asks)}, not {SNAPSHOT_VERSION} for "
                f"{' '.join(self._asks)}",
                hint="go back to those settings, or start this node with fresh state",
                key=self.context.node,
            )
        self._contest = self._fresh()
        self._contest.restore(saved.contest)
        self._waiting.restore(saved.waiting)
        self._events, self._bad_rows = saved.events, saved.bad_rows
        self._commanded, self._payload = saved.commanded, saved.payload

    def on_control(self, command: Command) -> Ack | None:
        target, _, chain = command.target.partition(OF_CHAIN)
        if command.kind != "model" or (target and target not in (self.context.node, self.use)):
            return None
        digest = hashlib.blake2b(command.payload, digest_size=16).digest()
        if command.version < self._commanded:
            return Ack("STALE", "version", f"version {self._commanded} is in force")
        if command.version == self._commanded:
            same = digest == self._payload
            return Ack("DUPLICATE") if same else Ack("REJECTED", "version_taken", "another command has this version")
        try:
            detail = self._take(PipelinePayload.model_validate_json(command.payload), chain)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}" for fault in error.errors()]
            return Ack("REJECTED", "malformed", "; ".join(faults[:8]))
        except UsageError as error:
            return Ack("REJECTED", "out_of_bounds", error.message)
        except StateError as error:
            return Ack("REJECTED", "bad_model", error.message)
        self._commanded, self._payload = command.version, digest
        return Ack("APPLIED", detail=detail)

    def _take(self, asked: PipelinePayload, chain: str) -> str:
        """Do what a command asks for; says what was done. Raises UsageError or StateError, and has done nothing."""
        if {number_of(name) for name in (chain, asked.chain) if name} - {self._chain}:
            raise UsageError(f"this model is of {self.settings.chain}, not of {chain or asked.chain}")
        contest = self._contest
        if not (asked.state or asked.id):
            if asked.candidate != contest.champion.name and not contest.promote(asked.candidate):
                raise UsageError(f"there is no candidate {asked.candidate}")
            return f"{asked.candidate} leads"
        others = [one for one in contest.candidates[1:] if one.name not in (asked.candidate, FRESH)]
        if not asked.champion and asked.candidate == contest.champion.name:
            raise UsageError(f"{asked.candidate} is the champion: say champion: true, or another name")
        if not asked.champion and len(others) >= MAX_CHALLENGERS:
            raise UsageError(f"there are {MAX_CHALLENGERS} challengers already")
        newcomer = candidate_of(asked, self.settings.learner, NAMES)
        contest.admit(newcomer, asked.champion)
        return f"{newcomer.name} with {newcomer.learned} labels {'leads' if asked.champion else 'is a challenger'}"

    def _fresh(self) -> Contest:
        one = self.settings
        return Contest(one.recipes, one.alpha, one.on_drift, one.fallback_labels, one.learn_batch)

    @property
    def _asks(self) -> tuple[str, str]:
        return self.settings.chain, self.settings.target

    def _rows(self, batch: pa.RecordBatch) -> Output:
        rows = OpportunityColumns(batch)
        scored: list[emit.Scored] = []
        told: list[dict[str, Any]] = []
        values = np.ascontiguousarray(rows.x[1:].T)
        for i in range(batch.num_rows):
            slot, cycle = rows.slot[i], rows.cycle[i]
            for waiting, label in self._waiting.labelled(slot):
                self._learn(waiting, label, told)
            self._waiting.follow(cycle, slot, rows.usd[i], rows.closed[i])
            if rows.closed[i]:
                continue
            row = _named(values[i])
            score, said = self._contest.scores(row)
            speaker, champion = self._contest.speaker, self._contest.champion
            scored.append(emit.Scored(i, score, speaker, champion.learned, champion.model_id))
            self._waiting.add(
                Waiting(
                    rows.opportunity_id[i],
                    cycle,
                    slot,
                    rows.timestamp_us[i],
                    rows.source(i),
                    values[i].tobytes(),
                    said,
                    rows.usd[i],
                    rows.usd[i],
                )
            )
        if scored:
            yield "scores", emit.scores(batch, scored, self.settings, self.context)
        if told:
            yield "events", emit.events(told, self._chain, self.context)

    def _told(self, batch: pa.RecordBatch) -> Output:
        """Outcomes of bids, by the opportunity that they were for."""
        told: list[dict[str, Any]] = []
        kinds, ids = batch.column("kind").to_pylist(), batch.column("opportunity_id").to_pylist()
        for kind, identifier in zip(kinds, ids, strict=True):
            if kind in ("landed", "missed") and len(identifier) == ID_BYTES:
                row = self._waiting.told(identifier)
                if row is not None:
                    self._learn(row, float(kind == "landed"), told)
        if told:
            yield "events", emit.events(told, self._chain, self.context)

    def _learn(self, row: Waiting, label: float, told: list[dict[str, Any]]) -> None:
        happened = self._contest.learn(_named(np.frombuffer(row.values)), row.said, label)
        if self._contest.seen % self.settings.report_every == 0:
            happened = [*happened, *(Happening("report", one.name, "") for one in self._contest.candidates)]
        for one in happened:
            of = next((c for c in self._contest.candidates if c.name == one.candidate), self._contest.champion)
            champion = of is self._contest.champion
            told.append(emit.event(one, of, champion, row, self._events, self.settings))
            self._events += 1


def _named(values: np.ndarray) -> Row:
    return dict(zip(NAMES, values.tolist(), strict=True))
