"""Swaps that cannot be labelled, as dead letters."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.stage import StageContext
from mevflow.v1 import market_pb2 as market

_SWAP = codec("mevflow.v1.Swap")
_CHAINS = (market.CHAIN_SOLANA, market.CHAIN_ETHEREUM)

#: (rows, reason, detail)
Fault = tuple[NDArray[np.bool_], str, str]


def faults(batch: pa.RecordBatch) -> list[Fault]:
    """What is wrong with which rows; a row may have several faults, the first counts."""
    return [
        (~np.isin(batch.column("chain").to_numpy(), _CHAINS), "no_chain", "the chain is not set, or unknown"),
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


def split(
    batch: pa.RecordBatch, wrong: list[Fault], context: StageContext
) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
    """``(good rows, dead letters or None)``."""
    bad = _any(mask for mask, _, _ in wrong)
    if not bad.any():
        return batch, None
    letters = []
    for row in np.flatnonzero(bad).tolist():
        reason, detail = next((reason, detail) for mask, reason, detail in wrong if mask[row])
        one = batch.slice(row, 1)
        letters.append(
            {
                "topic": one.column("source_topic")[0].as_py() or "",
                "partition": one.column("source_partition")[0].as_py() or 0,
                "offset": one.column("source_offset")[0].as_py() or 0,
                "timestamp_us": one.column("timestamp_us")[0].as_py(),
                "topology": context.topology,
                "run_id": context.run_id,
                "stage": context.node,
                "reason": reason,
                "detail": detail,
                "payload": _SWAP.encode(one)[0].as_py(),
            }
        )
    return batch.filter(pa.array(~bad)), pa.RecordBatch.from_pylist(letters, schema=ERRORS)


def _size(batch: pa.RecordBatch, name: str) -> NDArray[np.int32]:
    size: NDArray[np.int32] = pc.binary_length(batch.column(name)).to_numpy()
    return size


def _any(masks: object) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.logical_or.reduce(list(masks))  # type: ignore[call-overload]
    return found
