"""What was found, as ``mevflow.v1.Label`` rows: one a transaction and label.

An arbitrage is one row. A sandwich is a row of each transaction of its front-run, of each victim's and of its back-run;
the amounts stand on the last of the back-run, which is where the profit is made. Just-in-time liquidity is a row of
each victim's and of the two that moved it, which name no swaps; what it earned is not known. A liquidation is one row,
with the swaps of its transaction. ``group`` names the
finding: it joins the rows of one sandwich and tells two arbitrages of one transaction apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from mevflow.operators.codec import COORDINATES, codec
from mevflow.operators.ids import stable_id
from mevflow.operators.label.arbitrage import Arbitrage
from mevflow.operators.label.candidates import SCHEMA
from mevflow.operators.label.find import Found
from mevflow.operators.label.jit import JitLiquidity
from mevflow.operators.label.trade import Trade

LABEL: pa.Schema = codec("mevflow.v1.Label").located
#: What a row of a swap must have for its label to be written.
LOCATED: pa.Schema = pa.schema([*SCHEMA, *COORDINATES])
_BYTES = 16
_TRANSACTION = ("chain", "slot", "tx_index")


def rows(found: Iterable[Found], swaps: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of one block's labels, in chain order. ``Trade.row`` is a row of ``swaps`` (schema ``LOCATED``)."""
    out = [row for one in found for row in _rows(one, swaps)]
    return sorted(out, key=lambda row: (row["tx_index"], row["kind"], row["group"]))


def jit_rows(found: Iterable[JitLiquidity], moves: pa.RecordBatch, swaps: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of just-in-time liquidity. ``moves`` and ``swaps`` are what it was found in."""
    out = []
    for one in found:
        added, removed = (moves.slice(row, 1).to_pylist()[0] for row in (one.added, one.removed))
        places = [number for move in (added, removed) for number in (move["tx_index"], move["ix_index"])]
        group = stable_id("label", "jit", added["chain"], added["slot"], *places).hex()
        out.append(_told("jit_mint", added, [], group, {}))
        victims = swaps.take(pa.array(one.victims)).to_pylist()
        for _, part in itertools.groupby(victims, key=lambda swap: swap["tx_index"]):
            own = list(part)
            out.append(_told("jit_victim", own[0], [swap["ix_index"] for swap in own], group, {}))
        out.append(_told("jit_burn", removed, [], group, {}))
    return out


def liquidation_rows(found: pa.RecordBatch, swaps: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of liquidations, with the swaps of their transactions; what they gained is not known.

    ``found`` are rows of updates, ``swaps`` what stands in the same slots.
    """
    beside: dict[tuple[int, ...], list[int]] = {}
    wanted = {_transaction(one) for one in found.to_pylist()}
    places = swaps.select([*_TRANSACTION, "ix_index"]).to_pylist() if wanted else []
    for swap in places:
        if _transaction(swap) in wanted:
            beside.setdefault(_transaction(swap), []).append(swap["ix_index"])
    out = []
    for one in found.to_pylist():
        group = stable_id("label", "liquidation", *_transaction(one), one["ix_index"]).hex()
        out.append(_told("liquidation", one, beside.get(_transaction(one), []), group, {}))
    return out


def _transaction(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in _TRANSACTION)


def undone(row: dict[str, Any]) -> dict[str, Any]:
    """The row that takes back a finding, made of its first row."""
    amounts = dict.fromkeys(("profit_mint", "start_amount", "end_amount", "profit"), b"")
    return {**row, **amounts, "kind": "undone", "swap_ix": []}


def label_batch(labels: list[dict[str, Any]]) -> pa.RecordBatch:
    """Rows as a batch of ``LABEL``."""
    return pa.RecordBatch.from_pylist(labels, schema=LABEL)


def _rows(found: Found, swaps: pa.RecordBatch) -> Iterable[dict[str, Any]]:
    amounts = {
        "profit_mint": found.token,
        "start_amount": _amount(found.start_amount, signed=False),
        "end_amount": _amount(found.end_amount, signed=False),
        "profit": _amount(found.profit, signed=True),
    }
    if isinstance(found, Arbitrage):
        yield _row("arbitrage", found.trades, swaps, _group("arbitrage", found.trades, swaps), amounts)
        return
    group = _group("sandwich", (found.front, found.back), swaps)
    for _, fronts in itertools.groupby(found.fronts, key=lambda trade: trade.tx_index):
        yield _row("sandwich_front", tuple(fronts), swaps, group, {})
    for _, victims in itertools.groupby(found.victims, key=lambda trade: trade.tx_index):
        yield _row("sandwich_victim", tuple(victims), swaps, group, {})
    parts = [tuple(part) for _, part in itertools.groupby(found.backs, key=lambda trade: trade.tx_index)]
    for part in parts:
        yield _row("sandwich_back", part, swaps, group, amounts if part is parts[-1] else {})


def _row(
    kind: str, trades: tuple[Trade, ...], swaps: pa.RecordBatch, group: str, amounts: dict[str, bytes]
) -> dict[str, Any]:
    [swap] = swaps.slice(trades[0].row, 1).to_pylist()
    return _told(kind, swap, [trade.place[-1] for trade in trades], group, amounts)


def _told(kind: str, of: dict[str, Any], swap_ix: list[int], group: str, amounts: dict[str, bytes]) -> dict[str, Any]:
    """A row of what stands where ``of`` does."""
    return {
        **{name: of[name] for name in ("chain", "slot", "tx_index", "timestamp_us", "signature", "signer")},
        **{name: of[name] for name in COORDINATES.names},
        "kind": kind,
        "swap_ix": swap_ix,
        "group": group,
        **{name: amounts.get(name, b"") for name in ("profit_mint", "start_amount", "end_amount", "profit")},
    }


def _group(kind: str, trades: tuple[Trade, ...], swaps: pa.RecordBatch) -> str:
    """The same in every run: of the chain's coordinates only."""
    row = trades[0].row
    where = [swaps.column(name)[row].as_py() for name in ("chain", "slot")]
    places = [number for trade in trades for number in (trade.tx_index, *trade.place)]
    return stable_id("label", kind, *where, *places).hex()


def _amount(value: int, signed: bool) -> bytes:
    """16 bytes, or empty ("not known") for a sum that no 128-bit number holds."""
    low, high = (-(1 << 127), 1 << 127) if signed else (0, 1 << 128)
    return value.to_bytes(_BYTES, "little", signed=signed) if low <= value < high else b""
