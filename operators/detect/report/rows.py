"""Columns of the rows that the detector emits, gathered a column at a time."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mevflow.operators.codec import codec
from mevflow.operators.detect.screen.events import Events

OPPORTUNITY = codec("mevflow.v1.Opportunity").located
PRICE = codec("mevflow.v1.PriceTick").located
_LEGS = OPPORTUNITY.field("legs").type


class OpportunityRow(NamedTuple):
    """An opportunity's columns that are neither its event's own nor constant; ``legs_…`` have an item a leg."""

    opportunity_id: bytes
    mint: bytes
    amount_in: bytes
    amount_out: bytes
    gross_profit: bytes
    net_profit: bytes
    cost: bytes
    gross_profit_usd: float
    net_profit_usd: float
    log_rate: float
    new_episode: bool
    opened_slot: int
    ordinal: int
    opened_us: int
    path: str
    closed: bool
    legs_pool: list[bytes]
    legs_mint_in: list[bytes]
    legs_mint_out: list[bytes]
    legs_amount_in: list[bytes]
    legs_amount_out: list[bytes]
    legs_venue: list[int]


class OpportunityRows:
    """Opportunities of one stretch. What an event says of itself is taken from its input row at the end."""

    def __init__(self) -> None:
        self.events: list[int] = []
        self._rows: list[OpportunityRow] = []

    def __len__(self) -> int:
        return len(self.events)

    def add(self, event: int, row: OpportunityRow) -> None:
        """One row."""
        self.events.append(event)
        self._rows.append(row)

    def batch(self, events: Events, topology: str, run_id: str, logic_version: int) -> pa.RecordBatch:
        """All rows, in order."""
        count = len(self)
        told = dict(zip(OpportunityRow._fields, zip(*self._rows, strict=True), strict=True))
        ends = np.cumsum([0, *map(len, told["legs_pool"])], dtype=np.int32)
        struct = pa.StructArray.from_arrays(
            [pa.array(list(chain.from_iterable(told[f"legs_{field.name}"])), field.type) for field in _LEGS.value_type],
            fields=list(_LEGS.value_type),
        )
        columns: dict[str, pa.Array] = {
            "legs": pa.ListArray.from_arrays(pa.array(ends), struct, type=_LEGS),
            "topology": pa.repeat(pa.scalar(topology), count),
            "run_id": pa.repeat(pa.scalar(run_id), count),
            "logic_version": pa.repeat(pa.scalar(logic_version, pa.uint64()), count),
            "late": pa.array(events.late[self.events]),
            **events.columns(self.events),
        }
        for name in OPPORTUNITY.names:
            if name not in columns:
                columns[name] = pa.array(told[name], OPPORTUNITY.field(name).type)
        return pa.RecordBatch.from_arrays([columns[name] for name in OPPORTUNITY.names], schema=OPPORTUNITY)


def price_batch(events: Events, at: np.ndarray, values: dict[str, list[Any]]) -> pa.RecordBatch:
    """PriceTick rows for the events ``at``; ``values`` are the columns that are not the events' own."""
    columns: dict[str, pa.Array] = {**events.columns(at.tolist())}
    for name, items in values.items():
        columns[name] = pa.array(items, PRICE.field(name).type)
    return pa.RecordBatch.from_arrays([columns[name] for name in PRICE.names], schema=PRICE)
