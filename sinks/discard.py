"""``discard.sink``: takes everything and keeps nothing, to measure or to try a topology without an end."""

from __future__ import annotations

import pyarrow as pa

from mevflow.sinks.sink import Sink


class DiscardSink(Sink):
    """The end of a dataflow whose output nobody needs; the meter still counts its rows."""

    use = "discard.sink"
    summary = "Takes everything, keeps nothing"

    def write(self, batch: pa.RecordBatch) -> None:
        """Let the batch go."""
