"""Just-in-time liquidity: someone adds to a pool before others' swaps and takes the same out after them, in one block.

On one pool: an addition and a later removal of the same liquidity over the same range by one owner, and between the
two, in transactions of their own, swaps by others whose price was within that range or went through it. On EVM chains
an update's owner is the position's, which may be a contract that many use: range and amount then speak for one owner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.concentrated.tick_math_x64 import tick_at

_KEY = ("chain", "slot", "pool", "signer", "tick_lower", "tick_upper")


@dataclass(frozen=True, slots=True)
class JitLiquidity:
    """Rows of the moves (``added``, ``removed``) and of the swaps between them, in chain order."""

    added: int
    removed: int
    victims: tuple[int, ...]


def jit_liquidity(moves: pa.RecordBatch, swaps: pa.RecordBatch) -> Iterator[JitLiquidity]:
    """What is found in whole slots. ``moves`` are changes of liquidity, ``swaps`` in chain order."""
    for added, removed in _pairs(moves):
        [added_by] = moves.slice(added, 1).to_pylist()
        victims = tuple(_between(swaps, added_by, moves.column("tx_index")[removed].as_py()))
        if victims:
            yield JitLiquidity(added, removed, victims)


def _pairs(moves: pa.RecordBatch) -> Iterator[tuple[int, int]]:
    """Rows of each removal and of the last addition before it of the same owner, range and amount."""
    if moves.num_rows < 2:
        return
    groups, delta = _groups(moves), moves.column("liquidity_delta")
    taken = pc.greater_equal(pc.binary_slice(delta, 15, 16), b"\x80").to_numpy(zero_copy_only=False)
    # Most positions only grow, or only shrink, within a slot.
    both = np.bincount(groups, taken) * np.bincount(groups, ~taken) > 0
    rows = np.flatnonzero(both[groups])
    tx, ix = (moves.column(name).to_numpy()[rows] for name in ("tx_index", "ix_index"))
    open_: dict[int, list[tuple[int, int]]] = {}
    for row in rows[np.lexsort([ix, tx, groups[rows]])].tolist():
        amount = int.from_bytes(delta[row].as_py(), "little", signed=True)
        waiting = open_.setdefault(int(groups[row]), [])
        if amount > 0:
            waiting.append((amount, row))
            continue
        for at in range(len(waiting) - 1, -1, -1):
            if waiting[at][0] == -amount:
                yield waiting.pop(at)[1], row
                break


def _groups(moves: pa.RecordBatch) -> NDArray[np.int64]:
    """A number of each row: the same for moves of one slot, pool, owner and range."""
    group = np.zeros(moves.num_rows, np.int64)
    for name in _KEY:
        codes = pc.dictionary_encode(moves.column(name)).indices.to_numpy().astype(np.int64)
        _, group = np.unique(group * (int(codes.max()) + 1) + codes, return_inverse=True)
    numbers: NDArray[np.int64] = group.astype(np.int64)
    return numbers


def _between(swaps: pa.RecordBatch, added: dict[str, Any], until: int) -> Iterator[int]:
    """Rows of others' swaps, in transactions after ``added`` and before ``until``, that met what was added."""
    chain, slot = swaps.column("chain").to_numpy(), swaps.column("slot").to_numpy()
    before: int | None = None
    for row in np.flatnonzero((chain == added["chain"]) & (slot == added["slot"])).tolist():
        if swaps.column("pool")[row].as_py() != added["pool"]:
            continue
        after = _tick(swaps, row)
        low, high = sorted((after if before is None else before, after))
        met = low < added["tick_upper"] and high >= added["tick_lower"]
        others = swaps.column("signer")[row].as_py() != added["signer"]
        if met and others and added["tx_index"] < swaps.column("tx_index")[row].as_py() < until:
            yield row
        before = after


def _tick(swaps: pa.RecordBatch, row: int) -> int:
    """Where a swap left the price. One that tells a Q64.64 price may not tell its tick."""
    price = int.from_bytes(swaps.column("sqrt_price_x64")[row].as_py(), "little")
    tick: int = swaps.column("tick")[row].as_py()
    if not price or tick:
        return tick
    try:
        return tick_at(price)
    except AmmError:
        return tick
