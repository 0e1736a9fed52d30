"""The last few slots of swaps, kept to say who ended a cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from mevflow.operators.outcomes import UNSEEN, Rival

#: What is kept of a swap.
COLUMNS = (
    "slot",
    "tx_index",
    "ix_index",
    "signer",
    "pool",
    "mint_in",
    "priority_fee_lamports",
    "tip_lamports",
)


class RecentSwaps:
    """Swaps of one chain by slot, oldest first; at most ``per_slot`` rows a slot (the first ones of each).

    ``dropped`` counts rows beyond that. Whole slots are dropped by :meth:`forget`.
    """

    def __init__(self, per_slot: int) -> None:
        self._per_slot = per_slot
        self._parts: list[tuple[np.ndarray, pa.RecordBatch]] = []  # (ascending slots, rows)
        self.dropped = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows with the columns of COLUMNS, all of one chain."""
        slots = batch.column("slot").to_numpy()
        if np.any(slots[1:] < slots[:-1]):
            order = np.argsort(slots, kind="stable")
            slots, batch = slots[order], batch.take(pa.array(order))
        place = np.arange(len(slots)) - np.searchsorted(slots, slots)
        if self._parts and self._parts[-1][0][-1] >= slots[0]:
            known, at = np.unique(slots, return_inverse=True)
            place += np.array([self.count(slot) for slot in known.tolist()])[at]
        keep = place < self._per_slot
        if not keep.all():
            self.dropped += int((~keep).sum())
            slots, batch = slots[keep], batch.filter(pa.array(keep))
        if len(slots):
            self._parts.append((slots, batch))

    def count(self, slot: int) -> int:
        """Rows held of a slot."""
        return sum(stop - start for _, start, stop in self._ranges(slot))

    def forget(self, before_slot: int) -> None:
        """Let go of batches that end before a slot."""
        self._parts = [part for part in self._parts if part[0][-1] >= before_slot]

    def rival(
        self, closed: tuple[int, int, int], legs: list[tuple[bytes, bytes]], native_usd: float | None, decimals: int
    ) -> Rival:
        """Who made the event ``closed`` (slot, tx_index, ix_index) that ended the cycle of ``legs`` (pool, mint in).

        A transaction that swapped through every pool of the cycle in its direction is a ``round_trip``; one that
        did less is a ``swap``; ``unseen`` when the event is no swap that is held (a liquidity change, say).
        """
        slot, tx_index, ix_index = closed
        rows = [row for batch, start, stop in self._ranges(slot) for row in _transaction(batch, start, stop, tx_index)]
        closing = [row for row in rows if row["ix_index"] == ix_index]
        if not closing:
            return UNSEEN
        taken = {(row["pool"], row["mint_in"]) for row in rows}
        fees = max(row["priority_fee_lamports"] + row["tip_lamports"] for row in rows)
        return Rival(
            kind="round_trip" if taken.issuperset(legs) else "swap",
            signer=closing[0]["signer"],
            bid_usd=fees / 10**decimals * native_usd if fees and native_usd is not None else None,
        )

    def snapshot(self) -> bytes:
        """All rows as an Arrow IPC stream; empty when there are none."""
        if not self._parts:
            return b""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._parts[0][1].schema) as writer:
            for _, batch in self._parts:
                writer.write_batch(batch)
        return bytes(sink.getvalue())

    def restore(self, state: bytes) -> None:
        """Take a snapshot's rows."""
        batches = list(pa.ipc.open_stream(state)) if state else []
        self._parts = [(batch.column("slot").to_numpy(), batch) for batch in batches]

    def _ranges(self, slot: int) -> list[tuple[pa.RecordBatch, int, int]]:
        found = []
        wanted = np.uint64(slot)  # beside an int all slots would be made floats of it
        for slots, batch in self._parts:
            if slots[0] <= wanted <= slots[-1]:
                start, stop = np.searchsorted(slots, wanted), np.searchsorted(slots, wanted, side="right")
                found.append((batch, int(start), int(stop)))
        return found


def _transaction(batch: pa.RecordBatch, start: int, stop: int, tx_index: int) -> list[dict[str, Any]]:
    """The rows of a transaction among those of its slot."""
    rows = start + np.flatnonzero(batch.column("tx_index").to_numpy()[start:stop] == tx_index)
    # One to three rows: to take them at once costs many times what they cost one by one.
    return [row for at in rows.tolist() for row in batch.slice(at, 1).to_pylist()]
