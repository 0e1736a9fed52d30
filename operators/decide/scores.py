"""Scores of models as features: what a ``river.model`` said of an opportunity, beside whether it said anything.

A score that did not come is not known, and 0 is a score. So each model has two features: ``scored_NAME`` is 1 where it
has spoken and 0 where it has not, ``score_NAME`` is what it said. A policy learns what silence is worth as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.ids import ID_BYTES
from mevflow.operators.learn.kernels import Bools, Floats


def score_features(models: Sequence[str]) -> tuple[str, ...]:
    """The features of models, in order."""
    return tuple(f"{what}_{model}" for model in models for what in ("scored", "score"))


def faults(batch: pa.RecordBatch) -> dict[str, Bools]:
    """What is wrong with score rows: reason -> mask."""
    score = batch.column("score").to_numpy()
    return {
        "opportunity_id is not 16 bytes": pc.binary_length(batch.column("opportunity_id")).to_numpy() != ID_BYTES,
        # Written so that NaN fails.
        "score is not in [0, 1]": ~((score >= 0.0) & (score <= 1.0)),
    }


class Scores:
    """Scores that wait for their opportunity; at most ``keep``, the oldest are forgotten and counted.

    ``waiting``: opportunity id -> a score a model, NaN for one that has not spoken.
    """

    def __init__(self, models: Sequence[str], keep: int) -> None:
        self._place = {model: place for place, model in enumerate(models)}
        self._keep = keep
        self.waiting: dict[bytes, list[float]] = {}
        self.forgotten = 0

    def take(self, batch: pa.RecordBatch) -> None:
        """Keep checked rows of the models that are asked for."""
        columns = (batch.column(name).to_pylist() for name in ("opportunity_id", "model", "score"))
        for identifier, model, score in zip(*columns, strict=True):
            place = self._place.get(model)
            if place is not None:
                self.waiting.setdefault(identifier, [np.nan] * len(self._place))[place] = score
        while len(self.waiting) > self._keep:
            del self.waiting[next(iter(self.waiting))]
            self.forgotten += 1

    def restore(self, waiting: dict[bytes, list[float]]) -> None:
        """Take a snapshot's scores; those of other models are none of this one's."""
        self.waiting = {key: said for key, said in waiting.items() if len(said) == len(self._place)}

    def columns(self, opportunities: Sequence[bytes]) -> Floats:
        """``[2 * models, rows]`` of :func:`score_features`; whose row has come waits no longer."""
        nothing = [np.nan] * len(self._place)
        said = np.array([self.waiting.pop(one, nothing) for one in opportunities]).reshape(len(opportunities), -1)
        known = ~np.isnan(said)
        out: Floats = np.empty((2 * len(self._place), len(opportunities)))
        out[0::2] = known.T
        out[1::2] = np.where(known, said, 0.0).T
        return out
