"""Outcomes that somebody measured, joined to decisions by their id: on time, early, twice, corrected, or never.

A row says what became of a decision (``landed``, ``missed``, ``skipped``), or that it took effect (``activated``). It
waits with the bid until its window has passed, so it does not matter when within the window it came. One that comes
before its decision is kept for it. A word with a higher ``revision`` replaces an earlier one; once the bid has been
settled, it is a correction, and the policy unlearns the difference. Everything kept is bounded.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from mevflow.operators.decide.rows import NO_RULES, number
from mevflow.operators.ids import ID_BYTES
from mevflow.operators.learn.kernels import Bools
from mevflow.operators.outcomes import LANDED, MISSED, SKIPPED
from mevflow.operators.stage import Settings

#: A decision that took effect.
ACTIVATED = "activated"
#: A decision that never did: nothing is learned from it.
INACTIVE = "inactive"

_KINDS = (LANDED, MISSED, SKIPPED, ACTIVATED)


class Attribution(Settings):
    """How outcomes of the port ``outcomes`` are joined.

    ``window_slots`` is for how long after its decision an outcome is waited for (at least the chain's own window);
    ``default`` what is taken where none came: the landing ``rule``, ``missed``, or nothing (``expired``). ``activation:
    deferred`` lets a decision count only when an ``activated`` row came. ``keep`` bounds, a chain, the settled
    decisions that can be corrected and the outcomes that wait for their decision.
    """

    window_slots: int = Field(default=0, ge=0, le=1_000_000)
    default: Literal["rule", "missed", "expired"] = "rule"
    activation: Literal["immediate", "deferred"] = "immediate"
    keep: int = Field(default=20_000, ge=1, le=1_000_000)


class Told(msgspec.Struct, frozen=True, gc=False):
    """One word on a decision. ``realized`` is i128 in 16 bytes, or empty: not known."""

    kind: str
    reward_usd: float
    realized: bytes
    evidence: str
    revision: int

    @property
    def profit(self) -> int | None:
        """The realised profit in raw units; None: not known."""
        return number(self.realized) if self.realized else None


def faults(batch: pa.RecordBatch, chains: Collection[int]) -> dict[str, Bools]:
    """What is wrong with outcome rows: reason -> mask. ``chains`` have rules."""
    ids = pc.binary_length(batch.column("decision_id")).to_numpy()
    amounts = pc.binary_length(batch.column("realized_profit")).to_numpy()
    words: Bools = pc.is_in(batch.column("kind"), pa.array(_KINDS)).to_numpy(zero_copy_only=False)
    return {
        "decision_id is not 16 bytes": ids != ID_BYTES,
        "realized_profit is neither empty nor 16 bytes": (amounts != 0) & (amounts != 16),
        f"kind is none of {', '.join(_KINDS)}": ~words,
        "reward_usd is not finite": ~np.isfinite(batch.column("reward_usd").to_numpy()),
        NO_RULES: ~np.isin(batch.column("chain").to_numpy(), tuple(chains)),
    }


def words(batch: pa.RecordBatch) -> list[tuple[int, bytes, Told]]:
    """(chain, decision id, word) of checked rows, in order."""
    columns = ("chain", "decision_id", "kind", "reward_usd", "realized_profit", "evidence", "revision")
    return [
        (chain, identifier, Told(kind, reward, realized, evidence[:256], revision))
        for chain, identifier, kind, reward, realized, evidence, revision in zip(
            *(batch.column(name).to_pylist() for name in columns), strict=True
        )
    ]
