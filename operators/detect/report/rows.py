"""The rows that the detector emits, as columns: little is told row by row, what follows from it is made at once."""

from __future__ import annotations

from itertools import chain, pairwise
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.amounts import i128, u128
from mevflow.operators.codec import codec
from mevflow.operators.detect.book.book import Book
from mevflow.operators.detect.costs import CostModel
from mevflow.operators.detect.report.cycles import Cycle
from mevflow.operators.detect.report.episodes import AMOUNT_BYTES
from mevflow.operators.detect.report.identity import opportunity_ids
from mevflow.operators.detect.screen.events import UPDATES, Events

OPPORTUNITY = codec("mevflow.v1.Opportunity").located
PRICE = codec("mevflow.v1.PriceTick").located
_LEGS = OPPORTUNITY.field("legs").type
_MAX_COST = 1e38


class OpportunityRow(NamedTuple):
    """What is told of an opportunity; ``group`` numbers the events that brought any, ``key`` is its cycle's.

    ``amounts`` are the input's and each leg's output's, AMOUNT_BYTES each; zeros where the episode has ``closed``.
    ``usd`` and ``native_usd`` are of :class:`mevflow.operators.detect.report.cycles.FoundCycles`.
    """

    group: int
    key: bytes
    event: int
    cycle: Cycle
    path: str
    closed: bool
    new_episode: bool
    opened_slot: int
    opened_us: int
    ordinal: int
    amounts: bytes
    log_rate: float
    usd: float
    native_usd: float


def opportunities(
    rows: list[OpportunityRow], events: Events, book: Book, costs: CostModel, id_head: bytes, constant: dict[str, Any]
) -> pa.RecordBatch:
    """The rows in the order of their events, those of one event in that of their cycles' keys.

    ``id_head`` begins every id; ``constant`` has the values of the columns that are the same in every row.
    """
    rows = sorted(rows, key=itemgetter(0, 1))  # group and key
    told = dict(zip(OpportunityRow._fields, map(list, zip(*rows, strict=True)), strict=True))
    at = events.columns(told["event"])
    columns: dict[str, Any] = {
        **told,
        **at,
        **{name: pa.repeat(pa.scalar(value), len(rows)) for name, value in constant.items()},
        "late": events.late[told["event"]],
        **_legs(told["cycle"], b"".join(told["amounts"]), book),
    }
    place = [at[name].to_numpy() for name in ("chain", "slot", "tx_index", "ix_index")]
    # An update and a swap may share coordinates, and are two events.
    parts = [*place, events.source[told["event"]] == UPDATES, told["ordinal"], told["closed"]]
    numbers = np.stack([np.asarray(part).astype(np.uint64) for part in parts], axis=1)
    columns["opportunity_id"] = opportunity_ids(id_head, numbers, told["key"])
    columns |= _profits(rows, at["chain"].to_pylist(), columns["legs"], costs)
    arrays = [_array(columns[field.name], field.type) for field in OPPORTUNITY]
    return pa.RecordBatch.from_arrays(arrays, schema=OPPORTUNITY)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _legs(cycles: list[Cycle], amounts: bytes, book: Book) -> dict[str, pa.Array]:
    """The legs of all rows; their first mint, what goes in, and what comes out of the last one."""
    counts = np.fromiter(map(len, cycles), np.int64, len(cycles))
    ends = np.cumsum(counts)
    begins = ends - counts
    legs = np.fromiter(chain.from_iterable(cycles), np.int64, int(ends[-1]))
    pools, a_to_b = legs >> 1, (legs & 1).astype(np.bool_)
    of_pool = {name: book.pools[name][pools] for name in ("mint_a", "mint_b", "venue")}
    mint_in = book.mint_keys.array.take(pa.array(np.where(a_to_b, of_pool["mint_a"], of_pool["mint_b"])))
    mint_out = book.mint_keys.array.take(pa.array(np.where(a_to_b, of_pool["mint_b"], of_pool["mint_a"])))
    # A row has an amount more than legs.
    told = np.frombuffer(amounts, np.uint8).reshape(-1, AMOUNT_BYTES)
    row = np.arange(len(cycles))
    into = np.arange(len(legs)) + np.repeat(row, counts)
    of_legs: dict[str, pa.Array] = {
        "pool": book.keys.array.take(pa.array(pools)),
        "mint_in": mint_in,
        "mint_out": mint_out,
        "amount_in": _fixed(told[into]),
        "amount_out": _fixed(told[into + 1]),
        "venue": pa.array(of_pool["venue"]),
    }
    fields = list(_LEGS.value_type)
    struct = pa.StructArray.from_arrays([of_legs[field.name] for field in fields], fields=fields)
    offsets = pa.array(np.append(0, ends), pa.int32())
    return {
        "legs": pa.ListArray.from_arrays(offsets, struct, type=_LEGS),
        "mint": mint_in.take(pa.array(begins)),
        "amount_in": _fixed(told[begins + row]),
        "amount_out": _fixed(told[ends + row]),
    }


def _fixed(values: NDArray[np.uint8]) -> pa.BinaryArray:
    """Values of one width ``(rows, width)``."""
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.Array.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(values)])


class _Profit(NamedTuple):
    """What is gained before and after what an attempt costs."""

    gross_profit: bytes
    net_profit: bytes
    cost: bytes
    gross_profit_usd: float
    net_profit_usd: float


#: Of an episode that has closed.
_NO_PROFIT = _Profit(i128(0), i128(0), u128(0), 0.0, 0.0)


def _profits(rows: list[OpportunityRow], chains: list[int], legs: pa.ListArray, costs: CostModel) -> dict[str, Any]:
    venues = legs.values.field("venue").to_pylist()
    profits = [
        _NO_PROFIT if row.closed else _profit(row, chain_number, venues[begin:end], costs)
        for row, chain_number, (begin, end) in zip(rows, chains, pairwise(legs.offsets.to_pylist()), strict=True)
    ]
    return dict(zip(_Profit._fields, map(list, zip(*profits, strict=True)), strict=True))


def _profit(row: OpportunityRow, chain_number: int, venues: list[int], costs: CostModel) -> _Profit:
    first, last = row.amounts[:AMOUNT_BYTES], row.amounts[-AMOUNT_BYTES:]
    gross = int.from_bytes(last, "little") - int.from_bytes(first, "little")
    cost = _cost(costs, chain_number, venues, gross, row.usd, row.native_usd)
    net = gross - (cost or 0)
    return _Profit(i128(gross), i128(net), b"" if cost is None else u128(cost), gross * row.usd, net * row.usd)


def _cost(
    costs: CostModel, chain_number: int, venues: list[int], gross: int, usd: float, native_usd: float
) -> int | None:
    """What an attempt costs in raw units of the cycle's mint.

    None where nobody knows: it or the native token has no price, or nothing says what the chain takes.
    """
    if not usd or not native_usd:
        return None
    # A tip may be a share of the profit. What cannot be held as a number of lamports or wei is no profit.
    gross_native = int(min(gross * usd / native_usd, _MAX_COST))
    try:
        total = costs.cost_native(chain_number, venues, gross_native).total
    except KeyError:
        return None  # a chain of which no rule is known
    if not total:
        return None  # no chain is free: its fee was not set
    # A start token that is worth next to nothing makes a cost that no amount can hold.
    return int(min(total * native_usd / usd, _MAX_COST))


def price_batch(events: Events, at: np.ndarray, values: dict[str, list[Any]]) -> pa.RecordBatch:
    """PriceTick rows for the events ``at``; ``values`` are the columns that are not the events' own."""
    columns: dict[str, pa.Array] = {**events.columns(at.tolist())}
    for name, items in values.items():
        columns[name] = pa.array(items, PRICE.field(name).type)
    return pa.RecordBatch.from_arrays([columns[name] for name in PRICE.names], schema=PRICE)
