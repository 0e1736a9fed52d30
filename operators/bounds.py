"""What a field of a message may hold, whatever the message: rows outside are dead letters (``out_of_bounds``).

The rules are by field name, since a name means one thing in every message. They keep out what no chain can say and
what would harm the rows beside it: a slot of 2**63 would make every later row of its chain late, and a time beyond the
calendar of the tables would hold rows back for ever.

================  =====================  ==========================================================================
field             may be                 because
================  =====================  ==========================================================================
timestamp_us      0 .. end of 2199       ClickHouse's DateTime64 ends in 2299; 0 means not known
slot              0 .. 2**36 - 1         870 years of slots of 400 ms
tx_index          0 .. 2**24 - 1         Solana's largest block has a few thousand transactions
ix_index          0 .. 2**24 - 1         an EVM block has at most some ten thousand logs
decimals_a, _b    0 .. 255               one byte on every chain
fork              0 .. 2**40 - 1         a source begins with the time in 10 ms, and counts on
================  =====================  ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mevflow.operators.dead_letters import Fault

REASON = "out_of_bounds"
#: 2200-01-01T00:00:00Z.
MAX_TIME_US = 7_258_118_400_000_000


@dataclass(frozen=True, slots=True)
class Bound:
    """A field's least and greatest value."""

    field: str
    least: int
    greatest: int

    def fault(self, batch: pa.RecordBatch) -> Fault | None:
        """(mask of the rows outside, reason, detail), or None when there is none."""
        values = batch.column(self.field)
        found = pc.min_max(values).as_py()
        if found["min"] is None or (found["min"] >= self.least and found["max"] <= self.greatest):
            return None
        numbers = values.to_numpy(zero_copy_only=False)
        outside = (numbers < self.least) | (numbers > self.greatest)
        return outside, REASON, f"{self.field} is not in {self.least} .. {self.greatest}"


BOUNDS = (
    Bound("timestamp_us", 0, MAX_TIME_US - 1),
    Bound("slot", 0, (1 << 36) - 1),
    Bound("opened_slot", 0, (1 << 36) - 1),
    Bound("opened_us", 0, MAX_TIME_US - 1),
    Bound("tx_index", 0, (1 << 24) - 1),
    Bound("ix_index", 0, (1 << 24) - 1),
    Bound("decimals_a", 0, 255),
    Bound("decimals_b", 0, 255),
    Bound("fork", 0, (1 << 40) - 1),
)


def bounds_of(schema: pa.Schema) -> tuple[Bound, ...]:
    """The rules for a message's columns."""
    return tuple(bound for bound in BOUNDS if bound.field in schema.names)
