"""Swaps that cannot be labelled, as dead letters."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.dead_letters import Fault


def faults(batch: pa.RecordBatch) -> list[Fault]:
    """What is wrong with which rows; a row may have several faults, the first counts."""
    return [
        (batch.column("chain").to_numpy() <= 0, "no_chain", "the chain is not set"),
        (_any(_size(batch, name) == 0 for name in ("pool", "mint_in", "mint_out")), "no_pool", "no pool or no mint"),
        (
            pc.equal(batch.column("mint_in"), batch.column("mint_out")).to_numpy(zero_copy_only=False),
            "one_mint",
            "the input and the output are one mint",
        ),
        (
            _any(_size(batch, name) != 16 for name in ("amount_in", "amount_out")),
            "bad_amount",
            "an amount is not 16 bytes",
        ),
    ]


def _size(batch: pa.RecordBatch, name: str) -> NDArray[np.int32]:
    size: NDArray[np.int32] = pc.binary_length(batch.column(name)).to_numpy()
    return size


def _any(masks: object) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.logical_or.reduce(list(masks))  # type: ignore[call-overload]
    return found
