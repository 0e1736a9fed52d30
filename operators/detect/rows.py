"""Columns of the rows that the detector emits, gathered a column at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from operators.codec import COORDINATES, codec
from operators.detect.events import EVENT_FIELDS, Events

OPPORTUNITY = codec("mevflow.v1.Opportunity").located
PRICE = codec("mevflow.v1.PriceTick").located
_LEGS = OPPORTUNITY.field("legs").type
_FROM_EVENT = (*EVENT_FIELDS, *COORDINATES.names)


class OpportunityRows:
    """Opportunities of one stretch. What an event says of itself is taken from its input row at the end."""

    def __init__(self) -> None:
        self.events: list[int] = []
        self._columns: dict[str, list[Any]] = {
            name: []
            for name in OPPORTUNITY.names
            if name not in (*_FROM_EVENT, "legs", "topology", "run_id", "logic_version", "late")
        }
        self._legs: dict[str, list[Any]] = {field.name: [] for field in _LEGS.value_type}
        self._ends = [0]

    def __len__(self) -> int:
        return len(self.events)

    def add(self, event: int, values: dict[str, Any], legs: dict[str, list[Any]]) -> None:
        """One row: every column that is not the event's own or constant, and the legs a column each."""
        self.events.append(event)
        for name, value in values.items():
            self._columns[name].append(value)
        for name, items in legs.items():
            self._legs[name] += items
        self._ends.append(len(self._legs["pool"]))

    def batch(self, events: Events, topology: str, run_id: str, logic_version: int) -> pa.RecordBatch:
        """All rows, in order."""
        count = len(self)
        struct = pa.StructArray.from_arrays(
            [pa.array(self._legs[field.name], field.type) for field in _LEGS.value_type], fields=list(_LEGS.value_type)
        )
        columns: dict[str, pa.Array] = {
            "legs": pa.ListArray.from_arrays(pa.array(self._ends, pa.int32()), struct, type=_LEGS),
            "topology": pa.repeat(pa.scalar(topology), count),
            "run_id": pa.repeat(pa.scalar(run_id), count),
            "logic_version": pa.repeat(pa.scalar(logic_version, pa.uint64()), count),
            "late": pa.array(events.late[self.events]),
            **events.columns(self.events),
        }
        for name, values in self._columns.items():
            columns[name] = pa.array(values, OPPORTUNITY.field(name).type)
        return pa.RecordBatch.from_arrays([columns[name] for name in OPPORTUNITY.names], schema=OPPORTUNITY)


def price_batch(events: Events, at: np.ndarray, values: dict[str, list[Any]]) -> pa.RecordBatch:
    """PriceTick rows for the events ``at``; ``values`` are the columns that are not the events' own."""
    columns: dict[str, pa.Array] = {**events.columns(at.tolist())}
    for name, items in values.items():
        columns[name] = pa.array(items, PRICE.field(name).type)
    return pa.RecordBatch.from_arrays([columns[name] for name in PRICE.names], schema=PRICE)
