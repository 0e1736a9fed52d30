"""The columns that travel between the plug-in's parts. ``message`` in the metadata says what a batch holds."""

from __future__ import annotations

import pyarrow as pa

PRICES = pa.schema(
    [
        ("timestamp_us", pa.int64()),
        ("token", pa.string()),
        ("usd", pa.float64()),
        ("source_topic", pa.string()),
        ("source_offset", pa.int64()),
    ],
    metadata={b"message": b"prices.Price"},
)
CHANGES = pa.schema([*PRICES, ("change_bps", pa.float64())], metadata={b"message": b"prices.Change"})
