"""Located swap rows for tests of the stage, and runs of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from mevflow.operators.label.settings import LabelSettings
from mevflow.operators.label.stage import SWAP, Label
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.v1 import market_pb2 as market

END = Watermark(CAUGHT_UP_US, final=True)
CAUGHT_UP = Watermark(CAUGHT_UP_US)
SLOT_US = 400_000


def u128(value: int) -> bytes:
    return value.to_bytes(16, "little")


def swap(
    slot: int, tx: int, ix: int, route: str, amounts: tuple[int, int], pool: str, **changes: Any
) -> dict[str, Any]:
    """A Swap's columns; ``route`` is "A>B", ``offset`` and ``partition`` its coordinates."""
    token_in, token_out = route.split(">")
    chain = changes.pop("chain", market.CHAIN_SOLANA)
    return {
        "chain": chain,
        "slot": slot,
        "tx_index": tx,
        "ix_index": ix,
        "timestamp_us": slot * SLOT_US,
        "signature": f"{chain}/{slot}/{tx}".encode(),
        "signer": changes.pop("signer", f"signer{tx}").encode(),
        "pool": pool.encode(),
        "mint_in": token_in.encode(),
        "mint_out": token_out.encode(),
        "amount_in": u128(amounts[0]),
        "amount_out": u128(amounts[1]),
        "source_topic": "dex-swaps-proto",
        "source_partition": changes.pop("partition", 0),
        "source_offset": changes.pop("offset", 0),
        **changes,
    }


def batch(rows: Iterable[dict[str, Any]]) -> pa.RecordBatch:
    """Rows as the stage takes them; what is not said is empty, as protobuf has it."""
    empty = {field.name: _nothing(field.type) for field in SWAP}
    return pa.RecordBatch.from_pylist([{**empty, **row} for row in rows], schema=SWAP)


def arbitrage(slot: int, tx: int, **changes: Any) -> list[dict[str, Any]]:
    """Two swaps there and back, 3 gained."""
    return [
        swap(slot, tx, 0, "A>B", (100, 200), "p", **changes),
        swap(slot, tx, 1, "B>A", (200, 103), "q", **changes),
    ]


def sandwich(slot: int, tx: int, **changes: Any) -> list[dict[str, Any]]:
    """Three transactions from ``tx`` on, 20 gained."""
    return [
        swap(slot, tx, 0, "A>B", (1000, 500), "r", signer="bot", **changes),
        swap(slot, tx + 1, 0, "A>B", (300, 140), "r", **changes),
        swap(slot, tx + 2, 0, "B>A", (500, 1020), "r", signer="bot", **changes),
    ]


def make(shard: int = 0, shards: int = 1, **settings: Any) -> Label:
    """The stage."""
    return Label(LabelSettings(**settings), StageContext("t", "labelled", shard=shard, shards=shards))


def run(stage: Label, items: Iterable[pa.RecordBatch | Watermark]) -> dict[str, list[dict[str, Any]]]:
    """What comes out, by port."""
    out: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in items:
        given = stage.on_watermark("in", item) if isinstance(item, Watermark) else stage.process("in", item)
        for port, rows in given:
            assert rows.num_rows
            out[port] += rows.to_pylist()
    return out


def _nothing(kind: pa.DataType) -> Any:
    if pa.types.is_dictionary(kind):
        return ""
    if pa.types.is_binary(kind):
        return b""
    return False if pa.types.is_boolean(kind) else 0
