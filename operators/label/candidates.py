"""Rows of whole slots -> the swaps that could be part of a label. Most transactions are one swap and go no further."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.codec import codec
from mevflow.operators.label.trade import Trade

#: The columns of a swap that labels need.
COLUMNS = (
    "chain",
    "slot",
    "tx_index",
    "ix_index",
    "timestamp_us",
    "signature",
    "signer",
    "pool",
    "mint_in",
    "mint_out",
    "amount_in",
    "amount_out",
    "tick",
    "sqrt_price_x64",
)
SCHEMA: pa.Schema = pa.schema([codec("mevflow.v1.Swap").schema.field(name) for name in COLUMNS])


def blocks(batch: pa.RecordBatch) -> Iterator[list[Trade]]:
    """Slot by slot, the trades worth a look. ``batch`` is in chain order, ``Trade.row`` is a row of it."""
    rows = np.flatnonzero(_of_several_in_transaction(batch) | _pool_went_both_ways(batch))
    if not len(rows):
        return
    columns = {name: batch.column(name).take(pa.array(rows)).to_pylist() for name in COLUMNS}
    trades = (
        ((columns["chain"][i], columns["slot"][i]), _trade(columns, i, row)) for i, row in enumerate(rows.tolist())
    )
    for _, group in itertools.groupby(trades, key=lambda pair: pair[0]):
        yield [trade for _, trade in group]


def _trade(columns: dict[str, list[object]], i: int, row: int) -> Trade:
    def raw(name: str) -> bytes:
        value = columns[name][i]
        return value if isinstance(value, bytes) else b""

    def number(name: str) -> int:
        value = columns[name][i]
        return value if isinstance(value, int) else 0

    return Trade(
        tx_index=number("tx_index"),
        place=(number("ix_index"),),
        pool=raw("pool"),
        token_in=raw("mint_in"),
        token_out=raw("mint_out"),
        amount_in=int.from_bytes(raw("amount_in"), "little"),
        amount_out=int.from_bytes(raw("amount_out"), "little"),
        signer=raw("signer"),
        row=row,
    )


def _of_several_in_transaction(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Rows whose neighbour is of the same transaction."""
    same = np.ones(max(batch.num_rows - 1, 0), np.bool_)
    for name in ("chain", "slot", "tx_index"):
        column = batch.column(name).to_numpy()
        same &= column[1:] == column[:-1]
    several = np.zeros(batch.num_rows, np.bool_)
    several[1:] |= same
    several[:-1] |= same
    return several


def _pool_went_both_ways(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Rows of pools that, in one slot, three swaps or more used, not all of the same input."""
    rows = batch.num_rows
    if rows < 3:
        return np.zeros(rows, np.bool_)
    chain, slot = batch.column("chain").to_numpy(), batch.column("slot").to_numpy()
    block = np.zeros(rows, np.int64)
    block[1:] = np.cumsum((chain[1:] != chain[:-1]) | (slot[1:] != slot[:-1]))
    pools = pc.dictionary_encode(batch.column("pool"))
    mints = pc.dictionary_encode(batch.column("mint_in")).indices.to_numpy()
    key = block * len(pools.dictionary) + pools.indices.to_numpy()
    _, group, count = np.unique(key, return_inverse=True, return_counts=True)
    low, high = np.full(len(count), rows), np.full(len(count), -1)
    np.minimum.at(low, group, mints)
    np.maximum.at(high, group, mints)
    both: NDArray[np.bool_] = (count >= 3) & (low != high)
    return both[group]
