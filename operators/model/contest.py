"""A champion and its challengers: all score and learn the same rows, the champion's scores are the ones that count."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pyarrow as pa
from river import drift

from mevflow.operators.errors import StateError
from mevflow.operators.model.challenge import Challenge, needed
from mevflow.operators.model.metrics import LARGEST, Progress, ProgressState, log_loss
from mevflow.operators.model.pipelines import Recipe, kind_of, pipeline, steps_of
from mevflow.operators.model.state import decode_steps, encode_steps

OnDrift = Literal["alert", "shadow-reset", "fallback"]

#: The candidate that a drift brings in: the champion's pipeline, begun anew.
FRESH = "fresh"
#: Whose score it is while no model is trusted.
BASE_RATE = "base-rate"

#: The base rate is that of about so many labels.
_MEMORY = 1_000

Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to tell about a candidate: ``promotion``, ``drift`` or ``reset``."""

    kind: str
    candidate: str
    detail: str


class CandidateState(msgspec.Struct, frozen=True):
    """A snapshot of a candidate."""

    name: str
    serial: int
    learned: int
    steps: bytes
    progress: ProgressState
    challenge: Challenge
    model_id: bytes
    recipe: list[tuple[str, dict[str, float | int | str]]]
    brought: bool = False


class Candidate:
    """One pipeline with how it does. ``serial`` tells one start of it from another; ``brought``: a command did."""

    def __init__(self, name: str, recipe: Recipe, serial: int) -> None:
        self.name, self.recipe, self.serial = name, recipe, serial
        self.learned = 0
        self.model_id = b""
        self.brought = False
        self.progress = Progress()
        self.challenge = Challenge()
        self._classifies = kind_of(recipe) == "classifier"
        self.set_steps(steps_of(recipe))

    def set_steps(self, steps: list[Any]) -> None:
        """Decide by other steps from now on."""
        self._steps = steps
        self._pipeline = pipeline(steps)

    def score(self, row: Row) -> float | None:
        """What the pipeline says of a row, in [0, 1]; None while it cannot say. Raises what river raises, and
        ArithmeticError for what is no number.
        """
        model = self._pipeline
        said = model.predict_proba_one(row).get(True) if self._classifies else model.predict_one(row)
        if said is None or not self.learned:
            return None
        if math.isnan(said):
            raise ArithmeticError("it says what is no number")
        return min(max(float(said), 0.0), 1.0)

    def learn(self, rows: list[Row], labels: list[float]) -> None:
        """Take labels: one by one, or in one lesson where there are several."""
        if len(rows) == 1:
            self._pipeline.learn_one(rows[0], labels[0] > 0.5 if self._classifies else labels[0])
        else:
            given = [label > 0.5 for label in labels] if self._classifies else labels
            frame = pa.table({name: [row[name] for row in rows] for name in rows[0]})
            self._pipeline.learn_many(frame, pa.chunked_array([pa.array(given)]))
        self.learned += len(rows)

    def steps_state(self) -> bytes:
        """What the pipeline has learned."""
        return encode_steps(self.recipe, self._steps, self.learned)

    def snapshot(self) -> CandidateState:
        """All of it."""
        return CandidateState(
            self.name,
            self.serial,
            self.learned,
            self.steps_state(),
            self.progress.snapshot(),
            msgspec.structs.replace(self.challenge),
            self.model_id,
            list(self.recipe),
            self.brought,
        )

    @classmethod
    def of(cls, state: CandidateState) -> Candidate:
        """The candidate of a snapshot. Raises StateError when it does not fit."""
        made = cls(state.name, tuple(state.recipe), state.serial)
        made.learned, made.model_id, made.brought = state.learned, state.model_id, state.brought
        made.set_steps(decode_steps(made.recipe, state.steps))
        made.progress.restore(state.progress)
        made.challenge = msgspec.structs.replace(state.challenge)
        return made


class ContestState(msgspec.Struct, frozen=True):
    """A snapshot of a contest; the champion is the first of ``candidates``, ``drift`` is ADWIN as a step's state.

    ``asked`` are the pipelines that the topology file asked for: one that has left since does not come back.
    """

    candidates: list[CandidateState]
    serial: int
    reign: int
    seen: int
    rate: float
    untrusted: int
    drift: bytes
    buffered: list[tuple[Row, float]]
    untold: list[Happening] = []
    former: CandidateState | None = None
    asked: dict[str, list[tuple[str, dict[str, float | int | str]]]] = {}


def gave_up(error: BaseException) -> bool:
    """Whether an error is river's own, about what it has learned. Panics of its Rust are no Exceptions."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


class Contest:
    """Champion and challengers of one target.

    Parameters
    ----------
    recipes : name -> pipeline; the first one is the champion.
    alpha : the chance that any promotion ever, of all that happen, is of a challenger that is no better.
    on_drift : what an alarm of ADWIN over the size of the champion's residuals does: it is told (``alert``), a fresh
        start of the champion joins as a challenger (``shadow-reset``), or the base rate stands in for
        ``fallback_labels`` (``fallback``).
    batch : labels to a lesson; above 1 all pipelines must have ``learn_many``.
    """

    def __init__(
        self,
        recipes: Mapping[str, Recipe],
        alpha: float = 0.05,
        on_drift: OnDrift = "alert",
        fallback_labels: int = 200,
        batch: int = 1,
    ) -> None:
        self._alpha, self._on_drift, self._fallback_labels, self._batch = alpha, on_drift, fallback_labels, batch
        self._asked = dict(recipes)
        self.candidates = [Candidate(name, recipe, at) for at, (name, recipe) in enumerate(recipes.items())]
        self._serial = len(self.candidates)
        self._reign = 1
        self._seen = 0
        self._rate = 0.5
        self._untrusted = 0
        self._drift = drift.ADWIN()
        self._buffered: list[tuple[Row, float]] = []
        self._untold: list[Happening] = []
        # The champion whose place a command's model took: who leads again when that one fails.
        self._former: CandidateState | None = None

    @property
    def champion(self) -> Candidate:
        """Whose scores count."""
        return self.candidates[0]

    @property
    def speaker(self) -> str:
        """Whose score is given out: the champion's name, or the base rate's."""
        return BASE_RATE if self._untrusted or not self.champion.learned else self.champion.name

    @property
    def seen(self) -> int:
        """Labels so far."""
        return self._seen

    def scores(self, row: Row) -> tuple[float, dict[int, float]]:
        """The score to give out, and every candidate's by its serial."""
        said: dict[int, float] = {}
        for at, candidate in enumerate(self.candidates):
            try:
                score = candidate.score(row)
            except BaseException as error:
                candidate, score = self._begin_anew(at, "score", error), None
            said[candidate.serial] = self._rate if score is None else score
        return self._rate if self._untrusted else said[self.champion.serial], said

    def learn(self, row: Row, said: Mapping[int, float], label: float) -> list[Happening]:
        """Judge what was said of a row by its label, learn it, and give what follows from it."""
        happened, self._untold = self._untold, []
        champion = said.get(self.champion.serial)
        for candidate in self.candidates:
            own = said.get(candidate.serial)
            if own is None:
                continue  # it was not there when the row came
            candidate.progress.update(own, label)
            if candidate is not self.champion and champion is not None:
                candidate.challenge.update(self._loss(champion, label) - self._loss(own, label))
        self._untrusted = max(self._untrusted - 1, 0)
        self._seen += 1
        self._rate += (label - self._rate) / min(self._seen + 1, _MEMORY)
        self._buffered.append((row, label))
        if len(self._buffered) >= self._batch:
            happened += self._teach()
        if champion is not None:
            happened += self._watch(abs(label - champion))
        return happened + self._promote()

    def admit(self, newcomer: Candidate, champion: bool) -> None:
        """Let a candidate in, as the champion or as a challenger; whoever has its name gives way to it."""
        newcomer.serial, newcomer.brought = self._serial, True
        self._serial += 1
        others = [one for one in self.candidates if one.name != newcomer.name]
        if champion:
            try:
                former = self.champion.snapshot()
            except StateError:
                former = None  # nobody's place to go back to
            self.candidates = [newcomer, *(one for one in others if one is not self.champion)]
            self._begin_reign()
            self._former = former
        else:
            self.candidates = [*others, newcomer]

    def promote(self, name: str) -> bool:
        """Let a challenger take the champion's place by command; False: there is none of that name."""
        for at, candidate in enumerate(self.candidates[1:], 1):
            if candidate.name == name:
                self.candidates[0], self.candidates[at] = candidate, self.candidates[0]
                self._begin_reign()
                return True
        return False

    def snapshot(self) -> ContestState:
        """All of it. A candidate that holds what cannot be kept begins anew, here as after a restart."""
        kept: list[CandidateState] = []
        for at, candidate in enumerate(self.candidates):
            try:
                kept.append(candidate.snapshot())
            except StateError as error:
                kept.append(self._begin_anew(at, "be kept", error).snapshot())
        return ContestState(
            kept,
            self._serial,
            self._reign,
            self._seen,
            self._rate,
            self._untrusted,
            encode_steps((), [self._drift]),
            list(self._buffered),
            list(self._untold),
            self._former,
            {name: list(recipe) for name, recipe in self._asked.items()},
        )

    def restore(self, state: ContestState) -> None:
        """Take a snapshot. Candidates whose pipeline is asked for still, or that a command or a drift brought, stay.

        Raises StateError when it does not fit.
        """
        asked = {one.name: one for one in self.candidates}
        kept = [Candidate.of(one) for one in state.candidates]
        kept = [
            one
            for one in kept
            if one.brought or one.name == FRESH or (one.name in asked and asked[one.name].recipe == one.recipe)
        ]
        self._serial, self._reign, self._seen = state.serial, state.reign, state.seen
        held = {one.name for one in kept}
        new = [
            one
            for name, one in asked.items()
            if name not in held and (not kept or state.asked.get(name) != list(one.recipe))
        ]
        for one in new:
            one.serial = self._serial
            self._serial += 1
        led = bool(kept) and kept[0].serial == state.candidates[0].serial
        # Without its champion the contest begins anew under the one that is asked for.
        first = [] if led else [one for one in (*kept, *new) if one.name == self.champion.name]
        self.candidates = [*first, *(one for one in (*kept, *new) if one not in first)]
        if not led:
            self._begin_reign()
        self._rate, self._untrusted = state.rate, state.untrusted
        (self._drift,) = decode_steps((), state.drift, (drift.ADWIN,))
        self._buffered = list(state.buffered)
        self._untold = list(state.untold)
        self._former = state.former

    def _loss(self, score: float, label: float) -> float:
        """The loss of a score, in [0, 1]: log loss for yes or no, squared error for a share."""
        if kind_of(self.champion.recipe) == "classifier":
            return log_loss(score, label) / LARGEST
        return (score - label) ** 2

    def _teach(self) -> list[Happening]:
        rows, labels = [row for row, _ in self._buffered], [label for _, label in self._buffered]
        self._buffered = []
        for at, candidate in enumerate(self.candidates):
            try:
                candidate.learn(rows, labels)
            except BaseException as error:
                self._begin_anew(at, "learn", error)
        happened, self._untold = self._untold, []
        return happened

    def _watch(self, residual: float) -> list[Happening]:
        before = self._drift.estimation
        self._drift.update(residual)
        if not self._drift.drift_detected or self._drift.estimation <= before:
            return []  # residuals that have become smaller are lessons learned, no drift
        if self._on_drift == "shadow-reset":
            fresh = Candidate(FRESH, self.champion.recipe, self._serial)
            self._serial += 1
            self.candidates = [one for one in self.candidates if one.name != FRESH or one is self.champion]
            self.candidates.append(fresh)
        elif self._on_drift == "fallback":
            self._untrusted = self._fallback_labels
        return [Happening("drift", self.champion.name, f"residuals have grown from {before:.3g}; {self._on_drift}")]

    def _promote(self) -> list[Happening]:
        bar = needed(self._alpha, len(self.candidates) - 1, self._reign)
        better = [one for one in self.candidates[1:] if one.challenge.evidence >= bar]
        if not better:
            return []
        best = max(better, key=lambda one: one.challenge.evidence)
        former = self.champion.name
        detail = f"over {former} by {best.challenge.difference:.4g} a row over {best.challenge.rows:,} rows"
        # What a drift brought in takes the former champion's place for good.
        name = best.name
        if best.name == FRESH:
            best.name = former
            self.candidates = [best, *(one for one in self.candidates[1:] if one is not best)]
        else:
            at = self.candidates.index(best)
            self.candidates[0], self.candidates[at] = best, self.candidates[0]
        self._begin_reign()
        return [Happening("promotion", name, detail)]

    def _begin_reign(self) -> None:
        self._reign += 1
        self._former = None
        for candidate in self.candidates:
            candidate.challenge = Challenge()

    def _begin_anew(self, at: int, what: str, error: BaseException) -> Candidate:
        """River failed on what a candidate had learned, or it holds what is none: it begins anew, and that is told.

        A champion that came by command gives way to the one before it.
        """
        if not gave_up(error):
            raise error
        failed, former = self.candidates[at], self._former if at == 0 else None
        next_one = Candidate(failed.name, failed.recipe, self._serial)
        next_one.brought = failed.brought
        if former is not None and former.name not in {one.name for one in self.candidates[1:]}:
            next_one = Candidate.of(msgspec.structs.replace(former, serial=self._serial))
        self._serial += 1
        self.candidates[at] = next_one
        if former is not None:
            self._begin_reign()
        said = error.message if isinstance(error, StateError) else str(error)
        self._untold.append(Happening("reset", failed.name, f"it could not {what}: {said}"[:200]))
        return next_one
