"""A batch of opportunities as plain values by row, for the one loop that has to go row by row."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.chains import number_of
from mevflow.operators.decide.features import contexts
from mevflow.operators.decide.plausible import Plausible, implausible
from mevflow.operators.ids import ID_BYTES
from mevflow.operators.learn.kernels import Bools, Floats, Ints
from mevflow.operators.switch import Off

#: No logarithm of prices is larger, and no profit in USD: what policies learn from stays within what they can keep.
_LARGEST_LOG, _LARGEST_USD = 1e4, 1e15

#: Legs of a cycle.
_MOST_LEGS = 64

#: Why a row of a chain without rules is refused, and what to do.
NO_RULES = "no rules for the chain: name it in the topology file (chains:), or give it rules (evm:)"


def faults(batch: pa.RecordBatch, chains: Collection[int]) -> dict[str, Bools]:
    """What is wrong with rows: reason -> mask. A row that no mask names can be decided on. ``chains`` have rules."""

    def width(name: str) -> Bools:
        lengths: Bools = pc.binary_length(batch.column(name)).to_numpy()
        return lengths

    closed = batch.column("closed").to_numpy(zero_copy_only=False)
    finite = np.ones(batch.num_rows, np.bool_)
    for name, largest in (
        ("gross_profit_usd", _LARGEST_USD),
        ("net_profit_usd", _LARGEST_USD),
        ("log_rate", _LARGEST_LOG),
    ):
        finite &= np.abs(batch.column(name).to_numpy()) <= largest
    lengths = batch.column("legs").value_lengths().to_numpy()
    return {
        "opportunity_id is not 16 bytes": width("opportunity_id") != ID_BYTES,
        f"not 2 to {_MOST_LEGS} legs": (lengths < 2) | (lengths > _MOST_LEGS),
        "net_profit is not 16 bytes": (width("net_profit") != 16) & ~closed,
        "a figure is not finite, or larger than any can be": ~finite,
        NO_RULES: ~np.isin(batch.column("chain").to_numpy(), tuple(chains)),
    }


def number(raw: bytes) -> int:
    """An i128 of 16 little-endian bytes."""
    return int.from_bytes(raw, "little", signed=True)


class OpportunityColumns:
    """Columns of a checked batch as lists, and ``x[features, rows]``, its contexts."""

    def __init__(self, batch: pa.RecordBatch, bounds: Plausible | None = None) -> None:
        self._batch = batch
        bounds = bounds or Plausible()
        self.doubts = implausible(batch, bounds, _age_limit(batch, bounds))
        self.implausible: list[bool] = np.logical_or.reduce(list(self.doubts.values())).tolist()
        self.x: Floats = contexts(batch)
        self.opportunity_id: list[bytes] = self._list("opportunity_id")
        self.slot: list[int] = self._list("slot")
        self.tx_index: list[int] = self._list("tx_index")
        self.ix_index: list[int] = self._list("ix_index")
        self.timestamp_us: list[int] = self._list("timestamp_us")
        self.net_profit: list[bytes] = self._list("net_profit")
        self.usd: list[float] = self._list("net_profit_usd")
        self.gross_usd: list[float] = self._list("gross_profit_usd")
        self.usd_column = batch.column("net_profit_usd").to_numpy()
        #: Whether the net profit is above 0, in the token's own integers.
        self.pays: Bools = _positive(batch.column("net_profit"))
        self.cost_column = batch.column("gross_profit_usd").to_numpy() - self.usd_column
        self.closed: list[bool] = self._list("closed")
        self.new_episode: list[bool] = self._list("new_episode")
        legs = batch.column("legs")
        self._legs = legs.flatten()
        self._starts: Ints = np.concatenate(([0], np.cumsum(legs.value_lengths().to_numpy())))
        #: What names each row's cycle within its chain: its pools and the tokens that go in, leg by leg.
        self.cycle: list[bytes] = [
            pools + mints for pools, mints in zip(self._together("pool"), self._together("mint_in"), strict=True)
        ]

    def legs(self, row: int) -> list[tuple[bytes, bytes]]:
        """(pool, mint in) of every leg."""
        return self._pairs[self._starts[row] : self._starts[row + 1]]

    def touches(self, row: int, off: Off) -> bool:
        """Whether the row is about something that is off."""
        if off.everything:
            return True
        return any(pool in off.pools or mint in off.mints for pool, mint in self.legs(row))

    def source(self, row: int) -> tuple[str, int, int]:
        """Topic, partition and offset that the row comes from."""
        return self._sources[row]

    @cached_property
    def _pairs(self) -> list[tuple[bytes, bytes]]:
        return list(zip(*(self._legs.field(name).to_pylist() for name in ("pool", "mint_in")), strict=True))

    def _together(self, name: str) -> list[bytes]:
        """A column of the legs, those of a row one after another: they lie so in memory."""
        column = self._legs.field(name)
        _, offsets, data = column.buffers()
        if data is None:
            return [b""] * (len(self._starts) - 1)
        at = np.frombuffer(offsets, np.int32)[column.offset + self._starts]
        octets = bytes(memoryview(data)[at[0] : at[-1]])
        return [octets[start:stop] for start, stop in pairwise((at - at[0]).tolist())]

    @cached_property
    def _sources(self) -> list[tuple[str, int, int]]:
        columns = ("source_topic", "source_partition", "source_offset")
        return list(zip(*(self._list(name) for name in columns), strict=True))

    def _list(self, name: str) -> list[Any]:
        column = self._batch.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            column = column.to_numpy(zero_copy_only=False)
            return list(column.tolist())
        return list(column.to_pylist())


def _age_limit(batch: pa.RecordBatch, bounds: Plausible) -> Floats:
    """How old a cycle may be, a row, in slots."""
    chains = batch.column("chain").to_numpy()
    limit = np.full(batch.num_rows, np.inf)
    for name, slots in bounds.max_age_slots.items():
        limit[chains == number_of(name)] = slots
    return limit


def _positive(column: pa.BinaryArray) -> Bools:
    """Whether i128 of 16 little-endian bytes are above 0; values of another width are not."""
    _, offsets, data = column.buffers()
    at = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    out = np.zeros(len(column), np.bool_)
    wide = np.flatnonzero(np.diff(at) == 16)
    if len(wide):
        octets = np.frombuffer(data, np.uint8)[at[wide][:, None] + np.arange(16)]
        out[wide] = (octets[:, 15] < 128) & octets.any(axis=1)
    return out
