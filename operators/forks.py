"""Which fork a row belongs to: rows that came before their fork's own row wait, rows of a fork that is gone go.

A source that follows forks numbers them: ``fork`` of a row, 0 where nobody tells. A larger number is a later fork, and
its ``KIND_REORG`` says from which slot on it stands. That row travels on one topic and the others on two, each in
partitions, so either may come first:

* a row of a fork that has not been told of yet waits for it;
* a row of an earlier fork, at or after the slot from which a later one stands, does not hold any more.

Whoever begins to read in the middle takes the first row's fork for the present one. A fork that is never told of (its
row lies before the place where reading began) is taken for told once its rows span ``PATIENCE_SLOTS``.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

PATIENCE_SLOTS = 64
#: So far above a fork's first slot may rows of the fork before it lie.
REACH_SLOTS = 256
#: More forks than these within reach of one another are one.
_MOST_CUTS = 64


class ForksState(msgspec.Struct):
    """What is known of the forks, by chain."""

    told: dict[int, int] = {}  # the newest fork whose rows may go on
    said: dict[int, int] = {}  # the newest fork of a KIND_REORG
    least: dict[int, int] = {}  # the earliest fork that a row was of
    cuts: dict[int, list[tuple[int, int]]] = {}  # (fork, the first slot of it), both ascending
    stale_rows: int = 0
    untold_forks: int = 0


class Forks:
    """The forks of every chain, as rows and ``KIND_REORG`` tell of them."""

    def __init__(self) -> None:
        self.state = ForksState()

    def sort(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
        """The rows that may go on, and those whose fork has not been told of (None: there are none of them)."""
        fork = forks_of(batch)
        chain = batch.column("chain").to_numpy()
        waits: NDArray[np.bool_] = np.zeros(len(fork), np.bool_)
        stale: NDArray[np.bool_] = np.zeros(len(fork), np.bool_)
        state = self.state
        for one in [int(chain[0])] if (chain == chain[0]).all() else np.unique(chain).tolist():
            here = chain == one
            own = fork[here]
            told = state.told.setdefault(one, int(own[0]))
            state.least[one] = min(int(own.min()), state.least.get(one, told))
            if int(own.max()) > told:
                waits |= here & (fork > told)
            for later, first in state.cuts.get(one, ()):
                slot = batch.column("slot").to_numpy()
                stale |= here & (fork < later) & (fork > 0) & (slot >= first) & (slot < first + REACH_SLOTS)
        if stale.any():
            state.stale_rows += int(stale.sum())
        elif not waits.any():
            return batch, None
        return batch.filter(pa.array(~(waits | stale))), batch.filter(pa.array(waits)) if waits.any() else None

    def tell(self, chain: int, first: int, fork: int) -> bool:
        """Take a ``KIND_REORG``; gives whether it says something new that rows of earlier forks were read before."""
        state = self.state
        if not fork:
            return True
        if fork <= state.said.get(chain, 0):
            return False
        least = state.least.get(chain)
        state.said[chain] = fork
        state.told[chain] = max(fork, state.told.get(chain, 0))
        cuts = [cut for cut in state.cuts.get(chain, []) if cut[0] < fork and cut[1] < first]
        state.cuts[chain] = [*cuts, (fork, first)][-_MOST_CUTS:]
        return least is None or least < fork

    def lose_patience(self, batches: Iterable[pa.RecordBatch], ended: bool = False) -> bool:
        """Take forks for told whose waiting rows span too many slots, or all where nothing more is told (``ended``).

        Gives whether there were any.
        """
        spans: dict[int, tuple[int, int, int]] = {}
        for batch in batches:
            chain, slot, fork = batch.column("chain").to_numpy(), batch.column("slot").to_numpy(), forks_of(batch)
            for one in np.unique(chain).tolist():
                here = chain == one
                low, high, most = int(slot[here].min()), int(slot[here].max()), int(fork[here].max())
                was = spans.get(one, (low, high, most))
                spans[one] = min(was[0], low), max(was[1], high), max(was[2], most)
        lost = {one: most for one, (low, high, most) in spans.items() if ended or high - low >= PATIENCE_SLOTS}
        self.state.told |= lost
        self.state.untold_forks += len(lost)
        return bool(lost)


def forks_of(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    """The fork of every row, 0 where none is told."""
    at = batch.schema.get_field_index("fork")
    if at < 0:
        return np.zeros(batch.num_rows, np.uint64)
    column = batch.column(at)
    found: NDArray[np.uint64] = (column.fill_null(0) if column.null_count else column).to_numpy()
    return found
